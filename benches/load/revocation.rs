//! How long a revoked token still opens a resource server: from the 200 of `/revoke` to the first refusal.
//!
//! The server is a child process; the resource server is in this one, with the SDK's layer as any
//! service has it, and is called without pause until it refuses.

use std::time::{Duration, Instant};

use countersign_sdk::client::{AccessToken, SignIn};
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Curve, InMemorySigner};
use countersign_sdk::proof::dpop::NewProof;
use countersign_sdk::proof::target_uri::TargetUri;
use countersign_sdk::resource::{AccessError, RequestHead, ResourceConfig, ResourceServer};
use countersign_sdk::time::{Clock as _, SystemClock};
use http::{HeaderMap, HeaderValue};
use serde::Serialize;

use crate::process::Server;
use crate::{Args, Failure};

const RESOURCE: &str = "http://127.0.0.1:8800";
/// The path that is called.
const PATH: &str = "/release";

/// Milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Revocations {
    pub(crate) times: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) worst: f64,
}

/// Revokes so many tokens, one after the other.
pub(crate) fn measure(args: &Args) -> Result<Revocations, Failure> {
    let server = Server::countersign(&args.server)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    eprintln!("revocation: {} times", args.revocations);
    let mut times = runtime.block_on(all(&server, args.revocations))?;
    times.sort_unstable();
    let at = |percent: usize| {
        let index = times.len().saturating_sub(1) * percent / 100;
        times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    Ok(Revocations { times: times.len(), p50: at(50), p99: at(99), worst: at(100) })
}

async fn all(server: &Server, times: usize) -> Result<Vec<Duration>, Failure> {
    let issuer = format!("http://{}", server.address);
    let api = ResourceConfig::new(&issuer, RESOURCE).build()?;
    api.follow_revocations().await;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let key = std::sync::Arc::new(InMemorySigner::generate(Curve::Ed25519, &OsEntropy)?);
        let sign_in = SignIn::new(&issuer).resource(RESOURCE).scope("release");
        let session = sign_in.agent(std::sync::Arc::clone(&key) as _).await?;
        let token = session.access_token().await?.access_token.clone();
        call(&api, &key, &token).await?;
        let form = [("token", token.expose())];
        let answer = http.post(format!("{issuer}/revoke")).form(&form).send().await?;
        answer.error_for_status()?;
        let revoked = Instant::now();
        loop {
            match call(&api, &key, &token).await {
                Err(AccessError::TokenRevoked) => break,
                Ok(()) => tokio::task::yield_now().await,
                Err(other) => return Err(other.into()),
            }
        }
        took.push(revoked.elapsed());
    }
    Ok(took)
}

async fn call(
    api: &ResourceServer,
    key: &InMemorySigner,
    token: &AccessToken,
) -> Result<(), AccessError> {
    let target = TargetUri::parse(&format!("{RESOURCE}{PATH}"));
    let target = target.map_err(|_| AccessError::MalformedTarget)?;
    let proof = NewProof {
        method: "POST",
        target_uri: &target,
        access_token: Some(token.expose()),
        nonce: None,
        now: SystemClock.now(),
    };
    let proof = proof.sign(key, &OsEntropy).await.map_err(|_| AccessError::NoEntropy)?;
    let value =
        |text: &str| HeaderValue::try_from(text).map_err(|_| AccessError::MalformedCredentials);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", value(&format!("DPoP {}", token.expose()))?);
    headers.insert("dpop", value(&proof)?);
    let request = RequestHead { method: "POST", path_and_query: PATH, headers: &headers };
    api.authenticate(&request).await.map(drop)
}
