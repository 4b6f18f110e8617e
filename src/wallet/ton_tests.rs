//! What the format `ton` takes and refuses.

use countersign_sdk::key::{InMemorySigner, Signer as _};

use super::*;
use crate::wallet::samples::{self, SMALL_KEY, SMALL_SIGNATURE, disturbed, plus_order};

/// Half a minute after the sample text was issued.
const TIMESTAMP: u64 = 1_748_779_230;

struct Owner {
    signer: InMemorySigner,
    wallet: Wallet,
    state_init: String,
}

fn owner(seed: u8) -> Owner {
    let signer = InMemorySigner::from_bytes(Curve::Ed25519, &[seed; 32]).unwrap();
    let (wallet, bag) = Wallet::v3r2(signer.public_key().as_bytes().try_into().unwrap());
    Owner { signer, wallet, state_init: STANDARD.encode(bag) }
}

impl Owner {
    fn text(&self) -> String {
        samples::text("TON account", &ton::address(&self.wallet.hash), "Chain ID: -239\n")
    }

    fn proof<'a>(&'a self, payload: &'a str) -> Proof<'a> {
        let hash = &self.wallet.hash;
        Proof { hash, domain: "app.example", timestamp: TIMESTAMP, payload }
    }

    /// An answer that says what was signed.
    fn answer(&self, proof: &Proof<'_>) -> Value {
        let signature = self.signer.sign_now(&proof.digest().unwrap()).unwrap();
        json!({
            "address": format!("0:{}", hex::encode(proof.hash)),
            "network": "-239",
            "public_key": hex::encode(self.wallet.key),
            "proof": {
                "timestamp": proof.timestamp,
                "domain": {"lengthBytes": proof.domain.len(), "value": proof.domain},
                "payload": proof.payload,
                "signature": STANDARD.encode(signature),
                "state_init": self.state_init,
            },
        })
    }
}

fn judge(text: &str, answer: &Value) -> Result<String, Reason> {
    samples::judge(&Ton, text, &answer.to_string(), None)
}

#[test]
fn a_wallet_proves_its_account() {
    let owner = owner(7);
    let text = owner.text();
    let payload = ton::payload_of(&text);
    let answer = owner.answer(&owner.proof(&payload));
    let subject = Ok(format!("did:pkh:tvm:-239:{}", ton::address(&owner.wallet.hash)));
    assert_eq!(judge(&text, &answer), subject);
    let alone = json!({"proof": answer["proof"], "name": "ton_proof"});
    assert_eq!(judge(&text, &alone), subject);
    let message = Ton.read(&text).unwrap();
    let account = Ton.accounts().account_of(&message).unwrap();
    let given = Ton.payload(&account, &message).unwrap().unwrap();
    assert_eq!(given, json!({"tonProof": payload, "domain": "app.example"}));
}

#[test]
fn what_was_signed_is_what_was_asked_for() {
    let owner = owner(7);
    let text = owner.text();
    let payload = ton::payload_of(&text);
    let right = owner.proof(&payload);
    let other_payload = ton::payload_of("another text");
    let signed = |proof: Proof<'_>| judge(&text, &owner.answer(&proof));
    assert!(signed(right).is_ok());
    let mismatch = Err(Reason::SignatureMismatch);
    assert_eq!(signed(Proof { payload: &other_payload, ..right }), mismatch);
    assert_eq!(signed(Proof { payload: "", ..right }), mismatch);
    assert_eq!(signed(Proof { hash: &[1; 32], ..right }), mismatch);
    let foreign = signed(Proof { domain: "evil.example", ..right });
    assert_eq!(foreign, Err(Reason::DomainNotAllowed));
    for (timestamp, fits) in [
        (TIMESTAMP - 90, true),
        (TIMESTAMP - 91, false),
        (TIMESTAMP + 270 + 60, true),
        (TIMESTAMP + 270 + 61, false),
        (u64::MAX, false),
        (0, false),
    ] {
        let got = signed(Proof { timestamp, ..right });
        assert!(got.is_ok() == fits || got == Err(Reason::IssuedAtOutOfRange), "{timestamp}");
        assert_eq!(got.is_ok(), fits, "{timestamp}");
    }
    // Another text with the same address: its hash is another payload.
    let other = text.replace("Sign in.", "Sign on.");
    assert_eq!(judge(&other, &owner.answer(&right)), mismatch);
}

