//! `GET /nonce`: a nonce for clients that write the message themselves (protocol.md §2).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::ErrorAnswer;
use super::layers::no_store;
use super::router::AppState;
use crate::service::challenge;

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
