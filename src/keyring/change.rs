//! How the ring is changed: on a copy first, with what the change needs, and then whole or not at all.
//!
//! A [`Draft`] is what the ring would be. It has the keys that it needs, from [`Spares`], and says what it
//! will have done, so that a record of that can be kept before it takes effect; [`Draft::commit`] replaces
//! the file by one rename and then what this process signs with.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{Algorithm, InMemorySigner};
use countersign_sdk::time::Timestamp;
use tokio::sync::OwnedMutexGuard;

use super::custody::CustodyError;
use super::file::RingFileError;
use super::key::SigningKey;
use super::ring::{Happening, Ring};
use super::spares::Spares;
use super::view::{View, ViewError};
use super::work::Work;
use super::{Keyring, Keys};

/// Why the ring was not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is no key of that name.
    #[error("there is no key of that kid")]
    Unknown,
    /// The key was revoked, and is as gone as it can be.
    #[error("the key was revoked")]
    Revoked,
    /// A key that is brought in is of another algorithm than the configured one.
    #[error("the key is for {}, and signing.algorithm is {}", .found.name(), .configured.name())]
    Algorithm {
        /// Of the key.
        found: Algorithm,
        /// Of the configuration.
        configured: Algorithm,
    },
    /// A key that is brought in is in the ring, or was.
    #[error("the key is in the ring already, or was once")]
    Known,
    /// As many keys stand by as may.
    #[error("as many keys stand by as may; retire one first")]
    TooMany,
    /// The custody.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The file.
    #[error(transparent)]
    File(#[from] RingFileError),
    /// A set of keys that cannot be published.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A key is to be made first, which nobody waits for who has the turn: [`Spares::make`].
    #[error("a key is to be made first")]
    NoSpare,
    /// The rules ask for one thing after the other without an end.
    #[error("the ring does not come to rest")]
    Restless,
}

/// What is to be done to the ring.
#[derive(Debug)]
pub enum Operation {
    /// Whatever time has made due.
    Tend,
    /// Have the next key sign, as soon as every cache knows it.
    Rotate,
    /// Let a key end in its time: the active one by a rotation, one that stands by at once.
    Retire(String),
    /// Withdraw a key now.
    Revoke(String),
    /// Withdraw every key now, and sign with a new one.
    RevokeAll,
    /// Note that the feed was told that what these revoked keys signed is void.
    Told(Vec<String>),
    /// Note that the custody has destroyed these keys, which are over.
    Destroyed(Vec<String>),
    /// Note that this is recorded, which happened to these keys.
    Recorded(Vec<(String, Happening)>),
    /// Have a new key be the next.
    Generate,
    /// Have this key be the next.
    Import(Box<InMemorySigner>),
}

impl Operation {
    /// Whether it ends keys that somebody else may have: it waits for nothing that it can do without. A key
    /// that is to stand by is made afterwards.
    pub const fn is_emergency(&self) -> bool {
        match self {
            Self::Revoke(_) | Self::RevokeAll => true,
            Self::Tend
            | Self::Rotate
            | Self::Retire(_)
            | Self::Told(_)
            | Self::Destroyed(_)
            | Self::Recorded(_)
            | Self::Generate
            | Self::Import(_) => false,
        }
    }

    /// Whether it notes what was done elsewhere, and nothing else.
    pub(super) const fn is_note(&self) -> bool {
        match self {
            Self::Told(_) | Self::Destroyed(_) | Self::Recorded(_) => true,
            Self::Revoke(_)
            | Self::RevokeAll
            | Self::Tend
            | Self::Rotate
            | Self::Retire(_)
            | Self::Generate
            | Self::Import(_) => false,
        }
    }
}

/// What happened to which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    /// What.
    pub happening: Happening,
    /// The key.
    pub kid: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
}

/// The right to change the ring, which one change at a time has.
#[derive(Debug)]
pub struct Turn {
    pub(super) _held: OwnedMutexGuard<()>,
}

/// What the ring would be.
#[derive(Debug)]
pub struct Draft {
    keyring: Arc<Keyring>,
    turn: Turn,
    at: Timestamp,
    ring: Ring,
    keys: HashMap<String, Arc<SigningKey>>,
    view: Arc<View>,
    events: Vec<KeyEvent>,
    subject: Option<String>,
    is_changed: bool,
    is_in_force: bool,
}

