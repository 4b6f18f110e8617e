//! What the format `sep53` takes and refuses.

use countersign_sdk::key::{InMemorySigner, Signer as _};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::model::reason::Reason;
use crate::wallet::samples::{self, SMALL_KEY, SMALL_SIGNATURE, disturbed, plus_order};

const PREFIX: &[u8] = b"Stellar Signed Message:\n";

fn signer(seed: u8) -> (InMemorySigner, String) {
    let signer = InMemorySigner::from_bytes(Curve::Ed25519, &[seed; 32]).unwrap();
    let address = encode_account(signer.public_key().as_bytes().try_into().unwrap());
    (signer, address)
}

fn text_for(address: &str) -> String {
    samples::text("Stellar account", address, "Chain ID: pubnet\n")
}

fn sign(signer: &InMemorySigner, prefix: &[u8], text: &str) -> Vec<u8> {
    signer.sign_now(&Sha256::digest([prefix, text.as_bytes()].concat())).unwrap()
}

fn judge(text: &str, signature: &[u8]) -> Result<String, Reason> {
    samples::judge(&Sep53, text, &STANDARD.encode(signature), None)
}

#[test]
fn the_account_proves_itself_in_both_encodings() {
    let (key, address) = signer(7);
    let text = text_for(&address);
    let signature = sign(&key, PREFIX, &text);
    let subject = Ok(format!("did:pkh:stellar:pubnet:{address}"));
    assert_eq!(judge(&text, &signature), subject);
    assert_eq!(samples::judge(&Sep53, &text, &hex::encode(&signature), None), subject);
    for spelling in [
        STANDARD.encode(&signature).replace('=', ""),
        format!("0x{}", hex::encode(&signature)),
        format!(" {}", STANDARD.encode(&signature)),
        bs58::encode(&signature).into_string(),
    ] {
        let got = samples::judge(&Sep53, &text, &spelling, None);
        assert_eq!(got, Err(Reason::SignatureMalformed), "{spelling}");
        assert!(!Sep53.is_shaped(&spelling));
    }
    let testnet = text.replace("pubnet", "testnet");
    let signature = sign(&key, PREFIX, &testnet);
    assert_eq!(judge(&testnet, &signature), subject, "one subject on both chains");
    let account = Sep53.accounts().account_of(&Sep53.read(&testnet).unwrap()).unwrap();
    assert_eq!(account.to_string(), format!("stellar:testnet:{address}"));
}

#[test]
fn no_other_signature_is_one() {
    let (key, address) = signer(7);
    let text = text_for(&address);
    let signature = sign(&key, PREFIX, &text);
    for other in disturbed(&signature) {
        assert!(judge(&text, &other).is_err());
    }
    assert!(judge(&text, &plus_order(&signature)).is_err());
    let mismatch = Err(Reason::SignatureMismatch);
    assert_eq!(judge(&text, &sign(&signer(8).0, PREFIX, &text)), mismatch);
    assert_eq!(judge(&text.replace("app.", "evil."), &signature), mismatch);
    assert_eq!(judge(&text_for(&signer(8).1), &signature), mismatch);
    // Not the prefix of this format, and none at all.
    for prefix in [&b"Stellar Signed Message: "[..], b"", b"\x19Ethereum Signed Message:\n"] {
        assert_eq!(judge(&text, &sign(&key, prefix, &text)), mismatch);
    }
    assert_eq!(judge(&text, &key.sign_now(text.as_bytes()).unwrap()), mismatch);
}

#[test]
fn a_key_of_small_order_is_no_account() {
    let address = encode_account(&SMALL_KEY);
    assert_eq!(judge(&text_for(&address), &SMALL_SIGNATURE), Err(Reason::AccountInvalid));
    let account = format!("stellar:pubnet:{address}").parse().unwrap();
    let refusal = Sep53.accounts().canonical_account(&account).unwrap_err();
    assert_eq!(refusal.reason(), Reason::AccountInvalid);
}

#[test]
fn other_addresses_and_chains_are_refused() {
    let (key, address) = signer(7);
    let text = text_for(&address);
    for broken in [&address[..55], &address.to_lowercase(), &format!("M{}", &address[1..])] {
        let text = text_for(broken);
        assert_eq!(judge(&text, &sign(&key, PREFIX, &text)), Err(Reason::AccountInvalid));
    }
    let other = text.replace("pubnet", "futurenet");
    assert_eq!(judge(&other, &sign(&key, PREFIX, &other)), Err(Reason::ChainNotAllowed));
    let without = text.replace("Chain ID: pubnet\n", "");
    assert_eq!(judge(&without, &sign(&key, PREFIX, &without)), Err(Reason::MalformedMessage));
}
