//! Public keys and raw signatures: one reading, one spelling, and two implementations that agree.

use countersign_sdk::account::Account;
use countersign_sdk::key::secp256k1::{
    LowS, native, recover, reference, verify_digest, verify_schnorr,
};
use countersign_sdk::key::{Algorithm, Curve, PublicKey, SignatureError, Signer as _};
use curve25519_dalek::Scalar;
use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha512};

use crate::cut::Cut;
use crate::material::{independently, signer};

/// JWKs: what is read is written and read again the same, thumbprint and all.
pub fn jwk(data: &[u8]) {
    let Ok(key) = PublicKey::from_jwk_json(data) else {
        return;
    };
    check_key(&key);
    let written = serde_json::to_value(key.to_jwk()).expect("a JWK is written");
    let again = PublicKey::from_jwk_json(written.to_string().as_bytes());
    assert!(again.as_ref() == Ok(&key));
    let Some(received) = independently(data) else {
        return;
    };
    assert!(received.is_object(), "a JWK is a JSON object");
    for name in ["kty", "crv", "x", "y"] {
        assert_eq!(written.get(name), written.get(name).and(received.get(name)));
    }
    for name in ["d", "k", "p", "q", "dp", "dq", "qi", "oth"] {
        assert!(received[name].is_null(), "a private member was taken");
    }
}

fn check_key(key: &PublicKey) {
    let bytes = key.as_bytes();
    let again = match key.curve() {
        Curve::Ed25519 => PublicKey::from_ed25519_bytes(bytes),
        curve => PublicKey::from_sec1(curve, bytes),
    };
    let again = again.expect("a key reads itself");
    assert!(again == *key);
    assert_eq!(again.thumbprint(), key.thumbprint());
    let uri = key.thumbprint().to_uri();
    let read = countersign_sdk::key::Thumbprint::from_uri(&uri);
    assert_eq!(read, Some(Ok(key.thumbprint())));
    if let Some(did) = key.to_did_key() {
        assert!(PublicKey::from_did_key(&did).as_ref() == Ok(key));
    }
}

/// `did:key`: one spelling for each key.
pub fn did_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut dids = vec![text.to_owned()];
    // The bytes as they would stand behind the multibase prefix, so that mutations reach the key.
    dids.push(format!("did:key:z{}", bs58::encode(data).into_string()));
    for did in dids {
        check_did(&did);
    }
    if let [tag @ (0 | 1), key @ ..] = data {
        let codec: &[u8] = if *tag == 0 { &[0xed, 1] } else { &[0xe7, 1] };
        let bytes = [codec, key].concat();
        check_did(&format!("did:key:z{}", bs58::encode(bytes).into_string()));
    }
}

fn check_did(did: &str) {
    let Ok(key) = PublicKey::from_did_key(did) else {
        return;
    };
    assert_ne!(key.curve(), Curve::P256);
    assert_eq!(key.to_did_key().as_deref(), Some(did), "a did:key has one spelling");
    assert!(did.parse() == Ok(Account::of_key(&key).expect("a provable curve")));
    check_key(&key);
}

/// Ed25519: our verdict is dalek's strict one with canonical keys, no laxer and no stricter.
///
/// An input begins with a choice: 0 has `key, signature, message` as they stand, 1 disturbs a right
/// triple, and others make one with a component of small order in the key or in R, which no
/// mutation of bytes would come upon.
pub fn ed25519(data: &[u8]) {
    let mut cut = Cut(data);
    let choice = cut.byte();
    match choice % 3 {
        0 => {
            let (key, signature) = (cut.array(), cut.array());
            agree_on_ed25519(&key, &signature, cut.0);
        }
        1 => {
            let signer = signer(0);
            let mut all = signer.public_key().as_bytes().to_vec();
            all.extend(signer.sign_now(b"text").expect("signed"));
            let changed = cut.disturb(&mut all);
            let mut all = Cut(&all);
            let (key, signature) = (all.array(), all.array());
            assert_eq!(agree_on_ed25519(&key, &signature, b"text"), !changed);
        }
        _ => {
            let (key, signature) = of_small_order(&mut cut);
            agree_on_ed25519(&key, &signature, cut.0);
        }
    }
}

