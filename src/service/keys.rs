//! The issuer's own keys: seen, rotated, retired, revoked and brought in, and what time makes due.
//!
//! Each change is drafted, recorded and put in force, in that order; one that cannot be recorded does not
//! happen. A revocation is the exception: it is in force first, and what could not be recorded or written
//! then is tried again until it is. What a revoked key signed is ended through the feed, which is told again until it was told:
//! the key itself is gone from the published set before that (protocol.md §7, §8).

use std::sync::{Arc, Mutex, PoisonError};

use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{InMemorySigner, PublicJwk};
use countersign_sdk::time::Timestamp;
use serde::Serialize;

use super::context::{Context, audit_refusal, session_refusal};
use crate::audit::event::{self, Actor};
use crate::audit::{Audit, Event};
use crate::keyring::ring::{Entry, Ring, State};
use crate::keyring::{
    Committed, Draft, Happening, KeyEvent, Keyring, KeyringError, Operation, Purpose, Reserved,
};
use crate::model::reason::{Reason, Refusal};
use crate::model::revocation::Revocation;
use crate::store::Store;

/// A key as operators see it. Moments are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// Its name in token headers: the RFC 7638 thumbprint.
    pub kid: String,
    /// The algorithm of its signatures.
    pub alg: &'static str,
    /// Its state now.
    pub state: State,
    /// Its public half.
    pub jwk: PublicJwk,
    /// When it was made.
    pub created_at: String,
    /// Since when it is published.
    pub published_at: String,
    /// From when on it signs, signed or was to sign.
    pub signs_from: String,
    /// Until when it signs or signed, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signs_until: Option<String>,
    /// Since when it is withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<String>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    /// What is in force and still to be done for it, which the server goes on trying.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Pending>,
}

/// What a revocation that is in force still lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
    /// It is not in the ring's file: a restart before it is brings the key back.
    Ring,
    /// It is not in the audit log.
    Audit,
    /// The feed does not say yet that what the key signed is void; that the key is gone it says.
    Feed,
}

impl KeyView {
    fn of(ring: &Ring, entry: &Entry, now: Timestamp) -> Self {
        let text = |moment: Timestamp| moment.to_string();
        Self {
            kid: entry.kid.clone(),
            alg: entry.algorithm().name(),
            state: ring.state(entry, now),
            jwk: entry.public.to_jwk(),
            created_at: text(entry.created_at),
            published_at: text(entry.published_at),
            signs_from: text(entry.signs_from),
            signs_until: ring.signs_until(entry).map(text),
            withdrawn_at: entry.withdrawn_at.map(text),
            revoked_at: entry.revoked_at.map(text),
            pending: Vec::new(),
        }
    }

    /// Every key of a ring.
    pub fn all(ring: &Ring, now: Timestamp) -> Vec<Self> {
        ring.entries.iter().map(|entry| Self::of(ring, entry, now)).collect()
    }
}

/// Events of changes that are in force and could not be recorded; in the memory of this process alone.
#[derive(Clone, Debug, Default)]
pub struct Unrecorded(Arc<Mutex<Vec<(Event, Timestamp)>>>);

impl Unrecorded {
    fn add(&self, event: Event, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((event, now));
    }

    fn oldest(&self) -> Option<(Event, Timestamp)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    fn drop_oldest(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.is_empty() {
            all.remove(0);
        }
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
}

impl KeyOffice {
    /// Every key that there is or was.
    pub fn list(&self, now: Timestamp) -> Vec<KeyView> {
        KeyView::all(&self.keyring.ring(), now)
    }

    /// Records what happened to the keys as the ring was opened. Called before anybody is served.
    ///
    /// # Errors
    /// [`Reason::AuditUnavailable`].
    pub async fn founded(&self, now: Timestamp) -> Result<(), Refusal> {
        for event in self.keyring.founding() {
            self.record(self.event(event, &Actor::Server), now).await?;
        }
        Ok(())
    }

