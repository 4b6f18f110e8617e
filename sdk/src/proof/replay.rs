//! The one atomic verb by which a proof, an assertion or a nonce is used up.
//!
//! There is no way to ask whether a key was seen: asking first and writing after is how servers
//! let one proof through twice.

use std::fmt;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::key::Thumbprint;
use crate::time::Timestamp;

/// What is remembered of a used proof: 16 bytes of a SHA-256 over decoded, canonical values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplayKey([u8; 16]);

impl ReplayKey {
    /// The key of a proof or assertion: its signer's thumbprint and its `jti`, under a `kind` that
    /// keeps artefacts apart.
    pub fn of_jti(kind: &'static str, signer: &Thumbprint, jti: &str) -> Self {
        Self::digest(&[kind.as_bytes(), signer.as_bytes(), jti.as_bytes()])
    }

    /// The key of bytes that are unique by themselves, such as a decoded nonce.
    pub fn of_bytes(kind: &'static str, bytes: &[u8]) -> Self {
        Self::digest(&[kind.as_bytes(), bytes])
    }

    /// The same thing for one subject alone, for what each subject may use once.
    #[must_use]
    pub fn for_subject(&self, subject: &str) -> Self {
        Self::digest(&[b"subject", &self.0, subject.as_bytes()])
    }

    fn digest(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Each part with its length, so that no two lists of parts run into one.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        Self(digest.first_chunk().copied().unwrap_or_default())
    }

    /// The 16 bytes, for stores.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Witness that a key was used up just now, by this caller and no other.
#[derive(Debug)]
#[must_use]
pub struct Claimed(());

impl Claimed {
    /// Asserts that the store has written the key and that it was not there before. Only a
    /// [`ReplayStore`] says so.
    pub const fn assertion() -> Self {
        Self(())
    }
}

/// Why a key was not claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// It was used before and is still remembered.
    #[error("used before")]
    Replayed,
    /// The store is at its bound. Nothing live is ever evicted to make room.
    #[error("the store of used proofs is full")]
    Full,
    /// The store did not answer; whether the key was written is unknown.
    #[error("the store of used proofs did not answer")]
    Unavailable,
}

/// Remembers what was used.
#[async_trait]
pub trait ReplayStore: Send + Sync + fmt::Debug {
    /// Uses `key` up, atomically: of any number of concurrent calls with one key, one succeeds.
    ///
    /// The key is remembered until `until` has passed, by the clock that `now` is of: a store that
    /// forgets by a clock of its own keeps it longer, by two minutes say. A false yes lets a replay
    /// through; a false no costs an honest client one more proof.
    ///
    /// # Errors
    /// [`ClaimError`]; the request must then be refused, whichever it is.
    async fn claim(
        &self,
        key: ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, ClaimError>;
}

#[cfg(feature = "resource-server")]
pub use memory::MemoryReplayStore;

#[cfg(feature = "resource-server")]
mod memory {
    //! The store of one process: a concurrent map, bounded, swept in the background.

    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use dashmap::DashMap;
    use dashmap::mapref::entry::Entry;

    use super::{ClaimError, Claimed, ReplayKey, ReplayStore};
    use crate::time::Timestamp;

    /// Used keys in memory, about 40 bytes each; expired ones cost no request anything and leave
    /// by [`MemoryReplayStore::sweep`].
    #[derive(Debug)]
    pub struct MemoryReplayStore {
        /// Key to the second after which it may be forgotten; 32 bits last until 2106.
        used: DashMap<ReplayKey, u32>,
        count: AtomicUsize,
        capacity: usize,
    }

    impl MemoryReplayStore {
        /// A store that holds at most `capacity` keys and then answers [`ClaimError::Full`].
        pub fn new(capacity: usize) -> Self {
            Self { used: DashMap::new(), count: AtomicUsize::new(0), capacity }
        }

