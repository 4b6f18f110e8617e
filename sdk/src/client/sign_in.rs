//! The two ways to a token: a wallet signs the issuer's challenge, or an agent asserts itself.
//!
//! Both end at the token endpoint with a DPoP proof by the key that will sign every request. That
//! is a session key for a wallet, made here unless one is given, because no person approves each
//! call; and it is the proven key itself for an agent.
//!
//! Specs: protocol.md §3 and §4, RFC 7523, RFC 9449 §5 and §8.

use std::sync::{Arc, Mutex, PoisonError};

use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::address::{Address, Issuer};
use super::challenge::{self, ChallengeError};
use super::discovery::{self, Metadata};
use super::error::ClientError;
use super::http::Http;
use super::session::Session;
use super::token::{Token, TokenAnswer};
use super::wallet::{ToSign, Wallet};
use crate::key::{Curve, InMemorySigner, Signer};
use crate::proof::dpop::NewProof;
use crate::proof::jwt_assertion::NewAssertion;
use crate::proof::target_uri::TargetUri;
use crate::time::Timestamp;

const SIGNED_MESSAGE: &str = "urn:countersign:params:oauth:grant-type:signed-message";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Seconds for which an issuer's metadata is not fetched again.
const METADATA_AGE: u64 = 3600;

/// A sign-in to be made: where, and for what.
#[derive(Debug)]
pub struct SignIn {
    issuer: String,
    resource: Option<String>,
    scope: Option<String>,
    domain: Option<String>,
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
    /// [`ClientError`]; `Challenge` when the issuer's text was not what we asked for.
    pub async fn wallet(self, wallet: Arc<dyn Wallet>) -> Result<Session, ClientError> {
        let http = self.ready_http()?;
        let (signer, named): (Arc<dyn Signer>, bool) = match &self.request_key {
            RequestKey::Made => {
                let key = InMemorySigner::generate(Curve::Ed25519, http.entropy())?;
                (Arc::new(key), true)
            }
            RequestKey::Session(key) => (Arc::clone(key), true),
            RequestKey::Proven(key) => (Arc::clone(key), false),
        };
        let plan = Plan::new(self, http)?;
        Session::of_wallet(plan, wallet, signer, named).await
    }

    /// Signs in as an agent: its own key asserts itself in one round trip (RFC 7523), and signs
    /// every request. A session renews itself in the same way.
    ///
    /// # Errors
    /// [`ClientError`]; `Unprovable` for a P-256 key, which names no account.
    pub async fn agent(self, key: Arc<dyn Signer>) -> Result<Session, ClientError> {
        let http = self.ready_http()?;
        Session::of_agent(Plan::new(self, http)?, key).await
    }

    /// Takes up a wallet's session whose token and key were kept. Without the wallet it ends with
    /// that token.
    ///
    /// # Errors
    /// [`ClientError::Address`] when the issuer is none.
    pub fn resume(self, token: Token, signer: Arc<dyn Signer>) -> Result<Session, ClientError> {
        let http = self.ready_http()?;
        Ok(Session::of_kept(Plan::new(self, http)?, token, signer))
    }

    /// Takes up an agent's session whose token was kept; it renews itself as before.
    ///
    /// # Errors
    /// [`ClientError::Address`] when the issuer is none.
    pub fn resume_agent(self, token: Token, key: Arc<dyn Signer>) -> Result<Session, ClientError> {
        let http = self.ready_http()?;
        Ok(Session::of_kept_agent(Plan::new(self, http)?, token, key))
    }

    fn ready_http(&self) -> Result<Http, ClientError> {
        self.http.clone().map_or_else(Http::new, Ok)
    }
}

/// A checked [`SignIn`], which a session keeps so as to prove again.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) issuer: Issuer,
    pub(super) resource: Option<String>,
    scope: Option<String>,
    domain: String,
    pub(super) http: Http,
    metadata: Mutex<Option<(Timestamp, Metadata)>>,
}

#[derive(Serialize)]
struct ChallengeRequest<'a> {
    account: String,
    format: &'a str,
    domain: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_jkt: Option<String>,
}

#[derive(Deserialize)]
struct ChallengeAnswer {
    format: String,
    message: String,
    payload: Option<Value>,
    nonce: String,
}

impl Plan {
    fn new(sign_in: SignIn, http: Http) -> Result<Self, ClientError> {
        let issuer = Issuer::parse(&sign_in.issuer)?;
        Ok(Self {
            domain: sign_in.domain.unwrap_or_else(|| issuer.address().domain()),
            resource: sign_in.resource,
            scope: sign_in.scope.filter(|scope| !scope.is_empty()),
            issuer,
            http,
            metadata: Mutex::default(),
        })
    }

    /// Now, by the issuer's clock as far as it is known.
    pub(super) fn now(&self) -> Timestamp {
        let origin = self.issuer.address().origin();
        self.http.now_at(&origin, &origin)
    }

