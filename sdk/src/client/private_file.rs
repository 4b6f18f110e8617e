//! How a secret lies on disk: in a file of its owner's alone, read with care and replaced whole.
//!
//! A key or a token that others can read is theirs too, and one that others can write may be
//! theirs instead. What is replaced is written beside, brought to the disk, and renamed: a reader
//! sees the old text or the new one, and after a power cut one of the two is there.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use zeroize::Zeroizing;

/// Why a secret's file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Others than its owner can read or write it.
    #[error("others can read or write it, so it is not trusted")]
    Shared,
    /// It is another user's.
    #[error("it belongs to another user, so it is not trusted")]
    Foreign,
    /// It is larger than what belongs there.
    #[error("larger than {0} bytes")]
    TooLarge(usize),
}

impl PrivateFileError {
    /// Whether there is no such file.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a text of at most `cap` bytes, whoever else can reach it.
///
/// # Errors
/// [`PrivateFileError::Io`] and `TooLarge`.
pub fn read_any(path: &Path, cap: usize) -> Result<Zeroizing<String>, PrivateFileError> {
    read_open(&File::open(path)?, cap)
}

/// Reads a text of at most `cap` bytes from a file that is ours and nobody else can reach.
///
/// # Errors
/// [`PrivateFileError`].
pub fn read(path: &Path, cap: usize) -> Result<Zeroizing<String>, PrivateFileError> {
    let file = File::open(path)?;
    // Of the opened file, not of the path, which may be another by now.
    check(&file.metadata()?)?;
    read_open(&file, cap)
}

fn read_open(file: &File, cap: usize) -> Result<Zeroizing<String>, PrivateFileError> {
    // All of it at once, so that growing leaves no copies behind.
    let mut text = Zeroizing::new(String::with_capacity(cap.saturating_add(1)));
    file.take(cap as u64 + 1).read_to_string(&mut text)?;
    if text.len() > cap { Err(PrivateFileError::TooLarge(cap)) } else { Ok(text) }
}

/// Writes a new file that its owner alone may read, and brings it to the disk.
///
/// # Errors
/// [`PrivateFileError::Io`]; `AlreadyExists` when there is one, which is never touched.
pub fn write_new(path: &Path, secret: &str) -> Result<(), PrivateFileError> {
    let mut file = options().write(true).create_new(true).open(path)?;
    file.write_all(secret.as_bytes())?;
    Ok(file.sync_all()?)
}

/// Puts `secret` where `path` is, by way of the file `beside` in the same folder.
///
/// # Errors
/// [`PrivateFileError::Io`]; what stood at `path` still does, unless only the last step failed, by
/// which the new text would outlive a power cut. `beside` is gone.
pub fn replace(path: &Path, beside: &Path, secret: &str) -> Result<(), PrivateFileError> {
    let written =
        write_new(beside, secret).and_then(|()| fs::rename(beside, path).map_err(Into::into));
    if written.is_err() {
        // Why it was not written is told; that half of it is left is not worse.
        let _ = fs::remove_file(beside);
        return written;
    }
    sync_folder(path)
}

/// Removes a file, for good also after a power cut. One that is not there is removed already.
///
/// # Errors
/// [`PrivateFileError::Io`].
pub fn remove(path: &Path) -> Result<(), PrivateFileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => sync_folder(path),
    }
}

/// Opens, and makes where there is none, a file for its owner alone that holds nothing.
///
/// # Errors
/// [`PrivateFileError`].
pub(super) fn open_marker(path: &Path) -> Result<File, PrivateFileError> {
    let file = options().read(true).write(true).create(true).truncate(false).open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// Makes a folder for its owner alone, and those above it, or checks the one that is there.
///
/// # Errors
/// [`PrivateFileError`]; `Shared` when others can list it or put files into it.
pub fn make_folder(path: &Path) -> Result<(), PrivateFileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    check(&fs::metadata(path)?)
}

/// Whether anybody but its owner may do anything with a file.
#[cfg(unix)]
pub fn is_shared(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o077 != 0
}

/// Whether anybody but its owner may do anything with a file. Not known on this system.
#[cfg(not(unix))]
pub fn is_shared(_: &Metadata) -> bool {
    false
}

fn check(metadata: &Metadata) -> Result<(), PrivateFileError> {
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::uid(metadata) != rustix::process::geteuid().as_raw() {
        return Err(PrivateFileError::Foreign);
    }
    if is_shared(metadata) { Err(PrivateFileError::Shared) } else { Ok(()) }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A rename or a removal is on the disk when the folder is.
fn sync_folder(path: &Path) -> Result<(), PrivateFileError> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let here = folder.as_os_str().is_empty();
        File::open(if here { Path::new(".") } else { folder })?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_is_its_owners_alone_and_a_new_one_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_new(&path, "one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(write_new(&path, "two").is_err());
        assert_eq!(*read(&path, 3).unwrap(), "one");
        assert!(matches!(read(&path, 2), Err(PrivateFileError::TooLarge(2))));
        for (mode, taken) in [(0o600, true), (0o640, false), (0o602, false), (0o400, true)] {
            set_mode(&path, mode);
            assert_eq!(read(&path, 3).is_ok(), taken, "{mode:o}");
            assert!(read_any(&path, 3).is_ok());
        }
    }

    #[test]
    fn what_is_replaced_is_whole_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (path, beside) = (folder.path().join("a"), folder.path().join("b"));
        for text in ["one", "two"] {
            replace(&path, &beside, text).unwrap();
            assert_eq!((&**read(&path, 9).unwrap(), beside.exists()), (text, false));
        }
        // It cannot be put in the place of a folder.
        let taken = folder.path().join("folder");
        fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, &beside, "x").is_err());
        assert!(taken.is_dir() && !beside.exists());
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(read(&path, 9).unwrap_err().is_absent());
    }

    #[test]
    fn a_folder_that_others_can_reach_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        make_folder(&inner).unwrap();
        make_folder(&inner).unwrap();
        assert_eq!(fs::metadata(&inner).unwrap().mode() & 0o777, 0o700);
        for mode in [0o755, 0o770, 0o707] {
            set_mode(&inner, mode);
            assert!(matches!(make_folder(&inner), Err(PrivateFileError::Shared)), "{mode:o}");
        }
    }

    #[test]
    fn another_users_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_new(&path, "one").unwrap();
        let own = rustix::process::geteuid().as_raw();
        // To give a file away takes a privilege; without it, what root owns serves as well.
        match std::os::unix::fs::chown(&path, Some(own + 1), None) {
            Ok(()) => {
                assert!(matches!(read(&path, 9), Err(PrivateFileError::Foreign)));
            }
            Err(_) => {
                let roots = fs::metadata("/").unwrap();
                assert!(matches!(check(&roots), Err(PrivateFileError::Foreign)));
            }
        }
    }
}
