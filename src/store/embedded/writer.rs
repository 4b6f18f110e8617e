//! One thread writes: whatever is queued goes into one transaction and one flush, and is answered only then.
//!
//! So a commit costs once for all who wait for it, and the more come, the more share it. After a
//! fault of the file nothing is answered but that the store is unavailable, until the file has been
//! opened anew and has taken a commit: what a broken handle says about itself is not believed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use countersign_sdk::time::Timestamp;
use redb::{Database, Durability, WriteTransaction};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::failed::Failed;
use super::file::{self, OpenError};
use super::owners::{Changes, Owners};
use super::schema::{self, Identity};
use super::tables::WriteTables;
use super::verbs::{self, Over, Writing};
use crate::batch::{self, Batches, NoBatch, Sizes};
use crate::model::revocation::Revocation;
use crate::model::session::{Session, SessionId, Usage};
use crate::store::{SessionBounds, SessionError};

/// How many verbs share a transaction.
pub(super) const SHARED_BY: Sizes =
    Sizes { most: 512, crowd: 8, enough: 32, gather: Duration::from_millis(3) };
/// How long after a fault the file is opened again, and how long at most.
pub(super) const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// So many commits after a recovery count as recovered; a fault before that lengthens the wait.
const STEADY: u64 = 1000;

/// A verb that writes.
#[derive(Clone, Debug)]
pub(super) enum Verb {
    Open {
        session: Box<Session>,
        signed_from: Timestamp,
    },
    Rotate(Rotation),
    Revoke(Revocation),
    Forget(Over),
    /// Nothing, but through the disk: whether the file still takes a commit.
    Probe,
}

/// A refresh token that its session's holder presents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    pub(super) id: SessionId,
    /// Whether the session is bound to a key, which was proven then.
    pub(super) is_bound: bool,
    /// Of the token.
    pub(super) generation: u32,
    pub(super) proven_at: Option<Timestamp>,
}

/// What a verb gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// Nothing to be told.
    Written,
    /// The session that was handed over.
    Opened(Box<Session>),
    /// What has become of the session that was named.
    Rotated(Usage),
}

impl Done {
    fn of(verb: Verb, usage: Option<Usage>) -> Self {
        match (verb, usage) {
            (Verb::Open { session, .. }, _) => Self::Opened(session),
            (_, Some(usage)) => Self::Rotated(usage),
            (_, None) => Self::Written,
        }
    }
}

/// What a verb gives inside of the transaction.
type Applied = Result<Option<Usage>, SessionError>;

/// A verb, when it was called, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) verb: Verb,
    pub(super) now: Timestamp,
    pub(super) answer: oneshot::Sender<Result<Done, SessionError>>,
}

/// What readers and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    /// None while the file is not believed.
    database: RwLock<Option<Arc<Database>>>,
    pub(super) owners: RwLock<Owners>,
    pub(super) latest: watch::Sender<u64>,
    /// How many transactions were flushed.
    pub(super) commits: AtomicU64,
}

impl Shared {
    pub(super) fn new(database: Database, owners: Owners, sequence: u64) -> Self {
        Self {
            database: RwLock::new(Some(Arc::new(database))),
            owners: RwLock::new(owners),
            latest: watch::Sender::new(sequence),
            commits: AtomicU64::new(0),
        }
    }

    /// The open file, if it is believed.
    pub(super) fn database(&self) -> Option<Arc<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether `database` is the open file that is believed. Whoever reads it for long lets go of it when it is
    /// not: it cannot be opened anew before that.
    pub(super) fn believes(&self, database: &Arc<Database>) -> bool {
        self.database().is_some_and(|believed| Arc::ptr_eq(&believed, database))
    }

    pub(super) fn set(&self, database: Option<Arc<Database>>) {
        let before = {
            let mut current = self.database.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, database)
        };
        // A broken handle may fail at closing in any way; outside of the lock that is its own affair.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(before)));
    }
}

/// The thread's own.
pub(super) struct Writer<O> {
    pub(super) jobs: Batches<Job>,
    pub(super) shared: Arc<Shared>,
    pub(super) bounds: SessionBounds,
    /// Which store this is; another one in its place is not taken.
    pub(super) identity: Identity,
    pub(super) sequence: u64,
    /// Opens the file again.
    pub(super) open: O,
    pub(super) retry: Duration,
    pub(super) since_recovery: u64,
    /// Where those wait who asked; none where they are no tasks.
    pub(super) runtime: Option<Handle>,
}

impl<O: Fn() -> Result<Database, OpenError>> Writer<O> {
    /// Writes until nobody is left to ask.
    pub(super) fn run(mut self) {
        while let Ok(batch) = self.jobs.take(None) {
            self.write(batch);
        }
        self.shared.set(None);
    }

