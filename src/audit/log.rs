//! The log on disk: how it is opened and repaired at a start, and how it is read while it is written.
//!
//! A start reads the last segment and where it joins the one before. A line that a crash left unfinished
//! is removed, and a record says so; anything else that is wrong refuses the start. `verify` reads it all.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use countersign_sdk::time::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::AuditError;
use super::anchor::Anchor;
use super::chain::{Fault, Walk, Wrong};
use super::event::{Event, LogReplaced, Repaired};
use super::folder::{self, OpenError, Segment, reach};
use super::record::{Hash, Record};
use super::retention::{self, Retention};
use super::stream::{Stream, Target};
use super::upkeep::ClockWatch;
use super::writer::{
    Active, Head, Job, SHARED_BY, Shared, Signed, Wanted, Writer, advance, own_job,
};
use crate::batch::{self, Entry, NotTaken};

/// How many events may wait for the writer; one more is refused.
const QUEUE: usize = 4096;

/// How a log is kept.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How long.
    pub retention: Retention,
    /// Where its lines go besides.
    pub stream: Option<Target>,
}

/// The open log; the last owner writes out what is queued.
#[derive(Debug)]
pub(super) struct Log {
    shared: Arc<Shared>,
    jobs: Option<Entry<Job>>,
    writer: Option<JoinHandle<()>>,
    /// Let go last.
    _lock: File,
}

impl Log {
    /// Opens the log in the data directory `directory`, and begins one if there is none. Blocks.
    pub(super) fn open(directory: &Path, options: &Options) -> Result<Self, OpenError> {
        let folder = directory.join(folder::FOLDER);
        let lock = folder::take(&folder)?;
        let anchor = Anchor::read(directory)?;
        let Found { active, head, anchored, repaired, replaced } = find(&folder, anchor)?;
        if anchor.is_none() && replaced.is_none() {
            // From here on a log without it is one that somebody has taken it from.
            Anchor::default().write(directory).map_err(reach(directory))?;
        }
        let stream = options.stream.as_ref().map(Stream::to).transpose()?;
        let shared = Arc::new(Shared::new(folder, head));
        let (jobs, queue) = batch::line(QUEUE, SHARED_BY);
        let writer = Writer {
            jobs: queue,
            shared: Arc::clone(&shared),
            active,
            retention: options.retention,
            stream,
            flush_by: None,
            now: head.time,
            replaced,
            anchored,
            unanchored: None,
            removal: None,
            clock: ClockWatch::default(),
            is_first_segment: true,
            runtime: Handle::try_current().ok(),
        };
        if let Some(repaired) = repaired
            && let Some(job) = own_job(&Event::Repaired(repaired), head.time)
        {
            tracing::warn!("the audit log ended in the middle of a line, which is removed");
            let _ = jobs.hand_over(job);
        }
        let thread = Builder::new().name("audit".to_owned()).spawn(move || writer.run());
        let writer = Some(thread.map_err(OpenError::Thread)?);
        Ok(Self { shared, jobs: Some(jobs), writer, _lock: lock })
    }

    pub(super) fn head(&self) -> Head {
        self.shared.head()
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.shared.folder.clone()
    }

    pub(super) fn check(&self) -> Result<(), AuditError> {
        if self.shared.has_failed() { Err(AuditError::Unavailable) } else { Ok(()) }
    }

    /// Queues an event; whoever waits is answered by the receiver.
    pub(super) fn queue(
        &self,
        event: &Event,
        time: Timestamp,
        wanted: Wanted,
    ) -> Result<oneshot::Receiver<Result<(), AuditError>>, AuditError> {
        self.check()?;
        let jobs = self.jobs.as_ref().ok_or(AuditError::Unavailable)?;
        let body = serde_json::value::to_raw_value(event).map_err(|_| AuditError::Unavailable)?;
        let checkpoint = Signed::by(event);
        let (answer, answered) = oneshot::channel();
        let job = Job { body, time, wanted, checkpoint, answer: Some(answer) };
        match jobs.hand_over(job) {
            Ok(()) => Ok(answered),
            Err(NotTaken::Full) => Err(AuditError::Full),
            Err(NotTaken::Gone) => Err(AuditError::Unavailable),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.jobs = None;
        // What is queued is written before anyone else may have the folder.
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the audit log's thread ended badly");
        }
    }
}

struct Found {
    active: Active,
    head: Head,
    /// What is known of this log outside of its folder.
    anchored: Anchor,
    repaired: Option<Repaired>,
    replaced: Option<LogReplaced>,
}

