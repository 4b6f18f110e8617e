//! `GET /nonce`: a nonce for clients that write the message themselves; and when one for proofs is handed out.
//!
//! protocol.md §2; RFC 9449 §8.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::ErrorAnswer;
use super::layers::no_store;
use super::router::AppState;
use crate::model::reason::{Reason, Refusal};
use crate::service::challenge;
use crate::service::context::Context;

#[derive(Serialize)]
struct NonceAnswer {
    nonce: String,
    expires_in: u64,
}

/// Handles the endpoint: JSON, or the bare nonce where the client asks for `text/plain`.
pub(crate) async fn get(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, ErrorAnswer> {
    let issued = challenge::nonce(&state.context)?;
    if prefers_text(&headers) {
        return Ok(no_store(issued.nonce).into_response());
    }
    let answer = NonceAnswer { nonce: issued.nonce, expires_in: issued.expires_in };
    Ok(no_store(Json(answer)).into_response())
}

/// The nonce for a client's next proof: where it is told to use one, and where one is required of
/// all (RFC 9449 §8).
///
/// # Errors
/// [`Reason::ServerError`] without randomness.
pub(crate) fn next_for_proofs<T>(
    context: &Context,
    answered: &Result<T, Refusal>,
) -> Result<Option<String>, Refusal> {
    let told = matches!(answered, Err(refusal) if refusal.reason() == Reason::ProofNonceRequired);
    (told || context.rules.require_nonce)
        .then(|| context.nonces.proof(context.now(), &*context.entropy))
        .transpose()
}

/// An answer with that nonce.
pub(crate) fn with_nonce(mut response: Response, nonce: Option<String>) -> Response {
    if let Some(Ok(nonce)) = nonce.map(HeaderValue::try_from) {
        response.headers_mut().insert("dpop-nonce", nonce);
    }
    response
}

/// Whether `Accept` names `text/plain` and does not name `application/json`.
fn prefers_text(headers: &HeaderMap) -> bool {
    let accepts = |media_type: &str| {
        headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|range| {
                range.split(';').next().is_some_and(|r| r.trim().eq_ignore_ascii_case(media_type))
            })
    };
    accepts("text/plain") && !accepts("application/json")
}
