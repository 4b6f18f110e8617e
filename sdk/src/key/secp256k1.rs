//! secp256k1 behind one function each: decode a key, verify ECDSA and Schnorr, recover, tweak.
//!
//! Two implementations stand behind them: [`mod@reference`] (k256) and, with the feature
//! `libsecp256k1`, `native` (Bitcoin Core's C library). What is policy – lengths, the range of
//! r and s, low S, recovery ids – is decided here, once, before either of them is asked, so that
//! both give the same verdicts; a differential fuzz target and all vectors hold them to it.

use std::cmp::Ordering;

use sha2::{Digest, Sha256};

use super::public::Repr;
use super::{KeyError, PublicKey, SignatureError};

#[cfg(feature = "libsecp256k1")]
#[path = "secp256k1_native.rs"]
pub mod native;
#[path = "secp256k1_reference.rs"]
pub mod reference;

#[cfg(feature = "libsecp256k1")]
use native as chosen;
#[cfg(not(feature = "libsecp256k1"))]
use reference as chosen;

/// The group order n (SEC 2 §2.4.1), big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// The field's prime p (SEC 2 §2.4.1), big-endian.
const FIELD: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xfc, 0x2f,
];

/// n / 2, rounded down: the largest S that counts as low (BIP 62, EIP-2).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Whether the malleated twin of a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowS {
    /// S must be at most n / 2: wallet signatures.
    Required,
    /// Either S: JWS, where no signature serves as an identifier.
    NotRequired,
}

/// A secp256k1 public key, on its curve, kept as SEC 1 uncompressed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key([u8; 65]);

