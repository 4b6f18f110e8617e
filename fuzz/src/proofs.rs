//! DPoP proofs, assertions and nonces: what is accepted says what an independent reading expects.
//!
//! The first byte chooses: 0 judges the rest as it stands, 1 disturbs a right one, and all others
//! sign the two texts `header 00 payload` with a fixed key, so that mutations reach the checks
//! behind the signature.

use countersign_sdk::key::{Algorithm, Signer as _};
use countersign_sdk::proof::dpop::{self, AccessTokenHash, NonceCheck, TokenBinding, Window};
use countersign_sdk::proof::jwt_assertion;
use countersign_sdk::proof::nonce::{NonceError, NonceKind, NonceMint};
use countersign_sdk::proof::target_uri::TargetUri;
use countersign_sdk::time::Timestamp;
use serde_json::Value;
use std::sync::OnceLock;

use crate::cut::Cut;
use crate::material::{Counter, ISSUER, NOW, jws, now, parts, signer};

const TARGET: &str = "https://auth.example/token";
const TOKEN: &str = "an.access.token";
const PRIVATE: [&str; 8] = ["d", "k", "p", "q", "dp", "dq", "qi", "oth"];
const NEVER: [&str; 5] = ["crit", "b64", "zip", "jku", "x5u"];

/// Takes one nonce.
struct OneNonce(bool);

impl NonceCheck for OneNonce {
    fn required(&self, _made_at: Timestamp) -> bool {
        self.0
    }

    fn accepts(&self, nonce: &str, _: Timestamp) -> bool {
        nonce == "n"
    }
}

/// DPoP proofs.
pub fn dpop(data: &[u8]) {
    let mut cut = Cut(data);
    let choice = cut.byte();
    let key = signer(usize::from(choice >> 4));
    let bound = choice & 8 != 0;
    let nonce = choice & 4 != 0;
    let proof = match choice & 3 {
        0 => String::from_utf8_lossy(cut.0).into_owned(),
        1 => {
            let right = right_proof(key);
            assert!(checked(&right, false, false).is_some(), "a right proof");
            let mut bytes = right.into_bytes();
            let changed = cut.disturb(&mut bytes);
            let other = String::from_utf8_lossy(&bytes);
            assert!(!changed || checked(&other, false, false).is_none());
            return;
        }
        _ => {
            let header = cut.part();
            jws(key, header, cut.part())
        }
    };
    let Some(verified) = checked(&proof, bound, nonce) else {
        return;
    };
    let Some((header, claims)) = parts(&proof) else {
        return;
    };
    check_header(&header, "dpop+jwt");
    let jwk = &header["jwk"];
    assert!(jwk.is_object());
    assert!(PRIVATE.iter().all(|name| jwk[*name].is_null()));
    assert_eq!(Some(verified.key().curve().name()), jwk["crv"].as_str());
    assert!(claims.is_object(), "claims are a JSON object");
    assert_eq!(claims["htm"], "POST");
    let htu = claims["htu"].as_str().expect("htu");
    let target = TargetUri::parse(htu).expect("htu is a URI");
    assert_eq!(target.as_str(), TARGET);
    check_jti(&claims);
    let iat = claims["iat"].as_u64().expect("iat");
    assert!((NOW - 60..=NOW + 5).contains(&iat));
    assert!(claims["nonce"].as_str().map_or(!nonce, |nonce| nonce == "n"));
    assert_eq!(verified.thumbprint(), verified.key().thumbprint());
    assert_eq!(verified.retain_until().as_unix(), NOW + 65);
    if bound {
        assert_eq!(verified.thumbprint(), signer(0).public_key().thumbprint());
        assert_eq!(claims["ath"], AccessTokenHash::of(TOKEN).to_string());
    }
}

fn checked(proof: &str, bound: bool, nonce: bool) -> Option<dpop::VerifiedProof> {
    let target = TargetUri::parse(TARGET).expect("a URI");
    let token = if bound {
        TokenBinding::Bound {
            ath: AccessTokenHash::of(TOKEN),
            jkt: signer(0).public_key().thumbprint(),
        }
    } else {
        TokenBinding::NoToken
    };
    let expected = dpop::Expected {
        method: "POST",
        target_uri: &target,
        token,
        nonce: &OneNonce(nonce),
        window: Window::default(),
        now: now(),
    };
    let checked = dpop::check(proof, &expected);
    if let Err(error) = &checked {
        assert!(error.to_string().len() < 5000, "errors stay short");
    }
    checked.ok()
}

/// P-256 signatures are random, so one proof of each key is made once.
fn right_proof(key: &countersign_sdk::key::InMemorySigner) -> String {
    static PROOFS: OnceLock<Vec<String>> = OnceLock::new();
    let proofs = PROOFS.get_or_init(|| {
        (0..3)
            .map(|number| {
                let key = signer(number);
                let jwk = serde_json::to_value(key.public_key().to_jwk()).expect("a JWK");
                let header = serde_json::json!({
                    "typ": "dpop+jwt", "alg": key.algorithm().name(), "jwk": jwk,
                });
                let claims = serde_json::json!({
                    "jti": "one", "htm": "POST", "htu": TARGET, "iat": NOW,
                });
                let (header, claims) = (header.to_string(), claims.to_string());
                jws(key, header.as_bytes(), claims.as_bytes())
            })
            .collect()
    });
    let place = (0..3).find(|n| signer(*n).public_key() == key.public_key());
    proofs[place.expect("one of three")].clone()
}

