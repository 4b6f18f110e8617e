//! What stands around every endpoint: CORS, the request limit, the log line of a refusal.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Version, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::error::{Answered, ErrorAnswer};
use super::extract::{BodyLimits, single};
use super::router::{AppState, FEED, KEYS, METADATA};
use crate::limit::{Lane, OverLimit, RequestLimit};
use crate::model::domain::{Domains, is_loopback_authority};
use crate::model::reason::{Reason, Refusal};

/// The bounds that requests pass.
#[derive(Debug)]
pub struct Gate {
    /// How much body is read, and for how long.
    pub body: BodyLimits,
    /// How many requests one address may make.
    pub requests: RequestLimit,
}

/// The other end of the connection, put into each request's extensions by `serve`.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Seconds for which browsers may keep a preflight's answer.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(600);

/// Puts the layers around `routes`; CORS outermost, so that errors carry its headers too.
pub(crate) fn wrap(routes: Router<AppState>, state: &AppState) -> Router<AppState> {
    let domains = state.context.rules.domains.clone();
    let dpop = HeaderName::from_static("dpop");
    let dpop_nonce = HeaderName::from_static("dpop-nonce");
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin: &HeaderValue, _| {
            origin.to_str().is_ok_and(|origin| domains.allows_origin(origin))
        }))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION, dpop])
        .expose_headers([dpop_nonce, header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        .max_age(PREFLIGHT_MAX_AGE);
    routes.layer(from_fn_with_state(state.clone(), pass)).layer(cors)
}

/// The same without CORS, for routes that no page calls.
pub(crate) fn guard<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    state: &AppState,
) -> Router<S> {
    routes.layer(from_fn_with_state(state.clone(), pass))
}

/// Lets a request through the limit, and logs what became of it where it failed.
async fn pass(State(state): State<AppState>, request: Request<Body>, next: Next) -> Response {
    if let Err(over) = count(&state, &request) {
        return too_many(over);
    }
    if let Err(refusal) = check_host(&request, &state.context.rules.domains) {
        return ErrorAnswer::from(refusal).into_response();
    }
    // The route, not the path: clients put all kinds of things into paths.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().clone();
    let mut response = next.run(request).await;
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    if let Some(Answered(reason)) = response.extensions().get() {
        let (status, reason) = (response.status().as_u16(), reason.code());
        if response.status().is_server_error() {
            tracing::error!(%method, route, status, reason, "request failed");
        } else {
            tracing::debug!(%method, route, status, reason, "request refused");
        }
    }
    response
}

/// One `Host`, as RFC 9112 §3.2 demands. In development it must be this machine: a page elsewhere
/// whose name was made to lead here (DNS rebinding) gets nothing.
fn check_host(request: &Request<Body>, domains: &Domains) -> Result<(), Refusal> {
    let refused = |detail| Err(Refusal::new(Reason::MalformedRequest, detail));
    let Some(host) = single(request.headers(), &header::HOST)? else {
        // HTTP/1.0 has none.
        return match request.version() {
            Version::HTTP_11 => refused("the request has no Host"),
            _ => Ok(()),
        };
    };
    if host.parse::<Authority>().is_err() || host.contains('@') {
        return refused("Host is not a host and a port");
    }
    match domains {
        Domains::Loopback if !is_loopback_authority(host) => {
            refused("in development, Host is an address of this machine")
        }
        Domains::Loopback | Domains::Listed(_) => Ok(()),
    }
}

fn count(state: &AppState, request: &Request<Body>) -> Result<(), OverLimit> {
    let limit = &state.gate.requests;
    if !limit.is_on() {
        return Ok(());
    }
    limit.count(client_of(limit, request), lane_of(&state.context.issuer.path, request))
}

/// By the route, so that no other path finds its way into the lane of what verifies tokens.
fn lane_of(issuer_path: &str, request: &Request<Body>) -> Lane {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let own = route.strip_prefix(issuer_path).unwrap_or(route);
    let verifying = [KEYS, FEED].contains(&own) || route.starts_with(METADATA) || own == METADATA;
    if verifying { Lane::Verifying } else { Lane::Other }
}

/// The address of the client, by the word of proxies that are trusted.
pub(super) fn client_of(limit: &RequestLimit, request: &Request<Body>) -> IpAddr {
    // Without a peer – which `serve` always gives – everyone shares one bucket: too strict, not open.
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let forwarded: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    limit.client_of(peer, &forwarded)
}

fn too_many(over: OverLimit) -> Response {
    let detail = format!("too many requests; try again in {} seconds", over.retry_after);
    let mut response = ErrorAnswer::from(Refusal::new(Reason::RateLimited, detail)).into_response();
    debug_assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(over.retry_after));
    response
}

/// An answer that nobody may keep: it carries a nonce, a message or a token.
pub(crate) fn no_store<T: IntoResponse>(answer: T) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], answer)
}
