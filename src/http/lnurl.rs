//! `GET /lnurl`: where a Lightning wallet sends its answer (LUD-04).
//!
//! The one endpoint whose errors have another shape: wallets show `reason` to the person.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::{Answered, Refused, retry_soon, wire};
use super::extract::Form;
use super::layers::no_store;
use super::router::AppState;
use crate::model::reason::{Reason, Refusal};
use crate::service::call_back::{self, CallBack};

/// The longest query that is read, in bytes; a wallet sends some 450.
const MAX_QUERY: usize = 2048;

#[derive(Serialize)]
struct WalletAnswer<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Handles the endpoint.
pub(crate) async fn get(State(state): State<AppState>, RawQuery(query): RawQuery) -> Response {
    match answer(&state, query.as_deref().unwrap_or_default()).await {
        Ok(()) => no_store(Json(WalletAnswer { status: "OK", reason: None })).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

async fn answer(state: &AppState, query: &str) -> Result<(), Refusal> {
    if query.len() > MAX_QUERY {
        return Err(Refusal::new(Reason::MalformedRequest, "the query is too long"));
    }
    let query = Form::parse(query.as_bytes())?;
    if query.require("tag")? != "login" {
        return Err(Refusal::new(Reason::MalformedRequest, "tag is login"));
    }
    let request = CallBack {
        k1: query.require("k1")?,
        state: query.require("state")?,
        signature: query.require("sig")?,
        key: query.require("key")?,
    };
    call_back::answer(&state.context, &request).await
}

fn refused(refusal: &Refusal) -> Response {
    let (status, _) = wire(refusal.reason(), Refused::Request);
    let body = WalletAnswer { status: "ERROR", reason: Some(refusal.detail()) };
    let mut response = (status, no_store(Json(body))).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        retry_soon(response.headers_mut());
    }
    response.extensions_mut().insert(Answered(refusal.reason()));
    response
}
