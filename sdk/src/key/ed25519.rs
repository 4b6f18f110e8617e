//! Ed25519 verification with one policy, the strict one.
//!
//! Refused, beside wrong signatures: S not below the group order, R or A not canonically encoded,
//! R or A of small order. A lenient verifier lets one signature by a small-order key fit every
//! message. See RFC 8032 §5.1.7 and the case collections in `tests/vectors/`.

use ed25519_dalek::{Signature, VerifyingKey};

use super::{KeyError, SignatureError};

/// An Ed25519 public key that is canonical and not of small order.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(VerifyingKey);

impl Key {
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: &[u8; 32] =
            bytes.try_into().map_err(|_| KeyError::Encoding("an Ed25519 key has 32 bytes"))?;
        if !is_canonical(bytes) {
            return Err(KeyError::NotOnCurve);
        }
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotOnCurve)?;
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(key))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub(super) fn verify_strict(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let bytes: &[u8; 64] = signature
            .try_into()
            .map_err(|_| SignatureError::Malformed("an Ed25519 signature has 64 bytes"))?;
        // The library compares R as bytes with its own canonical encoding, so a non-canonical R
        // never verifies; small orders of R and A, and S at or above the order, it refuses.
        self.0
            .verify_strict(message, &Signature::from_bytes(bytes))
            .map_err(|_| SignatureError::Mismatch)
    }
}

/// Whether the encoded y is below the field's prime 2^255 − 19 (little-endian, sign bit aside).
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    let at_top = last & 0x7f == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    !(at_top && *first >= 0xed)
}
