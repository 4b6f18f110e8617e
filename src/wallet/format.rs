//! What every message format answers, and the proof that a key signed a text.
//!
//! A format knows its namespace's addresses, hashes and signature encodings and nothing of nonces,
//! domains or clocks. [`VerifiedSigner`] has private fields and is made by the formats alone, after
//! a signature was verified over the bytes that were received.
//!
//! Specs: protocol.md §1 and §4, formats.md.

use std::fmt::Debug;

use countersign_sdk::account::Account;
use countersign_sdk::key::{Curve, NotSigner, PublicKey, SignatureError, Thumbprint};
use serde_json::Value;

use super::accounts::Accounts;
use super::caip122::{self, Fault, ParseError, Profile, UnverifiedMessage};
use super::on_chain::Question;
use super::sep10::ServerKey;
use crate::model::reason::{Reason, Refusal};

/// The longest signature text that is read, in characters.
pub const MAX_SIGNATURE: usize = 1024;

/// The longest JSON object in place of a signature that is read, in bytes: a whole text with every
/// character escaped, and the object around it.
pub const MAX_STRUCTURE: usize = 24 * 1024;

/// The longest session of a format whose wallet does not show the text, in seconds: a day. The session may be
/// that of a stranger who led the person to sign, and nobody would look for it.
pub const UNSEEN_SESSION: u64 = 86_400;

/// What came with the text to prove who signed it.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The signature in an encoding of the format, or the JSON object that its wallets return.
    pub signature: &'a str,
    /// The public key, for formats whose address is not enough to check a signature.
    pub public_key: Option<&'a str>,
}

/// What the issuer itself adds to a challenge, for wallets that answer to a server and not to a text.
pub trait Issuing {
    /// The key by which it signs transactions of Stellar.
    fn stellar(&self) -> &ServerKey;

    /// A word that says that the challenge of this digest was issued here, for the URL that a wallet
    /// sends its answer to; `key` where it is for the answer of that key alone, SEC 1, compressed.
    ///
    /// # Errors
    /// [`Reason::ServerError`] without randomness.
    fn call_back_state(&self, digest: &[u8; 32], key: Option<&[u8; 33]>)
    -> Result<String, Refusal>;
}

/// One kind of message that wallets or keys sign.
pub trait WalletFormat: Send + Sync + Debug {
    /// The name on the wire, such as `siwe`.
    fn name(&self) -> &'static str;

    /// Whether the person sees the text, or at least all of what a wallet shows is of it. Where not, a
    /// resource takes the format only if its configuration names it.
    fn shows_text(&self) -> bool {
        true
    }

    /// Seconds that a session of this format lasts at most, where others may last `configured`.
    fn longest_session(&self, configured: u64) -> u64 {
        if self.shows_text() { configured } else { configured.min(UNSEEN_SESSION) }
    }

    /// The accounts that it signs for.
    fn accounts(&self) -> &dyn Accounts;

    /// The curves whose keys it can prove.
    fn curves(&self) -> &'static [Curve];

    /// The grammar of its text; formats of one namespace share it.
    fn profile(&self) -> &'static Profile;

    /// Whether [`payload`](Self::payload) gives one.
    fn has_payload(&self) -> bool {
        false
    }

    /// Whether [`Evidence::public_key`] must be there.
    fn needs_public_key(&self) -> bool {
        false
    }

    /// Whether `signature` has the shape of this format's, and of no other's that share its
    /// profile. It chooses among them where a client names none, and decides nothing else.
    fn is_shaped(&self, _signature: &str) -> bool {
        true
    }

    /// What the wallet is handed beside the text of a challenge, where it signs a structure or a
    /// digest: an object that holds the text, or its SHA-256. It is a service to clients; nothing
    /// that comes back is believed for having been sent.
    ///
    /// # Errors
    /// [`Reason::ServerError`] where it cannot be made.
    fn payload(
        &self,
        _account: &Account,
        _message: &UnverifiedMessage<'_>,
    ) -> Result<Option<Value>, Refusal> {
        Ok(None)
    }

