//! The two ways to a token: a wallet signs the issuer's challenge, or an agent asserts itself.
//!
//! Both end at the token endpoint with a DPoP proof by the key that will sign every request. That
//! is a session key for a wallet, made here unless one is given, because no person approves each
//! call; and it is the proven key itself for an agent.
//!
//! Specs: protocol.md §3 and §4, RFC 7523, RFC 9449 §5 and §8.

use std::sync::{Arc, Mutex};

use super::address::Issuer;
use super::error::ClientError;
use super::grant::Plan;
use super::http::Http;
use super::kept::{KeptKey, KeyPem};
use super::session::{Keeping, Prover, Session};
use super::store::{SessionName, SessionStore};
use super::token::Token;
use super::wallet::Wallet;
use crate::key::{Curve, InMemorySigner, Signer};

/// The longest label of a device, in characters.
const MAX_LABEL: usize = 64;

/// A sign-in to be made: where, and for what.
#[derive(Debug)]
pub struct SignIn {
    issuer: String,
    resource: Option<String>,
    scope: Option<String>,
    domain: Option<String>,
    label: Option<String>,
    session_expires_in: Option<u64>,
    keep: Option<(Arc<dyn SessionStore>, String)>,
    key_reference: String,
    request_key: RequestKey,
    http: Option<Http>,
}

/// The key that is to sign requests after a wallet signed in.
#[derive(Debug)]
enum RequestKey {
    /// A new Ed25519 key, gone with the session.
    Made,
    /// A key that the caller keeps.
    Session(Arc<dyn Signer>),
    /// The proven key itself; no session key is named to the issuer.
    Proven(Arc<dyn Signer>),
}

