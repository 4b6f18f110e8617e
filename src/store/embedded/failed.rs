//! Why a verb did not happen: refused by the rules, one record that cannot be read, or the file itself.
//!
//! The three end differently: a refusal is an answer, an unreadable record spoils its own verb
//! alone, and after a fault of the file nothing that was read from it is believed.

use super::record::Unreadable;
use crate::store::SessionError;

/// Why a verb did not happen.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] SessionError),
    /// A record that it needs is not one.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The file.
    #[error("{0}")]
    Broken(Box<redb::Error>),
    /// The library gave up on what it found in the file.
    #[error("the file's content is not what was written")]
    Panicked,
}

macro_rules! broken {
    ($($error:ty),*) => {$(
        impl From<$error> for Failed {
            fn from(error: $error) -> Self {
                Self::Broken(Box::new(error.into()))
            }
        }
    )*};
}

broken!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError,
    redb::SetDurabilityError
);
