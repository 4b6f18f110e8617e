//! The record of every decision about trust: typed events, each chained to the one before, append-only.
//!
//! | file | decides |
//! |---|---|
//! | [`event`], [`evidence`] | what is recorded |
//! | [`refusals`] | which refusals are, and how many |
//! | [`record`] | how a record is written, hashed and chained |
//! | [`folder`], `log`, `writer`, `anchor` | where the log lies, how it is opened, and who writes it |
//! | [`retention`], `upkeep` | when old records go |
//! | `stream` | the lines for a collector |
//! | `chain`, [`verify`] | whether the log is what was written |
//! | [`search`] | which records somebody asks for |
//! | [`proof`] | what shows a single sign-in to somebody else |
//!
//! The log knows nothing of keys and tokens; what signs its checkpoints stands in `service`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_sdk::time::Timestamp;
use tokio::sync::Semaphore;

mod anchor;
mod chain;
pub mod event;
pub mod evidence;
pub mod folder;
mod log;
pub mod proof;
pub mod record;
pub mod refusals;
pub mod retention;
pub mod search;
mod stream;
mod upkeep;
pub mod verify;
mod writer;

pub use chain::{Fault, Wrong};
pub use event::Event;
use event::RefusalsOmitted;
pub use folder::OpenError;
use log::Log;
pub use log::Options;
use record::Record;
use refusals::Refusals;
pub use search::{Page, Query};
pub use stream::Target;
pub use writer::Head;
use writer::Wanted;

/// How many records the memory form remembers.
const REMEMBERED: usize = 10_000;
/// How many bytes of them.
const REMEMBERED_BYTES: usize = 16 * 1024 * 1024;
/// How many searches read the log at once; others wait.
const SEARCHES: usize = 2;
/// How many wait at most.
const SEARCHES_WAIT: usize = 8;

/// Why an event is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// More events wait to be written than may.
    #[error("more audit events wait to be written than may")]
    Full,
    /// The log cannot be written.
    #[error("the audit log cannot be written")]
    Unavailable,
    /// More searches wait to read the log than may.
    #[error("more searches of the audit log wait than may")]
    Busy,
}

/// What becomes of decisions that cannot be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They are refused.
    #[default]
    Refuse,
    /// They go on, and the server's log says so each time.
    Continue,
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
    form: Form,
    refusals: Arc<Refusals>,
    on_failure: OnFailure,
    searches: Arc<Semaphore>,
    /// Those that read and those that wait.
    asked: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
enum Form {
    Memory(Arc<Mutex<Memory>>),
    Disk(Arc<Log>),
}

#[derive(Debug, Default)]
struct Memory {
    records: VecDeque<Record>,
    /// Those of the records' events.
    bytes: usize,
    head: Head,
}

impl Audit {
    /// A log in memory, which ends with the process and remembers its newest records.
    pub fn in_memory() -> Self {
        let on_failure = OnFailure::default();
        Self::of(Form::Memory(Arc::default()), on_failure)
    }

