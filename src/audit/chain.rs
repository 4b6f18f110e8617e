//! Whether the records of a log follow each other, and which is the first that does not.
//!
//! Every line is read as the server writes it, its hash is computed again, and it must continue the line
//! before. What is wrong is told by the place in the log and the line of the file.

use std::cmp::Ordering;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::event::Event;
use super::folder::Segment;
use super::record::{Hash, MAX_LINE, NotARecord, Record};

/// The first thing that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The record that should stand there.
    pub seq: u64,
    /// The name of the segment's file.
    pub segment: String,
    /// The line in it, from 1.
    pub line: u64,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The line is no record, or was changed.
    Line(NotARecord),
    /// Records are missing, up to before this one.
    Dropped(u64),
    /// This record stands in its place, and it stands further on.
    Reordered(u64),
    /// This record stands there, which has its place before.
    Inserted(u64),
    /// It has the right place and continues another record than the one before.
    Broken,
    /// The log begins here, and no retention says so.
    Beginning,
    /// The file's name says another first record.
    Misnamed(u64),
    /// A segment is empty that is not the last.
    Empty,
    /// A checkpoint that does not hold.
    Checkpoint(String),
    /// This later record is known from elsewhere.
    Truncated(u64),
    /// The file could not be read.
    Unreadable(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, segment, line, wrong } = self;
        write!(f, "record {seq} (line {line} of {segment}): ")?;
        match wrong {
            Wrong::Line(error) => error.fmt(f),
            Wrong::Dropped(found) => {
                let last = found.saturating_sub(1);
                write!(f, "dropped: records {seq} to {last} are missing")
            }
            Wrong::Reordered(found) => {
                write!(f, "reordered: record {found} stands in its place, and it stands further on")
            }
            Wrong::Inserted(found) => {
                write!(f, "inserted: record {found} stands here, whose place is before")
            }
            Wrong::Broken => {
                f.write_str("it does not continue the record before: one of the two was replaced")
            }
            Wrong::Beginning => {
                f.write_str("the log begins here, and no record says that older ones were removed")
            }
            Wrong::Misnamed(named) => write!(f, "the file's name says that it begins with {named}"),
            Wrong::Empty => f.write_str("the segment is empty, and others follow"),
            Wrong::Checkpoint(why) => write!(f, "the checkpoint does not hold: {why}"),
            Wrong::Truncated(known) => {
                write!(
                    f,
                    "truncated: record {known} is known from elsewhere, and the log ends before"
                )
            }
            Wrong::Unreadable(why) => write!(f, "cannot be read: {why}"),
        }
    }
}

/// One line of a segment.
#[derive(Debug)]
pub(super) enum Line {
    /// A whole one, without its end.
    Whole(Vec<u8>),
    /// The file ends in the middle of it.
    Unfinished(Vec<u8>),
    /// Longer than any record.
    TooLong,
}

/// The lines of a segment, one after the other.
#[derive(Debug)]
pub(super) struct Lines {
    reader: BufReader<File>,
    /// Of the line that was read last, from 1.
    pub(super) number: u64,
    /// Where the last whole line ends, in bytes.
    pub(super) end: u64,
}

impl Lines {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { reader: BufReader::new(File::open(path)?), number: 0, end: 0 })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let longest = MAX_LINE as u64 + 1;
        self.reader.by_ref().take(longest).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        let read = bytes.len() as u64;
        Ok(Some(match bytes.pop_if(|last| *last == b'\n') {
            Some(_) => {
                self.end = self.end.saturating_add(read);
                Line::Whole(bytes)
            }
            None if read == longest => Line::TooLong,
            None => Line::Unfinished(bytes),
        }))
    }
}

/// Reads a line's bytes as a record.
pub(super) fn record_of(bytes: &[u8]) -> Result<Record, NotARecord> {
    Record::read(std::str::from_utf8(bytes).map_err(|_| NotARecord::Malformed)?)
}

/// A walk along the chain, from segment to segment.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The last record's place and hash, once there is one.
    pub(super) last: Option<(u64, Hash)>,
    /// The place and the `prev` of the first record.
    pub(super) first: Option<(u64, Hash)>,
    /// Where the log begins, as the last removal says, and what it continues there.
    pub(super) trimmed: Option<(u64, String)>,
    /// The unfinished line at the end of the last segment.
    pub(super) unfinished: Option<Vec<u8>>,
    /// Where the last whole line of the last segment ends.
    pub(super) end: u64,
}

