//! When a caller gets which token: at once while it is good, after a renewal once it is not.
//!
//! | the token is | a caller |
//! |---|---|
//! | in its first two thirds | gets it |
//! | in its last third | gets it; a renewal is begun in the background, one for all callers |
//! | within 30 seconds of its end, or a fifth of its life | waits for the renewal, 5 seconds at most, and gets the old one if there is none |
//! | ended | waits for the renewal |
//!
//! A renewal is a task of its own: a caller that is dropped does not stop it. One that failed is
//! not tried again at once, whoever asks, and a token that was just made is not replaced because an
//! API dislikes it: neither a silent issuer nor a misled API makes a storm of sign-ins.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::error::ClientError;
use super::grant::Plan;
use super::http::Http;
use super::kept::{KeptKey, KeptSession};
use super::renewal::Failures;
use super::store::{SessionName, SessionStore};
use super::token::Token;
use super::wallet::Wallet;
use crate::key::Signer;

/// Seconds before which a token is not replaced because a server refused it.
const MIN_AGE: u64 = 10;
/// How long a caller waits for a renewal while the old token is still good.
const PATIENCE: Duration = Duration::from_secs(5);

/// A signed-in key: its token, renewed when it must be, and the key that signs requests. Cheap to
/// clone; clones are the same session.
#[derive(Clone, Debug)]
pub struct Session(pub(super) Arc<Shared>);

/// What all clones of a session share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) prover: Prover,
    pub(super) keeping: Option<Keeping>,
    /// Written by whoever holds `renewal`, and read by all.
    state: Mutex<State>,
    /// Held across a renewal, on purpose: of many callers one renews.
    pub(super) renewal: Arc<tokio::sync::Mutex<Failures>>,
}

#[derive(Debug)]
struct State {
    token: Arc<Token>,
    /// Logged out: there is no next token, whoever could prove what.
    closed: bool,
}

/// Where the session is kept, and what is kept in place of its key.
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) name: SessionName,
    pub(super) key: KeptKey,
    pub(super) jkt: String,
}

/// How the session proves itself again.
pub(super) enum Prover {
    /// The signer's own key asserts itself.
    Agent,
    /// The wallet signs another challenge.
    Wallet {
        wallet: Arc<dyn Wallet>,
        /// Whether the signer is a session key, which the message names.
        named: bool,
    },
    /// Not at all: the token was kept, the wallet is elsewhere.
    Nobody,
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "Agent",
            Self::Wallet { .. } => "Wallet",
            Self::Nobody => "Nobody",
        })
    }
}

impl Prover {
    /// Whether it needs no person.
    pub(super) fn is_unattended(&self) -> bool {
        match self {
            Self::Agent => true,
            Self::Wallet { wallet, .. } => wallet.signs_unattended(),
            Self::Nobody => false,
        }
    }

    pub(super) async fn prove(
        &self,
        plan: &Plan,
        signer: &dyn Signer,
    ) -> Result<Token, ClientError> {
        match self {
            Self::Agent => plan.sign_in_agent(signer).await,
            Self::Wallet { wallet, named } => plan.sign_in_wallet(&**wallet, signer, *named).await,
            Self::Nobody => Err(ClientError::SignInRequired),
        }
    }
}

impl Session {
    /// Signs in. The place where it will be kept is tried first, before a person is asked.
    pub(super) async fn begin(
        plan: Plan,
        signer: Arc<dyn Signer>,
        prover: Prover,
        keeping: Option<Keeping>,
    ) -> Result<Self, ClientError> {
        if let Some(Keeping { store, name, .. }) = &keeping {
            drop(store.lock(name).await?);
        }
        let token = prover.prove(&plan, &*signer).await?;
        let session = Self::with(plan, signer, prover, token, keeping);
        if let Some(keeping) = &session.0.keeping {
            let _held = keeping.store.lock(&keeping.name).await?;
            session.0.save_new(keeping, &session.current()).await?;
        }
        Ok(session)
    }

    pub(super) fn with(
        plan: Plan,
        signer: Arc<dyn Signer>,
        prover: Prover,
        token: Token,
        keeping: Option<Keeping>,
    ) -> Self {
        let state = Mutex::new(State { token: Arc::new(token), closed: false });
        let renewal = Arc::default();
        Self(Arc::new(Shared { plan, signer, prover, keeping, state, renewal }))
    }

    /// A token that is good now; the table above this file says when it is renewed.
    ///
    /// # Errors
    /// [`ClientError::SignInRequired`] when a person has to sign first, or after a log-out.
    pub async fn access_token(&self) -> Result<Arc<Token>, ClientError> {
        self.access_token_within(PATIENCE).await
    }

    async fn access_token_within(&self, patience: Duration) -> Result<Arc<Token>, ClientError> {
        let token = self.0.open()?;
        let now = self.0.plan.now();
        if !token.is_due(now) {
            return Ok(token);
        }
        if token.is_fresh(now) {
            self.renew_in_background(&token);
            return Ok(token);
        }
        let is_good = || token.expires_at > self.0.plan.now();
        let Some(mut renewal) = self.begin_renewal(&token) else {
            return self.0.renew(&token).await;
        };
        if is_good() {
            let done = tokio::time::timeout(patience, &mut renewal).await;
            match done {
                Ok(Ok(Ok(fresh))) => return Ok(fresh),
                // Whatever kept it from being renewed, it is good up to its last second.
                _ if is_good() => return Ok(token),
                Ok(done) => return self.renewed(done, &token).await,
                Err(_) => {}
            }
        }
        self.renewed(renewal.await, &token).await
    }

