//! Sui: a personal message in its intent, signed by the key whose hash is the address.
//!
//! What is signed is BLAKE2b-256 of the intent (`03 00 00`: personal message, version 0, Sui) and of
//! the text as a BCS vector. The signature carries its scheme and its public key in front and
//! behind, so the address is checked before any curve is asked. Two schemes have a key that proves
//! itself: Ed25519 (flag 0) and secp256k1 (flag 1). The others – P-256, multisig, zkLogin, passkeys
//! – are refused by name.
//!
//! Specs: SIP-1 intents, Sui's signature schemes, CAIP-122, RFC 7693 (BLAKE2b), RFC 8032.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::account::Account;
use countersign_sdk::chain::sui;
use countersign_sdk::key::{Curve, NotSigner, PublicKey};

use super::accounts::Accounts;
use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{
    Evidence, VerifiedSigner, WalletFormat, malformed_signature, mismatch, refused_signer,
};
use super::network::{Chain, Network, hex_address};
use crate::model::reason::Refusal;

static NETWORK: Network = Network {
    format: "sui",
    namespaces: &["sui"],
    // The first four bytes of each genesis checkpoint's digest, as the namespace has it.
    chains: &[
        Chain { reference: sui::MAINNET, name: "mainnet" },
        Chain { reference: "4c78adac", name: "testnet" },
    ],
    canonical: hex_address,
    is_name: |_| false,
    can_sign: |_| true,
    an_address: "a Sui address is 0x and 64 hex digits",
    a_chain: "a Sui chain is mainnet (35834a8a) or testnet (4c78adac)",
};

/// The format `sui`.
#[derive(Clone, Copy, Debug)]
pub struct Sui;

impl WalletFormat for Sui {
    fn name(&self) -> &'static str {
        NETWORK.format
    }

    fn accounts(&self) -> &dyn Accounts {
        &NETWORK
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Ed25519, Curve::Secp256k1]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::SUI
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        let address = sui::scheme_of(key).map(|(flag, encoded)| sui::address(flag, &encoded));
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

/// Verifies a signature over a personal message by the account of `address`; the key that signed.
///
/// # Errors
/// `signature_malformed`, `signature_mismatch` or `malleable_signature`.
pub(crate) fn check(address: &str, message: &[u8], signature: &str) -> Result<PublicKey, Refusal> {
    let expected = "a Sui signature is the base64 of its flag, 64 bytes and the public key";
    if signature.len() > 132 {
        return Err(malformed_signature(expected));
    }
    let bytes = STANDARD.decode(signature).map_err(|_| malformed_signature(expected))?;
    let (flag, rest) = bytes.split_first().ok_or_else(|| malformed_signature(expected))?;
    let (curve, length) = scheme_of_flag(*flag)?;
    let (signature, encoded) = rest
        .split_first_chunk::<64>()
        .filter(|(_, key)| key.len() == length)
        .ok_or_else(|| malformed_signature(expected))?;
    if sui::address(*flag, encoded) != address {
        return Err(mismatch());
    }
    let digest = sui::digest(message);
    let signer = match curve {
        Curve::Ed25519 => PublicKey::ed25519_that_signed(encoded, &digest, signature),
        Curve::Secp256k1 | Curve::P256 => {
            PublicKey::from_sec1(curve, encoded).map_err(NotSigner::Key).and_then(|key| {
                key.verify_wallet(&digest, signature)?;
                Ok(key)
            })
        }
    };
    let no_key = || malformed_signature("the public key in the signature is not a right one");
    signer.map_err(|error| refused_signer(error, no_key))
}

/// The curve of a scheme whose key proves itself, and the length of that key.
fn scheme_of_flag(flag: u8) -> Result<(Curve, usize), Refusal> {
    let refused = match flag {
        0 => return Ok((Curve::Ed25519, 32)),
        1 => return Ok((Curve::Secp256k1, 33)),
        2 => "signatures of the scheme secp256r1 (flag 2) are not taken",
        3 => "multisig signatures (flag 3) are not taken",
        5 => "zkLogin signatures (flag 5) are not taken",
        6 => "passkey signatures (flag 6) are not taken",
        _ => "the flag of the signature is none of a Sui scheme",
    };
    Err(malformed_signature(refused))
}

#[cfg(test)]
#[path = "sui_tests.rs"]
mod tests;
