//! The wallet of format `key`: the raw key is its own account and signs the text itself.
//!
//! Specs: the did:key method, RFC 8032, SEC 1.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Style, WalletKeyError};
use crate::account::Account;
use crate::client::wallet::ToSign;
use crate::key::{InMemorySigner, PublicKey, SignerError};

/// The format `key`.
pub(super) struct Raw;

impl Style for Raw {
    fn format(&self) -> &'static str {
        "key"
    }

    fn account(
        &self,
        key: &PublicKey,
        _named: Option<&Account>,
    ) -> Result<Account, WalletKeyError> {
        Account::of_key(key).ok_or(WalletKeyError::Curve("Ed25519 or secp256k1"))
    }

    fn is_raw_key(&self) -> bool {
        true
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        _account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        // The JWS signature of either curve is the one that this format defines.
        Ok(URL_SAFE_NO_PAD.encode(signer.sign_now(challenge.message.as_bytes())?))
    }
}