    /// A token in place of `refused`, which a server did not take; `None` when it is too young for
    /// another to fare better. Whoever comes second gets the one that the first has just fetched.
    ///
    /// # Errors
    /// [`ClientError::SignInRequired`] when a person has to sign first.
    pub async fn replace(&self, refused: &Arc<Token>) -> Result<Option<Arc<Token>>, ClientError> {
        let current = self.0.open()?;
        if current.access_token != refused.access_token {
            return Ok(Some(current));
        }
        if self.0.plan.now().since(refused.issued_at) < MIN_AGE {
            return Ok(None);
        }
        match self.begin_renewal(refused) {
            Some(renewal) => self.renewed(renewal.await, refused).await.map(Some),
            None => self.0.renew(refused).await.map(Some),
        }
    }

    /// Waits until no renewal is under way, and tells what became of the last one: a program that
    /// is about to end lets a new token be kept before.
    ///
    /// # Errors
    /// [`ClientError::RenewalPaused`] when the last renewal failed.
    pub async fn settle(&self) -> Result<(), ClientError> {
        self.0.renewal.lock().await.last_failure()
    }

    /// A renewal as a task, which goes on though its caller is dropped; `None` outside a runtime.
    fn begin_renewal(&self, stale: &Arc<Token>) -> Option<Renewal> {
        let (shared, stale) = (Arc::clone(&self.0), Arc::clone(stale));
        let renewal = async move { shared.renew(&stale).await };
        Handle::try_current().ok().map(|runtime| runtime.spawn(renewal))
    }

    async fn renewed(
        &self,
        done: Result<Result<Arc<Token>, ClientError>, tokio::task::JoinError>,
        stale: &Token,
    ) -> Result<Arc<Token>, ClientError> {
        match done {
            Ok(result) => result,
            // The task was stopped, not its work refused.
            Err(_) => self.0.renew(stale).await,
        }
    }

    /// Begins a renewal unless one is under way, has just failed, or takes a person.
    fn renew_in_background(&self, token: &Arc<Token>) {
        if token.refresh_token.is_none() && !self.0.prover.is_unattended() {
            return;
        }
        let Ok(mut failures) = Arc::clone(&self.0.renewal).try_lock_owned() else { return };
        if failures.check(self.http().local_now()).is_err() {
            return;
        }
        let (shared, stale) = (Arc::clone(&self.0), Arc::clone(token));
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = shared.renew_holding(&mut failures, &stale).await {
                    tracing::warn!(%error, "a token was not renewed in the background");
                }
            });
        }
    }

    /// The key that signs requests, and that the token is bound to.
    pub fn signer(&self) -> &Arc<dyn Signer> {
        &self.0.signer
    }

    /// The resource that the token was asked for.
    pub fn resource(&self) -> Option<&str> {
        self.0.plan.resource.as_deref()
    }

    pub(super) fn http(&self) -> &Http {
        &self.0.plan.http
    }

    /// The issuer's origin, whose clock stands in for a server's that has not answered yet.
    pub(super) fn issuer_origin(&self) -> String {
        self.0.plan.issuer.address().origin()
    }

    /// The token as it is, fresh or not.
    pub fn current(&self) -> Arc<Token> {
        Arc::clone(&self.0.lock().token)
    }
}

type Renewal = JoinHandle<Result<Arc<Token>, ClientError>>;

impl Shared {
    /// The token, unless the session was logged out.
    pub(super) fn open(&self) -> Result<Arc<Token>, ClientError> {
        let state = self.lock();
        if state.closed { Err(ClientError::SignInRequired) } else { Ok(Arc::clone(&state.token)) }
    }

    pub(super) fn put(&self, token: Token) -> Arc<Token> {
        let token = Arc::new(token);
        self.lock().token = Arc::clone(&token);
        token
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    /// What is kept of the session with this token.
    pub(super) fn record(&self, keeping: &Keeping, token: &Token) -> KeptSession {
        KeptSession {
            issuer: self.plan.issuer.as_str().to_owned(),
            domain: self.plan.domain.clone(),
            label: self.plan.label.clone(),
            token: token.clone(),
            key: keeping.key.clone(),
            jkt: Some(keeping.jkt.clone()),
        }
    }

    /// Keeps the session with this token; the caller holds the place's lock.
    pub(super) async fn save(&self, keeping: &Keeping, token: &Token) -> Result<(), ClientError> {
        let record = self.record(keeping, token);
        Ok(keeping.store.save(&keeping.name, &record).await?)
    }

    /// The same for a session that was just opened. One that cannot be kept is ended again, so that
    /// failed attempts do not pile up at the issuer.
    pub(super) async fn save_new(
        &self,
        keeping: &Keeping,
        token: &Token,
    ) -> Result<(), ClientError> {
        let saved = self.save(keeping, token).await;
        if saved.is_err() && token.refresh_token.is_some() {
            // Why it was not kept is what the caller has to know.
            let _ = self.plan.give_up(token).await;
        }
        saved
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
