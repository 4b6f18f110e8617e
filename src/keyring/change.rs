//! How the ring is changed: on a copy first, with what the change needs, and then whole or not at all.
//!
//! A [`Draft`] is what the ring would be. It has made the keys that it needs and says what it will have
//! done, so that a record of that can be kept before it takes effect; [`Draft::commit`] replaces the file
//! by one rename and then what this process signs with. A draft that is dropped leaves nothing behind.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{Algorithm, InMemorySigner, Signer as _};
use countersign_sdk::time::Timestamp;
use tokio::sync::OwnedMutexGuard;

use super::custody::{Custody, CustodyError, Made};
use super::file::RingFileError;
use super::key::SigningKey;
use super::plan::{Due, Policy, plan};
use super::ring::{Entry, Ring, State};
use super::view::{View, ViewError};
use super::{Keyring, Keys};

/// The most keys that stand by.
const MOST_NEXTS: usize = 4;
/// The most keys of which anything is written. The oldest records of keys that are over go first.
const MOST_RECORDS: usize = 500;
/// More steps than any one change takes.
const MOST_STEPS: usize = 32;

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
    #[error("{MOST_NEXTS} keys stand by already; retire one first")]
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
    /// Note that the feed was told what revoked keys signed is void.
    Told,
    /// Have a new key be the next.
    Generate,
    /// Have this key be the next.
    Import(Box<InMemorySigner>),
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It was made, and is published.
    Created,
    /// It was brought in, and is published.
    Imported,
    /// It signs.
    Activated,
    /// It signs no more.
    Retired,
    /// It is published no more.
    Withdrawn,
    /// It was withdrawn at once.
    Revoked,
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
    _turn: Turn,
    ring: Ring,
    keys: HashMap<String, Arc<SigningKey>>,
    view: Arc<View>,
    events: Vec<KeyEvent>,
    subject: Option<String>,
    /// Handles of keys that were made for it, to be destroyed if it is dropped.
    made: Vec<String>,
    /// Handles that are needed no more once it is done.
    dropped: Vec<String>,
    is_changed: bool,
}

