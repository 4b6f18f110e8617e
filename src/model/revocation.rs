//! What can be revoked, what a revocation touches, and for how long it must be known.
//!
//! A token ends with its own `jti`, with its session, or with everything that a key, a subject or
//! the issuer was given before a moment. Whole seconds make that moment the next one: a token of
//! the very second of the revocation is touched as well. Sessions that are touched end at once, by
//! name; a signature that was given before, and is presented after, opens nothing (protocol.md §7).

use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;

use super::session::{Session, SessionId};

/// The longest life of an access token in seconds, whatever the configuration says now or said before.
pub const LONGEST_TOKEN: u64 = 900;
/// Seconds by which a resource server may let a token live on: its leeway, and its clock being behind.
pub const LONGEST_LEEWAY: u64 = 120;

/// How far ahead of now the moment of a revocation can lie, in seconds: the next one, by a clock that
/// was two minutes ahead.
pub const FARTHEST_AHEAD: u64 = 121;

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
    /// Every token that was made before a moment, and no session: nobody here can verify them any more.
    TokensBefore(Timestamp),
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
    /// The last second at which a token that it touches could be taken anywhere. Then nothing is left
    /// of what was revoked, and it may be forgotten.
    pub until: Timestamp,
}

/// The longest name of a subject that somebody revokes by hand, in bytes; accounts have 170 at most.
const LONGEST_SUBJECT: usize = 512;

/// Whether `text` may be the name of a subject. One that no token has would be published all the same, and whoever
/// reads the feed refuses an answer with what is longer than any name.
pub fn is_subject(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    text.starts_with("did:") && text.len() <= LONGEST_SUBJECT && plain
}

impl Revocation {
    /// The entry of this revocation, made now.
    pub fn entry(&self, now: Timestamp) -> Entry {
        // A token of this very second ends as well; one of the next lives.
        let next = now.plus(1);
        let last_token = next.plus(LONGEST_TOKEN + LONGEST_LEEWAY);
        let since = |target| Entry { target, not_before: Some(next), until: last_token };
        let named = |target, until| Entry { target, not_before: None, until };
        match self {
            Self::Token { jti, expires_at } => {
                named(Target::Token(jti.clone()), expires_at.plus(LONGEST_LEEWAY))
            }
            Self::Session(id) => named(Target::Session(*id), last_token),
            Self::Key(jkt) => since(Target::Key(*jkt)),
            Self::Subject(subject) => since(Target::Subject(subject.clone())),
            Self::Everything => since(Target::Everything),
            Self::TokensBefore(moment) => {
                Entry { not_before: Some(*moment), ..since(Target::Everything) }
            }
        }
    }
}

impl Entry {
    /// Whether a token that it touches could still be taken anywhere.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now <= self.until
    }

    /// Both together, where a target is revoked again now: each bound is the later one. Only of everything, a
    /// moment that lies far ahead is taken for one of a clock that was ahead, and put right: that is for
    /// operators and for a start, which know better than a request whether it is not this clock that is behind.
    #[must_use]
    pub fn and(self, earlier: &Self, now: Timestamp) -> Self {
        let puts_right = self.target == Target::Everything;
        let holds = |moment: &Timestamp| !puts_right || *moment <= now.plus(FARTHEST_AHEAD);
        Self {
            not_before: self.not_before.max(earlier.not_before.filter(holds)),
            until: self.until.max(earlier.until),
            target: self.target,
        }
    }
}

impl Entry {
    /// Whether what its target was given at `beginning` – a token, a signature – is revoked by it.
    pub fn touches(&self, beginning: Timestamp) -> bool {
        self.not_before.is_none_or(|not_before| beginning < not_before)
    }
}

/// The names by which an access token can be revoked.
#[derive(Clone, Copy, Debug)]
pub struct TokenNames<'a> {
    /// `jti`; `None` for a token that is still to be made.
    pub jti: Option<&'a str>,
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
        targets.extend(self.jti.map(|jti| Target::Token(jti.to_owned())));
        targets.extend(self.session.map(Target::Session));
        targets
    }
}

impl Session {
    /// Every target by which it can be ended beside its own name.
    pub fn targets(&self) -> Vec<Target> {
        groups(&self.subject, [self.bound_to, self.proven])
    }

    /// Whether `key` signs its requests, or was proven when it was opened.
    pub fn is_of_key(&self, key: Thumbprint) -> bool {
        [self.bound_to, self.proven].contains(&Some(key))
    }

    /// The entry of its end; `None` when its last token is over already.
    pub fn end(&self, now: Timestamp) -> Option<Entry> {
        let entry = Revocation::Session(self.id).entry(self.usage.last_used_at);
        entry.is_live(now).then_some(entry)
    }
}

fn groups(subject: &str, keys: [Option<Thumbprint>; 2]) -> Vec<Target> {
    let mut targets = vec![Target::Everything, Target::Subject(subject.to_owned())];
    targets.extend(keys.into_iter().flatten().map(Target::Key));
    targets
}

#[cfg(test)]
mod tests {
    use super::super::session::Usage;
    use super::super::session::tests::session;
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);

    #[test]
    fn an_entry_outlives_whatever_it_touches() {
        let token = Revocation::Token { jti: "a".to_owned(), expires_at: NOW.plus(300) };
        assert_eq!(token.entry(NOW).until, NOW.plus(420));
        let subject = Revocation::Subject("s".to_owned()).entry(NOW);
        assert!(subject.is_live(NOW.plus(900 + 120 + 1)));
        assert!(!subject.is_live(NOW.plus(900 + 120 + 2)));
    }

    #[test]
    fn the_second_of_the_revocation_is_touched_and_the_next_is_not() {
        let entry = Revocation::Everything.entry(NOW);
        assert!(entry.touches(NOW) && !entry.touches(NOW.plus(1)));
        let later = Revocation::Everything.entry(NOW.plus(9)).and(&entry, NOW.plus(9));
        assert!(later.touches(NOW.plus(9)));
        let again = entry.clone().and(&later, NOW);
        assert_eq!(again, later, "a clock that was set back forgets nothing");
        let wrong = Revocation::Everything.entry(NOW.plus(86_400));
        assert_eq!(entry.clone().and(&wrong, NOW).not_before, entry.not_before, "a wrong clock");
        // Whose clock was wrong, a request does not know.
        let jkt = session("did:key:z", true, NOW).bound_to.unwrap();
        for one in [Revocation::Subject("s".to_owned()), Revocation::Key(jkt)] {
            let ahead = one.entry(NOW.plus(600));
            assert_eq!(one.entry(NOW).and(&ahead, NOW), ahead);
        }
    }

    #[test]
    fn the_end_of_a_session_is_told_as_long_as_its_last_token_could_live() {
        let mut ended = session("did:key:z", true, NOW);
        assert_eq!(ended.targets().len(), 4);
        assert!(ended.end(NOW.plus(1021)).is_some() && ended.end(NOW.plus(1022)).is_none());
        ended.usage = Usage::begun(1, NOW.plus(5));
        assert_eq!(ended.end(NOW.plus(1022)).unwrap().until, NOW.plus(5 + 1021));
    }
}
