//! An issuer, an agent and a protected resource on a manual clock, for the tests of this module.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{AccessError, Caller, FixedKeys, RequestHead, ResourceConfig, ResourceServer};
use crate::entropy::OsEntropy;
use crate::key::{Curve, InMemorySigner, Signer as _};
use crate::proof::dpop::NewProof;
use crate::proof::jws;
use crate::proof::target_uri::TargetUri;
use crate::time::{Clock as _, ManualClock, Timestamp};

pub(super) const ISSUER: &str = "https://auth.example";
pub(super) const RESOURCE: &str = "https://api.example";
pub(super) const NOW: Timestamp = Timestamp::from_unix(1_000_000);
/// When servers are built: long enough before that they no longer ask for nonces.
pub(super) const BUILT: Timestamp = NOW.minus(66);

pub(super) struct Fixture {
    pub(super) issuer: InMemorySigner,
    pub(super) agent: InMemorySigner,
    pub(super) clock: Arc<ManualClock>,
    pub(super) server: ResourceServer,
}

pub(super) fn signer(curve: Curve) -> InMemorySigner {
    InMemorySigner::generate(curve, &OsEntropy).unwrap()
}

/// A JWK set of one key with the name `a`.
pub(super) fn key_set(signer: &InMemorySigner, kid: &str) -> Vec<u8> {
    let mut jwk = serde_json::to_value(signer.public_key().to_jwk()).unwrap();
    jwk["kid"] = json!(kid);
    json!({ "keys": [jwk] }).to_string().into_bytes()
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(|config| config)
    }

    pub(super) fn with(configure: impl FnOnce(ResourceConfig) -> ResourceConfig) -> Self {
        let issuer = signer(Curve::Ed25519);
        let clock = Arc::new(ManualClock::new(BUILT));
        let config = ResourceConfig::new(ISSUER, RESOURCE)
            .key_source(Arc::new(FixedKeys::new(key_set(&issuer, "a"))))
            .without_revocations()
            .clock(Arc::clone(&clock) as Arc<dyn crate::time::Clock>);
        let server = configure(config).build().unwrap();
        clock.set(NOW);
        Self { server, agent: signer(Curve::Ed25519), issuer, clock }
    }

    /// A good token bound to the agent's key, but for what is changed.
    pub(super) fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = self.clock.now().as_unix();
        let mut claims = json!({
            "iss": ISSUER, "aud": RESOURCE, "sub": "did:key:z6Mk", "jti": "1", "iat": now,
            "exp": now + 300, "scope": "read escrow:read",
            "cnf": { "jkt": self.agent.public_key().thumbprint() },
        });
        change(&mut claims);
        let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "a" });
        let input = jws::signing_input(&header, &claims).unwrap();
        let signature = self.issuer.sign_now(input.as_bytes()).unwrap();
        jws::close(input, &signature)
    }

    pub(super) async fn proof(&self, method: &str, path: &str, token: &str) -> String {
        self.proof_with(&self.agent, method, path, token, None).await
    }

    pub(super) async fn proof_with(
        &self,
        signer: &InMemorySigner,
        method: &str,
        path: &str,
        token: &str,
        nonce: Option<&str>,
    ) -> String {
        let proof = NewProof {
            method,
            target_uri: &TargetUri::parse(&format!("{RESOURCE}{path}")).unwrap(),
            access_token: Some(token),
            nonce,
            now: self.clock.now(),
        };
        proof.sign(signer, &OsEntropy).await.unwrap()
    }

    /// Sends `GET /a?b` with these header fields to the checks.
    pub(super) async fn ask(&self, fields: &[(&str, &str)]) -> Result<Caller, AccessError> {
        let headers = headers(fields);
        let request = RequestHead { method: "GET", path_and_query: "/a?b", headers: &headers };
        self.server.authenticate(&request).await
    }

    /// Sends `GET /a?b` with a token and a good proof for it.
    pub(super) async fn ask_with(&self, token: &str) -> Result<Caller, AccessError> {
        let proof = self.proof("GET", "/a", token).await;
        let authorization = format!("DPoP {token}");
        self.ask(&[("authorization", &authorization), ("dpop", &proof)]).await
    }
}

pub(super) fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    map
}
