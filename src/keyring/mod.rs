//! The issuer's signing keys: which one signs now, and which ones the world may verify with.
//!
//! This version holds one key, made when the server starts; the tokens of before end with it.

use std::fmt;

use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{Algorithm, Curve, InMemorySigner, PublicKey, SecretKeyError, Signer};
use jsonwebtoken::EncodingKey;
use serde::Serialize;

/// A key that access tokens are signed with. Prints as its `kid`.
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    public: PublicKey,
    encoding: EncodingKey,
}

impl SigningKey {
    /// A new key: Ed25519 for `EdDSA`, P-256 for `ES256`.
    ///
    /// # Errors
    /// [`SecretKeyError`], also for an algorithm that tokens are not signed with.
    pub fn generate(algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Self, SecretKeyError> {
        let curve = algorithm.curve();
        let signer = InMemorySigner::generate(curve, entropy)?;
        let der = signer.to_pkcs8_der()?;
        let encoding = match curve {
            Curve::Ed25519 => EncodingKey::from_ed_der(&der),
            Curve::P256 => EncodingKey::from_ec_der(&der),
            Curve::Secp256k1 => {
                return Err(SecretKeyError::Encoding(
                    "tokens are not signed with ES256K",
                ));
            }
        };
        let public = signer.public_key().clone();
        Ok(Self {
            kid: public.thumbprint().to_string(),
            algorithm,
            public,
            encoding,
        })
    }

    /// The key's name in token headers and in the JWKS: its RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm of its signatures.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key in the form that the token library takes.
    pub(crate) const fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// The keys of an issuer.
#[derive(Debug)]
pub struct Keyring {
    active: SigningKey,
}

/// One key of the JWKS (RFC 7517 §4).
#[derive(Serialize)]
struct PublishedKey<'a> {
    #[serde(flatten)]
    jwk: countersign_sdk::key::PublicJwk,
    kid: &'a str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
}

#[derive(Serialize)]
struct KeySet<'a> {
    keys: Vec<PublishedKey<'a>>,
}

impl Keyring {
    /// A ring of one key.
    pub const fn of(active: SigningKey) -> Self {
        Self { active }
    }

    /// The key that signs now.
    pub const fn active(&self) -> &SigningKey {
        &self.active
    }

    /// The JWKS document (RFC 7517 §5): every key that a live token may be signed with.
    ///
    /// # Errors
    /// Of the JSON encoder.
    pub fn to_jwks(&self) -> Result<String, serde_json::Error> {
        let key = &self.active;
        let published = PublishedKey {
            jwk: key.public.to_jwk(),
            kid: &key.kid,
            alg: key.algorithm.name(),
            usage: "sig",
        };
        serde_json::to_string(&KeySet {
            keys: vec![published],
        })
    }
}
