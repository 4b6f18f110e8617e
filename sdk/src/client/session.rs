//! When a token is renewed, and by whom: an agent proves itself again, a person is asked first.
//!
//! A fresh token is handed out under a short lock. A stale one is renewed under a second lock that
//! is held across the exchange, on purpose: of many callers one renews, the others wait for its
//! token, and none of them blocks a caller for whom the token is still good. A renewal that failed
//! is not tried again at once, whoever asks, and a token that was just made is not replaced because
//! an API dislikes it: neither a silent issuer nor a misled API makes a storm of sign-ins.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::ClientError;
use super::http::Http;
use super::sign_in::Plan;
use super::token::Token;
use super::wallet::Wallet;
use crate::key::Signer;
use crate::time::Timestamp;

/// Seconds before which a token is not replaced because a server refused it.
const MIN_AGE: u64 = 10;
/// The longest pause after failed renewals, in seconds.
const MAX_PAUSE: u64 = 30;

/// A signed-in key: its token, renewed when it must be, and the key that signs requests.
#[derive(Debug)]
pub struct Session {
    plan: Plan,
    signer: Arc<dyn Signer>,
    prover: Prover,
    current: Mutex<Arc<Token>>,
    renewal: tokio::sync::Mutex<Failures>,
}

/// The renewals that failed since the last one that did not.
#[derive(Debug, Default)]
struct Failures {
    number: u32,
    last: Timestamp,
    cause: String,
}

impl Failures {
    fn add(&mut self, now: Timestamp, cause: &ClientError) {
        self.number = self.number.saturating_add(1);
        self.last = now;
        self.cause = cause.to_string();
    }

    /// Refuses an attempt within 1, 2, 4… at most 30 seconds after the last failure.
    fn check(&self, now: Timestamp) -> Result<(), ClientError> {
        let Some(doublings) = self.number.checked_sub(1) else {
            return Ok(());
        };
        let pause = 1_u64.checked_shl(doublings).map_or(MAX_PAUSE, |pause| pause.min(MAX_PAUSE));
        let seconds = pause.saturating_sub(now.since(self.last));
        // A clock that was set back does not lengthen the pause.
        if seconds == 0 || now < self.last {
            return Ok(());
        }
        Err(ClientError::RenewalPaused { seconds, cause: self.cause.clone() })
    }
}

/// How the session proves itself again.
enum Prover {
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

impl Session {
    pub(super) async fn of_wallet(
        plan: Plan,
        wallet: Arc<dyn Wallet>,
        signer: Arc<dyn Signer>,
        named: bool,
    ) -> Result<Self, ClientError> {
        let token = plan.sign_in_wallet(&*wallet, &*signer, named).await?;
        Ok(Self::with(plan, signer, Prover::Wallet { wallet, named }, token))
    }

    pub(super) async fn of_agent(plan: Plan, signer: Arc<dyn Signer>) -> Result<Self, ClientError> {
        let token = plan.sign_in_agent(&*signer).await?;
        Ok(Self::with(plan, signer, Prover::Agent, token))
    }

    pub(super) fn of_kept(plan: Plan, token: Token, signer: Arc<dyn Signer>) -> Self {
        Self::with(plan, signer, Prover::Nobody, token)
    }

    pub(super) fn of_kept_agent(plan: Plan, token: Token, signer: Arc<dyn Signer>) -> Self {
        Self::with(plan, signer, Prover::Agent, token)
    }

    fn with(plan: Plan, signer: Arc<dyn Signer>, prover: Prover, token: Token) -> Self {
        Self {
            plan,
            signer,
            prover,
            current: Mutex::new(Arc::new(token)),
            renewal: tokio::sync::Mutex::default(),
        }
    }

    /// The token, renewed first when it is about to end.
    ///
    /// # Errors
    /// [`ClientError::SignInRequired`] when a person has to sign first.
    pub async fn access_token(&self) -> Result<Arc<Token>, ClientError> {
        let token = self.current();
        if token.is_fresh(self.plan.now()) {
            return Ok(token);
        }
        match self.renew(&token).await {
            // Whatever kept it from being renewed, it is good up to its last second.
            Err(_) if token.expires_at > self.plan.now() => Ok(token),
            result => result,
        }
    }

    /// A token in place of `refused`, which a server did not take; `None` when it is too young for
    /// another to fare better. Whoever comes second gets the one that the first has just fetched.
    ///
    /// # Errors
    /// [`ClientError::SignInRequired`] when a person has to sign first.
    pub async fn replace(&self, refused: &Arc<Token>) -> Result<Option<Arc<Token>>, ClientError> {
        let current = self.current();
        if !Arc::ptr_eq(&current, refused) {
            return Ok(Some(current));
        }
        if self.plan.now().since(refused.issued_at) < MIN_AGE {
            return Ok(None);
        }
        self.renew(refused).await.map(Some)
    }

    async fn renew(&self, stale: &Arc<Token>) -> Result<Arc<Token>, ClientError> {
        let mut failures = self.renewal.lock().await;
        let current = self.current();
        if !Arc::ptr_eq(&current, stale) {
            return Ok(current);
        }
        failures.check(self.http().local_now())?;
        match self.sign_in_again().await {
            Ok(fresh) => {
                *failures = Failures::default();
                let fresh = Arc::new(fresh);
                *self.lock() = Arc::clone(&fresh);
                Ok(fresh)
            }
            // Nothing was tried.
            Err(ClientError::SignInRequired) => Err(ClientError::SignInRequired),
            Err(error) => {
                failures.add(self.http().local_now(), &error);
                Err(error)
            }
        }
    }

    async fn sign_in_again(&self) -> Result<Token, ClientError> {
        match &self.prover {
            Prover::Agent => self.plan.sign_in_agent(&*self.signer).await,
            Prover::Wallet { wallet, named } if wallet.signs_unattended() => {
                let (wallet, signer) = (&**wallet, &*self.signer);
                self.plan.sign_in_wallet(wallet, signer, *named).await
            }
            Prover::Wallet { .. } | Prover::Nobody => Err(ClientError::SignInRequired),
        }
    }

    /// The key that signs requests, and that the token is bound to.
    pub fn signer(&self) -> &Arc<dyn Signer> {
        &self.signer
    }

    /// The resource that the token was asked for.
    pub fn resource(&self) -> Option<&str> {
        self.plan.resource.as_deref()
    }

    pub(super) const fn http(&self) -> &Http {
        &self.plan.http
    }

    /// The issuer's origin, whose clock stands in for a server's that has not answered yet.
    pub(super) fn issuer_origin(&self) -> String {
        self.plan.issuer.address().origin()
    }

    /// The token as it is, fresh or not.
    pub fn current(&self) -> Arc<Token> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Token>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
