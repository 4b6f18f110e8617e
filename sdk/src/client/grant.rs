//! What is asked of the token endpoint, and how: a signed challenge, an assertion, a refresh token.
//!
//! Every grant goes with a DPoP proof by the key that signs requests. A refresh asks for no scope:
//! the session's own is what the person signed for, and what was asked for once may have been more.
//!
//! Specs: protocol.md §3, §4 and §6, RFC 7523, RFC 6749 §6, RFC 7009, RFC 9449 §5 and §8.

use std::sync::{Mutex, PoisonError};

use http::Method;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use super::address::{Address, Issuer};
use super::challenge::{self, ChallengeError};
use super::discovery::{self, Metadata};
use super::error::{ClientError, ServerRefusal};
use super::http::Http;
use super::token::{RefreshToken, Token, TokenAnswer};
use super::wallet::{ToSign, Wallet};
use crate::key::Signer;
use crate::proof::dpop::NewProof;
use crate::proof::jwt_assertion::NewAssertion;
use crate::proof::target_uri::TargetUri;
use crate::time::Timestamp;

const SIGNED_MESSAGE: &str = "urn:countersign:params:oauth:grant-type:signed-message";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const FORM: &str = "application/x-www-form-urlencoded";
/// Seconds for which an issuer's metadata is not fetched again.
const METADATA_AGE: u64 = 3600;
/// Seconds by which a newly learnt clock must differ for another proof to be worth making.
const CLOCK_NEWS: u64 = 2;

/// What a sign-in asks for, and where. A session keeps it so as to ask again.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) issuer: Issuer,
    pub(super) resource: Option<String>,
    pub(super) scope: Option<String>,
    /// The domain of messages, where it is not the issuer's host.
    pub(super) domain: Option<String>,
    /// What the device is called in the list of sessions.
    pub(super) label: Option<String>,
    /// Seconds that a wallet's signature is to open at most, where it opens a session.
    pub(super) session_expires_in: Option<u64>,
    pub(super) http: Http,
    pub(super) metadata: Mutex<Option<(Timestamp, Metadata)>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    session_expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct ChallengeAnswer {
    format: String,
    message: String,
    payload: Option<Value>,
    nonce: String,
}

