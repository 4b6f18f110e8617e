//! One thread writes the log: whatever is queued goes into one write, and into one flush for those who ask for it.
//!
//! Everything that was written is flushed within a second. What was written and not flushed yet is kept
//! in memory, so that after a fault of the disk it is written once more: a flush that failed may have lost
//! any of it. While the log cannot be written, nothing is taken.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, io};

use countersign_sdk::time::Timestamp;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::AuditError;
use super::anchor::Anchor;
use super::event::{Event, LogReplaced, Resumed};
use super::folder::{self, OpenError, Segment};
use super::record::{Hash, MAX_LINE, Record, leaf};
use super::retention::{Removal, Retention};
use super::stream::Stream;
use super::upkeep::ClockWatch;
use crate::batch::{self, Batches, NoBatch, Sizes};

/// How many events share a write.
pub(super) const SHARED_BY: Sizes =
    Sizes { most: 512, crowd: 16, enough: 32, gather: Duration::from_millis(2) };
/// How long something that was written may wait for its flush.
const FLUSH_WITHIN: Duration = Duration::from_millis(500);
/// A segment of this size, in bytes, is the last that is added to it.
pub(super) const SEGMENT_BYTES: u64 = 32 * 1024 * 1024;
/// A segment that began so many seconds ago is closed, so that the retention can count in days.
const SEGMENT_SECONDS: u64 = 86_400;
/// More bytes that are not flushed than this are flushed at once.
const MOST_UNFLUSHED: usize = 4 * 1024 * 1024;
/// How long after a fault the log is tried again, and how long at most.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// What whoever hands over an event waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// That it is in the file.
    Written,
    /// That it is flushed.
    Flushed,
}

/// An event on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) body: Box<RawValue>,
    pub(super) time: Timestamp,
    pub(super) wanted: Wanted,
    pub(super) checkpoint: Option<Signed>,
    /// `None` where nobody waits.
    pub(super) answer: Option<oneshot::Sender<Result<(), AuditError>>>,
}

/// The end of the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head {
    /// The last record's place, 0 in an empty log.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
    /// When it was made.
    pub time: Timestamp,
    /// The last checkpoint's own place, 0 without one.
    pub checkpoint: u64,
    /// The last record that it covers.
    pub covered: u64,
    /// The hash of that record.
    pub covered_hash: Hash,
    /// When it was made.
    pub checkpoint_at: Timestamp,
    /// The hash of the log's first record, all zeros in an empty log.
    pub begins: Hash,
}

/// What a checkpoint covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed {
    seq: u64,
    hash: Hash,
}

impl Signed {
    /// Of an event that is a checkpoint.
    pub(super) const fn by(event: &Event) -> Option<Self> {
        match event {
            Event::Checkpoint(checkpoint) => {
                Some(Self { seq: checkpoint.upto, hash: checkpoint.hash })
            }
            _ => None,
        }
    }
}

/// What the writer and its callers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    head: Mutex<Head>,
    failed: AtomicBool,
}

impl Shared {
    pub(super) const fn new(folder: PathBuf, head: Head) -> Self {
        Self { folder, head: Mutex::new(head), failed: AtomicBool::new(false) }
    }

    pub(super) fn head(&self) -> Head {
        *self.lock()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The segment that is added to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: File,
    pub(super) began: Timestamp,
    /// The bytes of whole records in it.
    pub(super) length: u64,
    /// Of these, the last ones that are not known to be flushed.
    pub(super) unflushed: Vec<u8>,
}

impl Active {
    /// Makes a segment, which must not exist.
    pub(super) fn make(folder: &std::path::Path, first: u64) -> Result<Self, OpenError> {
        let segment = Segment::at(folder, first);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&segment.path).map_err(folder::reach(&segment.path))?;
        folder::sync(folder)?;
        Ok(Self { file, began: Timestamp::default(), length: 0, unflushed: Vec::new() })
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all_at(lines, self.length)
    }

    /// Those that were written count as records of the log.
    fn accept(&mut self, lines: &[u8]) {
        self.length = self.length.saturating_add(lines.len() as u64);
        self.unflushed.extend_from_slice(lines);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.unflushed.clear();
        Ok(())
    }

