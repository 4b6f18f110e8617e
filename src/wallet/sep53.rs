//! Stellar: a message under its own prefix, signed by the account's master key.
//!
//! The address is the key, and the signature is Ed25519 over SHA-256 of a fixed prefix and the text,
//! so that no transaction is ever signed with it. It proves the master key of an account and not
//! that other signers, which an account may have on the ledger, agree.
//!
//! Specs: SEP-53, SEP-23 (strkeys), CAIP-122, RFC 8032 (strict).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::account::Account;
use countersign_sdk::chain::stellar::{decode_account, digest, encode_account};
use countersign_sdk::key::{Curve, PublicKey};

use super::accounts::Accounts;
use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{Evidence, VerifiedSigner, WalletFormat, malformed_signature, refused_signer};
use super::network::{Chain, Network};
use crate::model::reason::Refusal;

static NETWORK: Network = network("sep53");

/// Stellar's accounts, which both of its formats sign for.
pub(super) const fn network(format: &'static str) -> Network {
    Network {
        format,
        namespaces: &["stellar"],
        chains: &[
            Chain { reference: "pubnet", name: "pubnet" },
            Chain { reference: "testnet", name: "testnet" },
        ],
        canonical: |address| decode_account(address).map(|_| address.to_owned()),
        is_name: |_| false,
        can_sign: |address| key_of(address).is_some(),
        an_address: "a Stellar account is G and 55 more letters and digits: a strkey of an Ed25519 \
                     key that is not of small order",
        a_chain: "a Stellar chain is pubnet or testnet",
    }
}

/// The format `sep53`.
#[derive(Clone, Copy, Debug)]
pub struct Sep53;

impl WalletFormat for Sep53 {
    fn name(&self) -> &'static str {
        NETWORK.format
    }

    fn accounts(&self) -> &dyn Accounts {
        &NETWORK
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Ed25519]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::STELLAR
    }

    fn is_shaped(&self, signature: &str) -> bool {
        decode_signature(signature).is_some()
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        let address = match key.curve() {
            Curve::Ed25519 => key.as_bytes().try_into().ok().map(encode_account),
            Curve::P256 | Curve::Secp256k1 => None,
        };
        address.and_then(|address| NETWORK.subject_at(&address)).into_iter().collect()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let address = NETWORK.own(account)?.address();
        let key = check(address, message.text().as_bytes(), evidence.signature)?;
        let subject = NETWORK.subject_of(account)?;
        Ok(VerifiedSigner::proven(key, self.name(), account.clone(), subject))
    }
}

/// Verifies a signature over a message by the account of `address`; the key that signed.
///
/// # Errors
/// `signature_malformed`, `account_invalid` or `signature_mismatch`.
pub(crate) fn check(address: &str, message: &[u8], signature: &str) -> Result<PublicKey, Refusal> {
    let signature = decode_signature(signature)
        .ok_or_else(|| malformed_signature("a signature is 64 bytes in base64 or in hex"))?;
    let key = decode_account(address).ok_or_else(|| NETWORK.invalid_address())?;
    PublicKey::ed25519_that_signed(&key, &digest(message), &signature)
        .map_err(|error| refused_signer(error, || NETWORK.invalid_address()))
}

/// The key that a canonical address is.
fn key_of(address: &str) -> Option<PublicKey> {
    PublicKey::from_ed25519_bytes(&decode_account(address)?).ok()
}

/// The 64 bytes of a signature; the two encodings differ in length.
fn decode_signature(text: &str) -> Option<[u8; 64]> {
    match text.len() {
        88 => STANDARD.decode(text).ok()?.try_into().ok(),
        128 => {
            let mut bytes = [0; 64];
            hex::decode_to_slice(text, &mut bytes).ok()?;
            Some(bytes)
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "sep53_tests.rs"]
mod tests;
