//! How old the view of the issuer's revocations is, and whether it is too old to go by.
//!
//! Its age counts from the `iat` of the newest answer, by our clock: an old answer that is shown
//! again is as old as it ever was. A view that nobody can date is too old, one that had no room for
//! everything it heard too. Passing the bound is told once, and coming back as well.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::answer::{FeedAnswer, FeedError};
use super::known::{Full, Known};
use crate::time::Timestamp;

/// In place of a moment: nothing was heard yet.
const NEVER: u64 = u64::MAX;

/// What is known of the issuer's revocations, for a service's metrics and health.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationStatus {
    /// Whether revocations are followed at all; `false` after
    /// [`without_revocations`](crate::resource::ResourceConfig::without_revocations).
    pub followed: bool,
    /// Up to which moment, by the issuer's clock and never later than ours, every revocation is
    /// known. `None` before the first complete answer.
    pub as_of: Option<Timestamp>,
    /// How many seconds ago that was.
    pub age: Option<u64>,
    /// Whether that is too long ago: only requests for scopes named as open are served.
    pub stale: bool,
    /// How many revocations are kept.
    pub entries: usize,
    /// Why the last question to the issuer failed, if it did.
    pub last_failure: Option<String>,
}

impl RevocationStatus {
    /// Of a server that does without revocations.
    pub(super) const fn not_followed() -> Self {
        Self {
            followed: false,
            as_of: None,
            age: None,
            stale: false,
            entries: 0,
            last_failure: None,
        }
    }
}

/// How old a view may be, in seconds.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Bounds {
    pub(in super::super) max_staleness: u64,
    /// By how much the issuer's clock may be ahead of ours.
    pub(in super::super) leeway: u64,
}

/// What was heard, and up to when.
#[derive(Debug)]
pub(in super::super) struct View {
    known: Known,
    bounds: Bounds,
    as_of: AtomicU64,
    /// Something that was heard found no room.
    lacking: AtomicBool,
    told_stale: AtomicBool,
    last_failure: Mutex<Option<String>>,
}

impl View {
    pub(super) fn new(capacity: usize, bounds: Bounds) -> Self {
        Self {
            known: Known::new(capacity),
            bounds,
            as_of: AtomicU64::new(NEVER),
            lacking: AtomicBool::new(false),
            told_stale: AtomicBool::new(false),
            last_failure: Mutex::default(),
        }
    }

    pub(in super::super) const fn known(&self) -> &Known {
        &self.known
    }

    /// Takes in what an answer says. One that completes the view makes it as young as itself.
    ///
    /// # Errors
    /// [`FeedError::Ahead`], nothing of which is used; [`FeedError::Full`], after which the view is
    /// stale until a whole new one has found room.
    pub(super) fn hear(&self, answer: &FeedAnswer, now: Timestamp) -> Result<(), FeedError> {
        let ahead = answer.issued_at().since(now);
        if ahead > self.bounds.leeway {
            return Err(FeedError::Ahead(ahead));
        }
        self.known.learn(answer.entries(), now).map_err(|Full(capacity)| {
            self.lacking.store(true, Ordering::Release);
            FeedError::Full(capacity)
        })?;
        if !answer.has_more() {
            let kept = self.as_of().unwrap_or_default();
            let newest = kept.max(answer.issued_at()).min(now);
            self.as_of.store(newest.as_unix(), Ordering::Release);
            self.lacking.store(false, Ordering::Release);
            *self.last_failure() = None;
        }
        self.tell(now);
        Ok(())
    }

    /// Notes that a question failed.
    pub(super) fn miss(&self, error: &FeedError, now: Timestamp) {
        *self.last_failure() = Some(error.to_string());
        self.tell(now);
    }

    /// Whether there may be revocations that are not known and should be.
    pub(in super::super) fn is_stale(&self, now: Timestamp) -> bool {
        let stale = self.lacking.load(Ordering::Acquire)
            || self.as_of().is_none_or(|as_of| {
                // A clock that was set back tells no age.
                as_of > now.plus(self.bounds.leeway) || now.since(as_of) > self.bounds.max_staleness
            });
        // A request may be the first to see it, when nothing comes from the issuer at all.
        if stale && self.as_of().is_some() && !self.told_stale.load(Ordering::Relaxed) {
            self.tell_change(true, now);
        }
        stale
    }

