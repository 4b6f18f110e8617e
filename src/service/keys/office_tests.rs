//! What becomes of a change while a custody, a disk, a store or a clock does not do as it should.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Algorithm, InMemorySigner};
use countersign_sdk::time::ManualClock;

use super::*;
use crate::keyring::custody::memory::Memory;
use crate::keyring::custody::{Custody, CustodyError, Made};
use crate::keyring::ring::State;
use crate::keyring::{Document, Policy, Shelf, SigningKey};
use crate::store::memory::MemoryStore;
use crate::store::{Bounds, SessionBounds};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const POLICY: Policy =
    Policy { algorithm: Algorithm::EdDsa, rotate_every: 86_400, publish_before: 900 };
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A module that answers nobody who wants a key, until it does again.
#[derive(Clone, Debug, Default)]
struct Stuck(Arc<Inside>);

#[derive(Debug, Default)]
struct Inside {
    is_stuck: Mutex<bool>,
    changed: Condvar,
    asked: AtomicUsize,
}

impl Stuck {
    fn set(&self, is_stuck: bool) {
        *self.0.is_stuck.lock().unwrap() = is_stuck;
        self.0.changed.notify_all();
    }

    fn answer(&self) {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let is_stuck = self.0.is_stuck.lock().unwrap();
        drop(self.0.changed.wait_while(is_stuck, |is_stuck| *is_stuck).unwrap());
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }
}

impl Custody for Stuck {
    fn kind(&self) -> &'static str {
        "stuck"
    }

    fn outlives_its_handle(&self) -> bool {
        true
    }

    fn generate(&self, algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Made, CustodyError> {
        self.answer();
        Memory.generate(algorithm, entropy)
    }

    fn import(&self, key: &InMemorySigner, entropy: &dyn Entropy) -> Result<Made, CustodyError> {
        Memory.import(key, entropy)
    }

    fn open(&self, entry: &Entry, handle: &str) -> Result<SigningKey, CustodyError> {
        Memory.open(entry, handle)
    }

    fn destroy(&self, _: &str) -> Result<(), CustodyError> {
        self.answer();
        Ok(())
    }
}

/// A disk that may be full.
#[derive(Clone, Debug, Default)]
struct Disk {
    is_full: Arc<AtomicBool>,
    kept: Arc<Mutex<Option<Document>>>,
}

impl Shelf for Disk {
    fn read(&self) -> Result<Option<Document>, RingFileError> {
        Ok(self.kept.lock().unwrap().clone())
    }

    fn write(&self, document: &Document) -> Result<(), RingFileError> {
        if self.is_full.load(Ordering::SeqCst) {
            let (path, problem) = ("ring.json".into(), "full".to_owned());
            return Err(RingFileError::Damaged { path, problem });
        }
        *self.kept.lock().unwrap() = Some(document.clone());
        Ok(())
    }
}

struct Place {
    custody: Stuck,
    disk: Disk,
    clock: Arc<ManualClock>,
    office: KeyOffice,
}

fn store(revocations: usize) -> Arc<dyn Store> {
    let sessions = SessionBounds { total: 10, per_subject: 10, revocations };
    let bounds = Bounds { nonces: 10, proofs: 10, answers: 10, sessions };
    Arc::new(MemoryStore::new(&bounds, &OsEntropy).unwrap())
}

impl Place {
    fn new() -> Self {
        let (custody, disk, clock) = (Stuck::default(), Disk::default(), ManualClock::new(NOW));
        let (own, shelf, clock) = (custody.clone(), Box::new(disk.clone()), Arc::new(clock));
        let make = Box::new(move |_| Ok(Arc::new(own) as Arc<dyn Custody>));
        let keyring = Keyring::open(make, Some(shelf), POLICY, NOW, &OsEntropy).unwrap();
        let office = KeyOffice {
            keyring,
            store: store(10),
            audit: Audit::in_memory(),
            unrecorded: Unrecorded::default(),
            entropy: Arc::new(OsEntropy),
            clock: Arc::<ManualClock>::clone(&clock),
        };
        Self { custody, disk, clock, office }
    }

