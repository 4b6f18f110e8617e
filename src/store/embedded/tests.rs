//! The engine keeps the contract, and what it has kept is there when the file is opened again.

use countersign_sdk::entropy::OsEntropy;

use super::*;
use crate::store::contract;

fn opened(folder: &Path, capacity: usize) -> EmbeddedStore {
    let sessions = SessionBounds { total: capacity, per_subject: 3 };
    let bounds = Bounds { nonces: capacity, proofs: capacity, sessions };
    EmbeddedStore::open(Folder::take(folder).unwrap(), bounds, &OsEntropy).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::sync::atomic::AtomicUsize::new(0);
    contract::check(&|capacity| {
        let name = made.fetch_add(1, Ordering::Relaxed).to_string();
        Arc::new(opened(&folder.path().join(name), capacity))
    })
    .await;
}
