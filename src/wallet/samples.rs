//! What the tests of several formats share: a text to sign, its judgement, and signatures disturbed.

use crate::model::reason::Reason;
use crate::wallet::format::{Evidence, WalletFormat};

/// A text as `/challenge` writes it; `chain` is the line of the chain with its line feed, or empty.
pub(in crate::wallet) fn text(kind: &str, address: &str, chain: &str) -> String {
    format!(
        "app.example wants you to sign in with your {kind}:\n{address}\n\nSign in.\n\n\
         URI: https://id.example\nVersion: 1\n{chain}Nonce: 0123456789abcdef\n\
         Issued At: 2025-06-01T12:00:00Z\nExpiration Time: 2025-06-01T12:05:00Z"
    )
}

/// The subject that is proven, or why none is.
pub(in crate::wallet) fn judge(
    format: &dyn WalletFormat,
    text: &str,
    signature: &str,
    public_key: Option<&str>,
) -> Result<String, Reason> {
    let evidence = Evidence { signature, public_key };
    let verified = format.read(text).and_then(|message| format.verify(&message, &evidence));
    if let Ok(signer) = &verified {
        assert_eq!(signer.format(), format.name());
        // Whoever is denied by one of these names is kept out by all of them.
        assert!(format.subjects_of_key(signer.key()).contains(&signer.subject().to_owned()));
    }
    verified.map(|signer| signer.subject().to_owned()).map_err(|refusal| refusal.reason())
}

/// Ed25519's second form of a signature: S + L, which a lenient verifier takes as well.
pub(in crate::wallet) fn plus_order(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut twin = signature.to_vec();
    let mut carry = 0;
    for (digit, order) in twin[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*digit) + u16::from(order) + carry;
        *digit = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    twin
}

/// ECDSA's second form of a signature r‖s: n − s.
pub(in crate::wallet) fn high_s(signature: &[u8]) -> Vec<u8> {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let mut twin = signature.to_vec();
    let mut borrow = 0;
    for (digit, order) in twin[32..].iter_mut().zip(hex::decode(order).unwrap()).rev() {
        let difference = i16::from(order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    twin
}

/// Every signature that differs from a right one in one bit of one byte, or in its length.
pub(in crate::wallet) fn disturbed(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let flipped = (0..bytes.len()).map(|at| {
        let mut other = bytes.to_vec();
        other[at] ^= 1 << (at % 8);
        other
    });
    let shorter = [bytes[1..].to_vec(), bytes[..bytes.len() - 1].to_vec(), Vec::new()];
    let longer = [[bytes, &[0]].concat(), [&[0], bytes].concat(), [bytes, bytes].concat()];
    flipped.chain(shorter).chain(longer)
}

/// The identity of the curve: a point of small order, under which a lenient verifier finds that
/// [`SMALL_SIGNATURE`] fits every message.
pub(in crate::wallet) const SMALL_KEY: [u8; 32] = {
    let mut key = [0; 32];
    key[0] = 1;
    key
};

/// R the identity and S zero.
pub(in crate::wallet) const SMALL_SIGNATURE: [u8; 64] = {
    let mut signature = [0; 64];
    signature[0] = 1;
    signature
};
