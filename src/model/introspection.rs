//! Who may ask about the tokens of a resource: by which keys, and by which secret.
//!
//! A secret is always one that `countersign secret` made: 256 random bits, which nobody guesses,
//! however fast the hash is that is kept of it. So that hash is SHA-256, and a server that is asked
//! often is not slowed down by each question. Passwords are not taken.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::entropy::{Entropy, EntropyError};
use zeroize::Zeroizing;

/// By what people and scanners know a secret.
const PREFIX: &str = "cs_is_";
/// By what a hash names its algorithm.
const ALGORITHM: &str = "sha256:";

/// A resource server's secret: `cs_is_` and 43 characters of base64url. Prints nothing.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A new one, of 32 random bytes.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes)?;
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 43));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        Ok(Self(text))
    }

    /// The text, for whoever it was made for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What is kept of a secret: SHA-256 over its text, written as `sha256:` and 43 characters of base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretHash([u8; 32]);

/// The text is not a hash as `countersign secret` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is sha256: and 43 characters of base64url")]
pub struct SecretHashError;

impl SecretHash {
    /// No secret has this hash that anybody will find; compared with where there is none, so that
    /// both take as long.
    const NONE: Self = Self([0; 32]);

    fn of(text: &str) -> Self {
        let mut bytes = [0; 32];
        let digest = digest::digest(&SHA256, text.as_bytes());
        bytes.iter_mut().zip(digest.as_ref()).for_each(|(byte, hashed)| *byte = *hashed);
        Self(bytes)
    }

    fn is_of(&self, secret: &str) -> bool {
        verify_slices_are_equal(&self.0, &Self::of(secret).0).is_ok()
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for SecretHash {
    type Err = SecretHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix(ALGORITHM).filter(|encoded| encoded.len() == 43);
        let bytes = encoded.and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(SecretHashError)
    }
}

/// Who may ask about the tokens of one resource.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    /// The keys that sign for it, as `did:key`.
    pub keys: HashSet<String>,
    /// What is kept of its secret, if it has one.
    pub secret: Option<SecretHash>,
}

impl Callers {
    /// Whether `secret` is that of these callers; the same work whether they are there or not.
    pub fn know(callers: Option<&Self>, secret: &str) -> bool {
        let kept = callers.and_then(|callers| callers.secret);
        kept.unwrap_or(SecretHash::NONE).is_of(secret) && kept.is_some()
    }
}

#[cfg(test)]
mod tests {
    use countersign_sdk::entropy::OsEntropy;

    use super::*;

    #[test]
    fn a_secret_is_known_by_its_hash_and_no_other_is() {
        let (secret, other) =
            (Secret::generate(&OsEntropy).unwrap(), Secret::generate(&OsEntropy).unwrap());
        assert_eq!((secret.expose().len(), format!("{secret:?}")), (49, "Secret".to_owned()));
        let written = secret.hash().to_string();
        assert_eq!(written.parse(), Ok(secret.hash()));
        let callers = Callers { secret: Some(secret.hash()), ..Callers::default() };
        assert!(Callers::know(Some(&callers), secret.expose()));
        assert!(!Callers::know(Some(&callers), other.expose()));
        assert!(!Callers::know(Some(&Callers::default()), secret.expose()));
        assert!(!Callers::know(None, secret.expose()));
    }

    #[test]
    fn a_hash_has_one_spelling() {
        let hash = SecretHash::of("a").to_string();
        for text in ["", "sha256:", &hash[7..], &hash[..49], &format!("{hash}="), "sha512:AA"] {
            assert_eq!(text.parse::<SecretHash>(), Err(SecretHashError), "{text}");
        }
    }
}
