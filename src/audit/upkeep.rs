//! What the writer does besides writing: it keeps what was signed last beside the folder, and lets old segments go.
//!
//! Nothing goes before a checkpoint covers the record of it, nothing that the retention keeps goes to make
//! room, and nothing goes by a clock that has just jumped.

use std::io;
use std::time::Duration;

use countersign_sdk::time::Timestamp;

use super::anchor::{self, Anchor};
use super::event::Event;
use super::retention;
use super::writer::{Writer, now, own_job};

/// A clock that is so many seconds away from the newest record's may be wrong.
const JUMP: u64 = 86_400;
/// How long nothing is removed then.
const SETTLED: Duration = Duration::from_secs(86_400);

impl Writer {
    /// Records, where this log is in the place of another one, that it is.
    pub(super) fn tell_replaced(&mut self) -> io::Result<()> {
        let Some(replaced) = self.replaced else { return Ok(()) };
        let Some(job) = own_job(&Event::LogReplaced(replaced), self.now) else { return Ok(()) };
        self.write(&[job])?;
        self.replaced = None;
        self.write_anchor();
        Ok(())
    }

    /// Keeps outside of the folder what was signed last, and how the log begins as soon as that is flushed; then what
    /// had to be signed before it goes is removed.
    pub(super) fn anchor(&mut self) {
        let head = self.shared.head();
        let has_begun = head.begins != self.anchored.begins && self.active.unflushed.is_empty();
        if head.covered > self.anchored.seq || has_begun {
            self.write_anchor();
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

    fn write_anchor(&mut self) {
        let anchor = Anchor::of(&self.shared.head());
        match anchor.write(&anchor::beside(&self.shared.folder)) {
            Ok(()) => self.anchored = anchor,
            // The one of before still holds; the next checkpoint tries again.
            Err(error) => {
                tracing::error!(%error, "what was signed of the audit log is not kept beside it");
            }
        }
    }

    /// Takes the time of an event. A clock that jumps may be wrong, and for a day nothing is removed by it.
    pub(super) fn look_at_clock(&mut self, time: Timestamp) {
        let last = self.shared.head();
        let apart = time.since(last.time).max(last.time.since(time));
        if last.seq > 0 && apart > JUMP {
            tracing::warn!(seconds = apart, "the clock is far from the newest audit record's");
            self.jumped = Some(now());
        }
        self.now = time;
    }

    /// Records which of the oldest segments go, as the retention says. They go when that is signed.
    ///
    /// # Errors
    /// Of writing that, after which the file has to be put right.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        let settled = self.jumped.is_none_or(|jumped| now().duration_since(jumped) >= SETTLED);
        if self.removal.is_some() || !settled {
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
