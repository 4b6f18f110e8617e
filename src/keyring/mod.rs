//! The issuer's signing keys: which one signs now, and which ones the world may verify with.
//!
//! This version holds one key, made when the server starts; the tokens of before end with it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{Algorithm, Curve, InMemorySigner, SecretKeyError, Signer, SignerError};
use serde::Serialize;

/// A key that access tokens are signed with. Prints as its `kid`.
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    signer: InMemorySigner,
    /// The header of its tokens, base64url.
    header: String,
}

/// The header of an access token (RFC 9068 §2.1).
#[derive(Serialize)]
struct TokenHeader<'a> {
    typ: &'static str,
    alg: &'static str,
    kid: &'a str,
}

impl SigningKey {
    /// A new key: Ed25519 for `EdDSA`, P-256 for `ES256`.
    ///
    /// # Errors
    /// [`SecretKeyError`], also for an algorithm that tokens are not signed with.
    pub fn generate(algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Self, SecretKeyError> {
        let curve = algorithm.curve();
        if curve == Curve::Secp256k1 {
            let refused = SecretKeyError::Encoding("tokens are not signed with ES256K");
            return Err(refused);
        }
        let signer = InMemorySigner::generate(curve, entropy)?;
        let kid = signer.public_key().thumbprint().to_string();
        let header = TokenHeader {
            typ: "at+jwt",
            alg: algorithm.name(),
            kid: &kid,
        };
        let header = serde_json::to_vec(&header)
            .map_err(|_| SecretKeyError::Encoding("its header could not be written"))?;
        Ok(Self {
            header: URL_SAFE_NO_PAD.encode(header),
            kid,
            algorithm,
            signer,
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

    /// The header of its tokens, base64url: the same for all, and written once.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    /// Signs the input of a JWS (RFC 7515 §5.1).
    ///
    /// # Errors
    /// [`SignerError`].
    pub(crate) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.signer.sign_now(input)
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
            jwk: key.signer.public_key().to_jwk(),
            kid: &key.kid,
            alg: key.algorithm.name(),
            usage: "sig",
        };
        serde_json::to_string(&KeySet {
            keys: vec![published],
        })
    }
}
