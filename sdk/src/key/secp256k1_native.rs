//! secp256k1 by Bitcoin Core's C library: twice as fast, held to the reference's verdicts.
//!
//! Called only by the parent module, after its range checks; public so that the two
//! implementations can be compared from outside.

use secp256k1::ecdsa::{self, RecoverableSignature, RecoveryId, Signature};
use secp256k1::{Message, PublicKey, Scalar, XOnlyPublicKey, schnorr};

/// The uncompressed form (65 bytes) of a SEC 1 key, or `None` when it is not on the curve.
pub fn decode(sec1: &[u8]) -> Option<[u8; 65]> {
    PublicKey::from_slice(sec1).ok().map(|key| key.serialize_uncompressed())
}

/// Whether `signature` (r‖s, either S) by `key` (65 bytes) fits the 32-byte digest.
pub fn verify(key: &[u8; 65], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    let (Ok(key), Ok(mut signature)) =
        (PublicKey::from_slice(key), Signature::from_compact(signature))
    else {
        return false;
    };
    // The library takes the low S alone; the parent has already refused high S where it must.
    signature.normalize_s();
    ecdsa::verify(&signature, Message::from_digest(*digest), &key).is_ok()
}

/// The key (65 bytes) that made `signature` over `digest`, if one did.
pub fn recover(digest: &[u8; 32], signature: &[u8; 64], recovery_id: u8) -> Option<[u8; 65]> {
    let id = RecoveryId::try_from(i32::from(recovery_id)).ok()?;
    let signature = RecoverableSignature::from_compact(signature, id).ok()?;
    let key = signature.recover_ecdsa(Message::from_digest(*digest)).ok()?;
    Some(key.serialize_uncompressed())
}

/// Whether a BIP-340 signature by the x-coordinate of `key` (65 bytes, either y) fits the message.
pub fn verify_schnorr(key: &[u8; 65], message: &[u8], signature: &[u8; 64]) -> bool {
    // From the whole point: of its x-coordinate alone, a root would have to be taken again.
    PublicKey::from_slice(key).is_ok_and(|key| {
        let (key, _) = key.x_only_public_key();
        schnorr::verify(&schnorr::Signature::from_byte_array(*signature), message, &key).is_ok()
    })
}

/// The x-coordinate of the point of `x` with the even y, plus `tweak` times the generator.
pub fn tweaked(x: &[u8; 32], tweak: &[u8; 32]) -> Option<[u8; 32]> {
    let tweak = Scalar::from_be_bytes(*tweak).ok()?;
    let (key, _) = XOnlyPublicKey::from_byte_array(*x).ok()?.add_tweak(&tweak).ok()?;
    Some(key.to_byte_array())
}
