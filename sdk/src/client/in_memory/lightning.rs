//! The wallet of format `lnurl`: a linking key signs the SHA-256 of the text.
//!
//! The key is the account. Wallets for people derive one for each domain (LUD-05) and send the
//! signature to the URL of the payload; this one has its key given and hands the signature to the client.
//!
//! Specs: LUD-04.

use super::{Style, WalletKeyError, require_curve};
use crate::account::Account;
use crate::chain::lnurl::Answer;
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, Signer as _, SignerError};

/// The format `lnurl`.
pub(super) struct Lightning;

impl Style for Lightning {
    fn format(&self) -> &'static str {
        "lnurl"
    }

    fn account(
        &self,
        key: &PublicKey,
        _named: Option<&Account>,
    ) -> Result<Account, WalletKeyError> {
        require_curve(key, Curve::Secp256k1)?;
        Account::of_key(key).ok_or(WalletKeyError::Curve(Curve::Secp256k1.name()))
    }

    fn public_key(&self, key: &PublicKey) -> Option<String> {
        key.compressed_secp256k1().map(hex::encode)
    }

    fn sign(
        &self,
        signer: &InMemorySigner,
        _account: &Account,
        challenge: &ToSign<'_>,
    ) -> Result<String, SignerError> {
        // ECDSA of a key of this curve is over the SHA-256 of what it is given: over k1.
        let signature = signer.sign_now(challenge.message.as_bytes())?.try_into().ok();
        let key = signer.public_key().compressed_secp256k1();
        let refused = || SignerError("a Lightning wallet needs a secp256k1 key".to_owned());
        let (signature, key) = signature.zip(key).ok_or_else(refused)?;
        Ok(Answer { key, signature }.signature_text())
    }
}
