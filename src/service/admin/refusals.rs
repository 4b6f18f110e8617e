//! How many refusals of people who are no operators are recorded: so many a minute, and the rest are counted.
//!
//! Whoever reaches the operations listener could otherwise write the audit log full.

use std::sync::{Mutex, PoisonError};

use countersign_sdk::time::Timestamp;

use crate::audit::event::RefusalsOmitted;

/// How many are recorded in one period.
const RECORDED: u64 = 60;
/// The period, in seconds.
const PERIOD: u64 = 60;

/// The count.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    since: Timestamp,
    recorded: u64,
    omitted: u64,
}

impl Refusals {
    /// Whether one more is to be recorded, with how many were not since the last one that was; `None`
    /// where it is only counted.
    pub(super) fn take(&self, now: Timestamp) -> Option<Option<RefusalsOmitted>> {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back begins anew.
        if now.since(count.since) >= PERIOD || now < count.since {
            (count.since, count.recorded) = (now, 0);
        }
        if count.recorded >= RECORDED {
            count.omitted += 1;
            return None;
        }
        count.recorded += 1;
        let omitted = std::mem::take(&mut count.omitted);
        Some((omitted > 0).then_some(RefusalsOmitted { count: omitted }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_with_the_next_one() {
        let (refusals, now) = (Refusals::default(), Timestamp::from_unix(1_000_000));
        let recorded = (0..100).filter(|_| refusals.take(now).is_some()).count();
        assert_eq!(recorded as u64, RECORDED);
        assert_eq!(refusals.take(now.plus(PERIOD - 1)), None);
        let next = refusals.take(now.plus(PERIOD));
        assert_eq!(next, Some(Some(RefusalsOmitted { count: 41 })));
        assert_eq!(refusals.take(now.plus(PERIOD)), Some(None));
        assert_eq!(refusals.take(now), Some(None), "a clock that was set back");
    }
}
