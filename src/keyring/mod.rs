//! The issuer's signing keys: which one signs now, and which ones the world may verify with.
//!
//! | file | decides |
//! |---|---|
//! | `key` | how a key signs, and that it may fail to |
//! | [`ring`] | the state of each key, a pure function of what is written and of the time |
//! | [`plan`] | what is to be done about the keys, and when |
//! | `change` | that it is done whole or not at all; `work`, on a copy of the ring |
//! | `spares` | that a key is made before the change that needs it |
//! | `slots` | how many signatures are made at once where each takes a while, and for whom |
//! | `view` | what requests are given: the key that signs, the JWKS |
//! | `file` | where the ring lies, and that a change of it is one rename |
//! | [`custody`] | where private halves lie |

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use countersign_sdk::entropy::Entropy;
use countersign_sdk::time::Timestamp;
use tokio::sync::{Mutex, watch};

mod change;
pub mod custody;
mod file;
mod key;
pub mod plan;
pub mod ring;
mod slots;
mod spares;
mod view;
mod work;

pub use change::{Committed, Draft, KeyEvent, KeyringError, Operation, Turn};
use custody::memory::Memory;
use custody::sealed::{self, Sealed};
use custody::secret::SecretSource;
use custody::{Custody, CustodyError};
pub use file::{Document, FILE, FOLDER, RingFile, RingFileError, Shelf};
pub use key::{PrivateHalf, SignError, SigningKey};
pub use plan::Policy;
pub use ring::Happening;
use ring::Ring;
pub use slots::{Purpose, Reserved, Slots};
pub use spares::Spares;
pub use view::{View, ViewError, key_set};

/// Makes the custody for what a ring says of its sealing.
pub type MakeCustody<'a> =
    dyn FnOnce(Option<custody::Sealing>) -> Result<Arc<dyn Custody>, CustodyError> + 'a;

/// The keys of an issuer.
#[derive(Debug)]
pub struct Keyring {
    custody: Arc<dyn Custody>,
    shelf: Option<Box<dyn Shelf>>,
    policy: Policy,
    keys: RwLock<Keys>,
    /// One change at a time.
    turn: Arc<Mutex<()>>,
    /// Counts what took keys out of the published set at once.
    withdrawals: watch::Sender<u64>,
    /// Whether what is in force could not be written.
    is_behind: AtomicBool,
    is_new: bool,
    /// Whether what an earlier ring signed is still to be called void.
    owes_void: AtomicBool,
}

/// What is in force.
#[derive(Clone, Debug)]
struct Keys {
    ring: Arc<Ring>,
    opened: Arc<HashMap<String, Arc<SigningKey>>>,
    view: Arc<View>,
}

/// The keys of a ring, as its custody gave them.
#[derive(Debug)]
pub struct Asked {
    ring: Arc<Ring>,
    opened: HashMap<String, Arc<SigningKey>>,
}

