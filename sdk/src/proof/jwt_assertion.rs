//! RFC 7523 assertions by a raw key: an agent proves itself in one round trip.
//!
//! The assertion names its own key – `iss` and `sub` are its `did:key` – so nothing is registered
//! beforehand. It lives at most [`MAX_LIFETIME`] seconds and is used once.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::dpop::{MAX_JTI_BYTES, NewProofError};
use super::jws::{self, CompactJws, JwsError};
use super::replay::ReplayKey;
use crate::account::Account;
use crate::entropy::Entropy;
use crate::json::{Object, object};
use crate::key::{KeyError, PublicKey, Signer};
use crate::time::Timestamp;

/// The longest assertion read, in bytes.
pub const MAX_ASSERTION_BYTES: usize = 4096;
/// Seconds from `iat` to `exp` at most.
pub const MAX_LIFETIME: u64 = 60;

/// What an assertion must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The issuer's identifier, which `aud` must be.
    pub issuer: &'a str,
    /// Seconds that clocks may differ.
    pub skew: u64,
    /// Now.
    pub now: Timestamp,
}

/// Why an assertion was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Not a compact JWS with the claims that RFC 7523 §3 needs.
    #[error("the assertion is not well formed: {0}")]
    Malformed(#[from] JwsError),
    /// `typ` marks another kind of token.
    #[error("typ must be JWT or absent")]
    Type,
    /// `iss` is no `did:key`, or the header carries a key that must not be there.
    #[error("the assertion's key: {0}")]
    Key(KeyError),
    /// `sub` differs from `iss`.
    #[error("sub and iss must be the same did:key")]
    Subject,
    /// `aud` is not this issuer alone.
    #[error("aud must be this issuer's identifier and nothing else")]
    Audience,
    /// `exp`, `nbf` or `iat` leaves now outside.
    #[error("the assertion is expired, not yet valid, or lives longer than 60 seconds")]
    Time,
    /// `jti` is empty or too long.
    #[error("jti must have 1 to 512 bytes")]
    Jti,
    /// Not signed by the key that `iss` names.
    #[error("the assertion was not signed by the key that iss names")]
    Signature,
}

/// An assertion that passed every check but the last: its `jti` has yet to be claimed.
#[derive(Debug)]
pub struct VerifiedAssertion {
    key: PublicKey,
    account: Account,
    scope: Option<String>,
    resource: Option<String>,
    issued_at: Timestamp,
    replay_key: ReplayKey,
    retain_until: Timestamp,
}

impl VerifiedAssertion {
    /// The key that signed, Ed25519 or secp256k1.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The same key as the account that it is.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// `scope`, if the assertion states one.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// `resource`, if the assertion states one.
    pub fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    /// `iat`.
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// What to claim, so that the assertion is used once.
    pub const fn replay_key(&self) -> ReplayKey {
        self.replay_key
    }

    /// Until when the claim must be remembered.
    pub const fn retain_until(&self) -> Timestamp {
        self.retain_until
    }
}

#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    aud: Audience<'a>,
    #[serde(borrow)]
    jti: Cow<'a, str>,
    iat: u64,
    exp: u64,
    #[serde(default)]
    nbf: Option<u64>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    resource: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(#[serde(borrow)] Cow<'a, str>),
    List(#[serde(borrow)] Vec<Cow<'a, str>>),
}

impl Audience<'_> {
    /// Exactly this audience; an assertion that others would take as well is refused.
    fn is_only(&self, issuer: &str) -> bool {
        match self {
            Self::One(aud) => aud == issuer,
            Self::List(list) => list.len() == 1 && list.iter().all(|aud| aud == issuer),
        }
    }
}

/// Checks an assertion (RFC 7523 §3, RFC 8725). Uses nothing up.
///
/// # Errors
/// [`AssertionError`], naming the first check that failed.
pub fn check(
    assertion: &str,
    expected: &Expected<'_>,
) -> Result<VerifiedAssertion, AssertionError> {
    let jws = CompactJws::parse(assertion, MAX_ASSERTION_BYTES)?;
    let header = jws.header()?;
    // Another typ marks another artefact; a DPoP proof or an access token is never an assertion.
    if !matches!(header.typ.as_deref(), None | Some("JWT")) {
        return Err(AssertionError::Type);
    }
    let algorithm = header.algorithm()?;
    if let Some(Object(jwk)) = &header.jwk {
        // The key is the one that iss names. One in the header is not believed; a private one is told.
        jwk.to_public_key().map_err(AssertionError::Key)?;
    }
    let claims: Claims<'_> = object(&jws.payload).map_err(|_| {
        JwsError::Malformed(
            "iss, sub, aud, jti must be texts, iat and exp whole seconds, each there once",
        )
    })?;
    let key = PublicKey::did_key_to_verify_with(&claims.iss).map_err(AssertionError::Key)?;
    if claims.sub != claims.iss {
        return Err(AssertionError::Subject);
    }
    if !claims.aud.is_only(expected.issuer) {
        return Err(AssertionError::Audience);
    }
    if claims.jti.is_empty() || claims.jti.len() > MAX_JTI_BYTES {
        return Err(AssertionError::Jti);
    }
    let retain_until = check_times(&claims, expected)?;
    key.verify(algorithm, jws.signing_input, &jws.signature)
        .map_err(|_| AssertionError::Signature)?;
    let account = Account::of_key(&key).ok_or(AssertionError::Key(KeyError::Unsupported))?;
    Ok(VerifiedAssertion {
        replay_key: ReplayKey::of_jti("assertion", &key.thumbprint(), &claims.jti),
        scope: claims.scope,
        resource: claims.resource,
        issued_at: Timestamp::from_unix(claims.iat),
        retain_until,
        account,
        key,
    })
}