    pub(super) fn status(&self, now: Timestamp) -> RevocationStatus {
        let as_of = self.as_of();
        RevocationStatus {
            followed: true,
            as_of,
            age: as_of.map(|as_of| now.since(as_of)),
            stale: self.is_stale(now),
            entries: self.known.len(),
            last_failure: self.last_failure().clone(),
        }
    }

    fn as_of(&self) -> Option<Timestamp> {
        match self.as_of.load(Ordering::Acquire) {
            NEVER => None,
            seconds => Some(Timestamp::from_unix(seconds)),
        }
    }

    fn last_failure(&self) -> MutexGuard<'_, Option<String>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, now: Timestamp) {
        self.tell_change(self.is_stale(now), now);
    }

    fn tell_change(&self, stale: bool, now: Timestamp) {
        if self.told_stale.swap(stale, Ordering::Relaxed) == stale {
            return;
        }
        let age = self.as_of().map(|as_of| now.since(as_of));
        let bound = self.bounds.max_staleness;
        if stale {
            let failure = self.last_failure().clone().unwrap_or_default();
            tracing::warn!(age, bound, failure, "the view of revocations is stale");
        } else {
            tracing::info!(age, bound, "the view of revocations is current again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);

    fn answer(iat: Timestamp, more: bool, jtis: &[&str]) -> FeedAnswer {
        let entries: Vec<_> = jtis
            .iter()
            .map(|jti| serde_json::json!({ "jti": jti, "until": NOW.plus(900) }))
            .collect();
        let payload = serde_json::json!({
            "iss": "i", "iat": iat, "entries": entries, "cursor": "c", "more": more,
        });
        FeedAnswer::from_payload(payload.to_string().as_bytes()).unwrap()
    }

    fn view() -> View {
        View::new(2, Bounds { max_staleness: 30, leeway: 5 })
    }

    #[test]
    fn is_as_old_as_the_newest_complete_answer() {
        let view = view();
        assert!(view.is_stale(NOW));
        view.hear(&answer(NOW, true, &[]), NOW).unwrap();
        assert!(view.is_stale(NOW), "there is more to come");
        view.hear(&answer(NOW, false, &[]), NOW).unwrap();
        assert!(!view.is_stale(NOW.plus(30)));
        assert!(view.is_stale(NOW.plus(31)));
        // An old answer that is shown again makes nothing younger.
        view.hear(&answer(NOW.minus(10), false, &[]), NOW.plus(31)).unwrap();
        assert_eq!(view.status(NOW.plus(31)).age, Some(31));
        view.hear(&answer(NOW.plus(31), false, &[]), NOW.plus(31)).unwrap();
        assert!(!view.is_stale(NOW.plus(31)));
    }

    #[test]
    fn clocks_that_differ_make_nothing_younger() {
        let view = view();
        let ahead = view.hear(&answer(NOW.plus(6), false, &[]), NOW);
        assert_eq!(ahead, Err(FeedError::Ahead(6)));
        view.hear(&answer(NOW.plus(5), false, &[]), NOW).unwrap();
        assert_eq!(view.status(NOW).as_of, Some(NOW), "never later than our own clock");
        assert!(!view.is_stale(NOW.minus(5)), "set back within the leeway");
        assert!(view.is_stale(NOW.minus(6)), "nobody knows how old it is");
        view.hear(&answer(NOW.minus(100), false, &[]), NOW.minus(100)).unwrap();
        assert_eq!(view.status(NOW.minus(100)).age, Some(0));
    }

    #[test]
    fn a_view_that_lacks_something_is_stale() {
        let view = view();
        let full = view.hear(&answer(NOW, false, &["a", "b", "c"]), NOW);
        assert_eq!(full, Err(FeedError::Full(2)));
        assert!(view.is_stale(NOW));
        view.hear(&answer(NOW, false, &["a", "b"]), NOW).unwrap();
        assert!(!view.is_stale(NOW));
        assert_eq!(view.status(NOW).entries, 2);
    }
}