impl Plan {
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
        let answer = self.challenge(&metadata, wallet, signer, named).await?;
        let to_sign = ToSign { message: &answer.message, payload: answer.payload.as_ref() };
        let signature = wallet.sign_challenge(&to_sign).await?;
        let mut form = vec![
            ("grant_type", SIGNED_MESSAGE),
            ("message", &answer.message),
            ("signature", &signature),
            ("format", wallet.format()),
        ];
        form.extend(wallet.public_key().map(|key| ("public_key", key)));
        form.extend(self.label.as_deref().map(|label| ("session_label", label)));
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let (answer, at) = self.redeem(&metadata.token_endpoint, &form, signer).await?;
        self.accept(answer, at, self.scope.as_deref())
    }

    /// A challenge that was checked, so that it may be shown to the wallet.
    async fn challenge(
        &self,
        metadata: &Metadata,
        wallet: &dyn Wallet,
        signer: &dyn Signer,
        named: bool,
    ) -> Result<ChallengeAnswer, ClientError> {
        let session_key = named.then(|| signer.public_key().thumbprint());
        let host = self.issuer.address().domain();
        let domain = self.domain.as_deref().unwrap_or(&host);
        let request = ChallengeRequest {
            account: wallet.account().to_string(),
            format: wallet.format(),
            domain,
            resource: self.resource.as_deref(),
            scope: self.scope.as_deref(),
            dpop_jkt: session_key.map(|jkt| jkt.to_string()),
            // Without a session key nothing outlives the challenge.
            session_expires_in: self.session_expires_in.filter(|_| named),
        };
        let endpoint = metadata.challenge_endpoint.as_ref();
        let endpoint = endpoint.ok_or_else(|| self.protocol("it offers no challenges"))?;
        let post = self.http.builder(Method::POST, endpoint);
        let answer: ChallengeAnswer = self.http.json(endpoint, post.json(&request)).await?;
        if answer.format != wallet.format() {
            return Err(ChallengeError::Shape("it is of another format").into());
        }
        let expected = challenge::Expected {
            domain,
            issuer: self.issuer.as_str(),
            account: wallet.account(),
            session_key,
            resource: self.resource.as_deref(),
            scope: self.scope.as_deref(),
            nonce: &answer.nonce,
            now: self.now(),
        };
        challenge::check(&answer.message, &expected)?;
        Ok(answer)
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
        let mut form = vec![("grant_type", JWT_BEARER), ("assertion", &assertion)];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let (answer, at) = self.redeem(&metadata.token_endpoint, &form, signer).await?;
        self.accept(answer, at, self.scope.as_deref())
    }

    /// The token after `last`, for its refresh token.
    pub(super) async fn refresh(
        &self,
        last: &Token,
        refresh_token: &RefreshToken,
        signer: &dyn Signer,
    ) -> Result<Token, ClientError> {
        let metadata = self.metadata().await?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
        let (answer, at) = self.redeem(&metadata.token_endpoint, &form, signer).await?;
        // RFC 6749 §6: without a scope it is that of the session.
        let mut fresh = self.accept(answer, at, Some(&last.scope))?;
        if fresh.sub.is_empty() {
            fresh.sub.clone_from(&last.sub);
        }
        // An issuer that does not rotate gives none.
        fresh.refresh_token = fresh.refresh_token.or_else(|| Some(refresh_token.clone()));
        fresh.session_id = fresh.session_id.or_else(|| last.session_id.clone());
        let (who, which) = (!last.sub.is_empty(), last.session_id.is_some());
        if (who && fresh.sub != last.sub) || (which && fresh.session_id != last.session_id) {
            return Err(self.protocol("it gave a token of another session"));
        }
        Ok(fresh)
    }

    /// Gives `token` up (RFC 7009): once this returns, it opens nothing.
    pub(super) async fn revoke(&self, token: &str, hint: &str) -> Result<(), ClientError> {
        let metadata = self.metadata().await?;
        let endpoint = metadata.revocation_endpoint.as_ref();
        let endpoint = endpoint.ok_or_else(|| self.protocol("it offers no revocation"))?;
        let body = form_body(&[("token", token), ("token_type_hint", hint)]);
        let request = self
            .http
            .builder(Method::POST, endpoint)
            .header(CONTENT_TYPE, FORM)
            .body(body.as_str().to_owned());
        self.http.document(endpoint, request).await.map(drop)
    }

    /// Posts a grant with a proof, and once more with a better one: a demand for a nonce is met so
    /// (RFC 9449 §8). With the answer comes the moment at which it was asked for.
    async fn redeem(
        &self,
        endpoint: &Address,
        grant: &[(&str, &str)],
        signer: &dyn Signer,
    ) -> Result<(TokenAnswer, Timestamp), ClientError> {
        let mut fields = grant.to_vec();
        fields.extend(self.resource.as_deref().map(|resource| ("resource", resource)));
        let body = form_body(&fields);
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
                .builder(Method::POST, endpoint)
                .header(CONTENT_TYPE, FORM)
                .header("DPoP", proof)
                .body(body.as_str().to_owned());
            match self.http.json(endpoint, request).await {
                Err(ClientError::Refused(refusal))
                    if !retried && self.is_for_its_proof(&refusal, now) =>
                {
                    retried = true;
                }
                answer => return Ok((answer?, now)),
            }
        }
    }

    /// Whether a grant was refused for a proof that a second one does better than: with the nonce,
    /// by the issuer's time, or because the network sent the first one twice. A refused proof has
    /// used nothing up.
    fn is_for_its_proof(&self, refusal: &ServerRefusal, made_at: Timestamp) -> bool {
        let now = self.now();
        let news = now.since(made_at).max(made_at.since(now)) > CLOCK_NEWS;
        match refusal.error.as_str() {
            "use_dpop_nonce" => true,
            "invalid_dpop_proof" => news || refusal.reason.as_deref() == Some("proof_replayed"),
            _ => false,
        }
    }

    fn accept(
        &self,
        answer: TokenAnswer,
        asked_at: Timestamp,
        scope: Option<&str>,
    ) -> Result<Token, ClientError> {
        let origin = self.issuer.address().origin();
        answer.accept(&origin, asked_at, scope, self.resource.as_deref())
    }

    pub(super) async fn metadata(&self) -> Result<Metadata, ClientError> {
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

    pub(super) fn protocol(&self, fault: &str) -> ClientError {
        ClientError::Protocol { server: self.issuer.as_str().to_owned(), fault: fault.to_owned() }
    }
}

fn form_body(fields: &[(&str, &str)]) -> Zeroizing<String> {
    let mut body = Serializer::new(String::new());
    body.extend_pairs(fields);
    Zeroizing::new(body.finish())
}
