//! The wallet of format `siwe`: `personal_sign` over keccak-256, the address as EIP-55 has it.
//!
//! Specs: EIP-191, EIP-55, CAIP-10.

use sha3::{Digest as _, Keccak256};

use super::{Style, WalletKeyError, reference_of};
use crate::account::{Account, ChainAccount, ChainId};
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, SignerError};

const NAMESPACE: &str = "eip155";

/// The format `siwe`.
pub(super) struct Ethereum;

impl Style for Ethereum {
    fn format(&self) -> &'static str {
        "siwe"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        on_chain(key, reference_of(named, NAMESPACE).unwrap_or("1"))
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        _account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let digest = personal_sign_digest(challenge.message);
        let (signature, id) = signer.sign_digest_recoverable(&digest)?;
        Ok(format!("0x{}{:02x}", hex::encode(signature), 27 + id))
    }
}

/// The account of a key on a chain.
pub(super) fn on_chain(key: &PublicKey, chain: &str) -> Result<Account, WalletKeyError> {
    let address = ethereum_address(key).ok_or(WalletKeyError::Curve(Curve::Secp256k1.name()))?;
    let chain = ChainId::new(NAMESPACE, chain)?;
    Ok(Account::Chain(ChainAccount::new(chain, &address)?))
}

/// What `personal_sign` signs (EIP-191, version 0x45): the length is that of the bytes.
pub(super) fn personal_sign_digest(message: &str) -> [u8; 32] {
    let mut hash = Keccak256::new();
    hash.update(b"\x19Ethereum Signed Message:\n");
    hash.update(message.len().to_string());
    hash.update(message);
    hash.finalize().into()
}

/// The address of a secp256k1 key with the checksum of EIP-55; `None` for another curve.
fn ethereum_address(key: &PublicKey) -> Option<String> {
    let point = match key.curve() {
        Curve::Secp256k1 => key.as_bytes().get(1..)?,
        Curve::Ed25519 | Curve::P256 => return None,
    };
    Some(checksummed(&hex::encode(Keccak256::digest(point).get(12..)?)))
}

/// Whether an address is written with its checksum (EIP-55).
pub(in crate::client) fn is_checksummed(address: &str) -> bool {
    let digits = address.strip_prefix("0x").unwrap_or_default();
    checksummed(&digits.to_ascii_lowercase()) == address
}

fn checksummed(lower: &str) -> String {
    // A letter is upper case where the hash of the text has a digit of 8 or more in its place.
    let checksum = hex::encode(Keccak256::digest(lower));
    let cased = lower
        .chars()
        .zip(checksum.bytes())
        .map(|(letter, check)| if check >= b'8' { letter.to_ascii_uppercase() } else { letter });
    ["0x".to_owned(), cased.collect()].concat()
}
