//! How a session that was kept is taken up again: with the key that it was kept with, or not at all.

use std::sync::{Arc, Mutex};

use super::address::Issuer;
use super::error::ClientError;
use super::grant::Plan;
use super::http::Http;
use super::kept::{KeptKey, KeptSession};
use super::session::{Keeping, Prover, Session};
use super::sign_in::SignIn;
use super::store::{SessionName, SessionStore, StoreError};
use super::wallet::Wallet;
use crate::key::Signer;

impl SignIn {
    /// Reads the session that is kept in `store` under `name`.
    ///
    /// # Errors
    /// [`ClientError::Store`]; with [`StoreError::Absent`] when nothing is kept there.
    pub async fn resume_from(
        store: Arc<dyn SessionStore>,
        name: &str,
    ) -> Result<Resuming, ClientError> {
        let name = SessionName::new(name)?;
        let kept = store.load(&name).await?;
        let kept = kept.ok_or_else(|| StoreError::Absent(name.to_string()))?;
        Ok(Resuming { store, name, kept, http: None, wallet: None })
    }
}

/// A kept session that is about to be taken up. It is kept again at each renewal.
#[derive(Debug)]
pub struct Resuming {
    store: Arc<dyn SessionStore>,
    name: SessionName,
    kept: KeptSession,
    http: Option<Http>,
    wallet: Option<Arc<dyn Wallet>>,
}

impl Resuming {
    /// What was kept. Its key says whether [`Resuming::session`] or [`Resuming::with_key`] goes on.
    pub const fn kept(&self) -> &KeptSession {
        &self.kept
    }

    /// With an [`Http`] of the caller's, to share what it learnt or to bring a clock.
    #[must_use]
    pub fn http(mut self, http: Http) -> Self {
        self.http = Some(http);
        self
    }

    /// With the wallet that signed in, which is asked again once the session has ended, if it signs
    /// unattended.
    #[must_use]
    pub fn wallet(mut self, wallet: Arc<dyn Wallet>) -> Self {
        self.wallet = Some(wallet);
        self
    }

    /// Goes on with the session key that was kept.
    ///
    /// # Errors
    /// [`ClientError::Request`] when the key is kept elsewhere; [`ClientError::Key`] when it is none.
    pub fn session(self) -> Result<Session, ClientError> {
        match &self.kept.key {
            KeptKey::Session(pem) => {
                let key = Arc::new(pem.signer()?);
                self.with_key(key)
            }
            KeptKey::Agent(_) | KeptKey::Elsewhere(_) => {
                Err(ClientError::Request("the key of this session is kept elsewhere; bring it"))
            }
        }
    }

    /// Goes on with a key that the caller kept.
    ///
    /// # Errors
    /// [`ClientError::Request`] when it is not the key that the session was kept with.
    pub fn with_key(self, key: Arc<dyn Signer>) -> Result<Session, ClientError> {
        if !self.kept.is_signed_by(key.public_key()) {
            return Err(ClientError::Request("the session was kept with another key"));
        }
        let plan = self.plan()?;
        let Self { store, name, kept, wallet, .. } = self;
        let prover = match (&kept.key, wallet) {
            (KeptKey::Agent(_), _) => Prover::Agent,
            (KeptKey::Session(_) | KeptKey::Elsewhere(_), None) => Prover::Nobody,
            (KeptKey::Session(_) | KeptKey::Elsewhere(_), Some(wallet)) => {
                let own = key.public_key().to_did_key();
                let named = own.as_deref() != Some(&*wallet.account().to_string());
                Prover::Wallet { wallet, named }
            }
        };
        let jkt = key.public_key().thumbprint().to_string();
        let keeping = Keeping { store, name, key: kept.key, jkt };
        Ok(Session::with(plan, key, prover, kept.token, Some(keeping)))
    }

    /// Gives up the tokens at the issuer and removes what is kept; it takes no key.
    ///
    /// # Errors
    /// [`ClientError`], and nothing is removed, when the issuer did not confirm it.
    pub async fn log_out(self) -> Result<(), ClientError> {
        let plan = self.plan()?;
        let _held = self.store.lock(&self.name).await?;
        // Another program may have renewed or removed it since.
        let Some(kept) = self.store.load(&self.name).await? else { return Ok(()) };
        plan.give_up(&kept.token).await?;
        Ok(self.store.remove(&self.name).await?)
    }

    fn plan(&self) -> Result<Plan, ClientError> {
        let (kept, token) = (&self.kept, &self.kept.token);
        Ok(Plan {
            issuer: Issuer::parse(&kept.issuer)?,
            resource: token.resource.clone(),
            scope: Some(token.scope.clone()).filter(|scope| !scope.is_empty()),
            domain: kept.domain.clone(),
            label: kept.label.clone(),
            session_expires_in: None,
            http: self.http.clone().map_or_else(Http::new, Ok)?,
            metadata: Mutex::default(),
        })
    }
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