/// Finds the end of the log, and makes it one that can be added to.
fn find(folder: &Path, anchor: Option<Anchor>) -> Result<Found, OpenError> {
    let segments = folder::segments(folder)?;
    let Some((last, before)) = segments.split_last() else {
        let active = Active::make(folder, 1)?;
        let (head, anchored, replaced) = (Head::default(), Anchor::default(), replaced(anchor, 0));
        return Ok(Found { active, head, anchored, repaired: None, replaced });
    };
    let wrong = |fault| OpenError::Wrong { fault };
    let (mut walk, mut head) = (Walk::default(), Head::default());
    if let Some(before) = before.last() {
        head = end_of(before).map_err(wrong)?;
        walk.last = Some((head.seq, head.hash));
    }
    let mut began = None;
    walk.over(last, true, &mut |record| {
        began.get_or_insert(record.time);
        advance(&mut head, record, covered_by(record));
        Ok(())
    })
    .map_err(wrong)?;
    if before.is_empty() && walk.last.is_none() && last.first != 1 {
        let fault = Fault {
            seq: last.first,
            segment: last.path.display().to_string(),
            line: 1,
            wrong: Wrong::Beginning,
        };
        return Err(wrong(fault));
    }
    let first = first_record(&segments)?;
    // An empty log is not the one that was signed.
    let own = anchor.filter(|anchor| head.seq > 0 && !is_successor(first.as_ref(), *anchor));
    let anchored = own.unwrap_or_default();
    head.begins = match first {
        Some(first) => first.hash,
        None if is_trimmed(&segments) => anchored.begins,
        None => Hash::BEGINNING,
    };
    check_anchor(&segments, anchored, head.begins)?;
    let replaced = replaced(anchor, head.seq);
    let file = OpenOptions::new().write(true).open(&last.path).map_err(reach(&last.path))?;
    let repaired = walk
        .unfinished
        .map(|bytes| Repaired { bytes: bytes.len() as u64, digest: Hash::of(&[&bytes]).to_hex() });
    if repaired.is_some() {
        file.set_len(walk.end).and_then(|()| file.sync_all()).map_err(reach(&last.path))?;
    }
    let began = began.unwrap_or_default();
    let active = Active { file, began, length: walk.end, unflushed: Vec::new() };
    Ok(Found { active, head, anchored, repaired, replaced })
}

/// What a log that ends with the record `last` is in the place of.
fn replaced(anchor: Option<Anchor>, last: u64) -> Option<LogReplaced> {
    let Anchor { seq, hash, .. } = match (anchor, last) {
        // One that was moved away, signed or not.
        (Some(anchor), 0) if anchor != Anchor::default() => anchor,
        (Some(_), _) | (None, 0) => return None,
        (None, _) => Anchor::default(),
    };
    Some(LogReplaced { seq, hash })
}

/// Whether the retention has removed the log's first record.
fn is_trimmed(segments: &[Segment]) -> bool {
    segments.first().is_some_and(|segment| segment.first > 1)
}

/// The log's first record, where it is there and can be read.
fn first_record(segments: &[Segment]) -> Result<Option<Record>, OpenError> {
    match segments.first() {
        Some(first) if !is_trimmed(segments) => retention::first_record(&first.path),
        Some(_) | None => Ok(None),
    }
}

/// Whether a log begins with the record that it is in the place of the one that `anchor` is of: the server ended, or
/// could not write beside the folder, before `anchor` was one of this log. The record is the trace of the other.
fn is_successor(first: Option<&Record>, anchor: Anchor) -> bool {
    let told = first.filter(|first| first.hash != anchor.begins).and_then(Record::event);
    let Some(Event::LogReplaced(LogReplaced { seq, hash })) = told else { return false };
    (seq, hash) == (anchor.seq, anchor.hash)
}

/// Whether the record that was signed last is there as it was, and the log begins as it did; where none was signed yet,
/// whether the first one is there.
fn check_anchor(segments: &[Segment], anchor: Anchor, begins: Hash) -> Result<(), OpenError> {
    if anchor == Anchor::default() {
        return Ok(());
    }
    let anchor = match anchor.seq {
        0 => Anchor { seq: 1, hash: anchor.begins, ..anchor },
        _ => anchor,
    };
    let holds = segments.partition_point(|segment| segment.first <= anchor.seq);
    let wanted = segments.get(holds.saturating_sub(1)..).unwrap_or_default();
    let (mut walk, mut hash) = (Walk::default(), None);
    for (place, segment) in wanted.iter().enumerate() {
        walk.over(segment, place + 1 == wanted.len(), &mut |record| {
            if record.seq == anchor.seq {
                hash = Some(record.hash);
            }
            Ok(())
        })
        .map_err(|fault| OpenError::Wrong { fault })?;
    }
    match hash {
        Some(hash) if hash == anchor.hash => {}
        Some(_) | None => return Err(OpenError::Replaced { seq: anchor.seq }),
    }
    // What lies between is read by `verify` alone, so the first record can be another one and all of this be right.
    if anchor.begins != Hash::BEGINNING && anchor.begins != begins {
        return Err(OpenError::Replaced { seq: 1 });
    }
    Ok(())
}

/// The end of a segment that is closed.
fn end_of(segment: &Segment) -> Result<Head, Fault> {
    let mut head = Head::default();
    Walk::default().over(segment, false, &mut |record| {
        advance(&mut head, record, covered_by(record));
        Ok(())
    })?;
    Ok(head)
}

fn covered_by(record: &Record) -> Option<Signed> {
    record.event().as_ref().and_then(Signed::by)
}
