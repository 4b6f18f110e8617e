//! Ed25519 verification with one policy, the strict one.
//!
//! Refused, beside wrong signatures: S not below the group order, R or A not canonically encoded,
//! R or A of small order. A lenient verifier lets one signature by a small-order key fit every
//! message. See RFC 8032 §5.1.7 and the case collections in `tests/vectors/`.
//!
//! Two libraries share the work. ed25519-dalek says whether an encoding is a point, once, when a
//! key is made. aws-lc verifies, in three quarters of the time; what it does not look at – small
//! orders – is looked at here before it is asked, so that the verdicts are those of dalek's
//! `verify_strict`, to which the tests hold them.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use ed25519_dalek::VerifyingKey;

use super::{KeyError, SignatureError};

/// The y of the points of order 1, 2, 4 and 8 (little-endian), each of one or two points that
/// differ in the sign bit.
const SMALL_ORDER: [[u8; 32]; 5] = [
    low(1),
    top(0xec),
    low(0),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// An Ed25519 public key that is a point, canonically encoded and not of small order.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let key = Self::to_verify_with(bytes)?;
        VerifyingKey::from_bytes(&key.0).map_err(|_| KeyError::NotOnCurve)?;
        Ok(key)
    }

    /// A key that is about to verify something, which says whether it is a point: by bytes that
    /// are none, nothing verifies. To decompress the point here too would cost a seventh more.
    pub(super) fn to_verify_with(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: [u8; 32] =
            bytes.try_into().map_err(|_| KeyError::Encoding("an Ed25519 key has 32 bytes"))?;
        if !is_canonical(&bytes) {
            return Err(KeyError::NotOnCurve);
        }
        if is_small_order(&bytes) {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn verify_strict(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let whole: &[u8; 64] = signature
            .try_into()
            .map_err(|_| SignatureError::Malformed("an Ed25519 signature has 64 bytes"))?;
        // The library refuses S at or above the order, and compares R as bytes with its own
        // canonical encoding, so that a non-canonical R never verifies.
        if whole.first_chunk().is_none_or(is_small_order) {
            return Err(SignatureError::Mismatch);
        }
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(message, whole)
            .map_err(|_| SignatureError::Mismatch)
    }
}

/// Whether the encoded y is below the field's prime 2^255 − 19 (little-endian, sign bit aside).
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    let at_top = last & 0x7f == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    !(at_top && *first >= 0xed)
}

/// Whether a canonically encoded point is one of the eight of small order.
fn is_small_order(bytes: &[u8; 32]) -> bool {
    let [start @ .., last] = bytes;
    SMALL_ORDER.iter().any(|[small @ .., top]| small == start && *top == last & 0x7f)
}

/// 32 bytes of a small number.
const fn low(first: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    let [start, ..] = &mut bytes;
    *start = first;
    bytes
}

/// 32 bytes of a number just below 2^255.
const fn top(first: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    let [start, .., last] = &mut bytes;
    *start = first;
    *last = 0x7f;
    bytes
}

#[cfg(test)]
#[path = "ed25519_tests.rs"]
mod tests;
