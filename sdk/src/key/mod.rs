//! Keys of the three curves, and every form in which they are written.
//!
//! Proven keys are secp256k1 or Ed25519; session keys may also be P-256, which is what browsers
//! hold in WebCrypto. A [`PublicKey`] exists only for a point that is on its curve, canonically
//! encoded and not of small order, so nothing behind it needs to look again.

mod base58;
mod der;
mod did_key;
mod ed25519;
pub(crate) mod jwk;
mod p256;
mod public;
mod recoverable;
pub mod secp256k1;

mod signer;
mod thumbprint;

pub use base58::base58_bytes;
pub use der::{ecdsa_from_der, ecdsa_to_der};
pub use public::{KeyError, NotSigner, PublicKey, SignatureError};
pub use secp256k1::recover as recover_secp256k1;

pub use jwk::PublicJwk;
pub use signer::{InMemorySigner, SecretKeyError, Signer, SignerError};
pub use thumbprint::{Thumbprint, ThumbprintError};

/// A curve that a key of this project can be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// Edwards25519 for Ed25519 (RFC 8032); JWK `crv` `Ed25519`.
    Ed25519,
    /// NIST P-256; JWK `crv` `P-256`. Session keys only.
    P256,
    /// secp256k1 (SEC 2); JWK `crv` `secp256k1` (RFC 8812).
    Secp256k1,
}

impl Curve {
    /// The name as the `crv` member of a JWK has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::P256 => "P-256",
            Self::Secp256k1 => "secp256k1",
        }
    }
}

/// A JOSE signature algorithm that this project makes and checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `EdDSA` (RFC 8037), the name that most libraries write for Ed25519.
    EdDsa,
    /// `Ed25519` (RFC 9864), the fully specified name of the same algorithm.
    Ed25519,
    /// `ES256`: P-256 with SHA-256, 64 bytes r‖s.
    Es256,
    /// `ES256K` (RFC 8812): secp256k1 with SHA-256, 64 bytes r‖s.
    Es256k,
}

impl Algorithm {
    /// Every algorithm, in the order in which metadata lists them.
    pub const ALL: [Self; 4] = [Self::EdDsa, Self::Ed25519, Self::Es256, Self::Es256k];

    /// The registered JOSE name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
            Self::Es256 => "ES256",
            Self::Es256k => "ES256K",
        }
    }

    /// The algorithm of that JOSE name, compared exactly; `None` for all others, `none` included.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The only curve that this algorithm signs on.
    pub const fn curve(self) -> Curve {
        match self {
            Self::EdDsa | Self::Ed25519 => Curve::Ed25519,
            Self::Es256 => Curve::P256,
            Self::Es256k => Curve::Secp256k1,
        }
    }
}
