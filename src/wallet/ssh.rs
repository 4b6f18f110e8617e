//! SSH: the Ed25519 key that a developer already has signs the text with `ssh-keygen -Y sign`.
//!
//! The key is the account, as in the format `key`, and has the same `did:key`; the text says "your
//! SSH key", so that no client need say which of the two it is. What is signed stands in
//! [`countersign_sdk::chain::sshsig`].
//!
//! Specs: PROTOCOL.sshsig of OpenSSH, the did:key method, RFC 8032 (strict).

use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::chain::sshsig::{SshSignature, signed_bytes};
use countersign_sdk::key::{Curve, PublicKey};

use super::caip122::{self, Profile, UnverifiedMessage};
use super::format::{
    Evidence, Spelling, VerifiedSigner, WalletFormat, malformed_signature, mismatch,
    other_namespace, refused_signature,
};
use super::key::RawKey;
use crate::model::reason::{Reason, Refusal};

/// The format `ssh`.
#[derive(Clone, Copy, Debug)]
pub struct Ssh;

impl WalletFormat for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn namespaces(&self) -> &'static [&'static str] {
        RawKey.namespaces()
    }

    fn curves(&self) -> &'static [Curve] {
        &[Curve::Ed25519]
    }

    fn profile(&self) -> &'static Profile {
        &caip122::SSH
    }

    fn canonical_account(&self, account: &Account) -> Result<Account, Refusal> {
        ed25519(RawKey.canonical_account(account)?)
    }

    fn canonical_chain(&self, _chain: &ChainId) -> Option<ChainId> {
        None
    }

    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String> {
        RawKey.subjects_of_key(key)
    }

    fn subject_of(&self, account: &Account) -> Result<String, Refusal> {
        RawKey.subject_of(account)
    }

    fn spelling<'a>(&self, account: &'a Account) -> Option<Spelling<'a>> {
        RawKey.spelling(account)
    }

    fn account_of(&self, message: &UnverifiedMessage<'_>) -> Result<Account, Refusal> {
        ed25519(RawKey.account_of(message)?)
    }

    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        let Account::Key(signer) = account else {
            return Err(other_namespace(self.name(), account));
        };
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

fn ed25519(account: Account) -> Result<Account, Refusal> {
    match &account {
        Account::Key(key) if key.key().curve() == Curve::Ed25519 => Ok(account),
        Account::Key(_) | Account::Chain(_) => Err(Refusal::new(
            Reason::AccountInvalid,
            "an account of the format ssh is the did:key of an Ed25519 key",
        )),
    }
}

#[cfg(test)]
#[path = "ssh_tests.rs"]
mod tests;
