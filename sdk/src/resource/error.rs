//! Why a request was not let in, and what the caller is told: status, OAuth code, reason, header.
//!
//! Every variant is mapped by name, none by a rest arm, so that a new one cannot become somebody
//! else's status. Whose fault it is decides: the request's shape is 400, its credentials 401, its
//! rights 403, its number 429, what we could not find out 503, and what the service forgot 500. RFC 6750 §3.1, RFC 9449 §7.1, §9.

use http::StatusCode;

use super::jwks_cache::KeysUnavailable;
use super::token::TokenError;
use crate::key::KeyError;
use crate::proof::dpop::DpopError;
use crate::proof::replay::ClaimError;

/// Why a request was refused. The text is what the developer at the other end reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// There is no `Authorization` header, or one of a scheme that is not ours.
    #[error("this resource needs an access token: Authorization: DPoP <token>, and a DPoP proof")]
    NoCredentials,
    /// A header field that may stand once stands twice.
    #[error("the header field {0} may stand only once")]
    RepeatedHeader(&'static str),
    /// The `Authorization` or `DPoP` field is not text of its form.
    #[error("the Authorization header must be a scheme, one space, and one token")]
    MalformedCredentials,
    /// The request's path makes no URI that a proof could name.
    #[error("the request's path is not one that a proof can name")]
    MalformedTarget,
    /// The access token failed one of its checks.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// The token is bound to a key and was sent as if it were not.
    #[error("this access token is bound to a key: send it as DPoP with a proof, not as Bearer")]
    BoundTokenAsBearer,
    /// A proof came with a token that was sent as `Bearer`.
    #[error("a DPoP proof belongs to Authorization: DPoP, not to Bearer")]
    ProofWithBearer,
    /// Tokens that are bound to no key are not accepted here.
    #[error("this resource accepts only access tokens that are bound to a key")]
    BearerNotAccepted,
    /// A token that is bound to no key was sent under the scheme `DPoP`.
    #[error("this access token is bound to no key and cannot be sent as DPoP")]
    UnboundTokenAsDpop,
    /// There is no proof.
    #[error("the request needs a DPoP proof in the header field DPoP")]
    ProofMissing,
    /// The proof failed one of its checks.
    #[error("{0}")]
    Proof(DpopError),
    /// The proof needs a current nonce of this server; here is one.
    #[error("the proof needs a current nonce of this server, the one in DPoP-Nonce")]
    NonceNeeded {
        /// The nonce to make the next proof with.
        fresh: String,
    },
    /// The proof was used before.
    #[error("this DPoP proof was used before: make a new one for each request")]
    ProofReplayed,
    /// This key has used more proofs than its share of the memory holds.
    #[error("this key has sent too many requests; wait a few minutes")]
    TooManyProofs,
    /// The token does not carry the scope that the route needs.
    #[error("the access token does not have the scope {0}")]
    InsufficientScope(&'static str),
    /// The issuer has revoked the token, its session, its key, its subject, or everything of a time.
    #[error("the access token was revoked: sign in again")]
    TokenRevoked,
    /// Nobody knows whether the token was revoked: the issuer's revocations were last heard of too
    /// long ago, and what is asked for is not open at such times.
    #[error("revocations could not be looked up recently enough; try again")]
    RevocationsStale,
    /// The issuer was to be asked whether the token is live, and gave no answer to use.
    #[error("the issuer could not be asked whether the token is live; try again")]
    IntrospectionUnavailable,
    /// A route demands that the issuer is asked, and the service did not say as whom.
    #[error("this resource is not set up to ask the issuer whether a token is live")]
    IntrospectionNotConfigured,
    /// There are no keys of the issuer to verify with.
    #[error("the issuer's keys are out of reach; try again")]
    KeysUnavailable,
    /// The store of used proofs is full or does not answer; letting the request in could be a replay.
    #[error("proofs cannot be recorded right now; try again")]
    ReplayStoreUnavailable,
    /// The operating system gave no random bytes.
    #[error("no nonce can be made right now; try again")]
    NoEntropy,
}

/// How a refusal is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) status: StatusCode,
    /// The registered OAuth code.
    pub(super) code: &'static str,
    /// The stable code of the very check.
    pub(super) reason: &'static str,
}

