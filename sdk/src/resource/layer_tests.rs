//! The layer and the extractors, alone and together, as an API would use them.

use axum::extract::State;
use axum::middleware;
use http::StatusCode;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::resource::fixture::{Fixture, RESOURCE};

required_scope! {
    Read = "escrow:read";
    Release = "escrow:release"
}

async fn hello(caller: Authenticated) -> String {
    caller.sub().to_owned()
}

async fn read(first: Scoped<Read>, again: Authenticated) -> String {
    assert_eq!(first.jkt(), again.jkt());
    first.into_caller().sub().to_owned()
}

async fn release(_: Scoped<Release>) -> &'static str {
    "released"
}

fn api(fixture: &Fixture) -> Router {
    let routes = Router::new()
        .route("/hello", get(hello))
        .route("/read", get(read))
        .route("/release", get(release));
    Router::new().nest("/nested", routes.clone()).merge(routes).with_state(fixture.server.clone())
}

async fn get_with(
    app: &Router,
    fixture: &Fixture,
    path: &str,
    nonce: Option<&str>,
) -> (StatusCode, Response) {
    let token = fixture.token(|_| ());
    let agent = &fixture.agent;
    let proof = fixture.proof_with(agent, "GET", path, &token, nonce).await;
    let request =
        Request::get(path).header("authorization", format!("DPoP {token}")).header("dpop", proof);
    let request = request.body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    (response.status(), response)
}

#[tokio::test]
async fn an_extractor_is_the_requirement() {
    let fixture = Fixture::new();
    let layered = api(&fixture).layer(fixture.server.layer());
    for app in [api(&fixture), layered] {
        for (path, status) in [
            ("/hello", 200),
            ("/read", 200),
            ("/nested/read", 200),
            ("/release", 403),
            ("/nested/release", 403),
        ] {
            let (got, response) = get_with(&app, &fixture, path, None).await;
            assert_eq!(got, status, "{path}");
            if status == 403 {
                let challenge = response.headers()["www-authenticate"].to_str().unwrap();
                assert!(challenge.contains(r#"scope="escrow:release""#));
            }
        }
        let request = Request::get("/hello").body(Body::empty()).unwrap();
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["content-type"], "application/json");
    }
}

#[tokio::test]
async fn the_layer_also_guards_handlers_that_ask_for_nobody() {
    let fixture = Fixture::new();
    let app =
        Router::new().route("/open", get(|| async { "inside" })).layer(fixture.server.layer());
    let request = Request::get("/open").body(Body::empty()).unwrap();
    assert_eq!(app.clone().oneshot(request).await.unwrap().status(), 401);
    assert_eq!(get_with(&app, &fixture, "/open", None).await.0, 200);
}

#[tokio::test]
async fn a_caller_of_another_server_is_none_of_ours() {
    let (inside, outside) = (Fixture::new(), Fixture::new());
    let app = api(&inside).layer(outside.server.layer());
    // The outer server lets its own caller in; the inner one checks for itself.
    assert_eq!(get_with(&app, &outside, "/hello", None).await.0, 401);
}

#[tokio::test]
async fn a_caller_of_another_request_is_nobody() {
    /// Runs another request on the extensions of its own, as a batch endpoint might.
    async fn forward(State(app): State<Router>, request: Request<Body>) -> Response {
        let (mut parts, body) = request.into_parts();
        parts.uri = "/read".parse().unwrap();
        parts.extensions.remove::<OriginalUri>();
        app.oneshot(Request::from_parts(parts, body)).await.unwrap()
    }
    let fixture = Fixture::new();
    let app = Router::new()
        .route("/batch", get(forward))
        .with_state(api(&fixture))
        .layer(fixture.server.layer());
    let (status, _) = get_with(&app, &fixture, "/batch", None).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn the_next_nonce_comes_with_the_answer() {
    let fixture = Fixture::with(crate::resource::ResourceConfig::require_nonce);
    let app = api(&fixture).layer(fixture.server.layer());
    let (status, response) = get_with(&app, &fixture, "/hello", None).await;
    assert_eq!(status, 401);
    let nonce = response.headers()[DPOP_NONCE].to_str().unwrap().to_owned();
    let (status, response) = get_with(&app, &fixture, "/hello", Some(&nonce)).await;
    assert_eq!(status, 200);
    assert!(!response.headers().contains_key(DPOP_NONCE));
    fixture.clock.advance(61);
    let (status, response) = get_with(&app, &fixture, "/hello", Some(&nonce)).await;
    assert_eq!(status, 200);
    assert_ne!(response.headers()[DPOP_NONCE], *nonce);
}

#[tokio::test]
async fn middleware_between_can_read_but_not_make_a_caller() {
    async fn log(State(seen): State<&'static str>, request: Request<Body>) -> String {
        let caller = request.extensions().get::<Caller>();
        format!("{seen} {}", caller.map_or("nobody", Caller::sub))
    }
    let fixture = Fixture::new();
    let app = Router::new()
        .route("/x", get(log))
        .with_state("saw")
        .layer(middleware::map_response(|response: Response| async { response }))
        .layer(fixture.server.layer());
    let (_, response) = get_with(&app, &fixture, "/x", None).await;
    let body = axum::body::to_bytes(response.into_body(), 1024).await;
    assert_eq!(body.unwrap(), "saw did:key:z6Mk");
}

#[tokio::test]
async fn the_metadata_is_open_to_all() {
    let fixture = Fixture::new();
    let app = api(&fixture).layer(fixture.server.layer()).merge(fixture.server.metadata_router());
    let request = Request::get("/.well-known/oauth-protected-resource");
    let request = request.body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = axum::body::to_bytes(response.into_body(), 4096).await;
    let document: Value = serde_json::from_slice(&body.unwrap()).unwrap();
    assert_eq!(document["resource"], RESOURCE);
}
