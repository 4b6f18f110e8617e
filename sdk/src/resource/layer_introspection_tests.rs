//! A route that asks the issuer at every request: what lets in, and all that does not.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::key::{Curve, InMemorySigner, Signer};
use crate::proof::jwt_assertion;
use crate::resource::fixture::{Fixture, NOW, RESOURCE, signer};
use crate::resource::issuer_double::IssuerDouble;
use crate::resource::{AccessError, Introspected, ResourceConfig};

crate::required_scope! {
    Release = "escrow:read";
    Foreign = "escrow:release"
}

/// Asks the route with a good token; gives status and reason, or the handler's answer.
async fn ask(api: &Fixture, token: &str, path: &str) -> (u16, String) {
    let app = Router::new()
        .route(
            "/release",
            get(|caller: Introspected<Release>| async move { caller.sub().to_owned() }),
        )
        .route("/foreign", get(|_: Introspected<Foreign>| async { "in" }))
        .with_state(api.server.clone());
    let proof = api.proof("GET", path, token).await;
    let request =
        Request::get(path).header("authorization", format!("DPoP {token}")).header("dpop", proof);
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let reason = serde_json::from_str::<Value>(&text).ok();
    (status, reason.map_or(text, |body| body["reason"].as_str().unwrap().to_owned()))
}

/// What the issuer says of the token that `ask` is given.
fn live(double: &IssuerDouble, api: &Fixture) -> Value {
    json!({
        "active": true, "iss": double.issuer, "sub": "did:key:z6Mk", "aud": RESOURCE, "jti": "1",
        "cnf": { "jkt": api.agent.public_key().thumbprint() }, "token_type": "DPoP",
    })
}

fn with_key(config: ResourceConfig) -> ResourceConfig {
    config.introspect_as(Arc::new(signer(Curve::Ed25519)))
}

