//! Keys and bare signatures: `did:key`, thumbprints, Ed25519 with and without published verdicts.
//!
//! Specs: the did:key method, RFC 7638, RFC 8032, protocol.md §1 and §10.

use countersign_sdk::account::Account;
use countersign_sdk::key::{Curve, InMemorySigner, PublicKey};
use serde_json::{Map, Value, json};

use super::case::{Case, Verdict, Why, bytes, said, text};

/// The flags of a signature that a strict verifier still takes: components of small order that
/// change nothing in the plain equation.
const HARMLESS: [&str; 2] = ["low_order_component_A", "low_order_component_R"];

/// Judges `did` cases: decoding to `public_key_hex`, or a signature by the key.
pub(super) fn judge_dids(cases: &[Value]) -> Vec<Case> {
    let judged = cases.iter().enumerate().map(|(place, case)| {
        let got = match text(case, "check") {
            Some("verify") => verify_by_did(case).into(),
            _ => decode_did(case).into(),
        };
        Case::of(case, place, got)
    });
    judged.collect()
}

/// The key of a `did:key` that can be an account: the server's own reading of accounts.
fn account_key(did: &str) -> Result<PublicKey, Why> {
    let account: Account = did.parse().map_err(said)?;
    match account {
        Account::Key(key) => Ok(key.key().clone()),
        Account::Chain(_) => Err("not_a_did_key".into()),
    }
}

fn decode_did(case: &Value) -> Result<(), Why> {
    let key = account_key(text(case, "did").unwrap_or_default())?;
    let Some(expected) = bytes(case, "public_key_hex") else {
        return Ok(());
    };
    if is_key(&key, &expected) { Ok(()) } else { Err("another_key".into()) }
}

/// Whether bytes, of SEC 1 or Ed25519, are this key.
fn is_key(key: &PublicKey, bytes: &[u8]) -> bool {
    let other = match key.curve() {
        Curve::Ed25519 => PublicKey::from_ed25519_bytes(bytes),
        curve @ (Curve::P256 | Curve::Secp256k1) => PublicKey::from_sec1(curve, bytes),
    };
    other.is_ok_and(|other| other == *key)
}

fn verify_by_did(case: &Value) -> Result<(), Why> {
    let key = account_key(text(case, "did").unwrap_or_default())?;
    let message = match text(case, "message_utf8") {
        Some(text) => text.as_bytes().to_vec(),
        None => bytes(case, "message_hex").ok_or("message_missing")?,
    };
    let signature = bytes(case, "signature_hex").ok_or("signature_malformed")?;
    key.verify_wallet(&message, &signature).map_err(said)
}

/// Judges a map from `did:key` to key pair or document; `None` when it is none.
pub(super) fn judge_did_documents(document: &Value) -> Option<Vec<Case>> {
    let map = document.as_object()?;
    let map = match map.get("didDocument").and_then(Value::as_object) {
        Some(inner) if map.len() == 1 => inner,
        _ => map,
    };
    if map.is_empty() || !map.keys().all(|did| did.starts_with("did:key:")) {
        return None;
    }
    let judged = map.iter().map(|(did, pair)| {
        let method = ["verificationKeyPair", "verificationMethod"]
            .iter()
            .find_map(|member| pair.get(member))
            .and_then(|method| method.as_array().map_or(Some(method), |list| list.first()));
        let expected = method.and_then(declared_key);
        let got = account_key(did).and_then(|key| match &expected {
            Some(expected) if *expected != key => Err(Why::from("another_key")),
            Some(_) | None => Ok(()),
        });
        Case { id: did.clone(), accept: expected.is_some(), got: got.into() }
    });
    Some(judged.collect())
}

/// The key that a verification method states, when it is of a curve that can be an account.
fn declared_key(method: &Value) -> Option<PublicKey> {
    let key = match method.get("publicKeyJwk") {
        Some(jwk) => PublicKey::from_jwk_json(jwk.to_string().as_bytes()).ok()?,
        None => {
            let bytes = bs58::decode(text(method, "publicKeyBase58")?).into_vec().ok()?;
            match text(method, "type")? {
                "Ed25519VerificationKey2018" | "Ed25519VerificationKey2020" => {
                    PublicKey::from_ed25519_bytes(&bytes).ok()?
                }
                "EcdsaSecp256k1VerificationKey2019" => {
                    PublicKey::from_sec1(Curve::Secp256k1, &bytes).ok()?
                }
                _ => return None,
            }
        }
    };
    (key.curve() != Curve::P256).then_some(key)
}

