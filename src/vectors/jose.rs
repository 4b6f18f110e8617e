//! DPoP proofs, access tokens, and compact JWS by the keys that stand beside them.
//!
//! A case whose algorithm is none of ours is skipped where its file wants it accepted; where it is
//! to be refused, refusing it is as right for us as for anybody.
//!
//! Specs: RFC 9449, RFC 9068, RFC 7515, RFC 7797 (refused), protocol.md §10.

use countersign_sdk::key::{Algorithm, Thumbprint};
use countersign_sdk::proof::dpop::{self, AccessTokenHash, NonceCheck, TokenBinding, Window};
use countersign_sdk::proof::replay::ReplayKey;
use countersign_sdk::proof::target_uri::TargetUri;
use countersign_sdk::resource::{ExpectedToken, IssuerKeys, verify_access_token, verify_jws};
use countersign_sdk::time::Timestamp;
use serde_json::{Value, json};

use super::case::{Case, Verdict, Why, moment, said, text};

/// The key of RFC 8037 A.2, for texts that are to be refused before any key is looked for.
const SOME_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// The nonces of a case's server.
#[derive(Debug)]
struct CaseNonce<'a> {
    required: bool,
    nonce: Option<&'a str>,
}

impl NonceCheck for CaseNonce<'_> {
    fn required(&self, _made_at: Timestamp) -> bool {
        self.required
    }

    fn accepts(&self, nonce: &str, _now: Timestamp) -> bool {
        self.nonce.is_none_or(|ours| ours == nonce)
    }
}

/// Judges `proof` cases with their `request` and `server`.
pub(super) fn judge_proofs(cases: &[Value]) -> Vec<Case> {
    let judged = cases
        .iter()
        .enumerate()
        .map(|(place, case)| Case::of(case, place, check_proof(case).into()));
    judged.collect()
}

fn check_proof(case: &Value) -> Result<(), Why> {
    let none = Value::Null;
    let request = case.get("request").unwrap_or(&none);
    let server = case.get("server").unwrap_or(&none);
    let seconds = |member: &str| server.get(member).and_then(Value::as_u64);
    let usual = Window::default();
    let target = TargetUri::parse(text(request, "url").unwrap_or_default()).map_err(said)?;
    let nonce = CaseNonce {
        required: server.get("nonce_required").and_then(Value::as_bool) == Some(true),
        nonce: text(server, "nonce"),
    };
    let expected = dpop::Expected {
        method: text(request, "method").unwrap_or_default(),
        target_uri: &target,
        token: binding(case, request)?,
        nonce: &nonce,
        window: Window {
            max_age: seconds("max_age_seconds").unwrap_or(usual.max_age),
            max_future_skew: seconds("max_future_skew_seconds").unwrap_or(usual.max_future_skew),
        },
        now: moment(server, "now").unwrap_or_default(),
    };
    let proof = dpop::check(text(case, "proof").unwrap_or_default(), &expected).map_err(said)?;
    let curve = proof.key().curve();
    let takes = |algs: &Vec<Value>| {
        let names = algs.iter().filter_map(Value::as_str);
        names.filter_map(Algorithm::from_name).any(|algorithm| algorithm.curve() == curve)
    };
    if !server.get("algs").and_then(Value::as_array).is_none_or(takes) {
        return Err("alg_not_allowed".into());
    }
    let seen = server.get("seen_jti").and_then(Value::as_array).into_iter().flatten();
    let mut seen = seen.filter_map(Value::as_str);
    let replayed = |jti| ReplayKey::of_jti("dpop", &proof.thumbprint(), jti) == proof.replay_key();
    if seen.any(replayed) {
        return Err("proof_replayed".into());
    }
    match text(case, "jkt") {
        Some(jkt) if jkt != proof.thumbprint().to_string() => Err("another_thumbprint".into()),
        Some(_) | None => Ok(()),
    }
}

