//! The last place that was signed, kept outside of the log's folder, so that a start sees whether the log is still that one.
//!
//! A chain can be computed again by whoever can write the folder, and without a checkpoint in it nothing would tell:
//! the server would go on with it and sign it. So each checkpoint leaves its place and hash beside the folder, in
//! `DIR/audit.signed`, and a start looks for that record in the log. The log's first record stands there too, and before
//! the first checkpoint alone, so that no log can be taken away without a trace. Whoever can write both can deceive
//! a start; for that there are the lines of a collector.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folder::{self, OpenError, reach};
use super::record::Hash;
use super::writer::Head;

/// Its name in the data directory.
const FILE: &str = "audit.signed";
/// More than it ever has, in bytes.
const MAX_FILE: u64 = 1024;

/// What was signed last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Anchor {
    /// The last record that a checkpoint covers, 0 in a log without one.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: Hash,
    /// The hash of the log's first record, once that is flushed.
    pub(super) begins: Hash,
}

impl Anchor {
    pub(super) const fn of(head: &Head) -> Self {
        Self { seq: head.covered, hash: head.covered_hash, begins: head.begins }
    }

    /// Reads that of the data directory; none where there never was a log.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, OpenError> {
        let path = directory.join(FILE);
        let mut text = String::new();
        match File::open(&path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(reach(&path)(error)),
        }
        serde_json::from_str(&text).map(Some).map_err(|_| OpenError::Anchor(path))
    }

    /// Replaces it. Whoever loses power has the old one or the new one.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        let (path, new) = (directory.join(FILE), directory.join(format!("{FILE}.new")));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new)?;
        file.write_all(serde_json::to_string(self)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        folder::sync(directory).map_err(io::Error::other)
    }
}

/// The data directory that a log's folder is in.
pub(super) fn beside(log: &Path) -> PathBuf {
    log.parent().unwrap_or(log).to_owned()
}
