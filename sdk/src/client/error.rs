//! Why the client has no token or no answer: whose fault it is comes first, then what to do.
//!
//! Nothing here ever holds a token, a proof or a key: these errors are made to be logged.

use std::fmt;

use super::address::AddressError;
use super::challenge::ChallengeError;
use super::store::StoreError;
use crate::entropy::EntropyError;
use crate::key::{SecretKeyError, SignerError};
use crate::proof::dpop::NewProofError;

/// The most characters that are quoted of a server's text.
const MAX_QUOTED: usize = 300;

/// Whether a character could steer a terminal or turn a line around: C0, C1, line separators, and
/// the marks of bidirectional text.
pub fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}')
}

/// A server's text as a log or a terminal may show it: what could steer them is escaped.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_steering(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// [`printable`], of the first 300 characters.
pub(super) fn quoted(text: &str) -> String {
    printable(&text.chars().take(MAX_QUOTED).collect::<String>())
}

/// Why a sign-in or a protected call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A URL to which no credential may be sent.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The server was not reached, or broke off.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The server refused, and said why.
    #[error(transparent)]
    Refused(#[from] ServerRefusal),
    /// The server answered in a way that its protocol does not know.
    #[error("{server} does not answer as this protocol has it: {fault}")]
    Protocol {
        /// The server's origin.
        server: String,
        /// What is wrong with the answer.
        fault: String,
    },
    /// The issuer's challenge is not one that we asked for; nothing was signed.
    #[error("the challenge was not signed: {0}")]
    Challenge(#[from] ChallengeError),
    /// The wallet or the key did not sign.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// A session key could not be made.
    #[error(transparent)]
    Key(#[from] SecretKeyError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The key names no account (P-256), so it cannot sign in.
    #[error("this key names no account: a P-256 key signs requests, it does not sign in")]
    Unprovable,
    /// The token could not be renewed a moment ago; the issuer is not asked again at once.
    #[error("the token was not renewed, and is not tried again for {seconds} s: {cause}")]
    RenewalPaused {
        /// Seconds until the next attempt.
        seconds: u64,
        /// Why the last attempt failed.
        cause: String,
    },
    /// The token has ended, and a person has to sign before there is another.
    #[error("the session has ended: sign in again")]
    SignInRequired,
    /// The session was not kept, or what is kept was not read; no token is handed out unkept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The request is not one that can be sent.
    #[error("the request cannot be sent: {0}")]
    Request(&'static str),
}

impl From<NewProofError> for ClientError {
    fn from(error: NewProofError) -> Self {
        match error {
            NewProofError::Entropy(error) => Self::Entropy(error),
            NewProofError::Signer(error) => Self::Signer(error),
            NewProofError::Encoding => Self::Unprovable,
        }
    }
}

/// What kept an answer from coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// The host's name has no address.
    Name,
    /// Nobody took the connection, or TLS failed.
    Connect,
    /// The time-out passed.
    TimedOut,
    /// The connection broke.
    Broken,
}

/// The server was not reached, or broke off.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {server}")]
pub struct NetworkError {
    /// What happened.
    pub fault: NetworkFault,
    /// The server's origin.
    pub server: String,
    what: &'static str,
    #[source]
    source: reqwest::Error,
}

impl NetworkError {
    pub(crate) fn new(server: &str, error: reqwest::Error) -> Self {
        let (fault, what) = if error.is_dns() {
            (NetworkFault::Name, "the host name was not found")
        } else if error.is_timeout() {
            (NetworkFault::TimedOut, "the server did not answer in time")
        } else if error.is_connect() {
            (NetworkFault::Connect, "no connection to the server")
        } else {
            (NetworkFault::Broken, "the connection to the server broke")
        };
        Self {
            fault,
            server: server.to_owned(),
            what,
            // A URL can carry what its caller thinks secret.
            source: error.without_url(),
        }
    }
}

/// A server's refusal in the one shape of protocol.md §2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRefusal {
    /// HTTP status.
    pub status: u16,
    /// The OAuth code, such as `invalid_grant`.
    pub error: String,
    /// The check that failed, such as `nonce_used`; absent from servers that are not ours.
    pub reason: Option<String>,
    /// A sentence for the developer.
    pub description: Option<String>,
    /// `Retry-After`, in seconds, when the server gave one.
    pub retry_after: Option<u64>,
}

impl fmt::Display for ServerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused with {} ({}", self.error, self.status)?;
        if let Some(reason) = &self.reason {
            write!(f, ", {reason}")?;
        }
        f.write_str(")")?;
        if let Some(description) = &self.description {
            write!(f, ": {description}")?;
        }
        match self.retry_after {
            Some(seconds) => write!(f, "; try again in {seconds} s"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ServerRefusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        let hostile = "a\u{1b}[2J\u{7}\n\u{9b}2J\u{202e}\u{2066}é ß";
        let shown = printable(hostile);
        assert!(!shown.contains(is_steering), "{shown}");
        assert_eq!(shown, "a\\u{1b}[2J\\u{7}\\n\\u{9b}2J\\u{202e}\\u{2066}é ß");
    }

    #[test]
    fn a_refusal_reads_as_one_sentence() {
        let refusal = ServerRefusal {
            status: 400,
            error: "invalid_grant".to_owned(),
            reason: Some("nonce_used".to_owned()),
            description: Some("the nonce was used before".to_owned()),
            retry_after: None,
        };
        assert_eq!(
            refusal.to_string(),
            "refused with invalid_grant (400, nonce_used): the nonce was used before"
        );
    }
}
