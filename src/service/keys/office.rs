//! How signing keys are changed: drafted, recorded and put in force, in that order, or not at all.
//!
//! A revocation is the exception: it is in force first, and what could not be recorded or written
//! then is tried again until it is. What a revoked key signed is ended through the feed, which is told again
//! until it was told: the key itself is gone from the published set before that (protocol.md §7, §8).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_sdk::entropy::Entropy;
use countersign_sdk::time::{Clock, Timestamp};

use super::view::{KeyView, Pending};
use crate::audit::event::{self, Actor};
use crate::audit::{Audit, Event};
use crate::keyring::ring::Entry;
use crate::keyring::{
    Committed, Draft, Happening, KeyEvent, Keyring, KeyringError, Operation, RingFileError, Spares,
};
use crate::model::reason::{Reason, Refusal};
use crate::model::revocation::Revocation;
use crate::service::context::{Context, audit_refusal, session_refusal};
use crate::store::Store;

/// Events of changes that are in force and could not be recorded; in the memory of this process alone.
#[derive(Clone, Debug, Default)]
pub struct Unrecorded(Arc<Mutex<Debts>>);

#[derive(Debug, Default)]
struct Debts {
    /// What is still to be recorded, the oldest first.
    events: VecDeque<(KeyEvent, Event, Timestamp)>,
    /// What is recorded, and which the ring still says is not.
    paid: Vec<(String, Happening)>,
}

impl Unrecorded {
    fn lock(&self) -> MutexGuard<'_, Debts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn oldest(&self) -> Option<(Event, Timestamp)> {
        self.lock().events.front().map(|(_, event, at)| (event.clone(), *at))
    }

    fn pay_oldest(&self) {
        let oldest = self.lock().events.pop_front();
        if let Some((happened, ..)) = oldest {
            self.pay(&happened);
        }
    }

    fn pay(&self, happened: &KeyEvent) {
        self.lock().paid.push((happened.kid.clone(), happened.happening));
    }
}

