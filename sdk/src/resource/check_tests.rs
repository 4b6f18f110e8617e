//! Each refusal of the resource server, with its reason and its header.

use serde_json::{Value, json};

use super::*;
use crate::key::{Curve, Signer as _};
use crate::proof::replay::{MemoryReplayStore, ReplayStore};
use crate::resource::fixture::{Fixture, NOW, signer};
use crate::resource::{FixedKeys, ResourceConfig};

/// Status, reason and the challenges of the answer to a refused request.
pub(super) fn shown(
    fixture: &Fixture,
    outcome: Result<Caller, AccessError>,
) -> (u16, String, Vec<String>) {
    let answer = fixture.server.refusal(&outcome.unwrap_err());
    let body: Value = serde_json::from_str(answer.body()).unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(body["error_description"].as_str().unwrap().len() > 10);
    let challenges = answer.headers().get_all("www-authenticate").iter();
    let challenges = challenges.map(|value| value.to_str().unwrap().to_owned());
    (
        answer.status().as_u16(),
        format!("{} {}", body["error"].as_str().unwrap(), body["reason"].as_str().unwrap()),
        challenges.collect(),
    )
}

pub(super) async fn refused(
    fixture: &Fixture,
    fields: &[(&str, &str)],
    status: u16,
    why: &str,
) -> String {
    let (got_status, got_why, challenges) = shown(fixture, fixture.ask(fields).await);
    assert_eq!((got_status, &*got_why), (status, why));
    assert_eq!(challenges.len(), 1, "{challenges:?}");
    let challenge = challenges.first().unwrap().clone();
    assert!(challenge.starts_with("DPoP "), "{challenge}");
    assert!(challenge.ends_with(r#"algs="EdDSA Ed25519 ES256 ES256K""#));
    challenge
}

#[tokio::test]
async fn the_right_key_is_let_in_once() {
    let fixture = Fixture::new();
    let token = fixture.token(|_| ());
    let proof = fixture.proof("GET", "/a", &token).await;
    let authorization = format!("DPoP {token}");
    let fields = [("authorization", &*authorization), ("dpop", &*proof)];
    let caller = fixture.ask(&fields).await.unwrap();
    assert_eq!(caller.sub(), "did:key:z6Mk");
    assert_eq!(caller.jkt(), caller.token().cnf_jkt());
    assert_eq!(caller.require("escrow:read"), Ok(()));
    assert_eq!(
        caller.require("escrow:release"),
        Err(AccessError::InsufficientScope("escrow:release"))
    );
    let header = refused(&fixture, &fields, 401, "invalid_dpop_proof proof_replayed").await;
    assert!(header.contains(r#"error="invalid_dpop_proof""#));
    // Another proof by the same key is another request.
    assert!(fixture.ask_with(&token).await.is_ok());
}

#[tokio::test]
async fn of_many_with_one_proof_one_is_let_in() {
    let fixture = Arc::new(Fixture::new());
    let token = fixture.token(|_| ());
    let proof = fixture.proof("GET", "/a", &token).await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (fixture, proof) = (Arc::clone(&fixture), proof.clone());
            let authorization = format!("DPoP {token}");
            tokio::spawn(async move {
                let fields = [("authorization", &*authorization), ("dpop", &*proof)];
                fixture.ask(&fields).await
            })
        })
        .collect();
    let mut wins = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => wins += 1,
            Err(error) => assert_eq!(error, AccessError::ProofReplayed),
        }
    }
    assert_eq!(wins, 1);
}