    /// A token by a wallet's signature, for requests signed by `signer`; `named` when that is a
    /// session key, which the message then names.
    pub(super) async fn sign_in_wallet(
        &self,
        wallet: &dyn Wallet,
        signer: &dyn Signer,
        named: bool,
    ) -> Result<Token, ClientError> {
        let metadata = self.metadata().await?;
        let session_key = named.then(|| signer.public_key().thumbprint());
        let request = ChallengeRequest {
            account: wallet.account().to_string(),
            format: wallet.format(),
            domain: &self.domain,
            resource: self.resource.as_deref(),
            scope: self.scope.as_deref(),
            dpop_jkt: session_key.map(|jkt| jkt.to_string()),
        };
        let endpoint = metadata.challenge_endpoint.as_ref();
        let endpoint = endpoint.ok_or_else(|| self.protocol("it offers no challenges"))?;
        let post = self.http.builder(http::Method::POST, endpoint);
        let answer: ChallengeAnswer = self.http.json(endpoint, post.json(&request)).await?;
        if answer.format != wallet.format() {
            return Err(ChallengeError::Shape("it is of another format").into());
        }
        let expected = challenge::Expected {
            domain: &self.domain,
            issuer: self.issuer.as_str(),
            account: wallet.account(),
            session_key,
            resource: self.resource.as_deref(),
            scope: self.scope.as_deref(),
            nonce: &answer.nonce,
            now: self.now(),
        };
        challenge::check(&answer.message, &expected)?;
        let to_sign = ToSign { message: &answer.message, payload: answer.payload.as_ref() };
        let signature = wallet.sign_challenge(&to_sign).await?;
        let mut form = vec![
            ("grant_type", SIGNED_MESSAGE),
            ("message", &answer.message),
            ("signature", &signature),
            ("format", wallet.format()),
        ];
        form.extend(wallet.public_key().map(|key| ("public_key", key)));
        self.redeem(&metadata.token_endpoint, &form, signer).await
    }

    /// A token by an agent's own assertion.
    pub(super) async fn sign_in_agent(&self, signer: &dyn Signer) -> Result<Token, ClientError> {
        let metadata = self.metadata().await?;
        let new = NewAssertion {
            issuer: self.issuer.as_str(),
            scope: self.scope.as_deref(),
            resource: self.resource.as_deref(),
            now: self.now(),
        };
        let assertion = new.sign(signer, self.http.entropy()).await?;
        let form = [("grant_type", JWT_BEARER), ("assertion", &assertion)];
        self.redeem(&metadata.token_endpoint, &form, signer).await
    }

    /// Posts a grant with a proof; a demand for a nonce (RFC 9449 §8) is met once.
    async fn redeem(
        &self,
        endpoint: &Address,
        form: &[(&str, &str)],
        signer: &dyn Signer,
    ) -> Result<Token, ClientError> {
        let body = self.form_body(form);
        let target = TargetUri::parse(endpoint.as_str())
            .map_err(|_| self.protocol("its token endpoint is no target"))?;
        let origin = endpoint.origin();
        let mut retried = false;
        loop {
            let (nonce, now) = (self.http.nonce_of(&origin), self.now());
            let proof = NewProof {
                method: "POST",
                target_uri: &target,
                access_token: None,
                nonce: nonce.as_deref(),
                now,
            };
            let proof = proof.sign(signer, self.http.entropy()).await?;
            let request = self
                .http
                .builder(http::Method::POST, endpoint)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header("DPoP", proof)
                .body(body.clone());
            match self.http.json::<TokenAnswer>(endpoint, request).await {
                Err(ClientError::Refused(refusal))
                    if refusal.error == "use_dpop_nonce" && !retried =>
                {
                    retried = true;
                }
                Err(error) => return Err(error),
                Ok(answer) => {
                    let (scope, resource) = (self.scope.as_deref(), self.resource.as_deref());
                    return answer.accept(&origin, now, scope, resource);
                }
            }
        }
    }

    /// The grant with what is asked for beside it, which may narrow and never widen it.
    fn form_body(&self, grant: &[(&str, &str)]) -> String {
        let mut fields = Serializer::new(String::new());
        fields.extend_pairs(grant);
        fields.extend_pairs(self.resource.iter().map(|resource| ("resource", resource)));
        fields.extend_pairs(self.scope.iter().map(|scope| ("scope", scope)));
        fields.finish()
    }

    async fn metadata(&self) -> Result<Metadata, ClientError> {
        let now = self.now();
        let lock = || self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((fetched_at, metadata)) = &*lock()
            && now.since(*fetched_at) < METADATA_AGE
        {
            return Ok(metadata.clone());
        }
        let metadata = discovery::discover(&self.http, &self.issuer).await?;
        *lock() = Some((self.now(), metadata.clone()));
        Ok(metadata)
    }

    fn protocol(&self, fault: &str) -> ClientError {
        ClientError::Protocol { server: self.issuer.as_str().to_owned(), fault: fault.to_owned() }
    }
}

#[cfg(test)]
#[path = "sign_in_tests.rs"]
mod tests;
