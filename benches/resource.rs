//! What the resource layer adds to an API: the whole layer beside one bare verification, by turns.
//!
//! `cargo bench --bench resource`. Requests are made beforehand, each with a proof of its own, and
//! go through the layer as a tower service, without a socket, and past a thousand revocations. The
//! goal (performance design): with a token seen before, the layer takes at most 1.15 times the
//! verification of the proof alone.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program that measures time and prints what it found"
)]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use axum::body::Body;
use axum::http::{Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
use countersign_sdk::proof::dpop::NewProof;
use countersign_sdk::proof::target_uri::TargetUri;
use countersign_sdk::resource::{
    FetchError, FixedKeys, ResourceConfig, ResourceServer, RevocationSource,
};
use countersign_sdk::time::{Clock, ManualClock, Timestamp};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ISSUER: &str = "https://auth.example";
const RESOURCE: &str = "https://api.example";
/// Seconds after its start at which a server demands nonces no longer.
const SETTLED: u64 = 600;
/// Revocations that each request is looked up in.
const REVOKED: usize = 1000;
/// Rounds, of which the median is taken; short ones, so that few are interrupted.
const ROUNDS: usize = 400;
/// Calls of a round.
const BATCH: usize = 8;

type Failure = Box<dyn std::error::Error>;

/// An issuer, a resource server that trusts it, and an agent.
struct World {
    issuer: InMemorySigner,
    agent: InMemorySigner,
    server: ResourceServer,
    clock: Arc<ManualClock>,
    target: TargetUri,
    tokens: u64,
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!(
        "{:<44} {:>8} {:>8} {:>6}   goal",
        "call at the resource layer, µs", "layer", "bare", "ratio"
    );
    for (curve, proof) in [(Curve::Ed25519, "EdDSA"), (Curve::P256, "ES256")] {
        for seen in [true, false] {
            let (layer, bare, ratio) = runtime.block_on(measure(curve, seen))?;
            let (token, goal) = if seen { ("seen before", "≤ 1.15") } else { ("new", "–") };
            let title = format!("{proof} proof, token {token}");
            println!("{title:<44} {layer:>8.1} {bare:>8.1} {ratio:>6.2}   {goal}");
        }
    }
    Ok(())
}

/// Medians of the layer's time, of the bare verifications' time, and of their ratio.
async fn measure(curve: Curve, seen: bool) -> Result<(f64, f64, f64), Failure> {
    let mut world = World::new(curve)?;
    let first = world.token()?;
    let (mut layers, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut requests = Vec::new();
        let mut signed = Vec::new();
        for _ in 0..BATCH {
            let token = if seen { first.clone() } else { world.token()? };
            let proof = world.proof(&token).await?;
            signed.push((halves(&token)?, halves(&proof)?));
            let request = Request::get("/escrows/1")
                .header("authorization", format!("DPoP {token}"))
                .header("dpop", proof);
            requests.push(request.body(Body::empty())?);
        }
        let layer = world.through_the_layer(requests).await?;
        let bare = world.bare(&signed, seen)?;
        layers.push(layer);
        bares.push(bare);
        ratios.push(layer / bare);
    }
    Ok((median(layers), median(bares), median(ratios)))
}

/// A JWS as it is verified: what was signed, and the signature.
type Halves = (Vec<u8>, Vec<u8>);

fn halves(jws: &str) -> Result<Halves, Failure> {
    let (input, signature) = jws.rsplit_once('.').ok_or("no JWS")?;
    Ok((input.into(), URL_SAFE_NO_PAD.decode(signature)?))
}

/// An issuer that has revoked a thousand tokens, keys and subjects, and says so once.
#[derive(Debug)]
struct Feed(String);

#[async_trait::async_trait]
impl RevocationSource for Feed {
    async fn fetch(&self, after: Option<&str>, _: u64) -> Result<String, FetchError> {
        match after {
            None => Ok(self.0.clone()),
            Some(_) => std::future::pending().await,
        }
    }
}

/// The feed of `issuer` for as long as the clock stands at the moment at which it is asked.
fn feed(issuer: &InMemorySigner, built: Timestamp) -> Result<Feed, Failure> {
    let (iat, until) = (built.plus(SETTLED).as_unix(), built.plus(SETTLED + 900).as_unix());
    let entries: Vec<Value> = (0..REVOKED)
        .map(|number| match number % 3 {
            0 => json!({ "jti": format!("revoked {number}"), "until": until }),
            1 => json!({ "sid": format!("revoked {number}"), "until": until }),
            _ => json!({ "sub": format!("revoked {number}"), "not_before": iat, "until": until }),
        })
        .collect();
    let header = json!({ "typ": "revocations+jwt", "alg": "EdDSA", "kid": "a" });
    let payload = json!({
        "iss": ISSUER, "iat": iat, "entries": entries, "cursor": "end", "more": false,
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encode(&header), encode(&payload));
    let signature = issuer.sign_now(input.as_bytes())?;
    Ok(Feed(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

impl World {
    fn new(curve: Curve) -> Result<Self, Failure> {
        let issuer = InMemorySigner::generate(Curve::Ed25519, &OsEntropy)?;
        let mut jwk = serde_json::to_value(issuer.public_key().to_jwk())?;
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), json!("a"));
        }
        let keys = json!({ "keys": [jwk] }).to_string();
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix(1_000_000_000)));
        let server = ResourceConfig::new(ISSUER, RESOURCE)
            .key_source(Arc::new(FixedKeys::new(keys)))
            .revocation_source(Arc::new(feed(&issuer, clock.now())?))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .build()?;
        clock.advance(SETTLED);
        Ok(Self {
            issuer,
            agent: InMemorySigner::generate(curve, &OsEntropy)?,
            server,
            clock,
            target: TargetUri::parse(&format!("{RESOURCE}/escrows/1"))?,
            tokens: 0,
        })
    }

    /// A new token, bound to the agent's key.
    fn token(&mut self) -> Result<String, Failure> {
        self.tokens += 1;
        let now = self.clock.now().as_unix();
        let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "a" });
        let claims: Value = json!({
            "iss": ISSUER, "aud": RESOURCE, "sub": "did:key:z6Mkr3y8hdfPpDXsCiq9BwESt82x4tQBFtMVc5igofhwk2Pm",
            "client_id": "agent", "jti": self.tokens.to_string(), "iat": now, "nbf": now, "exp": now + 300,
            "auth_time": now, "scope": "escrow:read escrow:release", "amr": ["pop"],
            "cnf": { "jkt": self.agent.public_key().thumbprint() },
        });
        let parts = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let input = parts.join(".");
        let signature = self.issuer.sign_now(input.as_bytes())?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    async fn proof(&self, token: &str) -> Result<String, Failure> {
        let proof = NewProof {
            method: "GET",
            target_uri: &self.target,
            access_token: Some(token),
            nonce: None,
            now: self.clock.now(),
        };
        Ok(proof.sign(&self.agent, &OsEntropy).await?)
    }

    /// Microseconds of one request through the layer to a service that does nothing.
    async fn through_the_layer(&self, requests: Vec<Request<Body>>) -> Result<f64, Failure> {
        let inside = service_fn(async |_| Ok::<_, Infallible>(Response::new(Body::empty())));
        let service = self.server.layer().layer(inside);
        let started = Instant::now();
        for request in requests {
            let answer = service.clone().oneshot(request).await?;
            if !answer.status().is_success() {
                return Err(format!("{answer:?}").into());
            }
        }
        Ok(micros(started))
    }

    /// Microseconds of the signatures alone: the proof's, and the token's where it is new.
    fn bare(&self, signed: &[(Halves, Halves)], seen: bool) -> Result<f64, Failure> {
        let issuer = UnparsedPublicKey::new(&ED25519, self.issuer.public_key().as_bytes());
        let agent = self.agent.public_key();
        let started = Instant::now();
        for (token, proof) in signed {
            if !seen {
                issuer.verify(&token.0, &token.1)?;
            }
            match agent.curve() {
                Curve::P256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, agent.as_bytes())
                    .verify(&proof.0, &proof.1)?,
                Curve::Ed25519 | Curve::Secp256k1 => {
                    UnparsedPublicKey::new(&ED25519, agent.as_bytes())
                        .verify(&proof.0, &proof.1)?;
                }
            }
        }
        Ok(micros(started))
    }
}

fn micros(started: Instant) -> f64 {
    let count = u32::try_from(BATCH).unwrap_or(1);
    started.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
