//! What is recorded: one type for each kind of decision about trust, with a name that stays.
//!
//! An event never carries a credential: no token, no refresh token, no proof, no private key. What a
//! wallet signed is kept with its signature, for both open nothing any more once they are recorded.
//! `docs/AUDIT.md` lists every event; a test compares it with [`EVENTS`].

use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::evidence::SignIn;
use super::record::Hash;
use crate::model::reason::Reason;
use crate::model::session::SessionId;

/// Declares the events once: the variant, its name in the log, and what it means.
macro_rules! events {
    ($($(#[doc = $doc:literal])+ $variant:ident($content:ty) = $name:literal,)+) => {
        /// One event. In the log its name stands in the member `event`, beside the members of its content.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "event")]
        pub enum Event {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant($content),)+
        }

        impl Event {
            /// The stable name.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)+ }
            }
        }

        /// Every name and its meaning, for the documentation and its test.
        pub const EVENTS: &[(&str, &str)] = &[$(($name, concat!($($doc,)+)),)+];
    };
}

events! {
    // The server.
    /// A server began with this log.
    Started(Started) = "started",
    /// The configuration that it began with.
    ConfigurationLoaded(Configuration) = "configuration_loaded",
    /// It was told to stop, and every request had ended.
    Stopped(Stopped) = "stopped",
    // Who signs in.
    /// A message or an assertion became a token; with the evidence.
    SignIn(Box<SignIn>) = "sign_in",
    /// A message or an assertion was refused.
    SignInRefused(Refused) = "sign_in_refused",
    /// A challenge was refused to an account, a domain or a page that may have none.
    ChallengeRefused(Refused) = "challenge_refused",
    // Sessions and tokens.
    /// A session moved on, and gave a token.
    Refreshed(Refreshed) = "refreshed",
    /// A refresh was refused.
    RefreshRefused(SessionRefused) = "refresh_refused",
    /// A refresh token that was replaced long ago came back: its session has ended.
    RefreshReused(SessionRefused) = "refresh_reused",
    /// A subject ended a session of its own, or its account's chain says that what was signed does not hold any more.
    SessionEnded(SessionEnded) = "session_ended",
    /// Tokens or sessions were revoked.
    Revoked(Revoked) = "revoked",
    /// Whoever brought an access token was not taken for its holder.
    HolderRefused(Refused) = "holder_refused",
    /// Whoever asked about a token is no resource server of this issuer.
    IntrospectionRefused(Refused) = "introspection_refused",
    /// A backup became the store. Sessions and tokens of before ended, unless they were kept.
    StoreRestored(StoreRestored) = "store_restored",
    // Signing keys.
    /// A signing key was made.
    KeyCreated(KeyEvent) = "key_created",
    /// A private key from elsewhere became a signing key.
    KeyImported(KeyEvent) = "key_imported",
    /// A signing key began to sign.
    KeyActivated(KeyEvent) = "key_activated",
    /// A signing key ceased to sign; it stays published until its last token is over.
    KeyRetired(KeyEvent) = "key_retired",
    /// A signing key is published no more.
    KeyWithdrawn(KeyEvent) = "key_withdrawn",
    /// A signing key was revoked, and whatever it signed with it.
    KeyRevoked(KeyEvent) = "key_revoked",
    // Operators.
    /// An operator did something, asked for it, approved it, or was refused.
    OperatorAction(OperatorAction) = "operator_action",
    // The log itself.
    /// The log up to a record, signed.
    Checkpoint(Checkpoint) = "checkpoint",
    /// The log is not the one of before, which was signed up to this record, or of which nothing was signed (0), or nothing is left that says which one that was (0).
    LogReplaced(LogReplaced) = "log_replaced",
    /// The log ended in the middle of a line, as a crash leaves it; that line is gone.
    Repaired(Repaired) = "repaired",
    /// The log can be written again; while it could not, whatever was to be recorded was refused, or, with
    /// `on_failure = "continue"`, happened without a record.
    Resumed(Resumed) = "resumed",
    /// The oldest records were removed, as the retention says.
    Trimmed(Trimmed) = "trimmed",
    /// More refusals came than are recorded; these were only counted.
    RefusalsOmitted(RefusalsOmitted) = "refusals_omitted",
}

