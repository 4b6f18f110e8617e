//! Whether a text is an access token of our issuer, for us, and now: the checks in their order.
//!
//! Pure: the keys, the time and what is expected are arguments, and none of them is optional. The
//! header never chooses: it names a key of the issuer's set and an algorithm of our list, and the
//! two must fit. RFC 9068 §4, RFC 8725 §3; `alg` names as RFC 8037, RFC 8812 and RFC 9864.

use std::sync::Arc;

use super::claims::{AccessToken, Received};
use super::jwks::IssuerKeys;
use crate::json::object;
use crate::key::{Algorithm, PublicKey};
use crate::proof::JwsError;
use crate::proof::jws::{CompactJws, JoseHeader};
use crate::time::Timestamp;

/// The longest access token read, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8192;

/// What an access token must say.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedToken<'a> {
    /// The issuer's identifier, which `iss` must equal byte by byte.
    pub issuer: &'a str,
    /// This resource's identifier, which `aud` must be or hold.
    pub audience: &'a str,
    /// The algorithms that are taken; those outside the list are refused whatever the keys.
    pub algorithms: &'a [Algorithm],
    /// Now.
    pub now: Timestamp,
    /// Seconds by which the issuer's clock may differ from ours.
    pub leeway: u64,
}

/// Why a token was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a compact JWS, too long, or with a header member that is never honoured.
    #[error("the access token is not well formed: {0}")]
    Malformed(#[from] JwsError),
    /// `typ` marks another kind of JWT, such as a proof or an ID token.
    #[error("the access token's typ must be at+jwt")]
    Type,
    /// The header brings its own key. The key comes from the issuer's set and from nowhere else.
    #[error("the access token's header must not carry a key")]
    KeyInHeader,
    /// `alg` is a known one that is not on this resource's list.
    #[error("the access token's alg {} is not accepted here", .0.name())]
    AlgorithmNotAllowed(Algorithm),
    /// There is no `kid`, and not exactly one key that fits `alg`.
    #[error("the access token names no key (kid)")]
    KeyNotNamed,
    /// `kid` is not in the issuer's set.
    #[error("the access token's kid is not one of the issuer's keys")]
    UnknownKey,
    /// The key that `kid` names is not for `alg`.
    #[error("the access token's alg does not fit the key that it names")]
    KeyUnfit,
    /// The signature was not made by that key.
    #[error("the access token's signature was not made by the issuer's key")]
    Signature,
    /// A claim is missing, has another type, or stands twice.
    #[error(
        "iss, sub, aud, jti must be texts and not empty, exp and iat whole seconds, every claim of its type and there once"
    )]
    Claims,
    /// `iss` is another issuer.
    #[error("the access token is from another issuer")]
    Issuer,
    /// `aud` is another resource.
    #[error("the access token is for another resource (aud)")]
    Audience,
    /// `exp` has passed.
    #[error("the access token expired {0} seconds ago")]
    Expired(u64),
    /// `nbf` lies ahead.
    #[error("the access token is not valid yet")]
    NotYetValid,
    /// `iat` lies ahead of our clock by more than the leeway.
    #[error("the access token was issued {0} seconds ahead of this server's clock")]
    IssuedInFuture(u64),
    /// `cnf` binds the token in a way that cannot be checked here.
    #[error("the access token is bound by something else than a key thumbprint (cnf.jkt)")]
    Confirmation,
    /// `authorization_details` or `act` limits the token in a way that is not enforced here.
    #[error(
        "the access token is limited by authorization_details or act, which this server does not enforce"
    )]
    Constraint,
    /// `exp` lies further from `iat` than the issuer's tokens live.
    #[error("the access token lives for {0} seconds, which is longer than this server takes")]
    Lifetime(u64),
}

/// An access token whose every check passed.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    claims: AccessToken,
    key: Arc<PublicKey>,
}

impl VerifiedToken {
    /// What the token says.
    pub const fn claims(&self) -> &AccessToken {
        &self.claims
    }

    /// The issuer's key that signed it.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }
}

/// Checks an access token. Uses nothing up and asks nobody.
///
/// # Errors
/// [`TokenError`], naming the first check that failed; `UnknownKey` is the one that a newer key
/// set may cure.
pub fn verify_access_token(
    token: &str,
    keys: &IssuerKeys,
    expected: &ExpectedToken<'_>,
) -> Result<VerifiedToken, TokenError> {
    // 1. One well-formed JWS of bounded size, none of whose header members asks for more.
    let jws = CompactJws::parse(token, MAX_TOKEN_BYTES)?;
    let header = jws.header()?;
    // 2. The kind and the algorithm.
    let algorithm = algorithm_of(&header, expected.algorithms)?;
    // 3. The key: of the issuer's set, by its name, for that algorithm.
    let key = keys.find(header.kid.as_deref(), algorithm)?;
    // 4. The signature, over the bytes that were received.
    key.verify(algorithm, jws.signing_input, &jws.signature).map_err(|_| TokenError::Signature)?;
    // 5. The claims: from our issuer, for us, now.
    let received: Received = object(&jws.payload).map_err(|_| TokenError::Claims)?;
    if received.iss != expected.issuer {
        return Err(TokenError::Issuer);
    }
    if !received.aud.names(expected.audience) {
        return Err(TokenError::Audience);
    }
    let claims = received.into_token()?;
    claims.check_times(expected.now, expected.leeway)?;
    Ok(VerifiedToken { claims, key: Arc::clone(key) })
}

/// The checks that need no key of the issuer, so that garbage is refused before keys are waited for.
pub(super) fn screen(token: &str, algorithms: &[Algorithm]) -> Result<(), TokenError> {
    let jws = CompactJws::parse(token, MAX_TOKEN_BYTES)?;
    algorithm_of(&jws.header()?, algorithms).map(|_| ())
}

/// The name of the key that a token says it was signed by, if it is well formed and names one.
pub(super) fn key_name(token: &str) -> Option<String> {
    let jws = CompactJws::parse(token, MAX_TOKEN_BYTES).ok()?;
    Some(jws.header().ok()?.kid?.to_string())
}

/// The algorithm of an access token that one of the issuer's keys could have signed.
fn algorithm_of(header: &JoseHeader<'_>, accepted: &[Algorithm]) -> Result<Algorithm, TokenError> {
    // Everything else that the issuer signs has another typ (RFC 8725 §3.11).
    if !matches!(header.typ.as_deref(), Some("at+jwt" | "application/at+jwt")) {
        return Err(TokenError::Type);
    }
    if header.jwk.is_some() {
        return Err(TokenError::KeyInHeader);
    }
    let algorithm = header.algorithm()?;
    let is_accepted = accepted.contains(&algorithm);
    is_accepted.then_some(algorithm).ok_or(TokenError::AlgorithmNotAllowed(algorithm))
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
