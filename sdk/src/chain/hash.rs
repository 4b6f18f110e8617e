//! The hashes that addresses and digests are made of.
//!
//! Specs: FIPS 180-4, RIPEMD-160, Keccak-256, the tagged hashes of BIP-340.

use ripemd::Ripemd160;
use sha2::{Digest as _, Sha256};
use sha3::Keccak256;

use crate::key::PublicKey;

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of SHA-256.
pub fn double_sha256(bytes: &[u8]) -> [u8; 32] {
    sha256(&sha256(bytes))
}

/// RIPEMD-160 of SHA-256.
pub fn hash160(bytes: &[u8]) -> [u8; 20] {
    Ripemd160::digest(sha256(bytes)).into()
}

/// Keccak-256, as Ethereum has it.
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// SHA-256 under a tag (BIP-340): no other tag, and nothing untagged, gives the same.
pub fn tagged(tag: &str, bytes: &[u8]) -> [u8; 32] {
    let tag = sha256(tag.as_bytes());
    Sha256::new().chain_update(tag).chain_update(tag).chain_update(bytes).finalize().into()
}

/// The last 20 bytes of the Keccak-256 of a secp256k1 point, which Ethereum and its descendants
/// make addresses of; `None` for another curve.
pub fn keccak_address(key: &PublicKey) -> Option<[u8; 20]> {
    key.x_only()?;
    // Without the leading 0x04 of the SEC 1 encoding.
    let point = key.as_bytes().get(1..)?;
    keccak256(point).get(12..)?.try_into().ok()
}

/// RIPEMD-160 of SHA-256 of the compressed secp256k1 key; `None` for another curve.
pub fn key_hash(key: &PublicKey) -> Option<[u8; 20]> {
    Some(hash160(&key.compressed_secp256k1()?))
}
