//! The store in one file: sessions and revocations that outlive the process, written by one thread, a group at a time.
//!
//! An answer follows the flush that keeps it. Reads are of the last flushed state. Nonces and proofs
//! stay in memory, as for every engine of one process. The file is redb's; `docs/STORAGE.md` describes
//! it, and `docs/adr/0008-redb.md` says why.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder as ThreadBuilder, JoinHandle};
use std::{fmt, io};

use async_trait::async_trait;
use countersign_sdk::chain::lnurl::Answer;
use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::proof::replay::{ClaimError, Claimed, ReplayKey, ReplayStore};
use countersign_sdk::time::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, oneshot, watch};

use super::nonces::UsedOnce;
use super::{
    Bounds, KeptSession, LiveSession, Page, Place, ProvenKey, SessionError, SessionSecret,
    SpentNonce, Store, StoreError,
};
use crate::batch::{self, Entry, NotTaken};
use crate::model::revocation::{Revocation, TokenNames};
use crate::model::session::{Session, SessionId};
use crate::wallet::policy::OpenedNonce;

mod check;
mod failed;
mod file;
mod owners;
mod reads;
pub mod record;
mod schema;
mod snapshot;
mod sweep;
mod tables;
mod verbs;
mod writer;

pub use check::Report;
pub use file::{FILE, Folder, OpenError};
use owners::Owners;
use reads::Reader;
use schema::Identity;
pub use snapshot::{Restored, Terms, restore};
use sweep::Walk;
use writer::{Done, Job, Rotation, Shared, Verb, Writer};

/// How many verbs may wait for the writer; one more is refused.
const QUEUE: usize = 4096;

/// The open store.
pub struct EmbeddedStore {
    used: UsedOnce,
    shared: Arc<Shared>,
    identity: Identity,
    existed: bool,
    walk: Mutex<Walk>,
    jobs: Option<Entry<Job>>,
    writer: Option<JoinHandle<()>>,
    /// Let go last, when the writer has closed the file.
    folder: Folder,
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("folder", &self.folder.path()).finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Opens the store in `folder`, and makes a new one if there is no file of its name.
    ///
    /// Reads the whole file. Blocks until that is done.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: Folder, bounds: Bounds, entropy: &dyn Entropy) -> Result<Self, OpenError> {
        let existed = folder.has_store()?;
        if existed {
            tracing::info!(folder = %folder.path().display(), "opening the store");
        } else {
            folder.found(entropy)?;
            tracing::info!(folder = %folder.path().display(), "there was no store: a new one is made");
        }
        let path = folder.file();
        let panicked = || file::not_as_written(&path);
        let (database, found) = file::reading(file::open(&path)?, panicked, |database| {
            Ok((schema::migrate(database)?, schema::identity(database)?, Owners::of(database)?))
        })?;
        let (layout, (identity, sequence), owners) = found;
        let open = move || file::open(&path);
        let shared = Arc::new(Shared::new(database, owners, sequence));
        tracing::debug!(layout, sequence, "the store is open");
        let (jobs, queue) = batch::line(QUEUE, writer::SHARED_BY);
        let writer = Writer {
            jobs: queue,
            shared: Arc::clone(&shared),
            bounds: bounds.sessions,
            identity: identity.clone(),
            sequence,
            open,
            retry: writer::FIRST_RETRY,
            since_recovery: 0,
            runtime: Handle::try_current().ok(),
        };
        let thread = ThreadBuilder::new().name("store".to_owned());
        let thread = thread.spawn(move || writer.run());
        let writer = thread.map_err(|error: io::Error| OpenError::Failed(error.to_string()))?;
        Ok(Self {
            used: UsedOnce::new(&bounds),
            shared,
            identity,
            existed,
            walk: Mutex::default(),
            jobs: Some(jobs),
            writer: Some(writer),
            folder,
        })
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many transactions were flushed since it was opened.
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Reads every record and compares what finds it; takes a while and blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn check(&self, now: Timestamp) -> Result<Report, OpenError> {
        let database = self.believed()?;
        let believed = || self.shared.believes(&database);
        snapshot::report(&database, &self.folder.file(), now, &believed)
    }

    /// Writes a backup of the present state to the new file `out`; takes a while and blocks.
    ///
    /// # Errors
    /// [`OpenError`]; nothing of that name was written then.
    pub fn backup(&self, out: &Path) -> Result<(), OpenError> {
        let database = self.believed()?;
        let believed = || self.shared.believes(&database);
        snapshot::backup(&database, out, &believed)
    }

    fn believed(&self) -> Result<Arc<redb::Database>, OpenError> {
        let unavailable = || OpenError::Failed("the store's file has failed".to_owned());
        self.shared.database().ok_or_else(unavailable)
    }

    fn reader(&self) -> Reader {
        Reader { shared: Arc::clone(&self.shared), life: self.identity.life }
    }

    /// Has the writer look when a read has failed: a file that only gives errors to readers is as
    /// broken as one that takes no commit, and is opened anew.
    fn noticed<T>(&self, read: Result<T, SessionError>, now: Timestamp) -> Result<T, SessionError> {
        if matches!(read, Err(SessionError::Unavailable))
            && self.is_available()
            && let Some(jobs) = &self.jobs
        {
            let (answer, _nobody_waits) = oneshot::channel();
            // A queue that is full has verbs in it that find out as well.
            let _ = jobs.hand_over(Job { verb: Verb::Probe, now, answer });
        }
        read
    }