impl AccessError {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.shown().status
    }

    /// The registered OAuth error code: the `error` member.
    pub fn code(&self) -> &'static str {
        self.shown().code
    }

    /// The check that failed: the `reason` member, stable, in snake case.
    pub fn reason(&self) -> &'static str {
        self.shown().reason
    }

    pub(super) fn shown(&self) -> Shown {
        let request = |reason| show(StatusCode::BAD_REQUEST, "invalid_request", reason);
        let token = |reason| show(StatusCode::UNAUTHORIZED, "invalid_token", reason);
        let proof = |reason| show(StatusCode::UNAUTHORIZED, "invalid_dpop_proof", reason);
        let ours =
            |reason| show(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", reason);
        match self {
            Self::NoCredentials => token("token_required"),
            Self::RepeatedHeader(_) => request("parameter_repeated"),
            Self::MalformedCredentials | Self::MalformedTarget => request("malformed_request"),
            Self::Token(error) => token(token_reason(error)),
            Self::BoundTokenAsBearer => token("bound_token_as_bearer"),
            Self::ProofWithBearer => token("proof_with_bearer"),
            Self::BearerNotAccepted => token("bearer_not_accepted"),
            Self::UnboundTokenAsDpop => token("token_not_bound"),
            Self::ProofMissing => proof("proof_required"),
            // RFC 9449 §7.1 shows a token that another key holds as the token's fault.
            Self::Proof(DpopError::KeyMismatch) => token("proof_key_mismatch"),
            Self::Proof(error) => proof(proof_reason(error)),
            Self::NonceNeeded { .. } => {
                show(StatusCode::UNAUTHORIZED, "use_dpop_nonce", "proof_nonce_required")
            }
            Self::ProofReplayed => proof("proof_replayed"),
            Self::TooManyProofs => {
                show(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", "rate_limited")
            }
            Self::InsufficientScope(_) => {
                show(StatusCode::FORBIDDEN, "insufficient_scope", "scope_not_granted")
            }
            Self::TokenRevoked => token("token_revoked"),
            Self::RevocationsStale => ours("revocations_stale"),
            Self::IntrospectionUnavailable => ours("issuer_unavailable"),
            Self::IntrospectionNotConfigured => show(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "introspection_not_configured",
            ),
            Self::KeysUnavailable => ours("issuer_unavailable"),
            Self::ReplayStoreUnavailable => ours("store_unavailable"),
            Self::NoEntropy => ours("server_error"),
        }
    }
}

const fn show(status: StatusCode, code: &'static str, reason: &'static str) -> Shown {
    Shown { status, code, reason }
}

pub(super) const fn token_reason(error: &TokenError) -> &'static str {
    match error {
        TokenError::Malformed(_) | TokenError::KeyInHeader | TokenError::Claims => {
            "token_malformed"
        }
        TokenError::Type => "token_type",
        TokenError::AlgorithmNotAllowed(_) | TokenError::KeyUnfit => "token_algorithm",
        TokenError::KeyNotNamed | TokenError::UnknownKey => "token_key_unknown",
        TokenError::Signature => "token_signature",
        TokenError::Issuer => "token_issuer",
        TokenError::Audience => "token_audience",
        TokenError::Expired(_) => "token_expired",
        TokenError::NotYetValid | TokenError::IssuedInFuture(_) => "token_not_yet_valid",
        TokenError::Confirmation => "token_binding",
        TokenError::Constraint => "token_constraint",
        TokenError::Lifetime(_) => "token_lifetime",
    }
}

const fn proof_reason(error: &DpopError) -> &'static str {
    match error {
        DpopError::Key(KeyError::PrivateKey) => "private_key_received",
        DpopError::TooOld(_) | DpopError::InFuture(_) => "proof_expired",
        DpopError::KeyMismatch => "proof_key_mismatch",
        DpopError::Nonce => "proof_nonce_required",
        DpopError::Malformed(_)
        | DpopError::Type
        | DpopError::Key(
            KeyError::Encoding(_)
            | KeyError::Unsupported
            | KeyError::NotOnCurve
            | KeyError::SmallOrder,
        )
        | DpopError::Signature
        | DpopError::Jti
        | DpopError::Method { .. }
        | DpopError::Target { .. }
        | DpopError::TokenHash => "proof_invalid",
    }
}

impl From<KeysUnavailable> for AccessError {
    fn from(_: KeysUnavailable) -> Self {
        Self::KeysUnavailable
    }
}

impl From<ClaimError> for AccessError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Replayed => Self::ProofReplayed,
            ClaimError::Full | ClaimError::Unavailable => Self::ReplayStoreUnavailable,
        }
    }
}