        /// Uses `key` up; [`ReplayStore::claim`] without waiting.
        ///
        /// # Errors
        /// [`ClaimError::Replayed`] or [`ClaimError::Full`].
        pub fn claim_now(
            &self,
            key: ReplayKey,
            until: Timestamp,
            now: Timestamp,
        ) -> Result<Claimed, ClaimError> {
            let expiry = u32::try_from(until.as_unix()).unwrap_or(u32::MAX);
            match self.used.entry(key) {
                Entry::Occupied(entry) if u64::from(*entry.get()) >= now.as_unix() => {
                    Err(ClaimError::Replayed)
                }
                Entry::Occupied(mut expired) => {
                    expired.insert(expiry);
                    Ok(Claimed::assertion())
                }
                Entry::Vacant(entry) => {
                    if self.count.fetch_add(1, Ordering::AcqRel) >= self.capacity {
                        self.count.fetch_sub(1, Ordering::AcqRel);
                        return Err(ClaimError::Full);
                    }
                    entry.insert(expiry);
                    Ok(Claimed::assertion())
                }
            }
        }

        /// Forgets `key`, for whoever has claimed it and then done nothing for it.
        pub fn release(&self, key: &ReplayKey) {
            if self.used.remove(key).is_some() {
                self.count.fetch_sub(1, Ordering::AcqRel);
            }
        }

        /// Whether `key` was used up, and not so long ago that it may be again. Whoever asks claims nothing.
        pub fn is_claimed(&self, key: &ReplayKey, now: Timestamp) -> bool {
            self.used.get(key).is_some_and(|until| u64::from(*until) >= now.as_unix())
        }

        /// Forgets what expired before `now`, and gives memory back once most of it is unused.
        pub fn sweep(&self, now: Timestamp) {
            self.used.retain(|_, until| {
                let live = u64::from(*until) >= now.as_unix();
                if !live {
                    self.count.fetch_sub(1, Ordering::AcqRel);
                }
                live
            });
            if self.used.capacity() / 4 > self.used.len() {
                self.used.shrink_to_fit();
            }
        }

        /// How many keys are held, expired ones that were not swept yet included.
        pub fn len(&self) -> usize {
            self.count.load(Ordering::Acquire)
        }

        /// Whether none is held.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }
    }

    #[async_trait]
    impl ReplayStore for MemoryReplayStore {
        async fn claim(
            &self,
            key: ReplayKey,
            until: Timestamp,
            now: Timestamp,
        ) -> Result<Claimed, ClaimError> {
            self.claim_now(key, until, now)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn at(seconds: u64) -> Timestamp {
            Timestamp::from_unix(seconds)
        }

        #[test]
        fn one_claim_wins_until_it_expires() {
            let store = MemoryReplayStore::new(10);
            let key = ReplayKey::of_bytes("test", b"a");
            assert!(!store.is_claimed(&key, at(50)));
            assert!(store.claim_now(key, at(100), at(50)).is_ok());
            assert!(store.is_claimed(&key, at(100)) && !store.is_claimed(&key, at(101)));
            assert_eq!(store.claim_now(key, at(100), at(100)).err(), Some(ClaimError::Replayed));
            assert!(store.claim_now(key, at(200), at(101)).is_ok());
        }

        #[test]
        fn a_full_store_refuses_and_evicts_nothing() {
            let store = MemoryReplayStore::new(2);
            let key = |n: u8| ReplayKey::of_bytes("test", &[n]);
            assert!(store.claim_now(key(1), at(100), at(1)).is_ok());
            assert!(store.claim_now(key(2), at(50), at(1)).is_ok());
            assert_eq!(store.claim_now(key(3), at(100), at(1)).err(), Some(ClaimError::Full));
            assert_eq!(store.claim_now(key(1), at(100), at(1)).err(), Some(ClaimError::Replayed));
            store.sweep(at(60));
            assert_eq!(store.len(), 1);
            assert!(store.claim_now(key(3), at(100), at(60)).is_ok());
            for _ in 0..2 {
                store.release(&key(3));
                assert_eq!(store.len(), 1);
            }
            assert!(store.claim_now(key(3), at(100), at(60)).is_ok());
        }

        #[test]
        fn of_many_threads_one_wins() {
            let store = MemoryReplayStore::new(1000);
            for round in 0..50_u8 {
                let key = ReplayKey::of_bytes("race", &[round]);
                let wins: usize = std::thread::scope(|scope| {
                    let claim = || usize::from(store.claim_now(key, at(9), at(1)).is_ok());
                    let threads: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
                    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
                });
                assert_eq!(wins, 1);
            }
        }
    }
}
