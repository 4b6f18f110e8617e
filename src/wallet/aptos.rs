//! Aptos: the text as `signIn` signs it, or inside the full message of the older `signMessage`.
//!
//! An address is the hash of an authentication key, so the public key comes with the signature and
//! must hash to the address: it is the key that the account began with. Whether it has another one
//! by now stands on the chain alone and is not asked: after a rotation the first key still signs in
//! here and the present one does not. The full message is
//! built here around the text that was received, with the page's origin and with or without each of the
//! other lines, and is never taken apart; a wallet that returns its own is only believed which it chose.
//!
//! Specs: sign-in-with-aptos (AIP-116), AIP-62 `signMessage`, AIP-55 (SingleKey), FIPS 202.

use countersign_sdk::account::Account;
use countersign_sdk::chain::aptos::{FullMessage, addresses, digest, sign_in_bytes};
use countersign_sdk::key::{Curve, NotSigner, PublicKey, SignatureError, secp256k1};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts::Accounts;
use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{
    Evidence, MAX_STRUCTURE, VerifiedSigner, WalletFormat, malformed_signature, mismatch,
    refused_signer,
};
use super::network::{Chain, Network, hex_address};
use crate::model::domain::is_loopback_authority;
use crate::model::reason::Refusal;

static NETWORK: Network = Network {
    format: "aptos",
    namespaces: &["aptos"],
    // As the wallets name them, and the library that writes their texts.
    chains: &[
        Chain { reference: "1", name: "aptos:mainnet" },
        Chain { reference: "2", name: "aptos:testnet" },
    ],
    canonical: hex_address,
    is_name: |_| false,
    can_sign: |_| true,
    an_address: "an Aptos address is 0x and 64 hex digits",
    a_chain: "an Aptos chain is mainnet (1) or testnet (2)",
};

/// The format `aptos`.
#[derive(Clone, Copy, Debug)]
pub struct Aptos;

impl WalletFormat for Aptos {
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
        &caip122::APTOS
    }

    fn has_payload(&self) -> bool {
        true
    }

    fn needs_public_key(&self) -> bool {
        true
    }

    fn payload(
        &self,
        _account: &Account,
        message: &UnverifiedMessage<'_>,
    ) -> Result<Option<Value>, Refusal> {
        Ok(Some(json!({
            "message": message.text(),
            "nonce": message.fields().nonce,
            "address": true,
            "application": true,
            "chainId": true,
        })))
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        let addresses = addresses(key.curve(), key.as_bytes());
        addresses.iter().filter_map(|address| NETWORK.subject_at(address)).collect()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let own = NETWORK.own(account)?;
        let answer = Answer::read(evidence.signature)?;
        let signer = Signer::read(own.address(), evidence.public_key, &answer.signature)?;
        let wrapped = || wrappings(message, own.address(), own.chain().reference());
        let proven = match answer.full_message {
            // The wallet says which one it signed; that it is one of ours is what counts.
            Some(said) => {
                let ours = wrapped().into_iter().find(|full| *full == said).ok_or_else(mismatch)?;
                signer.check(ours.as_bytes())
            }
            None => match signer.check(&sign_in_bytes(message.text())) {
                Err(NotSigner::Signature(SignatureError::Mismatch)) => {
                    let signed = |full: &String| signer.check(full.as_bytes()).ok();
                    wrapped().iter().find_map(signed).ok_or(SignatureError::Mismatch.into())
                }
                decided => decided,
            },
        };
        let key = proven.map_err(refused)?;
        let subject = NETWORK.subject_of(account)?;
        Ok(VerifiedSigner::proven(key, self.name(), account.clone(), subject))
    }
}

/// What `signMessage` returns; other members are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Answer {
    signature: String,
    full_message: Option<String>,
}

impl Answer {
    /// The object that wallets return, or the hex of the signature alone.
    fn read(text: &str) -> Result<Self, Refusal> {
        let expected = "a signature is 0x and hex, or the JSON object that signMessage returned, \
                        with `signature` as hex and `fullMessage`";
        if !text.starts_with('{') {
            return Ok(Self { signature: text.to_owned(), ..Self::default() });
        }
        let right = text.len() <= MAX_STRUCTURE;
        let answer: Option<Self> = serde_json::from_str(text).ok().filter(|_| right);
        answer.ok_or_else(|| malformed_signature(expected))
    }
}

