//! NEAR: a message with its recipient and a nonce, signed by the key that an implicit account is.
//!
//! The wallet signs SHA-256 of a tag and a Borsh structure. All of the structure is rebuilt here
//! from the text: the message is the text, the recipient its domain, the nonce its SHA-256. Only the
//! call-back URL, which browser wallets put in and others leave out, is taken from the answer, and
//! it must be of the text's domain.
//!
//! A named account such as `alice.near` is no key. The key that signed stands in the wallet's answer, and
//! whether it is the name's is a question to the chain, which is made here and asked elsewhere. A name
//! belongs to its chain: the same one on another may be somebody else's.
//!
//! Specs: NEP-413, NEP-148 implicit accounts, Borsh, CAIP-122, RFC 8032 (strict).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::account::Account;
use countersign_sdk::chain::near::{Signed, address_of_name, implicit_key, name_of, nonce_of};
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
use super::on_chain::{NamedSigner, Question};
use crate::model::domain::is_loopback_authority;
use crate::model::reason::{Reason, Refusal};
use crate::rpc::AccessKeyQuestion;

/// The longest call-back URL that is read, in bytes.
const MAX_CALLBACK: usize = 2048;

static NETWORK: Network = Network {
    format: "nep413",
    namespaces: &["near"],
    chains: &[
        Chain { reference: "mainnet", name: "mainnet" },
        Chain { reference: "testnet", name: "testnet" },
    ],
    canonical: |address| match name_of(address) {
        Some(name) => Some(address_of_name(&name)),
        None => implicit_key(address).map(|_| address.to_owned()),
    },
    is_name: |address| name_of(address).is_some(),
    can_sign: |address| name_of(address).is_some() || key_of(address).is_some(),
    an_address: "a NEAR account that signs in is an implicit one, the 64 hex digits of its Ed25519 \
                 key in lower case, or a named account such as alice.near, with %5F for an underscore",
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
        if NETWORK.is_name(account) {
            return Err(Refusal::new(
                Reason::AccountInvalid,
                "which keys a named account has stands on its chain alone, and no node of that chain is \
                 asked here",
            ));
        }
        let answer = Answer::read(evidence.signature)?;
        let nonce = nonce_of(message.text());
        let key = check(account_id, &signed_by(message, &nonce, &answer)?, &answer)?;
        let subject = NETWORK.subject_of(account)?;
        Ok(VerifiedSigner::proven(key, self.name(), account.clone(), subject))
    }

    /// The signature is verified by the key that stands beside it; whose key that is, the chain knows.
    fn question(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
        refused: Refusal,
    ) -> Result<Question, Refusal> {
        let Some(name) = name_of(NETWORK.own(account)?.address()) else {
            return Err(refused);
        };
        let answer = Answer::read(evidence.signature)?;
        let nonce = nonce_of(message.text());
        let signed = signed_by(message, &nonce, &answer)?;
        let named = answer.public_key.as_deref().and_then(key_named).ok_or_else(|| {
            malformed_signature(
                "a named account's signature is the JSON object that the wallet returned, with \
                 `publicKey`, which is ed25519: and base58",
            )
        })?;
        let key = check_by(&name, &named, &signed, &answer)?;
        let subject = NETWORK.subject_of(account)?;
        let question = AccessKeyQuestion::new(account.clone(), name, key.clone());
        let signer = VerifiedSigner::proven(key, self.name(), account.clone(), subject);
        Ok(Question::AccessKey(Box::new(NamedSigner::new(signer, question))))
    }
}

/// What the wallet is to have signed for a text, with the call-back URL that its answer has.
fn signed_by<'a>(
    message: &UnverifiedMessage<'a>,
    nonce: &'a [u8; 32],
    answer: &'a Answer,
) -> Result<Signed<'a>, Refusal> {
    let domain = message.fields().domain;
    let callback_url = answer.callback_url.as_deref();
    if callback_url.is_some_and(|url| !is_of_domain(url, domain)) {
        return Err(malformed_signature(
            "callbackUrl is an https URL (http on loopback) of the domain that the message names",
        ));
    }
    let text = message.text().as_bytes();
    Ok(Signed { message: text, nonce, recipient: domain, callback_url })
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
    let key = implicit_key(account_id).ok_or_else(|| NETWORK.invalid_address())?;
    check_by(account_id, &key, signed, answer)
}

/// The same by a key, for whichever account.
fn check_by(
    account_id: &str,
    key: &[u8; 32],
    signed: &Signed<'_>,
    answer: &Answer,
) -> Result<PublicKey, Refusal> {
    let expected = "a signature is 64 bytes in base64";
    let signature: [u8; 64] = Some(&answer.signature)
        .filter(|text| text.len() == 88)
        .and_then(|text| STANDARD.decode(text).ok()?.try_into().ok())
        .ok_or_else(|| malformed_signature(expected))?;
    let named = || format!("ed25519:{}", bs58::encode(key).into_string());
    if answer.account_id.as_deref().is_some_and(|id| id != account_id)
        || answer.public_key.as_ref().is_some_and(|text| *text != named())
    {
        return Err(mismatch());
    }
    let digest = signed.digest().ok_or_else(|| malformed_signature(expected))?;
    PublicKey::ed25519_that_signed(key, &digest, &signature)
        .map_err(|error| refused_signer(error, || NETWORK.invalid_address()))
}

/// The bytes of a key as NEAR writes it; `check_by` holds the text to the one spelling of them.
fn key_named(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let encoded = text.strip_prefix("ed25519:").filter(|encoded| encoded.len() <= 44)?;
    let length = bs58::decode(encoded).onto(&mut bytes).ok()?;
    (length == bytes.len()).then_some(bytes)
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
