//! The store of one process that forgets everything when it ends: for development and for tests.
//!
//! Forgetting is safe, because what could be used again ends with the process too: no nonce of before
//! is taken afterwards, since its key is gone, and assertions from before the start are refused.
//! Proofs of before could be replayed within their window, and find neither to go with them.

use async_trait::async_trait;
use countersign_sdk::proof::replay::{
    ClaimError, Claimed, MemoryReplayStore, ReplayKey, ReplayStore,
};
use countersign_sdk::time::Timestamp;

use super::{SpentNonce, Store, StoreError};
use crate::wallet::policy::OpenedNonce;

/// Spent nonces and used proofs in two bounded maps, so that a flood of one leaves room for the other.
#[derive(Debug)]
pub struct MemoryStore {
    nonces: MemoryReplayStore,
    proofs: MemoryReplayStore,
}

impl MemoryStore {
    /// A store that holds at most so many spent nonces and so many used proofs.
    pub fn new(nonces: usize, proofs: usize) -> Self {
        Self { nonces: MemoryReplayStore::new(nonces), proofs: MemoryReplayStore::new(proofs) }
    }
}

#[async_trait]
impl ReplayStore for MemoryStore {
    async fn claim(
        &self,
        key: ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, ClaimError> {
        self.proofs.claim_now(key, until, now)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn spend(&self, nonce: &OpenedNonce, now: Timestamp) -> Result<SpentNonce, StoreError> {
        match self.nonces.claim_now(nonce.spend_key, nonce.until, now) {
            Ok(_claimed) => Ok(SpentNonce::assertion()),
            Err(ClaimError::Replayed) => Err(StoreError::Used),
            Err(ClaimError::Full) => Err(StoreError::Full),
            Err(ClaimError::Unavailable) => Err(StoreError::Unavailable),
        }
    }

    async fn sweep(&self, now: Timestamp) {
        self.nonces.sweep(now);
        self.proofs.sweep(now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::contract;

    #[tokio::test(flavor = "multi_thread")]
    async fn keeps_the_contract() {
        contract::check(&|capacity| Arc::new(MemoryStore::new(capacity, capacity))).await;
    }
}
