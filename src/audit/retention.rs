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
    /// For so many seconds at least; `None` for ever, or as long as the bytes allow.
    pub seconds: Option<u64>,
    /// The most bytes of the whole log; `None` without bound.
    pub bytes: Option<u64>,
}

/// What the retention says of a log.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// What is to be removed.
    pub(super) removal: Option<Removal>,
    /// Whether the log is too large also without that.
    pub(super) is_over: bool,
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
pub(super) fn due(folder: &Path, retention: Retention, now: Timestamp) -> Result<Due, OpenError> {
    if retention == Retention::default() {
        return Ok(Due::default());
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
        // All of the old one is older than the next one's first.
        let is_old = retention.seconds.is_none_or(|keep| first.time.plus(keep) < now);
        let is_over = retention.bytes.is_some_and(|most| bytes > most);
        if !is_old || (retention.seconds.is_none() && !is_over) {
            break;
        }
        let metadata = fs::metadata(&old.path).map_err(folder::reach(&old.path))?;
        bytes = bytes.saturating_sub(metadata.len());
        removed += 1;
        begins = Some(Trimmed { begins: first.seq, prev: first.prev.to_string() });
    }
    segments.truncate(removed);
    let removal = begins.map(|event| Removal { event, folder: folder.to_owned(), segments });
    // The last segment is never removed, so a log of one has room.
    let is_over = retention.seconds.is_some() && retention.bytes.is_some_and(|most| bytes > most);
    Ok(Due { removal, is_over })
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