/// A triple that fits the equation up to small order, and in one case of eight or so without that.
fn of_small_order(cut: &mut Cut<'_>) -> ([u8; 32], [u8; 64]) {
    let torsion = |byte: u8| EIGHT_TORSION[usize::from(byte) % 8];
    let scalar = |byte: u8| Scalar::from(u64::from(byte) * u64::from(byte));
    let (kinds, a, r, more) = (cut.byte(), cut.byte(), cut.byte(), cut.byte());
    let key = (&scalar(a) * ED25519_BASEPOINT_TABLE + torsion(kinds)).compress().to_bytes();
    let point = (&scalar(r) * ED25519_BASEPOINT_TABLE + torsion(kinds >> 4)).compress().to_bytes();
    let hash = Sha512::new().chain_update(point).chain_update(key).chain_update(cut.0).finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
    let mut s = (scalar(r) + k * scalar(a)).to_bytes();
    if more & 1 == 1 {
        // The same number modulo the order, written above it.
        let mut carry = 0;
        for (byte, order) in s.iter_mut().zip(ORDER_OF_ED25519) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = u8::try_from(sum & 0xff).expect("masked");
            carry = sum >> 8;
        }
    }
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&point);
    signature[32..].copy_from_slice(&s);
    (key, signature)
}

/// 2^252 + 27742317777372353535851937790883648493, little-endian.
const ORDER_OF_ED25519: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Whether both take the triple; they must be of one mind.
fn agree_on_ed25519(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    let ours = PublicKey::from_ed25519_bytes(key);
    let theirs = VerifyingKey::from_bytes(key).ok();
    let strict = theirs.filter(|theirs| !theirs.is_weak() && is_reduced(key));
    assert_eq!(ours.is_ok(), strict.is_some(), "they take one key");
    let (Ok(ours), Some(strict)) = (ours, strict) else {
        return false;
    };
    check_key(&ours);
    let expected = strict.verify_strict(message, &Signature::from_bytes(signature)).is_ok();
    assert_eq!(ours.verify_wallet(message, signature).is_ok(), expected);
    assert_eq!(ours.verify(Algorithm::EdDsa, message, signature).is_ok(), expected);
    let short = ours.verify_wallet(message, &signature[1..]);
    assert!(matches!(short, Err(SignatureError::Malformed(_))));
    expected
}