impl Keyring {
    /// Opens the ring on `shelf`, or makes the first keys of a new one; without a shelf they end with the
    /// process. May block for as long as the custody does.
    ///
    /// # Errors
    /// [`KeyringError`]; nothing that was found is touched.
    pub fn open(
        make_custody: Box<MakeCustody<'_>>,
        shelf: Option<Box<dyn Shelf>>,
        policy: Policy,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Arc<Self>, KeyringError> {
        let found = shelf.as_ref().map(|shelf| shelf.read()).transpose()?.flatten();
        let is_new = found.is_none();
        let written = found.as_ref();
        // Before a secret is asked for that the keys were never sealed with.
        let custody = make_custody(written.and_then(|found| found.sealing.clone()))?;
        written.map_or(Ok(()), |found| found.is_of(custody.kind()))?;
        let ring = Ring { entries: written.map_or_else(Vec::new, |found| found.keys.clone()) };
        let opened = opened(&*custody, &ring)?;
        if let Some(found) = written {
            found.check(&*custody)?;
        }
        let turn = Arc::new(Mutex::new(()));
        let first = work::founded(&*custody, ring, opened, policy, now, entropy)?;
        let keyring = Arc::new(Self {
            custody,
            shelf,
            policy,
            keys: RwLock::new(first.keys),
            turn,
            withdrawals: watch::Sender::new(0),
            is_behind: AtomicBool::new(false),
            is_new,
            owes_void: AtomicBool::new(written.is_none_or(|found| found.owes_void)),
        });
        if !first.made.is_empty()
            && let Err(error) = keyring.write(&keyring.keys().ring)
        {
            if !error.is_outcome_unknown() {
                keyring.destroy(&first.made);
            }
            return Err(error.into());
        }
        Ok(keyring)
    }

    /// Whether every key that is to be published has shown that it is the one of the ring.
    pub fn is_proven(&self) -> bool {
        self.keys().opened.values().all(|key| key.is_proven())
    }

    /// Asks the custody once more for keys that it could not be asked for when the ring was opened. May
    /// block, and takes no turn that somebody could wait for meanwhile.
    ///
    /// # Errors
    /// [`KeyringError`]; what was unproven still is.
    pub fn ask(&self) -> Result<Asked, KeyringError> {
        let ring = self.keys().ring;
        Ok(Asked { opened: opened(&*self.custody, &ring)?, ring })
    }

    /// Puts what the custody gave in force, unless the ring was changed since it was asked.
    ///
    /// # Errors
    /// [`KeyringError::View`]; what was unproven still is.
    pub fn prove(&self, _turn: &Turn, asked: Asked, now: Timestamp) -> Result<(), KeyringError> {
        let Asked { ring, opened } = asked;
        if !Arc::ptr_eq(&ring, &self.keys().ring) {
            return Ok(());
        }
        let view = Arc::new(View::of(&ring, &opened, now)?);
        self.put(Keys { ring, opened: Arc::new(opened), view });
        Ok(())
    }

    /// A ring of this process alone.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn in_memory(
        policy: Policy,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Arc<Self>, KeyringError> {
        Self::open(Box::new(|_| Ok(Arc::new(Memory))), None, policy, now, entropy)
    }

    /// Whether there was no ring before.
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether there was no ring before, so that nobody can verify what was signed earlier, and that has
    /// still to be told. Kept with the ring: a start that fails after this leaves it to the next one.
    pub fn owes_void(&self) -> bool {
        self.owes_void.load(Ordering::Acquire)
    }

    /// Notes that it was told. Blocks until it is on the disk.
    ///
    /// # Errors
    /// [`RingFileError`]; it is told again then, which does no harm.
    pub fn void_told(&self, turn: &Turn) -> Result<(), RingFileError> {
        self.owes_void.store(false, Ordering::Release);
        self.write_again(turn)
    }

    /// What happened to keys and is still to be recorded: to the first ones, and to those that were revoked
    /// where nothing could be recorded.
    pub fn unrecorded(&self) -> Vec<KeyEvent> {
        let ring = self.ring();
        let events = ring.entries.iter().flat_map(|entry| {
            entry.unrecorded.iter().map(|happening| KeyEvent {
                happening: *happening,
                kid: entry.kid.clone(),
                algorithm: entry.algorithm(),
            })
        });
        events.collect()
    }

    /// The configuration of keys.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The name of the custody.
    pub fn custody(&self) -> &'static str {
        self.custody.kind()
    }

    /// Waits for the right to change the ring.
    pub async fn turn(&self) -> Turn {
        Turn { _held: Arc::clone(&self.turn).lock_owned().await }
    }

    /// Every key, with what is written of it.
    pub fn ring(&self) -> Arc<Ring> {
        self.keys().ring
    }

    /// The keys as they are at `now`.
    pub fn view(&self, now: Timestamp) -> Arc<View> {
        {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            if keys.view.holds_at(now) {
                return Arc::clone(&keys.view);
            }
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if !keys.view.holds_at(now) {
            match View::of(&keys.ring, &keys.opened, now) {
                Ok(view) => keys.view = Arc::new(view),
                // Not to be expected of a ring that was shown before; the keys of a moment ago still sign.
                Err(error) => tracing::error!(%error, "the ring cannot be shown"),
            }
        }
        Arc::clone(&keys.view)
    }

    /// The key that signs at `now`.
    pub fn active(&self, now: Timestamp) -> Arc<SigningKey> {
        Arc::clone(self.view(now).active())
    }

    /// The JWKS document at `now` (RFC 7517 §5).
    pub fn to_jwks(&self, now: Timestamp) -> Bytes {
        self.view(now).jwks()
    }

    /// How often keys were taken out of the published set at once, as it changes.
    pub fn withdrawals(&self) -> watch::Receiver<u64> {
        self.withdrawals.subscribe()
    }

    fn keys(&self) -> Keys {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the ring that is kept is behind the one that is in force.
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Acquire)
    }