    /// Opens the log in the data directory `directory`, and begins one if there is none. Blocks, and reads
    /// the newest part of it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        directory: &Path,
        options: &Options,
        on_failure: OnFailure,
    ) -> Result<Self, OpenError> {
        let log = Arc::new(Log::open(directory, options)?);
        Ok(Self::of(Form::Disk(log), on_failure))
    }

    fn of(form: Form, on_failure: OnFailure) -> Self {
        let searches = Arc::new(Semaphore::new(SEARCHES));
        let asked = Arc::new(Semaphore::new(SEARCHES + SEARCHES_WAIT));
        Self { form, refusals: Arc::default(), on_failure, searches, asked }
    }

    /// Hands an event over to be written soon.
    ///
    /// # Errors
    /// [`AuditError`] when it cannot be taken.
    pub fn record(&self, event: Event, now: Timestamp) -> Result<(), AuditError> {
        let taken = match &self.form {
            Form::Memory(memory) => remember(memory, &event, now),
            Form::Disk(log) => log.queue(&event, now, Wanted::Written).map(|_nobody_waits| ()),
        };
        self.settled(taken, &event)
    }

    /// Records a refusal, if it is a decision about trust and not one of too many.
    pub fn record_refusal(
        &self,
        event: Event,
        reason: crate::model::reason::Reason,
        now: Timestamp,
    ) {
        if !refusals::is_decision(reason) {
            return;
        }
        self.tell_omitted(now, false);
        if self.refusals.admits(now)
            && let Err(error) = self.record(event, now)
        {
            tracing::warn!(%error, reason = reason.code(), "a refusal was not recorded");
        }
    }

    /// Records how many refusals were not; `at_once` when no more will come.
    pub fn tell_omitted(&self, now: Timestamp, at_once: bool) {
        let count = self.refusals.omitted(now, at_once);
        let event = Event::RefusalsOmitted(RefusalsOmitted { count });
        if count > 0 && self.record(event, now).is_err() {
            self.refusals.give_back(count);
        }
    }

    /// Returns when the event is in the log's file; a crash of the machine, not of the process, can lose
    /// it for a second more.
    ///
    /// # Errors
    /// [`AuditError`]: then whatever the event tells of must not be answered.
    pub async fn write(&self, event: Event, now: Timestamp) -> Result<(), AuditError> {
        self.until(Wanted::Written, event, now).await
    }

    /// Returns when the event is flushed to the disk.
    ///
    /// # Errors
    /// [`AuditError`]: then whatever the event tells of must not happen.
    pub async fn keep(&self, event: Event, now: Timestamp) -> Result<(), AuditError> {
        self.until(Wanted::Flushed, event, now).await
    }

    /// The same, whatever `audit.on_failure` says: of what must never happen unrecorded.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn insist(&self, event: Event, now: Timestamp) -> Result<(), AuditError> {
        self.taken(Wanted::Flushed, &event, now).await
    }

    async fn until(&self, wanted: Wanted, event: Event, now: Timestamp) -> Result<(), AuditError> {
        let taken = self.taken(wanted, &event, now).await;
        self.settled(taken, &event)
    }

    async fn taken(&self, wanted: Wanted, event: &Event, now: Timestamp) -> Result<(), AuditError> {
        match &self.form {
            Form::Memory(memory) => remember(memory, event, now),
            Form::Disk(log) => match log.queue(event, now, wanted) {
                Ok(answered) => answered.await.unwrap_or(Err(AuditError::Unavailable)),
                Err(error) => Err(error),
            },
        }
    }

    fn settled(&self, taken: Result<(), AuditError>, event: &Event) -> Result<(), AuditError> {
        match (taken, self.on_failure) {
            (Err(error), OnFailure::Continue) => {
                tracing::error!(%error, event = event.name(), "NOT RECORDED, and goes on");
                Ok(())
            }
            (taken, _) => taken,
        }
    }

    /// Whether events can be written, as far as is known. Asked before something is used up.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn check(&self) -> Result<(), AuditError> {
        match (&self.form, self.on_failure) {
            (Form::Memory(_), _) | (Form::Disk(_), OnFailure::Continue) => Ok(()),
            (Form::Disk(log), OnFailure::Refuse) => log.check(),
        }
    }

    /// The end of the log.
    pub fn head(&self) -> Head {
        match &self.form {
            Form::Memory(memory) => lock(memory).head,
            Form::Disk(log) => log.head(),
        }
    }

    /// The folder of a log on disk.
    pub fn folder(&self) -> Option<PathBuf> {
        match &self.form {
            Form::Memory(_) => None,
            Form::Disk(log) => Some(log.folder()),
        }
    }

    /// What the memory form remembers, the oldest first; nothing of a log on disk.
    pub fn recorded(&self) -> Vec<Recorded> {
        let Form::Memory(memory) = &self.form else { return Vec::new() };
        let recorded = |record: &Record| {
            Some(Recorded { seq: record.seq, time: record.time, event: record.event()? })
        };
        lock(memory).records.iter().filter_map(recorded).collect()
    }

    /// The records that `query` asks for.
    ///
    /// # Errors
    /// [`AuditError::Busy`]; [`AuditError::Unavailable`] when the log cannot be read.
    pub async fn search(&self, query: Query) -> Result<Page, AuditError> {
        let asked = Arc::clone(&self.asked);
        let asked = asked.try_acquire_owned().map_err(|_| AuditError::Busy)?;
        let searches = Arc::clone(&self.searches);
        let turn = searches.acquire_owned().await.map_err(|_| AuditError::Unavailable)?;
        // Not the log itself, which others wait for to be closed.
        let (folder, memory) = match &self.form {
            Form::Memory(memory) => (PathBuf::new(), Some(Arc::clone(memory))),
            Form::Disk(log) => (log.folder(), None),
        };
        let read = move || {
            // Until it has read, whether or not anybody waits for it.
            let _turns = (asked, turn);
            let Some(memory) = memory else { return search::in_folder(&folder, &query) };
            // Read without the lock: whoever records something waits for that.
            let records = lock(&memory).records.clone();
            Ok(search::among(records.iter(), &query))
        };
        let found = tokio::task::spawn_blocking(read).await;
        let found = found.map_err(|_| AuditError::Unavailable)?;
        found.map_err(|error| {
            tracing::error!(%error, "the audit log could not be searched");
            AuditError::Unavailable
        })
    }
}

fn remember(memory: &Mutex<Memory>, event: &Event, now: Timestamp) -> Result<(), AuditError> {
    let mut memory = lock(memory);
    let head = memory.head;
    let record = Record::of(head.seq.saturating_add(1), now, head.hash, event)
        .map_err(|_| AuditError::Unavailable)?;
    writer::advance(&mut memory.head, &record, writer::Signed::by(event));
    memory.bytes = memory.bytes.saturating_add(record.body.get().len());
    memory.records.push_back(record);
    while memory.records.len() > REMEMBERED || memory.bytes > REMEMBERED_BYTES {
        let Some(oldest) = memory.records.pop_front() else { break };
        memory.bytes = memory.bytes.saturating_sub(oldest.body.get().len());
    }
    Ok(())
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;

#[cfg(test)]
mod replaced_tests;
