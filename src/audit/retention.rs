//! Which of the oldest segments the retention removes: whole ones, and never the one that is written.
//!
//! The record of a removal comes first and is flushed, and says where the log begins then. A crash in between leaves
//! more than it says, never less.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use countersign_sdk::time::Timestamp;

use super::chain::{Line, Lines, record_of};
use super::event::Trimmed;
use super::folder::{self, OpenError, Segment};
use super::record::Record;

/// How long records are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// For so many seconds at least; `None` for ever.
    pub seconds: Option<u64>,
    /// The most bytes of the whole log; `None` without bound.
    pub bytes: Option<u64>,
}

/// What is to be removed.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) event: Trimmed,
    folder: PathBuf,
    segments: Vec<Segment>,
}

/// What the retention removes now.
///
/// # Errors
/// [`OpenError`].
pub(super) fn due(
    folder: &Path,
    retention: Retention,
    now: Timestamp,
) -> Result<Option<Removal>, OpenError> {
    if retention == Retention::default() {
        return Ok(None);
    }
    let mut segments = folder::segments(folder)?;
    let mut bytes = 0_u64;
    for segment in &segments {
        let metadata = fs::metadata(&segment.path).map_err(folder::reach(&segment.path))?;
        bytes = bytes.saturating_add(metadata.len());
    }
    let mut removed = 0;
    let mut begins = None;
    for pair in segments.windows(2) {
        let [old, next] = pair else { break };
        let Some(first) = first_record(&next.path)? else { break };
        let too_old = retention.seconds.is_some_and(|keep| first.time.plus(keep) < now);
        let too_many = retention.bytes.is_some_and(|most| bytes > most);
        if !too_old && !too_many {
            break;
        }
        let metadata = fs::metadata(&old.path).map_err(folder::reach(&old.path))?;
        bytes = bytes.saturating_sub(metadata.len());
        removed += 1;
        begins = Some(Trimmed { begins: first.seq, prev: first.prev.to_string() });
    }
    segments.truncate(removed);
    Ok(begins.map(|event| Removal { event, folder: folder.to_owned(), segments }))
}

/// Removes the segments, the oldest first.
///
/// # Errors
/// [`OpenError`].
pub(super) fn remove(removal: &Removal) -> Result<(), OpenError> {
    for segment in &removal.segments {
        fs::remove_file(&segment.path).map_err(folder::reach(&segment.path))?;
    }
    folder::sync(&removal.folder)
}

/// The first record of a segment; nothing where it has none that can be read.
pub(super) fn first_record(path: &Path) -> Result<Option<Record>, OpenError> {
    let read = || -> io::Result<Option<Record>> {
        Ok(match Lines::of(path)?.next()? {
            Some(Line::Whole(bytes)) => record_of(&bytes).ok(),
            Some(Line::Unfinished(_) | Line::TooLong) | None => None,
        })
    };
    read().map_err(folder::reach(path))
}