impl Draft {
    /// Makes the keys that the operation needs; may take as long as the custody does.
    ///
    /// # Errors
    /// [`KeyringError`]; nothing has changed.
    pub fn of(
        keyring: &Arc<Keyring>,
        turn: Turn,
        operation: Operation,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, KeyringError> {
        let Keys { ring, opened, view } = keyring.keys();
        let mut work = Work {
            custody: &*keyring.custody,
            policy: keyring.policy,
            was_active: ring.active(now).map(|active| active.kid.clone()),
            ring: (*ring).clone(),
            keys: (*opened).clone(),
            events: Vec::new(),
            made: Vec::new(),
            dropped: Vec::new(),
            now,
            entropy,
        };
        let done = work.run(operation);
        let view = done.and_then(|subject| {
            let is_changed = !work.events.is_empty() || work.ring.entries != ring.entries;
            let view =
                if is_changed { View::of(&work.ring, &work.keys, now)?.into() } else { view };
            Ok((subject, view, is_changed))
        });
        match view {
            Ok((subject, view, is_changed)) => Ok(Self {
                keyring: Arc::clone(keyring),
                _turn: turn,
                ring: work.ring,
                keys: work.keys,
                view,
                events: work.events,
                subject,
                made: work.made,
                dropped: work.dropped,
                is_changed,
            }),
            Err(error) => {
                keyring.destroy(&work.made);
                Err(error)
            }
        }
    }

    /// Whether there is anything to do.
    pub const fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// What will have happened.
    pub fn events(&self) -> &[KeyEvent] {
        &self.events
    }

    /// Writes the ring and puts it in force. Blocks until it is on the disk.
    ///
    /// # Errors
    /// [`RingFileError`]; the ring is what it was.
    pub fn commit(mut self) -> Result<Committed, RingFileError> {
        let committed =
            Committed { ring: Arc::new(self.ring.clone()), subject: self.subject.take() };
        if !self.is_changed {
            return Ok(committed);
        }
        // An error here drops the draft, and with it the keys that it made.
        self.keyring.write(&self.ring)?;
        self.made.clear();
        let keys = std::mem::take(&mut self.keys);
        self.keyring.put(Keys {
            ring: Arc::clone(&committed.ring),
            opened: Arc::new(keys),
            view: Arc::clone(&self.view),
        });
        self.keyring.destroy(&self.dropped);
        Ok(committed)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.keyring.destroy(&self.made);
    }
}

/// A change that is done.
#[derive(Debug)]
pub struct Committed {
    /// The ring as it is now.
    pub ring: Arc<Ring>,
    /// The key that the operation was about in the end.
    pub subject: Option<String>,
}

/// A ring as it was found, or with its first keys where none can sign.
pub(super) struct Founded {
    pub(super) keys: Keys,
    pub(super) events: Vec<KeyEvent>,
    pub(super) made: Vec<String>,
}

/// Makes the first keys of a ring that has none.
///
/// # Errors
/// [`KeyringError`]; nothing is left behind.
pub(super) fn founded(
    custody: &dyn Custody,
    ring: Ring,
    keys: HashMap<String, Arc<SigningKey>>,
    policy: Policy,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Founded, KeyringError> {
    let (events, made, dropped, was_active) = (Vec::new(), Vec::new(), Vec::new(), None);
    let has_key = ring.active(now).is_some();
    let mut work =
        Work { custody, policy, was_active, ring, keys, events, made, dropped, now, entropy };
    let settled = if has_key { Ok(()) } else { work.settle() };
    let view = settled.and_then(|()| Ok(View::of(&work.ring, &work.keys, now)?));
    match view {
        Ok(view) => Ok(Founded {
            keys: Keys {
                ring: Arc::new(work.ring),
                opened: Arc::new(work.keys),
                view: Arc::new(view),
            },
            events: work.events,
            made: work.made,
        }),
        Err(error) => {
            for handle in &work.made {
                // Why nothing was founded is told; that a key of it is left is not worse.
                let _ = custody.destroy(handle);
            }
            Err(error)
        }
    }
}

/// A change that is being drafted.
struct Work<'a> {
    custody: &'a dyn Custody,
    policy: Policy,
    was_active: Option<String>,
    ring: Ring,
    keys: HashMap<String, Arc<SigningKey>>,
    events: Vec<KeyEvent>,
    made: Vec<String>,
    dropped: Vec<String>,
    now: Timestamp,
    entropy: &'a dyn Entropy,
}

impl Work<'_> {
    fn run(&mut self, operation: Operation) -> Result<Option<String>, KeyringError> {
        let subject = match operation {
            Operation::Tend => None,
            Operation::Rotate => self.rotate(),
            Operation::Retire(kid) => self.retire(kid)?,
            Operation::Revoke(kid) => Some(self.revoke(kid)?),
            Operation::RevokeAll => Some(self.revoke_all()?),
            Operation::Told => {
                self.told();
                None
            }
            Operation::Generate => Some(self.bring_new()?),
            Operation::Import(key) => Some(self.import(&key)?),
        };
        self.settle()?;
        self.forget_the_oldest();
        Ok(subject)
    }

    /// The key that is the next to sign does so now, or as soon as every cache knows it.
    fn rotate(&mut self) -> Option<String> {
        let nexts = self.ring.nexts(self.now);
        let fits = |entry: &&&Entry| entry.algorithm() == self.policy.algorithm;
        let next = nexts.iter().find(fits).or(nexts.first())?;
        let (kid, ready_at) = (next.kid.clone(), self.policy.ready_at(next).max(self.now));
        let signs_from = next.signs_from.min(ready_at);
        self.set(&kid, |entry| entry.signs_from = signs_from);
        Some(kid)
    }

