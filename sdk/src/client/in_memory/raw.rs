//! The wallets of formats `key` and `sha256`: the raw key is its own account and signs the text.
//!
//! Specs: the did:key method, RFC 8032, SEC 1.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Style, WalletKeyError, require_curve};
use crate::account::Account;
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, SignerError};

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

/// The format `sha256`.
pub(super) struct Sha256Text;

impl Style for Sha256Text {
    fn format(&self) -> &'static str {
        "sha256"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        require_curve(key, Curve::Secp256k1)?;
        Raw.account(key, named)
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
        Ok(hex::encode(signer.sign_now(challenge.message.as_bytes())?))
    }
}
