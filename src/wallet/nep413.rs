//! NEAR: a message with its recipient and a nonce, signed by the key that an implicit account is.
//!
//! The wallet signs SHA-256 of a tag and a Borsh structure. All of the structure is rebuilt here
//! from the text: the message is the text, the recipient its domain, the nonce its SHA-256. Only the
//! call-back URL, which browser wallets put in and others leave out, is taken from the answer, and
//! it must be of the text's domain. A named account such as `alice.near` is no key; which keys it
//! has must be asked of the chain, so it is refused here by name.
//!
//! Specs: NEP-413, NEP-148 implicit accounts, Borsh, CAIP-122, RFC 8032 (strict).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::account::Account;
use countersign_sdk::chain::near::{Signed, implicit_key, nonce_of};
use countersign_sdk::key::{Curve, PublicKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts::Accounts;
use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{
    Evidence, MAX_STRUCTURE, VerifiedSigner, WalletFormat, malformed_signature, mismatch,
    refused_signer,
};
use super::network::{Chain, Network};
use crate::model::domain::is_loopback_authority;
use crate::model::reason::Refusal;

/// The longest call-back URL that is read, in bytes.
const MAX_CALLBACK: usize = 2048;

static NETWORK: Network = Network {
    format: "nep413",
    namespaces: &["near"],
    chains: &[
        Chain { reference: "mainnet", name: "mainnet" },
        Chain { reference: "testnet", name: "testnet" },
    ],
    canonical: |address| implicit_key(address).map(|_| address.to_owned()),
    can_sign: |address| key_of(address).is_some(),
    an_address: "a NEAR account that signs in is an implicit one, the 64 hex digits of its Ed25519 \
                 key in lower case; a named account such as alice.near is not supported, because \
                 its keys stand on the chain alone",
    a_chain: "a NEAR chain is mainnet or testnet",
};

/// The format `nep413`.
#[derive(Clone, Copy, Debug)]
pub struct Nep413;

impl WalletFormat for Nep413 {
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
        &caip122::NEAR
    }

    fn has_payload(&self) -> bool {
        true
    }

    fn payload(
        &self,
        _account: &Account,
        message: &UnverifiedMessage<'_>,
    ) -> Result<Option<Value>, Refusal> {
        Ok(Some(json!({
            "message": message.text(),
            "recipient": message.fields().domain,
            "nonce": STANDARD.encode(nonce_of(message.text())),
        })))
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        match key.curve() {
            Curve::Ed25519 => {
                NETWORK.subject_at(&hex::encode(key.as_bytes())).into_iter().collect()
            }
            Curve::P256 | Curve::Secp256k1 => Vec::new(),
        }
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let account_id = NETWORK.own(account)?.address();
        let answer = Answer::read(evidence.signature)?;
        let domain = message.fields().domain;
        if answer.callback_url.as_deref().is_some_and(|url| !is_of_domain(url, domain)) {
            return Err(malformed_signature(
                "callbackUrl is an https URL (http on loopback) of the domain that the message names",
            ));
        }
        let signed = Signed {
            message: message.text().as_bytes(),
            nonce: &nonce_of(message.text()),
            recipient: domain,
            callback_url: answer.callback_url.as_deref(),
        };
        let key = check(account_id, &signed, &answer)?;
        let subject = NETWORK.subject_of(account)?;
        Ok(VerifiedSigner::proven(key, self.name(), account.clone(), subject))
    }
}

/// What a wallet answers. Other members, such as `state`, which is not signed, are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(crate) struct Answer {
    pub(crate) account_id: Option<String>,
    pub(crate) public_key: Option<String>,
    pub(crate) signature: String,
    pub(crate) callback_url: Option<String>,
}

impl Answer {
    /// The object that wallets return, or the base64 of the signature alone.
    fn read(text: &str) -> Result<Self, Refusal> {
        let expected = "a signature is the JSON object that the wallet returned, with `signature` \
                        in base64, or that base64 alone";
        if !text.starts_with('{') {
            return Ok(Self { signature: text.to_owned(), ..Self::default() });
        }
        let right = text.len() <= MAX_STRUCTURE;
        let answer: Option<Self> = serde_json::from_str(text).ok().filter(|_| right);
        answer.ok_or_else(|| malformed_signature(expected))
    }
}

/// Verifies a wallet's answer over a structure by the implicit account; the key that signed.
///
/// # Errors
/// `signature_malformed`, `account_invalid` or `signature_mismatch`.
pub(crate) fn check(
    account_id: &str,
    signed: &Signed<'_>,
    answer: &Answer,
) -> Result<PublicKey, Refusal> {
    let expected = "a signature is 64 bytes in base64";
    let signature: [u8; 64] = Some(&answer.signature)
        .filter(|text| text.len() == 88)
        .and_then(|text| STANDARD.decode(text).ok()?.try_into().ok())
        .ok_or_else(|| malformed_signature(expected))?;
    let key = implicit_key(account_id).ok_or_else(|| NETWORK.invalid_address())?;
    let named = || format!("ed25519:{}", bs58::encode(key).into_string());
    if answer.account_id.as_deref().is_some_and(|id| id != account_id)
        || answer.public_key.as_ref().is_some_and(|text| *text != named())
    {
        return Err(mismatch());
    }
    let digest = signed.digest().ok_or_else(|| malformed_signature(expected))?;
    PublicKey::ed25519_that_signed(&key, &digest, &signature)
        .map_err(|error| refused_signer(error, || NETWORK.invalid_address()))
}

fn key_of(account_id: &str) -> Option<PublicKey> {
    PublicKey::from_ed25519_bytes(&implicit_key(account_id)?).ok()
}

/// Whether a URL is of the text's domain, in its very spelling.
fn is_of_domain(url: &str, domain: &str) -> bool {
    url.len() <= MAX_CALLBACK
        && caip122::is_uri(url)
        && caip122::origin_of(url).is_some_and(|(scheme, authority)| {
            let safe = scheme == "https" || (scheme == "http" && is_loopback_authority(domain));
            authority == domain && safe
        })
}

#[cfg(test)]
#[path = "nep413_tests.rs"]
mod tests;