    fn retire(&mut self, kid: String) -> Result<Option<String>, KeyringError> {
        match self.state(&kid)? {
            State::Active => {
                self.rotate();
            }
            State::Next => self.withdraw(&kid),
            State::Retiring | State::Retired => {}
            State::Revoked => return Err(KeyringError::Revoked),
        }
        Ok(Some(kid))
    }

    fn revoke(&mut self, kid: String) -> Result<String, KeyringError> {
        let state = self.state(&kid)?;
        if state == State::Revoked {
            return Ok(kid);
        }
        self.end_now(&kid);
        if state == State::Active {
            self.succeed()?;
        }
        Ok(kid)
    }

    /// Of the keys that stand by, the one that is known for the longest signs now; where none stands
    /// by, a new one.
    fn succeed(&mut self) -> Result<(), KeyringError> {
        let now = self.now;
        // By their times and not their states: with nobody left, one of them counts as active already.
        let waiting = self.ring.entries.iter().filter(|e| e.can_sign() && e.signs_from > now);
        let best = waiting.min_by_key(|entry| entry.published_at);
        match best.map(|entry| entry.kid.clone()) {
            Some(kid) => self.set(&kid, |entry| entry.signs_from = now),
            None => drop(self.generate(now)?),
        }
        Ok(())
    }

    fn revoke_all(&mut self) -> Result<String, KeyringError> {
        let live = self.ring.entries.iter().filter(|entry| !entry.is_over());
        let kids: Vec<String> = live.map(|entry| entry.kid.clone()).collect();
        for kid in kids {
            self.end_now(&kid);
        }
        self.generate(self.now)
    }

    fn told(&mut self) {
        for entry in self.ring.entries.iter_mut().filter(|entry| entry.revoked_at.is_some()) {
            entry.is_told = true;
        }
    }

    fn bring_new(&mut self) -> Result<String, KeyringError> {
        let signs_from = self.first_place()?;
        let made = self.custody.generate(self.policy.algorithm, self.entropy)?;
        Ok(self.admit(made, signs_from, Happening::Created))
    }

    fn import(&mut self, key: &InMemorySigner) -> Result<String, KeyringError> {
        let (found, configured) = (key.algorithm(), self.policy.algorithm);
        if found != configured {
            return Err(KeyringError::Algorithm { found, configured });
        }
        if self.ring.find(&key.public_key().thumbprint().to_string()).is_some() {
            return Err(KeyringError::Known);
        }
        let signs_from = self.first_place()?;
        let made = self.custody.import(key, self.entropy)?;
        Ok(self.admit(made, signs_from, Happening::Imported))
    }

    /// The time of the key that is to be the next one; those that stood by come after it.
    fn first_place(&mut self) -> Result<Timestamp, KeyringError> {
        let nexts = self.ring.nexts(self.now);
        if nexts.len() >= MOST_NEXTS {
            return Err(KeyringError::TooMany);
        }
        let known_by = self.now.plus(self.policy.publish_before);
        let signs_from = nexts.first().map_or(known_by, |next| next.signs_from.max(known_by));
        let after: Vec<String> = nexts.iter().map(|next| next.kid.clone()).collect();
        for (kid, place) in after.iter().zip(1..) {
            let later = signs_from.plus(self.policy.rotate_every.saturating_mul(place));
            self.set(kid, |entry| entry.signs_from = entry.signs_from.max(later));
        }
        Ok(signs_from)
    }

    /// Does what the plan says until it says nothing more.
    fn settle(&mut self) -> Result<(), KeyringError> {
        for _ in 0..MOST_STEPS {
            match plan(&self.ring, self.now, &self.policy) {
                None => return Ok(()),
                Some(Due::First) => drop(self.generate(self.now)?),
                Some(Due::Next { signs_from, jitter }) => {
                    let earlier = self.chance(jitter)?;
                    self.generate(signs_from.minus(earlier))?;
                }
                Some(Due::Reschedule { kid, signs_from }) => {
                    self.set(&kid, |entry| entry.signs_from = signs_from);
                }
                Some(Due::Discard(kid) | Due::Withdraw(kid)) => self.withdraw(&kid),
                Some(Due::Activated(kid)) => self.activated(&kid),
            }
        }
        Err(KeyringError::Restless)
    }

