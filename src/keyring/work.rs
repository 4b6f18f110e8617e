//! What a change does to a copy of the ring: one step after the other, until the plan asks for nothing more.
//!
//! Nothing here is in force. `change.rs` takes the result, or drops it.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{InMemorySigner, Signer as _};
use countersign_sdk::time::Timestamp;

use super::Keys;
use super::change::{KeyEvent, KeyringError, Operation};
use super::custody::{Custody, CustodyError};
use super::key::SigningKey;
use super::plan::{Due, Policy, plan};
use super::ring::{Entry, Happening, Ring, State};
use super::spares::Spare;
use super::view::View;

/// The most keys that stand by.
const MOST_NEXTS: usize = 4;
/// The most keys of which anything is written. The oldest records of keys that are over go first.
const MOST_RECORDS: usize = 500;
/// More steps than any one change takes.
const MOST_STEPS: usize = 32;

/// A ring as it was found, or with its first keys where none can sign.
pub(super) struct Founded {
    pub(super) keys: Keys,
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
    let outlives_handles = custody.outlives_its_handle();
    let mut spares = Vec::new();
    loop {
        let (ring, keys, spares_now) = (ring.clone(), keys.clone(), spares.clone());
        let (events, was_active) = (Vec::new(), None);
        let mut work = Work {
            outlives_handles,
            policy,
            was_active,
            ring,
            keys,
            events,
            spares: spares_now,
            now,
            entropy,
        };
        let settled = if work.ring.active(now).is_some() { Ok(()) } else { work.settle(true) };
        let view = settled.and_then(|()| Ok(View::of(&work.ring, &work.keys, now)?));
        let failed = match view {
            Ok(view) => {
                let Work { mut ring, keys, events, .. } = work;
                // Recorded once there is a log.
                for event in events {
                    if let Some(entry) = ring.find_mut(&event.kid) {
                        entry.unrecorded.push(event.happening);
                    }
                }
                let (ring, opened) = (Arc::new(ring), Arc::new(keys));
                let keys = Keys { ring, opened, view: Arc::new(view) };
                let made = spares.into_iter().map(|spare: Spare| spare.handle).collect();
                return Ok(Founded { keys, made });
            }
            Err(KeyringError::NoSpare) => match custody.generate(policy.algorithm, entropy) {
                Ok(made) => {
                    spares.push(Spare::of(made, false));
                    continue;
                }
                Err(error) => error.into(),
            },
            Err(error) => error,
        };
        for spare in &spares {
            // Why nothing was founded is told; that a key of it is left is not worse.
            let _ = custody.destroy(&spare.handle);
        }
        return Err(failed);
    }
}

/// A change that is being drafted.
pub(super) struct Work<'a> {
    /// Whether a key whose handle is forgotten is still to be destroyed.
    pub(super) outlives_handles: bool,
    pub(super) policy: Policy,
    pub(super) was_active: Option<String>,
    pub(super) ring: Ring,
    pub(super) keys: HashMap<String, Arc<SigningKey>>,
    pub(super) events: Vec<KeyEvent>,
    /// Keys that were made for it.
    pub(super) spares: Vec<Spare>,
    pub(super) now: Timestamp,
    pub(super) entropy: &'a dyn Entropy,
}