/// The bytes of a key that is the account's own, and a signature of the right length.
#[derive(Debug)]
pub(crate) struct Signer {
    curve: Curve,
    key: Vec<u8>,
    signature: [u8; 64],
}

impl Signer {
    /// Reads key and signature; the key must hash to the address.
    ///
    /// # Errors
    /// `signature_malformed`, or `signature_mismatch` for the key of another account.
    pub(crate) fn read(
        address: &str,
        public_key: Option<&str>,
        signature: &str,
    ) -> Result<Self, Refusal> {
        let (curve, key) = public_key.and_then(decode_key).ok_or_else(|| {
            malformed_signature(
                "public_key is needed, as 0x and hex: 32 bytes (Ed25519), 65 bytes (secp256k1), \
                 or either as the AnyPublicKey of a SingleKey account",
            )
        })?;
        let signature = decode_signature(curve, signature).ok_or_else(|| {
            malformed_signature("a signature is the hex of 64 bytes, or of an AnySignature")
        })?;
        if !addresses(curve, &key).iter().any(|own| own == address) {
            return Err(mismatch());
        }
        Ok(Self { curve, key, signature })
    }

    /// The key, if it signed these bytes: Ed25519 as they are, ECDSA by their SHA3-256.
    ///
    /// # Errors
    /// [`NotSigner`].
    pub(crate) fn check(&self, message: &[u8]) -> Result<PublicKey, NotSigner> {
        match self.curve {
            Curve::Ed25519 => PublicKey::ed25519_that_signed(&self.key, message, &self.signature),
            Curve::Secp256k1 | Curve::P256 => {
                let key = PublicKey::from_sec1(self.curve, &self.key)?;
                let low = secp256k1::LowS::Required;
                secp256k1::verify_digest(&key, &digest(message), &self.signature, low)?;
                Ok(key)
            }
        }
    }
}

fn refused(error: NotSigner) -> Refusal {
    refused_signer(error, || malformed_signature("public_key is not a right key"))
}

/// Every full message that a wallet can make of a text with the text's own nonce and the origin of its
/// domain: the likeliest first, then those with a line less. Four, so that a wrong signature costs a
/// bounded number of verifications. One without the origin, which the wallet itself saw, is none.
fn wrappings(message: &UnverifiedMessage<'_>, address: &str, chain: &str) -> Vec<String> {
    let fields = message.fields();
    let scheme = if is_loopback_authority(fields.domain) { "http" } else { "https" };
    let application = format!("{scheme}://{}", fields.domain);
    let wrapped = (0..4_u8).map(|without| {
        let full = FullMessage {
            address: (without & 1 == 0).then_some(address),
            application: Some(&application),
            chain: (without & 2 == 0).then_some(chain),
            message: message.text(),
            nonce: fields.nonce.unwrap_or_default(),
        };
        full.render()
    });
    wrapped.collect()
}

/// A raw key, or an `AnyPublicKey` in BCS: its variant, its length, its bytes.
fn decode_key(text: &str) -> Option<(Curve, Vec<u8>)> {
    let bytes = decode_hex(text, 67)?;
    let (curve, key) = match (bytes.len(), bytes.as_slice()) {
        (32, key) => (Curve::Ed25519, key),
        (65, key) => (Curve::Secp256k1, key),
        (34, [0, 32, key @ ..]) => (Curve::Ed25519, key),
        (67, [1, 65, key @ ..]) => (Curve::Secp256k1, key),
        _ => return None,
    };
    Some((curve, key.to_vec()))
}

/// A raw signature, or an `AnySignature` in BCS of the key's own variant.
fn decode_signature(curve: Curve, text: &str) -> Option<[u8; 64]> {
    let bytes = decode_hex(text, 66)?;
    let variant = u8::from(curve == Curve::Secp256k1);
    match (bytes.len(), bytes.as_slice()) {
        (64, raw) => raw.try_into().ok(),
        (66, [first, 64, raw @ ..]) if *first == variant => raw.try_into().ok(),
        _ => None,
    }
}

/// Hex with or without `0x`, of at most so many bytes.
fn decode_hex(text: &str, most: usize) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    (digits.len() <= 2 * most).then(|| hex::decode(digits).ok()).flatten()
}

#[cfg(test)]
#[path = "aptos_tests.rs"]
mod tests;