    fn activated(&mut self, kid: &str) {
        // The one before it is the one that signed when this change began, or the last that was noted.
        let noted = |entry: &&Entry| entry.activated_at.is_some() && entry.kid != kid;
        let last = self.ring.entries.iter().filter(noted).max_by_key(|entry| entry.activated_at);
        let before = last.map(|entry| entry.kid.clone()).or(self.was_active.take());
        if let Some(before) = before.filter(|before| before != kid)
            && self.ring.find(&before).is_some_and(|entry| !entry.is_over())
        {
            self.tell(Happening::Retired, &before);
        }
        self.tell(Happening::Activated, kid);
        self.set(kid, |entry| entry.activated_at = Some(entry.signs_from));
    }

    fn generate(&mut self, signs_from: Timestamp) -> Result<String, KeyringError> {
        let made = self.custody.generate(self.policy.algorithm, self.entropy)?;
        Ok(self.admit(made, signs_from, Happening::Created))
    }

    fn admit(&mut self, made: Made, signs_from: Timestamp, happening: Happening) -> String {
        let Made { handle, key } = made;
        let kid = key.kid().to_owned();
        self.ring.entries.push(Entry {
            kid: kid.clone(),
            public: key.public().clone(),
            created_at: self.now,
            published_at: self.now,
            signs_from,
            activated_at: None,
            withdrawn_at: None,
            revoked_at: None,
            is_told: false,
            handle: Some(handle.clone()),
        });
        self.made.push(handle);
        self.keys.insert(kid.clone(), Arc::new(key));
        self.tell(happening, &kid);
        kid
    }

    fn withdraw(&mut self, kid: &str) {
        let now = self.now;
        self.tell(Happening::Withdrawn, kid);
        self.set(kid, |entry| entry.withdrawn_at = Some(now));
        self.let_go(kid);
    }

    fn end_now(&mut self, kid: &str) {
        let now = self.now;
        self.tell(Happening::Revoked, kid);
        self.set(kid, |entry| {
            entry.revoked_at = Some(now);
            // What never signed has nothing that the feed could end.
            entry.is_told = !entry.has_signed(now);
        });
        self.let_go(kid);
    }

    fn let_go(&mut self, kid: &str) {
        self.keys.remove(kid);
        let handle = self.ring.find_mut(kid).and_then(|entry| entry.handle.take());
        self.dropped.extend(handle);
    }

    fn forget_the_oldest(&mut self) {
        while self.ring.entries.len() > MOST_RECORDS {
            let over =
                |entry: &Entry| entry.is_over() && (entry.is_told || entry.revoked_at.is_none());
            let Some(oldest) = self.ring.entries.iter().position(over) else { return };
            self.ring.entries.remove(oldest);
        }
    }

    fn state(&self, kid: &str) -> Result<State, KeyringError> {
        let entry = self.ring.find(kid).ok_or(KeyringError::Unknown)?;
        Ok(self.ring.state(entry, self.now))
    }

    fn set(&mut self, kid: &str, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.ring.find_mut(kid) {
            change(entry);
        }
    }

    fn tell(&mut self, happening: Happening, kid: &str) {
        if let Some(entry) = self.ring.find(kid) {
            let (kid, algorithm) = (entry.kid.clone(), entry.algorithm());
            self.events.push(KeyEvent { happening, kid, algorithm });
        }
    }

    /// A number of seconds up to `most`.
    fn chance(&self, most: u64) -> Result<u64, CustodyError> {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes).map_err(CustodyError::from)?;
        Ok(u64::from_be_bytes(bytes) % most.saturating_add(1))
    }
}