impl Work<'_> {
    /// Does the operation, and what is due then; returns the key that it was about.
    ///
    /// # Errors
    /// [`KeyringError`]; the copy is then of no use.
    pub(super) fn run(&mut self, operation: &Operation) -> Result<Option<String>, KeyringError> {
        let subject = match operation {
            Operation::Tend => None,
            Operation::Rotate => self.rotate()?,
            Operation::Retire(kid) => self.retire(kid)?,
            Operation::Revoke(kid) => Some(self.revoke(kid)?),
            Operation::RevokeAll => Some(self.revoke_all()?),
            Operation::Told(kids) => {
                self.told(kids);
                None
            }
            Operation::Destroyed(kids) => {
                for kid in kids {
                    self.set(kid, |entry| entry.to_destroy = None);
                }
                None
            }
            Operation::Recorded(happened) => {
                for (kid, happening) in happened {
                    self.set(kid, |entry| {
                        let owed = entry.unrecorded.iter().position(|it| it == happening);
                        owed.map(|at| entry.unrecorded.remove(at));
                    });
                }
                None
            }
            Operation::Generate => Some(self.bring_new()?),
            Operation::Import(key) => Some(self.import(key)?),
        };
        if !operation.is_note() {
            self.settle(!operation.is_emergency())?;
        }
        self.forget_the_oldest();
        Ok(subject)
    }

    /// The key that is the next to sign does so now, or as soon as every cache knows it.
    fn rotate(&mut self) -> Result<Option<String>, KeyringError> {
        self.bring_to_its_time();
        // The one that stood by may have taken over from a key that was revoked, a moment ago.
        if self.ring.nexts(self.now).is_empty() {
            self.settle(true)?;
        }
        let nexts = self.ring.nexts(self.now);
        let fits = |entry: &&&Entry| entry.algorithm() == self.policy.algorithm;
        let Some(next) = nexts.iter().find(fits).or(nexts.first()) else { return Ok(None) };
        let (kid, ready_at) =
            (next.kid.clone(), self.policy.ready_at(next, self.now).max(self.now));
        let signs_from = next.signs_from.min(ready_at);
        self.set(&kid, |entry| entry.signs_from = signs_from);
        Ok(Some(kid))
    }

    /// A key that signs before its time, since a clock that was ahead has withdrawn the one before it, would
    /// take over again as that time comes.
    fn bring_to_its_time(&mut self) {
        let now = self.now;
        let early = self.ring.active(now).filter(|active| active.signs_from > now);
        if let Some(kid) = early.map(|active| active.kid.clone()) {
            let since = now.minus(1);
            self.set(&kid, |entry| {
                entry.signs_from = since;
                entry.activated_at = entry.activated_at.map(|_| since);
            });
        }
    }

    fn retire(&mut self, kid: &str) -> Result<Option<String>, KeyringError> {
        match self.state(kid)? {
            State::Active => {
                self.rotate()?;
            }
            State::Next => self.withdraw(kid),
            State::Retiring | State::Retired => {}
            State::Revoked => return Err(KeyringError::Revoked),
        }
        Ok(Some(kid.to_owned()))
    }

    fn revoke(&mut self, kid: &str) -> Result<String, KeyringError> {
        let state = self.state(kid)?;
        if state == State::Revoked {
            return Ok(kid.to_owned());
        }
        self.end_now(kid);
        if state == State::Active {
            self.succeed()?;
        }
        Ok(kid.to_owned())
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

    fn told(&mut self, kids: &[String]) {
        for kid in kids {
            self.set(kid, |entry| entry.is_told = entry.revoked_at.is_some());
        }
    }

    fn bring_new(&mut self) -> Result<String, KeyringError> {
        let signs_from = self.first_place()?;
        self.generate(signs_from)
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
        let spare = self.spare(true)?;
        Ok(self.admit(spare, signs_from, Happening::Imported))
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

    /// Does what the plan says until it says nothing more, or until a key is to be made that stands by and
    /// that is not waited for.
    fn settle(&mut self, makes_next: bool) -> Result<(), KeyringError> {
        for _ in 0..MOST_STEPS {
            match plan(&self.ring, self.now, &self.policy) {
                None => return Ok(()),
                Some(Due::First) => drop(self.generate(self.now)?),
                Some(Due::Next { .. }) if !makes_next => return Ok(()),
                Some(Due::Next { signs_from, jitter }) => {
                    let earlier = self.chance(jitter)?;
                    self.generate(signs_from.minus(earlier))?;
                }
                Some(Due::Reschedule { kid, signs_from }) => {
                    self.set(&kid, |entry| entry.signs_from = signs_from);
                }
                Some(Due::Published(kid)) => {
                    let now = self.now;
                    self.set(&kid, |entry| entry.published_at = now);
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
        let spare = self.spare(false)?;
        Ok(self.admit(spare, signs_from, Happening::Created))
    }

    fn spare(&mut self, is_imported: bool) -> Result<Spare, KeyringError> {
        let place = self.spares.iter().position(|spare| spare.is_imported == is_imported);
        Ok(self.spares.swap_remove(place.ok_or(KeyringError::NoSpare)?))
    }

    fn admit(&mut self, spare: Spare, signs_from: Timestamp, happening: Happening) -> String {
        let Spare { handle, key, .. } = spare;
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
            handle: Some(handle),
            to_destroy: None,
            unrecorded: Vec::new(),
        });
        self.keys.insert(kid.clone(), key);
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
            // What never signed has nothing that the feed could end; what was withdrawn in its time has
            // nothing left, and everybody's tokens would end with it.
            let has_signed = entry.has_signed(now) || entry.activated_at.is_some();
            entry.is_told = entry.withdrawn_at.is_some() || !has_signed;
            entry.revoked_at = Some(now);
        });
        self.let_go(kid);
    }

    fn let_go(&mut self, kid: &str) {
        self.keys.remove(kid);
        let outlives = self.outlives_handles;
        self.set(kid, |entry| entry.to_destroy = entry.handle.take().filter(|_| outlives));
    }

    fn forget_the_oldest(&mut self) {
        while self.ring.entries.len() > MOST_RECORDS {
            let over = |entry: &Entry| {
                entry.is_over()
                    && entry.to_destroy.is_none()
                    && entry.unrecorded.is_empty()
                    && (entry.is_told || entry.revoked_at.is_none())
            };
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
