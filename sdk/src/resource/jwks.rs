//! Which keys of an issuer's JWK set we use, and which of them a token means.
//!
//! Keys of other types or for other uses are passed over, as RFC 7517 §5 has it, for an issuer may
//! publish more than we know. A set that holds a secret, or two usable keys of one name, is refused
//! whole: the one is burnt, and the other leaves open who signed.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::token::TokenError;
use crate::json::{Object, object};
use crate::key::jwk::ReceivedJwk;
use crate::key::{Algorithm, KeyError, PublicKey};

/// The longest JWK set read, in bytes.
pub const MAX_JWKS_BYTES: usize = 64 * 1024;
/// The longest archive of an issuer's keys read, in bytes: of every key that it ever had, with what became of each.
pub const MAX_ARCHIVE_BYTES: usize = 1024 * 1024;

/// Why a document is not a key set that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerKeysError {
    /// Longer than so many bytes.
    #[error("the key set is longer than {0} bytes")]
    TooLong(usize),
    /// Not the JSON of a JWK set, or a member stands twice.
    #[error("the key set is not a JWK set")]
    Malformed,
    /// A key has private or symmetric members; the issuer must consider it burnt.
    #[error("the key set publishes a private key")]
    PrivateKey,
    /// Two usable keys have the same `kid`.
    #[error("two keys of the set have the same kid")]
    RepeatedKeyId,
    /// None of the keys is one that we verify with.
    #[error("the key set holds no key of Ed25519, P-256 or secp256k1 for signatures")]
    NoUsableKey,
}

/// The issuer's keys that we verify with.
#[derive(Clone, Debug)]
pub struct IssuerKeys(Vec<IssuerKey>);

#[derive(Clone, Debug)]
struct IssuerKey {
    id: Option<String>,
    key: Arc<PublicKey>,
}

/// The set, read for its keys.
#[derive(Deserialize)]
struct KeyMaterial<'a> {
    #[serde(borrow)]
    keys: Vec<Object<ReceivedJwk<'a>>>,
}

/// The set, read for what the keys are called and meant for.
#[derive(Deserialize)]
struct Labels<'a> {
    #[serde(borrow)]
    keys: Vec<Object<Label<'a>>>,
}

#[derive(Deserialize)]
struct Label<'a> {
    #[serde(borrow, default)]
    kid: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "use")]
    usage: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    alg: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    key_ops: Option<Vec<Cow<'a, str>>>,
}

impl Label<'_> {
    /// Whether the key is meant for verifying signatures of its own curve.
    fn fits(&self, key: &PublicKey) -> bool {
        let usage = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let operations =
            self.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"));
        let algorithm = self.alg.as_deref().is_none_or(|name| {
            Algorithm::from_name(name).is_some_and(|algorithm| algorithm.curve() == key.curve())
        });
        usage && operations && algorithm
    }
}

impl IssuerKeys {
    /// Reads a JWK set (RFC 7517 §5) of at most [`MAX_JWKS_BYTES`].
    ///
    /// # Errors
    /// [`IssuerKeysError`]; nothing of the set is then used.
    pub fn from_json(document: &[u8]) -> Result<Self, IssuerKeysError> {
        Self::within(document, MAX_JWKS_BYTES)
    }

    /// Reads an archive of keys, a JWK set of at most [`MAX_ARCHIVE_BYTES`]: to check old documents with, and nobody's
    /// set to trust tokens by.
    ///
    /// # Errors
    /// As [`IssuerKeys::from_json`].
    pub fn from_archive(document: &[u8]) -> Result<Self, IssuerKeysError> {
        Self::within(document, MAX_ARCHIVE_BYTES)
    }

    fn within(document: &[u8], most: usize) -> Result<Self, IssuerKeysError> {
        if document.len() > most {
            return Err(IssuerKeysError::TooLong(most));
        }
        // Twice over the same text, so that each reading can refuse repeated members by itself.
        let malformed = |_| IssuerKeysError::Malformed;
        let material: KeyMaterial<'_> = object(document).map_err(malformed)?;
        let labels: Labels<'_> = object(document).map_err(malformed)?;
        let mut usable: Vec<IssuerKey> = Vec::new();
        for (Object(jwk), Object(label)) in material.keys.iter().zip(&labels.keys) {
            let key = match jwk.to_public_key() {
                Ok(key) if label.fits(&key) => key,
                Err(KeyError::PrivateKey) => return Err(IssuerKeysError::PrivateKey),
                Ok(_) | Err(_) => continue,
            };
            let id = label.kid.as_deref().map(str::to_owned);
            if id.is_some() && usable.iter().any(|other| other.id == id) {
                return Err(IssuerKeysError::RepeatedKeyId);
            }
            usable.push(IssuerKey { id, key: Arc::new(key) });
        }
        if usable.is_empty() {
            return Err(IssuerKeysError::NoUsableKey);
        }
        Ok(Self(usable))
    }