    fn write(&mut self, batch: Vec<Job>) {
        let database = self.shared.database();
        let written = match &database {
            Some(database) => self.commit(database, &batch),
            None => Err(Failed::Refused(SessionError::Unavailable)),
        };
        drop(database);
        match written {
            Ok((sequence, answers)) => {
                self.sequence = sequence;
                self.since_recovery = self.since_recovery.saturating_add(1);
                self.shared.latest.send_if_modified(|latest| {
                    let moved = *latest != sequence;
                    *latest = sequence;
                    moved
                });
                batch::answer(self.runtime.as_ref(), move || {
                    for (job, answer) in batch.into_iter().zip(answers) {
                        // Whoever does not wait any more is not told.
                        let _ = job.answer.send(answer.map(|usage| Done::of(job.verb, usage)));
                    }
                });
            }
            Err(fault) => {
                tracing::error!(%fault, "the store's file failed; nothing is answered from it");
                self.shared.set(None);
                refuse(batch);
                self.recover();
            }
        }
    }

    /// One transaction for all of `batch`. A verb that meets an unreadable record is left out of it.
    fn commit(&self, database: &Database, batch: &[Job]) -> Result<(u64, Vec<Applied>), Failed> {
        let mut spoiled = vec![false; batch.len()];
        loop {
            // A page whose content is not what was written can make the library panic; to those who
            // wait that is a fault of the file like any other.
            let attempt = AssertUnwindSafe(|| self.attempt(database, batch, &mut spoiled));
            match catch_unwind(attempt) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(done))) => {
                    self.shared.commits.fetch_add(1, Ordering::Relaxed);
                    return Ok(done);
                }
                Ok(Err(fault)) => return Err(fault),
                Err(_) => return Err(Failed::Panicked),
            }
        }
    }

    /// Nothing when another verb was found spoiled, and the rest is to be done without it.
    fn attempt(
        &self,
        database: &Database,
        batch: &[Job],
        spoiled: &mut [bool],
    ) -> Result<Option<(u64, Vec<Applied>)>, Failed> {
        let transaction = begin(database)?;
        let mut answers = Vec::with_capacity(batch.len());
        let tables = WriteTables::of(&transaction)?;
        let (owners, changes) = (&self.shared.owners, Changes::default());
        let (sequence, bounds) = (self.sequence, self.bounds);
        let mut writing = Writing { tables, owners, changes, sequence, bounds };
        for (job, spoiled) in batch.iter().zip(spoiled) {
            if *spoiled {
                answers.push(Err(SessionError::Unavailable));
                continue;
            }
            match apply(&mut writing, job) {
                Ok(done) => answers.push(Ok(done)),
                Err(Failed::Refused(refusal)) => answers.push(Err(refusal)),
                Err(Failed::Unreadable(unreadable)) => {
                    tracing::error!(%unreadable, "run `countersign store check`");
                    *spoiled = true;
                    verbs::write(owners).undo(&writing.changes);
                    drop(writing);
                    transaction.abort()?;
                    return Ok(None);
                }
                Err(fault @ (Failed::Broken(_) | Failed::Panicked)) => return Err(fault),
            }
        }
        let (sequence, changes) = (writing.sequence, std::mem::take(&mut writing.changes));
        drop(writing);
        let probes = batch.iter().any(|job| matches!(job.verb, Verb::Probe));
        if sequence != self.sequence || probes {
            schema::write_sequence(&transaction, sequence)?;
        }
        transaction.commit()?;
        verbs::write(owners).flushed(&changes);
        Ok(Some((sequence, answers)))
    }

    /// Opens the file again until it is the same store and takes a commit.
    fn recover(&mut self) {
        self.retry = match self.since_recovery > STEADY {
            true => FIRST_RETRY,
            false => (self.retry * 2).min(LAST_RETRY),
        };
        loop {
            match self.jobs.take(Some(self.retry)) {
                Ok(batch) => {
                    refuse(batch);
                    continue;
                }
                Err(NoBatch::Timeout) => {}
                Err(NoBatch::Over) => return,
            }
            match self.reopened() {
                Ok((database, owners, sequence)) => {
                    *verbs::write(&self.shared.owners) = owners;
                    self.sequence = sequence;
                    self.since_recovery = 0;
                    self.shared.latest.send_replace(sequence);
                    self.shared.set(Some(Arc::new(database)));
                    tracing::info!("the store's file is open again");
                    return;
                }
                Err(fault) => {
                    tracing::warn!(%fault, "the store's file cannot be used yet");
                    self.retry = (self.retry * 2).min(LAST_RETRY);
                }
            }
        }
    }

    fn reopened(&self) -> Result<(Database, Owners, u64), OpenError> {
        // This reads more than a commit does, and whatever it meets must not end the only writer.
        let panicked = || OpenError::from(Failed::Panicked);
        let database = catch_unwind(AssertUnwindSafe(|| (self.open)()));
        let database = database.unwrap_or_else(|_| Err(panicked()))?;
        let (database, (owners, sequence)) = file::reading(database, panicked, |database| {
            let (identity, sequence) = schema::identity(database)?;
            if identity != self.identity {
                return Err(OpenError::Replaced);
            }
            // It may be the same store as an earlier program left it.
            schema::migrate(database)?;
            let transaction = begin(database)?;
            schema::write_sequence(&transaction, sequence)?;
            transaction.commit().map_err(Failed::from)?;
            Ok((Owners::of(database)?, sequence))
        })?;
        Ok((database, owners, sequence))
    }
}

