//! `POST /introspect`: a form by an authenticated resource server in, what the token stands for out (RFC 7662).

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;
use serde::Serialize;

use super::basic::Basic;
use super::error::ErrorAnswer;
use super::extract::{Form, check_content_type, read_body};
use super::layers::no_store;
use super::router::AppState;
use crate::model::reason::{Reason, Refusal};
use crate::model::session::SessionId;
use crate::service::introspect::{Authentication, Introspection, introspect};
use crate::token::verify::OwnAccessToken;

/// The way of RFC 7523 §2.2 to say who one is.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The ways that are taken, as metadata lists them.
pub const METHODS: [&str; 2] = ["private_key_jwt", "client_secret_basic"];

#[derive(Serialize)]
struct Inactive {
    active: bool,
}

#[derive(Serialize)]
struct Active<'a> {
    active: bool,
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    scope: &'a str,
    exp: Timestamp,
    iat: Timestamp,
    nbf: Timestamp,
    jti: &'a str,
    auth_time: Timestamp,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    account: &'a str,
    proven_key: ProvenKey<'a>,
}

#[derive(Serialize)]
struct Confirmation {
    jkt: Thumbprint,
}

#[derive(Serialize)]
struct ProvenKey<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    jkt: Option<Thumbprint>,
    method: &'a str,
}

impl<'a> Active<'a> {
    fn of(issuer: &'a str, token: &'a OwnAccessToken) -> Self {
        let (jkt, method) = token.proven_key();
        Self {
            active: true,
            iss: issuer,
            sub: token.subject(),
            aud: token.audience(),
            client_id: token.client_id(),
            scope: token.scope(),
            exp: token.expires_at(),
            iat: token.issued_at(),
            nbf: token.not_before(),
            jti: token.id(),
            auth_time: token.authenticated_at(),
            token_type: if token.key().is_some() { "DPoP" } else { "Bearer" },
            cnf: token.key().map(|jkt| Confirmation { jkt }),
            sid: token.session(),
            account: token.account(),
            proven_key: ProvenKey { jkt, method },
        }
    }
}

/// Handles the endpoint.
pub(crate) async fn post(
    State(state): State<AppState>,
    request: Request<Body>,
) -> Result<Response, ErrorAnswer> {
    let answer = match answer(&state, request).await? {
        Introspection::Inactive => Json(Inactive { active: false }).into_response(),
        Introspection::Active(token) => {
            Json(Active::of(&state.context.issuer.url, &token)).into_response()
        }
    };
    Ok(no_store(answer).into_response())
}

async fn answer(state: &AppState, request: Request<Body>) -> Result<Introspection, Refusal> {
    check_content_type(request.headers(), "application/x-www-form-urlencoded")?;
    let basic = Basic::of(request.headers())?;
    let body = read_body(request, state.gate.body).await?;
    let form = Form::parse(&body)?;
    let token = form.require("token")?;
    let authentication = authentication(basic.as_ref(), &form)?;
    introspect(&state.context, authentication, form.get("client_id"), token).await
}

/// The one way in which the caller says who it is (RFC 6749 §2.3).
fn authentication<'a>(
    basic: Option<&'a Basic>,
    form: &'a Form,
) -> Result<Authentication<'a>, Refusal> {
    let refused = |detail| Err(Refusal::new(Reason::ClientNotAuthenticated, detail));
    let assertion = form.get("client_assertion");
    if form.get("client_secret").is_some() {
        return refused("a secret goes into the Authorization header: Basic");
    }
    match (basic, assertion) {
        (Some(_), Some(_)) => {
            let detail = "authenticate in one way: by Authorization or by client_assertion";
            Err(Refusal::new(Reason::MalformedRequest, detail))
        }
        (Some(basic), None) => {
            let (resource, secret) = basic.parts();
            Ok(Authentication::Secret { resource, secret })
        }
        (None, Some(assertion)) => match form.get("client_assertion_type") {
            Some(JWT_BEARER) => Ok(Authentication::Assertion(assertion)),
            Some(_) | None => refused(
                "client_assertion_type is urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
        },
        (None, None) => {
            refused("authenticate by private_key_jwt (client_assertion) or client_secret_basic")
        }
    }
}
