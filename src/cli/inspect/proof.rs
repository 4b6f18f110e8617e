//! A DPoP proof, check by check as RFC 9449 §4.3 lists them, with both sides of each.

use countersign_sdk::key::PublicKey;
use countersign_sdk::proof::dpop::{
    self, AccessTokenHash, Expected, MAX_JTI_BYTES, MAX_PROOF_BYTES, NonceCheck, TokenBinding,
    Window,
};
use countersign_sdk::proof::target_uri::TargetUri;
use countersign_sdk::time::Timestamp;

use super::jwt::Jwt;
use super::report::Report;
use crate::cli::output::moment_text;

/// What the person told of the request that the proof came with.
pub(super) struct Given<'a> {
    pub(super) method: Option<&'a str>,
    pub(super) url: Option<&'a str>,
    pub(super) access_token: Option<String>,
    pub(super) now: Timestamp,
}

pub(super) fn explain(text: &str, jwt: &Jwt, given: &Given<'_>, report: &mut Report) {
    report.judge(
        "size",
        jwt.bytes <= MAX_PROOF_BYTES,
        format!("at most {MAX_PROOF_BYTES} bytes"),
        format!("{} bytes", jwt.bytes),
    );
    let typ = jwt.header_text("typ").unwrap_or("nothing");
    report.judge("typ", typ == "dpop+jwt", "dpop+jwt", typ);
    let alg = jwt.header_text("alg").unwrap_or("nothing");
    let supported = "EdDSA, Ed25519, ES256 or ES256K";
    report.judge("alg", jwt.algorithm().is_some(), supported, alg);
    let key = explain_key(jwt, report);
    explain_request(jwt, given, report);
    explain_time(jwt, given.now, report);
    if let Some(nonce) = jwt.text("nonce") {
        report.shown("nonce", nonce, "only the server that gave it can tell");
    }
    explain_token(jwt, key.as_ref(), given, report);
    if report.failures() == 0 {
        explain_verdict(text, jwt, given, report);
    }
}

fn explain_key(jwt: &Jwt, report: &mut Report) -> Option<PublicKey> {
    let Some(jwk) = jwt.header("jwk") else {
        report.failed("jwk", "a public key", "nothing");
        return None;
    };
    match PublicKey::from_jwk_json(jwk.to_string().as_bytes()) {
        Err(error) => {
            report.failed("jwk", "a public key", error.to_string());
            None
        }
        Ok(key) => {
            report.ok("jwk", format!("{} {}", key.curve().name(), key.thumbprint()));
            match jwt.is_signed_by(&key) {
                Ok(()) => report.ok("signature", "by the jwk in the header"),
                Err(fault) => report.failed("signature", "by the jwk in the header", fault),
            }
            Some(key)
        }
    }
}

fn explain_request(jwt: &Jwt, given: &Given<'_>, report: &mut Report) {
    let jti = jwt.text("jti").unwrap_or_default();
    let fits = (1..=MAX_JTI_BYTES).contains(&jti.len());
    report.judge("jti", fits, format!("1 to {MAX_JTI_BYTES} bytes"), jti);
    let htm = jwt.text("htm").unwrap_or("nothing");
    match given.method {
        Some(method) => report.judge("htm", htm == method, method, htm),
        None => report.shown("htm", htm, "give --method"),
    }
    let htu = jwt.text("htu").unwrap_or("nothing");
    match given.url.map(TargetUri::parse) {
        Some(Ok(target)) => {
            report.judge("htu", target.is_named_by(htu), target.as_str(), htu);
        }
        Some(Err(error)) => report.failed("htu", format!("--url: {error}"), htu),
        None => report.shown("htu", htu, "give --url"),
    }
}

fn explain_time(jwt: &Jwt, now: Timestamp, report: &mut Report) {
    let window = Window::default();
    let (first, last) = (now.minus(window.max_age), now.plus(window.max_future_skew));
    let expected = format!("from {} to {}", moment_text(first), moment_text(last));
    let Some(iat) = jwt.seconds("iat").map(Timestamp::from_unix) else {
        report.failed("iat", expected, "no whole seconds");
        return;
    };
    let fits = now.since(iat) <= window.max_age && iat.since(now) <= window.max_future_skew;
    let time = moment_text(iat);
    let received = match (now.since(iat), iat.since(now)) {
        (0, 0) => format!("{time}, now"),
        (0, ahead) => format!("{time}, {ahead} s ahead"),
        (ago, _) => format!("{time}, {ago} s ago"),
    };
    report.judge("iat", fits, expected, received);
}

