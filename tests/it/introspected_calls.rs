//! An API behind the SDK's extractors that asks this server at every call, and one that starts late.

use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
use countersign_sdk::proof::dpop::AccessTokenHash;
use countersign_sdk::resource::{Introspected, ResourceConfig, ResourceServer, Scoped};
use serde_json::{Value, json};

use crate::support::{Answer, JWT_BEARER, RESOURCE, Server, did, dpop, jws, key, rand_bytes};

countersign_sdk::required_scope!(Pay = "pay");

/// An API for tokens of `server`, on its clock.
struct Api {
    origin: String,
    checks: ResourceServer,
    http: reqwest::Client,
}

impl Api {
    async fn start(
        server: &Server,
        configure: impl FnOnce(ResourceConfig) -> ResourceConfig,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let config = ResourceConfig::new(&server.issuer, RESOURCE)
            .public_url(&origin)
            .clock(Arc::clone(&server.clock) as Arc<_>);
        let checks = configure(config).build().unwrap();
        let routes = Router::new()
            .route("/pay", post(|_: Scoped<Pay>| async { r#"{"reason":"in"}"# }))
            .route("/asked", post(|_: Introspected<Pay>| async { r#"{"reason":"in"}"# }))
            .with_state(checks.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { origin, checks, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// The status and the reason of the answer to a call with a good proof.
    async fn call(
        &self,
        now: u64,
        agent: &InMemorySigner,
        token: &str,
        path: &str,
    ) -> (u16, String) {
        let url = format!("{}{path}", self.origin);
        let ath = AccessTokenHash::of(token).to_string();
        let proof = dpop(agent, &url, now, json!({ "ath": ath }));
        let request = self.http.post(&url).header("Authorization", format!("DPoP {token}"));
        let answer = request.header("DPoP", proof).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        (status, body["reason"].as_str().unwrap().to_owned())
    }
}

async fn sign_in(server: &Server, agent: &InMemorySigner) -> String {
    let payload = json!({
        "iss": did(agent), "sub": did(agent), "aud": server.issuer, "iat": server.now(),
        "exp": server.now() + 60, "jti": format!("{:?}", rand_bytes()), "scope": "pay",
        "resource": RESOURCE,
    });
    let assertion = jws(agent, &json!({ "alg": agent.algorithm().name() }), &payload);
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    let answer = server.token(&form, Some(&server.proof(agent))).await;
    answer.text("access_token").to_owned()
}

async fn revoke(server: &Server, token: &str) {
    let sent = server.http.post(server.at("/revoke")).form(&[("token", token)]).send().await;
    let answer = Answer::read(sent.unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_route_that_asks_knows_at_once_and_is_closed_without_the_issuer() {
    for curve in [Curve::Ed25519, Curve::Secp256k1] {
        let server = Server::development().await;
        let (agent, own) = (key(Curve::Ed25519), Arc::new(key(curve)));
        // Without the feed, so that only the answer to the question can tell.
        let api =
            Api::start(&server, |config| config.without_revocations().introspect_as(own)).await;
        let (token, other) = (sign_in(&server, &agent).await, sign_in(&server, &agent).await);
        for token in [&token, &other] {
            assert_eq!(
                api.call(server.now(), &agent, token, "/asked").await,
                (200, "in".to_owned())
            );
        }
        revoke(&server, &token).await;
        let refused = api.call(server.now(), &agent, &token, "/asked").await;
        assert_eq!(refused, (401, "token_revoked".to_owned()));
        assert_eq!(api.call(server.now(), &agent, &token, "/pay").await.0, 200, "nobody asked");
        assert_eq!(api.call(server.now(), &agent, &other, "/asked").await.0, 200);
        let now = server.now();
        server.shut_down().await;
        let closed = api.call(now, &agent, &other, "/asked").await;
        assert_eq!(closed, (503, "issuer_unavailable".to_owned()));
    }
}

#[tokio::test]
async fn an_api_that_starts_later_knows_what_was_revoked_before() {
    let (server, agent) = (Server::development().await, key(Curve::Ed25519));
    let (token, sibling) = (sign_in(&server, &agent).await, sign_in(&server, &agent).await);
    revoke(&server, &token).await;
    let api = Api::start(&server, |config| config).await;
    let refused = api.call(server.now(), &agent, &token, "/pay").await;
    assert_eq!(refused, (401, "token_revoked".to_owned()));
    assert_eq!(api.call(server.now(), &agent, &sibling, "/pay").await.0, 200);
    let status = api.checks.revocation_status();
    assert_eq!((status.entries, status.age, status.stale), (1, Some(0), false));
}

/// Connections of a runtime that has ended are gone, and a server is used in the next one all the same.
#[test]
fn a_runtime_that_ended_leaves_nothing_behind() {
    let of_issuer = tokio::runtime::Runtime::new().unwrap();
    let server = of_issuer.block_on(Server::development());
    let config = ResourceConfig::new(&server.issuer, RESOURCE);
    let checks = config.clock(Arc::clone(&server.clock) as Arc<_>).build().unwrap();
    for round in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let status = runtime.block_on(checks.follow_revocations());
        assert_eq!((status.age, status.stale), (Some(0), false), "round {round}: {status:?}");
        drop(runtime);
        server.clock.advance(100);
    }
    of_issuer.block_on(server.shut_down());
}
