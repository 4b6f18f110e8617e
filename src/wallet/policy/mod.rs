//! The one place that binds a text to what was issued and to what is expected of it, now.
//!
//! [`bind`] runs every check of protocol.md §4 between parsing and the wallet's signature, in that
//! order, each fault with its own reason. Nothing expected is optional and no check can be turned
//! off. What a nonce's MAC already covers is checked all the same: then a fault in one of the two
//! is not yet a hole. Only `bind` makes a [`BoundMessage`], and no token is issued without one.
//!
//! Specs: protocol.md §3 and §4, EIP-4361, CAIP-122, EIP-5573, RFC 9278.

mod grants;
mod places;
mod times;

use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::key::Thumbprint;
use countersign_sdk::proof::replay::ReplayKey;
use countersign_sdk::time::Timestamp;
use subtle::ConstantTimeEq as _;

use super::caip122::{Field, UnverifiedMessage};
use super::format::{Evidence, Issuing, VerifiedSigner, WalletFormat};
use super::on_chain::Question;
use super::recap::Grant;
use crate::model::domain::Domains;
use crate::model::reason::{Reason, Refusal};

/// What a sign-in cannot be without, beyond what a namespace's grammar demands.
const REQUIRED: [Field; 4] = [Field::Uri, Field::Version, Field::Nonce, Field::IssuedAt];

/// The shortest nonce of a sign-in, in characters, whatever the namespace's grammar lets pass
/// (CAIP-122, EIP-4361).
const MIN_NONCE: usize = 8;

/// The domains that may ask for sign-ins.
pub trait AllowedDomains {
    /// Whether `domain`, an RFC 3986 authority as the text writes it, is one of them.
    fn allows(&self, domain: &str) -> bool;
}

impl AllowedDomains for Domains {
    fn allows(&self, domain: &str) -> bool {
        Self::allows(self, domain)
    }
}

/// The chains whose accounts may sign in.
pub trait AllowedChains {
    /// Whether `chain` is one of them.
    fn allows(&self, chain: &ChainId) -> bool;
}

/// Who made the nonces.
pub trait NonceAuthority {
    /// Opens the nonce of `message`: its kind, its MAC, its window. The MAC of a nonce that was
    /// issued with a text covers the name of the format and all of the text around the nonce.
    ///
    /// # Errors
    /// `nonce_unknown`, `challenge_expired` or `message_mismatch`.
    fn open(
        &self,
        format: &str,
        message: &UnverifiedMessage<'_>,
        now: Timestamp,
    ) -> Result<OpenedNonce, Refusal>;
}

/// How a nonce was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceOrigin {
    /// By `/challenge`, with the whole text.
    Challenge,
    /// By `/nonce`, for a text that the client writes.
    Bare,
}

/// A nonce that is ours and in its time, and not yet spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedNonce {
    /// How it was given out.
    pub origin: NonceOrigin,
    /// What is spent: from the decoded nonce, so that no second spelling is a second nonce.
    pub spend_key: ReplayKey,
    /// Until when a spent one must be remembered.
    pub until: Timestamp,
}

/// What the issuer expects of a text; every member is required.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The issuer identifier.
    pub issuer: &'a str,
    /// The domains that may ask.
    pub domains: &'a dyn AllowedDomains,
    /// The chains that are taken.
    pub chains: &'a dyn AllowedChains,
    /// Who made the nonces.
    pub nonces: &'a dyn NonceAuthority,
    /// Now.
    pub now: Timestamp,
    /// How long ago a text may have been issued, in seconds: a nonce's lifetime, and what the
    /// clocks of wallets may lag.
    pub max_age: u64,
    /// How far ahead of ours the clock of a wallet may be, in seconds.
    pub clock_skew: u64,
    /// The longest session that a text can open, in seconds from now.
    pub max_session: u64,
}

/// A text that is the one expected, with everything that it opens; its signature is still to check.
#[derive(Clone, Debug)]
pub struct BoundMessage<'a> {
    message: UnverifiedMessage<'a>,
    format: &'a dyn WalletFormat,
    account: Account,
    nonce: OpenedNonce,
    issued: ReplayKey,
    opens: Opens,
}

/// What a text opens for whoever signed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opens {
    pub(crate) session_key: Option<Thumbprint>,
    pub(crate) grant: Option<Grant>,
    pub(crate) session_end: Option<Timestamp>,
}