/// A transaction whose commit has been flushed when it returns.
pub(super) fn begin(database: &Database) -> Result<WriteTransaction, Failed> {
    let mut transaction = database.begin_write()?;
    // The default; said, since everything rests on it.
    transaction.set_durability(Durability::Immediate)?;
    Ok(transaction)
}

fn apply(writing: &mut Writing<'_>, job: &Job) -> Result<Option<Usage>, Failed> {
    match &job.verb {
        Verb::Open { session, signed_from } => {
            writing.open(session, *signed_from, job.now).map(|()| None)
        }
        Verb::Rotate(rotation) => writing.rotate(rotation, job.now).map(Some),
        Verb::Revoke(revocation) => writing.revoke(revocation, job.now).map(|()| None),
        Verb::Forget(over) => writing.forget(over, job.now).map(|()| None),
        Verb::Probe => Ok(None),
    }
}

fn refuse(jobs: Vec<Job>) {
    for job in jobs {
        let _ = job.answer.send(Err(SessionError::Unavailable));
    }
}

#[cfg(test)]
mod tests {
    use countersign_sdk::entropy::OsEntropy;

    use super::super::file::Folder;
    use super::super::tables;
    use super::*;
    use crate::batch::Entry;

    fn asked(jobs: &Entry<Job>) -> Result<Done, SessionError> {
        let (answer, answered) = oneshot::channel();
        let now = Timestamp::from_unix(1_000_000);
        jobs.hand_over(Job { verb: Verb::Probe, now, answer }).unwrap();
        answered.blocking_recv().unwrap()
    }

    /// Opening the file again may meet the very page that made it fail.
    #[test]
    fn a_panic_while_the_file_is_opened_again_is_a_fault_like_any_other() {
        let outer = tempfile::tempdir().unwrap();
        let folder = Folder::take(&outer.path().join("store")).unwrap();
        folder.found(&OsEntropy).unwrap();
        let path = folder.file();
        let database = file::open(&path).unwrap();
        let (identity, sequence) = schema::identity(&database).unwrap();
        let owners = Owners::of(&database).unwrap();
        let shared = Arc::new(Shared::new(database, owners, sequence));
        let (jobs, queue) = batch::line(8, SHARED_BY);
        let tries = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&tries);
        let open = move || match counted.fetch_add(1, Ordering::Relaxed) {
            0 => panic!("a page that nobody wrote"),
            1 => Err(OpenError::Failed("still broken".to_owned())),
            // As it was kept before a new version of this program ran.
            _ => file::open(&path).inspect(|database| {
                let transaction = begin(database).unwrap();
                transaction.delete_table(tables::USAGE).unwrap();
                let mut meta = transaction.open_table(tables::META).unwrap();
                meta.insert(tables::SCHEMA, &3_u32.to_be_bytes()[..]).unwrap();
                drop(meta);
                transaction.commit().unwrap();
            }),
        };
        let sessions = SessionBounds { total: 10, per_subject: 10, revocations: 10 };
        let writer = Writer {
            jobs: queue,
            shared: Arc::clone(&shared),
            bounds: sessions,
            identity,
            sequence,
            open,
            retry: Duration::from_millis(1),
            since_recovery: 0,
            runtime: None,
        };
        let thread = std::thread::spawn(move || writer.run());
        assert_eq!(asked(&jobs), Ok(Done::Written));
        // The file is not believed any more, and the next verb finds that out.
        shared.set(None);
        assert_eq!(asked(&jobs), Err(SessionError::Unavailable));
        let mut waited = 0;
        while shared.database().is_none() {
            waited += 1;
            assert!(!thread.is_finished() && waited < 60_000, "it recovers by itself");
            std::thread::park_timeout(Duration::from_millis(1));
        }
        assert_eq!(asked(&jobs), Ok(Done::Written));
        assert_eq!(tries.load(Ordering::Relaxed), 3);
        assert_eq!(schema::migrate(&shared.database().unwrap()).unwrap(), 4, "as at a start");
        drop(jobs);
        thread.join().unwrap();
    }
}
