//! Whether a store holds together: every record is one, and the feed agrees with the revocations.
//!
//! That the pages hold what was written is checked by their checksums whenever the file is opened.

use countersign_sdk::time::Timestamp;
use redb::{ReadableTable as _, ReadableTableMetadata as _};
use serde::{Deserialize, Serialize};

use super::failed::Failed;
use super::record;
use super::snapshot::Believed;
use super::tables::{ReadTables, key_of};
use crate::model::session::SessionId;
use crate::store::SessionError;

/// How many faults are told; beyond, they are counted.
const TOLD: usize = 100;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Sessions that are kept.
    pub sessions: u64,
    /// Those of them that are not over.
    pub live: u64,
    /// Revocations that are kept.
    pub revocations: u64,
    /// Those of them that are published.
    pub published: u64,
    /// The file's size in bytes.
    pub bytes: u64,
    /// How many faults there are.
    pub faults: u64,
    /// The first of them, a sentence each.
    pub first_faults: Vec<String>,
}

impl Report {
    fn fault(&mut self, text: String) {
        self.faults += 1;
        if self.first_faults.len() < TOLD {
            self.first_faults.push(text);
        }
    }
}

/// Rows that are read before it is looked again whether the file is still one to read.
const ROWS: usize = 10_000;

fn go_on(read: usize, believed: Believed<'_>) -> Result<(), Failed> {
    let stopped = read.is_multiple_of(ROWS) && !believed();
    if stopped { Err(SessionError::Unavailable.into()) } else { Ok(()) }
}

/// Checks the tables of a snapshot; `sequence` is the last place that it can hold, `bytes` the file's size.
pub(super) fn check(
    tables: &ReadTables,
    (sequence, bytes): (u64, u64),
    now: Timestamp,
    believed: Believed<'_>,
) -> Result<Report, Failed> {
    let mut report = Report {
        sessions: tables.sessions.len()?,
        revocations: tables.revoked.len()?,
        published: tables.feed.len()?,
        bytes,
        ..Report::default()
    };
    sessions(tables, now, believed, &mut report)?;
    revocations(tables, sequence, (now, believed), &mut report)?;
    feed(tables, believed, &mut report)?;
    Ok(report)
}

fn sessions(
    tables: &ReadTables,
    now: Timestamp,
    believed: Believed<'_>,
    report: &mut Report,
) -> Result<(), Failed> {
    for (read, found) in tables.sessions.iter()?.enumerate() {
        go_on(read, believed)?;
        let (key, record) = found?;
        let id = SessionId::from_bytes(*key.value());
        let Ok(session) = record::session(id, record.value()) else {
            report.fault(format!("the record of session {id} cannot be read"));
            continue;
        };
        report.live += u64::from(!session.is_over(now));
    }
    for (read, found) in tables.usage.iter()?.enumerate() {
        go_on(read, believed)?;
        let (key, row) = found?;
        let id = SessionId::from_bytes(*key.value());
        let record = tables.sessions.get(key.value())?;
        match record.map(|record| record::usage(record.value())) {
            None => report.fault(format!("session {id} was used and is no session")),
            Some(Ok(opened)) if row.value().0 < opened.generation => {
                report.fault(format!("the usage of session {id} is behind its record"));
            }
            // One that cannot be read is told above.
            Some(Ok(_) | Err(_)) => {}
        }
    }
    Ok(())
}

fn revocations(
    tables: &ReadTables,
    sequence: u64,
    (now, believed): (Timestamp, Believed<'_>),
    report: &mut Report,
) -> Result<(), Failed> {
    for (read, found) in tables.revoked.iter()?.enumerate() {
        go_on(read, believed)?;
        let (key, placed) = found?;
        let (place, record) = placed.value();
        let Ok(entry) = record::entry(record) else {
            report.fault(format!("the record of revocation {place} cannot be read"));
            continue;
        };
        if key.value() != key_of(&entry.target) {
            report.fault(format!("revocation {place} stands under the name of another"));
        }
        if place > sequence {
            report.fault(format!("revocation {place} lies beyond the last, {sequence}"));
        }
        if entry.is_live(now) && tables.feed.get(place)?.is_none() {
            report.fault(format!("revocation {place} must be published and is not"));
        }
    }
    Ok(())
}

fn feed(tables: &ReadTables, believed: Believed<'_>, report: &mut Report) -> Result<(), Failed> {
    for (read, found) in tables.feed.iter()?.enumerate() {
        go_on(read, believed)?;
        let (place, key) = found?;
        let kept = tables.revoked.get(key.value())?.map(|placed| placed.value().0);
        if kept != Some(place.value()) {
            report.fault(format!("{} is published and is no revocation", place.value()));
        }
    }
    Ok(())
}