/// What changing keys takes: the ring, where revocations are kept, and who records it. A server has it in
/// its context; a command that has the folder to itself puts it together.
#[derive(Clone, Debug)]
pub struct KeyOffice {
    /// The ring.
    pub keyring: Arc<Keyring>,
    /// Where revocations are kept.
    pub store: Arc<dyn Store>,
    /// Who records what happens to keys.
    pub audit: Audit,
    /// What is still to be recorded.
    pub unrecorded: Unrecorded,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl KeyOffice {
    /// Every key that there is or was.
    pub fn list(&self) -> Vec<KeyView> {
        KeyView::all(&self.keyring.ring(), self.clock.now())
    }

    /// Records what the ring says that no log has: what happened as it was begun, and what a process before
    /// this one could not record. Called before anybody is served.
    ///
    /// # Errors
    /// [`Reason::AuditUnavailable`].
    pub async fn settle_records(&self) -> Result<(), Refusal> {
        for happened in &self.keyring.unrecorded() {
            self.record(self.event(happened, &Actor::Server), self.clock.now()).await?;
            self.unrecorded.pay(happened);
        }
        if let Err(refusal) = self.note_recorded().await {
            tracing::error!(%refusal, "what happened to keys is recorded once more at the next start");
        }
        Ok(())
    }

    /// Has the ring forget what is recorded by now, and nothing that it owes besides.
    async fn note_recorded(&self) -> Result<(), Refusal> {
        let paid = std::mem::take(&mut self.unrecorded.lock().paid);
        if paid.is_empty() {
            return Ok(());
        }
        let noted = self.apply(Operation::Recorded(paid.clone()), &Actor::Server).await;
        if noted.is_err() {
            self.unrecorded.lock().paid.extend(paid);
        }
        noted.map(drop)
    }

    /// Does what is asked, and returns the key that it was about. What it leaves in its custody is for
    /// [`KeyOffice::tend`].
    ///
    /// # Errors
    /// [`Refusal`]. A revocation is in force whatever could not be kept of it: [`KeyView::pending`].
    pub async fn change(&self, operation: Operation, by: &Actor) -> Result<KeyView, Refusal> {
        let is_emergency = operation.is_emergency();
        let Committed { ring, subject, unwritten } = self.apply(operation, by).await?;
        let pending = if is_emergency { self.pending(unwritten).await } else { Vec::new() };
        let unknown = || refusal(&KeyringError::Unknown);
        let entry = subject.as_deref().and_then(|kid| ring.find(kid)).ok_or_else(unknown)?;
        Ok(KeyView { pending, ..KeyView::of(&ring, entry, self.clock.now()) })
    }

    /// What a revocation that is in force lacks, once the feed was told of it if it could be.
    async fn pending(&self, unwritten: Option<RingFileError>) -> Vec<Pending> {
        let mut pending = Vec::new();
        if let Some(error) = unwritten {
            tracing::error!(%error, "a key is revoked, and the ring could not be written; it is tried again");
            pending.push(Pending::Ring);
        }
        if self.unrecorded.oldest().is_some() {
            pending.push(Pending::Audit);
        }
        if let Err(refusal) = self.tell().await {
            tracing::error!(%refusal, "a key is revoked, and the feed is still to be told");
            pending.push(Pending::Feed);
        }
        pending
    }

    /// Does what time has made due, and has the custody destroy what is over. Takes as long as the custody
    /// does.
    ///
    /// # Errors
    /// [`Refusal`]; it is due until it is done.
    pub async fn tend(&self) -> Result<(), Refusal> {
        let tended = self.apply(Operation::Tend, &Actor::Server).await;
        // Whatever became of the other.
        let destroyed = self.destroy().await;
        tended.map(drop).and(destroyed)
    }

    /// Makes good what revocations have left: written first, since a restart without it brings the key
    /// back, then recorded, then told.
    ///
    /// # Errors
    /// [`Refusal`]; it is left until it is done.
    pub async fn make_good(&self) -> Result<(), Refusal> {
        let kept = self.catch_up().await;
        kept.and(self.tell().await)
    }

    /// Destroys what is over, once the ring says so: a crash between the two leaves its name there.
    async fn destroy(&self) -> Result<(), Refusal> {
        let left = || self.keyring.ring().entries.iter().any(|entry| entry.to_destroy.is_some());
        if !left() || self.keyring.is_behind() {
            return Ok(());
        }
        let keyring = Arc::clone(&self.keyring);
        let destroyed = tokio::task::spawn_blocking(move || keyring.destroy_what_is_over()).await;
        let kids = destroyed.map_err(|_| failed())?;
        if !kids.is_empty() {
            self.apply(Operation::Destroyed(kids), &Actor::Server).await?;
        }
        match left() {
            true => Err(Refusal::new(Reason::KeysUnavailable, "a key that is over lives on")),
            false => Ok(()),
        }
    }

    /// Writes and records what a revocation has left, whatever becomes of the other.
    ///
    /// # Errors
    /// [`Refusal`]; it is left.
    pub async fn catch_up(&self) -> Result<(), Refusal> {
        let written = self.write_again().await;
        while let Some((event, at)) = self.unrecorded.oldest() {
            self.record(event, at).await?;
            self.unrecorded.pay_oldest();
        }
        written.and(self.note_recorded().await)
    }

    async fn write_again(&self) -> Result<(), Refusal> {
        if !self.keyring.is_behind() {
            return Ok(());
        }
        let (keyring, turn) = (Arc::clone(&self.keyring), self.keyring.turn().await);
        // The change that was waited for has written it, in the usual case.
        if !keyring.is_behind() {
            return Ok(());
        }
        let written = tokio::task::spawn_blocking(move || keyring.write_again(&turn)).await;
        written.map_err(|_| failed())?.map_err(|error| refusal(&error.into()))
    }

    async fn apply(&self, operation: Operation, by: &Actor) -> Result<Committed, Refusal> {
        let is_emergency = operation.is_emergency();
        let (draft, mut spares) = self.draft(operation).await?;
        let now = draft.at();
        // Off the workers: a disk may be slow.
        let draft = tokio::task::spawn_blocking(move || {
            // Nothing is on record that a full disk then does not let happen.
            let rehearsed = if is_emergency { Ok(()) } else { draft.rehearse() };
            rehearsed.map(|()| draft)
        });
        let draft = draft.await.map_err(|_| failed())?;
        let mut draft = draft.map_err(|error| refusal(&error.into()))?;
        for happened in draft.events().to_vec() {
            let event = self.event(&happened, by);
            let recorded = self.record(event.clone(), now).await;
            match recorded {
                Err(refusal) if is_emergency => {
                    tracing::error!(%refusal, "a key is revoked, which is still to be recorded");
                    // Here with whoever did it; in the ring for the case that this process ends before.
                    self.unrecorded.lock().events.push_back((happened.clone(), event, now));
                    draft.owe(&happened);
                }
                recorded => recorded?,
            }
        }
        let committed = tokio::task::spawn_blocking(move || {
            let committed = draft.commit();
            // Looked at here, after it: whoever waits may be gone, and what the ring has is no spare.
            if committed.as_ref().is_err_and(RingFileError::is_outcome_unknown) {
                spares.may_be_kept();
            }
            drop(spares);
            committed
        });
        let committed = committed.await.map_err(|_| failed())?;
        committed.map_err(|error| refusal(&error.into()))
    }

    /// The change, with the turn and what it needs; one that ends a key is in force. Whatever a custody is
    /// asked for it is asked before, while nobody has the turn: it may take long, or never answer.
    async fn draft(&self, mut operation: Operation) -> Result<(Draft, Spares), Refusal> {
        let mut spares = Spares::of(&self.keyring);
        loop {
            let turn = self.keyring.turn().await;
            // After the wait, so that nothing is dated before it holds.
            let (now, entropy) = (self.clock.now(), &*self.entropy);
            match Draft::of(&self.keyring, turn, &operation, now, entropy, &spares) {
                Ok(mut draft) => {
                    if operation.is_emergency() {
                        draft.enforce();
                    }
                    return Ok((draft, spares));
                }
                Err(KeyringError::NoSpare) => {}
                Err(error) => return Err(refusal(&error)),
            }
            if !operation.is_emergency() {
                // What cannot be recorded has nothing made for it.
                self.audit.check().map_err(audit_refusal)?;
            }
            let entropy = Arc::clone(&self.entropy);
            let made = tokio::task::spawn_blocking(move || {
                spares.make(&operation, &*entropy).map(|()| (operation, spares))
            });
            let made = made.await.map_err(|_| failed())?;
            (operation, spares) = made.map_err(|error| refusal(&error))?;
        }
    }

    /// Ends what revoked keys signed, where that is still to be told.
    async fn tell(&self) -> Result<(), Refusal> {
        let (ring, now) = (self.keyring.ring(), self.clock.now());
        let untold: Vec<&Entry> =
            ring.entries.iter().filter(|it| it.revoked_at.is_some() && !it.is_told).collect();
        let Some(moment) = untold.iter().filter_map(|entry| entry.revoked_at).max() else {
            return Ok(());
        };
        let kids = untold.into_iter().map(|entry| entry.kid.clone()).collect();
        // What it signed in that very second goes with the key; what its successor did lives. Of a clock that
        // was ahead then, nobody is to wait for that moment.
        let void = Revocation::TokensBefore(moment.min(now));
        self.store.revoke(&void, now).await.map_err(session_refusal)?;
        self.apply(Operation::Told(kids), &Actor::Server).await.map(|_| ())
    }

    /// Keeps a record of what is about to happen.
    async fn record(&self, event: Event, now: Timestamp) -> Result<(), Refusal> {
        self.audit.keep(event, now).await.map_err(audit_refusal)
    }

    fn event(&self, event: &KeyEvent, by: &Actor) -> Event {
        let KeyEvent { happening, kid, algorithm } = event;
        tracing::info!(?happening, kid, algorithm = algorithm.name(), "signing key");
        let told = event::KeyEvent {
            kid: kid.clone(),
            alg: algorithm.name().to_owned(),
            by: by.clone(),
            custody: Some(self.keyring.custody().to_owned()),
        };
        match happening {
            Happening::Created => Event::KeyCreated(told),
            Happening::Imported => Event::KeyImported(told),
            Happening::Activated => Event::KeyActivated(told),
            Happening::Retired => Event::KeyRetired(told),
            Happening::Withdrawn => Event::KeyWithdrawn(told),
            Happening::Revoked => Event::KeyRevoked(told),
        }
    }
}

impl Context {
    /// What changing keys takes.
    pub fn key_office(&self) -> KeyOffice {
        KeyOffice {
            keyring: Arc::clone(&self.keyring),
            store: Arc::clone(&self.store),
            audit: self.audit.clone(),
            unrecorded: self.unrecorded.clone(),
            entropy: Arc::clone(&self.entropy),
            clock: Arc::clone(&self.clock),
        }
    }
}

fn refusal(error: &KeyringError) -> Refusal {
    let reason = match error {
        KeyringError::Unknown => Reason::KeyUnknown,
        KeyringError::Revoked => Reason::KeyRevoked,
        KeyringError::Algorithm { .. } | KeyringError::Known | KeyringError::TooMany => {
            Reason::KeyRejected
        }
        KeyringError::Custody(_)
        | KeyringError::File(_)
        | KeyringError::View(_)
        | KeyringError::NoSpare
        | KeyringError::Restless => Reason::KeysUnavailable,
    };
    Refusal::new(reason, error.to_string())
}

fn failed() -> Refusal {
    Refusal::new(Reason::KeysUnavailable, "the change of keys was broken off")
}

#[cfg(test)]
#[path = "office_tests.rs"]
mod tests;