impl<'a> BoundMessage<'a> {
    /// Verifies the wallet's signature over the text as it was received.
    ///
    /// # Errors
    /// What the format's `verify` gives.
    pub fn verify(&self, evidence: &Evidence<'_>) -> Result<VerifiedSigner, Refusal> {
        self.format.verify_by(&self.account, &self.message, evidence)
    }

    /// The same where the issuer's own signature is part of what was signed.
    ///
    /// # Errors
    /// What the format's `verify_issued` gives.
    pub fn verify_issued(
        &self,
        evidence: &Evidence<'_>,
        issuing: &dyn Issuing,
    ) -> Result<VerifiedSigner, Refusal> {
        self.format.verify_issued(&self.account, &self.message, evidence, issuing)
    }

    /// What the account's chain has to be asked, where [`verify`](Self::verify) has `refused`.
    ///
    /// # Errors
    /// What the format's `question` gives.
    pub fn question(&self, evidence: &Evidence<'_>, refused: Refusal) -> Result<Question, Refusal> {
        self.format.question(&self.account, &self.message, evidence, refused)
    }

    /// The same for whoever judges a record, and has nothing of the issuer's. Never for a sign-in.
    ///
    /// # Errors
    /// What the format's `verify_recorded` gives.
    pub fn verify_recorded(&self, evidence: &Evidence<'_>) -> Result<VerifiedSigner, Refusal> {
        self.format.verify_recorded(&self.account, &self.message, evidence)
    }

    /// The text.
    pub const fn message(&self) -> &UnverifiedMessage<'a> {
        &self.message
    }

    /// The format of the text.
    pub const fn format(&self) -> &'a dyn WalletFormat {
        self.format
    }

    /// The account that the text names, in its canonical spelling.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// The nonce, to be spent after the signature was verified.
    pub const fn nonce(&self) -> &OpenedNonce {
        &self.nonce
    }

    /// The nonce to be spent by the contract at the account. A contract is of its own chain, and one at the
    /// same address of another must not spend the nonce for it.
    pub fn nonce_of_contract(&self) -> OpenedNonce {
        spent_by(OpenedNonce { spend_key: self.issued, ..self.nonce }, &self.account.to_did())
    }

    /// Under what questions to the account's chain are counted: this nonce in this very text, by `signer`
    /// where a key signed. So nobody who copies a nonce or a text uses up the questions of its owner.
    pub fn question_key(&self, signer: Option<Thumbprint>) -> ReplayKey {
        let key = self.issued.for_subject(self.message.text());
        signer.map_or(key, |signer| key.for_subject(&signer.to_string()))
    }

    /// The domain that asked.
    pub const fn domain(&self) -> &'a str {
        self.message.fields().domain
    }

    /// The key that may sign requests in this session, when the text names one (RFC 9278).
    pub const fn session_key(&self) -> Option<&Thumbprint> {
        self.opens.session_key.as_ref()
    }

    /// The resource and the scopes that the text grants; the default scopes only when `None`.
    pub const fn grant(&self) -> Option<&Grant> {
        self.opens.grant.as_ref()
    }

    /// When all that the text opens ends, never later than the longest session of its format; `None` for a text
    /// without an expiration time.
    pub const fn session_end(&self) -> Option<Timestamp> {
        self.opens.session_end
    }
}

/// Binds a text to its nonce and to what is expected.
///
/// # Errors
/// A [`Refusal`] for the first check that fails, in the order of protocol.md §4.
pub fn bind<'a>(
    message: UnverifiedMessage<'a>,
    format: &'a dyn WalletFormat,
    expected: &Expected<'_>,
) -> Result<BoundMessage<'a>, Refusal> {
    if !message.is_of(format.profile()) {
        return Err(Refusal::new(
            Reason::FormatUnsupported,
            format!("the message is not of the format {}", format.name()),
        ));
    }
    require(&message, &REQUIRED)?;
    if message.fields().nonce.is_none_or(|nonce| nonce.len() < MIN_NONCE) {
        return Err(Refusal::new(
            Reason::MalformedMessage,
            "the nonce of a sign-in has at least 8 characters",
        ));
    }
    let nonce = expected.nonces.open(format.name(), &message, expected.now)?;
    let (account, opens) = check_content(&message, format, nonce.origin, expected)?;
    let subject = format.accounts().subject_of(&account)?;
    let issued = nonce.spend_key;
    let nonce = spent_by(nonce, &subject);
    Ok(BoundMessage { message, format, account, nonce, issued, opens })
}

