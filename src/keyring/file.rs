//! Where the ring lies: one file for its owner alone, replaced whole, by one rename.
//!
//! A change of the ring is one change of this file, so there is no moment at which half of it is
//! done: a crash leaves the ring of before or the ring of after. What cannot be read is refused and
//! never replaced, for a key that is lost voids every token.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::client::private_file::{self, PrivateFileError};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::custody::{Custody, CustodyError, Sealing};
use super::ring::{Entry, is_false};

/// The folder of keys in the server's folder.
pub const FOLDER: &str = "keys";
/// The ring in it.
pub const FILE: &str = "ring.json";
/// The ring that is about to take its place.
const UNFINISHED: &str = "ring.json.unfinished";
/// The largest ring that is read, in bytes; 500 keys take less than half.
const MAX_BYTES: usize = 1024 * 1024;
/// The form of the file.
const LAYOUT: u32 = 1;

/// Why the ring was not read or written. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RingFileError {
    /// It cannot be reached, or is not trusted.
    #[error("{}: {error}", path.display())]
    Reach {
        /// The file or its folder.
        path: PathBuf,
        /// Why.
        error: PrivateFileError,
    },
    /// It is no ring.
    #[error("{} is not a ring of keys ({problem}); it was not touched. Restore a copy of it, or move it \
             away to begin a new one: every token is void then", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// A later version of this program wrote it.
    #[error("{} has layout {found}, and this program knows {LAYOUT}: run the newer version", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// It was not written in full order, and could not be read to see what it is now.
    #[error("{}: {error}; whether it was replaced is not known", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Why it was not written.
        error: PrivateFileError,
    },
    /// It would be larger than what is read.
    #[error("{} would be larger than {MAX_BYTES} bytes: have the keys that are over destroyed, of which each \
             is noted in it until it is", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It could not be put into JSON.
    #[error("the ring of keys: {0}")]
    Encoding(#[from] serde_json::Error),
}

/// What is written of a ring.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    layout: u32,
    /// Where the private halves lie.
    pub custody: String,
    /// By what they are sealed, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing: Option<Sealing>,
    /// Whether what an earlier ring signed, of which nothing is left, is still to be called void.
    #[serde(default, skip_serializing_if = "is_false")]
    pub owes_void: bool,
    /// The keys.
    pub keys: Vec<Entry>,
    /// A code over all of the above by the secret of the custody, if it has one; base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

#[derive(Deserialize)]
struct Layout {
    layout: u32,
}

impl RingFileError {
    /// Whether the file may hold the new ring all the same.
    pub const fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Unknown { .. } => true,
            Self::Reach { .. }
            | Self::Damaged { .. }
            | Self::Newer { .. }
            | Self::TooLarge { .. }
            | Self::Encoding(_) => false,
        }
    }
}

impl Document {
    /// A ring of `custody`, with its code over everything that is written of it.
    ///
    /// # Errors
    /// [`RingFileError::Encoding`].
    pub fn new(
        custody: &dyn Custody,
        keys: Vec<Entry>,
        owes_void: bool,
    ) -> Result<Self, RingFileError> {
        let (kind, sealing) = (custody.kind().to_owned(), custody.sealing());
        let bare = Self { layout: LAYOUT, custody: kind, sealing, owes_void, keys, mac: None };
        let code = custody.authenticate(&serde_json::to_vec(&bare)?);
        Ok(Self { mac: code.map(|code| URL_SAFE_NO_PAD.encode(code)), ..bare })
    }

    /// That its keys are in the custody `kind`.
    ///
    /// # Errors
    /// [`CustodyError::Secret`].
    pub fn is_of(&self, kind: &str) -> Result<(), CustodyError> {
        if self.custody == kind {
            return Ok(());
        }
        Err(CustodyError::Secret(format!(
            "the keys are in the custody \"{}\", and keys.custody is \"{kind}\": write the one that has \
             them, or move the ring away to begin a new one; every token is void then",
            self.custody
        )))
    }

