//! The record of every decision about trust: typed events, each chained to the one before, append-only.
//!
//! | file | decides |
//! |---|---|
//! | [`event`], [`evidence`] | what is recorded |
//! | [`record`] | how a record is written, hashed and chained |
//! | [`search`] | which records somebody asks for |
//!
//! The log knows nothing of keys and tokens; what signs its checkpoints stands in `service`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_sdk::time::Timestamp;

pub mod event;
pub mod evidence;
pub mod record;
pub mod search;

pub use event::Event;
use record::{Hash, Record};
pub use search::{Page, Query};

/// How many records the memory form remembers.
const REMEMBERED: usize = 10_000;

/// Why an event is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// More events wait to be written than may.
    #[error("more audit events wait to be written than may")]
    Full,
    /// The log cannot be written.
    #[error("the audit log cannot be written")]
    Unavailable,
}

/// An event that was recorded, for tests and development.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its place, from 1.
    pub seq: u64,
    /// When.
    pub time: Timestamp,
    /// What.
    pub event: Event,
}

/// Where events go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit {
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    records: Vec<Record>,
    seq: u64,
    head: Hash,
}

impl Audit {
    /// A log in memory, which ends with the process and remembers its newest records.
    pub fn in_memory() -> Self {
        Self { memory: Arc::default() }
    }

    /// Hands an event over to be written soon.
    ///
    /// # Errors
    /// [`AuditError`] when it cannot be taken.
    pub fn record(&self, event: Event, now: Timestamp) -> Result<(), AuditError> {
        self.remember(&event, now)
    }

    /// Returns when the event is in the log's file; a crash of the machine, not of the process, can lose
    /// it for a second more.
    ///
    /// # Errors
    /// [`AuditError`]: then whatever the event tells of must not be answered.
    pub async fn write(&self, event: Event, now: Timestamp) -> Result<(), AuditError> {
        self.remember(&event, now)
    }

    /// Returns when the event is flushed to the disk.
    ///
    /// # Errors
    /// [`AuditError`]: then whatever the event tells of must not happen.
    pub async fn keep(&self, event: Event, now: Timestamp) -> Result<(), AuditError> {
        self.remember(&event, now)
    }

    /// Whether events can be written, as far as is known. Asked before something is used up.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn check(&self) -> Result<(), AuditError> {
        Ok(())
    }

    /// What the memory form remembers, the oldest first.
    pub fn recorded(&self) -> Vec<Recorded> {
        let memory = self.lock();
        let recorded = |record: &Record| {
            Some(Recorded { seq: record.seq, time: record.time, event: record.event()? })
        };
        memory.records.iter().filter_map(recorded).collect()
    }

    /// The records that `query` asks for.
    ///
    /// # Errors
    /// [`AuditError::Unavailable`] when the log cannot be read.
    pub async fn search(&self, query: Query) -> Result<Page, AuditError> {
        let memory = self.lock();
        let mut found = memory.records.iter().filter(|record| query.asks_for(record));
        let records: Vec<_> = found.by_ref().take(query.page()).cloned().collect();
        let next = found.next().and_then(|_| records.last()).map(|record| record.seq);
        Ok(Page { records, next })
    }

    fn remember(&self, event: &Event, now: Timestamp) -> Result<(), AuditError> {
        let mut memory = self.lock();
        let record = Record::of(memory.seq.saturating_add(1), now, memory.head, event)
            .map_err(|_| AuditError::Unavailable)?;
        (memory.seq, memory.head) = (record.seq, record.hash);
        if memory.records.len() >= REMEMBERED {
            memory.records.drain(..REMEMBERED / 2);
        }
        memory.records.push(record);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