#[tokio::test]
async fn a_live_token_is_let_in_and_the_resource_signs_for_itself() {
    let double = IssuerDouble::start().await;
    let key = Arc::new(signer(Curve::Ed25519));
    let own: Arc<dyn Signer> = Arc::clone(&key) as Arc<dyn Signer>;
    let api = double.api(|config| config.introspect_as(own));
    let token = double.token(&api, |_| ());
    double.says(200, live(&double, &api));
    for _ in 0..2 {
        assert_eq!(ask(&api, &token, "/release").await, (200, "did:key:z6Mk".to_owned()));
    }
    let mut seen = Vec::new();
    for (authorization, body) in double.posted() {
        assert_eq!(authorization, "");
        let form: Vec<(String, String)> =
            url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let field = |name: &str| &form.iter().find(|(key, _)| key == name).unwrap().1;
        assert_eq!(field("token"), &token);
        assert_eq!(
            field("client_assertion_type"),
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        let expected = jwt_assertion::Expected { issuer: &double.issuer, skew: 0, now: NOW };
        let assertion = jwt_assertion::check(field("client_assertion"), &expected).unwrap();
        assert_eq!(assertion.key(), key.public_key());
        seen.push(assertion.replay_key());
    }
    assert_eq!(seen.len(), 2, "each request asks");
    assert_ne!(seen[0], seen[1]);
}

/// Who has too many questions is not asked where it is as well.
#[tokio::test]
async fn a_busy_issuer_lets_nobody_in_and_is_not_looked_up_again() {
    let double = IssuerDouble::start().await;
    let api = double.api(with_key);
    let token = double.token(&api, |_| ());
    double.says(200, live(&double, &api));
    assert_eq!(ask(&api, &token, "/release").await.0, 200);
    let looked_up = double.metadata_asked();
    for (status, more) in [(429, 0), (503, 0), (500, 0), (429, 1)] {
        double.says(status, json!({}));
        let outcome = ask(&api, &token, "/release").await;
        assert_eq!(outcome, (503, "issuer_unavailable".to_owned()), "{status}");
        assert_eq!(double.metadata_asked() - looked_up, more, "{status}");
    }
}

#[tokio::test]
async fn an_answer_about_anything_else_lets_nobody_in() {
    let double = IssuerDouble::start().await;
    let api = double.api(with_key);
    let token = double.token(&api, |_| ());
    let stranger = signer(Curve::Ed25519).public_key().thumbprint();
    let own = api.agent.public_key().thumbprint();
    for (name, value) in [
        ("iss", json!("https://other.example")),
        ("sub", json!("did:key:z6Other")),
        ("aud", json!("https://other.example")),
        ("jti", json!("2")),
        ("cnf", json!({ "jkt": stranger })),
        ("cnf", json!([own])),
        ("active", json!("true")),
        ("active", json!(1)),
    ] {
        let mut answer = live(&double, &api);
        answer[name] = value;
        double.says(200, answer.clone());
        let outcome = ask(&api, &token, "/release").await;
        assert_eq!(outcome, (503, "issuer_unavailable".to_owned()), "{answer}");
    }
    for name in ["active", "sub", "aud", "jti", "cnf"] {
        let mut answer = live(&double, &api);
        answer.as_object_mut().unwrap().remove(name);
        double.says(200, answer);
        let outcome = ask(&api, &token, "/release").await;
        assert_eq!(outcome, (503, "issuer_unavailable".to_owned()), "without {name}");
    }
    let mut list = live(&double, &api);
    list["aud"] = json!(["https://other.example", RESOURCE]);
    double.says(200, list);
    assert_eq!(ask(&api, &token, "/release").await.0, 200);
}

#[tokio::test]
async fn an_issuer_that_says_no_or_nothing_lets_nobody_in() {
    let double = IssuerDouble::start().await;
    let api = double.api(with_key);
    let token = double.token(&api, |_| ());
    double.says(200, json!({ "active": false }));
    let revoked = (401, "token_revoked".to_owned());
    assert_eq!(ask(&api, &token, "/release").await, revoked);
    let unavailable = (503, "issuer_unavailable".to_owned());
    for status in [401, 302, 500] {
        double.says(status, live(&double, &api));
        assert_eq!(ask(&api, &token, "/release").await, unavailable, "{status}");
    }
    double.says(200, json!({ "active": true, "x": "y".repeat(64 * 1024) }));
    assert_eq!(ask(&api, &token, "/release").await, unavailable);
    double.says(200, live(&double, &api));
    double.down(true);
    assert_eq!(ask(&api, &token, "/release").await, unavailable);
    double.down(false);
    assert_eq!(ask(&api, &token, "/release").await.0, 200);
    double.metadata(json!({ "introspection_endpoint": null }));
    double.says(500, json!({}));
    assert_eq!(ask(&api, &token, "/release").await, unavailable);
    double.says(200, live(&double, &api));
    assert_eq!(ask(&api, &token, "/release").await, unavailable, "there is no endpoint any more");
}

#[tokio::test]
async fn all_that_a_scope_demands_is_demanded_first() {
    let double = IssuerDouble::start().await;
    let api = double.api(with_key);
    let token = double.token(&api, |_| ());
    double.says(200, live(&double, &api));
    let outcome = ask(&api, &token, "/foreign").await;
    assert_eq!(outcome, (403, "scope_not_granted".to_owned()));
    let garbage = ask(&api, "x.y.z", "/release").await;
    assert_eq!(garbage, (401, "token_malformed".to_owned()));
    assert!(double.posted().is_empty(), "the issuer is asked about good tokens alone");
}

#[tokio::test]
async fn a_route_that_cannot_ask_is_a_fault_of_the_service() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config);
    let token = double.token(&api, |_| ());
    let outcome = ask(&api, &token, "/release").await;
    assert_eq!(outcome, (500, "introspection_not_configured".to_owned()));
    let answer = api.server.refusal(&AccessError::IntrospectionNotConfigured);
    assert!(!answer.headers().contains_key("www-authenticate"));
}

#[tokio::test]
async fn a_secret_is_sent_as_stock_libraries_send_it() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config.introspect_with_secret("s+ cr:t"));
    let token = double.token(&api, |_| ());
    double.says(200, live(&double, &api));
    assert_eq!(ask(&api, &token, "/release").await.0, 200);
    let (authorization, body) = double.posted().remove(0);
    let encoded = authorization.strip_prefix("Basic ").unwrap();
    let pair = String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap();
    assert_eq!(pair, "https%3A%2F%2Fapi.example:s%2B+cr%3At");
    assert_eq!(body, format!("token={token}"));
}

#[test]
fn what_cannot_sign_or_is_empty_is_told_at_once() {
    let config = || ResourceConfig::new("https://auth.example", RESOURCE);
    let p256: InMemorySigner = signer(Curve::P256);
    let errors = config().introspect_as(Arc::new(p256)).build().unwrap_err();
    assert!(errors.iter().any(|fault| fault.starts_with("introspect_as:")), "{errors}");
    let errors = config().introspect_with_secret("").build().unwrap_err();
    assert!(errors.iter().any(|fault| fault.starts_with("introspect_with_secret:")), "{errors}");
    let config = config().introspect_with_secret("hush-hush");
    assert!(!format!("{config:?}").contains("hush"));
}