    /// The key that a token means by its `kid`; without one, the only key for its algorithm.
    pub(super) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&Arc<PublicKey>, TokenError> {
        let mut fitting = self.0.iter().filter(|one| one.key.curve() == algorithm.curve());
        let Some(id) = id else {
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(&only.key),
                (Some(_), Some(_)) | (None, _) => Err(TokenError::KeyNotNamed),
            };
        };
        let mut named = self.0.iter().filter(|one| one.id.as_deref() == Some(id));
        let key = &named.next().ok_or(TokenError::UnknownKey)?.key;
        if key.curve() == algorithm.curve() { Ok(key) } else { Err(TokenError::KeyUnfit) }
    }

    /// The names of its keys that are none of `names`.
    pub(super) fn names_beside(&self, names: &[String]) -> Vec<String> {
        let ids = self.0.iter().filter_map(|one| one.id.as_ref());
        ids.filter(|id| !names.contains(id)).cloned().collect()
    }

    /// The set without the keys of which this is so.
    pub(super) fn without(&self, is_gone: impl Fn(&str) -> bool) -> Self {
        let is_kept = |one: &&IssuerKey| one.id.as_deref().is_none_or(|id| !is_gone(id));
        Self(self.0.iter().filter(is_kept).cloned().collect())
    }

    /// The keys of these names alone.
    pub(super) fn among(&self, names: &[String]) -> Self {
        let is_named = |one: &&IssuerKey| one.id.as_ref().is_some_and(|id| names.contains(id));
        Self(self.0.iter().filter(is_named).cloned().collect())
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of its keys has this name.
    pub(super) fn names(&self, name: &str) -> bool {
        self.0.iter().any(|one| one.id.as_deref() == Some(name))
    }

    /// Whether the issuer still publishes this key. A verdict by a key that is gone is gone too.
    pub(super) fn holds(&self, key: &PublicKey) -> bool {
        self.0.iter().any(|one| *one.key == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str =
        r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    fn read(keys: &str) -> Result<usize, IssuerKeysError> {
        IssuerKeys::from_json(format!(r#"{{"keys":[{keys}]}}"#).as_bytes()).map(|set| set.0.len())
    }

    #[test]
    fn passes_over_what_it_does_not_use() {
        let rsa = r#"{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"r"}"#;
        let good = format!(r#"{{{ED},"kid":"a","use":"sig","alg":"EdDSA","key_ops":["verify"]}}"#);
        assert_eq!(read(&format!("{rsa},{good}")), Ok(1));
        for member in
            [r#""use":"enc""#, r#""alg":"ES256""#, r#""alg":"RS256""#, r#""key_ops":["sign"]"#]
        {
            let other = format!("{{{ED},{member}}}");
            assert_eq!(read(&other), Err(IssuerKeysError::NoUsableKey), "{member}");
        }
        assert_eq!(read(""), Err(IssuerKeysError::NoUsableKey));
    }

    #[test]
    fn refuses_a_set_with_a_secret_or_one_name_twice() {
        let good = format!(r#"{{{ED},"kid":"a"}}"#);
        let secret = format!(r#"{{{ED},"kid":"b","d":"AA"}}"#);
        assert_eq!(read(&format!("{good},{secret}")), Err(IssuerKeysError::PrivateKey));
        assert_eq!(read(&format!("{good},{good}")), Err(IssuerKeysError::RepeatedKeyId));
        assert_eq!(
            read(&format!(r#"{{{ED},"kid":"a","kid":"b"}}"#)),
            Err(IssuerKeysError::Malformed)
        );
        let long = " ".repeat(MAX_JWKS_BYTES + 1);
        assert_eq!(
            IssuerKeys::from_json(long.as_bytes()).err(),
            Some(IssuerKeysError::TooLong(MAX_JWKS_BYTES))
        );
        let archive = format!(r#"{{"keys":[{{{ED},"kid":"a"}}]}}{long}"#);
        assert!(IssuerKeys::from_json(archive.as_bytes()).is_err());
        assert!(IssuerKeys::from_archive(archive.as_bytes()).is_ok());
    }

    #[test]
    fn finds_by_name_and_only_for_its_algorithm() {
        let document = format!(r#"{{"keys":[{{{ED},"kid":"a"}}]}}"#);
        let set = IssuerKeys::from_json(document.as_bytes()).unwrap();
        assert!(set.find(Some("a"), Algorithm::EdDsa).is_ok());
        assert!(set.find(Some("a"), Algorithm::Ed25519).is_ok());
        assert!(set.find(None, Algorithm::EdDsa).is_ok());
        let refused = |id, algorithm| set.find(id, algorithm).err();
        assert_eq!(refused(Some("a"), Algorithm::Es256), Some(TokenError::KeyUnfit));
        assert_eq!(refused(Some("b"), Algorithm::EdDsa), Some(TokenError::UnknownKey));
        assert_eq!(refused(None, Algorithm::Es256), Some(TokenError::KeyNotNamed));
    }
}
