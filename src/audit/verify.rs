//! Whether a whole log is what was written, and whether every checkpoint in it holds.
//!
//! The chain alone shows accidents. Whoever can write the folder can compute it again from any place on;
//! what they cannot make is a checkpoint. So each is compared with the chain, and its signature is asked of
//! whoever calls. Checkpoints that are known from elsewhere show also that a log was cut off.

use std::collections::VecDeque;
use std::path::Path;

use countersign_sdk::time::Timestamp;
use serde::Serialize;

use super::anchor::Anchor;
use super::chain::{Fault, Walk, Wrong};
use super::event::{Checkpoint, Event};
use super::folder::{self, OpenError};
use super::record::{Hash, Record};

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The last record that it covers.
    pub seq: u64,
    /// That record's hash.
    pub hash: Hash,
}

/// All that a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What it covers.
    pub covers: Covered,
    /// What the one before it covers: 0 and zeros where there is none.
    pub after: Covered,
    /// The hash of the log's first record.
    pub begins: Hash,
    /// When it was signed.
    pub at: Timestamp,
}

/// Reads and verifies a checkpoint; the error says why it does not hold.
pub type ReadCheckpoint<'a> = &'a dyn Fn(&Checkpoint) -> Result<Said, String>;

/// How much may stand in a log between two checkpoints, or after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gaps {
    /// So many records.
    pub records: u64,
    /// So many seconds in which a server ran.
    pub seconds: u64,
}

/// What was found in a log that is as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The first record that is left.
    pub first: u64,
    /// The last record, 0 in an empty log.
    pub last: u64,
    /// The last record's hash.
    pub hash: String,
    /// How many checkpoints hold.
    pub checkpoints: u64,
    /// The last record that a checkpoint covers.
    pub covered: u64,
    /// The most records that stand between two checkpoints, or after the last.
    pub largest_gap_records: u64,
    /// The longest time, in seconds, that a record of a running server waited for a checkpoint.
    pub largest_gap_seconds: u64,
    /// Where the server found another log than the one that it had signed.
    pub replaced: Vec<u64>,
    /// How many files there are.
    pub segments: u64,
    /// How many bytes an unfinished line at the end has. A server may be writing it; otherwise a crash left
    /// it, or somebody cut it, and the next start removes it and says so.
    pub unfinished: u64,
}

/// Why a log is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// The first thing that is wrong.
    #[error("{0}")]
    Fault(Fault),
    /// It is whole, and too much of it is not signed.
    #[error(
        "no checkpoint covers records {} to {to} soon enough ({} records, {seconds} seconds): a log that was computed \
         again looks so, and one whose server could not sign. The bounds are --gap-records and --gap-seconds",
        after.saturating_add(1),
        to.saturating_sub(*after)
    )]
    Gap {
        /// The last record before.
        after: u64,
        /// The last record that no checkpoint covers, or not soon enough.
        to: u64,
        /// How long a record of it waited.
        seconds: u64,
    },
    /// The log begins where a record says, and that record is not signed.
    #[error(
        "the log begins with record {first}, and no checkpoint covers the record that says so: the server removes old \
         records only then"
    )]
    Trimmed {
        /// The first record.
        first: u64,
    },
}

/// What `DIR/audit.signed` in the data directory says: the record that was signed last, and how the log began. Of a log
/// that was begun anew it may still be what was before. `None` where there is no such file.
///
/// # Errors
/// [`OpenError`] when it cannot be read.
pub fn kept_beside(directory: &Path) -> Result<Option<Vec<Covered>>, OpenError> {
    let said = |anchor: Anchor| {
        let signed = Covered { seq: anchor.seq, hash: anchor.hash };
        let began = Covered { seq: 1, hash: anchor.begins };
        [signed, began].into_iter().filter(|said| said.hash != Hash::BEGINNING).collect()
    };
    Ok(Anchor::read(directory)?.map(said))
}