    /// Makes the file what it should be, whatever became of the last writes.
    fn restore(&mut self) -> io::Result<()> {
        let flushed = self.length.saturating_sub(self.unflushed.len() as u64);
        self.file.write_all_at(&self.unflushed, flushed)?;
        self.file.set_len(self.length)?;
        self.flush()
    }
}

/// The thread's own.
pub(super) struct Writer {
    pub(super) jobs: Batches<Job>,
    pub(super) shared: Arc<Shared>,
    pub(super) active: Active,
    pub(super) retention: Retention,
    pub(super) stream: Option<Stream>,
    pub(super) flush_by: Option<Instant>,
    /// The moment of the newest event.
    pub(super) now: Timestamp,
    /// What this log is in the place of, until that is recorded.
    pub(super) replaced: Option<LogReplaced>,
    /// What is known outside of the folder: the last record that is signed, and how the log begins.
    pub(super) anchored: Anchor,
    /// The checkpoint after which that could not be kept there, until it is.
    pub(super) unanchored: Option<u64>,
    /// What is removed as soon as a checkpoint covers the record of it.
    pub(super) removal: Option<(u64, Removal)>,
    /// Whether the clock can be believed.
    pub(super) clock: ClockWatch,
    /// Whether this process has begun no segment yet.
    pub(super) is_first_segment: bool,
    /// Where those wait who handed over an event; none where they are no tasks.
    pub(super) runtime: Option<Handle>,
}

impl Writer {
    /// Writes until nobody is left who could hand over an event.
    pub(super) fn run(mut self) {
        loop {
            let in_time = self.flush_by.map(|by| by.saturating_duration_since(now()));
            match self.jobs.take(in_time) {
                Ok(batch) => self.take(batch),
                Err(NoBatch::Timeout) => {}
                Err(NoBatch::Over) => break,
            }
            if self.flush_by.is_some_and(|by| by <= now()) {
                self.flush();
            }
        }
        if let Err(error) = self.active.flush() {
            tracing::error!(%error, "the end of the audit log could not be flushed");
        }
    }

    fn take(&mut self, batch: Vec<Job>) {
        let latest = batch.iter().map(|job| job.time).max();
        self.look_at_clock(latest.unwrap_or_default());
        let written = self
            .begin_segment()
            .and_then(|()| self.tell_replaced())
            .and_then(|()| self.write(&batch));
        match written {
            Ok(refused) => {
                batch::answer(self.runtime.as_ref(), move || {
                    for (job, refused) in batch.into_iter().zip(refused) {
                        answer(job, if refused { Err(AuditError::TooLong) } else { Ok(()) });
                    }
                });
                self.anchor();
            }
            Err(error) => {
                self.failed(&error);
                for job in batch {
                    answer(job, Err(AuditError::Unavailable));
                }
                self.recover();
            }
        }
    }

    /// Writes a batch, and flushes it where somebody wants that; nothing of it counts if either fails. Tells
    /// of each whether it is no record: one that is longer than any may be.
    pub(super) fn write(&mut self, batch: &[Job]) -> io::Result<Vec<bool>> {
        let (mut head, mut lines) = (self.shared.head(), Vec::new());
        let mut refused = Vec::with_capacity(batch.len());
        for job in batch {
            let record = following(&head, job);
            let line = record.line();
            refused.push(line.len() > MAX_LINE);
            if line.len() > MAX_LINE {
                tracing::error!(bytes = line.len(), "an audit event is too long to be recorded");
                continue;
            }
            advance(&mut head, &record, job.checkpoint);
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
        }
        self.active.write(&lines)?;
        if batch.iter().any(|job| job.wanted == Wanted::Flushed) {
            // What was written before counts already; of this batch nobody has been told anything.
            self.active.file.sync_data()?;
            self.active.unflushed.clear();
            self.active.length = self.active.length.saturating_add(lines.len() as u64);
            self.flush_by = None;
        } else {
            self.active.accept(&lines);
            self.flush_by.get_or_insert_with(|| now() + FLUSH_WITHIN);
            if self.active.unflushed.len() > MOST_UNFLUSHED {
                self.flush_by = Some(now());
            }
        }
        if self.active.began == Timestamp::default() {
            self.active.began = self.now;
        }
        *self.shared.lock() = head;
        if let Some(stream) = &mut self.stream {
            stream.send(lines);
        }
        Ok(refused)
    }