fn explain_token(jwt: &Jwt, key: Option<&PublicKey>, given: &Given<'_>, report: &mut Report) {
    let ath = jwt.text("ath");
    let Some(token) = given.access_token.as_deref().map(str::trim) else {
        if let Some(ath) = ath {
            report.shown("ath", ath, "give --token");
        }
        return;
    };
    let expected = AccessTokenHash::of(token).to_string();
    report.judge("ath", ath == Some(&*expected), &*expected, ath.unwrap_or("nothing"));
    let Some(key) = key else { return };
    let received = key.thumbprint().to_string();
    match bound_to(token) {
        Some(jkt) => report.judge("key", jkt == received, format!("cnf.jkt {jkt}"), received),
        None => report.shown("key", received, "the token shows no cnf.jkt"),
    }
}

/// `cnf.jkt` of a token that is a JWT.
fn bound_to(token: &str) -> Option<String> {
    let token = Jwt::parse(token).ok()?;
    let jkt = token.claim("cnf")?.get("jkt")?.as_str()?;
    Some(jkt.to_owned())
}

/// Every nonce: only the server that gave one can tell.
struct AnyNonce;

impl NonceCheck for AnyNonce {
    fn required(&self, _made_at: Timestamp) -> bool {
        false
    }

    fn accepts(&self, _: &str, _: Timestamp) -> bool {
        true
    }
}

/// The check that a server makes, so that these explanations cannot drift away from it.
fn explain_verdict(text: &str, jwt: &Jwt, given: &Given<'_>, report: &mut Report) {
    let own_htu = jwt.text("htu").unwrap_or_default();
    let Ok(target_uri) = TargetUri::parse(given.url.unwrap_or(own_htu)) else {
        report.failed("htu", "an absolute http or https URI", own_htu);
        return;
    };
    let expected = Expected {
        method: given.method.or(jwt.text("htm")).unwrap_or_default(),
        target_uri: &target_uri,
        token: TokenBinding::NoToken,
        nonce: &AnyNonce,
        window: Window::default(),
        now: given.now,
    };
    match dpop::check(text, &expected) {
        Ok(_) if given.method.is_none() || given.url.is_none() => {
            report.shown("verdict", "a server may take this proof", "give --method and --url");
        }
        Ok(_) if given.access_token.is_some() => {
            report.ok("verdict", "a server takes this proof with its token, once");
        }
        Ok(_) if jwt.claim("ath").is_none() => {
            report.ok("verdict", "a token endpoint takes this proof, once; an API wants ath");
        }
        Ok(_) => report.shown("verdict", "a server may take this proof", "give --token"),
        Err(error) => report.failed("verdict", "a proof that a server takes", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use countersign_sdk::entropy::OsEntropy;
    use countersign_sdk::key::{Curve, InMemorySigner};
    use countersign_sdk::proof::dpop::NewProof;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    async fn proof() -> String {
        let signer = InMemorySigner::generate(Curve::P256, &OsEntropy).unwrap();
        let target_uri = TargetUri::parse("https://api.example/pay").unwrap();
        let new = NewProof {
            method: "POST",
            target_uri: &target_uri,
            access_token: Some("token"),
            nonce: None,
            now: NOW,
        };
        new.sign(&signer, &OsEntropy).await.unwrap()
    }

    fn failed(text: &str, given: &Given<'_>) -> Vec<&'static str> {
        let mut report = Report::default();
        explain(text, &Jwt::parse(text).unwrap(), given, &mut report);
        report.failed_names()
    }

    #[tokio::test]
    async fn each_check_fails_alone() {
        let text = proof().await;
        let good = || Given {
            method: Some("POST"),
            url: Some("https://API.example/pay?x"),
            access_token: Some("token\n".to_owned()),
            now: NOW,
        };
        assert!(failed(&text, &good()).is_empty());
        let cases = [
            (Given { method: Some("GET"), ..good() }, "htm"),
            (Given { url: Some("https://api.example/"), ..good() }, "htu"),
            (Given { access_token: Some("other".to_owned()), ..good() }, "ath"),
            (Given { now: NOW.plus(61), ..good() }, "iat"),
            (Given { now: NOW.minus(6), ..good() }, "iat"),
            (Given { now: Timestamp::from_unix(u64::MAX), ..good() }, "iat"),
        ];
        for (given, name) in cases {
            assert_eq!(failed(&text, &given), [name]);
        }
        let other = proof().await;
        let (input, _) = text.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        assert_eq!(failed(&format!("{input}.{signature}"), &good()), ["signature"]);
    }
}