    /// That the ring is as this program wrote it: no time, state or key of it was changed by anybody who
    /// has not the custody's secret.
    ///
    /// # Errors
    /// [`CustodyError::Secret`].
    pub fn check(&self, custody: &dyn Custody) -> Result<(), CustodyError> {
        let changed = |_| {
            CustodyError::Secret(
                "the ring of keys is not as this program wrote it: somebody else has changed it. Restore a \
                 copy of it"
                    .to_owned(),
            )
        };
        let bare = Self { mac: None, ..self.clone() };
        let bytes = serde_json::to_vec(&bare).map_err(|_| changed(Unspecified))?;
        let Some(code) = custody.authenticate(&bytes) else { return Ok(()) };
        let found = self.mac.as_ref().and_then(|mac| URL_SAFE_NO_PAD.decode(mac).ok());
        verify_slices_are_equal(&code, &found.unwrap_or_default()).map_err(changed)
    }

    fn read(path: &Path, text: &str) -> Result<Self, RingFileError> {
        let damaged = |problem: String| RingFileError::Damaged { path: path.to_owned(), problem };
        let Layout { layout } =
            serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        if layout > LAYOUT {
            return Err(RingFileError::Newer { path: path.to_owned(), found: layout });
        }
        let document: Self =
            serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        if document.keys.is_empty() {
            return Err(damaged("it holds no key".to_owned()));
        }
        for (place, entry) in document.keys.iter().enumerate() {
            // It would be published, and nobody had to have its private half for that.
            if !entry.is_over() && entry.handle.is_none() {
                return Err(damaged(format!("key {place} is not over and has no private half")));
            }
            if entry.public.thumbprint().to_string() != entry.kid {
                return Err(damaged(format!("key {place} is not the one that its kid names")));
            }
            if document.keys.iter().take(place).any(|other| other.kid == entry.kid) {
                return Err(damaged(format!("key {place} stands twice")));
            }
        }
        Ok(document)
    }
}

/// Keeps a ring.
pub trait Shelf: Send + Sync + fmt::Debug {
    /// What is kept; `None` when nothing ever was.
    ///
    /// # Errors
    /// [`RingFileError`].
    fn read(&self) -> Result<Option<Document>, RingFileError>;

    /// Replaces what is kept, whole or not at all. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`RingFileError`]; what was kept still is.
    fn write(&self, document: &Document) -> Result<(), RingFileError>;
}

/// The ring's file. Whoever has one has the folder's lock as well.
#[derive(Debug)]
pub struct RingFile {
    folder: PathBuf,
}

impl RingFile {
    /// The ring in the folder of a server.
    pub fn of(directory: &Path) -> Self {
        Self { folder: directory.join(FOLDER) }
    }

    /// Where it lies.
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    fn reach(path: &Path) -> impl FnOnce(PrivateFileError) -> RingFileError + use<> {
        let path = path.to_owned();
        move |error| RingFileError::Reach { path, error }
    }
}

impl Shelf for RingFile {
    fn read(&self) -> Result<Option<Document>, RingFileError> {
        let path = self.path();
        // Also where there is no ring: what others could put there is no ring of ours.
        private_file::make_folder(&self.folder).map_err(Self::reach(&self.folder))?;
        match private_file::read(&path, MAX_BYTES) {
            Ok(text) => Document::read(&path, &text).map(Some),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(Self::reach(&path)(error)),
        }
    }

    fn write(&self, document: &Document) -> Result<(), RingFileError> {
        let (path, beside) = (self.path(), self.folder.join(UNFINISHED));
        let text = serde_json::to_string_pretty(document).map(|text| Zeroizing::new(text + "\n"));
        let text = text.map_err(|error| RingFileError::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        if text.len() > MAX_BYTES {
            return Err(RingFileError::TooLarge { path });
        }
        private_file::make_folder(&self.folder).map_err(Self::reach(&self.folder))?;
        // What a process that was killed has left.
        private_file::remove(&beside).map_err(Self::reach(&beside))?;
        let Err(error) = private_file::replace(&path, &beside, &text) else { return Ok(()) };
        // Renamed, and only not certain to outlive a power cut: readers have the new ring, so has this
        // process, and the next change flushes the folder again.
        match private_file::read(&path, MAX_BYTES) {
            Ok(found) if *found == *text => {
                tracing::error!(%error, "the folder of keys was not flushed: the last change may not outlive a power cut");
                Ok(())
            }
            Ok(_) => Err(Self::reach(&path)(error)),
            Err(read) if read.is_absent() => Err(Self::reach(&path)(error)),
            Err(_) => Err(RingFileError::Unknown { path, error }),
        }
    }
}