    fn flush(&mut self) {
        self.flush_by = None;
        if let Err(error) = self.active.flush() {
            self.failed(&error);
            self.recover();
        }
    }

    /// Closes a segment that is full or a day old, and begins the next.
    fn begin_segment(&mut self) -> io::Result<()> {
        let Active { length, began, .. } = self.active;
        let old = length > 0 && self.now.since(began) >= SEGMENT_SECONDS;
        if length < SEGMENT_BYTES && !old {
            return Ok(());
        }
        self.check_room()?;
        self.active.flush()?;
        self.flush_by = None;
        let next = self.shared.head().seq.saturating_add(1);
        let path = Segment::at(&self.shared.folder, next).path;
        // One that is there was begun and never written, or this place would be taken.
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.len() == 0 => fs::remove_file(&path)?,
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => {}
        }
        self.active = Active::make(&self.shared.folder, next).map_err(io::Error::other)?;
        self.trim()
    }

    fn failed(&self, error: &io::Error) {
        self.shared.failed.store(true, Ordering::Release);
        tracing::error!(%error, "the audit log cannot be written; see audit.on_failure");
    }

    /// Refuses whatever comes until the file is as it should be and takes a record.
    fn recover(&mut self) {
        let (since, at, mut retry) = (self.now, now(), FIRST_RETRY);
        loop {
            match self.jobs.take(Some(retry)) {
                Ok(batch) => {
                    for job in batch {
                        self.now = job.time;
                        answer(job, Err(AuditError::Unavailable));
                    }
                    continue;
                }
                Err(NoBatch::Timeout) => {}
                Err(NoBatch::Over) => return,
            }
            // Nobody hands over an event meanwhile, and what becomes old enough to go does so by the clock.
            self.now = self.now.max(since.plus(now().duration_since(at).as_secs()));
            let restored = self
                .active
                .restore()
                .and_then(|()| self.begin_segment())
                .and_then(|()| self.tell_replaced())
                .and_then(|()| {
                    let job = own_job(&Event::Resumed(Resumed { since }), self.now);
                    job.map_or(Ok(()), |job| self.write(&[job]).map(|_| ()))
                });
            match restored {
                Ok(()) => {
                    self.shared.failed.store(false, Ordering::Release);
                    tracing::warn!("the audit log is written again");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the audit log cannot be written yet");
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
    }
}

fn answer(job: Job, answer: Result<(), AuditError>) {
    if let Some(waits) = job.answer {
        // Whoever does not wait any more is not told.
        let _ = waits.send(answer);
    }
}

/// An event of the log's own, which is flushed at once.
pub(super) fn own_job(event: &Event, time: Timestamp) -> Option<Job> {
    let body = serde_json::value::to_raw_value(event).ok()?;
    Some(Job { body, time, wanted: Wanted::Flushed, checkpoint: None, answer: None })
}

fn following(head: &Head, job: &Job) -> Record {
    let (seq, prev) = (head.seq.saturating_add(1), head.hash);
    let hash = prev.then(leaf(seq, job.time, job.body.get()));
    Record { seq, time: job.time, prev, body: job.body.clone(), hash }
}

pub(super) const fn advance(head: &mut Head, record: &Record, covers: Option<Signed>) {
    (head.seq, head.hash, head.time) = (record.seq, record.hash, record.time);
    if record.seq == 1 {
        head.begins = record.hash;
    }
    if let Some(covered) = covers {
        head.checkpoint = record.seq;
        (head.covered, head.covered_hash) = (covered.seq, covered.hash);
        head.checkpoint_at = record.time;
    }
}

/// Only for when to flush; no decision hangs on it.
pub(super) fn now() -> Instant {
    Instant::now()
}
