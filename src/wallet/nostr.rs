//! Nostr: the key signs an event of NIP-98 whose content is the text.
//!
//! What comes as the signature is the event as the signer returned it. Its id is computed again from
//! its parts; its key must be the account, its content the text, its tags where the text is sent. The
//! account is a `did:key`, of the point with the even y, since a Nostr key is an x-coordinate alone.
//! That the event is fresh follows from the nonce in the text; its own time must only be near the
//! text's.
//!
//! Specs: NIP-01, NIP-98, NIP-07, BIP-340.

use countersign_sdk::account::Account;
use countersign_sdk::chain::nostr::{HTTP_AUTH, event_id, sign_in_tags};
use countersign_sdk::key::secp256k1::verify_schnorr;
use countersign_sdk::key::{Curve, PublicKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts::Accounts;
use super::caip122::{self, Moment, Profile, UnverifiedMessage};
use super::format::{
    Evidence, MAX_STRUCTURE, VerifiedSigner, WalletFormat, malformed_signature, mismatch,
    refused_signature,
};
use super::key::KeyAccounts;
use crate::model::reason::{Reason, Refusal};

/// Seconds that an event may be older than its text, for clocks that differ.
const EARLIEST: u64 = 60;

/// Seconds that an event may be younger than its text; how long a text can be redeemed is for its
/// nonce to say.
const LATEST: u64 = 3600;

/// The most tags of an event, and the most items of one.
const MAX_TAGS: usize = 32;

static ACCOUNTS: KeyAccounts = KeyAccounts {
    format: "nostr",
    signs_with: has_even_y,
    an_account: "an account of the format nostr is the did:key of the point with the even y: of 02 and the public key",
};

/// The format `nostr`.
#[derive(Clone, Copy, Debug)]
pub struct Nostr;

impl WalletFormat for Nostr {
    fn name(&self) -> &'static str {
        ACCOUNTS.format
    }

    /// Signers show the event's tags, and some sign this kind without asking again.
    fn shows_text(&self) -> bool {
        false
    }

    fn accounts(&self) -> &dyn Accounts {
        &ACCOUNTS
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Secp256k1]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::NOSTR
    }

    fn has_payload(&self) -> bool {
        true
    }

    /// The event to be signed, as `window.nostr.signEvent` takes it.
    fn payload(
        &self,
        _account: &Account,
        message: &UnverifiedMessage<'_>,
    ) -> Result<Option<Value>, Refusal> {
        let uri = message.fields().uri.unwrap_or_default();
        let issued_at = message.issued_at().map(Moment::floor).unwrap_or_default();
        Ok(Some(json!({
            "kind": HTTP_AUTH, "created_at": issued_at.as_unix(), "tags": sign_in_tags(uri),
            "content": message.text(),
        })))
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        let x = key.x_only();
        let even = x.and_then(|x| PublicKey::from_x_only(&x).ok()).filter(|even| even != key);
        // The key itself is named by `key`.
        even.and_then(|even| even.to_did_key()).into_iter().collect()
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let signer = ACCOUNTS.own(account)?;
        let event = Event::read(evidence.signature)?;
        check_place(&event, message)?;
        let key = event.verify(Some(signer.key()))?;
        if key != *signer.key() || event.content() != message.text() {
            return Err(mismatch());
        }
        let subject = signer.did().to_owned();
        Ok(VerifiedSigner::proven(key, self.name(), account.clone(), subject))
    }
}

/// The event is one that authorizes this text to be sent where it says, when it says.
fn check_place(event: &Event, message: &UnverifiedMessage<'_>) -> Result<(), Refusal> {
    let uri = message.fields().uri.unwrap_or_default();
    let issued_at = message.issued_at().map(Moment::floor).unwrap_or_default().as_unix();
    let window = issued_at.saturating_sub(EARLIEST)..=issued_at.saturating_add(LATEST);
    let placed = event.kind() == HTTP_AUTH
        && event.tag("u") == Some(uri)
        && event.tag("method") == Some("POST");
    if placed && window.contains(&event.created_at()) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::SignatureMismatch,
        "the event is not the one of the challenge's payload: its kind, its tags `u` and `method`, or its time differ",
    ))
}

