//! Aptos: the addresses of a key, and what its wallets sign for a text.
//!
//! Specs: sign-in-with-aptos (AIP-116), AIP-62 `signMessage`, AIP-55 (SingleKey), FIPS 202.

use sha3::{Digest as _, Sha3_256};

use crate::key::Curve;

/// What a sign-in is told from other signatures by; its SHA3-256 stands before the text.
const SEPARATOR: &str = "SIGN_IN_WITH_APTOS::";

/// Every address whose account a key controls alone, while its key was never rotated: that of its
/// own authentication key, which is how Ed25519 accounts began, and that of a SingleKey account.
pub fn addresses(curve: Curve, key: &[u8]) -> Vec<String> {
    let hashed = |parts: &[&[u8]]| format!("0x{}", hex::encode(Sha3_256::digest(parts.concat())));
    match curve {
        Curve::Ed25519 => vec![hashed(&[key, &[0]]), hashed(&[&[0, 32], key, &[2]])],
        Curve::Secp256k1 => vec![hashed(&[&[1, 65], key, &[2]])],
        Curve::P256 => Vec::new(),
    }
}

/// What `signIn` signs.
pub fn sign_in_bytes(text: &str) -> Vec<u8> {
    [&Sha3_256::digest(SEPARATOR)[..], text.as_bytes()].concat()
}

/// What a secp256k1 account signs of the bytes that an Ed25519 account signs as they are.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha3_256::digest(bytes).into()
}

/// What `signMessage` signs: a first line, lines that may be left out, the message and a nonce.
#[derive(Clone, Copy, Debug)]
pub struct FullMessage<'a> {
    /// The account's address.
    pub address: Option<&'a str>,
    /// The origin of the page that asks.
    pub application: Option<&'a str>,
    /// The number of the chain.
    pub chain: Option<&'a str>,
    /// What the page asks to be signed.
    pub message: &'a str,
    /// The nonce beside it.
    pub nonce: &'a str,
}

impl FullMessage<'_> {
    /// The text that is signed.
    pub fn render(&self) -> String {
        let mut full = "APTOS\n".to_owned();
        let optional =
            [("address", self.address), ("application", self.application), ("chainId", self.chain)];
        for (label, value) in optional {
            if let Some(value) = value {
                full.extend([label, ": ", value, "\n"]);
            }
        }
        full.extend(["message: ", self.message, "\nnonce: ", self.nonce]);
        full
    }
}
