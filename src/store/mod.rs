//! The verbs of what outlives a request, each of them one atomic decision.
//!
//! There is no read-then-write here: a caller says *use this up*, *move this session on*, *revoke
//! this*, and learns what was decided. What can be read beside that never changes, or decides
//! nothing. A live entry is never evicted to make room; a store at its bound refuses, and the server
//! answers 503. An engine is one file beside this one, and passes the suite `contract`.

use std::fmt;
use std::ops::Deref;

use async_trait::async_trait;
use countersign_sdk::chain::lnurl::Answer;
use countersign_sdk::entropy::{Entropy, EntropyError};
use countersign_sdk::key::Thumbprint;
use countersign_sdk::proof::replay::ReplayStore;
use countersign_sdk::time::Timestamp;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::model::revocation::{Entry, Revocation, TokenNames};
use crate::model::session::{Session, SessionId};
use crate::wallet::policy::OpenedNonce;

mod answers;
pub mod contract;
pub mod embedded;
pub mod memory;
mod nonces;

/// Why a store did not do what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It was used up before.
    #[error("used before")]
    Used,
    /// The store is at its bound.
    #[error("the store is full")]
    Full,
    /// The store did not answer; whether it wrote is unknown.
    #[error("the store did not answer")]
    Unavailable,
}

/// Why a session gave nothing. Nothing was changed but by [`SessionError::Reused`] and [`SessionError::Unpublished`], and perhaps by [`SessionError::Unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is none of that name, or it is over.
    #[error("the session has ended")]
    Ended,
    /// It is bound to another key.
    #[error("the session is bound to another key")]
    OtherKey,
    /// A refresh token older than the direct predecessor was presented: the session is ended now.
    #[error("an old refresh token was used again")]
    Reused,
    /// The request was made before the session moved on, and held up on its way.
    #[error("the session has moved on since the request was made")]
    Late,
    /// The store is at its bound.
    #[error("the store is full")]
    Full,
    /// What is named is ended now, and there is no room to publish that its last tokens are revoked.
    #[error("the sessions have ended, and there is no room to revoke their last tokens")]
    Unpublished,
    /// The store did not answer; whether it wrote is unknown.
    #[error("the store did not answer")]
    Unavailable,
}

/// Witness that a nonce was spent just now, by this request and no other.
#[derive(Debug)]
#[must_use]
pub struct SpentNonce(());

impl SpentNonce {
    /// Asserts that the store has written the nonce and that it was not there before. For engines.
    pub(in crate::store) const fn assertion() -> Self {
        Self(())
    }
}

/// Witness that a session was opened or moved on just now, by this request, and that the store keeps it.
#[derive(Debug)]
#[must_use]
pub struct LiveSession(Session);

impl LiveSession {
    /// Asserts that the store has written the session as it is. For engines.
    pub(in crate::store) const fn assertion(session: Session) -> Self {
        Self(session)
    }

    /// The session as it is now; its generation is the one whose refresh token is to be handed out.
    pub const fn session(&self) -> &Session {
        &self.0
    }
}

/// A session as the store has it: what it is bound to and opens never changes, its usage may have when this is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSession(Session);

impl KeptSession {
    /// Asserts that the store keeps the session. For engines.
    pub(in crate::store) const fn assertion(session: Session) -> Self {
        Self(session)
    }

    /// The session, as no more than what it says.
    pub fn into_session(self) -> Session {
        self.0
    }
}

impl Deref for KeptSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

/// The key that somebody has proven to hold, and when the proof was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenKey {
    /// Its thumbprint.
    pub jkt: Thumbprint,
    /// The proof's `iat`.
    pub at: Timestamp,
}

/// How many of each kind there may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Spent nonces.
    pub nonces: usize,
    /// Used proofs.
    pub proofs: usize,
    /// Wallets' answers that wait to be fetched.
    pub answers: usize,
    /// Sessions, and as many revocations.
    pub sessions: SessionBounds,
}

/// How many sessions and revocations there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionBounds {
    /// In all; at the bound nobody can open another.
    pub total: usize,
    /// Of one subject; whoever opens one more ends the one of them that was used longest ago.
    pub per_subject: usize,
    /// Revocations that requests can make; [`most_revocations`](Self::most_revocations) are remembered.
    pub revocations: usize,
}

impl SessionBounds {
    /// How many revocations there are at most, beside the one of everything: an eighth is kept for sessions that
    /// end since an old refresh token was used, which is told even when nobody else can revoke anything. APIs
    /// hold a fifth more than `revocations`; with more than they hold they would let nobody in.
    pub const fn most_revocations(self) -> usize {
        self.revocations.saturating_add(self.revocations / 8)
    }
}

/// A secret that lives exactly as long as the sessions do: refresh tokens are derived from it.
#[derive(Clone)]
pub struct SessionSecret(Zeroizing<[u8; 32]>);

impl SessionSecret {
    /// A new one.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// The secret of these bytes.
    pub const fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the key that is made of them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret")
    }
}

/// A place in the sequence of revocations. Sequences of two lives of a store, as before and after it
/// was put back to an earlier state, have different names, and places in them nothing in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The sequence's name.
    pub life: [u8; 8],
    /// How many revocations lie before it.
    pub sequence: u64,
}

/// A part of the revocations.
#[derive(Clone, Debug)]
pub struct Page {
    /// In the order in which they were made.
    pub entries: Vec<Entry>,
    /// Where to go on.
    pub next: Place,
    /// Whether there is more beyond.
    pub more: bool,
}

