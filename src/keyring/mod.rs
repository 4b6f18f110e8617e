//! The issuer's signing keys: which one signs now, and which ones the world may verify with.
//!
//! This version holds one key, made when the server starts; the tokens of before end with it.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{Algorithm, Curve, InMemorySigner, PublicKey, SecretKeyError, Signer};
use serde::Serialize;

/// A key that access tokens are signed with, parsed once. Prints as its `kid`.
pub struct SigningKey {
    kid: String,
    public: PublicKey,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl SigningKey {
    /// A new key: Ed25519 for `EdDSA`, P-256 for `ES256`.
    ///
    /// # Errors
    /// [`SecretKeyError`], also for an algorithm that tokens are not signed with.
    pub fn generate(algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Self, SecretKeyError> {
        let signer = InMemorySigner::generate(algorithm.curve(), entropy)?;
        let der = signer.to_pkcs8_der()?;
        let rejected = |_| SecretKeyError::OutOfRange;
        let pair = match algorithm.curve() {
            Curve::Ed25519 => {
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(rejected)?)
            }
            Curve::P256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der);
                Pair::P256(pair.map_err(rejected)?)
            }
            Curve::Secp256k1 => {
                return Err(SecretKeyError::Encoding("tokens are not signed with ES256K"));
            }
        };
        let public = signer.public_key().clone();
        Ok(Self { kid: public.thumbprint().to_string(), public, pair })
    }

    /// The key's name in token headers and in the JWKS: its RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm of its signatures.
    pub const fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// Signs once, so that what a library sets up at its first signature is done before the first request.
    pub(crate) fn warm_up(&self) {
        // A signature that fails here fails again for the request that needs it, and is told there.
        let _ = self.sign(b"");
    }

    /// A JWS signature over `input`; `None` when the library fails, which it does for want of
    /// randomness alone.
    pub(crate) fn sign(&self, input: &[u8]) -> Option<[u8; 64]> {
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(input),
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), input).ok()?,
        };
        signature.as_ref().try_into().ok()
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
            alg: key.algorithm().name(),
            usage: "sig",
        };
        serde_json::to_string(&KeySet { keys: vec![published] })
    }
}
