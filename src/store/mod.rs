//! The verbs of what outlives a request, each of them one atomic decision.
//!
//! There is no read-then-write here and no way to ask whether something was used: a caller says
//! *use this up* and learns whether it was the one who did. A live entry is never evicted to make
//! room; a store at its bound refuses, and the server answers 503. An engine is one file beside
//! this one, and passes the suite `contract`.

use std::fmt;

use async_trait::async_trait;
use countersign_sdk::proof::replay::ReplayStore;
use countersign_sdk::time::Timestamp;

use crate::wallet::policy::OpenedNonce;

pub mod contract;
pub mod memory;

/// Why a store did not do what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It was used up before.
    #[error("used before")]
    Used,
    /// The store is at its bound.
    #[error("the store is full")]
    Full,
    /// The store did not answer; whether it wrote is unknown.
    #[error("the store did not answer")]
    Unavailable,
}

/// Witness that a nonce was spent just now, by this request and no other.
#[derive(Debug)]
#[must_use]
pub struct SpentNonce(());

impl SpentNonce {
    /// Asserts that the store has written the nonce and that it was not there before. For engines.
    pub(in crate::store) const fn assertion() -> Self {
        Self(())
    }
}

/// Where spent nonces and used proofs are kept. Used proofs are claimed through [`ReplayStore`].
#[async_trait]
pub trait Store: ReplayStore + fmt::Debug {
    /// Spends a nonce, atomically: of any number of concurrent calls with one nonce, one succeeds.
    /// It is remembered until the nonce has expired by itself.
    ///
    /// A false yes mints a second token from one signature; a false no makes somebody sign again.
    ///
    /// # Errors
    /// [`StoreError`]; no token may be minted, whichever it is.
    async fn spend(&self, nonce: &OpenedNonce, now: Timestamp) -> Result<SpentNonce, StoreError>;

    /// Forgets what has expired. Called from the background, never from a request.
    async fn sweep(&self, now: Timestamp);
}
