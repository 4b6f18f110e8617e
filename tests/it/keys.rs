//! Signing keys of a running server: rotated under load, revoked, kept over restarts, and shut to whoever has not the secret.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::app::{App, StartError, Surroundings};
use countersign::audit::{self, Audit, OnFailure};
use countersign::config::{self, Flags, SigningAlgorithm};
use countersign::control::{self, Answer as Told, KeysRequest, Request, SecretText};
use countersign::store::embedded::{EmbeddedStore, Folder, OpenError};
use countersign::store::{Bounds, SessionBounds};
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Curve, InMemorySigner};
use countersign_sdk::resource::{
    AccessError, RequestHead, ResourceConfig, ResourceServer, TokenError,
};
use countersign_sdk::time::{ManualClock, Timestamp};
use futures_util::future::join_all;
use k256::sha2::{Digest as _, Sha256};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::feed::Reader;
use crate::signed_in::{SignedIn, agent_token, send};
use crate::support::{RESOURCE, START, Server, did, dpop, jkt, jws, key, part};

/// For how long a key is published before it signs, unless configured.
const BEFORE: u64 = 900;
/// No machine is so slow.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a server says of its keys over its socket.
pub(crate) async fn keys(server: &Server, request: KeysRequest) -> Result<Vec<Value>, String> {
    let folder = server.folder();
    let asked = move || control::ask(&folder, &Request::Keys(request)).unwrap();
    match tokio::task::spawn_blocking(asked).await.unwrap() {
        Told::Keys(keys) => Ok(keys),
        Told::Failed(why) => Err(why),
        other => panic!("{other:?}"),
    }
}

