//! The wallet of format `ton`: TON Connect's proof by the key of a wallet v3r2.
//!
//! The proof has a time of its own beside the text's; it is given the text's, so that nothing here
//! needs a clock.
//!
//! Specs: TON Connect `ton_proof`.

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Style, WalletKeyError, on_chain};
use crate::account::Account;
use crate::chain::ton::{self, Proof, Wallet};
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, Signer as _, SignerError};

/// The format `ton`.
pub(super) struct Ton;

impl Style for Ton {
    fn format(&self) -> &'static str {
        "ton"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        let (wallet, _) = wallet(key).ok_or(WalletKeyError::Curve(Curve::Ed25519.name()))?;
        on_chain("tvm", ton::MAINNET, named, &ton::address(&wallet.hash))
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        _account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let refused = || SignerError("the text names no domain or no time".to_owned());
        let text = challenge.message;
        let (domain, _) = text.split_once(' ').ok_or_else(refused)?;
        let timestamp = issued_at(text).ok_or_else(refused)?;
        let (wallet, state) = wallet(signer.public_key()).ok_or_else(refused)?;
        let payload = ton::payload_of(text);
        let proof = Proof { hash: &wallet.hash, domain, timestamp, payload: &payload };
        let signature = signer.sign_now(&proof.digest().ok_or_else(refused)?)?;
        let answer = json!({
            "address": format!("0:{}", hex::encode(wallet.hash)),
            "public_key": hex::encode(wallet.key),
            "proof": {
                "timestamp": timestamp,
                "domain": {"lengthBytes": domain.len(), "value": domain},
                "payload": payload,
                "signature": STANDARD.encode(signature),
                "state_init": STANDARD.encode(state),
            },
        });
        Ok(answer.to_string())
    }
}

fn wallet(key: &PublicKey) -> Option<(Wallet, Vec<u8>)> {
    Some(Wallet::v3r2(key.as_bytes().try_into().ok()?))
}

fn issued_at(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Issued At: "))?;
    u64::try_from(OffsetDateTime::parse(line, &Rfc3339).ok()?.unix_timestamp()).ok()
}
