//! `POST /revoke`: 200 once it is kept, and for whatever needs no revoking (RFC 7009).

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse, Response};

use super::credentials;
use super::error::ErrorAnswer;
use super::extract::{Form, check_content_type, read_body};
use super::layers::no_store;
use super::nonce::{next_for_proofs, with_nonce};
use super::router::AppState;
use crate::model::reason::{Reason, Refusal};
use crate::service::holder::Presented;
use crate::service::revoke::{Everything, revoke, revoke_everything};

/// Handles the endpoint. `token_type_hint` is not needed: a token shows what it is (RFC 7009 §2.1).
pub(crate) async fn post(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Response, ErrorAnswer> {
    let answered = answer(&state, request).await;
    let nonce = next_for_proofs(&state.context, &answered)?;
    answered.map_err(|refusal| ErrorAnswer::of_holder(refusal, nonce.clone()))?;
    Ok(with_nonce(no_store(()).into_response(), nonce))
}

async fn answer(state: &AppState, request: Request<Body>) -> Result<(), Refusal> {
    check_content_type(request.headers(), "application/x-www-form-urlencoded")?;
    let proof = credentials::proof(request.headers())?.map(str::to_owned);
    let body = read_body(request, state.gate.body).await?;
    let own = state.clone();
    let work = async move { revoked(&own, &body, proof.as_deref()).await };
    state.work.to_its_end(work).await
}

async fn revoked(state: &AppState, body: &[u8], proof: Option<&str>) -> Result<(), Refusal> {
    let form = Form::parse(body)?;
    let token = form.require("token")?;
    let everything = match form.get("everything_of") {
        None => return revoke(&state.context, token).await,
        Some("key") => Everything::OfKey,
        Some("subject") => Everything::OfSubject,
        Some(_) => {
            let detail = "everything_of is key or subject";
            return Err(Refusal::new(Reason::MalformedRequest, detail));
        }
    };
    let presented = Presented {
        token,
        as_bearer: false,
        proof,
        method: "POST",
        target: &state.context.issuer.target("/revoke")?,
    };
    revoke_everything(&state.context, everything, &presented).await
}
