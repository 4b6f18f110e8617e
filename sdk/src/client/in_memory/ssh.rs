//! The wallet of format `ssh`: what `ssh-keygen -Y sign` writes, by an Ed25519 key in memory.
//!
//! Specs: PROTOCOL.sshsig of OpenSSH, the did:key method.

use super::{Style, WalletKeyError, require_curve};
use crate::account::Account;
use crate::chain::sshsig::{Hash, SshSignature, signed_bytes};
use crate::client::wallet::ToSign;
use crate::key::{Curve, InMemorySigner, PublicKey, Signer as _, SignerError};

/// The format `ssh`.
pub(super) struct Ssh;

impl Style for Ssh {
    fn format(&self) -> &'static str {
        "ssh"
    }

    fn account(
        &self,
        key: &PublicKey,
        _named: Option<&Account>,
    ) -> Result<Account, WalletKeyError> {
        require_curve(key, Curve::Ed25519)?;
        Account::of_key(key).ok_or(WalletKeyError::Curve(Curve::Ed25519.name()))
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
        let refused = || SignerError("an SSH signature is made by an Ed25519 key".to_owned());
        let hash = Hash::Sha512;
        let signature = signer.sign_now(&signed_bytes(hash, challenge.message.as_bytes()))?;
        let key = signer.public_key().as_bytes().try_into().map_err(|_| refused())?;
        let signature = signature.try_into().map_err(|_| refused())?;
        Ok(SshSignature { key, signature, hash }.armoured())
    }
}
