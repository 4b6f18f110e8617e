//! What the format `nep413` takes and refuses.

use countersign_sdk::key::{InMemorySigner, Signer as _};

use super::*;
use crate::model::reason::Reason;
use crate::wallet::samples::{self, SMALL_KEY, SMALL_SIGNATURE, disturbed, plus_order};

fn signer(seed: u8) -> (InMemorySigner, String) {
    let signer = InMemorySigner::from_bytes(Curve::Ed25519, &[seed; 32]).unwrap();
    let account_id = hex::encode(signer.public_key().as_bytes());
    (signer, account_id)
}

fn text_for(account_id: &str) -> String {
    samples::text("NEAR Protocol account", account_id, "Chain ID: mainnet\n")
}

/// What is right to sign for a text.
fn right<'a>(text: &'a str, nonce: &'a [u8; 32], callback_url: Option<&'a str>) -> Signed<'a> {
    Signed { message: text.as_bytes(), nonce, recipient: "app.example", callback_url }
}

fn sign(signer: &InMemorySigner, signed: &Signed<'_>) -> String {
    STANDARD.encode(signer.sign_now(&signed.digest().unwrap()).unwrap())
}

fn judge(text: &str, signature: &str) -> Result<String, Reason> {
    samples::judge(&Nep413, text, signature, None)
}

#[test]
fn the_wallets_answer_or_the_signature_alone_proves_the_account() {
    let (key, account_id) = signer(7);
    let text = text_for(&account_id);
    let nonce = nonce_of(&text);
    let plain = sign(&key, &right(&text, &nonce, None));
    let subject = Ok(format!("did:pkh:near:mainnet:{account_id}"));
    assert_eq!(judge(&text, &plain), subject);
    let public_key = format!("ed25519:{}", bs58::encode(key.public_key().as_bytes()).into_string());
    let answer = json!({
        "accountId": account_id, "publicKey": public_key, "signature": plain, "state": "x",
    });
    assert_eq!(judge(&text, &answer.to_string()), subject);
    for url in ["https://app.example/back?x=1", "https://app.example"] {
        let signature = sign(&key, &right(&text, &nonce, Some(url)));
        let answer = json!({"signature": signature, "callbackUrl": url});
        assert_eq!(judge(&text, &answer.to_string()), subject);
        assert_eq!(judge(&text, &signature), Err(Reason::SignatureMismatch));
    }
}

#[test]
fn every_member_of_the_answer_is_checked() {
    let (key, account_id) = signer(7);
    let text = text_for(&account_id);
    let nonce = nonce_of(&text);
    let signature = sign(&key, &right(&text, &nonce, None));
    let answer =
        |member: &str, value: &str| json!({"signature": signature, member: value}).to_string();
    assert!(judge(&text, &answer("other", "")).is_ok());
    let (mismatch, malformed) = (Err(Reason::SignatureMismatch), Err(Reason::SignatureMalformed));
    assert_eq!(judge(&text, &answer("accountId", "alice.near")), mismatch);
    assert_eq!(judge(&text, &answer("publicKey", "ed25519:11111")), mismatch);
    assert_eq!(judge(&text, &answer("signature", "")), malformed);
    for url in
        ["https://evil.example", "http://app.example", "https://app.example@evil.example", ""]
    {
        // Signed with it, so that nothing but the URL is wrong.
        let signature = sign(&key, &right(&text, &nonce, Some(url)));
        let answer = json!({"signature": signature, "callbackUrl": url}).to_string();
        assert_eq!(judge(&text, &answer), malformed, "{url}");
    }
    for broken in [
        "{}".to_owned(),
        "{".to_owned(),
        format!("{{\"signature\":\"{signature}\",\"signature\":\"{signature}\"}}"),
        format!("{{\"signature\":\"{signature}\"}}x"),
        format!("[\"{signature}\"]"),
        format!("{{\"signature\":\"{signature}\",\"pad\":\"{}\"}}", "x".repeat(MAX_STRUCTURE)),
    ] {
        assert_eq!(judge(&text, &broken), malformed, "{broken:.80}");
    }
}

#[test]
fn no_other_signature_is_one() {
    let (key, account_id) = signer(7);
    let text = text_for(&account_id);
    let nonce = nonce_of(&text);
    let right = right(&text, &nonce, None);
    let bytes = STANDARD.decode(sign(&key, &right)).unwrap();
    for other in disturbed(&bytes) {
        assert!(judge(&text, &STANDARD.encode(other)).is_err());
    }
    assert!(judge(&text, &STANDARD.encode(plus_order(&bytes))).is_err());
    assert!(judge(&text, &hex::encode(&bytes)).is_err());
    let mismatch = Err(Reason::SignatureMismatch);
    assert_eq!(judge(&text, &sign(&signer(8).0, &right)), mismatch);
    assert_eq!(judge(&text.replace("Sign in.", "Sign on."), &STANDARD.encode(&bytes)), mismatch);
    for other in [
        Signed { recipient: "evil.example", ..right },
        Signed { nonce: &[0; 32], ..right },
        Signed { message: b"Sign in.", ..right },
        Signed { callback_url: Some(""), ..right },
    ] {
        assert_eq!(judge(&text, &sign(&key, &other)), mismatch, "{other:?}");
    }
    let bare = STANDARD.encode(key.sign_now(text.as_bytes()).unwrap());
    assert_eq!(judge(&text, &bare), mismatch);
}

