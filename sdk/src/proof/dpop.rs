//! DPoP proofs (RFC 9449): the checks of §4.3 in their order.
//!
//! Checking is pure: it touches no store, so a request that fails later has used nothing up. What
//! it returns carries the [`ReplayKey`] that the caller claims last.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::jws::{CompactJws, JwsError};
use super::replay::ReplayKey;
use super::target_uri::TargetUri;
use crate::json::{object, typed};
use crate::key::{KeyError, PublicKey, Thumbprint};
use crate::time::Timestamp;

mod making;

pub use making::{NewProof, NewProofError};

/// The longest proof read, in bytes.
pub const MAX_PROOF_BYTES: usize = 4096;
/// The longest `jti` read, in bytes.
pub const MAX_JTI_BYTES: usize = 512;

/// SHA-256 of an access token's ASCII text, which `ath` states (RFC 9449 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccessTokenHash([u8; 32]);

impl AccessTokenHash {
    /// The hash of `token` as it stands in the `Authorization` header.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl fmt::Display for AccessTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for AccessTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessTokenHash")
    }
}

/// The token that a proof must belong to.
#[derive(Clone, Copy, Debug)]
pub enum TokenBinding {
    /// The request carries no access token: the token endpoint. `ath` is then not looked at.
    NoToken,
    /// The request carries this token, bound to this key: `ath` and the key must fit.
    Bound {
        /// Hash of the token.
        ath: AccessTokenHash,
        /// `cnf.jkt` of the token.
        jkt: Thumbprint,
    },
}

/// Judges the `nonce` of a proof (RFC 9449 §8, §9).
pub trait NonceCheck {
    /// Whether a proof of this `iat` is refused without a nonce.
    fn required(&self, made_at: Timestamp) -> bool;

    /// Whether this nonce is one of the server's and within its time.
    fn accepts(&self, nonce: &str, now: Timestamp) -> bool;
}

/// How old and how far ahead a proof may be.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Seconds since `iat`.
    pub max_age: u64,
    /// Seconds that `iat` may lie ahead of the server's clock.
    pub max_future_skew: u64,
}

impl Default for Window {
    /// 60 seconds back, 5 ahead.
    fn default() -> Self {
        Self { max_age: 60, max_future_skew: 5 }
    }
}

impl Window {
    /// How long a proof checked at `now` must be remembered: the largest `iat` it may have had,
    /// plus its validity. Of the server's clock alone.
    pub const fn retention(&self, now: Timestamp) -> Timestamp {
        now.plus(self.max_future_skew).plus(self.max_age)
    }
}

/// What a proof must say. Every member is needed; none has a default.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The method of the request, such as `POST`.
    pub method: &'a str,
    /// The URI of the request as the client saw it.
    pub target_uri: &'a TargetUri,
    /// The access token in the request.
    pub token: TokenBinding,
    /// The server's nonces.
    pub nonce: &'a dyn NonceCheck,
    /// How old a proof may be.
    pub window: Window,
    /// Now.
    pub now: Timestamp,
}

/// Why a proof was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// Not a compact JWS with the JSON that a proof has.
    #[error("the proof is not well formed: {0}")]
    Malformed(#[from] JwsError),
    /// `typ` is not `dpop+jwt`.
    #[error("typ must be dpop+jwt")]
    Type,
    /// `jwk` is missing or names no key that is supported.
    #[error("the proof's jwk: {0}")]
    Key(KeyError),
    /// The signature was not made by `jwk`, or `alg` does not fit it.
    #[error("the proof's signature was not made by its jwk with its alg")]
    Signature,
    /// `jti` is empty or too long.
    #[error("jti must have 1 to 512 bytes")]
    Jti,
    /// `htm` names another method.
    #[error("htm is {received}, the request's method is {expected}")]
    Method {
        /// The request's method.
        expected: String,
        /// What the proof says.
        received: String,
    },
    /// `htu` names another URI.
    #[error("htu is {received}, this server sees {expected}")]
    Target {
        /// The URI as the server saw it.
        expected: String,
        /// What the proof says.
        received: String,
    },
    /// `iat` is too long ago, or `exp` has passed.
    #[error("the proof is too old or expired: iat is {0} seconds ago")]
    TooOld(u64),
    /// `iat` or `nbf` lies too far ahead.
    #[error("iat or nbf is {0} seconds ahead of this server's clock")]
    InFuture(u64),
    /// A nonce is required and there is none, or it is not a current one of this server.
    #[error("the proof needs a current nonce of this server")]
    Nonce,
    /// `ath` is missing or belongs to another token.
    #[error("ath is not the hash of the access token in the request")]
    TokenHash,
    /// The token is bound to another key.
    #[error("the access token is bound to another key than the proof's")]
    KeyMismatch,
}

/// A proof that passed every check but the last: it has yet to be claimed.
#[derive(Debug)]
pub struct VerifiedProof {
    key: Arc<PublicKey>,
    thumbprint: Thumbprint,
    replay_key: ReplayKey,
    retain_until: Timestamp,
    made_at: Timestamp,
}

impl VerifiedProof {
    /// The key that signed.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The key, to spare the next proof by it some work.
    #[cfg(feature = "resource-server")]
    pub(crate) fn known_key(&self) -> KnownKey {
        KnownKey { key: Arc::clone(&self.key), thumbprint: self.thumbprint }
    }

    /// Its thumbprint.
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// What to claim, so that the proof is used once.
    pub const fn replay_key(&self) -> ReplayKey {
        self.replay_key
    }

    /// Until when the claim must be remembered.
    pub const fn retain_until(&self) -> Timestamp {
        self.retain_until
    }

    /// Its `iat`: when its maker says that it was made.
    pub const fn made_at(&self) -> Timestamp {
        self.made_at
    }
}