/// Whether now lies within the assertion's times; gives until when its `jti` must be remembered.
fn check_times(claims: &Claims<'_>, expected: &Expected<'_>) -> Result<Timestamp, AssertionError> {
    let (now, skew) = (expected.now, expected.skew);
    let (iat, exp) = (Timestamp::from_unix(claims.iat), Timestamp::from_unix(claims.exp));
    let not_before = claims.nbf.map_or(iat, |nbf| Timestamp::from_unix(nbf.max(claims.iat)));
    let started = not_before <= now.plus(skew);
    let running = exp.plus(skew) >= now;
    let short = iat <= exp && exp.since(iat) <= MAX_LIFETIME;
    if started && running && short { Ok(exp.plus(skew)) } else { Err(AssertionError::Time) }
}

/// An assertion to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewAssertion<'a> {
    /// The issuer's identifier.
    pub issuer: &'a str,
    /// The scopes wanted, separated by spaces.
    pub scope: Option<&'a str>,
    /// The resource wanted (RFC 8707).
    pub resource: Option<&'a str>,
    /// `iat`, by the server's clock as far as the client knows it.
    pub now: Timestamp,
}

#[derive(Serialize)]
struct NewHeader {
    typ: &'static str,
    alg: &'static str,
}

#[derive(Serialize)]
struct NewClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
}

impl NewAssertion<'_> {
    /// Makes the assertion: 128 random bits of `jti`, valid for [`MAX_LIFETIME`] seconds.
    ///
    /// # Errors
    /// [`NewProofError`]; `Encoding` for a P-256 key, which names no subject.
    pub async fn sign(
        &self,
        signer: &dyn Signer,
        entropy: &dyn Entropy,
    ) -> Result<String, NewProofError> {
        let did = signer.public_key().to_did_key().ok_or(NewProofError::Encoding)?;
        let mut jti = [0; 16];
        entropy.fill(&mut jti)?;
        let header = NewHeader { typ: "JWT", alg: signer.algorithm().name() };
        let claims = NewClaims {
            iss: &did,
            sub: &did,
            aud: self.issuer,
            jti: URL_SAFE_NO_PAD.encode(jti),
            iat: self.now.as_unix(),
            exp: self.now.plus(MAX_LIFETIME).as_unix(),
            scope: self.scope,
            resource: self.resource,
        };
        let input = jws::signing_input(&header, &claims).map_err(|_| NewProofError::Encoding)?;
        let signature = signer.sign(input.as_bytes()).await?;
        Ok(jws::close(input, &signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;
    use crate::key::{Curve, InMemorySigner};

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);

    fn expected(now: Timestamp) -> Expected<'static> {
        Expected { issuer: "https://auth.example", skew: 5, now }
    }

    async fn assertion(curve: Curve) -> String {
        let signer = InMemorySigner::generate(curve, &OsEntropy).unwrap();
        let new = NewAssertion {
            issuer: "https://auth.example",
            scope: Some("pay"),
            resource: None,
            now: NOW,
        };
        new.sign(&signer, &OsEntropy).await.unwrap()
    }

    #[tokio::test]
    async fn checks_what_it_makes() {
        for curve in [Curve::Ed25519, Curve::Secp256k1] {
            let text = assertion(curve).await;
            let verified = check(&text, &expected(NOW.plus(65))).unwrap();
            assert_eq!(verified.scope(), Some("pay"));
            assert_eq!(verified.retain_until(), NOW.plus(65));
            assert_eq!(check(&text, &expected(NOW.plus(66))).unwrap_err(), AssertionError::Time);
            assert_eq!(check(&text, &expected(NOW.minus(6))).unwrap_err(), AssertionError::Time);
            let elsewhere = Expected { issuer: "https://other.example", ..expected(NOW) };
            assert_eq!(check(&text, &elsewhere).unwrap_err(), AssertionError::Audience);
        }
    }

    #[tokio::test]
    async fn refuses_another_keys_signature() {
        let one = assertion(Curve::Ed25519).await;
        let other = assertion(Curve::Ed25519).await;
        let (input, _) = one.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        let mixed = format!("{input}.{signature}");
        assert_eq!(check(&mixed, &expected(NOW)).unwrap_err(), AssertionError::Signature);
    }
}
