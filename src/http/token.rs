//! `POST /token`: one arm for each grant (RFC 6749 §3.2, protocol.md §4).

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::credentials;
use super::error::ErrorAnswer;
use super::extract::{Form, check_content_type, read_body, single};
use super::layers::no_store;
use super::nonce::{next_for_proofs, with_nonce};
use super::router::AppState;
use crate::model::reason::{Reason, Refusal};
use crate::model::session::SessionId;
use crate::service::IssuedToken;
use crate::service::agent::{self, Assertion};
use crate::service::refresh::{self, Refresh};
use crate::service::sign_in::{self, SignedMessage};
use crate::token::refresh::RefreshToken;

/// The grant of a signed message.
pub const SIGNED_MESSAGE: &str = "urn:countersign:params:oauth:grant-type:signed-message";
/// The grant of RFC 7523.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The grant of RFC 6749 §6.
pub const REFRESH_TOKEN: &str = "refresh_token";
/// The grants, as metadata lists them.
pub const GRANTS: [&str; 3] = [SIGNED_MESSAGE, JWT_BEARER, REFRESH_TOKEN];

#[derive(Serialize)]
struct TokenAnswer<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    scope: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
}

/// Handles the endpoint. A client that is told to use a nonce gets a fresh one with the refusal,
/// and where nonces are required, the next one with the token (RFC 9449 §8).
pub(crate) async fn post(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Response, ErrorAnswer> {
    let answered = grant(&state, request).await;
    let nonce = next_for_proofs(&state.context, &answered)?;
    let issued = answered.map_err(|refusal| ErrorAnswer::of_grant(refusal, nonce.clone()))?;
    let response = no_store(Json(TokenAnswer {
        access_token: &issued.access_token,
        token_type: issued.token_type,
        expires_in: issued.expires_in,
        scope: &issued.scope,
        sub: &issued.sub,
        refresh_token: issued.refresh_token.as_ref().map(RefreshToken::expose),
        session_id: issued.session,
    }))
    .into_response();
    Ok(with_nonce(response, nonce))
}

async fn grant(state: &AppState, request: Request<Body>) -> Result<IssuedToken, Refusal> {
    check_content_type(request.headers(), "application/x-www-form-urlencoded")?;
    // Browsers say which page asks; one that CORS would not let read the answer gets none.
    let origin = single(request.headers(), &header::ORIGIN)?;
    if origin.is_some_and(|origin| !state.context.rules.domains.allows_origin(origin)) {
        let detail = "pages of this origin may not ask for tokens";
        return Err(Refusal::new(Reason::DomainNotAllowed, detail));
    }
    // RFC 9449 §4.3, check 1: one proof, or none.
    let proof = credentials::proof(request.headers())
        .map_err(|refusal| Refusal::new(Reason::ProofInvalid, refusal.detail().to_owned()))?
        .map(str::to_owned);
    let body = read_body(request, state.gate.body).await?;
    let own = state.clone();
    let work = async move { granted(&own, &body, proof.as_deref()).await };
    state.work.to_its_end(work).await
}

async fn granted(
    state: &AppState,
    body: &[u8],
    proof: Option<&str>,
) -> Result<IssuedToken, Refusal> {
    let form = Form::parse(body)?;
    match form.require("grant_type")? {
        SIGNED_MESSAGE => {
            let request = SignedMessage {
                message: form.require("message")?,
                signature: form.get("signature"),
                format: form.get("format"),
                public_key: form.get("public_key"),
                resource: form.get("resource"),
                scope: form.get("scope"),
                session_label: form.get("session_label"),
                proof,
            };
            sign_in::sign_in(&state.context, &request).await
        }
        JWT_BEARER => {
            let request = Assertion {
                assertion: form.require("assertion")?,
                resource: form.get("resource"),
                scope: form.get("scope"),
                proof,
            };
            agent::sign_in(&state.context, &request).await
        }
        REFRESH_TOKEN => {
            let request = Refresh {
                refresh_token: form.require("refresh_token")?,
                resource: form.get("resource"),
                scope: form.get("scope"),
                proof,
            };
            refresh::refresh(&state.context, &request).await
        }
        _ => Err(Refusal::new(
            Reason::GrantUnsupported,
            format!("grant_type is one of: {}", GRANTS.join(", ")),
        )),
    }
}
