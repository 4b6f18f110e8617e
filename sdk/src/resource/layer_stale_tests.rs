//! What goes on while nobody knows the newest revocations, and what does not.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use serde_json::json;
use tower::ServiceExt as _;

use crate::resource::fixture::{Fixture, NOW, headers};
use crate::resource::issuer_double::{IssuerDouble, Script, current, until};
use crate::resource::{
    AccessError, Authenticated, Caller, RequestHead, ResourceConfig, ResourceServer, Scoped,
};

crate::required_scope! {
    Read = "escrow:read";
    Pay = "read"
}

/// Each way to a handler, with whether it is open when the view is stale.
fn routes(server: &ResourceServer) -> Router {
    Router::new()
        .route("/open", get(|_: Scoped<Read>| async { "in" }))
        .route("/closed", get(|_: Scoped<Pay>| async { "in" }))
        .route("/unscoped", get(|_: Authenticated| async { "in" }))
        .route("/both", get(|_: Scoped<Read>, _: Scoped<Pay>| async { "in" }))
        .route(
            "/required",
            get(|caller: Scoped<Read>| async move {
                caller.require("read").map_or_else(|error| error.reason(), |()| "in")
            }),
        )
        .route(
            "/extension",
            get(|request: Request<Body>| async move {
                request.extensions().get::<Caller>().map_or("nobody", |_| "a caller")
            }),
        )
        .with_state(server.clone())
}

async fn status(app: &Router, double: &IssuerDouble, api: &Fixture, path: &str) -> (u16, String) {
    let token = double.token(api, |_| ());
    let proof = api.proof("GET", path, &token).await;
    let request =
        Request::get(path).header("authorization", format!("DPoP {token}")).header("dpop", proof);
    let request = request.body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn past_the_bound_only_open_scopes_are_served() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config);
    api.server.follow_revocations().await;
    let bare = routes(&api.server);
    let layered = bare.clone().layer(api.server.layer());
    let by_scope = bare.clone().layer(api.server.layer().staleness_by_scope());
    double.down(true);
    double.clock.advance(30);
    for path in ["/open", "/closed", "/unscoped", "/both", "/required"] {
        for app in [&bare, &layered, &by_scope] {
            assert_eq!(status(app, &double, &api, path).await, (200, "in".to_owned()), "{path}");
        }
    }
    assert_eq!(status(&layered, &double, &api, "/extension").await.1, "a caller");
    double.clock.advance(1);
    for (path, of_bare, of_layered, of_by_scope) in [
        ("/open", 200, 503, 200),
        ("/closed", 503, 503, 503),
        ("/unscoped", 503, 503, 503),
        ("/both", 503, 503, 503),
        ("/required", 200, 503, 200),
    ] {
        for (app, expected) in [(&bare, of_bare), (&layered, of_layered), (&by_scope, of_by_scope)]
        {
            let (got, body) = status(app, &double, &api, path).await;
            assert_eq!(got, expected, "{path}");
            if expected == 503 {
                assert!(body.contains(r#""error":"temporarily_unavailable""#), "{body}");
                assert!(body.contains(r#""reason":"revocations_stale""#), "{body}");
            }
        }
    }
    assert_eq!(status(&by_scope, &double, &api, "/required").await.1, "revocations_stale");
    // Whoever looks past the extractors finds nobody.
    assert_eq!(status(&by_scope, &double, &api, "/extension").await, (200, "nobody".to_owned()));
    assert_eq!(status(&layered, &double, &api, "/extension").await.0, 503);
    let answer = api.server.refusal(&AccessError::RevocationsStale);
    assert_eq!(answer.headers()["retry-after"], "5");
    assert!(!answer.headers().contains_key("www-authenticate"));
}

#[tokio::test]
async fn without_an_extractor_the_demand_is_the_strict_one_too() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config);
    api.server.follow_revocations().await;
    double.down(true);
    double.clock.advance(31);
    let token = double.token(&api, |_| ());
    assert_eq!(api.ask_with(&token).await.unwrap_err(), AccessError::RevocationsStale);
    let ask_for = async |scope| {
        let proof = api.proof("GET", "/a", &token).await;
        let authorization = format!("DPoP {token}");
        let headers = headers(&[("authorization", &*authorization), ("dpop", &*proof)]);
        let request = RequestHead { method: "GET", path_and_query: "/a", headers: &headers };
        api.server.authenticate_scoped(&request, scope).await
    };
    assert_eq!(ask_for("read").await.unwrap_err(), AccessError::RevocationsStale);
    let caller = ask_for("escrow:read").await.unwrap();
    assert!(caller.is_stale());
    assert_eq!(caller.require("escrow:read"), Ok(()));
    assert_eq!(caller.require("read"), Err(AccessError::RevocationsStale));
    let never = AccessError::InsufficientScope("escrow:release");
    assert_eq!(caller.require("escrow:release"), Err(never));
}

#[tokio::test]
async fn a_token_without_an_open_scope_does_not_pass_the_layer() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config.open_when_stale(["other:read"]));
    api.server.follow_revocations().await;
    double.down(true);
    double.clock.advance(31);
    let app = routes(&api.server).layer(api.server.layer().staleness_by_scope());
    assert_eq!(status(&app, &double, &api, "/extension").await.0, 503);
}

#[tokio::test]
async fn what_is_known_to_be_revoked_is_refused_by_an_old_view_too() {
    let double = IssuerDouble::start().await;
    double.revoke(json!({ "jti": "1" }));
    let api = double.api(|config| config);
    api.server.follow_revocations().await;
    double.down(true);
    double.clock.advance(100);
    let app = routes(&api.server);
    let (got, body) = status(&app, &double, &api, "/open").await;
    assert_eq!(got, 401);
    assert!(body.contains("token_revoked"), "{body}");
}

