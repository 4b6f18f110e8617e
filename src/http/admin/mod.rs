//! `/admin/…` on the operations listener: the table of what operators can ask for, and the way of each request.
//!
//! A request is read, its sender is let in or refused, and only then is what it says looked at:
//! who is no operator learns nothing from a malformed request. `docs/openapi-admin.json` describes
//! the same, and a test compares the two. Browsers have no business here: a request with an
//! `Origin` is refused, and no answer carries a CORS header (protocol.md §8).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, any, get, on};

use super::credentials::{self, Credentials};
use super::error::{Demand, ErrorAnswer, method_not_allowed, not_found};
use super::extract::single;
use super::layers::{guard, no_store};
use super::nonce::{next_for_proofs, with_nonce};
use super::router::AppState;
use crate::model::reason::{Reason, Refusal};
use crate::service::admin::action::Action;
use crate::service::admin::{Brought, Desk};

mod answer;
mod asked;

use asked::Asked;

/// What handlers of operators are given.
#[derive(Clone, Debug)]
pub(crate) struct AdminState {
    app: AppState,
    desk: Arc<Desk>,
}

/// The document that describes all of it (OpenAPI 3.1).
const OPENAPI: &str = include_str!("../../../docs/openapi-admin.json");
/// Where it is given.
pub const OPENAPI_PATH: &str = "/admin/openapi.json";

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// See the signing keys.
    ListKeys,
    /// Let the next key sign.
    RotateKeys,
    /// Let a key sign no more.
    RetireKey,
    /// End a key.
    RevokeKey,
    /// See sessions.
    ListSessions,
    /// End a session.
    EndSession,
    /// See what is revoked.
    ListRevocations,
    /// Revoke.
    Revoke,
    /// Search the audit log.
    SearchAudit,
    /// See what waits for approval.
    ListApprovals,
    /// Approve.
    Approve,
    /// Withdraw.
    Withdraw,
}

impl Endpoint {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::ListKeys,
        Self::RotateKeys,
        Self::RetireKey,
        Self::RevokeKey,
        Self::ListSessions,
        Self::EndSession,
        Self::ListRevocations,
        Self::Revoke,
        Self::SearchAudit,
        Self::ListApprovals,
        Self::Approve,
        Self::Withdraw,
    ];

    /// Its method and path; what stands in braces is one segment.
    pub const fn route(self) -> (Method, &'static str) {
        match self {
            Self::ListKeys => (Method::GET, "/admin/keys"),
            Self::RotateKeys => (Method::POST, "/admin/keys/rotate"),
            Self::RetireKey => (Method::POST, "/admin/keys/{kid}/retire"),
            Self::RevokeKey => (Method::POST, "/admin/keys/{kid}/revoke"),
            Self::ListSessions => (Method::GET, "/admin/sessions"),
            Self::EndSession => (Method::DELETE, "/admin/sessions/{id}"),
            Self::ListRevocations => (Method::GET, "/admin/revocations"),
            Self::Revoke => (Method::POST, "/admin/revocations"),
            Self::SearchAudit => (Method::GET, "/admin/audit"),
            Self::ListApprovals => (Method::GET, "/admin/approvals"),
            Self::Approve => (Method::POST, "/admin/approvals/{id}"),
            Self::Withdraw => (Method::DELETE, "/admin/approvals/{id}"),
        }
    }

    /// What it does, as long as the request has not said more.
    pub const fn action(self) -> Action {
        match self {
            Self::ListKeys => Action::ListKeys,
            Self::RotateKeys => Action::RotateKeys,
            Self::RetireKey => Action::RetireKey,
            Self::RevokeKey => Action::RevokeKey,
            Self::ListSessions => Action::ListSessions,
            Self::EndSession => Action::EndSession,
            Self::ListRevocations => Action::ListRevocations,
            Self::Revoke => Action::Revoke,
            Self::SearchAudit => Action::SearchAudit,
            Self::ListApprovals => Action::ListApprovals,
            Self::Approve => Action::Approve,
            Self::Withdraw => Action::Withdraw,
        }
    }
}

/// The routes of operators.
pub(crate) fn routes(app: AppState, desk: Arc<Desk>) -> Router {
    let mut routes = Router::new().route(OPENAPI_PATH, get(openapi));
    for endpoint in Endpoint::ALL {
        let (method, path) = endpoint.route();
        let filter = MethodFilter::try_from(method).unwrap_or(MethodFilter::GET);
        let handler = move |state, name, request| handle(endpoint, state, name, request);
        routes = routes.route(path, on(filter, handler));
    }
    // Paths below /admin that lead nowhere pass the same guard.
    let routes = routes.route("/admin", any(not_found)).route("/admin/{*rest}", any(not_found));
    let routes = routes.method_not_allowed_fallback(method_not_allowed);
    guard(routes, &app).with_state(AdminState { app, desk })
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn handle(
    endpoint: Endpoint,
    State(state): State<AdminState>,
    name: Result<Path<String>, PathRejection>,
    request: Request<Body>,
) -> Result<Response, ErrorAnswer> {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let context = state.desk.context();
    let own = state.clone();
    // What has begun is finished, whether or not the client waits for the answer.
    let work = async move { answer(&own, endpoint, &name, request).await };
    let answered = state.app.work.to_its_end(work).await;
    let nonce = next_for_proofs(context, &answered)?;
    match answered {
        Ok(response) => Ok(with_nonce(no_store(response).into_response(), nonce)),
        Err(refusal) => {
            let scopes = endpoint.action().takes().iter().map(|scope| scope.name());
            let demand = Demand { max_age: state.desk.step_up(), scope: scopes.collect() };
            Err(ErrorAnswer::of_operator(refusal, nonce, demand))
        }
    }
}

async fn answer(
    state: &AdminState,
    endpoint: Endpoint,
    name: &str,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let asked = Asked::read(endpoint, name, &parts, body, state.app.gate.body).await;
    let (action, target) = match &asked {
        Ok(asked) => (asked.action(endpoint), asked.target()),
        Err(_) => (endpoint.action(), None),
    };
    let request = (parts.method.as_str(), parts.uri.path());
    let admitted = state.desk.admit((action, target), request, brought(&parts)).await?;
    let asked = admitted.or_refused(asked).await?;
    answer::of(&admitted, asked).await
}

/// What a request brings to be let in.
fn brought(parts: &Parts) -> Result<Brought<'_>, Refusal> {
    check_origin(&parts.headers)?;
    let Credentials { token, as_bearer } = Credentials::read(&parts.headers)?;
    Ok(Brought { token, as_bearer, proof: credentials::proof(&parts.headers)? })
}

fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    match single(headers, &header::ORIGIN)? {
        None => Ok(()),
        Some(_) => {
            let detail = "pages do not call here; operators use the command line, or a program";
            Err(Refusal::new(Reason::DomainNotAllowed, detail))
        }
    }
}
