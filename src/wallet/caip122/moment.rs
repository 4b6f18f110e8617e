//! A time as a signed text states it, with the fraction that whole seconds would lose.
//!
//! The clock that it is compared with counts whole seconds, so each comparison says which way it
//! rounds: towards refusing, at the cost of at most one second of a message's life.
//!
//! Specs: RFC 3339, EIP-4361 (`date-time`).

use countersign_sdk::time::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment with a fraction of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    seconds: u64,
    nanos: u32,
}

impl Moment {
    /// Reads RFC 3339; `None` for every other shape, a separator other than `T`, and times before
    /// 1970.
    pub fn parse(text: &str) -> Option<Self> {
        // The `time` crate takes any character between date and time, and any number of digits
        // of the second.
        if text.len() > 40 || !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
            return None;
        }
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Self {
            seconds: u64::try_from(moment.unix_timestamp()).ok()?,
            nanos: moment.nanosecond(),
        })
    }

    /// The last whole second that is not after this moment: for what ends.
    pub const fn floor(self) -> Timestamp {
        Timestamp::from_unix(self.seconds)
    }

    /// The first whole second that is not before this moment: for what begins.
    pub const fn ceil(self) -> Timestamp {
        Timestamp::from_unix(self.seconds.saturating_add((self.nanos > 0) as u64))
    }

    /// Whether this is the same moment as another parser's reading.
    pub(in crate::wallet) fn is(self, other: OffsetDateTime) -> bool {
        u64::try_from(other.unix_timestamp()) == Ok(self.seconds)
            && other.nanosecond() == self.nanos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rfc3339_and_rounds_towards_refusal() {
        let moment = Moment::parse("2025-06-01T12:05:00.250Z").unwrap();
        assert_eq!(moment.floor().as_unix(), 1_748_779_500);
        assert_eq!(moment.ceil().as_unix(), 1_748_779_501);
        let whole = Moment::parse("2025-06-01T14:05:00+02:00").unwrap();
        assert_eq!(whole.ceil(), whole.floor());
        assert_eq!(whole.floor().as_unix(), 1_748_779_500);
    }

    #[test]
    fn refuses_other_shapes() {
        for text in [
            "",
            "not-a-timestamp",
            "2025-06-01",
            "2025-06-01 12:05:00Z",
            "2025-06-01T12:05:00",
            "2025-06-01T12:05Z",
            "2025-13-01T12:05:00Z",
            "2025-02-30T12:05:00Z",
            "2025-06-01T25:05:00Z",
            "1969-06-01T12:05:00Z",
            "2025-06-01T12:05:00Z ",
            "Wed Oct 05 2011 16:48:00 GMT+0200 (CEST)",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
