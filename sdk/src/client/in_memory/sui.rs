//! The wallet of format `sui`: a personal message, its signature between the scheme's flag and the key.
//!
//! Specs: SIP-1 intents, Sui's signature schemes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Style, WalletKeyError, on_chain};
use crate::account::Account;
use crate::chain::sui;
use crate::client::wallet::ToSign;
use crate::key::{InMemorySigner, PublicKey, Signer as _, SignerError};

/// The format `sui`.
pub(super) struct Sui;

impl Style for Sui {
    fn format(&self) -> &'static str {
        "sui"
    }

    fn account(&self, key: &PublicKey, named: Option<&Account>) -> Result<Account, WalletKeyError> {
        let (flag, encoded) =
            sui::scheme_of(key).ok_or(WalletKeyError::Curve("Ed25519 or secp256k1"))?;
        on_chain("sui", sui::MAINNET, named, &sui::address(flag, &encoded))
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        _account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        let (flag, encoded) = sui::scheme_of(signer.public_key())
            .ok_or_else(|| SignerError("the key is of no Sui account".to_owned()))?;
        let signature = signer.sign_now(&sui::digest(challenge.message.as_bytes()))?;
        Ok(STANDARD.encode([&[flag], &signature[..], &encoded].concat()))
    }
}
