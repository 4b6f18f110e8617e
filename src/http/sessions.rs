//! `GET /sessions`, `DELETE /sessions/{id}`, `DELETE /sessions`: whoever holds a token sees and ends the subject's sessions.
//!
//! protocol.md §2; the request is a protected one as RFC 9449 §7.1 has it.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::credentials::{self, Credentials};
use super::error::ErrorAnswer;
use super::layers::no_store;
use super::nonce::{next_for_proofs, with_nonce};
use super::router::AppState;
use crate::model::reason::Refusal;
use crate::model::session::{Session, SessionId};
use crate::service::context::Context;
use crate::service::holder::{Holder, Presented};
use crate::service::{recording, sessions};

#[derive(Serialize)]
struct SessionsAnswer {
    sessions: Vec<ShownSession>,
}

#[derive(Serialize)]
struct ShownSession {
    id: SessionId,
    current: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    account: String,
    client_id: String,
    format: String,
    resource: String,
    scope: String,
    created_at: String,
    last_used_at: String,
    expires_at: String,
    bound: bool,
}

impl ShownSession {
    fn of(session: Session, current: Option<SessionId>) -> Self {
        Self {
            current: Some(session.id) == current,
            id: session.id,
            bound: session.bound_to.is_some(),
            label: session.label,
            account: session.account,
            client_id: session.client_id,
            format: session.method,
            resource: session.resource,
            scope: session.scope,
            created_at: session.created_at.to_string(),
            last_used_at: session.usage.last_used_at.to_string(),
            expires_at: session.ends_at.to_string(),
        }
    }
}

/// Shows the sessions.
pub(crate) async fn list(
    State(state): State<AppState>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ErrorAnswer> {
    let context = &state.context;
    let answered = async {
        let holder = holder(context, &method, "/sessions", &headers).await?;
        let current = holder.token().session();
        let found = sessions::list(context, &holder).await?;
        let shown = found.into_iter().map(|session| ShownSession::of(session, current)).collect();
        Ok(Json(SessionsAnswer { sessions: shown }).into_response())
    };
    finish(context, answered.await)
}

/// Ends one.
pub(crate) async fn end(
    State(state): State<AppState>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, ErrorAnswer> {
    let own = Arc::clone(&state.context);
    let work = async move {
        let context = &own;
        // A name of another form is one that no session has; 22 characters are all that is read.
        let id = id.ok().and_then(|Path(id)| id.parse::<SessionId>().ok());
        let id = id.ok_or_else(sessions::unknown)?;
        let path = format!("/sessions/{id}");
        let holder = holder(context, &Method::DELETE, &path, &headers).await?;
        sessions::end(context, &holder, id).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    finish(&state.context, state.work.to_its_end(work).await)
}

/// Ends them all.
pub(crate) async fn end_all(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, ErrorAnswer> {
    let own = Arc::clone(&state.context);
    let work = async move {
        let context = &own;
        let holder = holder(context, &Method::DELETE, "/sessions", &headers).await?;
        sessions::end_all(context, &holder).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    finish(&state.context, state.work.to_its_end(work).await)
}

/// Who sends the request.
async fn holder(
    context: &Context,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Holder, Refusal> {
    let credentials = Credentials::read(headers)?;
    let presented = Presented {
        token: credentials.token,
        as_bearer: credentials.as_bearer,
        proof: credentials::proof(headers)?,
        method: method.as_str(),
        target: &context.issuer.target(path)?,
    };
    let now = context.now();
    let proven = Holder::prove(context, &presented, now).await;
    proven.inspect_err(|refusal| recording::holder_refused(context, refusal.reason(), now))
}

fn finish(context: &Context, answered: Result<Response, Refusal>) -> Result<Response, ErrorAnswer> {
    let nonce = next_for_proofs(context, &answered)?;
    match answered {
        Ok(response) => Ok(with_nonce(no_store(response).into_response(), nonce)),
        Err(refusal) => Err(ErrorAnswer::of_holder(refusal, nonce)),
    }
}
