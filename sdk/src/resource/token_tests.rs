//! The checks of an access token, each failing alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::entropy::OsEntropy;
use crate::key::{Curve, InMemorySigner, Signer};
use crate::proof::jws;

const NOW: u64 = 1_000_000;
const ALGORITHMS: &[Algorithm] = &[Algorithm::EdDsa, Algorithm::Ed25519, Algorithm::Es256];
const JKT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

fn signer(curve: Curve) -> InMemorySigner {
    InMemorySigner::generate(curve, &OsEntropy).unwrap()
}

fn set_of(keys: &[(&str, &InMemorySigner)]) -> IssuerKeys {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(kid, signer)| {
            let mut jwk = serde_json::to_value(signer.public_key().to_jwk()).unwrap();
            jwk["kid"] = json!(kid);
            jwk
        })
        .collect();
    IssuerKeys::from_json(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn header() -> Value {
    json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "a" })
}

fn claims() -> Value {
    json!({
        "iss": "https://auth.example", "aud": "https://api.example", "sub": "did:key:z6Mk",
        "jti": "1", "iat": NOW, "nbf": NOW, "exp": NOW + 300, "scope": "read escrow:release",
        "client_id": "app.example", "cnf": { "jkt": JKT }, "sid": "s", "amr": ["pop"],
        "proven_key": { "jkt": JKT, "method": "siwe" }, "auth_time": NOW, "account": "eip155:1:0x0",
    })
}

fn sealed(signer: &InMemorySigner, header: &Value, claims: &Value) -> String {
    let input = jws::signing_input(header, claims).unwrap();
    let signature = signer.sign_now(input.as_bytes()).unwrap();
    jws::close(input, &signature)
}

fn judge(token: &str, keys: &IssuerKeys, now: u64) -> Result<VerifiedToken, TokenError> {
    let expected = ExpectedToken {
        issuer: "https://auth.example",
        audience: "https://api.example",
        algorithms: ALGORITHMS,
        now: Timestamp::from_unix(now),
        leeway: 0,
    };
    verify_access_token(token, keys, &expected)
}

/// What becomes of a token whose header and claims were changed before it was signed.
fn judge_changed(change: impl FnOnce(&mut Value, &mut Value)) -> Option<TokenError> {
    let signer = signer(Curve::Ed25519);
    let (mut header, mut claims) = (header(), claims());
    change(&mut header, &mut claims);
    let token = sealed(&signer, &header, &claims);
    judge(&token, &set_of(&[("a", &signer)]), NOW).err()
}

#[test]
fn reads_every_claim() {
    let signer = signer(Curve::Ed25519);
    let token = sealed(&signer, &header(), &claims());
    let verified = judge(&token, &set_of(&[("a", &signer)]), NOW).unwrap();
    let claims = verified.claims();
    assert_eq!(claims.sub(), "did:key:z6Mk");
    assert_eq!(claims.account(), Some("eip155:1:0x0"));
    assert_eq!(claims.client_id(), Some("app.example"));
    assert_eq!(
        (claims.jti(), claims.sid(), claims.amr()),
        ("1", Some("s"), &["pop".to_owned()][..])
    );
    assert_eq!(claims.scopes().collect::<Vec<_>>(), ["read", "escrow:release"]);
    assert!(claims.has_scope("read") && !claims.has_scope("escrow") && !claims.has_scope(""));
    assert_eq!(claims.cnf_jkt().unwrap().to_string(), JKT);
    let proven = claims.proven_key().unwrap();
    assert_eq!((proven.method(), proven.jkt()), ("siwe", Some(JKT.parse().unwrap())));
    assert_eq!(verified.key(), signer.public_key());
}

#[test]
fn the_header_chooses_nothing() {
    assert_eq!(judge_changed(|_, _| ()), None);
    for typ in ["JWT", "dpop+jwt", "AT+JWT", ""] {
        let changed = judge_changed(|header, _| header["typ"] = json!(typ));
        assert_eq!(changed, Some(TokenError::Type), "{typ}");
    }
    let long = judge_changed(|header, _| header["typ"] = json!("application/at+jwt"));
    assert_eq!(long, None);
    let refused = |name: &str, value: Value| judge_changed(|header, _| header[name] = value);
    for alg in ["none", "HS256", "RS256", "eddsa"] {
        assert_eq!(
            refused("alg", json!(alg)),
            Some(TokenError::Malformed(JwsError::Algorithm)),
            "{alg}"
        );
    }
    assert_eq!(
        refused("alg", json!("ES256K")),
        Some(TokenError::AlgorithmNotAllowed(Algorithm::Es256k))
    );
    assert_eq!(refused("alg", json!("ES256")), Some(TokenError::KeyUnfit));
    assert_eq!(refused("kid", json!("b")), Some(TokenError::UnknownKey));
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    assert_eq!(refused("jwk", jwk), Some(TokenError::KeyInHeader));
    for name in ["crit", "b64", "zip", "jku", "x5u"] {
        let got = refused(name, json!(["exp"]));
        assert!(matches!(got, Some(TokenError::Malformed(JwsError::Header(_)))));
    }
}

