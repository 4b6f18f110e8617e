//! `POST /challenge`: JSON in, the message to sign out (protocol.md §3).

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ErrorAnswer;
use super::extract::{check_content_type, json, read_body, refuse_private_keys, single};
use super::layers::no_store;
use super::router::AppState;
use crate::model::reason::Refusal;
use crate::service::challenge::{ChallengeRequest, challenge};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct ChallengeBody {
    account: Option<String>,
    resource: Option<String>,
    scope: Option<String>,
    dpop_jkt: Option<String>,
    format: Option<String>,
    domain: Option<String>,
    session_expires_in: Option<u64>,
}

#[derive(Serialize)]
struct ChallengeAnswer {
    format: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
    nonce: String,
    issued_at: String,
    expires_at: String,
}

/// Handles the endpoint.
pub(crate) async fn post(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Response, ErrorAnswer> {
    Ok(answer(&state, request).await?)
}

async fn answer(state: &AppState, request: Request<Body>) -> Result<Response, Refusal> {
    check_content_type(request.headers(), "application/json")?;
    let origin = single(request.headers(), &header::ORIGIN)?.map(str::to_owned);
    let body = read_body(request, state.gate.body).await?;
    let body: ChallengeBody = json(&body)?;
    let texts = [&body.resource, &body.scope, &body.dpop_jkt, &body.format, &body.domain];
    refuse_private_keys(texts.into_iter().chain([&body.account]).flatten().map(String::as_str))?;
    let made = challenge(
        &state.context,
        &ChallengeRequest {
            account: body.account.as_deref(),
            resource: body.resource.as_deref(),
            scope: body.scope.as_deref(),
            dpop_jkt: body.dpop_jkt.as_deref(),
            format: body.format.as_deref(),
            domain: body.domain.as_deref(),
            session_expires_in: body.session_expires_in,
            origin: origin.as_deref(),
        },
    )?;
    let answer = ChallengeAnswer {
        format: made.format,
        message: made.message,
        payload: made.payload,
        nonce: made.nonce,
        issued_at: made.issued_at.to_string(),
        expires_at: made.expires_at.to_string(),
    };
    Ok(no_store(axum::Json(answer)).into_response())
}
