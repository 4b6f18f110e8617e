//! `GET /revocations`: the signed feed, which may be waited for (protocol.md §7).

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};

use super::error::ErrorAnswer;
use super::extract::Form;
use super::layers::no_store;
use super::router::AppState;
use crate::model::reason::{Reason, Refusal};
use crate::service::feed::{self, Cursor};

/// The longest that an answer may be waited for, in seconds.
const MAX_WAIT: u64 = 30;

/// Handles the endpoint.
pub(crate) async fn get(State(state): State<AppState>, uri: Uri) -> Result<Response, ErrorAnswer> {
    let (after, wait) = place(uri.query().unwrap_or_default())?;
    let answer = feed::read(&state.context, after, wait).await?;
    let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/jwt"))];
    Ok(no_store((media_type, answer)).into_response())
}

/// Where the reader is, and how long it would wait.
fn place(query: &str) -> Result<(Option<Cursor>, Duration), Refusal> {
    let refused = |detail: String| Refusal::new(Reason::MalformedRequest, detail);
    let query = Form::parse(query.as_bytes())?;
    let after = query.get("after").map(str::parse).transpose();
    let after = after.map_err(|error: feed::CursorError| refused(error.to_string()))?;
    let wait = query.get("wait").unwrap_or("0");
    let digits = wait.len() <= 2 && wait.bytes().all(|byte| byte.is_ascii_digit());
    match wait.parse() {
        Ok(seconds) if digits && seconds <= MAX_WAIT => Ok((after, Duration::from_secs(seconds))),
        Ok(_) | Err(_) => Err(refused(format!("wait is a number of seconds, 0 to {MAX_WAIT}"))),
    }
}