impl Walk {
    /// Walks over one segment; `each` sees every record that continues the one before.
    pub(super) fn over(
        &mut self,
        segment: &Segment,
        is_last: bool,
        each: &mut dyn FnMut(&Record) -> Result<(), Wrong>,
    ) -> Result<(), Fault> {
        let name = segment.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let expected = self.last.map_or(segment.first, |(seq, _)| seq.saturating_add(1));
        let fault = |seq, line, wrong| Fault { seq, segment: name.clone(), line, wrong };
        let unreadable =
            |seq, line, error: io::Error| fault(seq, line, Wrong::Unreadable(error.to_string()));
        let mut lines = Lines::of(&segment.path).map_err(|error| unreadable(expected, 1, error))?;
        if segment.first > expected {
            return Err(fault(expected, 1, Wrong::Dropped(segment.first)));
        }
        if segment.first < expected {
            return Err(fault(expected, 1, Wrong::Misnamed(segment.first)));
        }
        (self.unfinished, self.end) = (None, 0);
        loop {
            let seq = self.last.map_or(segment.first, |(seq, _)| seq.saturating_add(1));
            let line = lines.next().map_err(|error| unreadable(seq, lines.number, error))?;
            let bytes = match line {
                None if lines.number == 0 && !is_last => return Err(fault(seq, 1, Wrong::Empty)),
                None => return Ok(()),
                Some(Line::Whole(bytes)) => bytes,
                Some(Line::Unfinished(bytes)) if is_last => {
                    self.unfinished = Some(bytes);
                    return Ok(());
                }
                Some(Line::Unfinished(_)) => {
                    return Err(fault(seq, lines.number, Wrong::Line(NotARecord::Malformed)));
                }
                Some(Line::TooLong) => {
                    return Err(fault(seq, lines.number, Wrong::Line(NotARecord::TooLong)));
                }
            };
            let number = lines.number;
            let record =
                record_of(&bytes).map_err(|error| fault(seq, number, Wrong::Line(error)))?;
            self.take(&record, seq, &mut lines).map_err(|wrong| fault(seq, number, wrong))?;
            each(&record).map_err(|wrong| fault(seq, number, wrong))?;
            self.end = lines.end;
        }
    }

    /// Takes a record that must have the place `seq` and continue the last.
    fn take(&mut self, record: &Record, seq: u64, rest: &mut Lines) -> Result<(), Wrong> {
        if record.seq > seq {
            return Err(match stands_further_on(rest, seq) {
                true => Wrong::Reordered(record.seq),
                false => Wrong::Dropped(record.seq),
            });
        }
        if record.seq < seq {
            return Err(Wrong::Inserted(record.seq));
        }
        let continues = self.last.map_or(record.prev, |(_, hash)| hash);
        let begins = record.seq == 1 && self.last.is_none();
        if record.prev != continues || (begins && record.prev != Hash::BEGINNING) {
            return Err(Wrong::Broken);
        }
        if self.first.is_none() {
            self.first = Some((record.seq, record.prev));
        }
        self.last = Some((record.seq, record.hash));
        if let Some(Event::Trimmed(trimmed)) = record.event() {
            self.trimmed = Some((trimmed.begins, trimmed.prev));
        }
        Ok(())
    }

    /// Whether the log begins where it may.
    pub(super) fn check_beginning(&self, segments: &[Segment]) -> Result<(), Fault> {
        let (Some((first, prev)), Some(segment)) = (self.first, segments.first()) else {
            return Ok(());
        };
        // A crash between the record of a removal and the removal leaves more than it says.
        let is_told = |(begins, continues): &(u64, String)| match first.cmp(begins) {
            Ordering::Less => true,
            Ordering::Equal => prev.to_string() == *continues,
            Ordering::Greater => false,
        };
        if first == 1 || self.trimmed.as_ref().is_some_and(is_told) {
            return Ok(());
        }
        let segment = segment.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Err(Fault { seq: first, segment, line: 1, wrong: Wrong::Beginning })
    }
}

fn stands_further_on(rest: &mut Lines, seq: u64) -> bool {
    while let Ok(Some(line)) = rest.next() {
        if let Line::Whole(bytes) = line
            && record_of(&bytes).is_ok_and(|record| record.seq == seq)
        {
            return true;
        }
    }
    false
}