impl Draft {
    /// Asks no custody for anything, and is done in no time.
    ///
    /// # Errors
    /// [`KeyringError`]; nothing has changed. [`KeyringError::NoSpare`] where another key is to be made first.
    pub fn of(
        keyring: &Arc<Keyring>,
        turn: Turn,
        operation: &Operation,
        now: Timestamp,
        entropy: &dyn Entropy,
        spares: &Spares,
    ) -> Result<Self, KeyringError> {
        let Keys { ring, opened, view } = keyring.keys();
        let mut work = Work {
            outlives_handles: keyring.custody.outlives_its_handle(),
            policy: keyring.policy,
            was_active: ring.active(now).map(|active| active.kid.clone()),
            ring: (*ring).clone(),
            keys: (*opened).clone(),
            events: Vec::new(),
            spares: spares.all(),
            now,
            entropy,
        };
        let subject = work.run(operation)?;
        let is_changed = !work.events.is_empty() || work.ring.entries != ring.entries;
        let view = if is_changed { View::of(&work.ring, &work.keys, now)?.into() } else { view };
        Ok(Self {
            keyring: Arc::clone(keyring),
            turn,
            at: now,
            ring: work.ring,
            keys: work.keys,
            view,
            events: work.events,
            subject,
            is_changed,
            is_in_force: false,
        })
    }

    /// The moment that stands in it.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Whether there is anything to do.
    pub const fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// What will have happened.
    pub fn events(&self) -> &[KeyEvent] {
        &self.events
    }

    /// Puts it in force in this process before it is written, for a key that must end whatever else
    /// fails. From then on the ring that is kept is behind until a write succeeds.
    pub fn enforce(&mut self) {
        if !self.is_changed || self.is_in_force {
            return;
        }
        self.is_in_force = true;
        self.keyring.set_behind(true);
        self.put();
    }

    /// Has the ring itself remember that this is not recorded, which it will be at the next start if not
    /// before.
    pub fn owe(&mut self, event: &KeyEvent) {
        if let Some(entry) = self.ring.find_mut(&event.kid) {
            entry.unrecorded.push(event.happening);
        }
        if self.is_in_force {
            self.put();
        }
    }

    fn put(&self) {
        self.keyring.put(Keys {
            ring: Arc::new(self.ring.clone()),
            opened: Arc::new(self.keys.clone()),
            view: Arc::clone(&self.view),
        });
    }

    /// Tries whether the ring could be written at all, with the one that is in force.
    ///
    /// # Errors
    /// [`RingFileError`].
    pub fn rehearse(&self) -> Result<(), RingFileError> {
        if self.is_changed { self.keyring.write_again(&self.turn) } else { Ok(()) }
    }

    /// Writes the ring and puts it in force, if it is not. Blocks until it is on the disk.
    ///
    /// # Errors
    /// [`RingFileError`]; the ring is what it was. One that is in force already stays so, and what could
    /// not be written is told by [`Committed::unwritten`].
    pub fn commit(mut self) -> Result<Committed, RingFileError> {
        let ring = Arc::new(self.ring.clone());
        let mut committed = Committed { ring, subject: self.subject.take(), unwritten: None };
        if !self.is_changed {
            // A revocation that is repeated tells whether it is kept by now.
            if self.keyring.is_behind() {
                committed.unwritten = self.keyring.write_again(&self.turn).err();
            }
            return Ok(committed);
        }
        match self.keyring.write(&self.ring) {
            Ok(()) => self.keyring.set_behind(false),
            Err(error) if self.is_in_force => {
                committed.unwritten = Some(error);
                return Ok(committed);
            }
            Err(error) => return Err(error),
        }
        if !self.is_in_force {
            let keys = std::mem::take(&mut self.keys);
            self.keyring.put(Keys {
                ring: Arc::clone(&committed.ring),
                opened: Arc::new(keys),
                view: Arc::clone(&self.view),
            });
        }
        Ok(committed)
    }
}

/// A change that is done.
#[derive(Debug)]
pub struct Committed {
    /// The ring as it is now.
    pub ring: Arc<Ring>,
    /// The key that the operation was about in the end.
    pub subject: Option<String>,
    /// Why what is in force is not kept yet, if it is not.
    pub unwritten: Option<RingFileError>,
}
