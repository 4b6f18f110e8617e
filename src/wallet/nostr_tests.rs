//! Events that sign in, and events that do not.

use countersign_sdk::key::{InMemorySigner, Signer as _};

use super::*;

const ISSUED: u64 = 1_748_779_200;

fn signer(byte: u8) -> InMemorySigner {
    InMemorySigner::from_bytes(Curve::Secp256k1, &[byte; 32]).unwrap()
}

fn did(signer: &InMemorySigner) -> String {
    let x = signer.public_key().x_only().unwrap();
    PublicKey::from_x_only(&x).unwrap().to_did_key().unwrap()
}

fn text_for(did: &str) -> String {
    format!(
        "app.example wants you to sign in with your Nostr account:\n{did}\n\nSign in.\n\n\
         URI: https://id.example\nVersion: 1\nNonce: 0123456789abcdef\n\
         Issued At: 2025-06-01T12:00:00Z"
    )
}

/// The event of the payload, signed, after `change`.
fn signed(signer: &InMemorySigner, text: &str, change: impl FnOnce(&mut Value)) -> Value {
    let message = Nostr.read(text).unwrap();
    let account = Nostr.accounts().account_of(&message).unwrap();
    let mut event = Nostr.payload(&account, &message).unwrap().unwrap();
    event["pubkey"] = json!(hex::encode(signer.public_key().x_only().unwrap()));
    change(&mut event);
    let read: Vec<Vec<String>> = serde_json::from_value(event["tags"].clone()).unwrap();
    let x = signer.public_key().x_only().unwrap();
    let (at, kind) = (event["created_at"].as_u64().unwrap(), event["kind"].as_u64().unwrap());
    let id = event_id(&x, at, kind, &read, event["content"].as_str().unwrap()).unwrap();
    event["id"] = json!(hex::encode(id));
    event["sig"] = json!(hex::encode(signer.sign_schnorr(&id).unwrap()));
    event
}

fn reason(text: &str, event: &Value) -> Result<(), Reason> {
    reason_of(text, &event.to_string())
}

fn reason_of(text: &str, signature: &str) -> Result<(), Reason> {
    let evidence = Evidence { signature, public_key: None };
    Nostr
        .read(text)
        .and_then(|message| Nostr.verify(&message, &evidence))
        .map(|_| ())
        .map_err(|refusal| refusal.reason())
}

#[test]
fn the_event_of_the_payload_signs_in() {
    for byte in 1..9 {
        let ours = signer(byte);
        let text = text_for(&did(&ours));
        assert_eq!(reason(&text, &signed(&ours, &text, |_| {})), Ok(()));
        // What NIP-07 signers add, a later clock, and a tag of the signer's own.
        let more = signed(&ours, &text, |event| {
            event["created_at"] = json!(ISSUED + 30);
            event["tags"].as_array_mut().unwrap().push(json!(["client", "x"]));
        });
        assert_eq!(reason(&text, &more), Ok(()));
        let mut known = signed(&ours, &text, |_| {});
        known["verified"] = json!(true);
        assert_eq!(reason(&text, &known), Ok(()));
    }
}

#[test]
fn another_event_does_not() {
    let ours = signer(9);
    let text = text_for(&did(&ours));
    let mismatch = Err(Reason::SignatureMismatch);
    let changes: [fn(&mut Value); 9] = [
        |event| event["kind"] = json!(1),
        |event| event["kind"] = json!(22242),
        |event| event["created_at"] = json!(ISSUED - 61),
        |event| event["created_at"] = json!(ISSUED + 3601),
        |event| event["tags"][0][1] = json!("https://evil.example"),
        |event| event["tags"][1][1] = json!("GET"),
        |event| event["tags"] = json!([]),
        |event| event["tags"].as_array_mut().unwrap().push(json!(["u", "https://evil.example"])),
        |event| event["content"] = json!("hello"),
    ];
    for change in changes {
        assert_eq!(reason(&text, &signed(&ours, &text, change)), mismatch);
    }
    // Another domain's text, in content or in place of it.
    let elsewhere = text.replace("app.example wants", "evil.example wants");
    assert_eq!(reason(&elsewhere, &signed(&ours, &text, |_| {})), mismatch);
    assert_eq!(reason(&text, &signed(&ours, &elsewhere, |_| {})), mismatch);
    // Another key, whole and in part.
    let other = signed(&signer(8), &text, |_| {});
    assert_eq!(reason(&text, &other), mismatch);
    let mut posing = signed(&signer(8), &text, |_| {});
    posing["pubkey"] = json!(hex::encode(ours.public_key().x_only().unwrap()));
    assert_eq!(reason(&text, &posing), mismatch);
}