/// Judges `jwk` and `sha256`. Of a private key the public members are taken, for ours refuses to
/// read the others.
pub(super) fn judge_thumbprints(cases: &[Value]) -> Vec<Case> {
    let judged = cases.iter().enumerate().map(|(place, case)| {
        let jwk = case.get("jwk").and_then(Value::as_object);
        let refused = text(case, "expect") == Some("reject");
        let got = match jwk.filter(|jwk| refused || is_ours(jwk)) {
            Some(jwk) => thumbprint(jwk, text(case, "sha256").unwrap_or_default()).into(),
            None => Verdict::Skip,
        };
        Case::of(case, place, got)
    });
    judged.collect()
}

fn is_ours(jwk: &Map<String, Value>) -> bool {
    let curve = jwk.get("crv").and_then(Value::as_str);
    matches!(curve, Some("Ed25519" | "P-256" | "secp256k1"))
}

fn thumbprint(jwk: &Map<String, Value>, expected: &str) -> Result<(), Why> {
    let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let public: Map<String, Value> = jwk
        .iter()
        .filter(|(name, _)| !private.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let key = PublicKey::from_jwk_json(json!(public).to_string().as_bytes()).map_err(said)?;
    if key.thumbprint().to_string() == expected { Ok(()) } else { Err("another_thumbprint".into()) }
}

/// Judges Ed25519 cases of RFC 8032: the signature, and that signing gives the very same one.
pub(super) fn judge_ed25519(cases: &[Value]) -> Vec<Case> {
    let judged = cases
        .iter()
        .enumerate()
        .map(|(place, case)| Case::of(case, place, sign_and_verify(case).into()));
    judged.collect()
}

fn sign_and_verify(case: &Value) -> Result<(), Why> {
    let part = |member| bytes(case, member).ok_or(Why::from("not_hex"));
    let (message, signature) = (part("message")?, part("signature")?);
    let key = PublicKey::from_ed25519_bytes(&part("public_key")?).map_err(said)?;
    key.verify_wallet(&message, &signature).map_err(said)?;
    let secret: [u8; 32] = part("secret_key")?.try_into().map_err(|_| "not_hex")?;
    let signer = InMemorySigner::from_bytes(Curve::Ed25519, &secret).map_err(said)?;
    let made = signer.sign_now(&message).map_err(said)?;
    if made == signature { Ok(()) } else { Err("signed_otherwise".into()) }
}

/// Judges a list of Ed25519 signatures that carry `flags` in place of verdicts.
pub(super) fn judge_flagged(list: &[Value]) -> Option<Vec<Case>> {
    let first = list.first()?;
    let known = ["number", "key", "sig", "msg"].iter().all(|member| first.get(member).is_some());
    if !known {
        return None;
    }
    let judged = list.iter().enumerate().map(|(place, case)| {
        let flags = case.get("flags").and_then(Value::as_array);
        let harmless = |flag: &Value| flag.as_str().is_some_and(|flag| HARMLESS.contains(&flag));
        Case {
            id: case.get("number").map_or_else(|| place.to_string(), Value::to_string),
            accept: flags.is_none_or(|flags| flags.iter().all(harmless)),
            got: verify_ed25519(case).into(),
        }
    });
    Some(judged.collect())
}

fn verify_ed25519(case: &Value) -> Result<(), Why> {
    let key = bytes(case, "key").ok_or("not_hex")?;
    let signature = bytes(case, "sig").ok_or("not_hex")?;
    let key = PublicKey::from_ed25519_bytes(&key).map_err(said)?;
    let message = text(case, "msg").unwrap_or_default();
    key.verify_wallet(message.as_bytes(), &signature).map_err(said)
}
