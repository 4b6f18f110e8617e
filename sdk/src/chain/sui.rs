//! Sui: the address of a key, and what its wallets sign for a personal message.
//!
//! Specs: SIP-1 intents, Sui's signature schemes, BCS, RFC 7693 (BLAKE2b).

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};

use crate::key::{Curve, PublicKey};

type Blake2b256 = Blake2b<U32>;

/// The intent of a personal message: scope 3, version 0, application Sui.
const INTENT: [u8; 3] = [3, 0, 0];

/// The main network's reference in CAIP-2: four bytes of its genesis checkpoint's digest.
pub const MAINNET: &str = "35834a8a";

/// The flag of a curve's scheme and the key as that scheme writes it; `None` for P-256, whose
/// accounts do not sign in.
pub fn scheme_of(key: &PublicKey) -> Option<(u8, Vec<u8>)> {
    match key.curve() {
        Curve::Ed25519 => Some((0, key.as_bytes().to_vec())),
        Curve::Secp256k1 => Some((1, key.compressed_secp256k1()?.to_vec())),
        Curve::P256 => None,
    }
}

/// The address of the key that a scheme writes as `encoded`.
pub fn address(flag: u8, encoded: &[u8]) -> String {
    let hash = Blake2b256::new().chain_update([flag]).chain_update(encoded).finalize();
    format!("0x{}", hex::encode(hash))
}

/// What is signed for a personal message, before the curve's own hash.
pub fn digest(message: &[u8]) -> [u8; 32] {
    let mut hash = Blake2b256::new();
    hash.update(INTENT);
    let mut length = message.len();
    // ULEB128: seven bits a byte, the lowest first, the top bit set on all but the last.
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            hash.update([low]);
            break;
        }
        hash.update([low | 0x80]);
    }
    hash.update(message);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_length_in_front() {
        // 128 is the first length of two bytes, 16384 the first of three.
        for (length, prefix) in
            [(0, &[0][..]), (127, &[127]), (128, &[0x80, 1]), (16384, &[0x80, 0x80, 1])]
        {
            let message = vec![b'a'; length];
            let whole = [&INTENT, prefix, &message].concat();
            assert_eq!(digest(&message)[..], Blake2b256::digest(whole)[..], "{length}");
        }
    }
}