#[test]
fn id_and_signature_are_checked_as_they_stand() {
    let ours = signer(9);
    let text = text_for(&did(&ours));
    let right = signed(&ours, &text, |_| {});
    let with = |member: &str, value: Value| {
        let mut event = right.clone();
        event[member] = value;
        event
    };
    let flipped = |member: &str| {
        let mut digits = right[member].as_str().unwrap().to_owned();
        let first = if digits.starts_with('0') { "1" } else { "0" };
        digits.replace_range(..1, first);
        json!(digits)
    };
    let upper = |member: &str| json!(right[member].as_str().unwrap().to_uppercase());
    let (malformed, mismatch) = (Reason::SignatureMalformed, Reason::SignatureMismatch);
    for (event, expected) in [
        (with("id", flipped("id")), mismatch),
        (with("sig", flipped("sig")), mismatch),
        (with("sig", json!("ff".repeat(64))), malformed),
        (with("sig", json!("00".repeat(63))), malformed),
        (with("sig", json!("00".repeat(65))), malformed),
        (with("sig", upper("sig")), malformed),
        (with("id", upper("id")), malformed),
        (with("pubkey", upper("pubkey")), malformed),
        (with("pubkey", json!("")), malformed),
        (with("kind", json!("27235")), malformed),
        (with("created_at", json!(1.5)), malformed),
        (with("created_at", json!(-1)), malformed),
        (with("tags", json!([["u", 1]])), malformed),
        (with("tags", json!(vec![["u"]; 33])), malformed),
        (with("tags", json!([vec!["u"; 33]])), malformed),
        (with("content", json!(null)), malformed),
        (json!([]), malformed),
        (json!({}), malformed),
    ] {
        assert_eq!(reason(&text, &event), Err(expected), "{event}");
    }
    let written = right.to_string();
    for broken in [
        "",
        &written[..written.len() - 1],
        &format!("{written}{{}}"),
        &written.replacen('{', "{\"kind\":1,", 1),
        &" ".repeat(30_000),
    ] {
        assert_eq!(reason_of(&text, broken), Err(malformed), "{broken:.60}");
    }
}

#[test]
fn accounts_have_the_even_point() {
    let odd = (1..20).map(signer).find(|signer| {
        signer.public_key().compressed_secp256k1().is_some_and(|bytes| bytes[0] == 3)
    });
    let odd = odd.unwrap();
    let text = text_for(&odd.public_key().to_did_key().unwrap());
    assert_eq!(reason_of(&text, "{}"), Err(Reason::AccountInvalid));
    assert_eq!(Nostr.subjects_of_key(odd.public_key()), [did(&odd)]);
    let ed25519 = InMemorySigner::from_bytes(Curve::Ed25519, &[9; 32]).unwrap();
    let text = text_for(&ed25519.public_key().to_did_key().unwrap());
    assert_eq!(reason_of(&text, "{}"), Err(Reason::AccountInvalid));
}

#[test]
fn a_key_that_is_no_point_proves_nothing() {
    // From the vectors of BIP-340.
    let x = "eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34";
    let bytes: [u8; 32] = hex::decode(x).unwrap().try_into().unwrap();
    let text = text_for(&did(&signer(9)));
    let mut event = signed(&signer(9), &text, |_| {});
    let tags: Vec<Vec<String>> = serde_json::from_value(event["tags"].clone()).unwrap();
    let id = event_id(&bytes, ISSUED, HTTP_AUTH, &tags, &text).unwrap();
    event["pubkey"] = json!(x);
    event["id"] = json!(hex::encode(id));
    assert_eq!(reason(&text, &event), Err(Reason::PublicKeyInvalid));
}
