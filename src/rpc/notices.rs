//! A fault of a chain's nodes is logged once a minute, with how often it was left out since.
//!
//! A node that is down fails at every question, and strangers can have questions asked.

use std::sync::atomic::{AtomicU64, Ordering};

use countersign_sdk::time::Timestamp;

/// Seconds between two lines of one kind.
const PERIOD: u64 = 60;

/// One kind of line.
#[derive(Debug, Default)]
pub(super) struct Notice {
    /// The second of the last line and one more; zero before the first.
    last: AtomicU64,
    left_out: AtomicU64,
}

impl Notice {
    /// How many lines were left out since the last, where one is due at `now`.
    pub(super) fn due(&self, now: Timestamp) -> Option<u64> {
        let last = self.last.load(Ordering::Relaxed);
        let next = now.as_unix().saturating_add(1);
        let is_due = last == 0 || next.abs_diff(last) >= PERIOD;
        let won = is_due
            && self.last.compare_exchange(last, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if won {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_tells_of_the_others() {
        let notice = Notice::default();
        let due = |second| notice.due(Timestamp::from_unix(second));
        assert_eq!(due(0), Some(0));
        for second in [0, 1, 59] {
            assert_eq!(due(second), None);
        }
        assert_eq!(due(60), Some(3));
        assert_eq!(due(61), None);
        assert_eq!(due(0), Some(1), "a clock that was set back keeps nobody silent");
    }
}