async fn in_state(server: &Server, state: &str) -> Vec<String> {
    let keys = keys(server, KeysRequest::List).await.unwrap();
    let keys = keys.iter().filter(|key| key["state"] == state);
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn active(server: &Server) -> String {
    let active = in_state(server, "active").await;
    assert_eq!(active.len(), 1, "{active:?}");
    active[0].clone()
}

async fn published(server: &Server) -> Vec<String> {
    let set = send(server, "GET", "/.well-known/jwks.json", &[]).await;
    let keys = set.body["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn kid(token: &str) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

/// Waits, in real time, for what a background task does.
async fn until(what: impl AsyncFn() -> bool) {
    let so = async {
        while !what().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, so).await.unwrap();
}

fn api(server: &Server) -> ResourceServer {
    ResourceConfig::new(&server.issuer, RESOURCE)
        .clock(Arc::clone(&server.clock) as _)
        // The clock jumps while a question to the feed waits; how old the view is, is not the point.
        .open_when_stale(["read"])
        .build()
        .unwrap()
}

/// An agent with a token.
struct Agent {
    key: InMemorySigner,
    token: String,
    until: u64,
}

impl Agent {
    async fn new(server: &Server) -> Self {
        let key = key(Curve::Ed25519);
        let now = server.now();
        let answer = agent_token(server, &key, RESOURCE).await;
        let lives = answer.body["expires_in"].as_u64().unwrap();
        Self { key, token: answer.text("access_token").to_owned(), until: now + lives }
    }

    async fn call(&self, api: &ResourceServer, now: u64) -> Result<(), AccessError> {
        call_with(&self.token, &self.key, api, now).await
    }
}

async fn call_with(
    token: &str,
    key: &InMemorySigner,
    api: &ResourceServer,
    now: u64,
) -> Result<(), AccessError> {
    let ath = URL_SAFE_NO_PAD.encode(Sha256::digest(token));
    let proof = dpop(key, &format!("{RESOURCE}/x"), now, json!({ "htm": "GET", "ath": ath }));
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::try_from(format!("DPoP {token}")).unwrap());
    headers.insert("dpop", HeaderValue::try_from(proof).unwrap());
    let request = RequestHead { method: "GET", path_and_query: "/x", headers: &headers };
    api.authenticate_scoped(&request, "read").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_rotations_under_load_refuse_nobody_and_then_a_revocation_ends_a_key() {
    const STEP: u64 = 30;
    let server = Server::sealed().await;
    server.clock.advance(1);
    let mut apis = vec![api(&server)];
    let mut agents = join_all((0..4).map(|_| Agent::new(&server))).await;
    let (mut signed_by, mut calls) = (std::collections::BTreeSet::new(), 0);
    for rotation in 0..20 {
        let next = keys(&server, KeysRequest::Rotate).await.unwrap()[0]["kid"].clone();
        for step in 0..=BEFORE / STEP {
            if (rotation, step) == (1, 7) || (rotation, step) == (2, 13) {
                // Others began later, and look for keys at other times.
                apis.push(api(&server));
            }
            let now = server.now();
            // Requests are under way while the clock moves, and keys with it.
            let work = join_all(agents.iter_mut().map(async |agent| {
                if now + 2 * STEP > agent.until {
                    *agent = Agent::new(&server).await;
                }
                for api in &apis {
                    assert_eq!(agent.call(api, now).await, Ok(()), "rotation {rotation}, {step}");
                }
                kid(&agent.token)
            }));
            let tick = async {
                tokio::task::yield_now().await;
                server.clock.advance(STEP);
            };
            let (kids, ()) = tokio::join!(work, tick);
            calls += kids.len() * apis.len();
            signed_by.extend(kids);
        }
        assert_eq!(active(&server).await, next.as_str().unwrap(), "rotation {rotation}");
        assert_eq!(in_state(&server, "next").await.len(), 1, "one stands by");
    }
    assert!(signed_by.len() >= 20, "{} keys signed", signed_by.len());
    assert!(calls > 20 * 31 * 4, "{calls}");

    // Emergency: what the active key signed is refused everywhere, and new sign-ins go on at once.
    let leaked = active(&server).await;
    let victim = Agent::new(&server).await;
    assert_eq!(kid(&victim.token), leaked);
    for api in &apis {
        assert_eq!(victim.call(api, server.now()).await, Ok(()));
    }
    keys(&server, KeysRequest::Revoke(leaked.clone())).await.unwrap();
    assert!(!published(&server).await.contains(&leaked));
    let fresh = Agent::new(&server).await;
    assert_ne!(kid(&fresh.token), leaked);
    for api in &apis {
        assert_eq!(fresh.call(api, server.now()).await, Ok(()), "at once");
        until(async || victim.call(api, server.now()).await.is_err()).await;
        assert_eq!(fresh.call(api, server.now()).await, Ok(()));
    }
    assert!(
        Reader::new(&server).read(&server).await.iter().any(|entry| {
            entry["not_before"] == json!(server.now()) && entry.get("sub").is_none()
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_revoked_key_can_make_no_token_of_any_time() {
    let server = Server::sealed().await;
    server.clock.advance(1);
    let api = api(&server);
    let stolen = key(Curve::Ed25519);
    let pem = SecretText(stolen.to_pkcs8_pem().unwrap().to_string());
    let imported = keys(&server, KeysRequest::Import(pem.clone())).await.unwrap();
    assert_eq!(imported[0]["state"], "next");
    let twice = keys(&server, KeysRequest::Import(pem)).await.unwrap_err();
    assert!(twice.contains("already"), "{twice}");
    keys(&server, KeysRequest::Rotate).await.unwrap();
    server.clock.advance(BEFORE);
    assert_eq!(active(&server).await, jkt(&stolen));
    // The thief's tokens are as good as ours until the key is revoked, whatever they say.
    let agent = key(Curve::Ed25519);
    let forged = |iat: u64| {
        let claims = json!({
            "iss": server.issuer, "sub": did(&agent), "aud": RESOURCE, "client_id": did(&agent),
            "iat": iat, "nbf": iat, "exp": server.now() + 300, "jti": jkt(&key(Curve::P256)),
            "scope": "read", "auth_time": iat, "account": did(&agent),
            "cnf": { "jkt": jkt(&agent) }, "proven_key": { "method": "key" },
        });
        let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": jkt(&stolen) });
        jws(&stolen, &header, &claims)
    };
    let now = server.now();
    assert_eq!(call_with(&forged(now), &agent, &api, now).await, Ok(()));
    keys(&server, KeysRequest::Revoke(jkt(&stolen))).await.unwrap();
    // The key is unknown to the API, not the token void: its moment is later than that of the revocation.
    let unknown = |outcome: Result<(), AccessError>| match outcome {
        Ok(()) => false,
        Err(AccessError::Token(TokenError::UnknownKey) | AccessError::KeysUnavailable) => true,
        Err(other) => panic!("{other:?}"),
    };
    until(async || unknown(call_with(&forged(now + 3), &agent, &api, now).await)).await;
    // And it stays so, whatever a cache of the key set still says, and as time goes by.
    for seconds in [0, 10, 200, 400] {
        server.clock.advance(seconds);
        let now = server.now();
        assert!(unknown(call_with(&forged(now), &agent, &api, now).await), "{seconds}");
        let again = Agent::new(&server).await;
        assert_eq!(again.call(&api, now).await, Ok(()));
    }
    // Nor is it a token to the issuer itself.
    let url = format!("{}/sessions", server.issuer);
    let (token, now) = (forged(server.now()), server.now());
    let ath = URL_SAFE_NO_PAD.encode(Sha256::digest(&token));
    let proof = dpop(&agent, &url, now, json!({ "htm": "GET", "ath": ath }));
    let headers = [("authorization", format!("DPoP {token}")), ("dpop", proof)];
    let own = send(&server, "GET", "/sessions", &headers).await;
    own.refused(401, "invalid_token", "token_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_sessions_outlive_a_restart_with_sealed_keys() {
    let server = Server::sealed().await;
    let who = SignedIn::new(&server).await;
    let first = active(&server).await;
    server.clock.advance(5);
    let server = server.restart_sealed(|_| ()).await;
    // Whether a proof of the first seconds was used is not remembered; it would need a nonce.
    server.clock.advance(10);
    assert_eq!(active(&server).await, first);
    let listed = who.ask(&server, "GET", "/sessions").await;
    assert_eq!(listed.status, 200, "the token of before: {listed:?}");
    assert_eq!(Reader::new(&server).read(&server).await, Vec::<Value>::new(), "nothing is void");
    assert_eq!(who.refresh(&server, who.refresh_token()).await.status, 200);
    // Everything of the keys' time is there as well.
    keys(&server, KeysRequest::Rotate).await.unwrap();
    let server = server.restart_sealed(|_| ()).await;
    let now = server.now();
    server.clock.advance(START + BEFORE - now);
    assert_ne!(active(&server).await, first);
    assert_eq!(in_state(&server, "retiring").await, [first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_algorithm_takes_over_without_a_refused_call() {
    let server = Server::sealed().await;
    server.clock.advance(1);
    let api = api(&server);
    let before = Agent::new(&server).await;
    assert_eq!(before.call(&api, server.now()).await, Ok(()));
    let server = server
        .restart_sealed(|settings| settings.signing_algorithm = SigningAlgorithm::Es256)
        .await;
    until(async || published(&server).await.len() >= 3).await;
    server.clock.advance(10);
    for _ in 0..BEFORE / 30 + 2 {
        let agent = Agent::new(&server).await;
        assert_eq!(agent.call(&api, server.now()).await, Ok(()));
        server.clock.advance(30);
    }
    let after = Agent::new(&server).await;
    assert_eq!(part(&after.token, 0)["alg"], "ES256");
    assert_eq!(after.call(&api, server.now()).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn time_alone_rotates_and_withdraws() {
    let server = Server::sealed().await;
    let first = active(&server).await;
    server.clock.advance(30 * 86_400);
    assert_ne!(active(&server).await, first, "at the second, before anybody tended it");
    until(async || in_state(&server, "next").await.len() == 1).await;
    server.clock.advance(1080);
    assert!(!published(&server).await.contains(&first));
    until(async || in_state(&server, "retired").await == [first.clone()]).await;
    let ring = std::fs::read_to_string(server.folder().join("keys/ring.json")).unwrap();
    let ring: Value = serde_json::from_str(&ring).unwrap();
    let first = ring["keys"].as_array().unwrap().iter().find(|key| key["kid"] == json!(first));
    until(async || {
        let text = std::fs::read_to_string(server.folder().join("keys/ring.json")).unwrap();
        let ring: Value = serde_json::from_str(&text).unwrap();
        let keys = ring["keys"].as_array().unwrap();
        keys.iter().any(|key| key["kid"] == first.unwrap()["kid"] && key.get("handle").is_none())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_revoked_beside_whoever_keeps_the_socket_busy() {
    let server = Server::sealed().await;
    server.clock.advance(1);
    let socket = server.folder().join("control.sock");
    let mut idle = Vec::new();
    for _ in 0..3 {
        idle.push(tokio::net::UnixStream::connect(&socket).await.unwrap());
    }
    let leaked = active(&server).await;
    keys(&server, KeysRequest::Revoke(leaked.clone())).await.unwrap();
    assert!(!published(&server).await.contains(&leaked));
    // They were not waited for: the server still waits for what they will ask.
    for stream in idle {
        let nothing = stream.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_keeps_nobody_out_after_the_next_start() {
    let server = Server::sealed().await;
    server.clock.advance(86_400);
    let leaked = active(&server).await;
    keys(&server, KeysRequest::Revoke(leaked)).await.unwrap();
    server.clock.set(Timestamp::from_unix(START + 60));
    // What is signed now is void until a day has passed, or the next start has put it right.
    let server = server.restart_sealed(|_| ()).await;
    server.clock.advance(10);
    let agent = key(Curve::Ed25519);
    assert_eq!(agent_token(&server, &agent, RESOURCE).await.status, 200);
}

/// After a power cut a machine may come up with a clock that is behind, until it has asked for the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_behind_takes_back_no_revocation_of_everything() {
    let server = Server::development().await;
    server.clock.advance(1000);
    let folder = server.folder();
    let revoke = Request::Revoke(control::Named::Everything);
    let done = tokio::task::spawn_blocking(move || control::ask(&folder, &revoke).unwrap()).await;
    assert!(matches!(done.unwrap(), Told::Done));
    let folder = server.folder();
    let _data = server.shut_down_and_keep().await;
    let now = |offset| Timestamp::from_unix(START + offset);
    for _ in 0..2 {
        let refused = started(&folder, now(400)).await.unwrap_err();
        assert!(matches!(refused, StartError::ClockBehind { .. }), "{refused}");
        assert!(refused.to_string().contains("store revoke --everything"), "{refused}");
    }
    // It was nothing but the clock.
    drop(started(&folder, now(1001)).await.unwrap());
    // And where the clock had been ahead, somebody says so.
    assert!(started(&folder, now(400)).await.is_err());
    {
        let store = store_of(&folder);
        let options = audit::Options::default();
        let audit = Audit::open(&folder, &options, OnFailure::Refuse).unwrap();
        let revoke = Request::Revoke(control::Named::Everything);
        let done = control::answer(&Arc::new(store), Some(&audit), revoke, now(400)).await;
        assert!(matches!(done, Told::Done), "{done:?}");
    }
    drop(started(&folder, now(401)).await.unwrap());
}

/// A server in development mode over what lies in `folder`, which was not told to serve yet.
async fn started(folder: &std::path::Path, now: Timestamp) -> Result<App, StartError> {
    let flags = Flags {
        listen: Some("127.0.0.1:0".to_owned()),
        operations_listen: Some("127.0.0.1:0".to_owned()),
        data_dir: Some(folder.display().to_string()),
        ..Flags::default()
    };
    let settings = config::load(&flags, &[]).unwrap();
    let clock = Arc::new(ManualClock::new(now));
    let surroundings = Surroundings { clock, entropy: Arc::new(OsEntropy) };
    loop {
        match App::bind(settings.clone(), surroundings.clone()).await {
            Err(StartError::Store(OpenError::InUse(_))) => tokio::task::yield_now().await,
            bound => return bound,
        }
    }
}

fn store_of(folder: &std::path::Path) -> EmbeddedStore {
    let sessions = SessionBounds { total: 100, per_subject: 100, revocations: 100 };
    let bounds = Bounds { nonces: 1, proofs: 1, answers: 1, sessions };
    EmbeddedStore::open(Folder::take(folder).unwrap(), bounds, &OsEntropy).unwrap()
}
