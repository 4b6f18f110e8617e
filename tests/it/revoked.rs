//! What is revoked at this server is refused at an API behind the SDK's layer, and when the server is gone.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use countersign_sdk::key::{Curve, InMemorySigner};
use countersign_sdk::proof::dpop::AccessTokenHash;
use countersign_sdk::resource::{ResourceConfig, ResourceServer, Scoped};
use serde_json::json;

use crate::support::{Answer, JWT_BEARER, RESOURCE, Server, did, dpop, jws, key, rand_bytes};

countersign_sdk::required_scope! {
    Read = "read";
    Pay = "pay"
}

/// An API for tokens of `server`, on its clock, with one open scope and one that is not.
struct Api {
    origin: String,
    checks: ResourceServer,
    http: reqwest::Client,
}

impl Api {
    async fn start(server: &Server) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let checks = ResourceConfig::new(&server.issuer, RESOURCE)
            .public_url(&origin)
            .clock(Arc::clone(&server.clock) as Arc<_>)
            .open_when_stale(["read"])
            .build()
            .unwrap();
        let routes = Router::new()
            .route("/read", post(|_: Scoped<Read>| async { "in" }))
            .route("/pay", post(|_: Scoped<Pay>| async { "in" }))
            .with_state(checks.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { origin, checks, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    async fn call(&self, server: &Server, agent: &InMemorySigner, token: &str, path: &str) -> u16 {
        let url = format!("{}{path}", self.origin);
        let ath = AccessTokenHash::of(token).to_string();
        let proof = dpop(agent, &url, server.now(), json!({ "ath": ath }));
        let request = self.http.post(&url).header("Authorization", format!("DPoP {token}"));
        request.header("DPoP", proof).send().await.unwrap().status().as_u16()
    }

    /// Calls until the answer is `status`.
    async fn until(&self, status: u16, server: &Server, agent: &InMemorySigner, token: &str) {
        let called = async { while self.call(server, agent, token, "/pay").await != status {} };
        tokio::time::timeout(Duration::from_secs(20), called).await.unwrap();
    }
}

async fn sign_in(server: &Server, agent: &InMemorySigner) -> String {
    let payload = json!({
        "iss": did(agent), "sub": did(agent), "aud": server.issuer, "iat": server.now(),
        "exp": server.now() + 60, "jti": format!("{:?}", rand_bytes()), "scope": "pay read",
        "resource": RESOURCE,
    });
    let assertion = jws(agent, &json!({ "alg": "EdDSA" }), &payload);
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    let answer = server.token(&form, Some(&server.proof(agent))).await;
    answer.text("access_token").to_owned()
}

/// `POST /revoke`; a proof goes with what is of more than one token.
async fn revoke(server: &Server, agent: &InMemorySigner, token: &str, everything_of: Option<&str>) {
    let mut form = vec![("token", token)];
    let mut request = server.http.post(server.at("/revoke"));
    if let Some(everything_of) = everything_of {
        form.push(("everything_of", everything_of));
        let ath = AccessTokenHash::of(token).to_string();
        let url = format!("{}/revoke", server.issuer);
        request = request.header("DPoP", dpop(agent, &url, server.now(), json!({ "ath": ath })));
    }
    let answer = Answer::read(request.form(&form).send().await.unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn tokens_keys_and_subjects_are_refused_and_others_are_not() {
    for everything_of in [None, Some("key"), Some("subject")] {
        let server = Server::development().await;
        let api = Api::start(&server).await;
        let (agent, stranger) = (key(Curve::Ed25519), key(Curve::Ed25519));
        let (token, sibling) = (sign_in(&server, &agent).await, sign_in(&server, &agent).await);
        let other = sign_in(&server, &stranger).await;
        for token in [&token, &sibling] {
            assert_eq!(api.call(&server, &agent, token, "/pay").await, 200);
        }
        revoke(&server, &agent, &token, everything_of).await;
        api.until(401, &server, &agent, &token).await;
        let expected = if everything_of.is_some() { 401 } else { 200 };
        assert_eq!(api.call(&server, &agent, &sibling, "/pay").await, expected);
        assert_eq!(api.call(&server, &stranger, &other, "/pay").await, 200);
        // Who signs in afterwards is in again.
        server.clock.advance(1);
        let later = sign_in(&server, &agent).await;
        assert_eq!(api.call(&server, &agent, &later, "/pay").await, 200);
        assert_eq!(api.checks.revocation_status().entries, 1);
    }
}

#[tokio::test]
async fn an_api_that_starts_later_knows_what_was_revoked_before() {
    let (server, agent) = (Server::development().await, key(Curve::Ed25519));
    let (token, sibling) = (sign_in(&server, &agent).await, sign_in(&server, &agent).await);
    revoke(&server, &agent, &token, None).await;
    let api = Api::start(&server).await;
    assert_eq!(api.call(&server, &agent, &token, "/read").await, 401);
    assert_eq!(api.call(&server, &agent, &sibling, "/read").await, 200);
}

#[tokio::test]
async fn when_the_issuer_is_gone_it_closes_at_the_bound_but_for_open_scopes() {
    let server = Server::development().await;
    let api = Api::start(&server).await;
    let agent = key(Curve::Ed25519);
    let (token, live) = (sign_in(&server, &agent).await, sign_in(&server, &agent).await);
    assert_eq!(api.call(&server, &agent, &live, "/pay").await, 200);
    revoke(&server, &agent, &token, None).await;
    api.until(401, &server, &agent, &token).await;
    server.tell_to_stop();
    let gone = async {
        while api.checks.revocation_status().last_failure.is_none() {
            api.call(&server, &agent, &live, "/read").await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    server.clock.advance(30);
    assert_eq!(api.call(&server, &agent, &live, "/pay").await, 200);
    server.clock.advance(1);
    assert_eq!(api.call(&server, &agent, &live, "/pay").await, 503);
    assert_eq!(api.call(&server, &agent, &live, "/read").await, 200);
    assert_eq!(api.call(&server, &agent, &token, "/read").await, 401, "it is known all the same");
}