#[tokio::test]
async fn who_brings_nothing_is_told_what_to_bring() {
    let fixture = Fixture::with(|config| config.realm("escrow").advertise_metadata());
    let (status, why, challenges) = shown(&fixture, fixture.ask(&[]).await);
    assert_eq!((status, &*why), (401, "invalid_token token_required"));
    assert_eq!(
        challenges,
        [concat!(
            r#"DPoP realm="escrow", algs="EdDSA Ed25519 ES256 ES256K", "#,
            r#"resource_metadata="https://api.example/.well-known/oauth-protected-resource""#
        )]
    );
    let forbidden = AccessError::InsufficientScope("escrow:release");
    let answer = fixture.server.refusal(&forbidden);
    assert_eq!(answer.status(), 403);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains(r#"error="insufficient_scope""#));
    assert!(challenge.contains(r#"scope="escrow:release""#));
}

#[tokio::test]
async fn two_of_anything_is_a_bad_request() {
    let fixture = Fixture::new();
    let token = fixture.token(|_| ());
    let authorization = format!("DPoP {token}");
    let proof = fixture.proof("GET", "/a", &token).await;
    let repeated = "invalid_request parameter_repeated";
    let (one, other) = (("authorization", &*authorization), ("dpop", &*proof));
    refused(&fixture, &[one, one, other], 400, repeated).await;
    refused(&fixture, &[one, other, other], 400, repeated).await;
    let bearer = ("authorization", "Bearer x");
    refused(&fixture, &[one, bearer, other], 400, repeated).await;
    let list = format!("DPoP {token}, Bearer x");
    let list = [("authorization", &*list), other];
    refused(&fixture, &list, 400, "invalid_request malformed_request").await;
    assert!(fixture.ask(&[one, other]).await.is_ok(), "nothing was used up");
}

#[tokio::test]
async fn a_bound_token_without_its_proof_is_waste_paper() {
    let fixture = Fixture::new();
    let token = fixture.token(|_| ());
    let (dpop, bearer) = (format!("DPoP {token}"), format!("Bearer {token}"));
    let proof = fixture.proof("GET", "/a", &token).await;
    let why = "invalid_dpop_proof proof_required";
    refused(&fixture, &[("authorization", &dpop)], 401, why).await;
    let why = "invalid_token bound_token_as_bearer";
    let header = refused(&fixture, &[("authorization", &bearer)], 401, why).await;
    assert!(header.contains(r#"error="invalid_token""#));
    let both = [("authorization", &*bearer), ("dpop", &*proof)];
    refused(&fixture, &both, 401, why).await;
    let garbage = [("authorization", &*dpop), ("dpop", "garbage")];
    refused(&fixture, &garbage, 401, "invalid_dpop_proof proof_invalid").await;
}

#[tokio::test]
async fn another_key_another_request_another_token() {
    let fixture = Fixture::new();
    let token = fixture.token(|_| ());
    let authorization = format!("DPoP {token}");
    let thief = signer(Curve::P256);
    let foreign = fixture.proof_with(&thief, "GET", "/a", &token, None).await;
    let other_path = fixture.proof("GET", "/b", &token).await;
    let other_method = fixture.proof("POST", "/a", &token).await;
    let other_token = fixture.proof("GET", "/a", "x").await;
    let old = fixture.proof("GET", "/a", &token).await;
    for (proof, why) in [
        (&foreign, "invalid_token proof_key_mismatch"),
        (&other_path, "invalid_dpop_proof proof_invalid"),
        (&other_method, "invalid_dpop_proof proof_invalid"),
        (&other_token, "invalid_dpop_proof proof_invalid"),
    ] {
        let fields = [("authorization", &*authorization), ("dpop", proof)];
        refused(&fixture, &fields, 401, why).await;
    }
    fixture.clock.advance(61);
    let fields = [("authorization", &*authorization), ("dpop", &*old)];
    refused(&fixture, &fields, 401, "invalid_dpop_proof proof_expired").await;
}

#[tokio::test]
async fn a_bad_token_says_what_is_wrong_with_it() {
    let fixture = Fixture::new();
    for (name, value, reason) in [
        ("aud", json!("https://other.example"), "token_audience"),
        ("iss", json!("https://evil.example"), "token_issuer"),
        ("exp", json!(1), "token_expired"),
        ("iat", json!(9_999_999), "token_not_yet_valid"),
        ("cnf", json!({}), "token_binding"),
        (
            "cnf",
            json!({ "jkt": fixture.agent.public_key().thumbprint(), "x5t#S256": "x" }),
            "token_binding",
        ),
        (
            "cnf",
            json!({ "jkt": fixture.agent.public_key().thumbprint(), "x": null }),
            "token_binding",
        ),
        ("sub", json!(1), "token_malformed"),
        ("sub", json!(""), "token_malformed"),
        ("jti", json!(""), "token_malformed"),
        ("act", json!({ "sub": "did:key:z6Mk" }), "token_constraint"),
        ("act", Value::Null, "token_constraint"),
        ("authorization_details", json!([]), "token_constraint"),
        ("exp", json!(NOW.plus(906).as_unix()), "token_lifetime"),
    ] {
        let token = fixture.token(|claims| claims[name] = value);
        let (status, why, _) = shown(&fixture, fixture.ask_with(&token).await);
        assert_eq!((status, why), (401, format!("invalid_token {reason}")));
    }
    let longest = fixture.token(|claims| claims["exp"] = json!(NOW.plus(905).as_unix()));
    assert!(fixture.ask_with(&longest).await.is_ok());
    let other = Fixture::new();
    let foreign = fixture.ask_with(&other.token(|_| ())).await;
    assert_eq!(shown(&fixture, foreign).1, "invalid_token token_signature");
    let long = format!("DPoP {}", "a".repeat(crate::resource::MAX_TOKEN_BYTES + 1));
    let why = "invalid_token token_malformed";
    refused(&fixture, &[("authorization", &long)], 401, why).await;
}

#[tokio::test]
async fn a_kept_verdict_ends_with_the_tokens_time() {
    let fixture = Fixture::new();
    let token = fixture.token(|_| ());
    assert!(fixture.ask_with(&token).await.is_ok());
    assert_eq!(fixture.server.0.verdicts.len(), 1);
    fixture.clock.advance(304);
    assert!(fixture.ask_with(&token).await.is_ok(), "within the leeway");
    fixture.clock.advance(1);
    let late = fixture.ask_with(&token).await.unwrap_err();
    assert_eq!(late, AccessError::Token(TokenError::Expired(5)));
}

#[tokio::test]
async fn unbound_tokens_are_taken_only_where_the_policy_says_so() {
    let unbound = |claims: &mut Value| {
        claims.as_object_mut().unwrap().remove("cnf");
    };
    let strict = Fixture::new();
    let bearer = format!("Bearer {}", strict.token(unbound));
    let why = "invalid_token bearer_not_accepted";
    refused(&strict, &[("authorization", &bearer)], 401, why).await;
    let why = "invalid_token token_not_bound";
    let as_dpop = bearer.replace("Bearer", "DPoP");
    refused(&strict, &[("authorization", &as_dpop)], 401, why).await;

    let lenient = Fixture::with(ResourceConfig::accept_unbound_tokens);
    let token = lenient.token(unbound);
    let bearer = format!("Bearer {token}");
    let caller = lenient.ask(&[("authorization", &bearer)]).await.unwrap();
    assert_eq!(caller.jkt(), None);
    let proof = lenient.proof("GET", "/a", &token).await;
    let both = [("authorization", &*bearer), ("dpop", &*proof)];
    let (status, why, challenges) = shown(&lenient, lenient.ask(&both).await);
    assert_eq!((status, &*why), (401, "invalid_token proof_with_bearer"));
    assert!(challenges[0].starts_with("DPoP ") && challenges[1].starts_with("Bearer "));
    let bound = format!("Bearer {}", lenient.token(|_| ()));
    let (_, why, _) = shown(&lenient, lenient.ask(&[("authorization", &bound)]).await);
    assert_eq!(why, "invalid_token bound_token_as_bearer");
}

#[tokio::test]
async fn a_required_nonce_is_asked_for_and_renewed() {
    let fixture = Fixture::with(ResourceConfig::require_nonce);
    let token = fixture.token(|_| ());
    let error = fixture.ask_with(&token).await.unwrap_err();
    let AccessError::NonceNeeded { fresh } = &error else { panic!("{error}") };
    let answer = fixture.server.refusal(&error);
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.headers()["dpop-nonce"], **fresh);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains(r#"error="use_dpop_nonce""#));
    let authorization = format!("DPoP {token}");
    for (later, renews) in [(0, false), (61, true)] {
        fixture.clock.advance(later);
        let agent = &fixture.agent;
        let proof = fixture.proof_with(agent, "GET", "/a", &token, Some(fresh));
        let fields = [("authorization", &*authorization), ("dpop", &*proof.await)];
        let caller = fixture.ask(&fields).await.unwrap();
        assert_eq!(caller.wants_nonce(), renews);
    }
    fixture.clock.advance(60);
    let agent = &fixture.agent;
    let proof = fixture.proof_with(agent, "GET", "/a", &token, Some(fresh));
    let fields = [("authorization", &*authorization), ("dpop", &*proof.await)];
    let why = "use_dpop_nonce proof_nonce_required";
    refused(&fixture, &fields, 401, why).await;
}

#[tokio::test]
async fn what_we_cannot_find_out_is_our_fault() {
    let mut full = Fixture::with(|config| config.replay_capacity(1));
    assert!(full.ask_with(&full.token(|_| ())).await.is_ok());
    full.agent = signer(Curve::P256);
    let token = full.token(|_| ());
    let (status, why, challenges) = shown(&full, full.ask_with(&token).await);
    assert_eq!((status, &*why), (503, "temporarily_unavailable store_unavailable"));
    assert!(challenges.is_empty());
    let broken = FixedKeys::new("no set");
    let keyless = Fixture::with(|config| config.key_source(Arc::new(broken)));
    let outcome = keyless.ask_with(&keyless.token(|_| ())).await;
    let answer = keyless.server.refusal(outcome.as_ref().unwrap_err());
    assert_eq!(answer.headers()["retry-after"], "5");
    let why = "temporarily_unavailable issuer_unavailable";
    assert_eq!(shown(&keyless, outcome).1, why);
}

#[tokio::test]
async fn a_store_elsewhere_is_asked() {
    let store = Arc::new(MemoryReplayStore::new(10));
    let shared = Arc::clone(&store) as Arc<dyn ReplayStore>;
    let fixture = Fixture::with(|config| config.replay_store(shared));
    assert!(fixture.ask_with(&fixture.token(|_| ())).await.is_ok());
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn the_public_url_and_its_prefix_are_what_a_proof_names() {
    let fixture = Fixture::with(|config| config.public_url("https://api.example/v1/"));
    let token = fixture.token(|_| ());
    let proof = fixture.proof("GET", "/v1/a", &token).await;
    let authorization = format!("DPoP {token}");
    let fields = [("authorization", &*authorization), ("dpop", &*proof)];
    assert!(fixture.ask(&fields).await.is_ok());
    let error = fixture.ask_with(&token).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("https://api.example/v1/a"), "{text}");
}

#[tokio::test]
async fn a_path_that_is_not_in_normal_form_is_a_bad_request() {
    let fixture = Fixture::new();
    let token = fixture.token(|_| ());
    let proof = fixture.proof("GET", "/release", &token).await;
    let authorization = format!("DPoP {token}");
    let fields = [("authorization", &*authorization), ("dpop", &*proof)];
    let headers = crate::resource::fixture::headers(&fields);
    for path in ["/x/../release", "/x/%2e%2E/release?q", "/./release"] {
        let request = RequestHead { method: "GET", path_and_query: path, headers: &headers };
        let outcome = fixture.server.authenticate(&request).await;
        let (status, why, _) = shown(&fixture, outcome);
        assert_eq!((status, &*why), (400, "invalid_request malformed_request"), "{path}");
    }
}

#[tokio::test]
async fn a_key_that_is_known_decides_nothing() {
    let fixture = Fixture::new();
    let token = fixture.token(|_| ());
    assert!(fixture.ask_with(&token).await.is_ok());
    assert!(fixture.ask_with(&token).await.is_ok());
    let authorization = format!("DPoP {token}");
    let thief = signer(Curve::Ed25519);
    let foreign = fixture.proof_with(&thief, "GET", "/a", &token, None).await;
    let fields = [("authorization", &*authorization), ("dpop", &*foreign)];
    refused(&fixture, &fields, 401, "invalid_token proof_key_mismatch").await;
    // The owner's public key in the header, another signature below it.
    let good = fixture.proof("GET", "/a", &token).await;
    let (input, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = foreign.rsplit_once('.').unwrap();
    let mixed = format!("{input}.{signature}");
    let fields = [("authorization", &*authorization), ("dpop", &*mixed)];
    refused(&fixture, &fields, 401, "invalid_dpop_proof proof_invalid").await;
}