#[test]
fn each_claim_is_enforced_alone() {
    let refused = |name: &str, value: Value| judge_changed(|_, claims| claims[name] = value);
    assert_eq!(refused("iss", json!("https://auth.example/")), Some(TokenError::Issuer));
    assert_eq!(refused("aud", json!("https://other.example")), Some(TokenError::Audience));
    assert_eq!(refused("aud", json!([])), Some(TokenError::Audience));
    assert_eq!(refused("aud", json!(["x", "https://api.example"])), None, "RFC 9068 §4");
    assert_eq!(refused("exp", json!(NOW)), Some(TokenError::Expired(0)));
    assert_eq!(refused("nbf", json!(NOW + 1)), Some(TokenError::NotYetValid));
    assert_eq!(refused("iat", json!(NOW + 1)), Some(TokenError::IssuedInFuture(1)));
    for name in ["iss", "aud", "sub", "exp", "iat", "jti"] {
        let missing = judge_changed(|_, claims| {
            claims.as_object_mut().unwrap().remove(name);
        });
        assert_eq!(missing, Some(TokenError::Claims), "{name}");
    }
    // What is there has its type; a number in quotes is no time (jsonwebtoken's CVE-2026-25537).
    for (name, value) in [
        ("exp", json!("9999999999")),
        ("exp", json!(null)),
        ("exp", json!(-1)),
        ("nbf", json!("0")),
        ("nbf", json!(null)),
        ("scope", json!(["read"])),
        ("cnf", json!(null)),
        ("cnf", json!({ "jkt": "short" })),
        ("cnf", json!([JKT])),
        ("proven_key", json!([JKT, "siwe"])),
        ("amr", json!("pop")),
    ] {
        assert_eq!(refused(name, value.clone()), Some(TokenError::Claims), "{name}: {value}");
    }
    assert_eq!(refused("cnf", json!({ "x5t#S256": JKT })), Some(TokenError::Confirmation));
}

#[test]
fn a_claim_that_stands_twice_is_refused() {
    let signer = signer(Curve::Ed25519);
    let twice = claims().to_string().replace(r#""sub":"#, r#""sub":"did:key:zOther","sub":"#);
    let input = [header().to_string(), twice].map(|part| URL_SAFE_NO_PAD.encode(part));
    let input = input.join(".");
    let signature = signer.sign_now(input.as_bytes()).unwrap();
    let token = jws::close(input, &signature);
    assert_eq!(judge(&token, &set_of(&[("a", &signer)]), NOW).err(), Some(TokenError::Claims));
}

#[test]
fn only_the_named_key_of_the_issuer_signs() {
    let (ours, others, p256) =
        (signer(Curve::Ed25519), signer(Curve::Ed25519), signer(Curve::P256));
    let keys = set_of(&[("a", &ours), ("p", &p256)]);
    let foreign = sealed(&others, &header(), &claims());
    assert_eq!(judge(&foreign, &keys, NOW).err(), Some(TokenError::Signature));
    let es256 = sealed(&p256, &json!({ "typ": "at+jwt", "alg": "ES256", "kid": "p" }), &claims());
    assert!(judge(&es256, &keys, NOW).is_ok());
    let unnamed = sealed(&ours, &json!({ "typ": "at+jwt", "alg": "EdDSA" }), &claims());
    assert!(judge(&unnamed, &keys, NOW).is_ok());
    let two = set_of(&[("a", &ours), ("b", &others)]);
    assert_eq!(judge(&unnamed, &two, NOW).err(), Some(TokenError::KeyNotNamed));
}

#[test]
fn garbage_is_refused_by_size_and_shape() {
    let keys = set_of(&[("a", &signer(Curve::Ed25519))]);
    let long = "a".repeat(MAX_TOKEN_BYTES + 1);
    assert_eq!(
        judge(&long, &keys, NOW).err(),
        Some(TokenError::Malformed(JwsError::TooLong(MAX_TOKEN_BYTES)))
    );
    for text in ["", ".", "..", "a.b.c", "a.b.c.d", "e30.e30.", "\u{1f511}"] {
        assert!(judge(text, &keys, NOW).is_err(), "{text}");
    }
}

#[test]
fn leeway_moves_both_ends() {
    let signer = signer(Curve::Ed25519);
    let keys = set_of(&[("a", &signer)]);
    let token = sealed(&signer, &header(), &claims());
    let at = |now, leeway| {
        let expected = ExpectedToken {
            issuer: "https://auth.example",
            audience: "https://api.example",
            algorithms: ALGORITHMS,
            now: Timestamp::from_unix(now),
            leeway,
        };
        verify_access_token(&token, &keys, &expected).err()
    };
    assert_eq!(at(NOW + 299, 0), None);
    assert_eq!(at(NOW + 300, 0), Some(TokenError::Expired(0)));
    assert_eq!(at(NOW + 304, 5), None);
    assert_eq!(at(NOW + 305, 5), Some(TokenError::Expired(5)));
    assert_eq!(at(NOW - 5, 5), None);
    assert_eq!(at(NOW - 6, 5), Some(TokenError::NotYetValid));
}