/// Reads the log in `folder` from its beginning to its end. `known` are checkpoints from elsewhere, whose
/// signatures were verified; more between checkpoints than `gaps` is an error.
///
/// # Errors
/// [`VerifyError`], with the first thing that is wrong.
pub fn verify(
    folder: &Path,
    read: ReadCheckpoint<'_>,
    known: &[Covered],
    gaps: Gaps,
) -> Result<Report, VerifyError> {
    let segments = folder::segments(folder)?;
    let mut checkpoints = Checkpoints {
        read,
        known,
        gaps,
        recent: VecDeque::new(),
        count: 0,
        covered: None,
        begins: None,
        waits_since: None,
        waited: 0,
        trimmed: Vec::new(),
        may_begin: None,
        largest: Gaps { records: 0, seconds: 0 },
        too_large: None,
        last_at: Timestamp::default(),
        replaced: Vec::new(),
    };
    let mut walk = Walk::default();
    for (place, segment) in segments.iter().enumerate() {
        let is_last = place + 1 == segments.len();
        walk.over(segment, is_last, &mut |record| checkpoints.see(record))
            .map_err(VerifyError::Fault)?;
    }
    walk.check_beginning(&segments).map_err(VerifyError::Fault)?;
    checkpoints.end(walk.first.map(|(first, _)| first), walk.last)?;
    let (last, hash) = walk.last.unwrap_or((0, Hash::BEGINNING));
    if let Some(later) = known.iter().map(|known| known.seq).filter(|seq| *seq > last).min() {
        let name = segments.last().and_then(|segment| segment.path.file_name());
        return Err(VerifyError::Fault(Fault {
            seq: last.saturating_add(1),
            segment: name.unwrap_or_default().to_string_lossy().into_owned(),
            line: 1,
            wrong: Wrong::Truncated(later),
        }));
    }
    Ok(Report {
        first: walk.first.map_or(0, |(seq, _)| seq),
        last,
        hash: hash.to_string(),
        checkpoints: checkpoints.count,
        covered: checkpoints.covered.map_or(0, |covered| covered.seq),
        largest_gap_records: checkpoints.largest.records,
        largest_gap_seconds: checkpoints.largest.seconds,
        replaced: checkpoints.replaced,
        segments: segments.len() as u64,
        unfinished: walk.unfinished.map_or(0, |bytes| bytes.len() as u64),
    })
}

/// The checkpoints of a walk, compared with the chain.
struct Checkpoints<'a> {
    read: ReadCheckpoint<'a>,
    known: &'a [Covered],
    gaps: Gaps,
    /// Hashes of the records since the last checkpoint's.
    recent: VecDeque<(u64, Hash)>,
    count: u64,
    covered: Option<Covered>,
    begins: Option<Hash>,
    /// Since when a record waits for a checkpoint in this run of a server, which could have made one.
    waits_since: Option<Timestamp>,
    /// How many seconds one waited in the runs before, without one.
    waited: u64,
    /// The records of removals that no checkpoint covers yet, and where each says that the log begins.
    trimmed: Vec<(u64, u64)>,
    /// Where the last one says so that a checkpoint covers.
    may_begin: Option<u64>,
    largest: Gaps,
    too_large: Option<VerifyError>,
    /// The newest record's time.
    last_at: Timestamp,
    replaced: Vec<u64>,
}