/// What outlives a request. Used proofs are claimed through [`ReplayStore`].
#[async_trait]
pub trait Store: ReplayStore + fmt::Debug {
    /// Spends a nonce, atomically: of any number of concurrent calls with one nonce, one succeeds.
    /// It is remembered until the nonce has expired by itself.
    ///
    /// A false yes mints a second token from one signature; a false no makes somebody sign again.
    ///
    /// # Errors
    /// [`StoreError`]; no token may be minted, whichever it is.
    async fn spend(&self, nonce: &OpenedNonce, now: Timestamp) -> Result<SpentNonce, StoreError>;

    /// Takes a nonce back that this very request has spent, and that has surely opened nothing.
    async fn unspend(&self, nonce: &OpenedNonce);

    /// Holds a wallet's answer to the challenge of `digest` until that has ended, atomically: of any
    /// number of answers by different keys, the first stands.
    ///
    /// A false yes makes somebody wait; a false no makes a wallet answer again.
    ///
    /// # Errors
    /// [`StoreError::Used`] where another key has answered, or what else [`StoreError`] says.
    async fn hold_answer(
        &self,
        digest: [u8; 32],
        answer: Answer,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The answer to the challenge of `digest`, which never changes once it is there. What it opens,
    /// the nonce in the text opens once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn answer_to(
        &self,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Answer>, StoreError>;

    /// Forgets that answer, which has opened what it can: its challenge's nonce is spent.
    async fn forget_answer(&self, digest: &[u8; 32]);

    /// Whether the nonce was spent, which no time undoes while the nonce holds. What is to open something asks
    /// [`spend`](Self::spend).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn is_spent(&self, nonce: &OpenedNonce, now: Timestamp) -> Result<bool, StoreError>;

    /// Opens a session, unless its subject, its keys or everything was revoked since `signed_from`, the
    /// moment before which its message cannot have been signed. One more than a subject may have ends
    /// the one that was used longest ago. Kept before this returns, whatever happens to the process then.
    ///
    /// A false yes lets somebody in who was put out; a false no makes somebody sign again.
    ///
    /// # Errors
    /// [`SessionError::Ended`], [`SessionError::Full`] or [`SessionError::Unavailable`].
    async fn open(
        &self,
        session: Session,
        signed_from: Timestamp,
        now: Timestamp,
    ) -> Result<LiveSession, SessionError>;

    /// Decides what the refresh token of `generation` gives whoever presents it, by the usage of the session as it
    /// is now, and does it, atomically ([`Usage::turn`](crate::model::session::Usage::turn)): of any number of concurrent calls with one generation,
    /// one moves the session on and the others get the same. Kept before this returns.
    ///
    /// A false yes keeps a thief in; a false no logs somebody out.
    ///
    /// # Errors
    /// [`SessionError`]; only `Reused` has changed something: the session is ended and revoked.
    async fn rotate(
        &self,
        kept: KeptSession,
        generation: u32,
        holder: Option<ProvenKey>,
        now: Timestamp,
    ) -> Result<LiveSession, SessionError>;

    /// A session that is not over.
    ///
    /// # Errors
    /// [`SessionError::Ended`] or [`SessionError::Unavailable`].
    async fn session(&self, id: SessionId, now: Timestamp) -> Result<KeptSession, SessionError>;

    /// The sessions of a subject that are not over, the oldest first.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`].
    async fn sessions_of(
        &self,
        subject: &str,
        now: Timestamp,
    ) -> Result<Vec<Session>, SessionError>;

    /// The sessions of a key, as the one that signs requests or the one that was proven, that are not
    /// over, the oldest first.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`].
    async fn sessions_by_key(
        &self,
        key: Thumbprint,
        now: Timestamp,
    ) -> Result<Vec<Session>, SessionError>;

    /// Revokes, and ends the sessions that are touched, atomically. Kept before this returns, and
    /// [`Store::latest`] has moved.
    ///
    /// A false yes keeps somebody in who believes to be out; a false no is asked for again.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`]; without room for the entry [`SessionError::Unpublished`] where a session
    /// has ended, else [`SessionError::Full`]. Whoever asks again asks for the entry, whether or not there is
    /// a session still.
    async fn revoke(&self, revocation: &Revocation, now: Timestamp) -> Result<(), SessionError>;

    /// Whether a token of these names is revoked.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`]; the token must then not be taken.
    async fn is_revoked(
        &self,
        token: &TokenNames<'_>,
        now: Timestamp,
    ) -> Result<bool, SessionError>;

    /// At most `limit` live revocations after `place`; from the beginning without one, or with one of
    /// another life or beyond the last.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`].
    async fn revocations(
        &self,
        after: Option<Place>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, SessionError>;

    /// The sequence of the last revocation that is kept, as it changes.
    fn latest(&self) -> watch::Receiver<u64>;

    /// The secret of the refresh tokens, the same for as long as the sessions live.
    fn session_secret(&self) -> SessionSecret;

    /// Whether proofs may have been used that this store does not remember: a process before this
    /// one has ended, and its sessions are still there.
    fn has_forgotten_proofs(&self) -> bool;

    /// Whether the store answers. One that does not keeps trying by itself to answer again.
    fn is_available(&self) -> bool;

    /// Forgets what has expired. Called from the background, never from a request.
    async fn sweep(&self, now: Timestamp);
}
