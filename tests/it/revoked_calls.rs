//! What is revoked at this server is refused at a running API that follows it, also when the server is gone.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::key::{Curve, InMemorySigner};
use countersign_sdk::resource::{AccessError, RequestHead, ResourceConfig, ResourceServer};
use k256::sha2::{Digest as _, Sha256};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::json;

use crate::support::{Answer, EvmWallet, RESOURCE, SIGNED_MESSAGE, Server, dpop, jkt, key};

/// The bound that the API is set to, in seconds.
const BOUND: u64 = 30;
/// No machine is so slow.
const DEADLINE: Duration = Duration::from_secs(BOUND);

/// A signed-in wallet.
struct SignedIn {
    key: InMemorySigner,
    token: String,
    refresh_token: String,
    session: String,
}

async fn sign_in(server: &Server, wallet: &EvmWallet) -> SignedIn {
    let key = key(Curve::Ed25519);
    let challenge = server
        .challenge(&json!({
            "account": wallet.account(), "dpop_jkt": jkt(&key), "resource": RESOURCE,
            "scope": "read escrow:release",
        }))
        .await;
    let message = challenge.text("message");
    let signature = wallet.sign(message);
    let form = [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &signature)];
    let answer = server.token(&form, Some(&server.proof(&key))).await;
    SignedIn {
        key,
        token: answer.text("access_token").to_owned(),
        refresh_token: answer.text("refresh_token").to_owned(),
        session: answer.text("session_id").to_owned(),
    }
}

impl SignedIn {
    fn proof(&self, method: &str, url: &str, now: u64) -> String {
        let ath = URL_SAFE_NO_PAD.encode(Sha256::digest(&self.token));
        dpop(&self.key, url, now, json!({ "htm": method, "ath": ath }))
    }

    /// A call of the API for a scope.
    async fn call(
        &self,
        api: &ResourceServer,
        scope: &'static str,
        now: u64,
    ) -> Result<(), AccessError> {
        let mut headers = HeaderMap::new();
        let value = |text: String| HeaderValue::try_from(text).unwrap();
        headers.insert("authorization", value(format!("DPoP {}", self.token)));
        headers.insert("dpop", value(self.proof("POST", &format!("{RESOURCE}/release"), now)));
        let request = RequestHead { method: "POST", path_and_query: "/release", headers: &headers };
        api.authenticate_scoped(&request, scope).await.map(drop)
    }

    /// Something at the issuer that the token's own key asks for.
    async fn ask(&self, server: &Server, method: &str, path: &str) -> u16 {
        let proof = self.proof(method, &format!("{}{path}", server.issuer), server.now());
        let method = method.parse().unwrap();
        let request = server.http.request(method, server.at(path));
        let request = request.header("Authorization", format!("DPoP {}", self.token));
        request.header("DPoP", proof).send().await.unwrap().status().as_u16()
    }

    async fn revoke(&self, server: &Server, form: &[(&str, &str)]) {
        let proof = self.proof("POST", &format!("{}/revoke", server.issuer), server.now());
        let sent = server.http.post(server.at("/revoke")).form(form).header("DPoP", proof);
        let answer = Answer::read(sent.send().await.unwrap()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

fn api(server: &Server) -> ResourceServer {
    ResourceConfig::new(&server.issuer, RESOURCE)
        .clock(Arc::clone(&server.clock) as _)
        .max_staleness(BOUND)
        .open_when_stale(["read"])
        .build()
        .unwrap()
}

/// Calls until the token is refused as revoked.
async fn is_refused(who: &SignedIn, api: &ResourceServer, now: u64) {
    let refused = async {
        loop {
            match who.call(api, "escrow:release", now).await {
                Err(AccessError::TokenRevoked) => return,
                Ok(()) => tokio::task::yield_now().await,
                Err(other) => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_a_session_a_key_and_a_subject_are_refused_once_revoked() {
    let server = Server::development().await;
    let api = api(&server);
    let now = server.now();
    let bystander = sign_in(&server, &EvmWallet::new()).await;
    for what in ["token", "refresh token", "session", "key", "subject", "sessions"] {
        let wallet = EvmWallet::new();
        let (who, sibling) = (sign_in(&server, &wallet).await, sign_in(&server, &wallet).await);
        for one in [&who, &sibling] {
            assert_eq!(one.call(&api, "escrow:release", now).await, Ok(()), "{what}");
        }
        match what {
            "token" => who.revoke(&server, &[("token", &who.token)]).await,
            "refresh token" => who.revoke(&server, &[("token", &who.refresh_token)]).await,
            "session" => {
                let path = format!("/sessions/{}", who.session);
                assert_eq!(sibling.ask(&server, "DELETE", &path).await, 204);
            }
            "sessions" => assert_eq!(sibling.ask(&server, "DELETE", "/sessions").await, 204),
            group => who.revoke(&server, &[("token", &who.token), ("everything_of", group)]).await,
        }
        is_refused(&who, &api, now).await;
        if matches!(what, "subject" | "sessions") {
            is_refused(&sibling, &api, now).await;
        } else {
            assert_eq!(sibling.call(&api, "escrow:release", now).await, Ok(()), "{what}");
        }
        assert_eq!(bystander.call(&api, "escrow:release", now).await, Ok(()), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_issuer_payments_close_at_the_bound_and_reads_stay_open() {
    let server = Server::development().await;
    let (api, clock) = (api(&server), Arc::clone(&server.clock));
    let now = server.now();
    let (good, bad) =
        (sign_in(&server, &EvmWallet::new()).await, sign_in(&server, &EvmWallet::new()).await);
    for who in [&good, &bad] {
        assert_eq!(who.call(&api, "escrow:release", now).await, Ok(()));
    }
    bad.revoke(&server, &[("token", &bad.token)]).await;
    is_refused(&bad, &api, now).await;
    server.shut_down().await;

    clock.advance(BOUND);
    assert_eq!(good.call(&api, "escrow:release", now + BOUND).await, Ok(()), "within the bound");
    clock.advance(1);
    let later = now + BOUND + 1;
    let closed = good.call(&api, "escrow:release", later).await.unwrap_err();
    assert_eq!((closed.status().as_u16(), closed.reason()), (503, "revocations_stale"));
    assert_eq!(good.call(&api, "read", later).await, Ok(()), "a scope that only reads");
    for scope in ["read", "escrow:release"] {
        assert_eq!(bad.call(&api, scope, later).await, Err(AccessError::TokenRevoked));
    }
}
