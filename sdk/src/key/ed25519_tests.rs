//! aws-lc behind our checks gives dalek's `verify_strict` verdict, on good signatures and on odd ones.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use proptest::prelude::*;

use super::*;

/// The verdict that ours is held to; a key that we do not take verifies nothing.
fn reference(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    is_canonical(key)
        && VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

fn ours(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let verifies = |key: Key| key.verify_strict(message, signature).is_ok();
    let verdict = Key::from_bytes(key).is_ok_and(verifies);
    // A key that was not looked at beforehand comes to the same.
    assert_eq!(verdict, Key::to_verify_with(key).is_ok_and(verifies));
    verdict
}

/// Both encodings of each small y, and the encodings that are not canonical.
fn odd_points() -> Vec<[u8; 32]> {
    let mut points: Vec<[u8; 32]> = SMALL_ORDER.to_vec();
    points.extend((0xed..=0xff).map(top));
    let negative = points.clone().into_iter().map(|mut point| {
        point[31] |= 0x80;
        point
    });
    points.extend(negative.collect::<Vec<_>>());
    points
}

/// S of zero, of one, the order itself and one above it.
fn odd_scalars() -> [[u8; 32]; 4] {
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut above = order;
    above[0] += 1;
    [low(0), low(1), order, above]
}

fn joined(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r);
    signature[32..].copy_from_slice(s);
    signature
}

#[test]
fn the_table_holds_the_points_of_small_order_and_no_other() {
    let mut small = 0;
    for point in odd_points() {
        let weak = VerifyingKey::from_bytes(&point).is_ok_and(|key| key.is_weak());
        if is_canonical(&point) && weak {
            small += 1;
        }
        assert!(!weak || !is_canonical(&point) || is_small_order(&point));
        assert!(!is_canonical(&point) || is_small_order(&point));
    }
    // Eight points; two of them have x = 0, whose encoding with the sign bit dalek reads as well.
    assert!((8..=10).contains(&small), "{small}");
    let key = SigningKey::from_bytes(&[7; 32]).verifying_key();
    assert!(!is_small_order(key.as_bytes()));
}

#[test]
fn odd_points_and_scalars_get_the_reference_verdict() {
    let signer = SigningKey::from_bytes(&[7; 32]);
    let own = *signer.verifying_key().as_bytes();
    let made = signer.sign(b"text").to_bytes();
    let r: [u8; 32] = *made.first_chunk().unwrap();
    let mut points = odd_points();
    points.extend([own, r]);
    for key in &points {
        for r in &points {
            for s in odd_scalars().iter().chain([made.last_chunk().unwrap()]) {
                let signature = joined(r, s);
                for message in [&b"text"[..], b""] {
                    let verdict = ours(key, message, &signature);
                    assert_eq!(verdict, reference(key, message, &signature), "{key:?} {r:?}");
                }
            }
        }
    }
    assert!(ours(&own, b"text", &made));
}

proptest! {
    #[test]
    fn changed_signatures_get_the_reference_verdict(
        seed: [u8; 32],
        message in prop::collection::vec(any::<u8>(), 0..200),
        flip in prop::option::of((0usize..96, 0u32..8)),
    ) {
        let signer = SigningKey::from_bytes(&seed);
        let mut key = *signer.verifying_key().as_bytes();
        let mut signature = signer.sign(&message).to_bytes();
        if let Some((at, bit)) = flip {
            let byte = if at < 32 { &mut key[at] } else { &mut signature[at - 32] };
            *byte ^= 1 << bit;
        }
        let verdict = ours(&key, &message, &signature);
        prop_assert_eq!(verdict, reference(&key, &message, &signature));
        prop_assert_eq!(verdict, flip.is_none());
    }
}

#[test]
fn a_key_that_signed_is_the_key_that_verifies() {
    use crate::key::{InMemorySigner, KeyError, NotSigner, PublicKey, SignatureError, Signer as _};

    let signer = InMemorySigner::from_bytes(crate::key::Curve::Ed25519, &[7; 32]).unwrap();
    let signature = signer.sign_now(b"text").unwrap();
    let bytes = signer.public_key().as_bytes();
    let signed = |bytes: &[u8], text: &[u8], signature: &[u8]| {
        PublicKey::ed25519_that_signed(bytes, text, signature)
    };
    assert_eq!(signed(bytes, b"text", &signature).as_ref(), Ok(signer.public_key()));
    let mismatch = Err(NotSigner::Signature(SignatureError::Mismatch));
    assert_eq!(signed(bytes, b"Text", &signature), mismatch);
    // Half of all encodings are no point, and none of them verifies anything.
    let mut points = 0;
    for byte in 2..=255 {
        let mut other = [0; 32];
        other[0] = byte;
        points += usize::from(PublicKey::from_ed25519_bytes(&other).is_ok());
        assert!(signed(&other, b"text", &signature).is_err());
    }
    assert!((50..200).contains(&points), "{points}");
    let mut identity = [0; 32];
    identity[0] = 1;
    assert_eq!(signed(&identity, b"text", &signature), Err(NotSigner::Key(KeyError::SmallOrder)));
    assert!(matches!(signed(&bytes[1..], b"text", &signature), Err(NotSigner::Key(_))));
    assert!(signed(bytes, b"text", &signature[1..]).is_err());
}