    /// The same where the issuer's own signature or word is part of it.
    ///
    /// # Errors
    /// Those of [`payload`](Self::payload), and of a text that the structure has no room for.
    fn payload_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        _issuing: &dyn Issuing,
    ) -> Result<Option<Value>, Refusal> {
        self.payload(account, message)
    }

    /// What stands for the account in a challenge for whoever answers it, for formats whose wallets do
    /// not say who they are before they sign. Nobody can prove to be this one.
    fn whoever_answers(&self) -> Option<Account> {
        None
    }

    /// Whether `account` is that stand-in.
    fn is_whoever(&self, account: &Account) -> bool {
        self.whoever_answers().is_some_and(|whoever| whoever == *account)
    }

    /// Reads a text of this format.
    ///
    /// # Errors
    /// `malformed_message`, `message_too_large` or `version_unsupported`.
    fn read<'a>(&self, text: &'a str) -> Result<UnverifiedMessage<'a>, Refusal> {
        caip122::parse(self.profile(), text).map_err(Refusal::from)
    }

    /// Every subject that the holder of `key` can prove here by its key alone; none where a key of
    /// this curve controls no account. Asked of the first format of a namespace for all of them.
    fn subjects_of_key(&self, key: &PublicKey) -> Vec<String>;

    /// Verifies a signature over the received bytes by `account`, which is what
    /// [`Accounts::account_of`] gave for the same text.
    ///
    /// # Errors
    /// `signature_malformed` before any curve is touched, then `malleable_signature` or
    /// `signature_mismatch`.
    fn verify_by(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal>;

    /// What the chain of `account` has to be asked, where [`verify_by`](Self::verify_by) has `refused`
    /// and more than a key can prove the account.
    ///
    /// # Errors
    /// `refused`, where there is nothing to ask; else why the signature is none to ask about.
    fn question(
        &self,
        _account: &Account,
        _message: &UnverifiedMessage<'_>,
        _evidence: &Evidence<'_>,
        refused: Refusal,
    ) -> Result<Question, Refusal> {
        Err(refused)
    }

    /// The same for formats that the issuer's own signature is part of.
    ///
    /// # Errors
    /// Those of [`verify_by`](Self::verify_by).
    fn verify_issued(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
        _issuing: &dyn Issuing,
    ) -> Result<VerifiedSigner, Refusal> {
        self.verify_by(account, message, evidence)
    }

    /// The same for whoever judges afterwards and has nothing of the issuer's: of what the issuer signed
    /// it shows that somebody did, whom [`made_by`](Self::made_by) names, and not who. Never for a sign-in.
    ///
    /// # Errors
    /// Those of [`verify_by`](Self::verify_by).
    fn verify_recorded(
        &self,
        account: &Account,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        self.verify_by(account, message, evidence)
    }

    /// Who made what the wallet signed, by its own word, where that was not the wallet.
    fn made_by(&self, _evidence: &Evidence<'_>) -> Option<String> {
        None
    }

    /// Verifies a signature over the received bytes by the account that the text names.
    ///
    /// # Errors
    /// Those of [`Accounts::account_of`] and [`verify_by`](Self::verify_by).
    fn verify(
        &self,
        message: &UnverifiedMessage<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<VerifiedSigner, Refusal> {
        self.verify_by(&self.accounts().account_of(message)?, message, evidence)
    }
}

/// A key that is proven to have signed a text, and the account that the text named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSigner {
    key: PublicKey,
    thumbprint: Thumbprint,
    format: &'static str,
    account: Account,
    subject: String,
}

impl VerifiedSigner {
    /// For the formats, at the end of their `verify`.
    pub(in crate::wallet) fn proven(
        key: PublicKey,
        format: &'static str,
        account: Account,
        subject: String,
    ) -> Self {
        Self { thumbprint: key.thumbprint(), key, format, account, subject }
    }

    /// The key that signed.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Its thumbprint.
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// The name of the format that proved it.
    pub const fn format(&self) -> &'static str {
        self.format
    }

    /// The account that the text named, on the chain that it named.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Who that is on every chain: `did:pkh` on the namespace's canonical chain, or the `did:key`.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        let reason = match error.fault {
            Fault::TooLarge => Reason::MessageTooLarge,
            Fault::Grammar => Reason::MalformedMessage,
            Fault::Version => Reason::VersionUnsupported,
        };
        Self::new(reason, format!("the message is not readable: {error}"))
    }
}

/// The refusal for a signature that a curve did not take.
pub(in crate::wallet) fn refused_signature(error: SignatureError) -> Refusal {
    match error {
        SignatureError::HighS => Refusal::new(
            Reason::MalleableSignature,
            "the signature has a high S; send the form with the low S",
        ),
        SignatureError::Malformed(why) => Refusal::new(Reason::SignatureMalformed, why),
        SignatureError::Mismatch | SignatureError::WrongAlgorithm => Refusal::new(
            Reason::SignatureMismatch,
            "the signature was not made by the message's account over exactly this message",
        ),
    }
}

/// The refusal for bytes that are not the key that signed: `no_key` where they are no key at all.
pub(in crate::wallet) fn refused_signer(
    error: NotSigner,
    no_key: impl FnOnce() -> Refusal,
) -> Refusal {
    match error {
        NotSigner::Key(_) => no_key(),
        NotSigner::Signature(error) => refused_signature(error),
    }
}

/// The refusal for a signature text that does not decode.
pub(in crate::wallet) fn malformed_signature(expected: &'static str) -> Refusal {
    Refusal::new(Reason::SignatureMalformed, expected)
}

/// The refusal for a signature that is well formed and of another key, or over other bytes.
pub(in crate::wallet) fn mismatch() -> Refusal {
    refused_signature(SignatureError::Mismatch)
}
