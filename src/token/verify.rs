//! Whether a text is a live access token of this issuer, whatever resource it is for.
//!
//! For the issuer's own endpoints, where the holder of a token acts on what the token stands for.
//! That it is not revoked is part of what an [`OwnAccessToken`] is: there is no other way to one.
//! RFC 9068 §4, RFC 8725 §3; the audience is for the caller to look at.

use std::sync::Arc;

use countersign_sdk::key::{Algorithm, Thumbprint};
use countersign_sdk::resource::{IssuerKeys, verify_jws};
use countersign_sdk::time::Timestamp;
use serde::Deserialize;

use crate::keyring::Keyring;
use crate::model::revocation::{LONGEST_LEEWAY, LONGEST_TOKEN, TokenNames};
use crate::model::session::SessionId;
use crate::store::{SessionError, Store};

/// Why a text is no live access token of this issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotLive {
    /// Another issuer's, another kind of document, altered, or no token at all.
    #[error("it is not an access token of this issuer")]
    NotOurs,
    /// Its `exp` has passed.
    #[error("it has expired")]
    Expired,
    /// It, its session, its key or its subject was revoked, or everything was.
    #[error("it was revoked")]
    Revoked,
    /// The keys that it could be verified with have not shown yet that they are ours, as after a start
    /// with a security module away: whose it is, is not known.
    #[error("no key can verify it now")]
    Unverifiable,
    /// Whether it is revoked is not known, so it is not taken.
    #[error("the store did not say whether it is revoked")]
    Unknown(SessionError),
}

/// How far a clock that was put right may have been ahead, in seconds.
const LONGEST_JUMP: u64 = 3600;

/// What tokens are or were signed with: whichever of them the configuration names now, tokens of a key of
/// before are still about.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::EdDsa, Algorithm::Es256];

/// Verifies the access tokens of one issuer by the keys that it publishes.
#[derive(Debug)]
pub struct AccessTokens {
    issuer: String,
    keyring: Arc<Keyring>,
}

/// An access token that this issuer signed, that has not expired and was not revoked a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAccessToken(Claims);

#[derive(Deserialize)]
struct Header {
    typ: String,
}

