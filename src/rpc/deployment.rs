//! A signature of an account that is not deployed yet carries how to deploy it, and is read in its one encoding.
//!
//! `abi.encode(factory, call, signature)` and a suffix that no other signature ends in (ERC-6492). An
//! encoder could write the same in many ways; only the one that every library writes is taken, so that
//! what is called is what anybody reads in it.
//!
//! Specs: ERC-6492, the contract ABI of Solidity.

/// What a wrapped signature ends in.
const SUFFIX: [u8; 32] = [
    0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
    0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
];

/// Where the first of the two byte strings begins: after three words.
const HEAD: usize = 96;
const WORD: usize = 32;

/// How an account comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment<'a> {
    /// The contract that is called.
    pub factory: [u8; 20],
    /// What it is called with.
    pub call: &'a [u8],
}

/// A signature for a contract, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureParts<'a> {
    /// What the contract is asked about.
    pub signature: &'a [u8],
    /// How the contract comes to be, where it may not be there yet.
    pub deployment: Option<Deployment<'a>>,
}

/// Whether a signature is wrapped.
pub fn is_wrapped(signature: &[u8]) -> bool {
    signature.ends_with(&SUFFIX)
}

impl<'a> SignatureParts<'a> {
    /// Takes a signature apart; `None` for one that is wrapped otherwise than it should be, or twice.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let Some(wrapped) = bytes.strip_suffix(&SUFFIX) else {
            return Some(Self { signature: bytes, deployment: None });
        };
        let (head, tail) = wrapped.split_at_checked(HEAD)?;
        let (factory, offsets) = head.split_first_chunk::<WORD>()?;
        let (zeros, factory) = factory.split_first_chunk::<12>()?;
        let factory: [u8; 20] = factory.try_into().ok()?;
        let (call, rest) = byte_string(tail)?;
        let (signature, rest) = byte_string(rest)?;
        let second = HEAD.checked_add(WORD)?.checked_add(call.len().next_multiple_of(WORD))?;
        let (first_offset, second_offset) = offsets.split_first_chunk::<WORD>()?;
        let canonical = *zeros == [0; 12]
            && factory != [0; 20]
            && number(first_offset) == Some(HEAD)
            && number(second_offset.first_chunk()?) == Some(second)
            && rest.is_empty()
            && !is_wrapped(signature);
        canonical.then_some(Self { signature, deployment: Some(Deployment { factory, call }) })
    }
}

/// A length, that many bytes, and zeros to the next whole word.
fn byte_string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = text.split_first_chunk::<WORD>()?;
    let length = number(length)?;
    let (bytes, rest) = rest.split_at_checked(length)?;
    let padding = length.checked_next_multiple_of(WORD)? - length;
    let (zeros, rest) = rest.split_at_checked(padding)?;
    zeros.iter().all(|byte| *byte == 0).then_some((bytes, rest))
}

/// A word that is a length: far below what an address space holds.
fn number(word: &[u8; WORD]) -> Option<usize> {
    let (zeros, low) = word.split_last_chunk::<4>()?;
    if zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    usize::try_from(u32::from_be_bytes(*low)).ok()
}

#[cfg(test)]
#[path = "deployment_tests.rs"]
mod tests;
