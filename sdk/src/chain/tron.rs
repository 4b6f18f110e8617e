//! Tron's addresses and what `signMessageV2` signs.
//!
//! Specs: TIP-191; the address is Ethereum's 20 bytes in Base58Check with the version 0x41.

use super::base58check;
use super::hash::{keccak_address, keccak256};
use crate::key::PublicKey;

/// The main network's CAIP-2 reference: the last four bytes of its genesis block's hash.
pub const MAINNET: &str = "0x2b6653dc";

/// The main network, and the test networks Nile and Shasta.
pub const CHAINS: [&str; 3] = [MAINNET, "0xcd8690dc", "0x94a9059e"];

const VERSION: u8 = 0x41;

/// The digest of a text; the length is that of its bytes.
pub fn digest(text: &str) -> [u8; 32] {
    let length = text.len().to_string();
    keccak256(&[b"\x19TRON Signed Message:\n", length.as_bytes(), text.as_bytes()].concat())
}

/// The 20 bytes of an address, `None` for a text that is none.
pub fn address_bytes(address: &str) -> Option<[u8; 20]> {
    let (version, bytes) = base58check::decode(address)?;
    (version == VERSION).then_some(bytes)
}

/// The address of a secp256k1 key; `None` for another curve.
pub fn address_of(key: &PublicKey) -> Option<String> {
    Some(base58check::encode(VERSION, &keccak_address(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Curve;

    #[test]
    fn an_address_is_that_of_its_key() {
        // The scalar 1, as Ethereum's address 0x7E5F…5Bdf in Tron's spelling.
        let generator = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
        let generator = hex::decode(generator).unwrap();
        let key = PublicKey::from_sec1(Curve::Secp256k1, &generator).unwrap();
        let address = address_of(&key).unwrap();
        assert_eq!(address, "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC");
        let bytes = address_bytes(&address).unwrap();
        assert_eq!(hex::encode(bytes), "7e5f4552091a69125d5dfcb7b8c2659029395bdf");
        assert_eq!(address_bytes("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"), None);
    }
}
