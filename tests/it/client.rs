//! The SDK's client against this server, and against an API behind the SDK's extractors.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use countersign_sdk::client::address::AddressError;
use countersign_sdk::client::{Client, ClientError, InMemoryWallet, Session, SignIn};
use countersign_sdk::key::Curve;
use countersign_sdk::resource::{ResourceConfig, Scoped};

use crate::support::{Server, did, key};

countersign_sdk::required_scope! {
    Read = "read";
    Release = "escrow:release"
}

async fn hello(caller: Scoped<Read>) -> String {
    caller.sub().to_owned()
}

async fn release(_: Scoped<Release>) -> &'static str {
    "released"
}

/// An API on a free port that takes tokens of `server` for itself; gives its origin.
async fn api(server: &Server) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let checks = ResourceConfig::new(&server.issuer, &origin).build().unwrap();
    let routes = Router::new().route("/hello", get(hello)).route("/release", post(release));
    tokio::spawn(async move { axum::serve(listener, routes.with_state(checks)).await.unwrap() });
    origin
}

async fn call(client: &Client, method: &str, url: &str) -> (u16, String) {
    let answer = client.request(method, url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Twice each, so that no nonce, clock or key is met for the first time.
async fn reads_and_does_not_release(session: Session, api: &str) -> String {
    let client = Client::new(session);
    let mut who = String::new();
    for _ in 0..2 {
        let (status, sub) = call(&client, "GET", &format!("{api}/hello")).await;
        assert_eq!(status, 200, "{sub}");
        let (status, body) = call(&client, "POST", &format!("{api}/release")).await;
        assert_eq!(status, 403, "{body}");
        assert!(body.contains("insufficient_scope"), "{body}");
        who = sub;
    }
    assert_eq!(client.session().current().sub, who);
    who
}

#[tokio::test]
async fn agents_of_both_curves_call_with_their_own_key() {
    let server = Server::with_system_clock().await;
    let api = api(&server).await;
    for curve in [Curve::Ed25519, Curve::Secp256k1] {
        let key = Arc::new(key(curve));
        let sign_in = || SignIn::new(&server.issuer).resource(&api);
        let session = sign_in().scope("read").agent(Arc::clone(&key) as _).await.unwrap();
        assert_eq!(reads_and_does_not_release(session, &api).await, did(&key));
        let session = sign_in().scope("escrow:release").agent(key).await.unwrap();
        let client = Client::new(session);
        let released = call(&client, "POST", &format!("{api}/release")).await;
        assert_eq!(released, (200, "released".to_owned()));
    }
}

#[tokio::test]
async fn wallets_sign_once_and_a_session_key_calls() {
    let server = Server::with_system_clock().await;
    let api = api(&server).await;
    let ethereum = || InMemoryWallet::ethereum(key(Curve::Secp256k1), 1).unwrap();
    let solana = || InMemoryWallet::solana(key(Curve::Ed25519)).unwrap();
    let raw = || InMemoryWallet::raw(key(Curve::Secp256k1)).unwrap();
    let wallets: [(&dyn Fn() -> InMemoryWallet, &str); 3] = [
        (&ethereum, "did:pkh:eip155:1:0x"),
        (&solana, "did:pkh:solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:"),
        (&raw, "did:key:z"),
    ];
    for (wallet, subject) in wallets {
        for curve in [None, Some(Curve::P256), Some(Curve::Secp256k1)] {
            let mut sign_in = SignIn::new(&server.issuer).resource(&api).scope("read");
            if let Some(curve) = curve {
                sign_in = sign_in.session_key(Arc::new(key(curve)));
            }
            let session = sign_in.wallet(Arc::new(wallet())).await.unwrap();
            let sub = reads_and_does_not_release(session, &api).await;
            assert!(sub.starts_with(subject), "{sub}");
        }
    }
}

/// Every text that the issuer writes is one that the client signs.
#[tokio::test]
async fn every_set_of_scopes_is_stated_as_the_client_derives_it() {
    let server = Server::with_system_clock().await;
    for (scope, granted) in [
        (None, "read"),
        (Some("escrow:release read escrow:read"), "escrow:read escrow:release read"),
        (Some("z a:b a-b:c a:* oauth.x:y"), "a-b:c a:* a:b oauth.x:y z"),
        (Some("oauth"), "oauth"),
    ] {
        let wallet = InMemoryWallet::ethereum(key(Curve::Secp256k1), 137).unwrap();
        let mut sign_in = SignIn::new(&server.issuer).resource("http://127.0.0.1:8800");
        if let Some(scope) = scope {
            sign_in = sign_in.scope(scope);
        }
        let session = sign_in.wallet(Arc::new(wallet)).await;
        let session = session.unwrap_or_else(|error| panic!("{scope:?}: {error}"));
        let token = session.current();
        let mut scopes: Vec<&str> = token.scope.split(' ').collect();
        scopes.sort_unstable();
        assert_eq!(scopes.join(" "), granted);
    }
}

#[tokio::test]
async fn a_token_is_for_one_resource() {
    let server = Server::with_system_clock().await;
    let (ours, theirs) = (api(&server).await, api(&server).await);
    let sign_in = SignIn::new(&server.issuer).resource(&ours).scope("read");
    let client = Client::new(sign_in.agent(Arc::new(key(Curve::Ed25519))).await.unwrap());
    let url = format!("{theirs}/hello");
    let unsent = client.request("GET", &url).send().await;
    assert!(matches!(unsent, Err(ClientError::Address(AddressError::OtherServer { .. }))));
    // Sent there all the same, it is refused for its audience.
    let client = client.also_at(&theirs).unwrap();
    let (status, body) = call(&client, "GET", &url).await;
    assert_eq!(status, 401, "{body}");
    assert!(body.contains("invalid_token"), "{body}");
    assert_eq!(call(&client, "GET", &format!("{ours}/hello")).await.0, 200);
}
