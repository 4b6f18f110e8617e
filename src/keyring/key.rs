//! A key that the issuer signs with, wherever its private half lies.
//!
//! Whoever signs a document has a [`SigningKey`] and learns in the same way from each custody that it
//! did not sign: a security module can be away, and is back later. RFC 7515, RFC 7638 (`kid`).

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{Algorithm, Curve, InMemorySigner, PublicKey, SecretKeyError, Signer};

use super::slots::{Purpose, Reserved, Slots};

/// The key did not sign. The text names no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing key did not sign: {0}")]
pub struct SignError(pub String);

/// The private half of a key, in whatever custody.
pub trait PrivateHalf: Send + Sync {
    /// A JWS signature over `input`: 64 bytes (RFC 7518 §3.4, RFC 8037). May block for as long as the
    /// custody takes; one that can be slow sees to it that no other request waits for it.
    ///
    /// # Errors
    /// [`SignError`]; the next call may succeed.
    fn sign(&self, input: &[u8]) -> Result<[u8; 64], SignError>;

    /// Whether a signature is likely to be had now; asked before anything is used up for one.
    fn is_ready(&self) -> bool {
        true
    }

    /// The places to sign at, where a signature takes so long that there are not enough for everybody.
    fn slots(&self) -> Option<&Slots> {
        None
    }
}

/// A key that documents are signed with. Prints as its `kid`.
pub struct SigningKey {
    kid: String,
    public: PublicKey,
    private: Box<dyn PrivateHalf>,
    is_proven: bool,
}

impl SigningKey {
    /// The key of these two halves, which are known to belong together.
    pub fn new(public: PublicKey, private: Box<dyn PrivateHalf>) -> Self {
        Self { kid: public.thumbprint().to_string(), public, private, is_proven: true }
    }

    /// The same key for as long as nothing has shown that its halves belong together: it signs nothing,
    /// and is not published.
    pub fn unproven(self) -> Self {
        Self { is_proven: false, ..self }
    }

    /// Whether its halves were shown to belong together.
    pub const fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// A new key in memory: Ed25519 for `EdDSA`, P-256 for `ES256`.
    ///
    /// # Errors
    /// [`SecretKeyError`], also for an algorithm that tokens are not signed with.
    pub fn generate(algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Self, SecretKeyError> {
        Self::in_memory(&InMemorySigner::generate(algorithm.curve(), entropy)?)
    }

    /// The key of `signer`, parsed once for the library that signs fastest.
    ///
    /// # Errors
    /// [`SecretKeyError`], also for a curve that tokens are not signed with.
    pub fn in_memory(signer: &InMemorySigner) -> Result<Self, SecretKeyError> {
        let der = signer.to_pkcs8_der()?;
        let rejected = |_| SecretKeyError::OutOfRange;
        let public = signer.public_key().clone();
        let pair = match public.curve() {
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
        let key = Self::new(public, Box::new(pair));
        key.warm_up();
        Ok(key)
    }

    /// The key's name in token headers and in the JWKS: its RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm of its signatures.
    pub const fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether a signature is likely to be had now.
    pub fn is_ready(&self) -> bool {
        self.is_proven && self.private.is_ready()
    }

    /// A place to sign at, for a document of this kind, waited for and not for long. Taken before anything
    /// is used up for the document, and kept until it is signed.
    ///
    /// # Errors
    /// [`SignError`].
    pub(crate) async fn reserve(&self, purpose: Purpose) -> Result<Reserved, SignError> {
        match self.private.slots() {
            None => Ok(Reserved::unbounded()),
            Some(slots) => {
                let none =
                    || SignError("there are more signatures to be made than can be".to_owned());
                slots.reserve(purpose).await.ok_or_else(none)
            }
        }
    }

    /// A JWS signature over `input`.
    ///
    /// # Errors
    /// [`SignError`].
    pub(crate) fn sign(&self, input: &[u8]) -> Result<[u8; 64], SignError> {
        if !self.is_proven {
            return Err(SignError(
                "it has not shown yet that it is the key of the ring".to_owned(),
            ));
        }
        self.private.sign(input)
    }

    /// Signs once: so that what a library sets up at its first signature is done before the first request,
    /// and to find out whether a key that was out of reach is back.
    pub(crate) fn warm_up(&self) {
        // A signature that fails here fails again for the request that needs it, and is told there.
        let _ = self.sign(b"");
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// A private key in this process's memory.
enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl PrivateHalf for Pair {
    /// Fails for want of randomness alone.
    fn sign(&self, input: &[u8]) -> Result<[u8; 64], SignError> {
        let failed = || SignError("the library refused".to_owned());
        let signature = match self {
            Self::Ed25519(pair) => pair.sign(input),
            Self::P256(pair) => pair.sign(&SystemRandom::new(), input).map_err(|_| failed())?,
        };
        signature.as_ref().try_into().map_err(|_| failed())
    }
}
