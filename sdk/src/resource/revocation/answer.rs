//! Whether a payload is an answer of the revocation feed, and what it says.
//!
//! Pure, and all or nothing: an entry of a kind that this version does not know may revoke a token
//! that is before us, so an answer with one is refused whole, and the view grows stale. A member
//! more beside one that names what is revoked is passed over, for it can only narrow the entry, and
//! to refuse more than was meant is safe. RFC 7519 §4 (a member stands once).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::json::{Object, object, typed};
use crate::key::Thumbprint;
use crate::time::Timestamp;

/// The longest answer read, in bytes.
pub const MAX_FEED_BYTES: usize = 1024 * 1024;
/// The longest `jti`, `sid`, `sub` and cursor, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// How far ahead of its answer an entry's `not_before` can lie, in seconds.
const FARTHEST_AHEAD: u64 = 121;

/// Why an answer of the feed was not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// Longer than [`MAX_FEED_BYTES`].
    #[error("the answer is longer than {MAX_FEED_BYTES} bytes")]
    TooLong,
    /// Not a compact JWS of its type that one of the issuer's keys signed; the text is the check.
    #[error("the answer is not one that the issuer signed as revocations+jwt: {0}")]
    NotSigned(&'static str),
    /// The issuer's keys are out of reach, so nobody knows who signed.
    #[error("the issuer's keys are out of reach, so the answer could not be verified")]
    NoKeys,
    /// A member is missing, has another type, stands twice or is too long.
    #[error(
        "iss, iat, entries, cursor and more must be there once and of their type, every entry an object with until"
    )]
    Malformed,
    /// An entry names nothing that this version knows, or two things.
    #[error("an entry is of a kind that this version does not know")]
    UnknownKind,
    /// `iss` is another issuer.
    #[error("the answer is from another issuer")]
    Issuer,
    /// `iat` lies ahead of our clock by more than the leeway: it could be shown again later and
    /// would look fresh.
    #[error("the answer was made {0} seconds ahead of this server's clock")]
    Ahead(u64),
    /// The keys that it says there are do not include the one that signed it.
    #[error("the answer does not name the key that signed it among the issuer's keys")]
    Keys,
    /// It follows another cursor than the one that was asked with: what lies between is not in it.
    #[error("the answer is to another question: it follows another cursor")]
    Misplaced,
    /// There is more, after the cursor that was asked with.
    #[error("the answer says that there is more and does not say where")]
    Stuck,
    /// There are more revocations than are kept. None is forgotten for another.
    #[error("there are more than {0} live revocations, which is what this server keeps")]
    Full(usize),
    /// There is no answer.
    #[error("{0}")]
    NoAnswer(String),
    /// The answer that there is none now.
    #[error("{reason}")]
    Busy {
        /// What was answered.
        reason: String,
        /// Seconds until it is worth asking again.
        retry_after: u64,
    },
    /// What was answered is none to use.
    #[error("{0}")]
    Unusable(String),
}

/// One thing that the issuer revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationEntry {
    /// The token with this `jti`.
    Token {
        /// The token.
        jti: String,
        /// From when on the entry may be forgotten.
        until: Timestamp,
    },
    /// Every token of this session.
    Session {
        /// The session.
        sid: String,
        /// From when on the entry may be forgotten.
        until: Timestamp,
    },
    /// Tokens issued before a moment that are bound to this key, or whose subject proved it.
    Key {
        /// The key's thumbprint.
        jkt: Thumbprint,
        /// Tokens with an earlier `iat` are revoked.
        not_before: Timestamp,
        /// From when on the entry may be forgotten.
        until: Timestamp,
    },
    /// Tokens of this subject issued before a moment.
    Subject {
        /// The subject.
        sub: String,
        /// Tokens with an earlier `iat` are revoked.
        not_before: Timestamp,
        /// From when on the entry may be forgotten.
        until: Timestamp,
    },
    /// Every token issued before a moment.
    Everything {
        /// Tokens with an earlier `iat` are revoked.
        not_before: Timestamp,
        /// From when on the entry may be forgotten.
        until: Timestamp,
    },
}

