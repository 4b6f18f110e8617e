//! What every engine must do, as a suite that each engine's own test runs.
//!
//! Compiled into tests alone.
#![cfg(test)]

use std::sync::Arc;

use countersign_sdk::proof::replay::{ClaimError, ReplayKey};
use countersign_sdk::time::Timestamp;

use super::{Store, StoreError};
use crate::wallet::policy::{NonceOrigin, OpenedNonce};

const NOW: Timestamp = Timestamp::from_unix(1_000_000);

/// Runs the suite over stores that `make` builds with the given bound.
pub(crate) async fn check(make: &dyn Fn(usize) -> Arc<dyn Store>) {
    one_spend_wins(make(100)).await;
    one_claim_wins(make(100)).await;
    expiry_frees_and_fullness_refuses(make(2)).await;
    nonces_and_proofs_do_not_crowd_each_other(make(1)).await;
}

fn nonce(name: &[u8], until: Timestamp) -> OpenedNonce {
    OpenedNonce {
        origin: NonceOrigin::Bare,
        spend_key: ReplayKey::of_bytes("contract", name),
        until,
    }
}

async fn one_spend_wins(store: Arc<dyn Store>) {
    let nonce = nonce(b"one", NOW.plus(300));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.spend(&nonce, NOW).await.is_ok() })
        })
        .collect();
    let mut wins = 0;
    for task in tasks {
        wins += usize::from(task.await.unwrap());
    }
    assert_eq!(wins, 1, "of 64 concurrent spends");
    assert_eq!(store.spend(&nonce, NOW.plus(300)).await.err(), Some(StoreError::Used));
}

async fn one_claim_wins(store: Arc<dyn Store>) {
    let key = ReplayKey::of_bytes("contract", b"key");
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.claim(key, NOW.plus(60), NOW).await.is_ok() })
        })
        .collect();
    let mut wins = 0;
    for task in tasks {
        wins += usize::from(task.await.unwrap());
    }
    assert_eq!(wins, 1, "of 64 concurrent claims");
    let again = store.claim(key, NOW.plus(60), NOW.plus(60)).await;
    assert_eq!(again.err(), Some(ClaimError::Replayed), "within its time");
}

async fn expiry_frees_and_fullness_refuses(store: Arc<dyn Store>) {
    let (first, second, third) =
        (nonce(b"1", NOW.plus(10)), nonce(b"2", NOW.plus(300)), nonce(b"3", NOW.plus(300)));
    assert!(store.spend(&first, NOW).await.is_ok());
    assert!(store.spend(&second, NOW).await.is_ok());
    assert_eq!(store.spend(&third, NOW).await.err(), Some(StoreError::Full));
    assert_eq!(store.spend(&second, NOW).await.err(), Some(StoreError::Used), "nothing evicted");
    store.sweep(NOW.plus(11)).await;
    assert!(store.spend(&third, NOW.plus(11)).await.is_ok(), "the expired one made room");
    assert_eq!(store.spend(&second, NOW.plus(11)).await.err(), Some(StoreError::Used));
}

async fn nonces_and_proofs_do_not_crowd_each_other(store: Arc<dyn Store>) {
    assert!(store.claim(ReplayKey::of_bytes("contract", b"a"), NOW.plus(60), NOW).await.is_ok());
    let full = store.claim(ReplayKey::of_bytes("contract", b"b"), NOW.plus(60), NOW).await;
    assert_eq!(full.err(), Some(ClaimError::Full));
    assert!(store.spend(&nonce(b"1", NOW.plus(300)), NOW).await.is_ok());
}