impl Checkpoints<'_> {
    fn see(&mut self, record: &Record) -> Result<(), Wrong> {
        let at = |known: &&Covered| known.seq == record.seq;
        if self.known.iter().filter(at).any(|known| known.hash != record.hash) {
            let why = "it is known from elsewhere with another hash";
            return Err(Wrong::Checkpoint(why.to_owned()));
        }
        if record.seq == 1 {
            self.begins = Some(record.hash);
        }
        match record.event() {
            Some(Event::Checkpoint(checkpoint)) => self.hold(&checkpoint, record)?,
            event => self.wait(record, event.as_ref()),
        }
        self.last_at = record.time;
        self.recent.push_back((record.seq, record.hash));
        Ok(())
    }

    /// A record that waits for a checkpoint.
    fn wait(&mut self, record: &Record, event: Option<&Event>) {
        match event {
            // Since the record before, there was nobody who could sign.
            Some(Event::Started(_)) => {
                let since = self.waits_since.unwrap_or(self.last_at);
                self.waited = self.waited.saturating_add(self.last_at.since(since));
                self.waits_since = Some(record.time);
            }
            Some(Event::Trimmed(trimmed)) => self.trimmed.push((record.seq, trimmed.begins)),
            Some(Event::LogReplaced(_)) => self.replaced.push(record.seq),
            Some(_) | None => {}
        }
        self.waits_since.get_or_insert(record.time);
    }

    fn hold(&mut self, checkpoint: &Checkpoint, record: &Record) -> Result<(), Wrong> {
        let wrong = |why: &str| Err(Wrong::Checkpoint(why.to_owned()));
        let Said { covers, after, begins, at } =
            (self.read)(checkpoint).map_err(Wrong::Checkpoint)?;
        let before = self.covered.as_ref().map_or(0, |covered| covered.seq);
        if (covers.seq, covers.hash) != (checkpoint.upto, checkpoint.hash)
            || covers.seq < before
            || covers.seq >= record.seq
            || at != record.time
        {
            return wrong("it does not cover what its record says");
        }
        // Of a log whose beginning was removed, the first may cover a record that is gone.
        let found = self.recent.iter().find(|(seq, _)| *seq == covers.seq);
        match found {
            Some((_, hash)) if *hash != covers.hash => {
                return wrong("the record that it covers has another hash");
            }
            None if self.recent.front().is_some_and(|(first, _)| *first <= covers.seq) => {
                return wrong("the record that it covers is not there");
            }
            Some(_) | None => {}
        }
        let is_first = self.recent.front().is_some_and(|(first, _)| *first == 1);
        let continues = match &self.covered {
            Some(before) => after == *before,
            None if is_first => after == Covered { seq: 0, hash: Hash::BEGINNING },
            None => after.seq < covers.seq,
        };
        if !continues {
            return wrong("it follows another checkpoint than the one before it: one was left out");
        }
        if *self.begins.get_or_insert(begins) != begins {
            return wrong("it is of a log that begins otherwise");
        }
        self.gap(after.seq, covers.seq, at);
        self.recent.retain(|(seq, _)| *seq >= covers.seq);
        // Records that came while it was signed wait for the next.
        self.waited = 0;
        self.waits_since = (covers.seq.saturating_add(1) < record.seq).then_some(record.time);
        let signed = self.trimmed.partition_point(|(told, _)| *told <= covers.seq);
        self.may_begin =
            self.trimmed.drain(..signed).next_back().map(|(_, at)| at).or(self.may_begin);
        (self.count, self.covered) = (self.count.saturating_add(1), Some(covers));
        Ok(())
    }

    /// What stood between two checkpoints, or after the last.
    fn gap(&mut self, after: u64, to: u64, at: Timestamp) {
        let now = self.waits_since.map_or(0, |since| at.since(since));
        let seconds = self.waited.saturating_add(now);
        let records = to.saturating_sub(after);
        self.largest.records = self.largest.records.max(records);
        self.largest.seconds = self.largest.seconds.max(seconds);
        if records > self.gaps.records || seconds > self.gaps.seconds {
            self.too_large.get_or_insert(VerifyError::Gap { after, to, seconds });
        }
    }

    fn end(&mut self, first: Option<u64>, last: Option<(u64, Hash)>) -> Result<(), VerifyError> {
        let (Some(first), Some((last, _))) = (first, last) else { return Ok(()) };
        let covered = self.covered.as_ref().map_or(first.saturating_sub(1), |covered| covered.seq);
        if self.waits_since.is_some() {
            self.gap(covered, last, self.last_at);
        }
        if first > 1 && self.may_begin.is_none_or(|begins| first > begins) {
            return Err(VerifyError::Trimmed { first });
        }
        self.too_large.take().map_or(Ok(()), Err)
    }
}
