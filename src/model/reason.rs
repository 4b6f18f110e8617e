//! Why a request was refused: one stable code for each check, and a sentence for the developer.
//!
//! The codes are contract: clients branch on them. Which status and which OAuth error belong to a
//! reason is for `http/error.rs` alone to say.

use std::borrow::Cow;
use std::fmt;

/// Declares the reasons once: the variant, its code, and what it means.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+) => {
        /// The check that failed, as the `reason` member of an error answer names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $variant,)+ }

        impl Reason {
            /// Every reason, for the documentation and its test.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable code, in snake case.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What the code means, for the API document.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+),)+ }
            }
        }
    };
}

reasons! {
    // The request itself.
    /// The body or query is not what the endpoint takes.
    MalformedRequest = "malformed_request",
    /// The body is larger than the limit.
    BodyTooLarge = "body_too_large",
    /// The body did not arrive in time.
    BodyTimeout = "body_timeout",
    /// The `Content-Type` is not the endpoint's.
    ContentType = "content_type",
    /// A parameter is missing or empty.
    ParameterMissing = "parameter_missing",
    /// A parameter or header field that may stand once stands twice.
    ParameterRepeated = "parameter_repeated",
    /// A member that the endpoint does not know.
    ParameterUnknown = "parameter_unknown",
    /// A private key was sent; it must be considered burnt.
    PrivateKeyReceived = "private_key_received",
    /// There is no such endpoint.
    NotFound = "not_found",
    /// The endpoint does not take this method.
    MethodNotAllowed = "method_not_allowed",
    /// Too many requests from this address.
    RateLimited = "rate_limited",
    // The message.
    /// The message is not the text that its format prescribes.
    MalformedMessage = "malformed_message",
    /// The message is longer than the limit.
    MessageTooLarge = "message_too_large",
    /// The message format is unknown, or not accepted for this resource or account.
    FormatUnsupported = "format_unsupported",
    /// The account is not a well-formed one of its namespace.
    AccountInvalid = "account_invalid",
    /// The account may not use this resource.
    AccountNotAllowed = "account_not_allowed",
    /// The nonce is not one of this issuer's.
    NonceUnknown = "nonce_unknown",
    /// The nonce was used before.
    NonceUsed = "nonce_used",
    /// The challenge's time to be redeemed has passed.
    ChallengeExpired = "challenge_expired",
    /// The message differs from the one that the issuer wrote.
    MessageMismatch = "message_mismatch",
    /// The message's domain, or the request's origin, is not an allowed one.
    DomainNotAllowed = "domain_not_allowed",
    /// The message's URI is neither the issuer nor on the message's own domain.
    UriNotAllowed = "uri_not_allowed",
    /// The chain is not accepted.
    ChainNotAllowed = "chain_not_allowed",
    /// The message's version is not 1.
    VersionUnsupported = "version_unsupported",
    /// The message's expiration time has passed.
    MessageExpired = "message_expired",
    /// The message's not-before time lies ahead.
    MessageNotYetValid = "message_not_yet_valid",
    /// The message was issued in the future, or longer ago than its nonce can live.
    IssuedAtOutOfRange = "issued_at_out_of_range",
    /// The message's resources hold something that is no well-formed ReCap, or more than one; or the issuer's own message
    /// states none.
    RecapInvalid = "recap_invalid",
    /// The statement does not end in the sentence that the ReCap derives.
    StatementMismatch = "statement_mismatch",
    /// The message's session key is not one well-formed thumbprint URI in its place.
    SessionKeyInvalid = "session_key_invalid",
    // The wallet's signature.
    /// The signature is not well encoded.
    SignatureMalformed = "signature_malformed",
    /// The signature was not made by the account's key over this message.
    SignatureMismatch = "signature_mismatch",
    /// The signature is the malleated twin of a right one.
    MalleableSignature = "malleable_signature",
    /// The public key is malformed or not one that can be used.
    PublicKeyInvalid = "public_key_invalid",
    /// The factory that is to deploy the account is not one that may be called.
    FactoryNotAllowed = "factory_not_allowed",
    /// The wallet has not answered yet; ask again.
    AuthorizationPending = "authorization_pending",
    // The proof of possession.
    /// A DPoP proof is required and there is none.
    ProofRequired = "proof_required",
    /// The DPoP proof failed one of its checks.
    ProofInvalid = "proof_invalid",
    /// The DPoP proof is too old or too far ahead.
    ProofExpired = "proof_expired",
    /// The DPoP proof was used before.
    ProofReplayed = "proof_replayed",
    /// The DPoP proof is by another key than the one that was signed for.
    ProofKeyMismatch = "proof_key_mismatch",
    /// The DPoP proof needs a current nonce of this server.
    ProofNonceRequired = "proof_nonce_required",
    // The assertion.
    /// The assertion failed one of its checks.
    AssertionInvalid = "assertion_invalid",
    /// The assertion is expired, not yet valid, or lives too long.
    AssertionExpired = "assertion_expired",
    /// The assertion was used before.
    AssertionReplayed = "assertion_replayed",
    // Sessions.
    /// The refresh token is not one of this issuer's.
    RefreshTokenInvalid = "refresh_token_invalid",
    /// An old refresh token was used again; its session is ended.
    RefreshReused = "refresh_reused",
    /// The request was made before the session moved on, and arrived after; nothing has changed.
    RefreshLate = "refresh_late",
    /// The session has ended: by its own time, by its holder, or by a revocation.
    SessionEnded = "session_ended",
    /// There is no such session of this subject, or it has ended.
    SessionUnknown = "session_unknown",
    // The holder of an access token, and its resource server.
    /// The request needs an access token and brings none.
    TokenRequired = "token_required",
    /// The access token is not one of this issuer's.
    TokenInvalid = "token_invalid",
    /// The access token has expired.
    TokenExpired = "token_expired",
    /// The access token, its session, its key or its subject was revoked.
    TokenRevoked = "token_revoked",
    /// The access token is bound to no key, and nobody can prove to be its owner.
    TokenNotBound = "token_not_bound",
    /// The access token is bound to a key and was sent as `Bearer`.
    BoundTokenAsBearer = "bound_token_as_bearer",
    /// The caller did not authenticate as a resource server.
    ClientNotAuthenticated = "client_not_authenticated",
    // Operators.
    /// The access token is for another resource than the issuer itself.
    TokenAudience = "token_audience",
    /// The account is none of this issuer's operators, did not sign in as one may, or is one by its token alone.
    OperatorUnknown = "operator_unknown",
    /// The access token, or the operator whose it is, lacks the scope that this takes.
    ScopeInsufficient = "scope_insufficient",
    /// The sign-in behind the access token is too old for this: sign in again.
    StepUpRequired = "step_up_required",
    /// Nothing of that name waits for approval: it ran, was withdrawn, its time passed, or it never was.
    ApprovalUnknown = "approval_unknown",
    /// Whoever asked, or approved before, does not count twice: it takes another account with another key.
    ApprovalNotDistinct = "approval_not_distinct",
    /// What waits under that name is something else than whoever approves says.
    ApprovalMismatch = "approval_mismatch",
    /// Somebody who asked for this or approved it was revoked since; it is dropped.
    ApprovalVoid = "approval_void",
    /// As much waits for approval as may.
    ApprovalsFull = "approvals_full",
    // What is asked for.
    /// The grant type is not supported.
    GrantUnsupported = "grant_unsupported",
    /// No resource was named and there is no single one to assume.
    ResourceRequired = "resource_required",
    /// The resource is unknown, or differs from the one that was signed for.
    ResourceNotAllowed = "resource_not_allowed",
    /// A scope is malformed, or not one of the resource's.
    ScopeUnknown = "scope_unknown",
    /// A scope was not signed for, or there is no scope at all.
    ScopeNotGranted = "scope_not_granted",
    /// The account may not have a scope that was asked for.
    ScopeNotAllowed = "scope_not_allowed",
    // The issuer's own keys, and whoever changes them.
    /// There is no signing key of that name.
    KeyUnknown = "key_unknown",
    /// The signing key was revoked.
    KeyRevoked = "key_revoked",
    /// The key cannot become a signing key here.
    KeyRejected = "key_rejected",
    /// The signing keys could not be changed: their custody or their file did not take it.
    KeysUnavailable = "keys_unavailable",
    // Us.
    /// The store is full or does not answer.
    StoreUnavailable = "store_unavailable",
    /// Too few nodes of the account's chain gave the same answer; nothing has changed.
    ChainUnavailable = "chain_unavailable",
    /// What would be decided cannot be recorded.
    AuditUnavailable = "audit_unavailable",
    /// The signing key is out of reach, as a security module can be.
    SigningUnavailable = "signing_unavailable",
    /// The server is at its bound of something, or failed.
    ServerError = "server_error",
}

/// A refusal: the reason, and one sentence that a developer can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    detail: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with its sentence, which must never quote a secret.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// The check that failed.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.code(), self.detail)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_snake_case_and_unique() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}
