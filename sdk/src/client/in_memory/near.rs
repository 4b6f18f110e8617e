//! The wallet of format `nep413`: the key of an implicit account signs the text and its recipient.
//!
//! The structure is made here from the text; the payload of the server is not looked at.
//!
//! Specs: NEP-413, NEP-148.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Style, WalletKeyError, on_chain, require_curve};
use crate::account::Account;
use crate::chain::near::{Signed, nonce_of};
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, Signer as _, SignerError};

/// The format `nep413`.
pub(super) struct Near;

impl Style for Near {
    fn format(&self) -> &'static str {
        "nep413"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        require_curve(key, Curve::Ed25519)?;
        on_chain("near", "mainnet", named, &hex::encode(key.as_bytes()))
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let refused = || SignerError("the text names no domain".to_owned());
        let (recipient, _) = challenge.message.split_once(' ').ok_or_else(refused)?;
        let signed = Signed {
            message: challenge.message.as_bytes(),
            nonce: &nonce_of(challenge.message),
            recipient,
            callback_url: None,
        };
        let signature = signer.sign_now(&signed.digest().ok_or_else(refused)?)?;
        let key = bs58::encode(signer.public_key().as_bytes()).into_string();
        let answer = serde_json::json!({
            "accountId": super::address_of(Some(account)),
            "publicKey": format!("ed25519:{key}"),
            "signature": STANDARD.encode(signature),
        });
        Ok(answer.to_string())
    }
}