impl SignIn {
    /// A sign-in at `issuer`, such as `https://auth.example`.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            resource: None,
            scope: None,
            domain: None,
            label: None,
            session_expires_in: None,
            keep: None,
            key_reference: String::new(),
            request_key: RequestKey::Made,
            http: None,
        }
    }

    /// The API that the token is for (RFC 8707). Issuers with a single one assume it.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// The scopes wanted, with spaces between; without, the resource's defaults.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// The domain that the message names to the person, where it is not the issuer's own host: the
    /// wallet app's. A challenge with another one is never signed.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// What the device is called in the list of sessions: 1 to 64 characters, no controls.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Has a wallet's signature open no more than so many seconds; an issuer that gives longer tokens
    /// than that opens no session. Without this the issuer's own session lifetime counts.
    #[must_use]
    pub const fn session_expires_in(mut self, seconds: u64) -> Self {
        self.session_expires_in = Some(seconds);
        self
    }

    /// Keeps the session in `store` under `name`, in place of an earlier one: now, and at every
    /// renewal before the new token is handed out. [`SignIn::resume_from`] takes it up again.
    #[must_use]
    pub fn keep_in(mut self, store: Arc<dyn SessionStore>, name: impl Into<String>) -> Self {
        self.keep = Some((store, name.into()));
        self
    }

    /// Where the caller keeps the key that signs requests, such as a path: this is kept in its
    /// place. A session key that is made here is kept itself.
    #[must_use]
    pub fn key_reference(mut self, reference: impl Into<String>) -> Self {
        self.key_reference = reference.into();
        self
    }

    /// Requests are signed by `key`, which a wallet's message then names.
    #[must_use]
    pub fn session_key(mut self, key: Arc<dyn Signer>) -> Self {
        self.request_key = RequestKey::Session(key);
        self
    }

    /// Requests are signed by `key`, which must be the very key that the wallet proves.
    #[must_use]
    pub fn proven_key(mut self, key: Arc<dyn Signer>) -> Self {
        self.request_key = RequestKey::Proven(key);
        self
    }

    /// With an [`Http`] of the caller's, to share what it learnt or to bring a clock.
    #[must_use]
    pub fn http(mut self, http: Http) -> Self {
        self.http = Some(http);
        self
    }

    /// Signs in with a wallet: its challenge is fetched, checked, signed and redeemed.
    ///
    /// # Errors
    /// [`ClientError`]; `Challenge` when the issuer's text was not what we asked for, `Store` when
    /// the session could not be kept.
    pub async fn wallet(self, wallet: Arc<dyn Wallet>) -> Result<Session, ClientError> {
        let http = self.ready_http()?;
        let elsewhere = || KeptKey::Elsewhere(self.key_reference.clone());
        let (signer, named, kept): (Arc<dyn Signer>, bool, KeptKey) = match &self.request_key {
            RequestKey::Made => {
                let key = InMemorySigner::generate(Curve::Ed25519, http.entropy())?;
                let pem = KeyPem::of(&key)?;
                (Arc::new(key), true, KeptKey::Session(pem))
            }
            RequestKey::Session(key) => (Arc::clone(key), true, elsewhere()),
            RequestKey::Proven(key) => (Arc::clone(key), false, elsewhere()),
        };
        let keeping = self.keeping(kept, &*signer)?;
        Session::begin(self.plan(http)?, signer, Prover::Wallet { wallet, named }, keeping).await
    }

    /// Signs in as an agent: its own key asserts itself in one round trip (RFC 7523), and signs
    /// every request. A session renews itself in the same way.
    ///
    /// # Errors
    /// [`ClientError`]; `Unprovable` for a P-256 key, which names no account.
    pub async fn agent(self, key: Arc<dyn Signer>) -> Result<Session, ClientError> {
        let http = self.ready_http()?;
        let keeping = self.keeping(KeptKey::Agent(self.key_reference.clone()), &*key)?;
        Session::begin(self.plan(http)?, key, Prover::Agent, keeping).await
    }

    /// Takes up a wallet's session whose token and key the caller kept. Without a refresh token it
    /// ends with the access token. It is not kept again; [`SignIn::resume_from`] does that.
    ///
    /// # Errors
    /// [`ClientError::Address`] when the issuer is none.
    pub fn resume(self, token: Token, signer: Arc<dyn Signer>) -> Result<Session, ClientError> {
        let http = self.ready_http()?;
        Ok(Session::with(self.plan(http)?, signer, Prover::Nobody, token, None))
    }

    /// Takes up an agent's session whose token the caller kept; it renews itself as before.
    ///
    /// # Errors
    /// [`ClientError::Address`] when the issuer is none.
    pub fn resume_agent(self, token: Token, key: Arc<dyn Signer>) -> Result<Session, ClientError> {
        let http = self.ready_http()?;
        Ok(Session::with(self.plan(http)?, key, Prover::Agent, token, None))
    }

    fn ready_http(&self) -> Result<Http, ClientError> {
        self.http.clone().map_or_else(Http::new, Ok)
    }

    fn keeping(&self, key: KeptKey, signer: &dyn Signer) -> Result<Option<Keeping>, ClientError> {
        let Some((store, name)) = &self.keep else { return Ok(None) };
        Ok(Some(Keeping {
            store: Arc::clone(store),
            name: SessionName::new(name)?,
            key,
            jkt: signer.public_key().thumbprint().to_string(),
        }))
    }

    fn plan(self, http: Http) -> Result<Plan, ClientError> {
        let fits = |label: &str| {
            (1..=MAX_LABEL).contains(&label.chars().count()) && !label.contains(char::is_control)
        };
        if self.label.as_deref().is_some_and(|label| !fits(label)) {
            return Err(ClientError::Request("a label is 1 to 64 characters without controls"));
        }
        Ok(Plan {
            issuer: Issuer::parse(&self.issuer)?,
            resource: self.resource,
            scope: self.scope.filter(|scope| !scope.is_empty()),
            domain: self.domain,
            label: self.label,
            session_expires_in: self.session_expires_in,
            http,
            metadata: Mutex::default(),
        })
    }
}

#[cfg(test)]
#[path = "sign_in_tests.rs"]
mod tests;
