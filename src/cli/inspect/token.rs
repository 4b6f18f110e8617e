//! An access token, check by check as a resource server makes them (RFC 9068 §4), with both sides.

use countersign_sdk::client::discovery::IssuerKey;
use countersign_sdk::key::Thumbprint;
use countersign_sdk::time::Timestamp;
use serde_json::Value;

use super::jwt::Jwt;
use super::report::Report;

/// The longest token that resource servers read, in bytes.
const MAX_TOKEN_BYTES: usize = 8192;

/// What the person told of the server that the token is for.
pub(super) struct Given<'a> {
    pub(super) issuer: Option<&'a str>,
    pub(super) resource: Option<&'a str>,
    pub(super) keys: Option<Vec<IssuerKey>>,
    pub(super) now: Timestamp,
}

pub(super) fn explain(jwt: &Jwt, given: &Given<'_>, report: &mut Report) {
    report.judge(
        "size",
        jwt.bytes <= MAX_TOKEN_BYTES,
        format!("at most {MAX_TOKEN_BYTES} bytes"),
        format!("{} bytes", jwt.bytes),
    );
    let typ = jwt.header_text("typ").unwrap_or("nothing");
    let is_token =
        typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt");
    report.judge("typ", is_token, "at+jwt", typ);
    let alg = jwt.header_text("alg").unwrap_or("nothing");
    let supported = "EdDSA, Ed25519, ES256 or ES256K";
    report.judge("alg", jwt.algorithm().is_some(), supported, alg);
    explain_signature(jwt, given, report);
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
            ("sub" | "client_id" | "jti", None) => report.failed(name, "a text", "nothing"),
            (_, None) => {}
        }
    }
}

fn explain_signature(jwt: &Jwt, given: &Given<'_>, report: &mut Report) {
    let kid = jwt.header_text("kid");
    let shown = format!("kid {}", kid.unwrap_or("missing"));
    let Some(keys) = &given.keys else {
        report.shown("signature", shown, "give --issuer to fetch its keys");
        return;
    };
    let named = |key: &&IssuerKey| kid.is_some() && key.kid.as_deref() == kid;
    match keys
        .iter()
        .find(named)
        .map(|key| jwt.is_signed_by(&key.key))
    {
        Some(Ok(())) => report.ok("signature", format!("{shown}, by that key of the issuer")),
        Some(Err(fault)) => report.failed("signature", "by the issuer's key", fault),
        None => {
            let known: Vec<_> = keys.iter().filter_map(|key| key.kid.as_deref()).collect();
            report.failed("signature", format!("one of {}", known.join(", ")), shown);
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
            report.judge("aud", audiences == [resource], resource, received);
        }
        None => report.shown("aud", received, "give --resource"),
    }
}

fn explain_times(jwt: &Jwt, now: Timestamp, report: &mut Report) {
    let at = |name| jwt.seconds(name).map(Timestamp::from_unix);
    match at("exp") {
        Some(exp) if exp > now => report.ok("exp", format!("{exp}, in {} s", exp.since(now))),
        Some(exp) => {
            let received = format!("{exp}, {} s ago", now.since(exp));
            report.failed("exp", format!("after {now}"), received);
        }
        None => report.failed("exp", "whole seconds since 1970", "nothing of the kind"),
    }
    for name in ["nbf", "iat"] {
        match (at(name), jwt.claim(name)) {
            (Some(time), _) if time <= now => report.ok(name, time.to_string()),
            (Some(time), _) => {
                let received = format!("{time}, {} s ahead", time.since(now));
                report.failed(name, format!("not after {now}"), received);
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
        let key = IssuerKey {
            kid: Some("k1".to_owned()),
            key: signer.public_key().clone(),
        };
        let given = Given {
            issuer: Some("https://auth.example"),
            resource: Some("https://api.example"),
            keys: Some(vec![key]),
            now: NOW,
        };
        let mut report = Report::default();
        explain(
            &Jwt::parse(&format!("{input}.{signature}")).unwrap(),
            &given,
            &mut report,
        );
        report.failed_names()
    }

    #[test]
    fn each_check_fails_alone() {
        assert!(failed(&claims(), "at+jwt", "k1").is_empty());
        assert_eq!(failed(&claims(), "JWT", "k1"), ["typ"]);
        assert_eq!(failed(&claims(), "at+jwt", "k2"), ["signature"]);
        for (name, value) in [
            ("iss", json!("https://evil.example")),
            (
                "aud",
                json!(["https://api.example", "https://other.example"]),
            ),
            ("exp", json!(NOW.as_unix())),
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
