//! When a token is renewed, and by whom: an agent proves itself again, a person is asked first.
//!
//! A fresh token is handed out under a short lock. A stale one is renewed under a second lock that
//! is held across the exchange, on purpose: of many callers one renews, the others wait for its
//! token, and none of them blocks a caller for whom the token is still good.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::ClientError;
use super::http::Http;
use super::sign_in::Plan;
use super::token::Token;
use super::wallet::Wallet;
use crate::key::Signer;

/// A signed-in key: its token, renewed when it must be, and the key that signs requests.
#[derive(Debug)]
pub struct Session {
    plan: Plan,
    signer: Arc<dyn Signer>,
    prover: Prover,
    current: Mutex<Arc<Token>>,
    renewal: tokio::sync::Mutex<()>,
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
        match self.replace(&token).await {
            // A token that nobody can renew is used up to its last second.
            Err(ClientError::SignInRequired) if token.expires_at > self.plan.now() => Ok(token),
            result => result,
        }
    }

    /// A token in place of `stale`, which a server refused or which is about to end. Whoever comes
    /// second gets the one that the first has just fetched.
    ///
    /// # Errors
    /// [`ClientError::SignInRequired`] when a person has to sign first.
    pub async fn replace(&self, stale: &Arc<Token>) -> Result<Arc<Token>, ClientError> {
        let _one_at_a_time = self.renewal.lock().await;
        let current = self.current();
        if !Arc::ptr_eq(&current, stale) {
            return Ok(current);
        }
        let fresh = match &self.prover {
            Prover::Agent => self.plan.sign_in_agent(&*self.signer).await?,
            Prover::Wallet { wallet, named } if wallet.signs_unattended() => {
                let (wallet, signer) = (&**wallet, &*self.signer);
                self.plan.sign_in_wallet(wallet, signer, *named).await?
            }
            Prover::Wallet { .. } | Prover::Nobody => return Err(ClientError::SignInRequired),
        };
        let fresh = Arc::new(fresh);
        *self.lock() = Arc::clone(&fresh);
        Ok(fresh)
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
