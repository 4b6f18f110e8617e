//! Sessions kept in a folder of their owner's: one file for each, and one lock beside it.
//!
//! The folder has mode 700 and the files 600; what others could have read or written is refused.
//! The lock is advisory (`flock`) and is held by one session across a renewal. It stands in a file
//! of its own, since the session's file is replaced by each save and a lock would go with the old.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::kept::{KeptSession, MAX_KEPT_BYTES};
use super::private_file::{self, PrivateFileError};
use super::store::{SessionName, SessionStore, StoreError, StoreLock};

/// How long another program's renewal is waited for: longer than the requests of one may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at the lock.
const PAUSE: Duration = Duration::from_millis(25);
/// Tells apart the files that one process writes at a time.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// A folder of kept sessions.
#[derive(Clone, Debug)]
pub struct FileSessionStore {
    folder: PathBuf,
    patience: Duration,
}

impl FileSessionStore {
    /// The folder; it is made when the first session is kept.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), patience: PATIENCE }
    }

    /// Waits for other programs' renewals for `patience` at most; 90 seconds unless said.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The file of a session.
    pub fn path_of(&self, name: &SessionName) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// The names of the sessions that are kept, sorted.
    ///
    /// # Errors
    /// [`StoreError::File`] when the folder cannot be read; one that is not there has none.
    pub fn names(&self) -> Result<Vec<SessionName>, StoreError> {
        let failed = |error: std::io::Error| self.failed(&self.folder, error.into());
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry.map_err(failed)?.file_name();
            let name = file.to_str().and_then(|text| text.strip_suffix(".json"));
            names.extend(name.and_then(|name| SessionName::new(name).ok()));
        }
        names.sort();
        Ok(names)
    }

    fn lock_path(&self, name: &SessionName) -> PathBuf {
        self.folder.join(format!(".{name}.lock"))
    }

    /// The file is the one that stands at the path while it is locked: `remove` takes both away.
    fn try_lock(&self, name: &SessionName) -> Result<Option<File>, StoreError> {
        private_file::make_folder(&self.folder)
            .map_err(|fault| self.failed(&self.folder, fault))?;
        let path = self.lock_path(name);
        let failed = |fault: PrivateFileError| self.failed(&path, fault);
        let file = private_file::open_marker(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, &path) => {
                self.sweep(name);
                Ok(Some(file))
            }
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error.into())),
        }
    }

    /// Removes what a process that was stopped half-way left; whoever holds the lock may.
    fn sweep(&self, name: &SessionName) {
        let start = format!(".{name}.");
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let file = entry.file_name();
            let left = file.to_str().is_some_and(|f| f.starts_with(&start) && f.ends_with(".new"));
            if left {
                // A file that stays is in nobody's way: the next one has another name.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn failed(&self, path: &Path, fault: PrivateFileError) -> StoreError {
        StoreError::File { path: path.to_owned(), fault }
    }

    fn load_now(&self, name: &SessionName) -> Result<Option<KeptSession>, StoreError> {
        let path = self.path_of(name);
        let text = match private_file::read(&path, MAX_KEPT_BYTES) {
            Err(fault) if fault.is_absent() => return Ok(None),
            read => read.map_err(|fault| self.failed(&path, fault))?,
        };
        let broken = |fault| StoreError::Kept { place: path.display().to_string(), fault };
        KeptSession::from_json(&text).map(Some).map_err(broken)
    }

    fn save_now(&self, name: &SessionName, session: &KeptSession) -> Result<(), StoreError> {
        let path = self.path_of(name);
        let broken = |fault| StoreError::Kept { place: path.display().to_string(), fault };
        let text = session.to_json().map_err(broken)?;
        private_file::make_folder(&self.folder)
            .map_err(|fault| self.failed(&self.folder, fault))?;
        let (process, number) = (std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
        let beside = self.folder.join(format!(".{name}.{process}.{number}.new"));
        private_file::replace(&path, &beside, &text).map_err(|fault| self.failed(&path, fault))
    }

    fn remove_now(&self, name: &SessionName) -> Result<(), StoreError> {
        let path = self.path_of(name);
        private_file::remove(&path).map_err(|fault| self.failed(&path, fault))?;
        // It is held by the caller. That it stays behind where it cannot be removed harms nobody.
        let _ = private_file::remove(&self.lock_path(name));
        Ok(())
    }

    /// Runs what waits for the disk where waiting disturbs nobody.
    async fn apart<T: Send + 'static>(
        &self,
        name: &SessionName,
        work: impl FnOnce(&Self, &SessionName) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (store, name) = (self.clone(), name.clone());
        let done = tokio::task::spawn_blocking(move || work(&store, &name)).await;
        done.unwrap_or_else(|_| Err(StoreError::Other("the program is ending".to_owned())))
    }
}

#[async_trait]
impl SessionStore for FileSessionStore {
    async fn lock(&self, name: &SessionName) -> Result<StoreLock, StoreError> {
        // Looked at again and again, not waited for by a thread: such a thread could not be stopped
        // when the program ends.
        let held = async {
            loop {
                if let Some(file) = self.apart(name, Self::try_lock).await? {
                    return Ok(file);
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let held = tokio::time::timeout(self.patience, held).await;
        let file = held.unwrap_or_else(|_| Err(StoreError::Busy(name.to_string())))?;
        Ok(StoreLock::new(file))
    }

    async fn load(&self, name: &SessionName) -> Result<Option<KeptSession>, StoreError> {
        self.apart(name, Self::load_now).await
    }

    async fn save(&self, name: &SessionName, session: &KeptSession) -> Result<(), StoreError> {
        let session = session.clone();
        self.apart(name, move |store, name| store.save_now(name, &session)).await
    }

    async fn remove(&self, name: &SessionName) -> Result<(), StoreError> {
        self.apart(name, Self::remove_now).await
    }
}

/// Whether the file that is open is the one that the path names now.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// Elsewhere a file that is open is not removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
#[path = "file_store_tests.rs"]
mod tests;
