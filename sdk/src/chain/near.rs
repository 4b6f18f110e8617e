//! NEAR: the account that a key is, and what its wallets sign for a message.
//!
//! Specs: NEP-413, NEP-148 implicit accounts, the account ids of NEAR, Borsh.

use sha2::{Digest as _, Sha256};

/// 2^31 + 413, little-endian: no transaction of the chain begins so.
const TAG: [u8; 4] = 2_147_484_061_u32.to_le_bytes();

/// The structure that is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// What the person reads.
    pub message: &'a [u8],
    /// A nonce.
    pub nonce: &'a [u8; 32],
    /// Who asks.
    pub recipient: &'a str,
    /// Where a browser wallet hands its answer to.
    pub callback_url: Option<&'a str>,
}

impl Signed<'_> {
    /// SHA-256 of the tag and the structure in Borsh; `None` for a part of more than 4 GiB.
    pub fn digest(&self) -> Option<[u8; 32]> {
        let mut hash = Sha256::new();
        let mut string = |tag: &[u8], bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).ok()?;
            hash.update(tag);
            hash.update(length.to_le_bytes());
            hash.update(bytes);
            Some(())
        };
        string(&TAG, self.message)?;
        string(self.nonce, self.recipient.as_bytes())?;
        match self.callback_url {
            Some(url) => string(&[1], url.as_bytes())?,
            None => hash.update([0]),
        }
        Some(hash.finalize().into())
    }
}

/// The nonce that is signed beside the text. The text has a nonce of its own, so this one need not
/// be random; that it is the text's hash lets the server know it without a second secret.
pub fn nonce_of(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The 32 bytes that an implicit account's name is the lower-case hex of.
pub fn implicit_key(account_id: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let lower = account_id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    hex::decode_to_slice(account_id, &mut bytes).ok().filter(|()| lower)?;
    Some(bytes)
}

/// The shortest and the longest account id, in bytes.
const ID_LENGTH: std::ops::RangeInclusive<usize> = 2..=64;

/// The name of an account that is no key, such as `alice.near`, from its address in CAIP-10, which
/// has no room for `_` and writes `%5F`. `None` for implicit accounts, for those that are made of
/// other things (`0x…`, `0s…`), and for what is no account id.
pub fn name_of(address: &str) -> Option<String> {
    let name = address.replace("%5F", "_").replace("%5f", "_");
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
    };
    // One separator at a time, and none at an end.
    let fits = ID_LENGTH.contains(&name.len()) && name.split(['.', '-', '_']).all(is_part);
    let made = |prefix: &str| {
        let digits = name.strip_prefix(prefix).unwrap_or_default();
        digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let derived = implicit_key(&name).is_some() || made("0x") || made("0s");
    (fits && !derived).then_some(name)
}

/// A name as CAIP-10 writes it.
pub fn address_of_name(name: &str) -> String {
    name.replace('_', "%5F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_account_ids_that_are_no_keys() {
        for name in
            ["alice.near", "a1", "near", "a-b_c.d-e.testnet", "0x.near", "100", &"g".repeat(64)]
        {
            let address = address_of_name(name);
            assert_eq!(name_of(&address).as_deref(), Some(name));
            assert!(!address.contains('_'));
        }
        for other in [
            "",
            "a",
            "Alice.near",
            "alice..near",
            ".near",
            "near.",
            "a-_b",
            "-a",
            "a_",
            "alice near",
            "alice@near",
            "a%2Db",
            "a%5",
            "bücher.near",
            &"a".repeat(65),
            &"0a".repeat(32),
            &format!("0x{}", "3".repeat(40)),
            &format!("0s{}", "3".repeat(40)),
        ] {
            assert_eq!(name_of(other), None, "{other}");
        }
    }
}
