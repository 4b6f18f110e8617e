//! What the format `sui` takes and refuses.

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use countersign_sdk::key::{InMemorySigner, Signer as _};

use super::*;
use crate::model::reason::Reason;
use crate::wallet::samples::{self, SMALL_KEY, SMALL_SIGNATURE, disturbed, high_s, plus_order};

fn text_for(address: &str) -> String {
    samples::text("Sui account", address, "Chain ID: mainnet\n")
}

fn signer(curve: Curve) -> (InMemorySigner, u8, Vec<u8>) {
    let signer = InMemorySigner::from_bytes(curve, &[7; 32]).unwrap();
    let (flag, encoded) = sui::scheme_of(signer.public_key()).unwrap();
    (signer, flag, encoded)
}

/// A text, and the bytes of a right signature over it.
fn signed(curve: Curve) -> (String, Vec<u8>) {
    let (signer, flag, encoded) = signer(curve);
    let text = text_for(&sui::address(flag, &encoded));
    let signature = signer.sign_now(&sui::digest(text.as_bytes())).unwrap();
    (text, [&[flag], &signature[..], &encoded].concat())
}

fn verify(text: &str, bytes: &[u8]) -> Result<String, Reason> {
    verify_text(text, &STANDARD.encode(bytes))
}

fn verify_text(text: &str, signature: &str) -> Result<String, Reason> {
    samples::judge(&Sui, text, signature, None)
}

#[test]
fn both_schemes_prove_their_address() {
    for curve in [Curve::Ed25519, Curve::Secp256k1] {
        let (text, bytes) = signed(curve);
        let address = text.lines().nth(1).unwrap();
        let subject = format!("did:pkh:sui:35834a8a:{address}");
        assert_eq!(verify(&text, &bytes), Ok(subject.clone()));
        assert_eq!(Sui.subjects_of_key(signer(curve).0.public_key()), [subject]);
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
        for other in disturbed(&bytes) {
            assert!(verify(&text, &other).is_err(), "{curve:?}");
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
    let (text, bytes) = signed(Curve::Secp256k1);
    let twin = [&bytes[..1], &high_s(&bytes[1..65]), &bytes[65..]].concat();
    assert_eq!(verify(&text, &twin), Err(Reason::MalleableSignature));
    let (text, bytes) = signed(Curve::Ed25519);
    let twin = [&bytes[..1], &plus_order(&bytes[1..65]), &bytes[65..]].concat();
    assert!(verify(&text, &twin).is_err());

    // The identity as key and as R, with S = 0, fits every message in a lenient verifier.
    let text = text_for(&sui::address(0, &SMALL_KEY));
    let bytes = [&[0][..], &SMALL_SIGNATURE, &SMALL_KEY].concat();
    assert_eq!(verify(&text, &bytes), Err(Reason::SignatureMalformed));
}

#[test]
fn other_intents_are_not_personal_messages() {
    let (signer, ..) = signer(Curve::Ed25519);
    let (text, bytes) = signed(Curve::Ed25519);
    for intent in [[0, 0, 0], [3, 1, 0], [3, 0, 1]] {
        let mut hash = Blake2b::<U32>::new();
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
    let without = text.replace("Chain ID: mainnet\n", "");
    assert_eq!(verify(&without, &bytes), Err(Reason::MalformedMessage));
}

#[test]
fn an_account_that_was_asked_for_is_made_canonical() {
    let account: Account = format!("sui:mainnet:0x{}", "AB".repeat(32)).parse().unwrap();
    let canonical = Sui.accounts().canonical_account(&account).unwrap();
    assert_eq!(canonical.to_string(), format!("sui:35834a8a:0x{}", "ab".repeat(32)));
    assert_eq!(Sui.accounts().spelling(&canonical).unwrap().chain_id, Some("mainnet"));
}
