//! The table: which path leads where.

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};
use countersign_sdk::chain::lnurl::CALL_BACK_PATH;

use super::layers::Gate;
use super::metadata::Documents;
use super::work::Work;
use super::{
    admin, challenge, error, health, introspect, layers, lnurl, metadata, nonce, revocations,
    revoke, sessions, token,
};
use crate::service::admin::Desk;
use crate::service::context::Context;

/// The keys of the issuer.
pub(super) const KEYS: &str = "/.well-known/jwks.json";
/// Its metadata.
pub(super) const METADATA: &str = "/.well-known/oauth-authorization-server";
/// What it has revoked.
pub(super) const FEED: &str = "/revocations";

/// What every handler is given.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The use cases' context.
    pub context: Arc<Context>,
    /// The documents that do not change.
    pub documents: Arc<Documents>,
    /// The bounds on requests.
    pub gate: Arc<Gate>,
    /// What is under way, whether or not its client waits.
    pub work: Work,
}

/// The public listener.
pub fn public(state: AppState) -> Router {
    let issuer_path = state.context.issuer.path.clone();
    let endpoints = Router::new()
        .route(KEYS, get(metadata::jwks))
        .route(METADATA, get(metadata::metadata))
        .route("/nonce", get(nonce::get))
        .route("/challenge", post(challenge::post))
        .route("/token", post(token::post))
        .route("/sessions", get(sessions::list).delete(sessions::end_all))
        .route("/sessions/{id}", delete(sessions::end))
        .route("/revoke", post(revoke::post))
        .route("/introspect", post(introspect::post))
        .route(FEED, get(revocations::get))
        .route(CALL_BACK_PATH, get(lnurl::get));
    let routes = if issuer_path.is_empty() {
        endpoints
    } else {
        // RFC 8414 §3.1: the well-known path stands between host and the issuer's own path.
        Router::new()
            .route(&format!("{METADATA}{issuer_path}"), get(metadata::metadata))
            .nest(&issuer_path, endpoints)
    };
    layers::wrap(
        routes.method_not_allowed_fallback(error::method_not_allowed).fallback(error::not_found),
        &state,
    )
    .with_state(state)
}

/// The operations listener: health, and the desk of the operators where there are any.
pub fn operations(health: Arc<health::Health>, desk: Option<(AppState, Arc<Desk>)>) -> Router {
    let routes = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .method_not_allowed_fallback(error::method_not_allowed)
        .fallback(error::not_found)
        .with_state(health);
    match desk {
        Some((state, desk)) => routes.merge(admin::routes(state, desk)),
        None => routes,
    }
}