#[test]
fn every_member_of_the_answer_is_checked() {
    let owner = owner(7);
    let text = owner.text();
    let payload = ton::payload_of(&text);
    let right = owner.answer(&owner.proof(&payload));
    let changed = |pointer: &str, value: Value| {
        let mut answer = right.clone();
        *answer.pointer_mut(pointer).unwrap() = value;
        judge(&text, &answer)
    };
    let mismatch = Err(Reason::SignatureMismatch);
    assert_eq!(changed("/address", json!("0:00")), mismatch);
    assert_eq!(changed("/network", json!("-3")), mismatch);
    assert_eq!(changed("/public_key", json!("00")), mismatch);
    assert_eq!(changed("/proof/timestamp", json!(TIMESTAMP + 1)), mismatch);
    assert_eq!(changed("/proof/domain/lengthBytes", json!(10)), Err(Reason::DomainNotAllowed));
    assert_eq!(
        changed("/proof/domain/value", json!("app.example ")),
        Err(Reason::DomainNotAllowed)
    );
    assert_eq!(changed("/proof/payload", json!("x")), mismatch);
    let malformed = Err(Reason::SignatureMalformed);
    assert_eq!(changed("/proof/timestamp", json!(-1)), malformed);
    assert_eq!(changed("/proof/timestamp", json!("1748779230")), malformed);
    assert_eq!(changed("/proof/state_init", json!("")), malformed);
    assert_eq!(changed("/proof/state_init", json!(STANDARD.encode([0; 9000]))), malformed);
    assert_eq!(changed("/proof", json!(null)), malformed);
    assert_eq!(judge(&text, &json!("x")), malformed);
    let pad = json!({"proof": right["proof"], "pad": "x".repeat(MAX_STRUCTURE)});
    assert_eq!(judge(&text, &pad), malformed);
}

#[test]
fn no_other_signature_is_one() {
    let owner = owner(7);
    let text = owner.text();
    let payload = ton::payload_of(&text);
    let right = owner.answer(&owner.proof(&payload));
    let bytes = STANDARD.decode(right["proof"]["signature"].as_str().unwrap()).unwrap();
    let with = |signature: String| {
        let mut answer = right.clone();
        answer["proof"]["signature"] = json!(signature);
        judge(&text, &answer)
    };
    for other in disturbed(&bytes).chain([plus_order(&bytes)]) {
        assert!(with(STANDARD.encode(other)).is_err());
    }
    assert_eq!(with(hex::encode(&bytes)), Err(Reason::SignatureMalformed));
    let bare = owner.signer.sign_now(text.as_bytes()).unwrap();
    assert_eq!(with(STANDARD.encode(bare)), Err(Reason::SignatureMismatch));
}

#[test]
fn a_key_is_bound_to_its_address() {
    let (victim, thief) = (owner(7), owner(8));
    let text = victim.text();
    let payload = ton::payload_of(&text);
    let mismatch = Err(Reason::SignatureMismatch);
    // The thief's wallet under the victim's address, and his signature under the victim's state.
    let proof = victim.proof(&payload);
    assert_eq!(judge(&text, &thief.answer(&proof)), mismatch);
    let mut answer = thief.answer(&proof);
    answer["public_key"] = json!(hex::encode(victim.wallet.key));
    answer["proof"]["state_init"] = json!(victim.state_init);
    assert_eq!(judge(&text, &answer), mismatch);
    // A wallet whose key is a point of small order.
    let (wallet, bag) = Wallet::v3r2(SMALL_KEY);
    let text = samples::text("TON account", &ton::address(&wallet.hash), "Chain ID: -239\n");
    let payload = ton::payload_of(&text);
    let small = Owner { wallet, state_init: STANDARD.encode(bag), ..owner(7) };
    let mut answer = small.answer(&small.proof(&payload));
    answer["proof"]["signature"] = json!(STANDARD.encode(SMALL_SIGNATURE));
    assert_eq!(judge(&text, &answer), Err(Reason::SignatureMalformed));
}

#[test]
fn accounts_are_named_in_both_namespaces_and_are_one() {
    let owner = owner(7);
    let address = ton::address(&owner.wallet.hash);
    for namespace in ["tvm", "ton"] {
        let account = format!("{namespace}:-239:{address}").parse().unwrap();
        let canonical = Ton.accounts().canonical_account(&account).unwrap();
        assert_eq!(canonical.to_string(), format!("tvm:-239:{address}"));
    }
    let text = owner.text();
    let payload = ton::payload_of(&text);
    let answer = owner.answer(&owner.proof(&payload));
    let upper = text.replace(&address, &address.to_uppercase());
    assert_eq!(judge(&upper, &answer), Err(Reason::AccountInvalid));
    let elsewhere = text.replace("-239", "-240");
    assert_eq!(judge(&elsewhere, &answer), Err(Reason::ChainNotAllowed));
}