    fn active(&self) -> String {
        self.office.keyring.active(self.clock.now()).kid().to_owned()
    }

    async fn revoke(&self, kid: &str) -> KeyView {
        let revoked = self.office.change(Operation::Revoke(kid.to_owned()), &Actor::Control);
        tokio::time::timeout(PATIENCE, revoked).await.expect("it waits for the module").unwrap()
    }
}

#[tokio::test]
async fn a_revocation_waits_for_no_module() {
    let place = Place::new();
    let leaked = place.active();
    place.custody.set(true);
    let (asked, office) = (place.custody.asked(), place.office.clone());
    let making =
        tokio::spawn(async move { office.change(Operation::Generate, &Actor::Control).await });
    while place.custody.asked() == asked {
        tokio::task::yield_now().await;
    }
    let revoked = place.revoke(&leaked).await;
    assert_eq!((revoked.state, revoked.pending), (State::Revoked, vec![]));
    let successor = place.active();
    assert_ne!(successor, leaked);
    let view = place.office.keyring.view(NOW);
    assert!(!view.kids().contains(&leaked) && view.kids().contains(&successor));
    // What it left is done when the module answers again.
    place.custody.set(false);
    making.await.unwrap().unwrap();
    place.office.tend().await.unwrap();
    let ring = place.office.keyring.ring();
    assert!(!ring.nexts(NOW).is_empty() && ring.find(&leaked).unwrap().to_destroy.is_none());
}

#[tokio::test]
async fn what_a_revocation_left_is_written_when_it_can_be() {
    let place = Place::new();
    let leaked = place.active();
    place.disk.is_full.store(true, Ordering::SeqCst);
    let revoked = place.revoke(&leaked).await;
    assert_eq!(revoked.pending, [Pending::Ring, Pending::Feed]);
    assert!(place.office.make_good().await.is_err() && place.office.catch_up().await.is_err());
    place.disk.is_full.store(false, Ordering::SeqCst);
    place.office.catch_up().await.unwrap();
    let is_kept = || {
        let kept = place.disk.read().unwrap().unwrap();
        kept.keys.iter().find(|key| key.kid == leaked).unwrap().clone()
    };
    assert!(is_kept().revoked_at.is_some() && !is_kept().is_told);
    place.office.make_good().await.unwrap();
    assert!(is_kept().is_told);
}

#[tokio::test]
async fn a_key_is_dated_when_it_ends_and_not_when_that_was_asked_for() {
    let place = Place::new();
    let leaked = place.active();
    // Another change is under way, and takes ten seconds.
    let turn = place.office.keyring.turn().await;
    let (revoked, ()) = tokio::join!(place.revoke(&leaked), async {
        place.clock.advance(10);
        drop(turn);
    });
    assert_eq!(revoked.revoked_at, Some(NOW.plus(10).to_string()));
    let recorded = place.office.audit.recorded();
    let times = recorded.iter().filter(|it| matches!(it.event, Event::KeyRevoked(_)));
    assert_eq!(times.map(|it| it.time).collect::<Vec<_>>(), [NOW.plus(10)]);
}

#[tokio::test]
async fn what_the_ring_owes_the_log_is_struck_out_by_whoever_has_recorded_it() {
    let place = Place::new();
    let owed = || place.office.keyring.unrecorded().len();
    let first = owed();
    assert!(first > 0, "of the first keys nothing is recorded");
    place.office.catch_up().await.unwrap();
    place.revoke(&place.active()).await;
    place.office.make_good().await.unwrap();
    assert_eq!(owed(), first);
    place.office.settle_records().await.unwrap();
    assert_eq!(owed(), 0);
    let recorded = place.office.audit.recorded();
    let revoked = recorded.iter().filter(|it| matches!(it.event, Event::KeyRevoked(_)));
    assert_eq!(revoked.count(), 1);
}