/// An event that was read, with its id and signature unchecked.
#[derive(Clone, Debug, Deserialize)]
#[serde(expecting = "an object")]
pub struct Event {
    id: String,
    pubkey: String,
    created_at: u64,
    kind: u64,
    tags: Vec<Vec<String>>,
    content: String,
    sig: String,
}

impl Event {
    /// Reads an event. Members that NIP-01 does not know are passed over; nothing signs them.
    ///
    /// # Errors
    /// `signature_malformed`.
    pub fn read(json: &str) -> Result<Self, Refusal> {
        let malformed =
            || malformed_signature("the signature is the signed event, a JSON object (NIP-01)");
        // A derived struct is read from an array too, which is no event.
        if json.len() > MAX_STRUCTURE || !json.trim_ascii_start().starts_with('{') {
            return Err(malformed());
        }
        let event: Self = serde_json::from_str(json).map_err(|_| malformed())?;
        let few = |tag: &Vec<String>| tag.len() <= MAX_TAGS;
        if event.tags.len() > MAX_TAGS || !event.tags.iter().all(few) {
            return Err(malformed());
        }
        Ok(event)
    }

    /// Computes the id again and verifies the signature over it; gives the key, the point with the even y.
    ///
    /// `known` is a key that is likely to be it, and is not decoded again if it is.
    ///
    /// # Errors
    /// `signature_malformed` for what is no lower-case hex of its length, `public_key_invalid` for
    /// a key that is none, and `signature_mismatch`.
    pub fn verify(&self, known: Option<&PublicKey>) -> Result<PublicKey, Refusal> {
        let malformed =
            || malformed_signature("id, pubkey and sig of an event are lower-case hex (NIP-01)");
        let x = lower_hex::<32>(&self.pubkey).ok_or_else(malformed)?;
        let stated = lower_hex::<32>(&self.id).ok_or_else(malformed)?;
        let signature = lower_hex::<64>(&self.sig).ok_or_else(malformed)?;
        let id = event_id(&x, self.created_at, self.kind, &self.tags, &self.content)
            .ok_or_else(malformed)?;
        if id != stated {
            return Err(mismatch());
        }
        let is_it = |key: &&PublicKey| key.x_only() == Some(x) && has_even_y(key);
        let key = match known.filter(is_it) {
            Some(known) => known.clone(),
            None => PublicKey::from_x_only(&x).map_err(|error| {
                Refusal::new(Reason::PublicKeyInvalid, format!("the event's pubkey: {error}"))
            })?,
        };
        verify_schnorr(&key, &id, &signature).map_err(refused_signature)?;
        Ok(key)
    }

    /// The value of a tag that stands once; `None` where it stands twice, or not at all.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let mut named = self.tags.iter().filter(|tag| tag.first().is_some_and(|it| it == name));
        let (found, second) = (named.next()?, named.next());
        if second.is_some() {
            return None;
        }
        found.get(1).map(String::as_str)
    }

    /// Seconds since 1970.
    pub const fn created_at(&self) -> u64 {
        self.created_at
    }

    /// The kind.
    pub const fn kind(&self) -> u64 {
        self.kind
    }

    /// The content.
    pub fn content(&self) -> &str {
        &self.content
    }
}

fn has_even_y(key: &PublicKey) -> bool {
    key.compressed_secp256k1().is_some_and(|[tag, ..]| tag == 2)
}

fn lower_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    (!text.bytes().any(|b| b.is_ascii_uppercase())).then_some(bytes)
}

#[cfg(test)]
#[path = "nostr_tests.rs"]
mod tests;