/// The token in the request; one that is bound to no key is refused, as our layer does.
fn binding(case: &Value, request: &Value) -> Result<TokenBinding, Why> {
    let Some(token) = text(request, "access_token") else {
        return Ok(TokenBinding::NoToken);
    };
    let jkt = text(case, "token_cnf_jkt").ok_or("token_not_bound")?;
    let jkt: Thumbprint = jkt.parse().map_err(said)?;
    Ok(TokenBinding::Bound { ath: AccessTokenHash::of(token), jkt })
}

/// Judges `token` cases against the `jwks` of their file.
pub(super) fn judge_tokens(document: &Value, cases: &[Value]) -> Vec<Case> {
    let keys = document.get("jwks").map(Value::to_string).unwrap_or_default();
    let keys = IssuerKeys::from_json(keys.as_bytes());
    let judged = cases.iter().enumerate().map(|(place, case)| {
        let token = text(case, "token").unwrap_or_default();
        let got = if wants_other_algorithm(case, token) {
            Verdict::Skip
        } else {
            let keys = keys.as_ref().map_err(said);
            keys.and_then(|keys| check_token(case, token, keys)).into()
        };
        Case::of(case, place, got)
    });
    judged.collect()
}

fn check_token(case: &Value, token: &str, keys: &IssuerKeys) -> Result<(), Why> {
    let none = Value::Null;
    let expected = case.get("expected").unwrap_or(&none);
    let algs = expected.get("algs").and_then(Value::as_array);
    let algorithms: Vec<Algorithm> = match algs {
        Some(algs) => {
            let names = algs.iter().filter_map(Value::as_str);
            names.filter_map(Algorithm::from_name).collect()
        }
        None => Algorithm::ALL.to_vec(),
    };
    let expected = ExpectedToken {
        issuer: text(expected, "iss").unwrap_or_default(),
        audience: text(expected, "aud").unwrap_or_default(),
        algorithms: &algorithms,
        now: moment(expected, "now").unwrap_or_default(),
        leeway: expected.get("leeway_seconds").and_then(Value::as_u64).unwrap_or(0),
    };
    verify_access_token(token, keys, &expected).map(drop).map_err(said)
}

/// Judges `compact` cases: a JWS and the key in the case, or the one that it names in `keys`.
pub(super) fn judge_compact(document: &Value, cases: &[Value]) -> Vec<Case> {
    let judged = cases.iter().enumerate().map(|(place, case)| {
        let jws = text(case, "compact").unwrap_or_default();
        let key = case.get("jwk").or_else(|| {
            let name = text(case, "public_key")?;
            document.get("keys")?.get(name.strip_suffix(".json").unwrap_or(name))
        });
        // Texts that ask for what RFC 7797 adds are to be refused by whoever does not do it.
        let asks_more = case.get("protected").is_some_and(|header| header.get("crit").is_some());
        let got = if asks_more {
            let any = json!({"kty": "OKP", "crv": "Ed25519", "x": SOME_KEY});
            check_jws(jws, Some(&any)).into()
        } else if wants_other_algorithm(case, jws) {
            Verdict::Skip
        } else {
            check_jws(jws, key).into()
        };
        let mut case = Case::of(case, place, got);
        case.accept &= !asks_more;
        case
    });
    judged.collect()
}

/// Verifies a JWS by the keys of a JWK, or of a set of them.
pub(super) fn check_jws(jws: &str, key: Option<&Value>) -> Result<(), Why> {
    let set = match key.filter(|key| !key.is_null()) {
        Some(set) if set.get("keys").is_some() => set.clone(),
        Some(key) => json!({ "keys": [key] }),
        None => json!({ "keys": [] }),
    };
    let keys = IssuerKeys::from_json(set.to_string().as_bytes()).map_err(said)?;
    verify_jws(jws, &keys, &Algorithm::ALL).map(drop).map_err(said)
}

/// Whether a case is to be accepted for an algorithm that we have not.
fn wants_other_algorithm(case: &Value, jws: &str) -> bool {
    text(case, "expect") != Some("reject") && algorithm_of(jws).is_none()
}

/// The algorithm that a JWS names, if it is one of ours.
fn algorithm_of(jws: &str) -> Option<Algorithm> {
    use base64::Engine as _;
    let header = jws.split('.').next()?;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    Algorithm::from_name(text(&header, "alg")?)
}
