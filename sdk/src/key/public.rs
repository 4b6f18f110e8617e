//! The public key: parsed once, strictly, and then trusted by its type.
//!
//! Two signature policies stand side by side. A *JWS* signature (DPoP proof, assertion) is never
//! used as an identifier, so ECDSA is taken with either S, as RFC 7518 §3.4 and RFC 8812 have it.
//! A *wallet* signature must have the low S, and only that one.

use std::fmt;

use super::{Algorithm, Curve, ed25519, p256, secp256k1};

/// Why bytes are not a public key of this project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The encoding is broken: wrong length, alphabet, prefix or JSON.
    #[error("the key is not well encoded: {0}")]
    Encoding(&'static str),
    /// The key type or curve is none of Ed25519, P-256 and secp256k1.
    #[error("the key's type or curve is not supported (Ed25519, P-256 and secp256k1 are)")]
    Unsupported,
    /// The coordinates are not a point on the curve, or not canonically encoded.
    #[error("the key is not a point on its curve")]
    NotOnCurve,
    /// A point of small order, for which signatures can be made without a secret.
    #[error("the key is a point of small order")]
    SmallOrder,
    /// Private key material was given where only a public key belongs.
    #[error("a private key was given; treat it as burnt and make a new one")]
    PrivateKey,
}

/// Why a signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not the right number of bytes, or a component outside its range.
    #[error("the signature is not well formed: {0}")]
    Malformed(&'static str),
    /// The second, malleated form of an ECDSA signature: S lies in the upper half of the order.
    #[error("the signature's S is in the upper half of the group order")]
    HighS,
    /// Well formed, but not made by this key over these bytes.
    #[error("the signature was not made by this key over these bytes")]
    Mismatch,
    /// The algorithm does not belong to the key's curve.
    #[error("the algorithm does not fit the key")]
    WrongAlgorithm,
}

/// Why bytes are not the key that signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigner {
    /// They are no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The signature is not one of theirs.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// A public key on one of the three curves: on its curve, canonical, not of small order.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(pub(super) Repr);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Repr {
    Ed25519(ed25519::Key),
    P256(p256::Key),
    Secp256k1(secp256k1::Key),
}

impl PublicKey {
    /// An Ed25519 key from its 32 bytes (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`KeyError`] for a non-canonical encoding, a point off the curve, or one of small order.
    pub fn from_ed25519_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        Ok(Self(Repr::Ed25519(ed25519::Key::from_bytes(bytes)?)))
    }

    /// An Ed25519 key that leaves this crate only after it has verified a signature; see
    /// [`ed25519::Key::to_verify_with`].
    pub(super) fn ed25519_to_verify_with(bytes: &[u8]) -> Result<Self, KeyError> {
        Ok(Self(Repr::Ed25519(ed25519::Key::to_verify_with(bytes)?)))
    }

    /// The Ed25519 key of these bytes, if it made `signature` over `message`: what
    /// [`from_ed25519_bytes`](Self::from_ed25519_bytes) and [`verify_wallet`](Self::verify_wallet)
    /// say together, at the cost of the second alone. Bytes that are no point have signed nothing.
    ///
    /// # Errors
    /// [`NotSigner`].
    pub fn ed25519_that_signed(
        bytes: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<Self, NotSigner> {
        let key = Self::ed25519_to_verify_with(bytes)?;
        key.verify_wallet(message, signature)?;
        Ok(key)
    }

    /// A P-256 or secp256k1 key from its SEC 1 bytes, compressed (33) or uncompressed (65).
    ///
    /// # Errors
    /// [`KeyError`] for another length or tag, a point off the curve, or [`Curve::Ed25519`].
    pub fn from_sec1(curve: Curve, bytes: &[u8]) -> Result<Self, KeyError> {
        match curve {
            Curve::Ed25519 => Err(KeyError::Unsupported),
            Curve::P256 => Ok(Self(Repr::P256(p256::Key::from_sec1(bytes)?))),
            Curve::Secp256k1 => Ok(Self(Repr::Secp256k1(secp256k1::Key::from_sec1(bytes)?))),
        }
    }

    /// The curve this key is on.
    pub const fn curve(&self) -> Curve {
        match self.0 {
            Repr::Ed25519(_) => Curve::Ed25519,
            Repr::P256(_) => Curve::P256,
            Repr::Secp256k1(_) => Curve::Secp256k1,
        }
    }

    /// The raw encoding: 32 bytes for Ed25519, 65 bytes (SEC 1 uncompressed) for the other two.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Ed25519(key) => key.as_bytes(),
            Repr::P256(key) => key.as_bytes(),
            Repr::Secp256k1(key) => key.as_bytes(),
        }
    }

    /// A secp256k1 key from its x-coordinate alone (BIP-340): the point with the even y.
    ///
    /// # Errors
    /// [`KeyError::NotOnCurve`].
    pub fn from_x_only(x: &[u8; 32]) -> Result<Self, KeyError> {
        Self::from_sec1(Curve::Secp256k1, &[&[2], &x[..]].concat())
    }

    /// The x-coordinate of a secp256k1 key, which is all that BIP-340 has of one.
    pub fn x_only(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Repr::Secp256k1(key) => key.as_bytes().get(1..33)?.try_into().ok(),
            Repr::Ed25519(_) | Repr::P256(_) => None,
        }
    }

    /// The secp256k1 key of the same x-coordinate and the other y: whoever holds one holds both.
    pub fn mirrored(&self) -> Option<Self> {
        let [parity, x @ ..] = self.compressed_secp256k1()?;
        Self::from_sec1(Curve::Secp256k1, &[&[parity ^ 1], &x[..]].concat()).ok()
    }

    /// SEC 1 compressed, of a secp256k1 key: what most addresses are hashes of.
    pub fn compressed_secp256k1(&self) -> Option<[u8; 33]> {
        match &self.0 {
            Repr::Secp256k1(key) => Some(key.compressed()),
            Repr::Ed25519(_) | Repr::P256(_) => None,
        }
    }

    /// The algorithm name this key's own signatures are labelled with (`EdDSA` for Ed25519).
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Repr::Ed25519(_) => Algorithm::EdDsa,
            Repr::P256(_) => Algorithm::Es256,
            Repr::Secp256k1(_) => Algorithm::Es256k,
        }
    }

    /// Verifies a JWS signature over `message` (RFC 7515 §5.2): 64 bytes, either S for ECDSA.
    ///
    /// # Errors
    /// [`SignatureError`]; `WrongAlgorithm` before any cryptography is tried.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        if algorithm.curve() != self.curve() {
            return Err(SignatureError::WrongAlgorithm);
        }
        match &self.0 {
            Repr::Ed25519(key) => key.verify_strict(message, signature),
            Repr::P256(key) => key.verify(message, signature),
            Repr::Secp256k1(key) => key.verify(message, signature, secp256k1::LowS::NotRequired),
        }
    }

    /// Verifies a signature of the `key` message format over `message`: Ed25519 over the bytes,
    /// secp256k1 over their SHA-256 as 64 bytes r‖s with low S.
    ///
    /// # Errors
    /// [`SignatureError`]; P-256 keys do not sign messages and give `WrongAlgorithm`.
    pub fn verify_wallet(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match &self.0 {
            Repr::Ed25519(key) => key.verify_strict(message, signature),
            Repr::P256(_) => Err(SignatureError::WrongAlgorithm),
            Repr::Secp256k1(key) => key.verify(message, signature, secp256k1::LowS::Required),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.curve().name(), self.thumbprint())
    }
}
