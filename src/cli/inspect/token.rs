//! An access token, check by check as a resource server makes them (RFC 9068 §4), with both sides.

use countersign_sdk::key::{Algorithm, Thumbprint};
use countersign_sdk::resource::{
    ExpectedToken, IssuerKeys, MAX_TOKEN_BYTES, verify_access_token, verify_jws,
};
use countersign_sdk::time::Timestamp;
use serde_json::Value;

use super::jwt::Jwt;
use super::report::Report;
use crate::cli::output::moment_text;

/// Seconds that clocks may differ, as resource servers have it unless configured.
const LEEWAY: u64 = 5;

/// What the person told of the server that the token is for.
pub(super) struct Given<'a> {
    pub(super) issuer: Option<&'a str>,
    pub(super) resource: Option<&'a str>,
    pub(super) keys: Option<IssuerKeys>,
    pub(super) now: Timestamp,
}

pub(super) fn explain(text: &str, jwt: &Jwt, given: &Given<'_>, report: &mut Report) {
    report.judge(
        "size",
        jwt.bytes <= MAX_TOKEN_BYTES,
        format!("at most {MAX_TOKEN_BYTES} bytes"),
        format!("{} bytes", jwt.bytes),
    );
    let typ = jwt.header_text("typ").unwrap_or("nothing");
    let is_token = matches!(typ, "at+jwt" | "application/at+jwt");
    report.judge("typ", is_token, "at+jwt", typ);
    let alg = jwt.header_text("alg").unwrap_or("nothing");
    let supported = "EdDSA, Ed25519, ES256 or ES256K";
    report.judge("alg", jwt.algorithm().is_some(), supported, alg);
    explain_signature(text, jwt, given, report);
    let iss = jwt.text("iss").unwrap_or("nothing");
    match given.issuer {
        Some(issuer) => report.judge("iss", iss == issuer.trim_end_matches('/'), issuer, iss),
        None => report.shown("iss", iss, "give --issuer"),
    }
    explain_audience(jwt, given, report);
    explain_times(jwt, given.now, report);
    explain_binding(jwt, report);
    for name in ["sub", "account", "client_id", "scope", "jti", "sid"] {
        match (name, jwt.claim(name)) {
            (_, Some(Value::String(text))) => report.ok(name, text.as_str()),
            (_, Some(_)) => report.failed(name, "a text", "something else"),
            // RFC 9068 §2.2 requires these.
            ("sub" | "jti", None) => report.failed(name, "a text", "nothing"),
            ("client_id", None) => report.shown(name, "nothing", "RFC 9068 has one, APIs take it"),
            (_, None) => {}
        }
    }
    if report.failures() == 0 {
        explain_verdict(text, jwt, given, report);
    }
}

/// The check that a resource server makes, so that these explanations cannot drift away from it.
fn explain_verdict(text: &str, jwt: &Jwt, given: &Given<'_>, report: &mut Report) {
    let (Some(issuer), Some(audience), Some(keys)) = (given.issuer, given.resource, &given.keys)
    else {
        return;
    };
    let expected = ExpectedToken {
        issuer: issuer.trim_end_matches('/'),
        audience,
        algorithms: &Algorithm::ALL,
        now: given.now,
        leeway: LEEWAY,
    };
    match verify_access_token(text, keys, &expected) {
        Ok(_) if jwt.algorithm() == Some(Algorithm::Es256k) => {
            report.ok("verdict", "a resource server that allows ES256K (few do) takes this token");
        }
        Ok(_) => report.ok("verdict", "a resource server takes this token, with a proof"),
        Err(error) => report.failed("verdict", "a token that is taken", error.to_string()),
    }
}

fn explain_signature(text: &str, jwt: &Jwt, given: &Given<'_>, report: &mut Report) {
    let shown = format!("kid {}", jwt.header_text("kid").unwrap_or("missing"));
    let Some(keys) = &given.keys else {
        report.shown("signature", shown, "give --issuer to fetch its keys");
        return;
    };
    match verify_jws(text, keys, &Algorithm::ALL) {
        Ok(_) => report.ok("signature", format!("{shown}, by that key of the issuer")),
        Err(error) => {
            report.failed("signature", "by a key of the issuer", format!("{shown}: {error}"));
        }
    }
}

fn explain_audience(jwt: &Jwt, given: &Given<'_>, report: &mut Report) {
    let audiences: Vec<&str> = match jwt.claim("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => Vec::new(),
    };
    let received = match audiences.as_slice() {
        [] => "nothing".to_owned(),
        list => list.join(" "),
    };
    match given.resource {
        Some(resource) => {
            report.judge("aud", audiences.contains(&resource), resource, received);
        }
        None => report.shown("aud", received, "give --resource"),
    }
}