fn check_header(header: &Value, typ: &str) {
    assert!(header.is_object(), "a JOSE header is a JSON object");
    assert!(header["typ"].is_null() && typ == "JWT" || header["typ"] == typ);
    let name = header["alg"].as_str().expect("alg");
    assert!(Algorithm::from_name(name).is_some());
    assert!(NEVER.iter().all(|name| header[*name].is_null()));
}

fn check_jti(claims: &Value) {
    let jti = claims["jti"].as_str().expect("jti");
    assert!((1..=512).contains(&jti.len()));
}

/// RFC 7523 assertions.
pub fn assertion(data: &[u8]) {
    let mut cut = Cut(data);
    let choice = cut.byte();
    let key = signer(usize::from(choice >> 4) % 2);
    let text = match choice & 3 {
        0 => String::from_utf8_lossy(cut.0).into_owned(),
        1 => {
            let did = key.public_key().to_did_key().expect("a provable curve");
            let claims = serde_json::json!({
                "iss": did, "sub": did, "aud": ISSUER, "jti": "one", "iat": NOW, "exp": NOW + 60,
            });
            let header = format!(r#"{{"alg":"{}"}}"#, key.algorithm().name());
            let right = jws(key, header.as_bytes(), claims.to_string().as_bytes());
            assert!(checked_assertion(&right).is_some(), "a right assertion");
            let mut bytes = right.into_bytes();
            let changed = cut.disturb(&mut bytes);
            let other = String::from_utf8_lossy(&bytes);
            assert!(!changed || checked_assertion(&other).is_none());
            return;
        }
        _ => {
            let header = cut.part();
            jws(key, header, cut.part())
        }
    };
    let Some(verified) = checked_assertion(&text) else {
        return;
    };
    let Some((header, claims)) = parts(&text) else {
        return;
    };
    check_header(&header, "JWT");
    assert!(claims.is_object(), "claims are a JSON object");
    let did = verified.key().to_did_key().expect("a provable curve");
    assert_eq!(claims["iss"], claims["sub"]);
    assert_eq!(verified.account().to_did(), did);
    assert_eq!(claims["iss"], did, "a did:key has one spelling");
    let audience = &claims["aud"];
    assert!(*audience == ISSUER || *audience == serde_json::json!([ISSUER]));
    check_jti(&claims);
    let seconds = |name: &str| claims[name].as_u64().expect("seconds");
    assert!(seconds("exp") - seconds("iat") <= 60);
    assert!(seconds("exp") + 5 >= NOW && seconds("iat") <= NOW + 5);
    assert!(claims["nbf"].is_null() || seconds("nbf") <= NOW + 5);
    assert_eq!(verified.scope(), claims["scope"].as_str());
    assert_eq!(verified.resource(), claims["resource"].as_str());
    assert!(verified.retain_until().as_unix() >= seconds("exp"));
}

fn checked_assertion(text: &str) -> Option<jwt_assertion::VerifiedAssertion> {
    let expected = jwt_assertion::Expected { issuer: ISSUER, skew: 5, now: now() };
    jwt_assertion::check(text, &expected).ok()
}

/// Nonces: foreign ones never open, and ours open for what they were made and nothing else.
pub fn nonce(data: &[u8]) {
    static MINT: OnceLock<NonceMint> = OnceLock::new();
    let mint = MINT.get_or_init(|| NonceMint::generate(&Counter::default()).expect("bytes"));
    let kinds = [NonceKind::Challenge, NonceKind::Bare, NonceKind::Dpop, NonceKind::CallBack];
    let text = String::from_utf8_lossy(data);
    let _ = NonceMint::claimed_kind(&text);
    for kind in kinds {
        assert!(mint.open(kind, &text, &[], now()).is_err(), "nobody minted it");
    }
    let mut cut = Cut(data);
    let choice = cut.byte();
    let kind = kinds[usize::from(choice) % 4];
    let (lifetime, later) = (u64::from(cut.byte()), u64::from(cut.byte()));
    let context = [cut.part(), cut.part()];
    let made = mint.mint(kind, now().plus(lifetime), &context, &Counter::default()).expect("bytes");
    assert_eq!(NonceMint::claimed_kind(&made), Some(kind));
    let opened = mint.open(kind, &made, &context, now().plus(later));
    if later <= lifetime {
        assert_eq!(opened.expect("ours").expires_at(), now().plus(lifetime));
    } else {
        assert_eq!(opened.err(), Some(NonceError::Expired));
    }
    for other in kinds.into_iter().filter(|other| *other != kind) {
        assert!(mint.open(other, &made, &context, now()).is_err());
    }
    // The parts of the context stay apart.
    let joined = [&context.concat()[..]];
    assert!(mint.open(kind, &made, &joined, now()).is_err());
    let mut bytes = made.into_bytes();
    if cut.disturb(&mut bytes) {
        let other = String::from_utf8_lossy(&bytes);
        assert!(mint.open(kind, &other, &context, now()).is_err());
    }
}
