//! Spent nonces and used proofs in memory: what every engine of one process remembers of them.
//!
//! Forgetting them with the process is safe where what could be used again ends with it too: no nonce
//! of before is taken afterwards, since its key is gone, assertions from before the start are
//! refused, and proofs of then need a nonce of now wherever sessions have survived.

use countersign_sdk::proof::replay::{ClaimError, Claimed, MemoryReplayStore, ReplayKey};
use countersign_sdk::time::Timestamp;

use super::{SpentNonce, StoreError};
use crate::wallet::policy::OpenedNonce;

/// Two bounded maps, so that a flood of one leaves room for the other.
#[derive(Debug)]
pub(in crate::store) struct UsedOnce {
    nonces: MemoryReplayStore,
    proofs: MemoryReplayStore,
}

impl UsedOnce {
    /// At most so many spent nonces and so many used proofs.
    pub(in crate::store) fn new(nonces: usize, proofs: usize) -> Self {
        Self { nonces: MemoryReplayStore::new(nonces), proofs: MemoryReplayStore::new(proofs) }
    }

    pub(in crate::store) fn spend(
        &self,
        nonce: &OpenedNonce,
        now: Timestamp,
    ) -> Result<SpentNonce, StoreError> {
        match self.nonces.claim_now(nonce.spend_key, nonce.until, now) {
            Ok(_claimed) => Ok(SpentNonce::assertion()),
            Err(ClaimError::Replayed) => Err(StoreError::Used),
            Err(ClaimError::Full) => Err(StoreError::Full),
            Err(ClaimError::Unavailable) => Err(StoreError::Unavailable),
        }
    }

    pub(in crate::store) fn claim(
        &self,
        key: ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, ClaimError> {
        self.proofs.claim_now(key, until, now)
    }

    pub(in crate::store) fn sweep(&self, now: Timestamp) {
        self.nonces.sweep(now);
        self.proofs.sweep(now);
    }
}
