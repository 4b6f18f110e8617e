//! Which records somebody asks for, and the page of them that is found.
//!
//! A search walks the log in its order and compares names; there is no index beside the log that could
//! say something else. One step looks at a bounded part and says where the next one goes on.

use std::path::Path;

use countersign_sdk::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::chain::{Fault, Line, Lines, Wrong, record_of};
use super::folder::{self, OpenError, reach};
use super::record::{NotARecord, Record};

/// The most records of one page.
pub const MOST: usize = 1000;

/// What is asked for: records with all of these. Nothing asks for every record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Records after this place alone.
    pub after: u64,
    /// At most so many; never more than [`MOST`].
    pub limit: usize,
    /// Events of this name.
    pub event: Option<String>,
    /// Events in which this stands as a whole text, wherever: a subject, an account, an operator, a `jti`,
    /// a session, a `kid`, a reason.
    pub about: Option<String>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Up to and including this moment.
    pub until: Option<Timestamp>,
}

/// What a search found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Page {
    /// The records, in their order.
    pub records: Vec<Record>,
    /// Where to go on, as `after`; `None` at the end of the log.
    pub next: Option<u64>,
}

impl Query {
    /// How many records a page of this search has at most.
    pub fn page(&self) -> usize {
        match self.limit {
            0 => MOST,
            limit => limit.min(MOST),
        }
    }

    /// Whether a record is asked for.
    pub fn asks_for(&self, record: &Record) -> bool {
        record.seq > self.after
            && self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time <= until)
            && self.names(record)
    }

    fn names(&self, record: &Record) -> bool {
        if self.event.is_none() && self.about.is_none() {
            return true;
        }
        let Ok(body) = serde_json::from_str::<Value>(record.body.get()) else { return false };
        let event = body.get("event").and_then(Value::as_str);
        self.event.as_deref().is_none_or(|name| event == Some(name))
            && self.about.as_deref().is_none_or(|about| mentions(&body, about))
    }
}

/// Whether `text` stands somewhere in `value` as a whole text.
fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(list) => list.iter().any(|item| mentions(item, text)),
        Value::Object(members) => members.values().any(|item| mentions(item, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// What the searches of a folder fail with.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// The log.
    #[error("{0}")]
    Fault(Fault),
}

/// How many bytes of the log one step reads at most, but for the segment that it ends in.
const A_STEP: u64 = 128 * 1024 * 1024;

/// The records of a list that `query` asks for.
pub(super) fn among<'a>(records: impl Iterator<Item = &'a Record>, query: &Query) -> Page {
    let mut found = records.filter(|record| query.asks_for(record));
    let records: Vec<_> = found.by_ref().take(query.page()).cloned().collect();
    let next = found.next().and_then(|_| records.last()).map(|record| record.seq);
    Page { records, next }
}

/// The records of a log on disk that `query` asks for; the log may be written meanwhile.
///
/// Records that cannot be read are an error: who searches must not believe that there was nothing.
///
/// # Errors
/// [`SearchError`].
pub fn in_folder(folder: &Path, query: &Query) -> Result<Page, SearchError> {
    let segments = folder::segments(folder)?;
    // Segments whose successor begins at or before the place hold nothing of later ones.
    let begin = segments.partition_point(|segment| segment.first <= query.after.saturating_add(1));
    let wanted = segments.get(begin.saturating_sub(1)..).unwrap_or_default();
    let (mut page, mut read) = (Page::default(), 0_u64);
    for (place, segment) in wanted.iter().enumerate() {
        let mut lines = Lines::of(&segment.path).map_err(reach(&segment.path))?;
        while let Some(line) = lines.next().map_err(reach(&segment.path))? {
            let read = match line {
                Line::Whole(bytes) => record_of(&bytes),
                // A server writes it, or a crash has left it.
                Line::Unfinished(_) if place + 1 == wanted.len() => break,
                Line::Unfinished(_) => Err(NotARecord::Malformed),
                Line::TooLong => Err(NotARecord::TooLong),
            };
            let record = read.map_err(|error| {
                SearchError::Fault(Fault {
                    seq: segment.first.saturating_add(lines.number).saturating_sub(1),
                    segment: segment.path.display().to_string(),
                    line: lines.number,
                    wrong: Wrong::Line(error),
                })
            })?;
            if !query.asks_for(&record) {
                continue;
            }
            if page.records.len() == query.page() {
                page.next = page.records.last().map(|last| last.seq);
                return Ok(page);
            }
            page.records.push(record);
        }
        read = read.saturating_add(lines.end);
        if let Some(next) = wanted.get(place + 1)
            && read > A_STEP
        {
            page.next = Some(next.first.saturating_sub(1));
            return Ok(page);
        }
    }
    Ok(page)
}