#[tokio::test]
async fn it_recovers_with_the_issuer() {
    let double = IssuerDouble::start().await;
    let api = double.api(|config| config);
    let app = routes(&api.server);
    assert_eq!(status(&app, &double, &api, "/closed").await.0, 200);
    double.down(true);
    double.clock.advance(31);
    assert_eq!(status(&app, &double, &api, "/closed").await.0, 503);
    let failed = until(&api.server, |status| status.last_failure.is_some()).await;
    assert_eq!((failed.stale, failed.age), (true, Some(31)));
    double.revoke(json!({ "jti": "2" }));
    double.down(false);
    let back = until(&api.server, |status| !status.stale).await;
    assert_eq!((back.as_of, back.entries, back.last_failure), (Some(NOW.plus(31)), 1, None));
    assert_eq!(status(&app, &double, &api, "/closed").await.0, 200);
    // And goes on to listen.
    double.clock.advance(29);
    current(&double, &api.server).await;
}

#[tokio::test]
async fn at_a_cold_start_the_first_request_waits_for_the_first_answer() {
    let double = IssuerDouble::start().await;
    double.revoke(json!({ "jti": "1" }));
    let api = double.api(|config| config);
    assert_eq!(api.server.revocation_status().as_of, None);
    assert!(double.asked().is_empty(), "nobody is asked before a request");
    let refused = api.ask_with(&double.token(&api, |_| ())).await.unwrap_err();
    assert_eq!(refused, AccessError::TokenRevoked);
}

#[tokio::test]
async fn an_issuer_without_a_feed_closes_all_but_the_open_scopes() {
    let double = IssuerDouble::start().await;
    double.metadata(json!({ "revocation_feed_endpoint": null }));
    let api = double.api(|config| config);
    let app = routes(&api.server);
    assert_eq!(status(&app, &double, &api, "/closed").await.0, 503);
    assert_eq!(status(&app, &double, &api, "/open").await.0, 200);
    let status = api.server.revocation_status();
    assert!(status.stale && status.followed && status.as_of.is_none());
    let failure = status.last_failure.unwrap();
    assert!(failure.contains("there is no revocation_feed_endpoint"), "{failure}");
}

#[tokio::test]
async fn a_feed_on_another_origin_is_not_asked() {
    let (double, other) = (IssuerDouble::start().await, IssuerDouble::start().await);
    let elsewhere = format!("{}/revocations", other.issuer);
    double.metadata(json!({ "revocation_feed_endpoint": elsewhere }));
    let api = double.api(|config| config);
    let failure = api.server.follow_revocations().await.last_failure.unwrap();
    assert!(failure.contains("not on the issuer's own origin"), "{failure}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_silent_issuer_holds_up_the_first_requests_alone() {
    let double = IssuerDouble::start().await;
    double.script([Script::Silence]);
    let api = double.api(|config| config);
    let token = double.token(&api, |_| ());
    let both = async { tokio::join!(api.ask_with(&token), api.ask_with(&token)) };
    let patience = std::time::Duration::from_secs(10);
    let (one, other) = tokio::time::timeout(patience, both).await.unwrap();
    assert_eq!(one.unwrap_err(), AccessError::RevocationsStale);
    assert_eq!(other.unwrap_err(), AccessError::RevocationsStale);
    let at_once = std::time::Duration::from_secs(1);
    let third = tokio::time::timeout(at_once, api.ask_with(&token)).await.unwrap();
    assert_eq!(third.unwrap_err(), AccessError::RevocationsStale);
}

#[tokio::test]
async fn more_revocations_than_are_kept_close_and_none_is_forgotten() {
    let double = IssuerDouble::start().await;
    for jti in ["1", "2"] {
        double.revoke(json!({ "jti": jti, "until": NOW.plus(10) }));
    }
    let api = double.api(|config| config.revocation_capacity(2));
    let app = routes(&api.server);
    let other = |claims: &mut serde_json::Value| claims["jti"] = json!("9");
    assert!(api.ask_with(&double.token(&api, other)).await.is_ok());
    double.revoke(json!({ "jti": "3" }));
    let full = until(&api.server, |status| status.last_failure.is_some()).await;
    assert!(full.stale && full.entries == 2, "{full:?}");
    let outcome = api.ask_with(&double.token(&api, other)).await;
    assert_eq!(outcome.unwrap_err(), AccessError::RevocationsStale);
    assert_eq!(status(&app, &double, &api, "/open").await.0, 401, "the first is still known");
    // Two of them end, and a whole new view finds room.
    double.clock.advance(300);
    let back = until(&api.server, |status| !status.stale).await;
    assert_eq!(back.entries, 1);
}

#[tokio::test]
async fn a_service_says_what_it_does_about_revocations() {
    let keys = || std::sync::Arc::new(crate::resource::FixedKeys::new("{}"));
    let config = || ResourceConfig::new("https://auth.example", "https://api.example");
    let unsaid = config().key_source(keys()).build().unwrap_err();
    assert!(unsaid.iter().any(|fault| fault.starts_with("revocation_source:")), "{unsaid}");
    let server = config().key_source(keys()).without_revocations().build().unwrap();
    let status = server.follow_revocations().await;
    assert!(!status.followed && !status.stale && status.as_of.is_none());
    let feed = crate::resource::IssuerFeed::new("https://auth.example").unwrap();
    let given = config().key_source(keys()).revocation_source(std::sync::Arc::new(feed));
    assert!(given.build().is_ok());
}
