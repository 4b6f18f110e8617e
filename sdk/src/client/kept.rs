//! What is kept of a session, and how it is written: versioned JSON that a newer version reads.
//!
//! It holds the tokens and, after a wallet's sign-in, the session key that was made for it. A key
//! that the caller keeps, an agent's own above all, is never written: in its place stands where it
//! lies, in the caller's words, and its thumbprint, so that another key is not taken for it.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::token::{AccessToken, RefreshToken, Token, is_session_id};
use crate::key::{InMemorySigner, PublicKey, SecretKeyError};
use crate::time::Timestamp;

/// The largest kept session, in bytes: two tokens of 8 KiB, two texts of 4 KiB, a key, and names.
pub const MAX_KEPT_BYTES: usize = 64 * 1024;
/// The version that is written. Version 1 had no refresh token and is read.
const VERSION: u8 = 2;

/// Why a text is no kept session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// It is not what this program or an earlier one writes.
    #[error("it is not a kept session")]
    Broken,
    /// A newer version of this program wrote it.
    #[error("a newer version wrote it; sign in again, or use that version")]
    Newer,
}

/// A session key as PKCS#8 PEM. Prints nothing, and is wiped when dropped.
#[derive(Clone)]
pub struct KeyPem(Zeroizing<String>);

impl KeyPem {
    /// The PEM of a key.
    ///
    /// # Errors
    /// [`SecretKeyError`] when the key cannot be encoded.
    pub fn of(key: &InMemorySigner) -> Result<Self, SecretKeyError> {
        key.to_pkcs8_pem().map(Self)
    }

    /// The key.
    ///
    /// # Errors
    /// [`SecretKeyError`] when the text is no key.
    pub fn signer(&self) -> Result<InMemorySigner, SecretKeyError> {
        InMemorySigner::from_pkcs8_pem(&self.0)
    }
}

impl fmt::Debug for KeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPem")
    }
}

/// The key that a kept session's requests are signed by.
#[derive(Clone, Debug)]
pub enum KeptKey {
    /// A session key that nobody else has.
    Session(KeyPem),
    /// A key that the caller keeps, and where, in the caller's words: a path, a name in a vault.
    Elsewhere(String),
    /// The same, of an agent's own key, which also proves itself again.
    Agent(String),
}

/// A session as it is kept.
#[derive(Clone, Debug)]
pub struct KeptSession {
    /// The issuer.
    pub issuer: String,
    /// The domain that the signed message named, where it was not the issuer's own host.
    pub domain: Option<String>,
    /// What the person calls the device.
    pub label: Option<String>,
    /// The tokens, and what the issuer said of them.
    pub token: Token,
    /// The key that signs requests.
    pub key: KeptKey,
    /// That key's RFC 7638 thumbprint; absent from sessions that version 1 kept.
    pub jkt: Option<String>,
}

impl KeptSession {
    /// Whether requests of this session are signed by `key`, as far as that is known.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.jkt.as_ref().is_none_or(|jkt| *jkt == key.thumbprint().to_string())
    }

    /// Whether `other` is kept of the same sign-in or of its successor: same issuer, resource,
    /// subject and key.
    pub(super) fn continues_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.token, &other.token);
        let same_key = other.jkt.is_none() || self.jkt.is_none() || self.jkt == other.jkt;
        self.issuer == other.issuer
            && ours.resource == theirs.resource
            && ours.sub == theirs.sub
            && same_key
    }

    /// The JSON text, of at most [`MAX_KEPT_BYTES`] bytes for a session that an issuer answered.
    ///
    /// # Errors
    /// [`KeptError::Broken`] when it would be larger.
    pub fn to_json(&self) -> Result<Zeroizing<String>, KeptError> {
        let token = &self.token;
        let written = Written {
            version: VERSION,
            issuer: self.issuer.clone(),
            domain: self.domain.clone(),
            label: self.label.clone(),
            resource: token.resource.clone(),
            scope: token.scope.clone(),
            sub: token.sub.clone(),
            access_token: SecretText(token.access_token.expose().to_owned()),
            refresh_token: token.refresh_token.as_ref().map(|t| SecretText(t.expose().to_owned())),
            session_id: token.session_id.clone(),
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            signed_by: SignedBy::of(&self.key),
            jkt: self.jkt.clone(),
        };
        // All of it at once, so that growing leaves no copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEPT_BYTES));
        serde_json::to_writer_pretty(&mut *bytes, &written).map_err(|_| KeptError::Broken)?;
        if bytes.len() > MAX_KEPT_BYTES {
            return Err(KeptError::Broken);
        }
        let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|_| KeptError::Broken)?;
        Ok(Zeroizing::new(text))
    }

    /// Reads what [`KeptSession::to_json`] wrote, now or in an earlier version.
    ///
    /// # Errors
    /// [`KeptError`], which quotes nothing of the text.
    pub fn from_json(text: &str) -> Result<Self, KeptError> {
        if text.len() > MAX_KEPT_BYTES {
            return Err(KeptError::Broken);
        }
        let version: Version = serde_json::from_str(text).map_err(|_| KeptError::Broken)?;
        if version.version > VERSION {
            return Err(KeptError::Newer);
        }
        let written: Written = serde_json::from_str(text).map_err(|_| KeptError::Broken)?;
        written.read().ok_or(KeptError::Broken)
    }
}

/// The one member that every version has.
#[derive(Deserialize)]
struct Version {
    version: u8,
}

/// A secret on its way to or from the text, wiped when dropped.
#[derive(Deserialize, Serialize, ZeroizeOnDrop)]
#[serde(transparent)]
struct SecretText(String);

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u8,
    issuer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    resource: Option<String>,
    scope: String,
    sub: String,
    access_token: SecretText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<SecretText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    issued_at: Timestamp,
    expires_at: Timestamp,
    signed_by: SignedBy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jkt: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum SignedBy {
    #[serde(alias = "agent_key_file")]
    AgentKey(String),
    #[serde(alias = "key_file")]
    Key(String),
    SessionKey(SecretText),
}

impl SignedBy {
    fn of(key: &KeptKey) -> Self {
        match key {
            KeptKey::Agent(place) => Self::AgentKey(place.clone()),
            KeptKey::Elsewhere(place) => Self::Key(place.clone()),
            KeptKey::Session(pem) => Self::SessionKey(SecretText(pem.0.as_str().to_owned())),
        }
    }
}

impl Written {
    fn read(self) -> Option<KeptSession> {
        let refresh_token = match &self.refresh_token {
            Some(text) => Some(RefreshToken::new(&text.0)?),
            None => None,
        };
        if self.session_id.as_deref().is_some_and(|id| !is_session_id(id)) {
            return None;
        }
        let key = match &self.signed_by {
            SignedBy::AgentKey(place) => KeptKey::Agent(place.clone()),
            SignedBy::Key(place) => KeptKey::Elsewhere(place.clone()),
            SignedBy::SessionKey(pem) => KeptKey::Session(KeyPem(Zeroizing::new(pem.0.clone()))),
        };
        let token = Token {
            access_token: AccessToken::new(&self.access_token.0)?,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            scope: self.scope,
            sub: self.sub,
            resource: self.resource,
            refresh_token,
            session_id: self.session_id,
        };
        let (issuer, domain, label) = (self.issuer, self.domain, self.label);
        Some(KeptSession { issuer, domain, label, token, key, jkt: self.jkt })
    }
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
