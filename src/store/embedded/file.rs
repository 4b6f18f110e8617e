//! Where the store lies, who may read it, and what is told about a file that cannot be opened.
//!
//! A new store is made under another name and given its own when it is whole, so that a file of
//! that name is always one that was finished: an empty or shortened one has lost something, and is
//! refused. Nothing that is found is ever replaced. One process at a time holds the folder's lock.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use countersign_sdk::entropy::{Entropy, EntropyError};
use redb::{Builder, Database, DatabaseError, StorageError};

use super::failed::Failed;
use super::schema;

/// The store's file in its folder.
pub const FILE: &str = "countersign.redb";
const LOCK: &str = "countersign.lock";
/// A store that is being made.
const UNFINISHED: &str = "countersign.redb.unfinished";

/// Memory for pages of the file, in bytes. What is needed beyond comes from the system's page cache.
const PAGE_CACHE: usize = 64 * 1024 * 1024;
/// What an unfinished file cannot be shorter than.
const SHORTEST: u64 = 4096;

/// Why a store was not opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the file cannot be reached.
    #[error("{}: {error}", path.display())]
    Reach {
        /// What cannot be reached.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others can read or write it, or it is another user's.
    #[error("{} {problem}: it holds secrets, and is not trusted", path.display())]
    Shared {
        /// The folder or file.
        path: PathBuf,
        /// Who can reach it, and what to do.
        problem: String,
    },
    /// Another process has it.
    #[error("{} is in use: another process serves from it or works on it", .0.display())]
    InUse(PathBuf),
    /// It holds no store, or a part of one.
    #[error("{} {problem}; it was not touched. Restore a backup (countersign store restore), or move \
             the file away to begin anew: every session and revocation in it is then forgotten", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// A file is there, and nothing is overwritten.
    #[error("{} exists already; nothing is overwritten", .0.display())]
    Exists(PathBuf),
    /// A store is there, and nobody said that it may be put aside.
    #[error("{} exists; --replace puts it aside and keeps it", .0.display())]
    Occupied(PathBuf),
    /// There is no store.
    #[error("{} does not exist: there is no store", .0.display())]
    Missing(PathBuf),
    /// The file is a database of something else.
    #[error("the file is a database, but no store of Countersign")]
    Foreign,
    /// Another store than the one that was open lies there now.
    #[error("another store lies in its place; restart to take it")]
    Replaced,
    /// A later version of this program wrote it.
    #[error("the store has layout {found}, and this program knows {known}: run the newer version")]
    Newer {
        /// Of the file.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The file failed while it was read or written.
    #[error("{0}")]
    Failed(String),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl OpenError {
    /// The same about `to` where it is about `from`: a copy that was looked at in its place.
    pub(super) fn about(self, from: &Path, to: &Path) -> Self {
        match self {
            Self::Damaged { path, problem } if path == from => {
                Self::Damaged { path: to.to_owned(), problem }
            }
            other => other,
        }
    }
}

impl From<Failed> for OpenError {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed.to_string())
    }
}

/// A folder that this process alone works in, until this is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder, and makes it where there is none.
    ///
    /// # Errors
    /// [`OpenError::Reach`], [`OpenError::Shared`], [`OpenError::InUse`].
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        let reach = |error| OpenError::Reach { path: path.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(reach)?;
        Self::take_existing(path)
    }

    /// Takes the folder, which must be there.
    ///
    /// # Errors
    /// [`OpenError::Reach`], [`OpenError::Shared`], [`OpenError::InUse`].
    pub fn take_existing(path: &Path) -> Result<Self, OpenError> {
        let reach = |error| OpenError::Reach { path: path.to_owned(), error };
        private(path, &fs::metadata(path).map_err(reach)?)?;
        let lock_path = path.join(LOCK);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let lock = options
            .open(&lock_path)
            .map_err(|error| OpenError::Reach { path: lock_path.clone(), error })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(OpenError::Reach { path: lock_path, error }),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the store lies or will lie.
    pub fn file(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// Whether there is a file of the store's name, whatever it holds.
    ///
    /// # Errors
    /// [`OpenError::Reach`].
    pub fn has_store(&self) -> Result<bool, OpenError> {
        let path = self.file();
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(OpenError::Reach { path, error }),
        }
    }

    /// Where a store is made before it gets its name; what a process of before left there is gone.
    ///
    /// # Errors
    /// [`OpenError::Reach`].
    pub(super) fn unfinished(&self) -> Result<PathBuf, OpenError> {
        let path = self.path.join(UNFINISHED);
        match fs::remove_file(&path) {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path),
            Err(error) => Err(OpenError::Reach { path, error }),
        }
    }

    /// Makes a new store, whole or not at all.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(super) fn found(&self, entropy: &dyn Entropy) -> Result<(), OpenError> {
        let unfinished = self.unfinished()?;
        let reach = |error| OpenError::Reach { path: unfinished.clone(), error };
        make(&unfinished, |database| schema::found(database, entropy))?;
        fs::rename(&unfinished, self.file()).map_err(reach)?;
        sync_folder(&self.path)?;
        // The folder itself may be as new as the store in it.
        sync_folder(folder_of(&self.path))
    }
}

