//! How many calls of a module are under way, and for how long the oldest one has been.
//!
//! One more than may be waits for its turn, for a moment; a module that has left a call unanswered for
//! long is not there, whatever it said before.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a call waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// A call that takes longer has no answer.
const LONGEST: Duration = Duration::from_secs(5);

/// The calls that are under way.
#[derive(Debug)]
pub(super) struct Calls {
    most: usize,
    under_way: Mutex<UnderWay>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct UnderWay {
    begun: u64,
    since: BTreeMap<u64, Instant>,
}

/// A call, until it is over.
pub(super) struct Call<'a> {
    calls: &'a Calls,
    number: u64,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.calls.under_way().since.remove(&self.number);
        self.calls.ended.notify_one();
    }
}

impl Calls {
    /// At most so many at the same time.
    pub(super) const fn new(most: usize) -> Self {
        let under_way = UnderWay { begun: 0, since: BTreeMap::new() };
        Self { most, under_way: Mutex::new(under_way), ended: Condvar::new() }
    }

    /// Begins one, as soon as there is room. Blocks, but not for long; `None` where there was none.
    pub(super) fn begin(&self) -> Option<Call<'_>> {
        let is_full = |calls: &mut UnderWay| calls.since.len() >= self.most;
        let waited = self.ended.wait_timeout_while(self.under_way(), PATIENCE, is_full);
        let (mut calls, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if is_full(&mut calls) {
            return None;
        }
        calls.begun += 1;
        let number = calls.begun;
        calls.since.insert(number, Instant::now());
        Some(Call { calls: self, number })
    }

    /// Whether one is under way that should have been over long ago.
    pub(super) fn hang(&self) -> bool {
        self.hang_at(Instant::now())
    }

    fn hang_at(&self, now: Instant) -> bool {
        let calls = self.under_way();
        calls.since.values().next().is_some_and(|since| now.duration_since(*since) > LONGEST)
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_may_be_waits_for_its_turn() {
        let calls = Calls::new(1);
        let first = calls.begin();
        assert!(first.is_some());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| calls.begin().is_some());
            drop(first);
            assert!(second.join().unwrap());
        });
        let held = calls.begin();
        assert!(calls.begin().is_none(), "after a moment");
        drop(held);
        assert!(calls.begin().is_some());
    }

    #[test]
    fn a_call_without_an_answer_is_seen() {
        let calls = Calls::new(2);
        let first = calls.begin();
        let begun = Instant::now();
        let second = calls.begin();
        let late = begun + LONGEST + Duration::from_millis(1);
        assert!(!calls.hang() && calls.hang_at(late));
        drop(first);
        // The second began after that moment was looked at.
        assert!(!calls.hang_at(begun + LONGEST));
        drop(second);
        assert!(!calls.hang_at(late + LONGEST));
    }
}
