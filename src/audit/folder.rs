//! Where the log lies: segments of lines in a folder that only its owner reads, one writer at a time.
//!
//! A segment is called by the place of its first record, so that a missing one leaves a gap. Nothing that
//! is found is changed here.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::chain::Fault;

/// The log's folder in the data directory.
pub const FOLDER: &str = "audit";
const LOCK: &str = "lock";
const ENDING: &str = ".jsonl";
/// Digits of a segment's name: those of the largest place.
const DIGITS: usize = 20;

/// Why a log is not opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file cannot be reached.
    #[error("{}: {error}", path.display())]
    Reach {
        /// What cannot be reached.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others can read or write it, or it is another user's.
    #[error("{} {problem}: an audit log is its owner's alone", path.display())]
    Shared {
        /// The folder or file.
        path: PathBuf,
        /// Who can reach it, and what to do.
        problem: String,
    },
    /// Another process writes it.
    #[error("{} is in use: another process writes this audit log", .0.display())]
    InUse(PathBuf),
    /// A file of the folder is none of the log's.
    #[error("{} has the ending of a segment and not its name; move it away", .0.display())]
    Foreign(PathBuf),
    /// What is there is not what was written.
    #[error(
        "{fault}. Nothing was changed. `countersign audit verify` tells more; to begin a new log, move \
         the folder away and keep it"
    )]
    Wrong {
        /// What is wrong.
        fault: Fault,
    },
    /// It is not the log that the server left.
    #[error(
        "the audit log is not the one that the server left: its record {seq} is missing or another one. \
         Nothing was changed. Find out what happened; to begin a new log, move the folder away and keep it: \
         the new one begins with a record of that"
    )]
    Replaced {
        /// The last record that was signed, or the log's first.
        seq: u64,
    },
    /// What was signed last cannot be read.
    #[error(
        "{} does not say what was signed last; move it away and keep it: the log goes on with a record of that",
        .0.display()
    )]
    Anchor(PathBuf),
    /// The writer could not be started.
    #[error("the audit log's thread did not start: {0}")]
    Thread(io::Error),
}

/// One file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The place of its first record.
    pub first: u64,
    /// The file.
    pub path: PathBuf,
}

impl Segment {
    /// The segment in `folder` that begins at `first`.
    pub fn at(folder: &Path, first: u64) -> Self {
        Self { first, path: folder.join(format!("{first:0DIGITS$}{ENDING}")) }
    }
}

pub(super) fn reach(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    |error| OpenError::Reach { path, error }
}

/// Makes the folder where there is none, and takes it for this process until the file is dropped.
///
/// # Errors
/// [`OpenError`].
pub(super) fn take(folder: &Path) -> Result<File, OpenError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => sync(folder.parent().unwrap_or(folder))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(reach(folder)(error)),
    }
    let metadata = fs::symlink_metadata(folder).map_err(reach(folder))?;
    private(folder, &metadata)?;
    // What root writes, the server's own user could not go on with.
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let problem = format!("belongs to user {}: run this as that user", metadata.uid());
        return Err(OpenError::Shared { path: folder.to_owned(), problem });
    }
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(&path).map_err(reach(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(reach(&path)(error)),
    }
}

/// Whether a process writes the log now.
pub fn is_written(folder: &Path) -> bool {
    let Ok(lock) = File::open(folder.join(LOCK)) else { return false };
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// The segments, in their order.
///
/// # Errors
/// [`OpenError`]; also for one that others can reach.
pub fn segments(folder: &Path) -> Result<Vec<Segment>, OpenError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(reach(folder))? {
        let path = entry.map_err(reach(folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(digits) = name.strip_suffix(ENDING) else { continue };
        let first = match digits.parse() {
            Ok(first) if digits.len() == DIGITS => first,
            _ => return Err(OpenError::Foreign(path)),
        };
        let metadata = fs::symlink_metadata(&path).map_err(reach(&path))?;
        if !metadata.is_file() {
            return Err(OpenError::Foreign(path));
        }
        private(&path, &metadata)?;
        found.push(Segment { first, path });
    }
    found.sort_by_key(|segment| segment.first);
    Ok(found)
}

/// Makes a new name in the folder last.
pub(super) fn sync(folder: &Path) -> Result<(), OpenError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder).and_then(|open| open.sync_all()).map_err(reach(folder))
}

/// Refuses what others can read or write, or what is not ours.
fn private(path: &Path, metadata: &Metadata) -> Result<(), OpenError> {
    let shared = |problem: String| OpenError::Shared { path: path.to_owned(), problem };
    let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
    // Whoever is root reads it in any case.
    if owner != own && own != 0 {
        return Err(shared(format!("belongs to user {owner}, and this is user {own}")));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        let right = if metadata.is_dir() { "700" } else { "600" };
        return Err(shared(format!("has mode {mode:03o} (chmod {right})")));
    }
    Ok(())
}