#[test]
fn accounts_that_are_no_key_are_refused() {
    let (key, account_id) = signer(7);
    let small = hex::encode(SMALL_KEY);
    let upper = account_id.to_uppercase();
    for name in ["Alice.near", "0x32be343b94f860124dc4fee278fdcbd38c102d88", &upper, &small] {
        let text = text_for(name);
        let nonce = nonce_of(&text);
        let signature = sign(&key, &right(&text, &nonce, None));
        assert_eq!(judge(&text, &signature), Err(Reason::AccountInvalid), "{name}");
        let account = format!("near:mainnet:{name}").parse().unwrap();
        let refusal = Nep413.accounts().canonical_account(&account).unwrap_err();
        assert_eq!(refusal.reason(), Reason::AccountInvalid);
        assert!(refusal.detail().contains("named account"));
    }
    let got = judge(&text_for(&small), &STANDARD.encode(SMALL_SIGNATURE));
    assert_eq!(got, Err(Reason::AccountInvalid));
}

#[test]
fn the_payload_is_what_a_wallet_is_to_sign() {
    let (key, account_id) = signer(7);
    let text = text_for(&account_id);
    let message = Nep413.read(&text).unwrap();
    let account = Nep413.accounts().account_of(&message).unwrap();
    let payload = Nep413.payload(&account, &message).unwrap().unwrap();
    let nonce: [u8; 32] =
        STANDARD.decode(payload["nonce"].as_str().unwrap()).unwrap().try_into().unwrap();
    let signed = Signed {
        message: payload["message"].as_str().unwrap().as_bytes(),
        nonce: &nonce,
        recipient: payload["recipient"].as_str().unwrap(),
        callback_url: None,
    };
    assert!(judge(&text, &sign(&key, &signed)).is_ok());
}

/// What is to be asked of the chain for a text and an answer, where that is something.
fn question(text: &str, signature: &str) -> Result<Question, Reason> {
    let evidence = Evidence { signature, public_key: None };
    let message = Nep413.read(text).unwrap();
    let account = Nep413.accounts().account_of(&message).map_err(|refusal| refusal.reason())?;
    let refused = Nep413.verify_by(&account, &message, &evidence).unwrap_err();
    let question = Nep413.question(&account, &message, &evidence, refused);
    question.map_err(|refusal| refusal.reason())
}

fn named(key: &InMemorySigner) -> String {
    format!("ed25519:{}", bs58::encode(key.public_key().as_bytes()).into_string())
}

#[test]
fn a_named_account_is_proven_by_nobody_but_its_chain() {
    let (key, _) = signer(7);
    for (address, name) in [("alice.near", "alice.near"), ("a%5Fb.near", "a_b.near")] {
        let text = text_for(address);
        let nonce = nonce_of(&text);
        let signature = sign(&key, &right(&text, &nonce, None));
        let answer = json!({"accountId": name, "publicKey": named(&key), "signature": signature})
            .to_string();
        assert_eq!(judge(&text, &answer), Err(Reason::AccountInvalid));
        let account: Account = format!("near:mainnet:{address}").parse().unwrap();
        let Ok(Question::AccessKey(asked)) = question(&text, &answer) else {
            panic!("no question")
        };
        let expected =
            AccessKeyQuestion::new(account.clone(), name.to_owned(), key.public_key().clone());
        assert_eq!(*asked.question(), expected);
        assert!(Nep413.accounts().is_name(&account));
        assert_eq!(Nep413.accounts().canonical_account(&account), Ok(account.clone()));
        assert_eq!(
            Nep413.accounts().subject_of(&account),
            Ok(format!("did:pkh:near:mainnet:{address}"))
        );
    }
    // The same name on another chain is another account.
    let other: Account = "near:testnet:alice.near".parse().unwrap();
    assert_eq!(Nep413.accounts().subject_of(&other).unwrap(), "did:pkh:near:testnet:alice.near");
    let unescaped = text_for("a_b.near");
    assert_eq!(question(&unescaped, "{}"), Err(Reason::AccountInvalid));
}

#[test]
fn nothing_is_asked_for_a_signature_that_is_not_the_keys() {
    let (key, account_id) = signer(7);
    let text = text_for("alice.near");
    let nonce = nonce_of(&text);
    let signature = sign(&key, &right(&text, &nonce, None));
    let right =
        json!({"accountId": "alice.near", "publicKey": named(&key), "signature": signature});
    assert!(question(&text, &right.to_string()).is_ok());
    let with = |member: &str, value: &str| {
        let mut answer = right.clone();
        answer[member] = json!(value);
        question(&text, &answer.to_string())
    };
    let other = named(&signer(8).0);
    let small = format!("ed25519:{}", bs58::encode(SMALL_KEY).into_string());
    for (member, value, reason) in [
        ("accountId", "bob.near", Reason::SignatureMismatch),
        ("publicKey", &other, Reason::SignatureMismatch),
        ("publicKey", &small, Reason::AccountInvalid),
        ("publicKey", "ed25519:", Reason::SignatureMalformed),
        ("publicKey", &named(&key)[8..], Reason::SignatureMalformed),
        ("publicKey", &format!("{}1", named(&key)), Reason::SignatureMalformed),
        ("publicKey", &named(&key).replace("ed25519", "secp256k1"), Reason::SignatureMalformed),
        ("signature", "AA==", Reason::SignatureMalformed),
        ("callbackUrl", "https://evil.example", Reason::SignatureMalformed),
        ("callbackUrl", "https://app.example", Reason::SignatureMismatch),
    ] {
        assert_eq!(with(member, value), Err(reason), "{member} {value}");
    }
    assert_eq!(question(&text, &signature), Err(Reason::SignatureMalformed), "no key");
    let changed = text.replace("Sign in.", "Sign out.");
    assert_eq!(question(&changed, &right.to_string()), Err(Reason::SignatureMismatch));
    // An account that is a key is proven by that key or not at all.
    let implicit = text_for(&account_id);
    assert_eq!(question(&implicit, &right.to_string()), Err(Reason::SignatureMismatch));
}