/// A bare nonce names nobody. Whoever copies one into a text of his own account must not spend it for its
/// owner, so it is spent account by account; each still opens once.
fn spent_by(nonce: OpenedNonce, subject: &str) -> OpenedNonce {
    match nonce.origin {
        NonceOrigin::Challenge => nonce,
        NonceOrigin::Bare => {
            OpenedNonce { spend_key: nonce.spend_key.for_subject(subject), ..nonce }
        }
    }
}

/// Every check of [`bind`] but the nonce's.
pub(crate) fn check_content(
    message: &UnverifiedMessage<'_>,
    format: &dyn WalletFormat,
    origin: NonceOrigin,
    expected: &Expected<'_>,
) -> Result<(Account, Opens), Refusal> {
    places::check_domain(message, expected.domains)?;
    places::check_uri(message, origin, expected.issuer)?;
    let account = format.accounts().account_of(message)?;
    if origin == NonceOrigin::Bare && format.is_whoever(&account) {
        // A bare nonce is spent account by account, and this would be one for everybody.
        let detail = "a message that the client writes names its account";
        return Err(Refusal::new(Reason::AccountInvalid, detail));
    }
    check_chain(&account, expected.chains)?;
    times::check(message, expected)?;
    let opens = Opens {
        session_key: grants::session_key(message)?,
        grant: grants::grant(message, origin)?,
        session_end: times::session_end(
            message,
            format.longest_session(expected.max_session),
            expected.now,
        ),
    };
    Ok((account, opens))
}

/// Refuses a text without one of `fields`, or whose times contradict each other.
pub(crate) fn require(message: &UnverifiedMessage<'_>, fields: &[Field]) -> Result<(), Refusal> {
    let said = message.fields();
    for field in fields {
        let there = match field {
            Field::Uri => said.uri.is_some(),
            Field::Version => said.version.is_some(),
            Field::ChainId => said.chain_id.is_some(),
            Field::Nonce => said.nonce.is_some(),
            Field::IssuedAt => said.issued_at.is_some(),
            Field::ExpirationTime => said.expiration_time.is_some(),
            Field::NotBefore => said.not_before.is_some(),
            Field::RequestId => said.request_id.is_some(),
            Field::Resources => said.resources.is_some(),
        };
        if !there {
            let tag = field.tag().trim_end_matches([':', ' ']);
            return Err(Refusal::new(
                Reason::MalformedMessage,
                format!("a sign-in message needs the field `{tag}`"),
            ));
        }
    }
    times::check_coherent(message)
}

/// Refuses an account of a chain that is not taken.
pub(crate) fn check_chain(account: &Account, chains: &dyn AllowedChains) -> Result<(), Refusal> {
    match account {
        Account::Chain(account) if !chains.allows(account.chain()) => Err(Refusal::new(
            Reason::ChainNotAllowed,
            format!("accounts of the chain {} are not taken here", account.chain()),
        )),
        Account::Chain(_) | Account::Key(_) => Ok(()),
    }
}

/// A nonce that is known beforehand, as a table of test cases states it.
#[derive(Clone, Copy, Debug)]
pub struct GivenNonce<'a> {
    /// The nonce.
    pub nonce: &'a str,
    /// Until when it holds.
    pub until: Timestamp,
}

impl NonceAuthority for GivenNonce<'_> {
    fn open(
        &self,
        _format: &str,
        message: &UnverifiedMessage<'_>,
        now: Timestamp,
    ) -> Result<OpenedNonce, Refusal> {
        let nonce = message.fields().nonce.unwrap_or_default();
        if !bool::from(nonce.as_bytes().ct_eq(self.nonce.as_bytes())) {
            return Err(Refusal::new(Reason::NonceUnknown, "the nonce is not the one given out"));
        }
        if now >= self.until {
            return Err(Refusal::new(Reason::ChallengeExpired, "the nonce's time is over"));
        }
        Ok(OpenedNonce {
            origin: NonceOrigin::Bare,
            spend_key: ReplayKey::of_bytes("given nonce", nonce.as_bytes()),
            until: self.until,
        })
    }
}

#[cfg(test)]
mod tests;
