//! Access tokens and the issuer's key set, as a resource server reads them.

use std::sync::OnceLock;

use countersign_sdk::key::{Algorithm, Signer as _};
use countersign_sdk::resource::{ExpectedToken, IssuerKeys, verify_access_token, verify_jws};

use crate::cut::Cut;
use crate::material::{ISSUER, NOW, RESOURCE, independently, jws, now, parts, signer};

fn keys() -> &'static IssuerKeys {
    static KEYS: OnceLock<IssuerKeys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let keys: Vec<_> = (0..3)
            .map(|number| {
                let key = signer(number);
                let mut jwk = serde_json::to_value(key.public_key().to_jwk()).expect("a JWK");
                jwk["kid"] = number.to_string().into();
                jwk
            })
            .collect();
        let document = serde_json::json!({ "keys": keys }).to_string();
        IssuerKeys::from_json(document.as_bytes()).expect("a key set")
    })
}

/// Access tokens; the first byte chooses as in [`crate::proofs`].
pub fn access_token(data: &[u8]) {
    let mut cut = Cut(data);
    let choice = cut.byte();
    let key = signer(usize::from(choice >> 4));
    let token = match choice & 3 {
        0 => String::from_utf8_lossy(cut.0).into_owned(),
        1 => {
            let header = format!(
                r#"{{"typ":"at+jwt","alg":"{}","kid":"{}"}}"#,
                key.algorithm().name(),
                usize::from(choice >> 4) % 3
            );
            let claims = serde_json::json!({
                "iss": ISSUER, "sub": "did:key:z", "aud": RESOURCE, "jti": "one", "iat": NOW,
                "exp": NOW + 60,
            });
            let right = jws(key, header.as_bytes(), claims.to_string().as_bytes());
            assert!(accepted(&right), "a right token");
            let mut bytes = right.into_bytes();
            let changed = cut.disturb(&mut bytes);
            assert!(!changed || !accepted(&String::from_utf8_lossy(&bytes)));
            return;
        }
        _ => {
            let header = cut.part();
            jws(key, header, cut.part())
        }
    };
    let by_jws = verify_jws(&token, keys(), &Algorithm::ALL);
    let Ok(verified) = verify_access_token(&token, keys(), &expected()) else {
        return;
    };
    assert!(by_jws.is_ok());
    let Some((header, claims)) = parts(&token) else {
        return;
    };
    assert!(header.is_object(), "a JOSE header is a JSON object");
    assert!(header["typ"] == "at+jwt" || header["typ"] == "application/at+jwt");
    assert!(header["jwk"].is_null() && header["crit"].is_null());
    assert!(claims.is_object(), "claims are a JSON object");
    assert_eq!(claims["iss"], ISSUER);
    let audience = &claims["aud"];
    let listed = audience.as_array().is_some_and(|all| all.iter().any(|one| one == RESOURCE));
    assert!(listed || audience == RESOURCE);
    let seconds = |name: &str| claims[name].as_u64().expect("seconds");
    assert!(seconds("exp") + 5 > NOW && seconds("iat") <= NOW + 5);
    assert!(claims["nbf"].is_null() || seconds("nbf") <= NOW + 5);
    let token = verified.claims();
    assert_eq!(Some(token.sub()), claims["sub"].as_str());
    assert_eq!(Some(token.jti()), claims["jti"].as_str());
    assert_eq!(token.scope(), claims["scope"].as_str().unwrap_or_default());
    let bound = token.cnf_jkt().map(|jkt| jkt.to_string());
    assert_eq!(bound.as_deref(), claims["cnf"]["jkt"].as_str());
    assert_eq!(bound.is_none(), claims["cnf"].is_null());
}

fn expected() -> ExpectedToken<'static> {
    ExpectedToken {
        issuer: ISSUER,
        audience: RESOURCE,
        algorithms: &Algorithm::ALL,
        now: now(),
        leeway: 5,
    }
}

fn accepted(token: &str) -> bool {
    verify_access_token(token, keys(), &expected()).is_ok()
}

/// Key sets: read or refused, and never one with a secret in it.
pub fn jwks(data: &[u8]) {
    let Ok(keys) = IssuerKeys::from_json(data) else {
        return;
    };
    let Some(set) = independently(data) else {
        return;
    };
    assert!(set.is_object(), "a key set is a JSON object");
    let listed = set["keys"].as_array().expect("keys are a list");
    assert!(!listed.is_empty());
    assert!(listed.iter().all(serde_json::Value::is_object), "a JWK is a JSON object");
    // Nothing verifies under keys that the fuzzer cannot know the secrets of, but it may not panic.
    for number in 0..3 {
        let key = signer(number);
        let header = format!(r#"{{"typ":"at+jwt","alg":"{}"}}"#, key.algorithm().name());
        let token = jws(key, header.as_bytes(), b"{}");
        let _ = verify_access_token(&token, &keys, &expected());
    }
}
