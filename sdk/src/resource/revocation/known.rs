//! Which tokens are revoked by what was heard, and when that may be forgotten.
//!
//! Nothing is forgotten before its time, and nothing for another: a full memory refuses the entry,
//! and whoever owns it must take its view for stale. Looking a token up costs next to nothing while
//! nothing is revoked, and a few hashes under a shared lock else.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::super::claims::AccessToken;
use super::answer::RevocationEntry;
use crate::key::Thumbprint;
use crate::time::Timestamp;

/// Seconds for which an entry is kept beyond its time: tokens are taken for a leeway longer than
/// they live, and the clock may be set back.
const REMEMBERED_LONGER: u64 = 120;
/// Seconds between two looks for entries that can be forgotten.
const SWEEP_SECONDS: u64 = 15;

/// What is revoked.
#[derive(Debug)]
pub(in super::super) struct Known {
    tables: RwLock<Tables>,
    /// How many entries there are, so that no lock is taken as long as there are none.
    entries: AtomicUsize,
    capacity: usize,
    swept_at: AtomicU64,
}

/// The memory is full.
#[derive(Debug)]
pub(super) struct Full(pub(super) usize);

#[derive(Debug, Default)]
struct Tables {
    tokens: HashMap<Box<str>, Timestamp>,
    sessions: HashMap<Box<str>, Timestamp>,
    keys: HashMap<Thumbprint, Mark>,
    subjects: HashMap<Box<str>, Mark>,
    everything: Option<Mark>,
}

/// Tokens issued before `not_before` are revoked; known until `until`.
#[derive(Clone, Copy, Debug)]
struct Mark {
    not_before: Timestamp,
    until: Timestamp,
}

impl Mark {
    /// Two marks of one thing revoke what either does; both are kept for as long as either is.
    fn join(&mut self, other: Self) {
        self.not_before = self.not_before.max(other.not_before);
        self.until = self.until.max(other.until);
    }
}