    /// Does what is asked, and returns the key that it was about.
    ///
    /// # Errors
    /// [`Refusal`]. A revocation is in force whatever could not be kept of it: [`KeyView::pending`].
    pub async fn change(
        &self,
        operation: Operation,
        by: &Actor,
        now: Timestamp,
    ) -> Result<KeyView, Refusal> {
        let is_emergency = operation.is_emergency();
        let Committed { ring, subject, unwritten } = self.apply(operation, by, now).await?;
        let mut pending = Vec::new();
        if let Some(error) = unwritten.filter(|_| is_emergency) {
            tracing::error!(%error, "a key is revoked, and the ring could not be written; it is tried again");
            pending.push(Pending::Ring);
        }
        if self.unrecorded.oldest().is_some() {
            pending.push(Pending::Audit);
        }
        match self.tell(now).await {
            Err(refusal) if is_emergency => {
                tracing::error!(%refusal, "a key is revoked, and the feed is still to be told");
                pending.push(Pending::Feed);
            }
            told => told?,
        }
        // What is left of it is tried again, and logged.
        let _ = self.destroy(now).await;
        let unknown = || refusal(&KeyringError::Unknown);
        let entry = subject.as_deref().and_then(|kid| ring.find(kid)).ok_or_else(unknown)?;
        Ok(KeyView { pending, ..KeyView::of(&ring, entry, now) })
    }

    /// Does what time has made due.
    ///
    /// # Errors
    /// [`Refusal`]; it is due until it is done.
    pub async fn tend(&self, now: Timestamp) -> Result<(), Refusal> {
        let caught_up = self.catch_up().await;
        let tended = self.apply(Operation::Tend, &Actor::Server, now).await;
        // Whatever became of the others.
        let told = self.tell(now).await;
        let destroyed = self.destroy(now).await;
        caught_up.and(tended.map(drop)).and(told).and(destroyed)
    }

    /// Destroys what is over, once the ring says so: a crash between the two leaves its name there.
    async fn destroy(&self, now: Timestamp) -> Result<(), Refusal> {
        let left = || self.keyring.ring().entries.iter().any(|entry| entry.to_destroy.is_some());
        if !left() || self.keyring.is_behind() {
            return Ok(());
        }
        let keyring = Arc::clone(&self.keyring);
        let destroyed = tokio::task::spawn_blocking(move || keyring.destroy_what_is_over()).await;
        let kids = destroyed.map_err(|_| failed())?;
        if !kids.is_empty() {
            self.apply(Operation::Destroyed(kids), &Actor::Server, now).await?;
        }
        match left() {
            true => Err(Refusal::new(Reason::KeysUnavailable, "a key that is over lives on")),
            false => Ok(()),
        }
    }

    /// Records and writes what a revocation has left.
    async fn catch_up(&self) -> Result<(), Refusal> {
        while let Some((event, at)) = self.unrecorded.oldest() {
            self.record(event, at).await?;
            self.unrecorded.drop_oldest();
        }
        if !self.keyring.is_behind() {
            return Ok(());
        }
        let (keyring, turn) = (Arc::clone(&self.keyring), self.keyring.turn().await);
        let written = tokio::task::spawn_blocking(move || keyring.write_again(&turn)).await;
        written.map_err(|_| failed())?.map_err(|error| refusal(&error.into()))
    }

