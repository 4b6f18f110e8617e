//! What wallets have answered by a call-back, until whoever asked comes for it.
//!
//! In memory: a challenge of before a restart is void with the key of its nonce, and so is its answer.
//! The first answer of a challenge stands; nothing can put another in its place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_sdk::chain::lnurl::Answer;
use countersign_sdk::time::Timestamp;

use super::StoreError;

/// The answers by the digest that was signed, each until its challenge ends.
#[derive(Debug)]
pub(in crate::store) struct Answers {
    held: Mutex<HashMap<[u8; 32], (Answer, Timestamp)>>,
    capacity: usize,
}

impl Answers {
    /// At most so many.
    pub(in crate::store) fn new(capacity: usize) -> Self {
        Self { held: Mutex::default(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], (Answer, Timestamp)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::store) fn hold(
        &self,
        digest: [u8; 32],
        answer: Answer,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut held = self.lock();
        let full = held.len() >= self.capacity;
        match held.entry(digest) {
            Entry::Occupied(mut earlier) => {
                let (first, end) = *earlier.get();
                if end < now {
                    earlier.insert((answer, until));
                } else if first.key != answer.key {
                    return Err(StoreError::Used);
                }
            }
            Entry::Vacant(_) if full => return Err(StoreError::Full),
            Entry::Vacant(place) => {
                place.insert((answer, until));
            }
        }
        Ok(())
    }

    pub(in crate::store) fn of(&self, digest: &[u8; 32], now: Timestamp) -> Option<Answer> {
        let held = self.lock();
        held.get(digest).filter(|(_, until)| *until >= now).map(|(answer, _)| *answer)
    }

    pub(in crate::store) fn forget(&self, digest: &[u8; 32]) {
        self.lock().remove(digest);
    }

    pub(in crate::store) fn sweep(&self, now: Timestamp) {
        let mut held = self.lock();
        held.retain(|_, (_, until)| *until >= now);
        if held.capacity() / 4 > held.len() {
            held.shrink_to_fit();
        }
    }
}