fn explain_times(jwt: &Jwt, now: Timestamp, report: &mut Report) {
    let at = |name| jwt.seconds(name).map(Timestamp::from_unix);
    match at("exp") {
        Some(exp) if exp.plus(LEEWAY) > now => {
            report.ok("exp", format!("{}, in {} s", moment_text(exp), exp.since(now)));
        }
        Some(exp) => {
            let received = format!("{}, {} s ago", moment_text(exp), now.since(exp));
            report.failed("exp", format!("after {}", moment_text(now)), received);
        }
        None => report.failed("exp", "whole seconds since 1970", "nothing of the kind"),
    }
    for name in ["nbf", "iat"] {
        match (at(name), jwt.claim(name)) {
            (Some(time), _) if time <= now.plus(LEEWAY) => report.ok(name, moment_text(time)),
            (Some(time), _) => {
                let received = format!("{}, {} s ahead", moment_text(time), time.since(now));
                report.failed(name, format!("not after {}", moment_text(now)), received);
            }
            (None, Some(_)) => report.failed(name, "whole seconds since 1970", "something else"),
            (None, None) if name == "iat" => report.failed(name, "whole seconds", "nothing"),
            (None, None) => {}
        }
    }
}

fn explain_binding(jwt: &Jwt, report: &mut Report) {
    let jkt = jwt.claim("cnf").and_then(|cnf| cnf.get("jkt"));
    match jkt.and_then(Value::as_str) {
        Some(text) => {
            let fits = text.parse::<Thumbprint>().is_ok();
            report.judge("cnf.jkt", fits, "a key thumbprint (RFC 7638)", text);
        }
        None => report.failed("cnf.jkt", "the key that signs requests", "nothing"),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use countersign_sdk::entropy::OsEntropy;
    use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn claims() -> Value {
        json!({
            "iss": "https://auth.example", "aud": "https://api.example", "sub": "did:key:x",
            "client_id": "app.example", "jti": "1", "iat": NOW.as_unix(),
            "exp": NOW.plus(300).as_unix(),
            "cnf": {"jkt": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
        })
    }

    fn failed(claims: &Value, typ: &str, kid: &str) -> Vec<&'static str> {
        let signer = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
        let header = json!({"typ": typ, "alg": "EdDSA", "kid": kid}).to_string();
        let input = [header, claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
        let input = input.join(".");
        let signature = URL_SAFE_NO_PAD.encode(signer.sign_now(input.as_bytes()).unwrap());
        let mut jwk = serde_json::to_value(signer.public_key().to_jwk()).unwrap();
        jwk["kid"] = json!("k1");
        let keys = IssuerKeys::from_json(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
        let given = Given {
            issuer: Some("https://auth.example"),
            resource: Some("https://api.example"),
            keys: Some(keys),
            now: NOW,
        };
        let mut report = Report::default();
        let text = format!("{input}.{signature}");
        explain(&text, &Jwt::parse(&text).unwrap(), &given, &mut report);
        report.failed_names()
    }

    #[test]
    fn a_number_beyond_the_calendar_is_no_panic() {
        for far in [1_000_000_000_000_000_u64, u64::MAX] {
            let mut claims = claims();
            claims["exp"] = json!(far);
            assert!(failed(&claims, "at+jwt", "k1").iter().all(|name| *name == "verdict"));
            claims["iat"] = json!(far);
            assert!(failed(&claims, "at+jwt", "k1").contains(&"iat"));
        }
    }

    #[test]
    fn each_check_fails_alone() {
        assert!(failed(&claims(), "at+jwt", "k1").is_empty());
        assert_eq!(failed(&claims(), "JWT", "k1"), ["typ"]);
        assert_eq!(failed(&claims(), "at+jwt", "k2"), ["signature"]);
        for (name, value) in [
            ("iss", json!("https://evil.example")),
            ("aud", json!(["https://other.example"])),
            ("exp", json!(NOW.minus(5).as_unix())),
            ("exp", json!("later")),
            ("nbf", json!(NOW.plus(10).as_unix())),
            ("iat", json!(NOW.plus(10).as_unix())),
            ("jti", json!(1)),
            ("sub", Value::Null),
        ] {
            let mut claims = claims();
            claims[name] = value;
            assert_eq!(failed(&claims, "at+jwt", "k1"), [name]);
        }
        let mut unbound = claims();
        unbound["cnf"] = json!({});
        assert_eq!(failed(&unbound, "at+jwt", "k1"), ["cnf.jkt"]);
    }
}