/// A key that made a good proof before, so that reading it and its thumbprint need not be done
/// again. It decides nothing: a proof by another key is checked as if there were none.
#[derive(Debug)]
pub(crate) struct KnownKey {
    key: Arc<PublicKey>,
    thumbprint: Thumbprint,
}

#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    jti: Cow<'a, str>,
    #[serde(borrow)]
    htm: Cow<'a, str>,
    #[serde(borrow)]
    htu: Cow<'a, str>,
    iat: u64,
    #[serde(default, deserialize_with = "typed")]
    exp: Option<u64>,
    #[serde(default, deserialize_with = "typed")]
    nbf: Option<u64>,
    #[serde(borrow, default, deserialize_with = "typed")]
    ath: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "typed")]
    nonce: Option<Cow<'a, str>>,
}

/// Checks a proof as RFC 9449 §4.3 lists it. Uses nothing up.
///
/// # Errors
/// [`DpopError`], naming the first check that failed.
pub fn check(proof: &str, expected: &Expected<'_>) -> Result<VerifiedProof, DpopError> {
    check_by(proof, expected, None)
}

/// [`check`], where the key of the proof may be one that is known already.
pub(crate) fn check_by(
    proof: &str,
    expected: &Expected<'_>,
    known: Option<&KnownKey>,
) -> Result<VerifiedProof, DpopError> {
    // 1. One well-formed JWS of bounded size; `typ`, `alg`, and a public `jwk` that fits it.
    let jws = CompactJws::parse(proof, MAX_PROOF_BYTES)?;
    let header = jws.header()?;
    let jwk = header.jwk.as_ref();
    // Before anything else can be wrong: whoever sent a private key must be told.
    if jwk.is_some_and(|jwk| jwk.0.is_private()) {
        return Err(DpopError::Key(KeyError::PrivateKey));
    }
    if header.typ.as_deref() != Some("dpop+jwt") {
        return Err(DpopError::Type);
    }
    let algorithm = header.algorithm()?;
    let missing = DpopError::Key(KeyError::Encoding("it is missing"));
    let jwk = &jwk.ok_or(missing)?.0;
    let known = known.filter(|known| jwk.names(&known.key));
    let key = match known {
        Some(known) => Arc::clone(&known.key),
        None => Arc::new(jwk.to_verify_with().map_err(DpopError::Key)?),
    };
    let claims: Claims<'_> = object(&jws.payload).map_err(|_| {
        JwsError::Malformed("jti, htm, htu must be texts and iat whole seconds, each there once")
    })?;
    // 2. What costs nothing is compared first; it says more than a failed signature does.
    check_request(&claims, expected)?;
    check_time(&claims, expected)?;
    // 3. The signature, by the key in the header.
    key.verify(algorithm, jws.signing_input, &jws.signature).map_err(|_| DpopError::Signature)?;
    let thumbprint = known.map_or_else(|| key.thumbprint(), |known| known.thumbprint);
    // 4. A current nonce. After the signature, so that only a key's holder is told to retry.
    let nonce_fits = match claims.nonce.as_deref() {
        Some(nonce) => expected.nonce.accepts(nonce, expected.now),
        None => !expected.nonce.required(Timestamp::from_unix(claims.iat)),
    };
    if !nonce_fits {
        return Err(DpopError::Nonce);
    }
    // 5. The token in the request, and the key that it is bound to.
    if let TokenBinding::Bound { ath, jkt } = expected.token {
        if claims.ath.as_deref() != Some(&*ath.to_string()) {
            return Err(DpopError::TokenHash);
        }
        if jkt != thumbprint {
            return Err(DpopError::KeyMismatch);
        }
    }
    Ok(VerifiedProof {
        replay_key: ReplayKey::of_jti("dpop", &thumbprint, &claims.jti),
        retain_until: expected.window.retention(expected.now),
        made_at: Timestamp::from_unix(claims.iat),
        key,
        thumbprint,
    })
}

fn check_request(claims: &Claims<'_>, expected: &Expected<'_>) -> Result<(), DpopError> {
    if claims.jti.is_empty() || claims.jti.len() > MAX_JTI_BYTES {
        return Err(DpopError::Jti);
    }
    if claims.htm != expected.method {
        let received = shortened(&claims.htm);
        return Err(DpopError::Method { expected: expected.method.to_owned(), received });
    }
    if !expected.target_uri.is_named_by(&claims.htu) {
        let received = shortened(&claims.htu);
        return Err(DpopError::Target { expected: expected.target_uri.to_string(), received });
    }
    Ok(())
}

fn check_time(claims: &Claims<'_>, expected: &Expected<'_>) -> Result<(), DpopError> {
    let (iat, now) = (Timestamp::from_unix(claims.iat), expected.now);
    if now.since(iat) > expected.window.max_age {
        return Err(DpopError::TooOld(now.since(iat)));
    }
    if iat.since(now) > expected.window.max_future_skew {
        return Err(DpopError::InFuture(iat.since(now)));
    }
    // A proof needs neither, and keeps to them where it states them (RFC 7519 §4.1.4, §4.1.5).
    let skew = expected.window.max_future_skew;
    if claims.exp.is_some_and(|exp| Timestamp::from_unix(exp).plus(skew) <= now) {
        return Err(DpopError::TooOld(now.since(iat)));
    }
    match claims.nbf.map(Timestamp::from_unix) {
        Some(nbf) if nbf > now.plus(skew) => Err(DpopError::InFuture(nbf.since(now))),
        Some(_) | None => Ok(()),
    }
}

/// A received text, short and printable enough for an error message.
fn shortened(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

#[cfg(test)]
#[path = "dpop_tests.rs"]
mod tests;