    async fn apply(
        &self,
        operation: Operation,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Committed, Refusal> {
        let turn = self.keyring.turn().await;
        let (keyring, entropy) = (Arc::clone(&self.keyring), Arc::clone(&self.entropy));
        // Off the workers: a custody may be slow, and so may a disk.
        let is_emergency = operation.is_emergency();
        let draft = tokio::task::spawn_blocking(move || {
            let mut draft = Draft::of(&keyring, turn, operation, now, &*entropy)?;
            match is_emergency {
                true => draft.enforce(),
                // Nothing is on record that a full disk then does not let happen.
                false => draft.rehearse()?,
            }
            Ok(draft)
        });
        let draft = draft.await.map_err(|_| failed())?.map_err(|error| refusal(&error))?;
        for event in draft.events() {
            let event = self.event(event, by);
            let recorded = self.record(event.clone(), now).await;
            match recorded {
                Err(refusal) if is_emergency => {
                    tracing::error!(%refusal, "a key is revoked, which is still to be recorded");
                    self.unrecorded.add(event, now);
                }
                recorded => recorded?,
            }
        }
        let committed = tokio::task::spawn_blocking(move || draft.commit());
        let committed = committed.await.map_err(|_| failed())?;
        committed.map_err(|error| refusal(&error.into()))
    }

    /// Ends what revoked keys signed, where that is still to be told.
    async fn tell(&self, now: Timestamp) -> Result<(), Refusal> {
        let ring = self.keyring.ring();
        let untold: Vec<&Entry> =
            ring.entries.iter().filter(|it| it.revoked_at.is_some() && !it.is_told).collect();
        let Some(moment) = untold.iter().filter_map(|entry| entry.revoked_at).max() else {
            return Ok(());
        };
        let kids = untold.into_iter().map(|entry| entry.kid.clone()).collect();
        // What it signed in that very second goes with the key; what its successor did lives.
        let void = Revocation::TokensBefore(moment);
        self.store.revoke(&void, now).await.map_err(session_refusal)?;
        self.apply(Operation::Told(kids), &Actor::Server, now).await.map(|_| ())
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
        }
    }
}

/// Every key that there is or was, in the order in which they were made.
#[expect(clippy::unused_async, reason = "a ring may lie elsewhere")]
pub async fn list(context: &Context) -> Vec<KeyView> {
    context.key_office().list(context.now())
}

/// Has the next key sign, at once if every cache knows it and else as soon as they do; returns that key.
///
/// # Errors
/// [`Reason::KeysUnavailable`], [`Reason::StoreUnavailable`].
pub async fn rotate(context: &Context, by: &Actor, now: Timestamp) -> Result<KeyView, Refusal> {
    context.key_office().change(Operation::Rotate, by, now).await
}

/// Lets a key end in its time: the active one by a rotation, one that stands by at once. One that
/// signs no more is on its way already.
///
/// # Errors
/// [`Reason::KeyUnknown`], [`Reason::KeyRevoked`], [`Reason::KeysUnavailable`].
pub async fn retire(
    context: &Context,
    kid: &str,
    by: &Actor,
    now: Timestamp,
) -> Result<KeyView, Refusal> {
    context.key_office().change(Operation::Retire(kid.to_owned()), by, now).await
}

/// Withdraws a key at once, and ends what it signed. Repeating it does no harm.
///
/// # Errors
/// [`Reason::KeyUnknown`], [`Reason::KeysUnavailable`] when no other key can sign. What could not be kept
/// of it is in [`KeyView::pending`], and happens by itself.
pub async fn revoke(
    context: &Context,
    kid: &str,
    by: &Actor,
    now: Timestamp,
) -> Result<KeyView, Refusal> {
    context.key_office().change(Operation::Revoke(kid.to_owned()), by, now).await
}

/// Withdraws every key at once, and signs with a new one, which this returns.
///
/// # Errors
/// As [`revoke`].
pub async fn revoke_all(context: &Context, by: &Actor, now: Timestamp) -> Result<KeyView, Refusal> {
    context.key_office().change(Operation::RevokeAll, by, now).await
}

/// Has this key be the next one.
///
/// # Errors
/// [`Reason::KeyRejected`], [`Reason::KeysUnavailable`].
pub async fn import(
    context: &Context,
    key: InMemorySigner,
    by: &Actor,
    now: Timestamp,
) -> Result<KeyView, Refusal> {
    context.key_office().change(Operation::Import(Box::new(key)), by, now).await
}

/// Does what time has made due for the keys. Called from the background.
///
/// # Errors
/// [`Reason::KeysUnavailable`], [`Reason::StoreUnavailable`]; it is due until it is done.
pub async fn tend(context: &Context, now: Timestamp) -> Result<(), Refusal> {
    context.key_office().tend(now).await
}

/// Refuses early while the key that signs is out of reach, before anything is used up for a document
/// that would not be signed.
///
/// # Errors
/// [`Reason::SigningUnavailable`].
pub(crate) fn ready(context: &Context, now: Timestamp) -> Result<(), Refusal> {
    match context.keyring.view(now).active().is_ready() {
        true => Ok(()),
        false => Err(crate::token::jws::away()),
    }
}

/// A place to sign a token at. Taken right before something is used up for the token, and kept until it is
/// signed: whoever has one is not refused for all the others.
///
/// # Errors
/// [`Reason::SigningUnavailable`].
pub(crate) async fn reserve(context: &Context, now: Timestamp) -> Result<Reserved, Refusal> {
    ready(context, now)?;
    let key = context.keyring.active(now);
    key.reserve(Purpose::Token).await.map_err(|_| crate::token::jws::away())
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
        | KeyringError::Restless => Reason::KeysUnavailable,
    };
    Refusal::new(reason, error.to_string())
}

fn failed() -> Refusal {
    Refusal::new(Reason::KeysUnavailable, "the change of keys was broken off")
}
