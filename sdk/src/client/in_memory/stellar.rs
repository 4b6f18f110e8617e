//! The wallet of format `sep53`: the master key of a Stellar account signs a message.
//!
//! Specs: SEP-53, SEP-23.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Style, WalletKeyError, on_chain};
use crate::account::Account;
use crate::chain::stellar;
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, SignerError};

/// The format `sep53`.
pub(super) struct Stellar;

impl Style for Stellar {
    fn format(&self) -> &'static str {
        "sep53"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        let wrong = WalletKeyError::Curve(Curve::Ed25519.name());
        let bytes = key.as_bytes().try_into().map_err(|_| wrong)?;
        on_chain("stellar", "pubnet", named, &stellar::encode_account(bytes))
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        _account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let digest = stellar::digest(challenge.message.as_bytes());
        Ok(STANDARD.encode(signer.sign_now(&digest)?))
    }
}