/// What an answer of the feed says; it says nothing of who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedAnswer {
    issuer: String,
    issued_at: Timestamp,
    entries: Vec<RevocationEntry>,
    after: Option<String>,
    cursor: String,
    more: bool,
    kids: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Received {
    iss: String,
    iat: u64,
    entries: Vec<Object<ReceivedEntry>>,
    #[serde(default, deserialize_with = "typed")]
    after: Option<String>,
    cursor: String,
    more: bool,
    #[serde(default, deserialize_with = "typed")]
    kids: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct ReceivedEntry {
    #[serde(default, deserialize_with = "typed")]
    jti: Option<String>,
    #[serde(default, deserialize_with = "typed")]
    sid: Option<String>,
    #[serde(default, deserialize_with = "typed")]
    jkt: Option<Thumbprint>,
    #[serde(default, deserialize_with = "typed")]
    sub: Option<String>,
    #[serde(default, deserialize_with = "typed")]
    not_before: Option<u64>,
    until: u64,
    /// What else it names, were it not for which it would mean everything.
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

impl ReceivedEntry {
    fn read(self, told_at: Timestamp) -> Result<RevocationEntry, FeedError> {
        let until = Timestamp::from_unix(self.until);
        // A moment far ahead comes of a clock that was wrong; it must not close this API until then.
        let not_before = self.not_before.map(Timestamp::from_unix);
        let not_before = not_before.map(|moment| moment.min(told_at.plus(FARTHEST_AHEAD)));
        match (self.jti, self.sid, self.jkt, self.sub, not_before) {
            (Some(jti), None, None, None, _) => {
                Ok(RevocationEntry::Token { jti: name(jti)?, until })
            }
            (None, Some(sid), None, None, _) => {
                Ok(RevocationEntry::Session { sid: name(sid)?, until })
            }
            (None, None, Some(jkt), None, Some(not_before)) => {
                Ok(RevocationEntry::Key { jkt, not_before, until })
            }
            (None, None, None, Some(sub), Some(not_before)) => {
                Ok(RevocationEntry::Subject { sub: name(sub)?, not_before, until })
            }
            (None, None, None, None, Some(not_before)) if self.others.is_empty() => {
                Ok(RevocationEntry::Everything { not_before, until })
            }
            (_, _, _, _, _) => Err(FeedError::UnknownKind),
        }
    }
}

/// A text that can name something.
fn name(text: String) -> Result<String, FeedError> {
    let fits = !text.is_empty() && text.len() <= MAX_NAME_BYTES;
    if fits { Ok(text) } else { Err(FeedError::Malformed) }
}

impl FeedAnswer {
    /// Reads the payload of an answer.
    ///
    /// # Errors
    /// [`FeedError`]: `TooLong`, `Malformed` or `UnknownKind`. Nothing of the answer is then used.
    pub fn from_payload(payload: &[u8]) -> Result<Self, FeedError> {
        if payload.len() > MAX_FEED_BYTES {
            return Err(FeedError::TooLong);
        }
        let received: Received = object(payload).map_err(|_| FeedError::Malformed)?;
        let told_at = Timestamp::from_unix(received.iat);
        let entries = received.entries.into_iter().map(|Object(entry)| entry.read(told_at));
        Ok(Self {
            issuer: received.iss,
            issued_at: told_at,
            entries: entries.collect::<Result<_, _>>()?,
            after: received.after.map(name).transpose()?,
            cursor: name(received.cursor)?,
            more: received.more,
            kids: received.kids.map(|kids| kids.into_iter().map(name).collect()).transpose()?,
        })
    }

    /// `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `iat`: the moment up to which the issuer told everything, once there is no more.
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// What was revoked.
    pub fn entries(&self) -> &[RevocationEntry] {
        &self.entries
    }

    /// The cursor that it follows; `None` for an answer that begins at the beginning.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Where to go on from.
    pub fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The names of all keys that the issuer publishes, if it tells: a key of another name is withdrawn.
    pub fn kids(&self) -> Option<&[String]> {
        self.kids.as_deref()
    }

    /// Whether there are more entries, to be asked for at once.
    pub const fn has_more(&self) -> bool {
        self.more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &str) -> Result<Vec<RevocationEntry>, FeedError> {
        let payload = format!(
            r#"{{"iss":"i","iat":5,"entries":[{entries}],"cursor":"c","more":false,"x":1}}"#
        );
        FeedAnswer::from_payload(payload.as_bytes()).map(|answer| answer.entries)
    }

    const JKT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    #[test]
    fn reads_every_kind() {
        let at = Timestamp::from_unix;
        let entries = read(&format!(
            r#"{{"jti":"a","until":9}},{{"sid":"b","until":9,"why":"later"}},
               {{"jkt":"{JKT}","not_before":3,"until":9}},{{"sub":"d","not_before":3,"until":9}},
               {{"not_before":3,"until":9}}"#
        ));
        let (not_before, until) = (at(3), at(9));
        let expected = [
            RevocationEntry::Token { jti: "a".to_owned(), until },
            RevocationEntry::Session { sid: "b".to_owned(), until },
            RevocationEntry::Key { jkt: JKT.parse().unwrap(), not_before, until },
            RevocationEntry::Subject { sub: "d".to_owned(), not_before, until },
            RevocationEntry::Everything { not_before, until },
        ];
        assert_eq!(entries.unwrap(), expected);
    }

    #[test]
    fn an_unknown_kind_spoils_the_answer() {
        for entry in [
            r#"{"until":9}"#,
            r#"{"aud":"x","until":9}"#,
            // Whatever this names, it is not everything.
            r#"{"aud":"x","not_before":3,"until":9}"#,
            r#"{"sub":"d","until":9}"#,
            r#"{"jti":"a","sid":"b","until":9}"#,
        ] {
            let beside = format!(r#"{{"jti":"a","until":9}},{entry}"#);
            assert_eq!(read(&beside), Err(FeedError::UnknownKind), "{entry}");
        }
    }

    #[test]
    fn what_is_there_has_its_type_and_stands_once() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for entry in [
            r#"{"jti":"a"}"#.to_owned(),
            r#"{"jti":1,"until":9}"#.to_owned(),
            r#"{"jti":"","until":9}"#.to_owned(),
            r#"{"jti":null,"until":9}"#.to_owned(),
            r#"{"jti":"a","jti":"b","until":9}"#.to_owned(),
            r#"{"jti":"a","until":"9"}"#.to_owned(),
            r#"{"jti":"a","until":-1}"#.to_owned(),
            r#"{"jkt":"short","not_before":3,"until":9}"#.to_owned(),
            r#"["a",null,null,null,null,9]"#.to_owned(),
            format!(r#"{{"sub":"{long}","not_before":3,"until":9}}"#),
        ] {
            assert_eq!(read(&entry), Err(FeedError::Malformed), "{entry}");
        }
        for payload in [
            r#"{"iss":"i","iat":5,"entries":[],"cursor":"c"}"#,
            r#"{"iss":"i","iat":5,"entries":[],"cursor":"","more":false}"#,
            r#"{"iss":"i","iat":5,"entries":[],"cursor":"c","more":false,"kids":"a"}"#,
            r#"{"iss":"i","iat":5,"entries":[],"cursor":"c","more":false,"kids":null}"#,
            r#"{"iss":"i","iat":5,"entries":[],"cursor":"c","more":false,"kids":[""]}"#,
            r#"{"iss":"i","iat":"5","entries":[],"cursor":"c","more":false}"#,
            r#"{"iss":"i","iat":5,"iat":6,"entries":[],"cursor":"c","more":false}"#,
            r#"{"iss":"i","iat":5,"entries":{},"cursor":"c","more":false}"#,
            "[]",
        ] {
            let outcome = FeedAnswer::from_payload(payload.as_bytes());
            assert_eq!(outcome, Err(FeedError::Malformed), "{payload}");
        }
        let long = vec![b' '; MAX_FEED_BYTES + 1];
        assert_eq!(FeedAnswer::from_payload(&long), Err(FeedError::TooLong));
    }
}
