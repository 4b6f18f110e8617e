//! Spent nonces, used proofs and wallets' answers in memory: what every engine of one process remembers of them.
//!
//! Forgetting them with the process is safe where what could be used again ends with it too: no nonce
//! of before is taken afterwards, since its key is gone, assertions from before the start are
//! refused, and proofs of then need a nonce of now wherever sessions have survived.

use std::sync::atomic::{AtomicU64, Ordering};

use countersign_sdk::proof::replay::{ClaimError, Claimed, MemoryReplayStore, ReplayKey};
use countersign_sdk::time::Timestamp;

use super::answers::Answers;
use super::{Bounds, SpentNonce, StoreError};
use crate::wallet::policy::OpenedNonce;

/// How far the clock may have been set back without a revocation losing sight of what is dated ahead,
/// in seconds. Beyond, the clock was wrong before.
const SET_BACK: u64 = 120;

/// Bounded maps, so that a flood of one leaves room for the others.
#[derive(Debug)]
pub(in crate::store) struct UsedOnce {
    nonces: MemoryReplayStore,
    proofs: MemoryReplayStore,
    /// Answers that wait to be fetched.
    pub(in crate::store) answers: Answers,
    /// The latest moment that any request was handled at.
    latest: AtomicU64,
}

impl UsedOnce {
    /// At most as many of each as `bounds` says.
    pub(in crate::store) fn new(bounds: &Bounds) -> Self {
        Self {
            nonces: MemoryReplayStore::new(bounds.nonces),
            proofs: MemoryReplayStore::new(bounds.proofs),
            answers: Answers::new(bounds.answers),
            latest: AtomicU64::default(),
        }
    }

    /// Now, for a revocation: not before anything that may have been dated by a clock that was set
    /// back since.
    pub(in crate::store) fn not_before_any(&self, now: Timestamp) -> Timestamp {
        let latest = self.latest.fetch_max(now.as_unix(), Ordering::AcqRel);
        now.max(Timestamp::from_unix(latest).min(now.plus(SET_BACK)))
    }

    pub(in crate::store) fn spend(
        &self,
        nonce: &OpenedNonce,
        now: Timestamp,
    ) -> Result<SpentNonce, StoreError> {
        self.latest.fetch_max(now.as_unix(), Ordering::AcqRel);
        match self.nonces.claim_now(nonce.spend_key, nonce.until, now) {
            Ok(_claimed) => Ok(SpentNonce::assertion()),
            Err(ClaimError::Replayed) => Err(StoreError::Used),
            Err(ClaimError::Full) => Err(StoreError::Full),
            Err(ClaimError::Unavailable) => Err(StoreError::Unavailable),
        }
    }

    pub(in crate::store) fn unspend(&self, nonce: &OpenedNonce) {
        self.nonces.release(&nonce.spend_key);
    }

    pub(in crate::store) fn is_spent(&self, nonce: &OpenedNonce, now: Timestamp) -> bool {
        self.nonces.is_claimed(&nonce.spend_key, now)
    }

    pub(in crate::store) fn claim(
        &self,
        key: ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, ClaimError> {
        self.latest.fetch_max(now.as_unix(), Ordering::AcqRel);
        self.proofs.claim_now(key, until, now)
    }

    pub(in crate::store) fn sweep(&self, now: Timestamp) {
        self.nonces.sweep(now);
        self.proofs.sweep(now);
        self.answers.sweep(now);
        // A clock that was further ahead was wrong, and what it said is not held on to.
        self.latest.fetch_min(now.plus(SET_BACK).as_unix(), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::super::SessionBounds;
    use super::*;

    #[test]
    fn a_clock_that_was_ahead_dates_revocations_ahead_for_two_minutes_and_no_longer() {
        let sessions = SessionBounds { total: 1, per_subject: 1, revocations: 1 };
        let used = UsedOnce::new(&Bounds { nonces: 1, proofs: 1, answers: 1, sessions });
        let now = Timestamp::from_unix(1_000_000);
        used.not_before_any(now.plus(86_400));
        assert_eq!(used.not_before_any(now), now.plus(SET_BACK));
        used.sweep(now);
        assert_eq!(used.not_before_any(now), now.plus(SET_BACK), "it may have been right");
        let later = now.plus(SET_BACK);
        used.sweep(later);
        assert_eq!(used.not_before_any(later), later);
    }
}
