//! Where used proofs are remembered, for how long, and how much of the memory one key may take.
//!
//! In memory, they leave in the background of a request now and then, so nothing hangs on the
//! runtime that a server was built in. One key can take a sixteenth of it; that raises the price of
//! filling it from one key to sixteen, and no more, where keys are free. RFC 9449 §11.1.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::error::AccessError;
use crate::key::Thumbprint;
use crate::proof::dpop::{VerifiedProof, Window};
use crate::proof::replay::{Claimed, MemoryReplayStore, ReplayStore};
use crate::time::Timestamp;

/// Seconds between two sweeps.
const SWEEP_SECONDS: u64 = 10;
/// Seconds that a used proof is remembered beyond its time, in case the clock is set back.
const REMEMBERED_LONGER: u64 = 120;
/// The part of the memory that one key may take.
const ONE_KEYS_PART: usize = 16;

/// Where used proofs are remembered.
pub(super) enum UsedProofs {
    /// In this process, swept here.
    Here(Arc<Memory>),
    /// In a store that somebody else keeps and sweeps.
    Elsewhere(Arc<dyn ReplayStore>),
}

/// Used proofs in memory.
pub(super) struct Memory {
    store: MemoryReplayStore,
    shares: DashMap<Thumbprint, Share>,
    /// How many proofs one key may use in each `period`.
    quota: usize,
    /// Seconds that a used proof stays.
    period: u64,
    swept_at: AtomicU64,
}

/// What one key has used since a moment.
struct Share {
    since: Timestamp,
    used: usize,
}

impl UsedProofs {
    /// In this process, `capacity` of them at most.
    pub(super) fn here(capacity: usize, window: Window) -> Self {
        Self::Here(Arc::new(Memory {
            store: MemoryReplayStore::new(capacity),
            shares: DashMap::new(),
            quota: (capacity / ONE_KEYS_PART).max(1),
            period: window.retention(Timestamp::default()).plus(REMEMBERED_LONGER).as_unix(),
            swept_at: AtomicU64::new(0),
        }))
    }

    /// Uses the proof up; of any number of requests with it, one gets past here.
    pub(super) async fn claim(
        &self,
        proof: &VerifiedProof,
        now: Timestamp,
    ) -> Result<Claimed, AccessError> {
        match self {
            Self::Here(memory) => {
                memory.sweep_in_background(now);
                memory.claim(proof, now)
            }
            Self::Elsewhere(store) => {
                Ok(store.claim(proof.replay_key(), proof.retain_until(), now).await?)
            }
        }
    }
}

impl Memory {
    /// Counts only what was really used up: a stranger who repeats a key's proofs costs it nothing.
    fn claim(&self, proof: &VerifiedProof, now: Timestamp) -> Result<Claimed, AccessError> {
        let claim = || self.store.claim_now(proof.replay_key(), proof.retain_until(), now);
        match self.shares.entry(proof.thumbprint()) {
            Entry::Vacant(entry) => {
                let claimed = claim()?;
                entry.insert(Share { since: now, used: 1 });
                Ok(claimed)
            }
            Entry::Occupied(mut entry) => {
                let share = entry.get_mut();
                if self.is_over(share, now) {
                    *share = Share { since: now, used: 0 };
                }
                if share.used >= self.quota {
                    return Err(AccessError::TooManyProofs);
                }
                let claimed = claim()?;
                share.used += 1;
                Ok(claimed)
            }
        }
    }

    /// Whether the period that a share counts has ended, or the clock was set back before it.
    const fn is_over(&self, share: &Share, now: Timestamp) -> bool {
        now.since(share.since) >= self.period || share.since.since(now) > 0
    }

    /// Starts a sweep unless there was one in the last seconds. Must run inside a tokio runtime.
    fn sweep_in_background(self: &Arc<Self>, now: Timestamp) {
        let (last, this) = (self.swept_at.load(Ordering::Relaxed), now.as_unix());
        if last.abs_diff(this) < SWEEP_SECONDS {
            return;
        }
        let first =
            self.swept_at.compare_exchange(last, this, Ordering::Relaxed, Ordering::Relaxed);
        if first.is_ok() {
            let memory = Arc::clone(self);
            tokio::task::spawn_blocking(move || memory.sweep(now));
        }
    }

    fn sweep(&self, now: Timestamp) {
        self.store.sweep(now.minus(REMEMBERED_LONGER));
        self.shares.retain(|_, share| !self.is_over(share, now));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.store.len()
    }
}
