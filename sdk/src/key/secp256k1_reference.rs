//! secp256k1 by k256: the reference, and what the SDK uses unless told otherwise.
//!
//! Called only by the parent module, after its range checks; public so that the two
//! implementations can be compared from outside.

use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

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

fn uncompressed(key: &VerifyingKey) -> Option<[u8; 65]> {
    key.to_sec1_point(false).as_bytes().try_into().ok()
}
