//! The issuer's own keys: seen, rotated, retired, revoked and brought in, and what time makes due.
//!
//! Each change is drafted, recorded and put in force, in that order; one that cannot be recorded does not
//! happen. What a revoked key signed is ended through the feed, which is told again until it was told:
//! the key itself is gone from the published set before that (protocol.md §7, §8).

use std::sync::Arc;

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
        }
    }

    /// Every key of a ring.
    pub fn all(ring: &Ring, now: Timestamp) -> Vec<Self> {
        ring.entries.iter().map(|entry| Self::of(ring, entry, now)).collect()
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
            self.record(event, &Actor::Server, now).await?;
        }
        Ok(())
    }

    /// Does what is asked, and returns the key that it was about.
    ///
    /// # Errors
    /// [`Refusal`]. After [`Reason::StoreUnavailable`] the ring has changed, and what a revoked key signed
    /// is ended as soon as the store answers.
    pub async fn change(
        &self,
        operation: Operation,
        by: &Actor,
        now: Timestamp,
    ) -> Result<KeyView, Refusal> {
        let Committed { ring, subject } = self.apply(operation, by, now).await?;
        self.tell(now).await?;
        let unknown = || refusal(&KeyringError::Unknown);
        let entry = subject.as_deref().and_then(|kid| ring.find(kid)).ok_or_else(unknown)?;
        Ok(KeyView::of(&ring, entry, now))
    }

    /// Does what time has made due.
    ///
    /// # Errors
    /// [`Refusal`]; it is due until it is done.
    pub async fn tend(&self, now: Timestamp) -> Result<(), Refusal> {
        self.apply(Operation::Tend, &Actor::Server, now).await?;
        self.tell(now).await
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
        let draft = tokio::task::spawn_blocking(move || {
            Draft::of(&keyring, turn, operation, now, &*entropy)
        });
        let draft = draft.await.map_err(|_| failed())?.map_err(|error| refusal(&error))?;
        for event in draft.events() {
            self.record(event, by, now).await?;
        }
        let committed = tokio::task::spawn_blocking(move || draft.commit());
        let committed = committed.await.map_err(|_| failed())?;
        committed.map_err(|error| refusal(&error.into()))
    }

    /// Ends what revoked keys signed, where that is still to be told.
    async fn tell(&self, now: Timestamp) -> Result<(), Refusal> {
        let ring = self.keyring.ring();
        let untold = ring.entries.iter().filter(|entry| !entry.is_told);
        let Some(moment) = untold.filter_map(|entry| entry.revoked_at).max() else {
            return Ok(());
        };
        // What it signed in that very second goes with the key; what its successor did lives.
        let void = Revocation::TokensBefore(moment);
        self.store.revoke(&void, now).await.map_err(session_refusal)?;
        self.apply(Operation::Told, &Actor::Server, now).await.map(|_| ())
    }

    /// Keeps a record of what is about to happen.
    async fn record(&self, event: &KeyEvent, by: &Actor, now: Timestamp) -> Result<(), Refusal> {
        let KeyEvent { happening, kid, algorithm } = event;
        tracing::info!(?happening, kid, algorithm = algorithm.name(), "signing key");
        let told = event::KeyEvent {
            kid: kid.clone(),
            alg: algorithm.name().to_owned(),
            by: by.clone(),
            custody: Some(self.keyring.custody().to_owned()),
        };
        let told = match happening {
            Happening::Created => Event::KeyCreated(told),
            Happening::Imported => Event::KeyImported(told),
            Happening::Activated => Event::KeyActivated(told),
            Happening::Retired => Event::KeyRetired(told),
            Happening::Withdrawn => Event::KeyWithdrawn(told),
            Happening::Revoked => Event::KeyRevoked(told),
        };
        self.audit.keep(told, now).await.map_err(audit_refusal)
    }
}

impl Context {
    /// What changing keys takes.
    pub fn key_office(&self) -> KeyOffice {
        KeyOffice {
            keyring: Arc::clone(&self.keyring),
            store: Arc::clone(&self.store),
            audit: self.audit.clone(),
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
/// [`Reason::KeyUnknown`], [`Reason::KeysUnavailable`]; [`Reason::StoreUnavailable`] when the key is
/// withdrawn and the feed is still to be told, which happens by itself.
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
