//! Time as a value that is handed in, so that every check can be tested at any moment.
//!
//! This file holds the workspace's only call of the system clock; `clippy.toml` bans the others.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde::{Deserialize, Serialize};

/// A moment in whole seconds since 1970-01-01T00:00:00Z (RFC 7519 `NumericDate` without fraction).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `seconds` after the epoch.
    pub const fn from_unix(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn as_unix(self) -> u64 {
        self.0
    }

    /// This moment and `seconds` more; stays at the end of time rather than wrap.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// This moment less `seconds`; stays at the epoch rather than wrap.
    #[must_use]
    pub const fn minus(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// Seconds from `earlier` to this moment, 0 when `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// RFC 3339 in UTC, such as `2026-01-31T12:00:00Z`; seconds since the epoch beyond the year 9999,
/// which a received number may name and RFC 3339 cannot write.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = i64::try_from(self.0)
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .and_then(|moment| moment.format(&Rfc3339).ok());
        match text {
            Some(text) => f.write_str(&text),
            None => self.0.fmt(f),
        }
    }
}

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, in whole seconds.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> Timestamp {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 reads as the epoch, at which nothing that we sign or check is valid.
        Timestamp(elapsed.map_or(0, |since| since.as_secs()))
    }
}

/// A clock that stands until it is moved, for tests.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at `start`.
    pub const fn new(start: Timestamp) -> Self {
        Self(AtomicU64::new(start.0))
    }

    /// Moves the clock on by `seconds`.
    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Puts the clock to `moment`.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc3339() {
        assert_eq!(Timestamp::from_unix(1_748_779_500).to_string(), "2025-06-01T12:05:00Z");
    }

    #[test]
    fn prints_whatever_was_received() {
        assert_eq!(Timestamp::from_unix(253_402_300_799).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_unix(253_402_300_800).to_string(), "253402300800");
        assert_eq!(Timestamp::from_unix(u64::MAX).to_string(), u64::MAX.to_string());
    }
}
