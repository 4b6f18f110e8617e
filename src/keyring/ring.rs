//! What state each key of the issuer is in: a pure function of what is written of it and of the time.
//!
//! | state | |
//! |---|---|
//! | next | published, and does not sign yet: its time lies ahead |
//! | active | signs: of the keys whose time has come, the one whose time came last |
//! | retiring | signed before; published for as long as a token of it could be taken anywhere |
//! | retired | withdrawn; what is left is its public half, for whoever checks old documents |
//! | revoked | withdrawn at once, whatever it was |
//!
//! So a change of hands is no step that somebody has to take: it happens at a second that is written
//! down beforehand, and there is exactly one active key at every second, also between two steps.

use countersign_sdk::key::{Algorithm, PublicKey};
use countersign_sdk::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::revocation::{LONGEST_LEEWAY, LONGEST_TOKEN};

/// Seconds for which a key that signs no more stays published: until its last token could be taken
/// nowhere any more, and a minute.
pub const LINGER: u64 = LONGEST_TOKEN + LONGEST_LEEWAY + 60;

/// The state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Published, to sign later.
    Next,
    /// Signs.
    Active,
    /// Signs no more, and is published.
    Retiring,
    /// Withdrawn, when its last token was over.
    Retired,
    /// Withdrawn at once.
    Revoked,
}

/// What is written of a key. Moments are whole seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// The public half, as a JWK.
    #[serde(rename = "jwk", serialize_with = "write_key", deserialize_with = "read_key")]
    pub public: PublicKey,
    /// When it was made or brought in.
    pub created_at: Timestamp,
    /// Since when it is published.
    pub published_at: Timestamp,
    /// From when on it signs, unless a later one does.
    pub signs_from: Timestamp,
    /// When it was noted that it signs, for the record alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Timestamp>,
    /// Since when it is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// Whether the feed was told that what a revoked key signed is void.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_told: bool,
    /// What its custody opens it by; none for a key that will sign no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// The handle of a key that is over and that its custody is still to destroy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_destroy: Option<String>,
    /// What happened to it and is still to be recorded in the audit log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrecorded: Vec<Happening>,
}

/// What happens to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// It was made, and is published.
    Created,
    /// It was brought in, and is published.
    Imported,
    /// It signs.
    Activated,
    /// It signs no more.
    Retired,
    /// It is published no more.
    Withdrawn,
    /// It was withdrawn at once.
    Revoked,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
pub(super) const fn is_false(value: &bool) -> bool {
    !*value
}

fn write_key<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    key.to_jwk().serialize(serializer)
}

fn read_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
    let jwk = serde_json::Value::deserialize(deserializer)?;
    PublicKey::from_jwk_json(jwk.to_string().as_bytes()).map_err(serde::de::Error::custom)
}

impl Entry {
    /// The algorithm of its signatures.
    pub const fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// Whether it is withdrawn or revoked in writing.
    pub const fn is_over(&self) -> bool {
        self.withdrawn_at.is_some() || self.revoked_at.is_some()
    }

    /// Whether it could sign, if it were its time.
    pub const fn can_sign(&self) -> bool {
        !self.is_over() && self.handle.is_some()
    }

    /// Whether it signed, or is to sign, for longer than the second in which it began: one that ended in
    /// that very second has taken nothing over from the key that signs on.
    fn took_over(&self) -> bool {
        let ended = [self.withdrawn_at, self.revoked_at].into_iter().flatten().min();
        ended.is_none_or(|ended| self.signs_from < ended)
    }

    /// Whether its time came before it ended, so that there may be documents of it.
    pub fn has_signed(&self, now: Timestamp) -> bool {
        let ended = [self.withdrawn_at, self.revoked_at].into_iter().flatten().min();
        self.signs_from <= ended.unwrap_or(now)
    }
}

/// Every key of the issuer, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    /// The keys.
    pub entries: Vec<Entry>,
}

impl Ring {
    /// The key of that name.
    pub fn find(&self, kid: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.kid == kid)
    }

    pub(super) fn find_mut(&mut self, kid: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.kid == kid)
    }

    /// The key that signs at `now`. A clock that was set back before the time of every key finds the
    /// one whose time comes first.
    pub fn active(&self, now: Timestamp) -> Option<&Entry> {
        let able = || self.entries.iter().filter(|entry| entry.can_sign());
        // Of equals `max_by_key` takes the last, which was made later, and `min_by_key` the first.
        able()
            .filter(|entry| entry.signs_from <= now)
            .max_by_key(|entry| entry.signs_from)
            .or_else(|| able().min_by_key(|entry| entry.signs_from))
    }

    /// Until when a key signs or signed, as far as is written: the time of the one that comes after it.
    pub fn signs_until(&self, entry: &Entry) -> Option<Timestamp> {
        let place = |one: &Entry| self.entries.iter().position(|other| other.kid == one.kid);
        let order = |one: &Entry| (one.signs_from, place(one));
        let ended = [entry.withdrawn_at, entry.revoked_at].into_iter().flatten();
        let later = self
            .entries
            .iter()
            .filter(|other| order(other) > order(entry) && other.took_over())
            .map(|other| other.signs_from);
        later.chain(ended).min()
    }

    /// When a key is to be withdrawn.
    pub fn lingers_until(&self, entry: &Entry) -> Option<Timestamp> {
        self.signs_until(entry).map(|until| until.plus(LINGER))
    }

    /// The state of a key of this ring.
    pub fn state(&self, entry: &Entry, now: Timestamp) -> State {
        if entry.revoked_at.is_some() {
            return State::Revoked;
        }
        if entry.withdrawn_at.is_some() {
            return State::Retired;
        }
        if self.active(now).is_some_and(|active| active.kid == entry.kid) {
            return State::Active;
        }
        if entry.signs_from > now {
            return State::Next;
        }
        match self.lingers_until(entry) {
            Some(until) if now >= until => State::Retired,
            Some(_) | None => State::Retiring,
        }
    }

    /// The keys that are published at `now`.
    pub fn published(&self, now: Timestamp) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| match self.state(entry, now) {
            State::Next | State::Active | State::Retiring => true,
            State::Retired | State::Revoked => false,
        })
    }

    /// The keys whose time lies ahead, the soonest first.
    pub fn nexts(&self, now: Timestamp) -> Vec<&Entry> {
        let mut nexts: Vec<&Entry> =
            self.entries.iter().filter(|entry| self.state(entry, now) == State::Next).collect();
        nexts.sort_by_key(|entry| entry.signs_from);
        nexts
    }

    /// The first second after `now` at which a state changes by itself.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let live = || self.entries.iter().filter(|entry| !entry.is_over());
        let begins = live().map(|entry| entry.signs_from);
        let ends = live().filter_map(|entry| self.lingers_until(entry));
        begins.chain(ends).filter(|moment| *moment > now).min()
    }
}
