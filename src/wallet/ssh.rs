//! SSH: the Ed25519 key that a developer already has signs the text with `ssh-keygen -Y sign`.
//!
//! The key is the account, as in the format `key`, and has the same `did:key`; the text says "your
//! SSH key", so that no client need say which of the two it is. What is signed stands in
//! [`countersign_sdk::chain::sshsig`].
//!
//! Specs: PROTOCOL.sshsig of OpenSSH, the did:key method, RFC 8032 (strict).

use countersign_sdk::account::Account;
use countersign_sdk::chain::sshsig::{SshSignature, signed_bytes};
use countersign_sdk::key::{Curve, PublicKey};

use super::accounts::Accounts;
use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{
    Evidence, VerifiedSigner, WalletFormat, malformed_signature, mismatch, refused_signature,
};
use super::key::{KeyAccounts, RawKey};
use crate::model::reason::Refusal;

static ACCOUNTS: KeyAccounts = KeyAccounts {
    format: "ssh",
    signs_with: |key| key.curve() == Curve::Ed25519,
    an_account: "an account of the format ssh is the did:key of an Ed25519 key",
};

/// The format `ssh`.
#[derive(Clone, Copy, Debug)]
pub struct Ssh;

impl WalletFormat for Ssh {
    fn name(&self) -> &'static str {
        ACCOUNTS.format
    }

    fn accounts(&self) -> &dyn Accounts {
        &ACCOUNTS
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Ed25519]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::SSH
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        RawKey.subjects_of_key(key)
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let signer = ACCOUNTS.own(account)?;
        let given = SshSignature::parse(evidence.signature).map_err(malformed_signature)?;
        let key = signer.key();
        if key.as_bytes() != given.key {
            return Err(mismatch());
        }
        let signed = signed_bytes(given.hash, message.text().as_bytes());
        key.verify_wallet(&signed, &given.signature).map_err(refused_signature)?;
        let subject = signer.did().to_owned();
        Ok(VerifiedSigner::proven(key.clone(), self.name(), account.clone(), subject))
    }
}

#[cfg(test)]
#[path = "ssh_tests.rs"]
mod tests;
