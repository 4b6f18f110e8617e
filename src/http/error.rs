//! Status and OAuth error of each reason: the only place with status codes.
//!
//! The map has no wildcard arm, so a new reason does not compile until somebody has said what a
//! client sees of it. Errors are logged in the layer around all handlers and not here.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_sdk::key::Algorithm;
use serde::Serialize;

use crate::model::reason::{Reason, Refusal};

/// The one shape of an error answer (protocol.md §2).
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'static str,
    error_description: &'a str,
    reason: &'static str,
}

/// What was refused: it decides the OAuth error of a message, an account or a key that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A request: what was asked for cannot be.
    Request,
    /// A grant at the token endpoint: what was presented opens nothing (RFC 6749 §5.2).
    Grant,
    /// The holder of an access token, who has to prove the token's key (RFC 9449 §7.1).
    Holder,
}

/// A refusal on its way to the client.
#[derive(Debug)]
pub struct ErrorAnswer {
    refusal: Refusal,
    refused: Refused,
    /// A fresh DPoP nonce, where the client is told to use one.
    dpop_nonce: Option<String>,
    /// What would have been enough, where an operator was refused.
    demand: Option<Demand>,
}

/// What a request of an operator takes, for the challenge of its refusal.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    /// How old the sign-in may be, in seconds (RFC 9470 §3).
    pub(crate) max_age: u64,
    /// The scopes of which one is enough (RFC 6750 §3).
    pub(crate) scope: Vec<&'static str>,
}

impl From<Refusal> for ErrorAnswer {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, refused: Refused::Request, dpop_nonce: None, demand: None }
    }
}

impl ErrorAnswer {
    /// The refusal of a grant, with the nonce that the client is to use next (RFC 9449 §8).
    pub const fn of_grant(refusal: Refusal, dpop_nonce: Option<String>) -> Self {
        Self { refusal, refused: Refused::Grant, dpop_nonce, demand: None }
    }

    /// The refusal of whoever acts by an access token, with the nonce that the client is to use next.
    pub const fn of_holder(refusal: Refusal, dpop_nonce: Option<String>) -> Self {
        Self { refusal, refused: Refused::Holder, dpop_nonce, demand: None }
    }

    /// The refusal of an operator, who acts by an access token, with what would have been enough.
    pub(crate) const fn of_operator(
        refusal: Refusal,
        dpop_nonce: Option<String>,
        demand: Demand,
    ) -> Self {
        Self { refusal, refused: Refused::Holder, dpop_nonce, demand: Some(demand) }
    }

    /// The reason.
    pub const fn reason(&self) -> Reason {
        self.refusal.reason()
    }
}

/// A reason in an answer's extensions, for the layer that logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered(pub(crate) Reason);

