//! Where sessions are kept between two runs of a program: what a place must be able to do.
//!
//! A refresh token is good once. So a renewal is kept *before* the new token is handed out, and of
//! the programs that share a place one renews at a time: it takes the lock, reads what the last one
//! kept, renews from that, keeps it, and lets go.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;

use super::kept::{KeptError, KeptSession};
use super::private_file::PrivateFileError;

/// The longest name of a kept session, in characters.
const MAX_NAME: usize = 64;

/// Why a session was not kept, read or removed. Quotes nothing of what is kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The name is not 1 to 64 letters, digits, `-` and `_`.
    #[error("a session's name is 1 to 64 letters, digits, - and _")]
    Name,
    /// Nothing is kept under this name.
    #[error("no session is kept as {0}")]
    Absent(String),
    /// What is kept is no session.
    #[error("{place}: {fault}")]
    Kept {
        /// Where it is kept.
        place: String,
        /// What is wrong with it.
        fault: KeptError,
    },
    /// The file or its folder was not read or written.
    #[error("{}: {fault}", path.display())]
    File {
        /// The file or the folder.
        path: PathBuf,
        /// Why.
        fault: PrivateFileError,
    },
    /// Another program has been renewing this session for longer than a renewal takes.
    #[error("another program holds the session {0}")]
    Busy(String),
    /// A fault of a place of the caller's own; its words must quote no secret.
    #[error("the session was not kept or read: {0}")]
    Other(String),
}

/// A session's name: 1 to 64 letters, digits, `-` and `_`, so that it can name a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionName(String);

impl SessionName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`StoreError::Name`].
    pub fn new(text: &str) -> Result<Self, StoreError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(fits) {
            return Err(StoreError::Name);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Keeps others from renewing a session until it is dropped.
pub struct StoreLock(#[expect(dead_code, reason = "held for its drop")] Box<dyn Any + Send>);

impl StoreLock {
    /// A lock that `held` gives back when it is dropped.
    pub fn new(held: impl Any + Send) -> Self {
        Self(Box::new(held))
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreLock")
    }
}

/// A place where sessions are kept, by name.
#[async_trait]
pub trait SessionStore: Send + Sync + fmt::Debug {
    /// Waits until nobody else holds the session, then holds it. A place that a single session of a
    /// single process uses may give a lock of `()`.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when somebody holds it for too long.
    async fn lock(&self, name: &SessionName) -> Result<StoreLock, StoreError>;

    /// What is kept under a name; `None` when nothing is.
    ///
    /// # Errors
    /// [`StoreError`] when what is there cannot be read; that is not nothing.
    async fn load(&self, name: &SessionName) -> Result<Option<KeptSession>, StoreError>;

    /// Keeps a session in place of an earlier one, whole or not at all, and so that it is still
    /// there after a crash. The caller holds the lock.
    ///
    /// # Errors
    /// [`StoreError`]; the earlier one is then still there, or the new one is.
    async fn save(&self, name: &SessionName, session: &KeptSession) -> Result<(), StoreError>;

    /// Removes what is kept. The caller holds the lock.
    ///
    /// # Errors
    /// [`StoreError`] when it is still there.
    async fn remove(&self, name: &SessionName) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_folder() {
        for name in ["", "../x", "a/b", ".", "a.b", "a b", "é", &"a".repeat(65)] {
            assert!(SessionName::new(name).is_err(), "{name}");
        }
        assert_eq!(SessionName::new("Demo-1_x").unwrap().as_str(), "Demo-1_x");
    }
}
