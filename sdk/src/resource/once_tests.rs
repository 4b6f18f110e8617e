//! A proof is good once: across waits, restarts and sweeps, and whoever else fills the memory.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::tests::refused;
use super::*;
use crate::key::Curve;
use crate::proof::replay::{MemoryReplayStore, ReplayStore};
use crate::resource::fixture::{BUILT, Fixture, ISSUER, NOW, RESOURCE, key_set, signer};
use crate::resource::used_proofs::UsedProofs;
use crate::resource::{FetchError, FetchedKeys, FixedKeys, KeySource, ResourceConfig};
use crate::time::{Clock, ManualClock};

/// Publishes one set that is fresh for a minute; from the second fetch on, fetching takes nine seconds.
#[derive(Debug)]
struct Slow {
    document: Vec<u8>,
    clock: Arc<ManualClock>,
    asked: AtomicBool,
}

#[async_trait::async_trait]
impl KeySource for Slow {
    async fn fetch(&self) -> Result<FetchedKeys, FetchError> {
        if self.asked.swap(true, Ordering::SeqCst) {
            self.clock.advance(9);
        }
        Ok(FetchedKeys { document: self.document.clone(), max_age: Some(60) })
    }
}

#[tokio::test]
async fn a_request_that_waited_for_keys_is_judged_by_the_time_after() {
    let (issuer, clock) = (signer(Curve::Ed25519), Arc::new(ManualClock::new(BUILT)));
    let source = Slow {
        document: key_set(&issuer, "a"),
        clock: Arc::clone(&clock),
        asked: AtomicBool::new(false),
    };
    let time = Arc::clone(&clock) as Arc<dyn Clock>;
    let mut fixture =
        Fixture::with(|config| config.key_source(Arc::new(source)).clock(Arc::clone(&time)));
    clock.set(NOW);
    (fixture.issuer, fixture.clock) = (issuer, clock);
    let token = fixture.token(|_| ());
    let proof = fixture.proof("GET", "/a", &token).await;
    let authorization = format!("DPoP {token}");
    let fields = [("authorization", &*authorization), ("dpop", &*proof)];
    assert!(fixture.ask(&fields).await.is_ok());
    fixture.clock.advance(60);
    let again = fixture.ask(&fields).await.unwrap_err();
    assert_eq!(again, AccessError::Proof(DpopError::TooOld(69)));
}

#[tokio::test]
async fn a_proof_that_was_used_before_a_restart_is_not_let_in_after_it() {
    let mut fixture = Fixture::new();
    let token = fixture.token(|_| ());
    let authorization = format!("DPoP {token}");
    let proof = fixture.proof("GET", "/a", &token).await;
    let fields = [("authorization", &*authorization), ("dpop", &*proof)];
    assert!(fixture.ask(&fields).await.is_ok());
    let keys = FixedKeys::new(key_set(&fixture.issuer, "a"));
    fixture.clock.set(NOW.plus(1));
    let config = ResourceConfig::new(ISSUER, RESOURCE)
        .key_source(Arc::new(keys))
        .without_revocations()
        .clock(Arc::clone(&fixture.clock) as Arc<dyn Clock>);
    let server = config.build().unwrap();
    let old = std::mem::replace(&mut fixture.server, server);
    for (later, why) in [
        (1, "use_dpop_nonce proof_nonce_required"),
        (60, "use_dpop_nonce proof_nonce_required"),
        (61, "invalid_dpop_proof proof_expired"),
    ] {
        fixture.clock.set(NOW.plus(later));
        refused(&fixture, &fields, 401, why).await;
    }
    // A clock that lags: whoever retries with the nonce is let in at once; one of the server before
    // is unknown. Everybody else notices nothing.
    fixture.clock.set(NOW);
    let AccessError::NonceNeeded { fresh } = fixture.ask_with(&token).await.unwrap_err() else {
        panic!("no nonce")
    };
    let foreign = old.fresh_nonce(NOW).unwrap();
    for (nonce, taken) in [(&foreign, false), (&fresh, true)] {
        let agent = &fixture.agent;
        let proof = fixture.proof_with(agent, "GET", "/a", &token, Some(nonce)).await;
        let fields = [("authorization", &*authorization), ("dpop", &*proof)];
        assert_eq!(fixture.ask(&fields).await.is_ok(), taken);
    }
    fixture.clock.set(NOW.plus(1));
    assert!(fixture.ask_with(&token).await.is_ok());
}

#[tokio::test]
async fn a_store_that_outlives_the_process_needs_no_nonce() {
    let store = Arc::new(MemoryReplayStore::new(10));
    let durable = |config: ResourceConfig| {
        config.replay_store(store as Arc<dyn ReplayStore>).replays_survive_restart(true)
    };
    let fixture = Fixture::with(durable);
    fixture.clock.set(BUILT);
    assert!(fixture.ask_with(&fixture.token(|_| ())).await.is_ok());
}

#[tokio::test]
async fn one_key_fills_its_share_of_the_memory_and_no_more() {
    let mut fixture = Fixture::with(|config| config.replay_capacity(32));
    let token = fixture.token(|claims| claims["exp"] = json!(NOW.plus(900).as_unix()));
    let proof = fixture.proof("GET", "/a", &token).await;
    let authorization = format!("DPoP {token}");
    let fields = [("authorization", &*authorization), ("dpop", &*proof)];
    assert!(fixture.ask(&fields).await.is_ok());
    for _ in 0..10 {
        assert_eq!(fixture.ask(&fields).await.err(), Some(AccessError::ProofReplayed));
    }
    assert!(fixture.ask_with(&token).await.is_ok(), "replays by others cost nothing");
    let error = fixture.ask_with(&token).await.unwrap_err();
    assert_eq!(error, AccessError::TooManyProofs);
    let answer = fixture.server.refusal(&error);
    assert_eq!((answer.status().as_u16(), error.reason()), (429, "rate_limited"));
    assert_eq!(answer.headers()["retry-after"], "5");
    let other = signer(Curve::Ed25519);
    let first = std::mem::replace(&mut fixture.agent, other);
    assert!(fixture.ask_with(&fixture.token(|_| ())).await.is_ok());
    fixture.agent = first;
    fixture.clock.advance(185);
    assert!(fixture.ask_with(&token).await.is_ok());
}

#[test]
fn used_proofs_leave_in_any_runtime_after_two_minutes_more() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let fixture = runtime().unwrap().block_on(async { Fixture::new() });
    let UsedProofs::Here(memory) = &fixture.server.0.used_proofs else { panic!("elsewhere") };
    // The clock may be set back by two minutes; ten seconds lie between two sweeps.
    for (later, left) in [(0, 1), (185, 2), (10, 2), (185, 2)] {
        fixture.clock.advance(later);
        let token = fixture.token(|_| ());
        runtime().unwrap().block_on(async {
            assert!(fixture.ask_with(&token).await.is_ok());
            for _ in 0..500 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                if memory.len() == left {
                    break;
                }
            }
        });
        assert_eq!(memory.len(), left, "{later}");
    }
}
