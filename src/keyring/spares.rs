//! Keys that a change needs and that are made before it, so that nobody who ends a key waits for a custody.
//!
//! A custody can take long, or never answer. It is asked while nobody has the turn to change the ring;
//! the change itself takes what lies here, or says that a key is to be made first.

use std::sync::Arc;

use countersign_sdk::entropy::Entropy;
use tokio::runtime::Handle;

use super::Keyring;
use super::change::{KeyringError, Operation};
use super::custody::Made;
use super::key::SigningKey;

/// A key that no ring has yet.
#[derive(Clone, Debug)]
pub(super) struct Spare {
    pub(super) handle: String,
    pub(super) key: Arc<SigningKey>,
    /// Whether it was brought in, for the change that does so and for no other.
    pub(super) is_imported: bool,
}

impl Spare {
    pub(super) fn of(made: Made, is_imported: bool) -> Self {
        Self { handle: made.handle, key: Arc::new(made.key), is_imported }
    }
}

/// Keys for one change. Those that are in no ring in the end are destroyed as this is dropped.
#[derive(Debug)]
pub struct Spares {
    keyring: Arc<Keyring>,
    made: Vec<Spare>,
}

impl Spares {
    /// None yet.
    pub fn of(keyring: &Arc<Keyring>) -> Self {
        Self { keyring: Arc::clone(keyring), made: Vec::new() }
    }

    /// Makes one more of those that the change needs: first the one that it brings in. May block for as
    /// long as the custody does.
    ///
    /// # Errors
    /// [`KeyringError::Custody`].
    pub fn make(&mut self, for_it: &Operation, entropy: &dyn Entropy) -> Result<(), KeyringError> {
        let Keyring { custody, policy, .. } = &*self.keyring;
        let spare = match for_it {
            Operation::Import(key) if !self.made.iter().any(|spare| spare.is_imported) => {
                Spare::of(custody.import(key, entropy)?, true)
            }
            _ => Spare::of(custody.generate(policy.algorithm, entropy)?, false),
        };
        self.made.push(spare);
        Ok(())
    }

    pub(super) fn all(&self) -> Vec<Spare> {
        self.made.clone()
    }

    /// They may stand in the ring that is kept, whatever the one in force says: none is destroyed.
    pub fn may_be_kept(&mut self) {
        self.made.clear();
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        // What a change that broke off has kept, nobody knows.
        if self.made.is_empty() || std::thread::panicking() {
            return;
        }
        let ring = self.keyring.ring();
        let is_used = |spare: &Spare| ring.find(spare.key.kid()).is_some();
        let unused = std::mem::take(&mut self.made).into_iter().filter(|spare| !is_used(spare));
        let unused: Vec<String> = unused.map(|spare| spare.handle).collect();
        let keyring = Arc::clone(&self.keyring);
        let destroy = move || keyring.destroy(&unused);
        // Whoever drops it may be a worker that others wait for.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(destroy)),
            Err(_) => destroy(),
        }
    }
}