    fn set_behind(&self, is_behind: bool) {
        self.is_behind.store(is_behind, Ordering::Release);
    }

    /// Writes the ring that is in force. Blocks until it is on the disk.
    ///
    /// # Errors
    /// [`RingFileError`].
    pub fn write_again(&self, _turn: &Turn) -> Result<(), RingFileError> {
        self.write(&self.keys().ring)?;
        self.set_behind(false);
        Ok(())
    }

    fn put(&self, new: Keys) {
        let is_withdrawal = {
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            // By their names: the record of an older one may go in the same change.
            let is_known = |kid| keys.ring.find(kid).is_some_and(|old| old.revoked_at.is_some());
            let mut revoked = new.ring.entries.iter().filter(|entry| entry.revoked_at.is_some());
            let is_withdrawal = revoked.any(|entry| !is_known(&entry.kid));
            *keys = new;
            is_withdrawal
        };
        if is_withdrawal {
            self.withdrawals.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn write(&self, ring: &Ring) -> Result<(), RingFileError> {
        let Some(shelf) = &self.shelf else { return Ok(()) };
        shelf.write(&Document::new(&*self.custody, ring.entries.clone(), self.owes_void())?)
    }

    /// Has the custody destroy the keys that are over, and names those that it did. May block.
    pub fn destroy_what_is_over(&self) -> Vec<String> {
        let ring = self.keys().ring;
        let over = ring.entries.iter().filter_map(|it| Some((it, it.to_destroy.as_ref()?)));
        let destroyed = over.filter(|(entry, handle)| match self.custody.destroy(handle) {
            Ok(()) => true,
            Err(error) => {
                let kid = &entry.kid;
                tracing::error!(%error, kid, id = handle, "a key that is over lives on; it is tried again");
                false
            }
        });
        destroyed.map(|(entry, _)| entry.kid.clone()).collect()
    }

    fn destroy(&self, handles: &[String]) {
        for handle in handles {
            if let Err(error) = self.custody.destroy(handle) {
                tracing::error!(%error, "a key that is needed no more could not be destroyed");
            }
        }
    }
}

/// Opens every key of a ring that may sign. Where one cannot be asked to show that it is the one of the
/// ring, none counts as proven: the set that is published is whole or empty, for a key that is missing
/// in it counts as withdrawn.
fn opened(
    custody: &dyn Custody,
    ring: &Ring,
) -> Result<HashMap<String, Arc<SigningKey>>, CustodyError> {
    let mut opened = Vec::new();
    for entry in ring.entries.iter().filter(|entry| entry.can_sign()) {
        if let Some(handle) = &entry.handle {
            opened.push(custody.open(entry, handle)?);
        }
    }
    let is_proven = opened.iter().all(SigningKey::is_proven);
    let whole = opened.into_iter().map(|key| if is_proven { key } else { key.unproven() });
    Ok(whole.map(|key| (key.kid().to_owned(), Arc::new(key))).collect())
}

/// Seals every key of a ring with `new` in place of `old`, in one change of its file; returns how many.
/// Whoever calls has the folder's lock.
///
/// # Errors
/// [`KeyringError`]; the ring is what it was.
pub fn reseal(
    shelf: &dyn Shelf,
    old: &SecretSource,
    new: &SecretSource,
    entropy: &dyn Entropy,
) -> Result<usize, KeyringError> {
    let nothing = || CustodyError::Unsupported("there is no ring of sealed keys");
    let found = shelf.read()?.filter(|ring| ring.sealing.is_some()).ok_or_else(nothing)?;
    let from = Sealed::new(&old.read()?, found.sealing.clone(), entropy)?;
    let to = Sealed::new(&new.read()?, None, entropy)?;
    opened(&from, &Ring { entries: found.keys.clone() })?;
    found.check(&from)?;
    let (mut keys, mut count) = (found.keys, 0);
    for entry in &mut keys {
        if let Some(handle) = entry.handle.take() {
            entry.handle = Some(sealed::reseal(&from, &to, entry, &handle, entropy)?);
            count += 1;
        }
    }
    shelf.write(&Document::new(&to, keys, found.owes_void)?)?;
    Ok(count)
}

#[cfg(test)]
mod ring_tests;

#[cfg(test)]
mod over_tests;

#[cfg(test)]
mod file_tests;
