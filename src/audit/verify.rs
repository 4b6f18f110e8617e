//! Whether a whole log is what was written, and whether every checkpoint in it holds.
//!
//! The chain alone shows accidents. Whoever can write the folder can compute it again from any place on;
//! what they cannot make is a checkpoint. So each is compared with the chain, and its signature is asked of
//! whoever calls. Checkpoints that are known from elsewhere show also that a log was cut off.

use std::collections::VecDeque;
use std::path::Path;

use serde::Serialize;

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

/// Reads and verifies a checkpoint; the error says why it does not hold.
pub type ReadCheckpoint<'a> = &'a dyn Fn(&Checkpoint) -> Result<Covered, String>;

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
}

/// Reads the log in `folder` from its beginning to its end. `known` are checkpoints from elsewhere, whose
/// signatures were verified.
///
/// # Errors
/// [`VerifyError`], with the first thing that is wrong.
pub fn verify(
    folder: &Path,
    read: ReadCheckpoint<'_>,
    known: &[Covered],
) -> Result<Report, VerifyError> {
    let segments = folder::segments(folder)?;
    let mut checkpoints =
        Checkpoints { read, known, recent: VecDeque::new(), count: 0, covered: 0 };
    let mut walk = Walk::default();
    for (place, segment) in segments.iter().enumerate() {
        let is_last = place + 1 == segments.len();
        walk.over(segment, is_last, &mut |record| checkpoints.see(record))
            .map_err(VerifyError::Fault)?;
    }
    walk.check_beginning(&segments).map_err(VerifyError::Fault)?;
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
        covered: checkpoints.covered,
        segments: segments.len() as u64,
        unfinished: walk.unfinished.map_or(0, |bytes| bytes.len() as u64),
    })
}

/// The checkpoints of a walk, compared with the chain.
struct Checkpoints<'a> {
    read: ReadCheckpoint<'a>,
    known: &'a [Covered],
    /// Hashes of the records since the last checkpoint's.
    recent: VecDeque<(u64, Hash)>,
    count: u64,
    covered: u64,
}

impl Checkpoints<'_> {
    fn see(&mut self, record: &Record) -> Result<(), Wrong> {
        let at = |known: &&Covered| known.seq == record.seq;
        if self.known.iter().filter(at).any(|known| known.hash != record.hash) {
            let why = "it is known from elsewhere with another hash";
            return Err(Wrong::Checkpoint(why.to_owned()));
        }
        if let Some(Event::Checkpoint(checkpoint)) = record.event() {
            let wrong = |why: &str| Wrong::Checkpoint(why.to_owned());
            let said = (self.read)(&checkpoint).map_err(Wrong::Checkpoint)?;
            if said.seq != checkpoint.upto || said.seq < self.covered || said.seq >= record.seq {
                return Err(wrong("it does not cover what its record says"));
            }
            // Of a log whose beginning was removed, the first may cover a record that is gone.
            let covered = self.recent.iter().find(|(seq, _)| *seq == said.seq);
            match covered {
                Some((_, hash)) if *hash != said.hash => {
                    return Err(wrong("the record that it covers has another hash"));
                }
                None if self.recent.front().is_some_and(|(first, _)| *first <= said.seq) => {
                    return Err(wrong("the record that it covers is not there"));
                }
                Some(_) | None => {}
            }
            self.recent.retain(|(seq, _)| *seq >= said.seq);
            (self.count, self.covered) = (self.count.saturating_add(1), said.seq);
        }
        self.recent.push_back((record.seq, record.hash));
        Ok(())
    }
}
