//! What can be revoked, what a revocation touches, and for how long it must be known.
//!
//! A token ends with its own `jti`, with its session, or with everything that a key, a subject or
//! the issuer was given before a moment. Whole seconds make that moment the next one: a token of
//! the very second of the revocation is touched as well (protocol.md §7).

use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;

use super::session::{Session, SessionId};

/// The longest life of an access token in seconds, whatever the configuration says now or said before.
pub const LONGEST_TOKEN: u64 = 900;
/// Seconds by which a resource server may let a token live on, its clock being behind.
const LONGEST_LEEWAY: u64 = 60;
/// The longest that a session can last, in seconds.
const LONGEST_SESSION: u64 = 31_536_000;

/// What somebody revokes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// One access token.
    Token {
        /// Its `jti`.
        jti: String,
        /// Its `exp`.
        expires_at: Timestamp,
    },
    /// A session: it ends, and its access tokens with it.
    Session(SessionId),
    /// Every session and token of a key, as the one that signs requests or the one that was proven.
    Key(Thumbprint),
    /// Every session and token of a subject.
    Subject(String),
    /// Every session and token there is.
    Everything,
}

/// What an entry names; two revocations with one target are one entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// `{"jti"}`.
    Token(String),
    /// `{"sid"}`.
    Session(SessionId),
    /// `{"jkt","not_before"}`.
    Key(Thumbprint),
    /// `{"sub","not_before"}`.
    Subject(String),
    /// `{"not_before"}`.
    Everything,
}

/// A revocation as it is remembered and published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is revoked.
    pub target: Target,
    /// Tokens and sessions with an earlier beginning are revoked; `None` where the target says it all.
    pub not_before: Option<Timestamp>,
    /// The last second at which a token that it touches could be taken anywhere.
    pub until: Timestamp,
    /// The last second at which a session that it touches could still be there. Sessions that were
    /// opened before `not_before` are over, and this is how a store knows.
    pub kept_until: Timestamp,
}

impl Revocation {
    /// The entry of this revocation, made now.
    pub fn entry(&self, now: Timestamp) -> Entry {
        // A token of this very second ends as well; one of the next lives.
        let next = now.plus(1);
        let last_token = next.plus(LONGEST_TOKEN + LONGEST_LEEWAY);
        let since = |target: Target| Entry {
            target,
            not_before: Some(next),
            until: last_token,
            kept_until: next.plus(LONGEST_SESSION),
        };
        let named = |target: Target, until: Timestamp| Entry {
            target,
            not_before: None,
            until,
            kept_until: until,
        };
        match self {
            Self::Token { jti, expires_at } => {
                named(Target::Token(jti.clone()), expires_at.plus(LONGEST_LEEWAY))
            }
            Self::Session(id) => named(Target::Session(*id), last_token),
            Self::Key(jkt) => since(Target::Key(*jkt)),
            Self::Subject(subject) => since(Target::Subject(subject.clone())),
            Self::Everything => since(Target::Everything),
        }
    }
}

impl Entry {
    /// Whether it must still be published.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now <= self.until
    }

    /// Whether it may be forgotten.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now > self.until && now > self.kept_until
    }

    /// Both together, where a target is revoked again: each bound is the later one.
    #[must_use]
    pub fn and(self, earlier: &Self) -> Self {
        Self {
            not_before: self.not_before.max(earlier.not_before),
            until: self.until.max(earlier.until),
            kept_until: self.kept_until.max(earlier.kept_until),
            target: self.target,
        }
    }
}

impl Entry {
    /// Whether a token or session of its target that began at `beginning` is revoked by it.
    pub fn touches(&self, beginning: Timestamp) -> bool {
        self.not_before.is_none_or(|not_before| beginning < not_before)
    }
}

/// The names by which an access token can be revoked.
#[derive(Clone, Copy, Debug)]
pub struct TokenNames<'a> {
    /// `jti`.
    pub jti: &'a str,
    /// `sid`.
    pub session: Option<SessionId>,
    /// `sub`.
    pub subject: &'a str,
    /// `cnf.jkt` and `proven_key.jkt`.
    pub keys: [Option<Thumbprint>; 2],
    /// `iat`.
    pub issued_at: Timestamp,
}

impl TokenNames<'_> {
    /// Every target that it falls under; it is revoked when the entry of one [touches](Entry::touches)
    /// its `iat`.
    pub fn targets(&self) -> Vec<Target> {
        let mut targets = groups(self.subject, self.keys);
        targets.push(Target::Token(self.jti.to_owned()));
        targets.extend(self.session.map(Target::Session));
        targets
    }
}

impl Session {
    /// Every target by which it can be cut off beside its own name.
    pub fn targets(&self) -> Vec<Target> {
        groups(&self.subject, [self.bound_to, self.proven])
    }

    /// Whether the session, about to be opened, may stand beside `entry` of one of its targets. One
    /// of the very second of the revocation begins with the next, so that its tokens live; an
    /// earlier one, whose message was under way while its subject revoked everything, does not.
    pub fn begins_after(&mut self, entry: &Entry) -> bool {
        match entry.not_before {
            Some(not_before) if self.created_at < not_before => {
                let stands = self.created_at.plus(1) >= not_before;
                self.created_at = not_before;
                stands
            }
            Some(_) | None => true,
        }
    }
}

fn groups(subject: &str, keys: [Option<Thumbprint>; 2]) -> Vec<Target> {
    let mut targets = vec![Target::Everything, Target::Subject(subject.to_owned())];
    targets.extend(keys.into_iter().flatten().map(Target::Key));
    targets
}

#[cfg(test)]
mod tests {
    use super::super::session::tests::session;
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);

    #[test]
    fn an_entry_outlives_whatever_it_touches() {
        let token = Revocation::Token { jti: "a".to_owned(), expires_at: NOW.plus(300) };
        assert_eq!(token.entry(NOW).until, NOW.plus(360));
        let subject = Revocation::Subject("s".to_owned()).entry(NOW);
        assert!(subject.is_live(NOW.plus(900 + 60 + 1)));
        assert!(!subject.is_live(NOW.plus(900 + 60 + 2)) && !subject.is_over(NOW.plus(31_536_001)));
        assert!(subject.is_over(NOW.plus(31_536_002)));
    }

    #[test]
    fn the_second_of_the_revocation_is_touched_and_the_next_is_not() {
        let entry = Revocation::Everything.entry(NOW);
        assert!(entry.touches(NOW) && !entry.touches(NOW.plus(1)));
        let later = Revocation::Everything.entry(NOW.plus(9)).and(&entry);
        assert!(later.touches(NOW.plus(9)));
        assert_eq!(entry.clone().and(&later), later, "a clock that was set back forgets nothing");
    }

    #[test]
    fn a_session_of_the_same_second_begins_with_the_next() {
        let mut opened = session("did:key:z", true, NOW);
        assert_eq!(opened.targets().len(), 4);
        let entry = Revocation::Subject(opened.subject.clone()).entry(NOW);
        assert!(opened.begins_after(&entry));
        assert_eq!(opened.created_at, NOW.plus(1));
        let mut earlier = session("did:key:z", true, NOW.minus(1));
        assert!(!earlier.begins_after(&entry));
    }
}
