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
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::key::{Curve, PublicKey};

use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{
    Evidence, Spelling, VerifiedSigner, WalletFormat, malformed_signature, mismatch,
    refused_signature,
};
use super::network::{Chain, Network, hex_address};
use crate::model::reason::{Reason, Refusal};

type Blake2b256 = Blake2b<U32>;

/// The intent of a personal message: scope 3, version 0, application Sui.
const INTENT: [u8; 3] = [3, 0, 0];

static NETWORK: Network = Network {
    format: "sui",
    namespaces: &["sui"],
    // The first four bytes of each genesis checkpoint's digest, as the namespace has it.
    chains: &[
        Chain { reference: "35834a8a", name: "mainnet" },
        Chain { reference: "4c78adac", name: "testnet" },
    ],
    canonical: hex_address,
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

    fn namespaces(&self) -> &'static [&'static str] {
        NETWORK.namespaces
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Ed25519, Curve::Secp256k1]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::SUI
    }

    fn canonical_account(&self, account: &Account) -> Result<Account, Refusal> {
        NETWORK.canonical_account(account)
    }

    fn canonical_chain(&self, chain: &ChainId) -> Option<ChainId> {
        NETWORK.canonical_chain(chain)
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        let schemes = Scheme::ALL.into_iter().filter(|scheme| scheme.curve() == key.curve());
        let addresses = schemes.map(|scheme| scheme.address(&scheme.encode(key)));
        addresses.filter_map(|address| NETWORK.subject_at(&address)).collect()
    }

    fn subject_of(&self, account: &Account) -> Result<String, Refusal> {
        NETWORK.subject_of(account)
    }

    fn spelling<'a>(&self, account: &'a Account) -> Option<Spelling<'a>> {
        NETWORK.spelling(account)
    }

    fn account_of(&self, message: &UnverifiedMessage<'_>) -> Result<Account, Refusal> {
        NETWORK.account_of(message)
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let address = NETWORK.own(account)?.address();
        let key = check(address, message.text().as_bytes(), evidence.signature)?;
        let subject = self.subject_of(account)?;
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
    let scheme = Scheme::of_flag(*flag)?;
    let (signature, encoded) = rest
        .split_first_chunk::<64>()
        .filter(|(_, key)| key.len() == scheme.key_length())
        .ok_or_else(|| malformed_signature(expected))?;
    if scheme.address(encoded) != address {
        return Err(mismatch());
    }
    let key = scheme.decode(encoded)?;
    key.verify_wallet(&digest(message), signature).map_err(refused_signature)?;
    Ok(key)
}

/// What a personal message is signed as, before the curve's own hash.
fn digest(message: &[u8]) -> [u8; 32] {
    let mut hash = Blake2b256::new();
    hash.update(INTENT);
    let mut length = message.len();
    // ULEB128: seven bits a byte, the lowest first, the top bit set on all but the last.
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            hash.update([low]);
            break;
        }
        hash.update([low | 0x80]);
    }
    hash.update(message);
    hash.finalize().into()
}

/// A signature scheme with a key that proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Ed25519,
    Secp256k1,
}

impl Scheme {
    const ALL: [Self; 2] = [Self::Ed25519, Self::Secp256k1];

    fn of_flag(flag: u8) -> Result<Self, Refusal> {
        let refused = match flag {
            0 => return Ok(Self::Ed25519),
            1 => return Ok(Self::Secp256k1),
            2 => "signatures of the scheme secp256r1 (flag 2) are not taken",
            3 => "multisig signatures (flag 3) are not taken",
            5 => "zkLogin signatures (flag 5) are not taken",
            6 => "passkey signatures (flag 6) are not taken",
            _ => "the flag of the signature is none of a Sui scheme",
        };
        Err(malformed_signature(refused))
    }

    const fn flag(self) -> u8 {
        match self {
            Self::Ed25519 => 0,
            Self::Secp256k1 => 1,
        }
    }

    const fn curve(self) -> Curve {
        match self {
            Self::Ed25519 => Curve::Ed25519,
            Self::Secp256k1 => Curve::Secp256k1,
        }
    }

    const fn key_length(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::Secp256k1 => 33,
        }
    }

    fn decode(self, bytes: &[u8]) -> Result<PublicKey, Refusal> {
        let key = match self {
            Self::Ed25519 => PublicKey::from_ed25519_bytes(bytes),
            Self::Secp256k1 => PublicKey::from_sec1(Curve::Secp256k1, bytes),
        };
        key.map_err(|error| Refusal::new(Reason::SignatureMalformed, error.to_string()))
    }

    fn encode(self, key: &PublicKey) -> Vec<u8> {
        match self {
            Self::Ed25519 => key.as_bytes().to_vec(),
            Self::Secp256k1 => compressed(key.as_bytes()),
        }
    }

    fn address(self, encoded: &[u8]) -> String {
        let mut hash = Blake2b256::new();
        hash.update([self.flag()]);
        hash.update(encoded);
        format!("0x{}", hex::encode(hash.finalize()))
    }
}

/// SEC 1 compressed, from uncompressed.
fn compressed(point: &[u8]) -> Vec<u8> {
    let parity = point.last().map_or(0, |last| last & 1);
    let x = point.get(1..33).unwrap_or_default();
    [&[2 | parity], x].concat()
}

#[cfg(test)]
#[path = "sui_tests.rs"]
mod tests;
