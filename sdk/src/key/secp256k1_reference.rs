//! secp256k1 by k256: the reference, and what the SDK uses unless told otherwise.
//!
//! Called only by the parent module, after its range checks; public so that the two
//! implementations can be compared from outside.

use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use k256::elliptic_curve::PrimeField as _;
use k256::elliptic_curve::point::AffineCoordinates as _;
use k256::{ProjectivePoint, Scalar, schnorr};

/// The uncompressed form (65 bytes) of a SEC 1 key, or `None` when it is not on the curve.
pub fn decode(sec1: &[u8]) -> Option<[u8; 65]> {
    uncompressed(&VerifyingKey::from_sec1_bytes(sec1).ok()?)
}

/// Whether `signature` (r‖s, either S) by `key` (65 bytes) fits the 32-byte digest.
pub fn verify(key: &[u8; 65], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    let (Ok(key), Ok(signature)) =
        (VerifyingKey::from_sec1_bytes(key), Signature::from_slice(signature))
    else {
        return false;
    };
    key.verify_prehash(digest, &signature.normalize_s()).is_ok()
}

/// The key (65 bytes) that made `signature` over `digest`, if one did.
pub fn recover(digest: &[u8; 32], signature: &[u8; 64], recovery_id: u8) -> Option<[u8; 65]> {
    let signature = Signature::from_slice(signature).ok()?;
    let id = RecoveryId::from_byte(recovery_id)?;
    uncompressed(&VerifyingKey::recover_from_prehash(digest, &signature, id).ok()?)
}

/// Whether a BIP-340 signature by the x-coordinate of `key` (65 bytes, either y) fits the message.
pub fn verify_schnorr(key: &[u8; 65], message: &[u8], signature: &[u8; 64]) -> bool {
    let x = key.get(1..33).unwrap_or_default();
    let (Ok(key), Ok(signature)) =
        (schnorr::VerifyingKey::from_slice(x), schnorr::Signature::try_from(&signature[..]))
    else {
        return false;
    };
    key.verify_raw(message, &signature).is_ok()
}

/// The x-coordinate of the point of `x` with the even y, plus `tweak` times the generator.
pub fn tweaked(x: &[u8; 32], tweak: &[u8; 32]) -> Option<[u8; 32]> {
    let key = schnorr::VerifyingKey::from_slice(x).ok()?;
    let tweak = Scalar::from_repr((*tweak).into()).into_option()?;
    let point = ProjectivePoint::from(*key.as_affine()) + ProjectivePoint::GENERATOR * tweak;
    let affine = point.to_affine();
    (affine != k256::AffinePoint::IDENTITY).then(|| affine.x().into())
}

fn uncompressed(key: &VerifyingKey) -> Option<[u8; 65]> {
    key.to_sec1_point(false).as_bytes().try_into().ok()
}
