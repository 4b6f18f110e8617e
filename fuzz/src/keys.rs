//! Public keys and raw signatures: one reading, one spelling, and two implementations that agree.

use countersign_sdk::account::Account;
use countersign_sdk::key::secp256k1::{LowS, native, recover, reference, verify_digest};
use countersign_sdk::key::{Curve, PublicKey, SignatureError, Signer as _};
use ed25519_dalek::{Signature, VerifyingKey};

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
    assert_eq!(did.parse(), Ok(Account::Key(did.to_owned())));
    check_key(&key);
}

/// Ed25519: our verdict is the strict one of RFC 8032 with canonical keys, no laxer and no stricter.
///
/// An input is `choice, key, signature, message`; an odd choice disturbs a right triple instead.
pub fn ed25519(data: &[u8]) {
    let mut cut = Cut(data);
    let choice = cut.byte();
    let (mut key, mut signature, message): ([u8; 32], [u8; 64], _);
    if choice & 1 == 0 {
        key = cut.array();
        signature = cut.array();
        message = cut.0.to_vec();
    } else {
        let signer = signer(0);
        message = b"text".to_vec();
        key = signer.public_key().as_bytes().try_into().expect("32 bytes");
        signature = signer.sign_now(&message).expect("signed").try_into().expect("64 bytes");
        let mut all = [&key[..], &signature].concat();
        let changed = cut.disturb(&mut all);
        key.copy_from_slice(&all[..32]);
        signature.copy_from_slice(&all[32..]);
        let verified = PublicKey::from_ed25519_bytes(&key)
            .is_ok_and(|key| key.verify_wallet(&message, &signature).is_ok());
        assert_eq!(verified, !changed);
    }
    let ours = PublicKey::from_ed25519_bytes(&key);
    let theirs = VerifyingKey::from_bytes(&key).ok();
    let strict = theirs.filter(|theirs| !theirs.is_weak() && is_reduced(&key));
    assert_eq!(ours.is_ok(), strict.is_some());
    if let (Ok(ours), Some(strict)) = (ours, strict) {
        let expected = strict.verify_strict(&message, &Signature::from_bytes(&signature));
        assert_eq!(ours.verify_wallet(&message, &signature).is_ok(), expected.is_ok());
        check_key(&ours);
        assert!(matches!(
            ours.verify_wallet(&message, &signature[1..]),
            Err(SignatureError::Malformed(_))
        ));
    }
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
        use sha3::Digest as _;
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
