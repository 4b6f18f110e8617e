//! A protected API without a socket: any credentials get an answer, never a 500, and none that
//! are not right ones get through.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::routing::any;
use countersign_sdk::key::{Algorithm, Signer as _};
use countersign_sdk::proof::dpop::AccessTokenHash;
use countersign_sdk::resource::{FixedKeys, ResourceConfig};
use countersign_sdk::time::{Clock, ManualClock};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use crate::cut::Cut;
use crate::material::{Counter, ISSUER, NOW, RESOURCE, jws, now, signer};

struct Api {
    runtime: Runtime,
    routes: Router,
}

fn api() -> &'static Api {
    static API: OnceLock<Api> = OnceLock::new();
    API.get_or_init(|| {
        let key = signer(0);
        let mut jwk = serde_json::to_value(key.public_key().to_jwk()).expect("a JWK");
        jwk["kid"] = json!("0");
        let keys = FixedKeys::new(json!({ "keys": [jwk] }).to_string());
        // A proof of the time before a server began needs a nonce; this one began long ago.
        let clock = Arc::new(ManualClock::new(now().minus(3600)));
        let server = ResourceConfig::new(ISSUER, RESOURCE)
            .token_algorithms(&Algorithm::ALL)
            .key_source(Arc::new(keys))
            .without_revocations()
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .entropy(Arc::new(Counter::default()))
            .build()
            .expect("a right configuration");
        clock.set(now());
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let routes = Router::new().fallback(any(|| async { "in" })).layer(server.layer());
        Api { runtime, routes }
    })
}

/// An input is `choice, path 00 token 00 proof`, the two latter as `header 0A payload` to be signed
/// where the choice says so, else as they stand.
pub fn layer(data: &[u8]) {
    let mut cut = Cut(data);
    let choice = cut.byte();
    let path = cut.part();
    let token = credential(choice & 1 == 1, 0, cut.part());
    let proof = credential(choice & 2 == 2, 1, cut.part());
    let scheme = ["DPoP", "Bearer", "dpop ", ""][usize::from(choice >> 2) % 4];
    let authorization = [scheme.as_bytes(), b" ", &token].concat();
    let Ok(mut request) = Request::get(path).body(Body::empty()) else {
        return;
    };
    for (name, value) in [("authorization", &authorization), ("dpop", &proof)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request.headers_mut().append(name, value);
        }
    }
    let status = status(request);
    // 503 is right where one key has filled its share of the used proofs, as a long run does.
    assert!(!status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE, "{status}");
    if status == StatusCode::OK {
        assert!(choice & 3 == 3 && choice >> 2 & 1 == 0, "nobody signed that");
    }
}

fn status(request: Request<Body>) -> StatusCode {
    let api = api();
    api.runtime.block_on(async {
        let response = api.routes.clone().oneshot(request).await.expect("infallible");
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            assert!(response.headers().contains_key("www-authenticate"));
        }
        status
    })
}

/// What stands there, or its two lines signed: by the issuer's key 0, or by the client's key 1.
fn credential(signed: bool, key: usize, part: &[u8]) -> Vec<u8> {
    if !signed {
        return part.to_vec();
    }
    let mut lines = part.splitn(2, |byte| *byte == b'\n');
    let header = lines.next().unwrap_or_default();
    jws(signer(key), header, lines.next().unwrap_or_default()).into_bytes()
}

/// A request that is let in, for the seeds: its token and its proof, each `header 0A payload`.
pub fn right_request() -> Vec<u8> {
    let jkt = signer(1).public_key().thumbprint().to_string();
    let header = r#"{"typ":"at+jwt","alg":"EdDSA","kid":"0"}"#;
    let claims = json!({
        "iss": ISSUER, "sub": "did:key:z", "aud": RESOURCE, "jti": "one", "iat": NOW,
        "exp": NOW + 300, "client_id": "app.example", "cnf": { "jkt": jkt }, "scope": "escrow:read",
    });
    let token = format!("{header}\n{claims}");
    let whole = jws(signer(0), header.as_bytes(), claims.to_string().as_bytes());
    let jwk = serde_json::to_value(signer(1).public_key().to_jwk()).expect("a JWK");
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256K", "jwk": jwk });
    let claims = json!({
        "jti": "one", "htm": "GET", "htu": format!("{RESOURCE}/deals/1"), "iat": NOW,
        "ath": AccessTokenHash::of(&whole).to_string(),
    });
    format!("\x03/deals/1?x=y\0{token}\0{header}\n{claims}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise every input would end at the door.
    #[test]
    fn a_right_request_is_let_in_once() {
        let data = right_request();
        let mut cut = Cut(&data);
        cut.byte();
        let path = cut.part();
        let token = credential(true, 0, cut.part());
        let proof = credential(true, 1, cut.part());
        let request = || {
            Request::get(path)
                .header("authorization", [b"DPoP ", &token[..]].concat())
                .header("dpop", &proof[..])
                .body(Body::empty())
                .unwrap()
        };
        assert_eq!(status(request()), StatusCode::OK);
        assert_eq!(status(request()), StatusCode::UNAUTHORIZED);
    }
}