/// Who caused something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The server by itself: a time had come, or the account's chain said no.
    Server,
    /// Whoever runs the server: over its socket, or by a command in its folder.
    Control,
    /// Whoever had the token, without proof.
    Bearer,
    /// The holder of a token, who has proven this key.
    Holder(Thumbprint),
    /// An operator, by subject.
    Operator(String),
}

/// A server began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The program's version.
    pub version: String,
    /// The issuer identifier.
    pub issuer: String,
}

/// A server ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The issuer identifier.
    pub issuer: String,
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// `development` or `configured`.
    pub mode: String,
    /// The SHA-256 of everything that was configured, hexadecimal; secrets are in it as their hashes.
    pub digest: String,
}

/// A refusal before anybody was known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The reason's code, as the answer had it.
    pub reason: String,
    /// The account that was claimed, where it is a well-formed one. Nobody has proven it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The domain that asked, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The resource, where one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// A session gave its next token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refreshed {
    /// The session.
    pub sid: SessionId,
    /// Its subject.
    pub sub: String,
    /// Its resource.
    pub resource: String,
    /// The scopes of the new token.
    pub scope: String,
    /// The new token.
    pub jti: String,
    /// Its `exp`.
    pub exp: Timestamp,
    /// The signing key.
    pub kid: String,
}

/// A refresh that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRefused {
    /// The reason's code, as the answer had it.
    pub reason: String,
    /// The session of the refresh token, where the token is a genuine one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// Its subject, where the session is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
}

/// A session that its subject ended, or its account's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// The session.
    pub sid: SessionId,
    /// Its subject.
    pub sub: String,
    /// Who ended it.
    pub by: Actor,
}

/// A backup became the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRestored {
    /// Whether sessions and tokens of before go on.
    pub keep_sessions: bool,
}

/// What was revoked, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// What.
    pub what: RevokedWhat,
    /// By whom.
    pub by: Actor,
}

/// What was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedWhat {
    /// One access token, by its `jti`.
    Token(String),
    /// A session.
    Session(SessionId),
    /// Everything of a key.
    Key(Thumbprint),
    /// Everything of a subject.
    Subject(String),
    /// Everything.
    Everything,
    /// Every token of before a moment, and no session.
    TokensBefore(Timestamp),
}

/// Something happened to a signing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEvent {
    /// The key, by its RFC 7638 thumbprint.
    pub kid: String,
    /// Its algorithm.
    pub alg: String,
    /// Who caused it.
    pub by: Actor,
    /// Where the private key is kept: `memory`, `sealed` or `pkcs11`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custody: Option<String>,
}

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorAction {
    /// The operator's subject; of a refusal, what was claimed, if anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// What: the name of an operation, such as `keys.rotate`.
    pub action: String,
    /// To what: a `kid`, a session, a subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The reason's code of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The approval that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
}

/// How an operator's action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is done, or is about to be: the record comes first.
    Done,
    /// It waits for approvals.
    Requested,
    /// It was approved, or withdrawn where the action says so.
    Approved,
    /// It was refused.
    Refused,
    /// It was about to be done, as the record before says, and failed.
    Failed,
}

/// A signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last record that it covers: the one before.
    pub upto: u64,
    /// The hash of that record.
    pub hash: Hash,
    /// A JWS of `typ` `countersign-checkpoint+jwt` over `iss`, `iat`, `seq`, `hash`, `after` and `begins`.
    pub jws: String,
    /// The public key (RFC 7517) that it was signed with. Whether that is a key of the issuer is for the
    /// reader to know.
    pub key: Value,
}

/// What was signed last, of a log that is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReplaced {
    /// The last record that was signed; 0 where none was, or that is not known.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

/// A repair at a start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// How many bytes of the unfinished line were removed.
    pub bytes: u64,
    /// The SHA-256 of those bytes, hexadecimal.
    pub digest: String,
}

/// The end of a time in which the log could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// When it began.
    pub since: Timestamp,
}

/// A removal of old records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trimmed {
    /// The first record that is left.
    pub begins: u64,
    /// The hash that it continues.
    pub prev: String,
}

/// Refusals beyond the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalsOmitted {
    /// How many.
    pub count: u64,
}

impl Refused {
    /// Of a reason, with nothing known yet.
    pub fn of(reason: Reason) -> Self {
        Self { reason: reason.code().to_owned(), account: None, domain: None, resource: None }
    }
}