impl IntoResponse for ErrorAnswer {
    fn into_response(self) -> Response {
        let reason = self.refusal.reason();
        let (status, error) = wire(reason, self.refused);
        let body =
            ErrorBody { error, error_description: self.refusal.detail(), reason: reason.code() };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            retry_soon(headers);
        }
        if matches!(reason, Reason::BodyTooLarge | Reason::BodyTimeout) {
            // The rest of the body is not read and the connection ends: whoever is not told sends more on it.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let challenged = status == StatusCode::UNAUTHORIZED || reason == Reason::ScopeInsufficient;
        if challenged
            && let demand = self.demand.as_ref()
            && let Ok(challenge) = HeaderValue::try_from(challenge(&self.refusal, error, demand))
        {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(Ok(nonce)) = self.dpop_nonce.map(HeaderValue::try_from) {
            headers.insert("dpop-nonce", nonce);
        }
        response.extensions_mut().insert(Answered(reason));
        response
    }
}

/// Says that what is not there now will be in seconds.
pub(crate) fn retry_soon(headers: &mut HeaderMap) {
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
}

/// What a client sees of a reason: the status and the registered OAuth error.
#[expect(clippy::too_many_lines, reason = "the one map, without a wildcard")]
pub const fn wire(reason: Reason, refused: Refused) -> (StatusCode, &'static str) {
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    match reason {
        Reason::MalformedRequest
        | Reason::ParameterMissing
        | Reason::ParameterRepeated
        | Reason::ParameterUnknown
        | Reason::PrivateKeyReceived
        | Reason::KeyRevoked
        | Reason::KeyRejected => (BAD, "invalid_request"),
        Reason::AccountInvalid
        | Reason::AccountNotAllowed
        | Reason::DomainNotAllowed
        | Reason::ChainNotAllowed
        | Reason::FormatUnsupported
        | Reason::SessionKeyInvalid
        | Reason::PublicKeyInvalid => match refused {
            Refused::Request | Refused::Holder => (BAD, "invalid_request"),
            Refused::Grant => (BAD, "invalid_grant"),
        },
        Reason::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request"),
        Reason::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request"),
        Reason::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "invalid_request"),
        Reason::NotFound
        | Reason::SessionUnknown
        | Reason::KeyUnknown
        | Reason::ApprovalUnknown => (StatusCode::NOT_FOUND, "invalid_request"),
        Reason::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request"),
        Reason::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
        Reason::MalformedMessage
        | Reason::MessageTooLarge
        | Reason::NonceUnknown
        | Reason::NonceUsed
        | Reason::ChallengeExpired
        | Reason::MessageMismatch
        | Reason::UriNotAllowed
        | Reason::VersionUnsupported
        | Reason::MessageExpired
        | Reason::MessageNotYetValid
        | Reason::IssuedAtOutOfRange
        | Reason::RecapInvalid
        | Reason::StatementMismatch
        | Reason::SignatureMalformed
        | Reason::SignatureMismatch
        | Reason::MalleableSignature
        | Reason::FactoryNotAllowed
        | Reason::AssertionInvalid
        | Reason::AssertionExpired
        | Reason::AssertionReplayed
        | Reason::RefreshTokenInvalid
        | Reason::RefreshReused
        | Reason::RefreshLate
        | Reason::SessionEnded => (BAD, "invalid_grant"),
        Reason::AuthorizationPending => (BAD, "authorization_pending"),
        Reason::ProofRequired
        | Reason::ProofInvalid
        | Reason::ProofExpired
        | Reason::ProofReplayed => match refused {
            Refused::Request | Refused::Grant => (BAD, "invalid_dpop_proof"),
            Refused::Holder => (StatusCode::UNAUTHORIZED, "invalid_dpop_proof"),
        },
        Reason::ProofKeyMismatch => match refused {
            Refused::Request | Refused::Grant => (BAD, "invalid_dpop_proof"),
            // RFC 9449 §7.1 shows a token that another key holds as the token's fault.
            Refused::Holder => (StatusCode::UNAUTHORIZED, "invalid_token"),
        },
        Reason::ProofNonceRequired => match refused {
            Refused::Request | Refused::Grant => (BAD, "use_dpop_nonce"),
            Refused::Holder => (StatusCode::UNAUTHORIZED, "use_dpop_nonce"),
        },
        Reason::TokenRequired
        | Reason::TokenInvalid
        | Reason::TokenExpired
        | Reason::TokenRevoked
        | Reason::TokenNotBound
        | Reason::BoundTokenAsBearer
        | Reason::TokenAudience => (StatusCode::UNAUTHORIZED, "invalid_token"),
        Reason::StepUpRequired => (StatusCode::UNAUTHORIZED, "insufficient_user_authentication"),
        Reason::ScopeInsufficient => (StatusCode::FORBIDDEN, "insufficient_scope"),
        Reason::OperatorUnknown
        | Reason::ApprovalNotDistinct
        | Reason::ApprovalMismatch
        | Reason::ApprovalVoid => (StatusCode::FORBIDDEN, "access_denied"),
        Reason::ClientNotAuthenticated => (StatusCode::UNAUTHORIZED, "invalid_client"),
        Reason::GrantUnsupported => (BAD, "unsupported_grant_type"),
        Reason::ResourceRequired | Reason::ResourceNotAllowed => (BAD, "invalid_target"),
        Reason::ScopeUnknown | Reason::ScopeNotGranted | Reason::ScopeNotAllowed => {
            (BAD, "invalid_scope")
        }
        Reason::StoreUnavailable
        | Reason::ChainUnavailable
        | Reason::AuditUnavailable
        | Reason::ApprovalsFull
        | Reason::SigningUnavailable
        | Reason::KeysUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        Reason::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    }
}

/// The challenge of a 401 (RFC 9110 §11.6.1): `Basic` to a resource server, `DPoP` to the holder of a
/// token. Who brought no credentials gets no error code, for nothing failed (RFC 6750 §3.1).
fn challenge(refusal: &Refusal, error: &str, demand: Option<&Demand>) -> String {
    let algorithms = Algorithm::ALL.map(Algorithm::name).join(" ");
    match (refusal.reason(), error) {
        (_, "invalid_client") => "Basic realm=\"introspection\", charset=\"UTF-8\"".to_owned(),
        (Reason::TokenRequired, _) => format!("DPoP algs=\"{algorithms}\""),
        _ => {
            let description = quotable(refusal.detail());
            let more = match (refusal.reason(), demand) {
                (Reason::StepUpRequired, Some(demand)) => {
                    format!(", max_age=\"{}\"", demand.max_age)
                }
                (Reason::ScopeInsufficient, Some(demand)) => {
                    format!(", scope=\"{}\"", demand.scope.join(" "))
                }
                _ => String::new(),
            };
            format!(
                "DPoP error=\"{error}\", error_description=\"{description}\"{more}, algs=\"{algorithms}\""
            )
        }
    }
}

/// A text in the characters that RFC 6750 §3 allows between the quotes; what was received may be
/// part of a description, and must not end it.
fn quotable(text: &str) -> String {
    let plain = |c: char| match c {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => c,
        _ => '?',
    };
    text.chars().take(300).map(plain).collect()
}

/// For paths that lead nowhere.
pub(crate) async fn not_found() -> ErrorAnswer {
    let detail = "no endpoint is here; /.well-known/oauth-authorization-server lists them";
    Refusal::new(Reason::NotFound, detail).into()
}

/// For methods that an endpoint does not take.
pub(crate) async fn method_not_allowed() -> ErrorAnswer {
    let detail = "this endpoint takes another method; see the Allow header";
    Refusal::new(Reason::MethodNotAllowed, detail).into()
}
