//! What the writer does besides writing: it keeps what was signed last beside the folder, and lets old segments go.
//!
//! Nothing goes before a checkpoint covers the record of it, nothing that the retention keeps goes to make
//! room, and nothing goes by a clock that has just jumped.

use std::io;
use std::time::Duration;

use countersign_sdk::time::Timestamp;
use tokio::time::Instant;

use super::anchor::{self, Anchor};
use super::event::Event;
use super::retention;
use super::writer::{Writer, now, own_job};

/// A clock that is so many seconds away from where it should be may be wrong.
const JUMP: u64 = 86_400;
/// How long nothing is removed then.
const SETTLED: Duration = Duration::from_secs(86_400);

/// Whether the clock can be believed: it goes as fast as the machine's own count of seconds. Of a process that has
/// just begun only the newest record tells what time it was before.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    /// The newest event's time, and when it came.
    seen: Option<(Timestamp, Instant)>,
    /// When the clock was last seen to jump.
    jumped: Option<Instant>,
}

impl ClockWatch {
    /// Takes the time of an event that came at `at`, after the newest record, of `last`. Tells by how many seconds
    /// it jumped.
    fn look(&mut self, time: Timestamp, last: Option<Timestamp>, at: Instant) -> Option<u64> {
        let passed = |then: Instant| at.duration_since(then).as_secs();
        let expected = self.seen.map(|(seen, then)| seen.plus(passed(then))).or(last);
        self.seen = Some((time, at));
        let apart = expected.map_or(0, |expected| time.since(expected).max(expected.since(time)));
        if apart <= JUMP {
            return None;
        }
        self.jumped = Some(at);
        Some(apart)
    }

    fn is_settled(&self, at: Instant) -> bool {
        self.jumped.is_none_or(|jumped| at.duration_since(jumped) >= SETTLED)
    }
}

impl Writer {
    /// Records, where this log is in the place of another one, that it is.
    pub(super) fn tell_replaced(&mut self) -> io::Result<()> {
        let Some(replaced) = self.replaced else { return Ok(()) };
        let Some(job) = own_job(&Event::LogReplaced(replaced), self.now) else { return Ok(()) };
        self.write(&[job])?;
        self.replaced = None;
        self.write_anchor(Anchor::of(&self.shared.head()));
        Ok(())
    }

    /// Keeps outside of the folder what was signed last, and how the log begins as soon as that is flushed; then what
    /// had to be signed before it goes is removed.
    pub(super) fn anchor(&mut self) {
        let head = self.shared.head();
        let has_begun = head.begins != self.anchored.begins && self.active.unflushed.is_empty();
        let due = match has_begun {
            _ if head.covered > self.anchored.seq => Some(Anchor::of(&head)),
            // What was signed last is never taken back: the newest segments may hold no checkpoint.
            true => Some(Anchor { begins: head.begins, ..self.anchored }),
            false => None,
        };
        // What could not be kept is tried again after the next checkpoint, and not at each record.
        if let Some(anchor) = due
            && self.unanchored != Some(head.checkpoint)
        {
            self.write_anchor(anchor);
        }
        if self.removal.as_ref().is_some_and(|(told, _)| *told <= self.anchored.seq)
            && let Some((_, removal)) = self.removal.take()
        {
            match retention::remove(&removal) {
                Ok(()) => {
                    tracing::info!(begins = removal.event.begins, "old audit records were removed");
                }
                Err(error) => tracing::error!(%error, "old audit records were not removed"),
            }
        }
    }

    fn write_anchor(&mut self, anchor: Anchor) {
        match anchor.write(&anchor::beside(&self.shared.folder)) {
            Ok(()) => (self.anchored, self.unanchored) = (anchor, None),
            // The one of before still holds.
            Err(error) => {
                self.unanchored = Some(self.shared.head().checkpoint);
                tracing::error!(%error, "what was signed of the audit log is not kept beside it");
            }
        }
    }

    /// Takes the time of an event. A clock that jumps may be wrong, and for a day nothing is removed by it.
    pub(super) fn look_at_clock(&mut self, time: Timestamp) {
        let head = self.shared.head();
        let last = (head.seq > 0).then_some(head.time);
        if let Some(apart) = self.clock.look(time, last, now()) {
            tracing::warn!(seconds = apart, "the clock is far from where it was before");
        }
        self.now = time;
    }

    /// Records which of the oldest segments go, as the retention says. They go when that is signed.
    ///
    /// # Errors
    /// Of writing that, after which the file has to be put right.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        if self.removal.is_some() || !self.clock.is_settled(now()) {
            return Ok(());
        }
        let trimmed = match retention::due(&self.shared.folder, self.retention, self.now) {
            Ok(due) if due.removal.is_some() => due.removal,
            Ok(_) => return Ok(()),
            Err(error) => {
                tracing::error!(%error, "old audit records could not be looked at");
                return Ok(());
            }
        };
        let Some(trimmed) = trimmed else { return Ok(()) };
        let Some(job) = own_job(&Event::Trimmed(trimmed.event.clone()), self.now) else {
            return Ok(());
        };
        self.write(&[job])?;
        self.removal = Some((self.shared.head().seq, trimmed));
        Ok(())
    }

    /// Whether the log may grow. What the retention keeps is kept: a log that has become as large as it may is one
    /// that cannot be written, or whoever signs in often enough would have the records of others removed. The
    /// first segment of a process has room all the same: a log that is full keeps no server from starting, which
    /// has more to do than to sign people in.
    pub(super) fn check_room(&mut self) -> io::Result<()> {
        let is_first = std::mem::take(&mut self.is_first_segment);
        let due = retention::due(&self.shared.folder, self.retention, self.now);
        if due.map_err(io::Error::other)?.is_over && !is_first {
            let full = "the log is as large as audit.max_bytes allows, and nothing in it is older than \
                        audit.retention_days";
            return Err(io::Error::new(io::ErrorKind::StorageFull, full));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_server_is_no_clock_that_jumps() {
        let (began, start) = (Timestamp::from_unix(1_700_000_000), now());
        let mut clock = ClockWatch::default();
        assert_eq!(clock.look(began, None, start), None);
        let week = 7 * 86_400;
        let at = start + Duration::from_secs(week);
        assert_eq!(clock.look(began.plus(week), Some(began), at), None, "a record a week");
        assert!(clock.is_settled(at));
        let wrong = began.plus(week + JUMP + 2);
        assert_eq!(clock.look(wrong, None, at + Duration::from_secs(1)), Some(JUMP + 1));
        assert!(!clock.is_settled(at + Duration::from_secs(86_400)));
        assert!(clock.is_settled(at + Duration::from_secs(86_401)));
        // Of a process that has just begun, only the newest record tells.
        let mut clock = ClockWatch::default();
        assert_eq!(clock.look(began.plus(week), Some(began), start), Some(week));
    }
}
