//! What the format `sui` takes and refuses.

use countersign_sdk::key::{InMemorySigner, Signer as _};
use serde_json::Value;

use super::*;

fn text_for(address: &str) -> String {
    format!(
        "app.example wants you to sign in with your Sui account:\n{address}\n\nSign in.\n\n\
         URI: https://id.example\nVersion: 1\nNonce: 0123456789abcdef\n\
         Issued At: 2025-06-01T12:00:00Z\nChain ID: mainnet"
    )
}

/// A text, and the bytes of a right signature over it.
fn signed(curve: Curve) -> (String, Vec<u8>) {
    let signer = InMemorySigner::from_bytes(curve, &[7; 32]).unwrap();
    let scheme = Scheme::ALL.into_iter().find(|scheme| scheme.curve() == curve).unwrap();
    let encoded = scheme.encode(signer.public_key());
    let text = text_for(&scheme.address(&encoded));
    let signature = signer.sign_now(&digest(text.as_bytes())).unwrap();
    (text, [&[scheme.flag()], &signature[..], &encoded].concat())
}

fn verify(text: &str, bytes: &[u8]) -> Result<String, Reason> {
    let signature = STANDARD.encode(bytes);
    verify_text(text, &signature)
}

fn verify_text(text: &str, signature: &str) -> Result<String, Reason> {
    let evidence = Evidence { signature, public_key: None };
    Sui.read(text)
        .and_then(|message| Sui.verify(&message, &evidence))
        .map(|signer| signer.subject().to_owned())
        .map_err(|refusal| refusal.reason())
}

#[test]
fn both_schemes_prove_their_address() {
    for curve in [Curve::Ed25519, Curve::Secp256k1] {
        let (text, bytes) = signed(curve);
        let address = text.lines().nth(1).unwrap();
        let subject = format!("did:pkh:sui:35834a8a:{address}");
        assert_eq!(verify(&text, &bytes), Ok(subject.clone()));
        let key = InMemorySigner::from_bytes(curve, &[7; 32]).unwrap();
        assert_eq!(Sui.subjects_of_key(key.public_key()), [subject]);
        let testnet = text.replace("mainnet", "testnet");
        assert_eq!(verify(&testnet, &bytes), Err(Reason::SignatureMismatch));
        let other = text.replace("app.example", "evil.example");
        assert_eq!(verify(&other, &bytes), Err(Reason::SignatureMismatch));
    }
}

#[test]
fn no_other_bytes_are_a_signature() {
    for curve in [Curve::Ed25519, Curve::Secp256k1] {
        let (text, bytes) = signed(curve);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(verify(&text, &flipped).is_err(), "{curve:?} {at}");
        }
        let malformed = Err(Reason::SignatureMalformed);
        assert_eq!(verify(&text, &bytes[..bytes.len() - 1]), malformed);
        assert_eq!(verify(&text, &[&bytes[..], &[0]].concat()), malformed);
        assert_eq!(verify(&text, &[]), malformed);
        let encoded = STANDARD.encode(&bytes);
        for spelling in [format!("{encoded} "), encoded.replace('=', ""), hex::encode(&bytes)] {
            assert!(spelling == encoded || verify_text(&text, &spelling) == malformed);
        }
    }
}

#[test]
fn what_has_no_key_of_its_own_is_refused_by_name() {
    let (text, bytes) = signed(Curve::Ed25519);
    for (flag, name) in [(2, "secp256r1"), (3, "multisig"), (5, "zkLogin"), (6, "passkey"), (9, "")]
    {
        let mut other = bytes.clone();
        other[0] = flag;
        let refusal = check("", text.as_bytes(), &STANDARD.encode(other)).unwrap_err();
        assert_eq!(refusal.reason(), Reason::SignatureMalformed);
        assert!(refusal.detail().contains(name), "{}", refusal.detail());
    }
}

#[test]
fn twins_and_points_of_small_order_are_refused() {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let (text, mut bytes) = signed(Curve::Secp256k1);
    let mut borrow = 0i16;
    for (place, digit) in (33..65).rev().zip(hex::decode(order).unwrap().into_iter().rev()) {
        let difference = i16::from(digit) - i16::from(bytes[place]) - borrow;
        borrow = i16::from(difference < 0);
        bytes[place] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    assert_eq!(verify(&text, &bytes), Err(Reason::MalleableSignature));

    // The identity as key and as R, with S = 0, fits every message in a lenient verifier.
    let identity: Vec<u8> = [&[1][..], &[0; 31]].concat();
    let text = text_for(&Scheme::Ed25519.address(&identity));
    let bytes = [&[0][..], &identity, &[0; 32], &identity].concat();
    assert_eq!(verify(&text, &bytes), Err(Reason::SignatureMalformed));
}

#[test]
fn other_intents_are_not_personal_messages() {
    let signer = InMemorySigner::from_bytes(Curve::Ed25519, &[7; 32]).unwrap();
    let (text, bytes) = signed(Curve::Ed25519);
    for intent in [[0, 0, 0], [3, 1, 0], [3, 0, 1]] {
        let mut hash = Blake2b256::new();
        hash.update(intent);
        hash.update([u8::try_from(text.len() & 0x7f).unwrap() | 0x80]);
        hash.update([u8::try_from(text.len() >> 7).unwrap()]);
        hash.update(text.as_bytes());
        let signature = signer.sign_now(&hash.finalize()).unwrap();
        let other = [&[0], &signature[..], &bytes[65..]].concat();
        assert_eq!(verify(&text, &other), Err(Reason::SignatureMismatch), "{intent:?}");
    }
    let bare = signer.sign_now(text.as_bytes()).unwrap();
    let other = [&[0], &bare[..], &bytes[65..]].concat();
    assert_eq!(verify(&text, &other), Err(Reason::SignatureMismatch));
}

#[test]
fn addresses_and_chains_have_one_spelling_in_a_text() {
    let (text, bytes) = signed(Curve::Ed25519);
    let address = text.lines().nth(1).unwrap().to_owned();
    let upper = text.replace(&address, &address.to_uppercase().replace("0X", "0x"));
    assert_eq!(verify(&upper, &bytes), Err(Reason::AccountInvalid));
    let short = text.replace(&address, "0x1");
    assert_eq!(verify(&short, &bytes), Err(Reason::AccountInvalid));
    let devnet = text.replace("mainnet", "devnet");
    assert_eq!(verify(&devnet, &bytes), Err(Reason::ChainNotAllowed));
    let without = text.replace("\nChain ID: mainnet", "");
    assert_eq!(verify(&without, &bytes), Err(Reason::MalformedMessage));
}

#[test]
fn long_messages_have_their_length_in_front() {
    // 128 is the first length of two bytes, 16384 the first of three.
    for (length, prefix) in
        [(0, &[0][..]), (127, &[127]), (128, &[0x80, 1]), (16384, &[0x80, 0x80, 1])]
    {
        let message = vec![b'a'; length];
        let whole = [&INTENT, prefix, &message].concat();
        assert_eq!(digest(&message)[..], Blake2b256::digest(whole)[..], "{length}");
    }
}

#[test]
fn an_account_that_was_asked_for_is_made_canonical() {
    let account: Account = format!("sui:mainnet:0x{}", "AB".repeat(32)).parse().unwrap();
    let canonical = Sui.canonical_account(&account).unwrap();
    assert_eq!(canonical.to_string(), format!("sui:35834a8a:0x{}", "ab".repeat(32)));
    let value = Value::from(Sui.spelling(&canonical).unwrap().chain_id);
    assert_eq!(value, "mainnet");
}
