//! Every kind of entry: the tokens that it revokes, and those beside them that it does not.

use serde_json::{Value, json};

use crate::key::Signer as _;
use crate::resource::fixture::{Fixture, NOW};
use crate::resource::issuer_double::{IssuerDouble, until};
use crate::resource::{AccessError, ResourceConfig};

/// A token with everything that an entry can name.
fn full(double: &IssuerDouble, api: &Fixture) -> String {
    double.token(api, |claims| {
        claims["jti"] = json!("jti-1");
        claims["sid"] = json!("sid-1");
        claims["sub"] = json!("did:key:zOwner");
        claims["proven_key"] = json!({ "jkt": PROVEN, "method": "siwe" });
    })
}

const PROVEN: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
const STRANGER: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

#[tokio::test]
async fn each_kind_revokes_what_it_names_and_nothing_else() {
    let (iat, later) = (NOW.as_unix(), NOW.as_unix() + 1);
    let own = json!("the token's own key");
    for (entry, revokes) in [
        (json!({ "jti": "jti-1" }), true),
        (json!({ "jti": "jti-2" }), false),
        (json!({ "jti": "sid-1" }), false),
        (json!({ "sid": "sid-1" }), true),
        (json!({ "sid": "sid-2" }), false),
        (json!({ "jkt": own, "not_before": later }), true),
        (json!({ "jkt": own, "not_before": iat }), false),
        (json!({ "jkt": PROVEN, "not_before": later }), true),
        (json!({ "jkt": PROVEN, "not_before": iat }), false),
        (json!({ "jkt": STRANGER, "not_before": later }), false),
        (json!({ "sub": "did:key:zOwner", "not_before": later }), true),
        (json!({ "sub": "did:key:zOwner", "not_before": iat }), false),
        (json!({ "sub": "did:key:zOther", "not_before": later }), false),
        (json!({ "not_before": later }), true),
        (json!({ "not_before": iat }), false),
    ] {
        let double = IssuerDouble::start().await;
        let api = double.api(|config| config);
        let mut entry = entry;
        if entry["jkt"] == own {
            entry["jkt"] = json!(api.agent.public_key().thumbprint());
        }
        let shown: Value = entry.clone();
        let token = full(&double, &api);
        // The verdict about the token is kept from here on.
        assert!(api.ask_with(&token).await.is_ok(), "{shown}");
        double.revoke(entry);
        until(&api.server, |status| status.entries == 1).await;
        let outcome = api.ask_with(&token).await.err();
        assert_eq!(outcome, revokes.then_some(AccessError::TokenRevoked), "{shown}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_told_so() {
    let double = IssuerDouble::start().await;
    double.revoke(json!({ "jti": "jti-1" }));
    let api = double.api(|config| config);
    let error = api.ask_with(&full(&double, &api)).await.unwrap_err();
    let answer = api.server.refusal(&error);
    assert_eq!(answer.status(), 401);
    let body: Value = serde_json::from_str(answer.body()).unwrap();
    assert_eq!(
        (&body["error"], &body["reason"]),
        (&json!("invalid_token"), &json!("token_revoked"))
    );
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("DPoP ") && challenge.contains(r#"error="invalid_token""#));
    // Another token of the same session is another token.
    let other = double.token(&api, |claims| claims["sid"] = json!("sid-1"));
    assert!(api.ask_with(&other).await.is_ok());
}

#[tokio::test]
async fn who_does_not_hold_the_key_does_not_learn_of_it() {
    let double = IssuerDouble::start().await;
    double.revoke(json!({ "jti": "jti-1" }));
    let api = double.api(|config| config);
    let authorization = format!("DPoP {}", full(&double, &api));
    let outcome = api.ask(&[("authorization", &authorization)]).await;
    assert_eq!(outcome.unwrap_err(), AccessError::ProofMissing);
}

#[tokio::test]
async fn a_revoked_token_uses_no_proof_up() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config);
    let token = full(&double, &api);
    let proof = api.proof("GET", "/a", &token).await;
    let authorization = format!("DPoP {token}");
    let fields = [("authorization", &*authorization), ("dpop", &*proof)];
    double.revoke(json!({ "jti": "jti-1" }));
    for _ in 0..2 {
        assert_eq!(api.ask(&fields).await.unwrap_err(), AccessError::TokenRevoked);
    }
}

#[tokio::test]
async fn bearer_tokens_are_revoked_as_well() {
    for entry in [
        json!({ "jti": "jti-1" }),
        json!({ "sub": "did:key:zOwner", "not_before": NOW.plus(1) }),
        json!({ "jkt": PROVEN, "not_before": NOW.plus(1) }),
    ] {
        let double = IssuerDouble::start().await;
        let api = double.api(ResourceConfig::accept_unbound_tokens);
        let token = double.token(&api, |claims| {
            claims["jti"] = json!("jti-1");
            claims["sub"] = json!("did:key:zOwner");
            claims["proven_key"] = json!({ "jkt": PROVEN, "method": "siws" });
            claims.as_object_mut().unwrap().remove("cnf");
        });
        let bearer = format!("Bearer {token}");
        let fields = [("authorization", &*bearer)];
        assert!(api.ask(&fields).await.is_ok());
        double.revoke(entry);
        until(&api.server, |status| status.entries == 1).await;
        assert_eq!(api.ask(&fields).await.unwrap_err(), AccessError::TokenRevoked);
    }
}

#[tokio::test]
async fn what_is_over_is_forgotten() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config);
    double.revoke(json!({ "jti": "a", "until": NOW.plus(100) }));
    double.revoke(json!({ "jti": "b", "until": NOW.plus(900) }));
    api.server.follow_revocations().await;
    until(&api.server, |status| status.entries == 2).await;
    double.clock.advance(300);
    double.tick();
    until(&api.server, |status| status.entries == 1).await;
}