/// Makes a database file of its own name, lets `fill` write it, and flushes it.
///
/// # Errors
/// [`OpenError`]; where the file exists, [`OpenError::Exists`], and it was not touched.
pub(super) fn make(
    path: &Path,
    fill: impl FnOnce(&Database) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let reach = |error| OpenError::Reach { path: path.to_owned(), error };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    drop(options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => OpenError::Exists(path.to_owned()),
        _ => reach(error),
    })?);
    let database = builder().create(path).map_err(|error| opening(path, error))?;
    fill(&database)?;
    database.close().map_err(|error| opening(path, error))?;
    File::open(path).and_then(|file| file.sync_all()).map_err(reach)
}

/// The folder that `path` is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a rename or a new name in the folder last.
pub(super) fn sync_folder(path: &Path) -> Result<(), OpenError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|error| OpenError::Reach { path: path.to_owned(), error })
}

/// Opens a store's file, every page of which is read and compared with its checksum.
///
/// # Errors
/// [`OpenError`].
pub(super) fn open(path: &Path) -> Result<Database, OpenError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Missing(path.to_owned()));
        }
        Err(error) => return Err(OpenError::Reach { path: path.to_owned(), error }),
    };
    let damaged = |problem: String| OpenError::Damaged { path: path.to_owned(), problem };
    if !metadata.is_file() {
        return Err(damaged("is no file".to_owned()));
    }
    private(path, &metadata)?;
    if metadata.len() < SHORTEST {
        return Err(damaged(format!("has {} bytes, which is no store", metadata.len())));
    }
    // The library checks what it reads, and gives up with a panic on some pages that nobody can have
    // written by it. To whoever opens the file that is the same.
    let opened = catch_unwind(AssertUnwindSafe(|| builder().open(path)));
    opened.map_err(|_| not_as_written(path))?.map_err(|error| opening(path, error))
}

/// The error for a file that the library gives up on.
pub(super) fn not_as_written(path: &Path) -> OpenError {
    let problem = "does not hold what was written to it".to_owned();
    OpenError::Damaged { path: path.to_owned(), problem }
}

/// What an opened store's file is found to hold; `panicked` where the library gives up on it. A file that is not
/// taken is closed here, and may fail at that in any way.
///
/// # Errors
/// Those of `read`, and `panicked`.
pub(super) fn reading<T>(
    database: Database,
    panicked: impl FnOnce() -> OpenError,
    read: impl FnOnce(&Database) -> Result<T, OpenError>,
) -> Result<(Database, T), OpenError> {
    // Closed after the panic was caught: one more while it passes would end the process.
    let found = catch_unwind(AssertUnwindSafe(|| read(&database)));
    match found.unwrap_or_else(|_| Err(panicked())) {
        Ok(found) => Ok((database, found)),
        Err(error) => {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
            Err(error)
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    // After a crash the pages are read in any case, to find which are free.
    builder.set_cache_size(PAGE_CACHE).set_check_integrity_on_open(true);
    builder
}

fn opening(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(path),
        // A file that ends early, or that does not begin as one of the library's.
        DatabaseError::Storage(StorageError::Io(error))
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            OpenError::Damaged { path, problem: format!("cannot be read as a store ({error})") }
        }
        DatabaseError::Storage(StorageError::Io(error)) => OpenError::Reach { path, error },
        other => {
            OpenError::Damaged { path, problem: format!("cannot be read as a store ({other})") }
        }
    }
}

/// Refuses what others can read or write, or what is not ours.
pub(super) fn private(path: &Path, metadata: &fs::Metadata) -> Result<(), OpenError> {
    let shared = |problem: String| OpenError::Shared { path: path.to_owned(), problem };
    let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != own {
        return Err(shared(format!("belongs to user {owner}, and this is user {own}")));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        let right = if metadata.is_dir() { "700" } else { "600" };
        return Err(shared(format!("has mode {mode:03o} (chmod {right})")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use countersign_sdk::entropy::OsEntropy;

    use super::*;

    #[test]
    fn a_panic_of_the_library_is_a_damaged_file_that_can_be_opened_again() {
        let outer = tempfile::tempdir().unwrap();
        let folder = Folder::take(&outer.path().join("store")).unwrap();
        folder.found(&OsEntropy).unwrap();
        let path = folder.file();
        let reading = |read: fn(&Database) -> Result<(), OpenError>| {
            reading(open(&path).unwrap(), || not_as_written(&path), read)
        };
        let read = reading(|_| panic!("a page that nobody wrote"));
        assert!(matches!(read, Err(OpenError::Damaged { path: of, .. }) if of == path));
        assert!(matches!(reading(|_| Err(OpenError::Foreign)), Err(OpenError::Foreign)));
        assert!(reading(|_| Ok(())).is_ok());
    }
}
