//! The wallet of format `nostr`: an event of NIP-98 around the text.
//!
//! The event's time is the text's, so that signing needs no clock.
//!
//! Specs: NIP-01, NIP-98, BIP-340.

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Style, WalletKeyError};
use crate::account::Account;
use crate::chain::nostr::{HTTP_AUTH, event_id, sign_in_tags};
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, Signer as _, SignerError};

/// The format `nostr`.
pub(super) struct Nostr;

impl Style for Nostr {
    fn format(&self) -> &'static str {
        "nostr"
    }

    fn account(
        &self,
        key: &PublicKey,
        _named: Option<&Account>,
    ) -> Result<Account, WalletKeyError> {
        let even = key.x_only().and_then(|x| PublicKey::from_x_only(&x).ok());
        even.and_then(|even| Account::of_key(&even))
            .ok_or(WalletKeyError::Curve(Curve::Secp256k1.name()))
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        _account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let refused = || SignerError("the text cannot be put into an event".to_owned());
        let text = challenge.message;
        let value = |label: &str| text.lines().find_map(|line| line.strip_prefix(label));
        let tags = sign_in_tags(value("URI: ").ok_or_else(refused)?);
        let issued = value("Issued At: ").and_then(|it| OffsetDateTime::parse(it, &Rfc3339).ok());
        let issued = issued.and_then(|it| u64::try_from(it.unix_timestamp()).ok());
        let created_at = issued.ok_or_else(refused)?;
        let x = signer.public_key().x_only().ok_or_else(refused)?;
        let id = event_id(&x, created_at, HTTP_AUTH, &tags, text).ok_or_else(refused)?;
        let signature = signer.sign_schnorr(&id)?;
        let event = json!({
            "id": hex::encode(id), "pubkey": hex::encode(x), "created_at": created_at,
            "kind": HTTP_AUTH, "tags": tags, "content": text, "sig": hex::encode(signature),
        });
        Ok(event.to_string())
    }
}