    /// Has the writer do it, and waits until it is kept.
    async fn write(&self, verb: Verb, now: Timestamp) -> Result<Done, SessionError> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(SessionError::Unavailable)?;
        if !self.is_available() {
            return Err(SessionError::Unavailable);
        }
        match jobs.hand_over(Job { verb, now, answer }) {
            Ok(()) => answered.await.unwrap_or(Err(SessionError::Unavailable)),
            Err(NotTaken::Full) => Err(SessionError::Full),
            Err(NotTaken::Gone) => Err(SessionError::Unavailable),
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.jobs = None;
        // What is queued is written and the file closed before anyone else may have the folder.
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's thread ended badly");
        }
    }
}

#[async_trait]
impl ReplayStore for EmbeddedStore {
    async fn claim(
        &self,
        key: ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, ClaimError> {
        self.used.claim(key, until, now)
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn spend(&self, nonce: &OpenedNonce, now: Timestamp) -> Result<SpentNonce, StoreError> {
        self.used.spend(nonce, now)
    }

    async fn unspend(&self, nonce: &OpenedNonce) {
        self.used.unspend(nonce);
    }

    async fn hold_answer(
        &self,
        digest: [u8; 32],
        answer: Answer,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.used.answers.hold(digest, answer, until, now)
    }

    async fn answer_to(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Answer>, StoreError> {
        Ok(self.used.answers.of(digest, now))
    }

    async fn is_spent(&self, nonce: &OpenedNonce, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.used.is_spent(nonce, now))
    }

    async fn forget_answer(&self, digest: &[u8; 32]) {
        self.used.answers.forget(digest);
    }

    async fn open(
        &self,
        session: Session,
        signed_from: Timestamp,
        now: Timestamp,
    ) -> Result<LiveSession, SessionError> {
        let session = Box::new(session);
        match self.write(Verb::Open { session, signed_from }, now).await? {
            Done::Opened(session) => Ok(LiveSession::assertion(*session)),
            Done::Written | Done::Rotated(_) => Err(SessionError::Unavailable),
        }
    }

    async fn rotate(
        &self,
        kept: KeptSession,
        generation: u32,
        holder: Option<ProvenKey>,
        now: Timestamp,
    ) -> Result<LiveSession, SessionError> {
        // Neither its end nor its key ever changes.
        if kept.is_over(now) {
            return Err(SessionError::Ended);
        }
        if kept.bound_to != holder.map(|key| key.jkt) {
            return Err(SessionError::OtherKey);
        }
        let rotation = Rotation {
            id: kept.id,
            is_bound: kept.bound_to.is_some(),
            generation,
            proven_at: holder.map(|key| key.at),
        };
        match self.write(Verb::Rotate(rotation), now).await? {
            Done::Rotated(usage) => {
                Ok(LiveSession::assertion(Session { usage, ..kept.into_session() }))
            }
            Done::Written | Done::Opened(_) => Err(SessionError::Unavailable),
        }
    }

    async fn session(&self, id: SessionId, now: Timestamp) -> Result<KeptSession, SessionError> {
        self.noticed(self.reader().session(id, now), now)
    }

    async fn sessions_of(
        &self,
        subject: &str,
        now: Timestamp,
    ) -> Result<Vec<Session>, SessionError> {
        let (reader, subject) = (self.reader(), subject.to_owned());
        let read = off_the_workers(move || reader.sessions_of(&subject, now)).await;
        self.noticed(read, now)
    }

    async fn sessions_by_key(
        &self,
        key: Thumbprint,
        now: Timestamp,
    ) -> Result<Vec<Session>, SessionError> {
        let reader = self.reader();
        let read = off_the_workers(move || reader.sessions_by_key(key, now)).await;
        self.noticed(read, now)
    }

    async fn revoke(&self, revocation: &Revocation, now: Timestamp) -> Result<(), SessionError> {
        let now = self.used.not_before_any(now);
        self.write(Verb::Revoke(revocation.clone()), now).await.map(|_| ())
    }

    async fn is_revoked(
        &self,
        token: &TokenNames<'_>,
        now: Timestamp,
    ) -> Result<bool, SessionError> {
        self.noticed(self.reader().touches(&token.targets(), token.issued_at), now)
    }

    async fn revocations(
        &self,
        after: Option<Place>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, SessionError> {
        let reader = self.reader();
        let read = off_the_workers(move || reader.revocations(after, limit, now)).await;
        self.noticed(read, now)
    }

    fn latest(&self) -> watch::Receiver<u64> {
        self.shared.latest.subscribe()
    }

    fn session_secret(&self) -> SessionSecret {
        self.identity.secret.clone()
    }

    fn has_forgotten_proofs(&self) -> bool {
        self.existed
    }

    fn is_available(&self) -> bool {
        self.shared.database().is_some()
    }

    async fn sweep(&self, now: Timestamp) {
        self.used.sweep(now);
        // One walk at a time: a second would find the same.
        let Ok(mut walk) = self.walk.try_lock() else { return };
        sweep::sweep(self, &mut walk, now).await;
    }
}

/// Reads of many pages wait for the disk where nobody else waits for them.
async fn off_the_workers<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, SessionError> + Send + 'static,
) -> Result<T, SessionError> {
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(SessionError::Unavailable))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod edge_tests;

#[cfg(test)]
mod layout_tests;