/// Whether y is below 2^255 - 19, by subtraction with borrow.
fn is_reduced(key: &[u8; 32]) -> bool {
    let mut prime = [0xff_u8; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    let mut borrow = 0;
    for (place, (byte, prime)) in key.iter().zip(prime).enumerate() {
        let byte = if place == 31 { byte & 0x7f } else { *byte };
        let difference = i16::from(byte) - i16::from(prime) - borrow;
        borrow = i16::from(difference < 0);
    }
    borrow == 1
}

/// secp256k1: k256 and libsecp256k1 give one verdict, on keys, signatures and recoveries.
///
/// An input is `choice, digest, signature, key`; an odd choice disturbs a right triple instead.
pub fn secp256k1(data: &[u8]) {
    let mut cut = Cut(data);
    let choice = cut.byte();
    let (mut digest, mut signature, mut key): ([u8; 32], [u8; 64], Vec<u8>);
    if choice & 1 == 0 {
        digest = cut.array();
        signature = cut.array();
        key = cut.0.to_vec();
    } else {
        let secret = k256::ecdsa::SigningKey::from_slice(&[7; 32]).expect("a right scalar");
        digest = sha3::Keccak256::digest(b"text").into();
        signature = secret.sign_prehash_recoverable(&digest).0.to_bytes().into();
        key = secret.verifying_key().to_sec1_point(choice & 2 == 0).as_bytes().to_vec();
        let mut all = [&digest[..], &signature, &key].concat();
        cut.disturb(&mut all);
        digest.copy_from_slice(&all[..32]);
        signature.copy_from_slice(&all[32..96]);
        key.copy_from_slice(&all[96..]);
    }
    agree_on_key(&key, &digest, &signature);
    for id in 0..=4 {
        let ours = recover(&digest, &signature, id);
        if id < 4 && signature_in_range(&signature, LowS::Required, &digest) {
            assert_eq!(
                native::recover(&digest, &signature, id),
                reference::recover(&digest, &signature, id)
            );
        }
        if let Ok(key) = ours {
            assert!(id < 4);
            assert_eq!(verify_digest(&key, &digest, &signature, LowS::Required), Ok(()));
            agree_on_key(key.as_bytes(), &digest, &signature);
        }
    }
}

/// The library's own range checks come before either implementation; they are asked through it.
fn signature_in_range(signature: &[u8; 64], low_s: LowS, digest: &[u8; 32]) -> bool {
    let any = signer(1).public_key();
    !matches!(
        verify_digest(any, digest, signature, low_s),
        Err(SignatureError::Malformed(_) | SignatureError::HighS)
    )
}

fn agree_on_key(key: &[u8], digest: &[u8; 32], signature: &[u8; 64]) {
    let ours = PublicKey::from_sec1(Curve::Secp256k1, key);
    let shaped = matches!((key.len(), key.first()), (33, Some(2 | 3)) | (65, Some(4)));
    let (native_key, reference_key) = (native::decode(key), reference::decode(key));
    if shaped {
        assert_eq!(native_key, reference_key, "they decode one key");
        assert_eq!(ours.is_ok(), native_key.is_some());
    } else {
        assert!(ours.is_err());
    }
    let (Ok(ours), Some(whole)) = (ours, native_key) else {
        return;
    };
    check_key(&ours);
    agree_on_schnorr(&ours, &whole, digest, signature);
    for low_s in [LowS::Required, LowS::NotRequired] {
        let verdict = verify_digest(&ours, digest, signature, low_s);
        if signature_in_range(signature, low_s, digest) {
            let native = native::verify(&whole, digest, signature);
            assert_eq!(native, reference::verify(&whole, digest, signature));
            assert_eq!(native, verdict.is_ok());
        } else {
            assert!(verdict.is_err());
        }
    }
}

/// The same for BIP-340 by the key's x-coordinate, and for the Taproot key that it is tweaked to.
fn agree_on_schnorr(key: &PublicKey, whole: &[u8; 65], digest: &[u8; 32], signature: &[u8; 64]) {
    let x = key.x_only().expect("a key of the curve");
    let verdict = verify_schnorr(key, digest, signature);
    if !matches!(verdict, Err(SignatureError::Malformed(_))) {
        let native = native::verify_schnorr(whole, digest, signature);
        assert_eq!(native, reference::verify_schnorr(whole, digest, signature));
        assert_eq!(native, verdict.is_ok());
    }
    assert_eq!(native::tweaked(&x, digest), reference::tweaked(&x, digest));
    // A right signature over the same bytes, and the same with a part of the input in it.
    let mut right = signer(1).sign_schnorr(digest).expect("the key signs");
    let own = signer(1).public_key().as_bytes().try_into().expect("a key of the curve");
    assert!(native::verify_schnorr(&own, digest, &right));
    assert!(reference::verify_schnorr(&own, digest, &right));
    right[63] ^= signature[63];
    let native = native::verify_schnorr(&own, digest, &right);
    assert_eq!(native, reference::verify_schnorr(&own, digest, &right));
    assert_eq!(native, signature[63] == 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the two would agree on refusals alone.
    #[test]
    fn mixed_orders_are_refused_and_taken_by_the_message() {
        let mut taken = 0;
        for message in 0..64_u8 {
            let input = [1, 3, 5, 0, message];
            let mut cut = Cut(&input);
            let (key, signature) = of_small_order(&mut cut);
            taken += usize::from(agree_on_ed25519(&key, &signature, cut.0));
        }
        assert!((1..32).contains(&taken), "{taken} of 64");
    }
}