impl Key {
    pub(super) fn from_sec1(bytes: &[u8]) -> Result<Self, KeyError> {
        match (bytes.len(), bytes.first()) {
            (33, Some(2 | 3)) | (65, Some(4)) => {
                chosen::decode(bytes).map(Self).ok_or(KeyError::NotOnCurve)
            }
            _ => Err(KeyError::Encoding("a secp256k1 key has 33 or 65 bytes in SEC 1 form")),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// SEC 1 compressed: 02 or 03 by the parity of y, then x.
    pub(super) fn compressed(&self) -> [u8; 33] {
        let mut out = [0; 33];
        let odd = self.0.last().is_some_and(|byte| byte & 1 == 1);
        for (to, from) in out.iter_mut().zip(&self.0) {
            *to = *from;
        }
        if let Some(tag) = out.first_mut() {
            *tag = if odd { 3 } else { 2 };
        }
        out
    }

    pub(super) fn verify(
        &self,
        message: &[u8],
        signature: &[u8],
        low_s: LowS,
    ) -> Result<(), SignatureError> {
        let digest: [u8; 32] = Sha256::digest(message).into();
        self.verify_digest(&digest, signature, low_s)
    }

    fn verify_digest(
        &self,
        digest: &[u8; 32],
        signature: &[u8],
        low_s: LowS,
    ) -> Result<(), SignatureError> {
        let signature = in_range(signature, low_s)?;
        if chosen::verify(&self.0, digest, signature) {
            Ok(())
        } else {
            Err(SignatureError::Mismatch)
        }
    }
}

/// Verifies `signature` (64 bytes r‖s) over a 32-byte digest with a secp256k1 key.
///
/// # Errors
/// [`SignatureError`]; `WrongAlgorithm` for a key of another curve.
pub fn verify_digest(
    key: &PublicKey,
    digest: &[u8; 32],
    signature: &[u8],
    low_s: LowS,
) -> Result<(), SignatureError> {
    match &key.0 {
        Repr::Secp256k1(key) => key.verify_digest(digest, signature, low_s),
        Repr::Ed25519(_) | Repr::P256(_) => Err(SignatureError::WrongAlgorithm),
    }
}

/// Recovers the key that made `signature` (64 bytes r‖s, low S) over `digest` (SEC 1 §4.1.6).
///
/// `recovery_id` is 0 to 3: bit 0 the parity of R's y, bit 1 whether R's x exceeded the order.
/// Recovery proves nothing by itself: any well-formed signature recovers to *some* key, so the
/// caller compares it with the address that the signed text names.
///
/// # Errors
/// [`SignatureError`]: `HighS`, `Malformed`, or `Mismatch` when no key fits.
pub fn recover(
    digest: &[u8; 32],
    signature: &[u8; 64],
    recovery_id: u8,
) -> Result<PublicKey, SignatureError> {
    if recovery_id > 3 {
        return Err(SignatureError::Malformed("the recovery id is not 0 to 3"));
    }
    let signature = in_range(signature, LowS::Required)?;
    chosen::recover(digest, signature, recovery_id)
        .map(|sec1| PublicKey(Repr::Secp256k1(Key(sec1))))
        .ok_or(SignatureError::Mismatch)
}

/// Verifies a Schnorr signature (BIP-340: 64 bytes r‖s) over `message`, by the x-coordinate of `key`.
///
/// BIP-340 keys are x-coordinates and stand for the point with the even y, so the parity of `key`
/// plays no part.
///
/// # Errors
/// [`SignatureError`]; `WrongAlgorithm` for a key of another curve.
pub fn verify_schnorr(
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let Repr::Secp256k1(key) = &key.0 else { return Err(SignatureError::WrongAlgorithm) };
    let whole: &[u8; 64] = signature
        .try_into()
        .map_err(|_| SignatureError::Malformed("a Schnorr signature has 64 bytes, r then s"))?;
    let (r, s) = whole.split_at(32);
    if r.cmp(&FIELD) != Ordering::Less || s.cmp(&ORDER) != Ordering::Less {
        return Err(SignatureError::Malformed("r or s is not below its modulus"));
    }
    if chosen::verify_schnorr(&key.0, message, whole) {
        Ok(())
    } else {
        Err(SignatureError::Mismatch)
    }
}

/// The x-coordinate of the Taproot output key whose only spending path is `key` (BIP-341 with an
/// empty script tree, as BIP-86 has it); `None` for a key of another curve.
pub fn taproot_output_key(key: &PublicKey) -> Option<[u8; 32]> {
    let x = key.x_only()?;
    chosen::tweaked(&x, &taproot_tweak(&x))
}

/// What is added to a key of that x-coordinate to make it an output key.
pub(super) fn taproot_tweak(x: &[u8; 32]) -> [u8; 32] {
    let tag = Sha256::digest(b"TapTweak");
    Sha256::new().chain_update(tag).chain_update(tag).chain_update(x).finalize().into()
}

/// The other ECDSA signature r‖s of the same key over the same digest: n − s in place of s. Of an s that is
/// not below n it is 64 bytes that verify nothing.
pub fn with_other_s(signature: &[u8; 64]) -> [u8; 64] {
    let mut out = *signature;
    let mut borrow = 0;
    for (digit, order) in out.iter_mut().skip(32).zip(ORDER).rev() {
        let left = i16::from(order) - i16::from(*digit) - borrow;
        borrow = i16::from(left < 0);
        *digit = left.to_le_bytes()[0];
    }
    out
}

/// Checks 64 bytes, 1 ≤ r, s < n, and low S where it is required.
fn in_range(signature: &[u8], low_s: LowS) -> Result<&[u8; 64], SignatureError> {
    let whole: &[u8; 64] = signature
        .try_into()
        .map_err(|_| SignatureError::Malformed("an ECDSA signature has 64 bytes, r then s"))?;
    let (r, s) = whole.split_at(32);
    let valid =
        |part: &[u8]| part.iter().any(|byte| *byte != 0) && part.cmp(&ORDER) == Ordering::Less;
    if !valid(r) || !valid(s) {
        return Err(SignatureError::Malformed("r or s is outside 1 to n-1"));
    }
    if low_s == LowS::Required && s.cmp(&HALF_ORDER) == Ordering::Greater {
        return Err(SignatureError::HighS);
    }
    Ok(whole)
}
