//! What the format `lnurl` takes and refuses of a wallet's answer.

use countersign_sdk::key::{InMemorySigner, Signer as _};

use super::*;
use crate::wallet::key::RawKey;
use crate::wallet::samples::{self, high_s};

fn signer(seed: u8) -> (InMemorySigner, String, String) {
    let signer = InMemorySigner::from_bytes(Curve::Secp256k1, &[seed; 32]).unwrap();
    let did = signer.public_key().to_did_key().unwrap();
    let key = hex::encode(signer.public_key().compressed_secp256k1().unwrap());
    (signer, did, key)
}

fn text_for(address: &str) -> String {
    samples::text("Lightning wallet", address, "")
}

/// ECDSA over the digest that a wallet is sent, in DER.
fn sign(signer: &InMemorySigner, text: &str) -> Vec<u8> {
    signer.sign_now(text.as_bytes()).unwrap()
}

fn der(signature: &[u8]) -> String {
    let answer = Answer { key: [2; 33], signature: signature.try_into().unwrap() };
    answer.signature_text()
}

fn judge(text: &str, signature: &str, key: &str) -> Result<String, Reason> {
    let evidence = Evidence { signature, public_key: Some(key) };
    let message = Lnurl.read(text).map_err(|refusal| refusal.reason())?;
    let verified = Lnurl.verify(&message, &evidence);
    if let Ok(signer) = &verified {
        assert_eq!(signer.account().to_string(), signer.subject());
        assert_eq!(RawKey.subjects_of_key(signer.key()), [signer.subject()]);
    }
    verified.map(|signer| signer.subject().to_owned()).map_err(|refusal| refusal.reason())
}

#[test]
fn whoever_answers_is_the_key_that_signed() {
    let (ours, did, key) = signer(9);
    for text in [text_for("any"), text_for(&did)] {
        let signature = der(&sign(&ours, &text));
        assert_eq!(judge(&text, &signature, &key), Ok(did.clone()));
        assert_eq!(judge(&text, &signature.to_uppercase(), &key.to_uppercase()), Ok(did.clone()));
        assert!(Lnurl.is_shaped(&signature));
    }
    // A text that names an account is not for another.
    let (theirs, _, their_key) = signer(8);
    let text = text_for(&did);
    let signature = der(&sign(&theirs, &text));
    assert_eq!(judge(&text, &signature, &their_key), Err(Reason::SignatureMismatch));
}

#[test]
fn no_other_answer_is_one() {
    let (ours, _, key) = signer(9);
    let text = text_for("any");
    let right = sign(&ours, &text);
    let encoded = der(&right);
    let (malformed, mismatch) = (Reason::SignatureMalformed, Reason::SignatureMismatch);
    let mirrored = key.replacen("03", "0x", 1).replacen("02", "03", 1).replacen("0x", "02", 1);
    let mut flipped = right.clone();
    flipped[40] ^= 1;
    for (signature, key, reason) in [
        (der(&flipped), &key, mismatch),
        (der(&high_s(&right)), &key, Reason::MalleableSignature),
        (der(&sign(&ours, &text_for("any").replace("app.", "evil."))), &key, mismatch),
        (encoded.clone(), &signer(8).2, mismatch),
        (encoded.clone(), &mirrored, mismatch),
        (encoded.clone(), &key[2..].to_owned(), Reason::PublicKeyInvalid),
        (encoded.clone(), &format!("05{}", &key[2..]), Reason::PublicKeyInvalid),
        (encoded.clone(), &format!("02{}", "ff".repeat(32)), Reason::PublicKeyInvalid),
        (hex::encode(&right), &key, malformed),
        (format!("{encoded}00"), &key, malformed),
        (encoded[2..].to_owned(), &key, malformed),
        (der(&[0; 64]), &key, malformed),
        (String::new(), &key, malformed),
        ("30".repeat(500), &key, malformed),
    ] {
        assert_eq!(judge(&text, &signature, key), Err(reason), "{signature} {key}");
    }
    let message = Lnurl.read(&text).unwrap();
    let evidence = Evidence { signature: &encoded, public_key: None };
    let refusal = Lnurl.verify(&message, &evidence).unwrap_err();
    assert_eq!(refusal.reason(), Reason::ParameterMissing);
}

#[test]
fn nobody_is_whoever_answers() {
    let whoever = Lnurl.whoever_answers().unwrap();
    assert_eq!(Lnurl.accounts().spelling(&whoever).unwrap().address, "any");
    assert!(Lnurl.accounts().canonical_account(&whoever).is_err());
    let (ours, _, key) = signer(9);
    // Neither its own name in a text, nor one like the stand-in's, is an account.
    for address in [whoever.to_string().as_str(), "Any", "any.", "all"] {
        let text = text_for(address);
        let signature = der(&sign(&ours, &text));
        assert_eq!(judge(&text, &signature, &key), Err(Reason::AccountInvalid), "{address}");
    }
    let ed25519 = InMemorySigner::from_bytes(Curve::Ed25519, &[9; 32]).unwrap();
    let text = text_for(&ed25519.public_key().to_did_key().unwrap());
    let judged = judge(&text, &der(&sign(&ours, &text)), &key);
    assert_eq!(judged, Err(Reason::AccountInvalid));
}
