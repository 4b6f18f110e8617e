//! P-256 verification (`ES256`), by aws-lc: session keys that browsers hold in WebCrypto.
//!
//! Either S is accepted: WebCrypto gives both, and no signature is used as an identifier.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};

use super::{KeyError, SignatureError};

/// A P-256 public key, on its curve, kept as 65 bytes and as aws-lc parsed it.
#[derive(Clone)]
pub(super) struct Key {
    sec1: [u8; 65],
    parsed: ParsedPublicKey,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.sec1 == other.sec1
    }
}

impl Eq for Key {}

impl Key {
    /// From uncompressed SEC 1 only: JWK gives both coordinates, and no other source exists here.
    pub(super) fn from_sec1(bytes: &[u8]) -> Result<Self, KeyError> {
        let sec1: [u8; 65] = bytes
            .try_into()
            .map_err(|_| KeyError::Encoding("a P-256 key has 65 bytes, uncompressed"))?;
        if sec1.first() != Some(&4) {
            return Err(KeyError::Encoding("an uncompressed point begins with 04"));
        }
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, sec1)
            .map_err(|_| KeyError::NotOnCurve)?;
        Ok(Self { sec1, parsed })
    }

    pub(super) fn as_bytes(&self) -> &[u8; 65] {
        &self.sec1
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        if signature.len() != 64 {
            return Err(SignatureError::Malformed("an ES256 signature has 64 bytes, r then s"));
        }
        self.parsed.verify_sig(message, signature).map_err(|_| SignatureError::Mismatch)
    }
}
