//! The groups of Wycheproof in their own layout: Ed25519, ECDSA on our curves, JSON Web Signature.
//!
//! `acceptable` there means that either answer can be defended; both count. DER is no encoding of
//! this project's signatures, so it is taken apart here, strictly, and the numbers are judged.
//!
//! Specs: C2SP Wycheproof `testvectors_v1`, SEC 1, X.690 (DER), protocol.md §10.

use countersign_sdk::key::{Algorithm, Curve, PublicKey, ecdsa_from_der};
use serde_json::Value;

use super::case::{Case, Verdict, Why, bytes, said, text};
use super::jose::check_jws;

/// Judges `testGroups`; `None` when none of them is of a kind that we have.
pub(super) fn judge(groups: &[Value]) -> Option<Vec<Case>> {
    let known = [
        "EddsaVerify",
        "EcdsaVerify",
        "EcdsaP1363Verify",
        "EcdsaBitcoinVerify",
        "JsonWebSignature",
        "JsonWebKey",
        "JsonWebCrypto",
    ];
    let is_known = |group: &Value| text(group, "type").is_some_and(|kind| known.contains(&kind));
    if !groups.iter().any(is_known) {
        return None;
    }
    Some(groups.iter().flat_map(judge_group).collect())
}

fn judge_group(group: &Value) -> Vec<Case> {
    let tests = group.get("tests").and_then(Value::as_array);
    let judged = tests.into_iter().flatten().map(|test| {
        let got = judge_test(group, test);
        let result = text(test, "result");
        Case {
            id: test.get("tcId").map(Value::to_string).unwrap_or_default(),
            accept: match result {
                Some("acceptable") => got == Verdict::Accept,
                _ => result == Some("valid"),
            },
            got,
        }
    });
    judged.collect()
}

fn judge_test(group: &Value, test: &Value) -> Verdict {
    match text(group, "type").unwrap_or_default() {
        "EddsaVerify" => match key_hex(group, "pk").filter(|key| key.len() == 32) {
            // Ed448 has other lengths.
            Some(key) => verify_ed25519(&key, test).into(),
            None => Verdict::Skip,
        },
        kind @ ("EcdsaVerify" | "EcdsaP1363Verify" | "EcdsaBitcoinVerify") => {
            match (ecdsa_curve(group), text(group, "sha")) {
                (Some(curve), Some("SHA-256")) => verify_ecdsa(kind, curve, group, test).into(),
                _ => Verdict::Skip,
            }
        }
        "JsonWebSignature" | "JsonWebKey" | "JsonWebCrypto" => {
            let key = group.get("public").or_else(|| group.get("private"));
            match text(test, "jws") {
                Some(jws) if key.is_some_and(has_curve) => check_jws(jws, key).into(),
                // RSA, MACs and encryption: not of this project.
                Some(_) | None => Verdict::Skip,
            }
        }
        _ => Verdict::Skip,
    }
}

/// Whether a JWK, or one of a set, has a curve, and none that we know not to be ours.
fn has_curve(key: &Value) -> bool {
    let ours = |key: &Value| {
        text(key, "crv").is_some_and(|curve| !matches!(curve, "P-384" | "P-521" | "Ed448"))
    };
    match key.get("keys").and_then(Value::as_array) {
        Some(keys) => keys.iter().any(ours),
        None => ours(key),
    }
}

/// A hex member of the group's key, under the name that either version of the layout gives it.
fn key_hex(group: &Value, member: &str) -> Option<Vec<u8>> {
    let key = group.get("publicKey").or_else(|| group.get("key"))?;
    bytes(key, member)
}

fn ecdsa_curve(group: &Value) -> Option<Curve> {
    let key = group.get("publicKey").or_else(|| group.get("key"))?;
    match text(key, "curve")? {
        "secp256k1" => Some(Curve::Secp256k1),
        "secp256r1" | "P-256" => Some(Curve::P256),
        _ => None,
    }
}

fn verify_ed25519(key: &[u8], test: &Value) -> Result<(), Why> {
    let key = PublicKey::from_ed25519_bytes(key).map_err(said)?;
    let message = bytes(test, "msg").ok_or("not_hex")?;
    let signature = bytes(test, "sig").ok_or("not_hex")?;
    key.verify_wallet(&message, &signature).map_err(said)
}

fn verify_ecdsa(kind: &str, curve: Curve, group: &Value, test: &Value) -> Result<(), Why> {
    let key = key_hex(group, "uncompressed").ok_or("key_missing")?;
    let key = PublicKey::from_sec1(curve, &key).map_err(said)?;
    let message = bytes(test, "msg").ok_or("not_hex")?;
    let received = bytes(test, "sig").ok_or("not_hex")?;
    let signature = match kind {
        "EcdsaP1363Verify" => received,
        _ => ecdsa_from_der(&received).ok_or("signature_malformed")?.to_vec(),
    };
    if kind == "EcdsaBitcoinVerify" {
        return key.verify_wallet(&message, &signature).map_err(said);
    }
    let algorithm = match curve {
        Curve::Secp256k1 => Algorithm::Es256k,
        Curve::P256 => Algorithm::Es256,
        Curve::Ed25519 => Algorithm::EdDsa,
    };
    key.verify(algorithm, &message, &signature).map_err(said)
}