impl Known {
    /// Nothing yet, and at most `capacity` entries ever.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            tables: RwLock::default(),
            entries: AtomicUsize::new(0),
            capacity,
            swept_at: AtomicU64::new(0),
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.load(Ordering::Acquire)
    }

    /// Whether the token is revoked.
    pub(in super::super) fn name(&self, token: &AccessToken) -> bool {
        if self.len() == 0 {
            return false;
        }
        let tables = self.read();
        let earlier = |mark: &Mark| token.issued_at() < mark.not_before;
        let key = |jkt: Thumbprint| tables.keys.get(&jkt).is_some_and(earlier);
        let proven = token.proven_key().and_then(super::super::ProvenKey::jkt);
        tables.tokens.contains_key(token.jti())
            || token.sid().is_some_and(|sid| tables.sessions.contains_key(sid))
            || token.cnf_jkt().is_some_and(key)
            || proven.is_some_and(key)
            || tables.subjects.get(token.sub()).is_some_and(earlier)
            || tables.everything.as_ref().is_some_and(earlier)
    }

    /// Takes entries in, and forgets those whose time is over.
    ///
    /// # Errors
    /// [`Full`] when one found no room; those before it are kept.
    pub(super) fn learn(&self, entries: &[RevocationEntry], now: Timestamp) -> Result<(), Full> {
        let mut tables = self.write();
        let due = now.as_unix().abs_diff(self.swept_at.load(Ordering::Relaxed)) >= SWEEP_SECONDS;
        if due {
            tables.forget(now);
            self.swept_at.store(now.as_unix(), Ordering::Relaxed);
        }
        let outcome = entries
            .iter()
            .filter(|entry| !is_over(entry.until(), now))
            .try_for_each(|entry| tables.take_in(entry, self.capacity));
        self.entries.store(tables.len(), Ordering::Release);
        outcome
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_over(until: Timestamp, now: Timestamp) -> bool {
    until.plus(REMEMBERED_LONGER) < now
}

impl RevocationEntry {
    /// From when on the entry may be forgotten.
    const fn until(&self) -> Timestamp {
        match self {
            Self::Token { until, .. }
            | Self::Session { until, .. }
            | Self::Key { until, .. }
            | Self::Subject { until, .. }
            | Self::Everything { until, .. } => *until,
        }
    }
}

impl Tables {
    fn len(&self) -> usize {
        let named = self.tokens.len() + self.sessions.len() + self.keys.len();
        named + self.subjects.len() + usize::from(self.everything.is_some())
    }

    fn take_in(&mut self, entry: &RevocationEntry, capacity: usize) -> Result<(), Full> {
        let room = self.len() < capacity;
        let taken = match entry {
            RevocationEntry::Token { jti, until } => {
                put(&mut self.tokens, jti.as_str().into(), *until, later, room)
            }
            RevocationEntry::Session { sid, until } => {
                put(&mut self.sessions, sid.as_str().into(), *until, later, room)
            }
            RevocationEntry::Key { jkt, not_before, until } => {
                let mark = Mark { not_before: *not_before, until: *until };
                put(&mut self.keys, *jkt, mark, Mark::join, room)
            }
            RevocationEntry::Subject { sub, not_before, until } => {
                let mark = Mark { not_before: *not_before, until: *until };
                put(&mut self.subjects, sub.as_str().into(), mark, Mark::join, room)
            }
            RevocationEntry::Everything { not_before, until } => {
                let mark = Mark { not_before: *not_before, until: *until };
                match &mut self.everything {
                    Some(kept) => kept.join(mark),
                    // One more than the capacity at most, and the one that must never be missed.
                    None => self.everything = Some(mark),
                }
                true
            }
        };
        if taken { Ok(()) } else { Err(Full(capacity)) }
    }

    fn forget(&mut self, now: Timestamp) {
        self.tokens.retain(|_, until| !is_over(*until, now));
        self.sessions.retain(|_, until| !is_over(*until, now));
        self.keys.retain(|_, mark| !is_over(mark.until, now));
        self.subjects.retain(|_, mark| !is_over(mark.until, now));
        self.everything = self.everything.filter(|mark| !is_over(mark.until, now));
    }
}

/// Joins the value to one that is there; a new one is put in only where there is `room`.
fn put<K: Hash + Eq, V>(
    table: &mut HashMap<K, V>,
    key: K,
    value: V,
    join: impl FnOnce(&mut V, V),
    room: bool,
) -> bool {
    match table.entry(key) {
        Entry::Occupied(mut kept) => join(kept.get_mut(), value),
        Entry::Vacant(place) if room => {
            place.insert(value);
        }
        Entry::Vacant(_) => return false,
    }
    true
}

/// The later one counts.
fn later(kept: &mut Timestamp, until: Timestamp) {
    *kept = (*kept).max(until);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(jti: &str, until: u64) -> RevocationEntry {
        RevocationEntry::Token { jti: jti.to_owned(), until: Timestamp::from_unix(until) }
    }

    #[test]
    fn keeps_each_entry_for_its_time_and_forgets_it_then() {
        let known = Known::new(10);
        let at = Timestamp::from_unix;
        known.learn(&[token("a", 1000), token("b", 2000)], at(900)).unwrap();
        // Said again with another time: the longer one counts, in either order.
        known.learn(&[token("a", 1500), token("a", 1200)], at(900)).unwrap();
        known.learn(&[], at(1500 + REMEMBERED_LONGER)).unwrap();
        assert_eq!(known.len(), 2);
        known.learn(&[], at(1500 + REMEMBERED_LONGER + SWEEP_SECONDS)).unwrap();
        assert_eq!(known.len(), 1);
        assert!(known.read().tokens.contains_key("b"));
        known.learn(&[token("late", 1000)], at(3000)).unwrap();
        assert_eq!(known.len(), 0, "what is over is not taken in");
    }

    #[test]
    fn a_full_memory_refuses_and_forgets_nothing() {
        let known = Known::new(2);
        let now = Timestamp::from_unix(900);
        known.learn(&[token("a", 1000), token("b", 1000)], now).unwrap();
        let full = known.learn(&[token("c", 1000)], now);
        assert!(matches!(full, Err(Full(2))));
        // Those that are there are no new ones, and the largest of all always finds room.
        let mark = RevocationEntry::Everything { not_before: now, until: now.plus(100) };
        known.learn(&[token("a", 1000), mark, token("b", 1001)], now).unwrap();
        let tables = known.read();
        assert!(tables.tokens.contains_key("a") && tables.tokens.contains_key("b"));
        assert!(tables.everything.is_some() && !tables.tokens.contains_key("c"));
    }

    #[test]
    fn two_marks_of_one_thing_revoke_what_either_does() {
        let known = Known::new(10);
        let at = Timestamp::from_unix;
        for (not_before, until) in [(100, 900), (200, 300), (150, 400)] {
            let mark = RevocationEntry::Everything { not_before: at(not_before), until: at(until) };
            known.learn(&[mark], at(50)).unwrap();
        }
        let mark = known.read().everything.unwrap();
        assert_eq!((mark.not_before, mark.until), (at(200), at(900)));
    }
}