/// What the issuer wrote. Serde refuses a member that stands twice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    client_id: String,
    iat: Timestamp,
    nbf: Timestamp,
    exp: Timestamp,
    jti: String,
    scope: String,
    auth_time: Timestamp,
    account: String,
    cnf: Option<Confirmation>,
    proven_key: ProvenKey,
    sid: Option<SessionId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Confirmation {
    jkt: Thumbprint,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct ProvenKey {
    jkt: Option<Thumbprint>,
    method: String,
}

impl AccessTokens {
    /// Those of `issuer`, signed by a key of `keyring`.
    pub fn new(issuer: &str, keyring: &Arc<Keyring>) -> Self {
        Self { issuer: issuer.to_owned(), keyring: Arc::clone(keyring) }
    }

    /// Reads a token and asks the store whether it is revoked.
    ///
    /// Its `nbf` is not compared: this issuer never writes one that lies ahead of its own clock.
    ///
    /// # Errors
    /// [`NotLive`], naming the first check that failed.
    pub async fn verify(
        &self,
        token: &str,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<OwnAccessToken, NotLive> {
        // This issuer dates none ahead: whoever stole a key of it might.
        self.live(token, LONGEST_LEEWAY, store, now).await
    }

    /// The same for whoever wants it to end, also for one that lies ahead: a clock that was ahead has
    /// dated it, and it will be taken.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify); [`NotLive::NotOurs`] too for one that begins in more than an hour.
    pub async fn to_revoke(
        &self,
        token: &str,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<OwnAccessToken, NotLive> {
        self.live(token, LONGEST_JUMP, store, now).await
    }

    /// `ahead`: by how many seconds it may be.
    async fn live(
        &self,
        token: &str,
        ahead: u64,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<OwnAccessToken, NotLive> {
        let claims = self.genuine(token, now)?;
        // This issuer lets none live longer.
        if claims.iat > now.plus(ahead) || claims.exp > claims.iat.plus(LONGEST_TOKEN) {
            return Err(NotLive::NotOurs);
        }
        if now >= claims.exp {
            return Err(NotLive::Expired);
        }
        let token = OwnAccessToken(claims);
        match store.is_revoked(&token.names(), now).await {
            Ok(false) => Ok(token),
            Ok(true) => Err(NotLive::Revoked),
            Err(error) => Err(NotLive::Unknown(error)),
        }
    }

    /// Whose token it is, or was, if this issuer signed it: for the record of a refusal, and for
    /// nothing else.
    pub(crate) fn subject_of(&self, token: &str, now: Timestamp) -> Option<String> {
        self.genuine(token, now).ok().map(|claims| claims.sub)
    }

    /// What a token says that a key of this issuer signed that is published at `now`.
    fn genuine(&self, token: &str, now: Timestamp) -> Result<Claims, NotLive> {
        let view = self.keyring.view(now);
        let keys = view.published().ok_or(NotLive::Unverifiable)?;
        self.read(token, keys).ok_or(NotLive::NotOurs)
    }

    fn read(&self, token: &str, keys: &IssuerKeys) -> Option<Claims> {
        // The signature first, whose check also bounds the size and refuses what no header may say.
        let payload = verify_jws(token, keys, &ALGORITHMS).ok()?;
        let header = token.split('.').next().and_then(decoded)?;
        let header: Header = serde_json::from_slice(&header).ok()?;
        let claims: Claims = serde_json::from_slice(&payload).ok()?;
        // The issuer signs other documents with the same key, each with another typ.
        (header.typ == "at+jwt" && claims.iss == self.issuer).then_some(claims)
    }
}

fn decoded(part: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).ok()
}

impl OwnAccessToken {
    /// The names by which it can be revoked.
    pub fn names(&self) -> TokenNames<'_> {
        TokenNames {
            jti: Some(&self.0.jti),
            session: self.0.sid,
            subject: &self.0.sub,
            keys: [self.key(), self.0.proven_key.jkt],
            issued_at: self.0.iat,
        }
    }

    /// `sub`: a `did:pkh` or `did:key`.
    pub fn subject(&self) -> &str {
        &self.0.sub
    }

    /// `aud`: the one resource.
    pub fn audience(&self) -> &str {
        &self.0.aud
    }

    /// `jti`.
    pub fn id(&self) -> &str {
        &self.0.jti
    }

    /// `sid`: its session, if it belongs to one.
    pub const fn session(&self) -> Option<SessionId> {
        self.0.sid
    }

    /// `cnf.jkt`: the key that it is bound to, if it is bound.
    pub fn key(&self) -> Option<Thumbprint> {
        self.0.cnf.as_ref().map(|cnf| cnf.jkt)
    }

    /// `proven_key`: the key that was proven, if the account is one, and how.
    pub fn proven_key(&self) -> (Option<Thumbprint>, &str) {
        (self.0.proven_key.jkt, &self.0.proven_key.method)
    }

    /// `client_id`.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// `scope`, with spaces between.
    pub fn scope(&self) -> &str {
        &self.0.scope
    }

    /// `account`: the account on the chain that was signed for.
    pub fn account(&self) -> &str {
        &self.0.account
    }

    /// `iat`.
    pub const fn issued_at(&self) -> Timestamp {
        self.0.iat
    }

    /// `nbf`.
    pub const fn not_before(&self) -> Timestamp {
        self.0.nbf
    }

    /// `exp`: the first second at which it is worth nothing.
    pub const fn expires_at(&self) -> Timestamp {
        self.0.exp
    }

    /// `auth_time`: when the key was proven.
    pub const fn authenticated_at(&self) -> Timestamp {
        self.0.auth_time
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
