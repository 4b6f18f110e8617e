//! RFC 7638 SHA-256 thumbprints: the name by which tokens and signed texts bind a key.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::PublicKey;
use super::jwk::canonical_members;

/// The prefix of RFC 9278 under which a thumbprint is written as a URI.
const URI_PREFIX: &str = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:";

/// The SHA-256 thumbprint of a public key (RFC 7638 §3), 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint([u8; 32]);

/// The text is not 43 characters of base64url that decode to 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key thumbprint is 43 characters of base64url without padding (RFC 7638, SHA-256)")]
pub struct ThumbprintError;

impl Thumbprint {
    /// The thumbprint of these 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The RFC 9278 URI, `urn:ietf:params:oauth:jwk-thumbprint:sha-256:…`.
    pub fn to_uri(&self) -> String {
        format!("{URI_PREFIX}{self}")
    }

    /// Reads an RFC 9278 URI; `None` when `uri` is something else altogether.
    ///
    /// # Errors
    /// (inside the option) [`ThumbprintError`] when the prefix is right and the rest is not.
    pub fn from_uri(uri: &str) -> Option<Result<Self, ThumbprintError>> {
        uri.strip_prefix(URI_PREFIX).map(str::parse)
    }
}

impl PublicKey {
    /// The RFC 7638 thumbprint of this key's JWK.
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint(Sha256::digest(canonical_members(self)).into())
    }
}

impl FromStr for Thumbprint {
    type Err = ThumbprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        if text.len() != 43 {
            return Err(ThumbprintError);
        }
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(32) => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(ThumbprintError),
        }
    }
}

/// Base64url without padding, 43 characters.
impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
