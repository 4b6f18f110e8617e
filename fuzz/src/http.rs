//! The server's public routes without a socket: any request gets an answer, and never a 5xx.
//!
//! Every answer that refuses has the one shape of errors and may not be kept.

use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::app::{App, Surroundings};
use countersign::config::{self, Flags};
use countersign_sdk::client::challenge::{self, Expected};
use countersign_sdk::key::Signer as _;
use countersign_sdk::time::ManualClock;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use crate::cut::Cut;
use crate::material::{Counter, now, signer};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

struct Server {
    runtime: Runtime,
    /// A development server and a configured one.
    routes: [Router; 2],
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let development = Flags::default();
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        let caller = signer(0).public_key().to_did_key().expect("a did:key");
        file.write_all(CONFIG.replace("CALLER", &caller).as_bytes()).expect("written");
        let configured = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
        let routes = [development, configured].map(|flags| {
            let flags = Flags {
                listen: Some("127.0.0.1:0".to_owned()),
                operations_listen: Some("off".to_owned()),
                ..flags
            };
            let settings = config::load(&flags, &[]).expect("right settings");
            let surroundings = Surroundings {
                clock: Arc::new(ManualClock::new(now())),
                entropy: Arc::new(Counter::default()),
            };
            let app = runtime.block_on(App::bind(settings, surroundings));
            app.expect("a server").routes()
        });
        Server { runtime, routes }
    })
}

const CONFIG: &str = r#"
issuer = "https://auth.example/tenant"
domains = ["app.example"]
[store]
engine = "memory"
[limits]
requests_per_minute = "off"
[[resources]]
uri = "https://escrow.example"
introspection_keys = ["CALLER"]
introspection_secret = "sha256:BL5vlehe_vql45tIwFGkwjri7FB_Yq3B_bw9sB4JGcM"
scopes = ["escrow:read", "escrow:release"]
default_scopes = ["escrow:read"]
[[resources]]
uri = "https://open.example"
scopes = ["read"]
binding = "optional"
"#;

/// `POST /challenge` with any body; the text that comes out is one that the library reads.
pub fn challenge_json(data: &[u8]) {
    challenge_status(data);
}

fn challenge_status(data: &[u8]) -> StatusCode {
    let mut cut = Cut(data);
    let choice = usize::from(cut.byte());
    let path = ["/challenge", "/tenant/challenge"][choice % 2];
    let body = cut.0.to_vec();
    let request = post(path, JSON, &[], body.clone());
    let (status, _, answer) = send(choice, request);
    if status != StatusCode::OK {
        return status;
    }
    let asked: Value = serde_json::from_slice(&body).expect("an accepted body is JSON");
    assert!(asked.is_object(), "an accepted body is a JSON object");
    let text = answer["message"].as_str().expect("a message");
    let name = answer["format"].as_str().expect("a format");
    let format = countersign::wallet::registry::by_name(name).expect("a known format");
    let message = format.read(text).expect("a readable message");
    assert_eq!(message.fields().nonce, answer["nonce"].as_str());
    let account = format.accounts().account_of(&message).expect("an account");
    let wanted: countersign_sdk::account::Account =
        asked["account"].as_str().expect("an account").parse().expect("CAIP-10");
    assert_eq!(format.accounts().canonical_account(&wanted), Ok(account));
    let session_key = asked["dpop_jkt"].as_str().map(|jkt| jkt.parse().expect("a thumbprint"));
    // Our own client would sign what our own server wrote, had it asked for the same.
    let expected = Expected {
        domain: message.fields().domain,
        issuer: message.fields().uri.expect("the issuer"),
        account: &wanted,
        session_key,
        resource: asked["resource"].as_str(),
        scope: asked["scope"].as_str(),
        nonce: answer["nonce"].as_str().expect("a nonce"),
        now: now(),
    };
    if message.resources().iter().any(|uri| uri.starts_with("urn:recap:")) {
        assert_eq!(challenge::check(text, &expected), Ok(()), "{text}");
    }
    status
}

/// `POST /token` with any form and any proof: `proof 00 body`.
pub fn token(data: &[u8]) {
    token_status(data);
}

fn token_status(data: &[u8]) -> StatusCode {
    let mut cut = Cut(data);
    let choice = usize::from(cut.byte());
    let path = ["/token", "/tenant/token"][choice % 2];
    let proof = cut.part();
    let headers: &[(&str, &[u8])] = &[("dpop", proof)];
    let headers = if proof.is_empty() { &[] } else { headers };
    let (status, _, answer) = send(choice, post(path, FORM, headers, cut.0.to_vec()));
    if status == StatusCode::OK {
        assert!(answer["access_token"].is_string());
    }
    status
}

/// `POST /introspect` with any form and any credentials: `Authorization 00 body`, the credentials a
/// user and a secret where the second bit of the first byte is set.
pub fn introspect(data: &[u8]) {
    introspect_status(data);
}

fn introspect_status(data: &[u8]) -> (StatusCode, Value) {
    let mut cut = Cut(data);
    let choice = usize::from(cut.byte());
    let path = ["/introspect", "/tenant/introspect"][choice % 2];
    let field = cut.part();
    let basic = format!("Basic {}", STANDARD.encode(field));
    let field = if choice & 2 == 0 { field } else { basic.as_bytes() };
    let headers: &[(&str, &[u8])] = &[("authorization", field)];
    let headers = if field.is_empty() { &[] } else { headers };
    let (status, headers, answer) = send(choice, post(path, FORM, headers, cut.0.to_vec()));
    // No token of these servers can be in the input: nobody has signed in.
    match status {
        StatusCode::OK => assert_eq!(answer, serde_json::json!({ "active": false })),
        StatusCode::UNAUTHORIZED => assert!(headers.contains_key("www-authenticate")),
        _ => {}
    }
    (status, answer)
}

/// Any request: `choice, method 00 path 00 headers 00 body`, a header on each line. A request that
/// names no host gets the server's own.
pub fn router(data: &[u8]) {
    let mut cut = Cut(data);
    let choice = usize::from(cut.byte());
    let (method, path, headers) = (cut.part(), cut.part(), cut.part());
    let (Ok(method), Ok(uri)) = (Method::from_bytes(method), Uri::try_from(path)) else {
        return;
    };
    let mut request = Request::new(Body::from(cut.0.to_vec()));
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri;
    for line in headers.split(|byte| *byte == b'\n') {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(halves.next().unwrap_or_default());
        let value = halves.next().unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            request.headers_mut().append(name, value);
        }
    }
    let (status, headers, _) = send_as(choice, request, method == Method::HEAD);
    assert_ne!(status, StatusCode::SWITCHING_PROTOCOLS);
    if headers.contains_key("access-control-allow-origin") {
        assert_ne!(headers["access-control-allow-origin"], "*");
    }
}

fn post(path: &str, media_type: &str, headers: &[(&str, &[u8])], body: Vec<u8>) -> Request<Body> {
    let mut request = Request::post(path).header("content-type", media_type);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            request = request.header(*name, value);
        }
    }
    request.body(Body::from(body)).expect("a request")
}

type Answer = (StatusCode, axum::http::HeaderMap, Value);

fn send(choice: usize, request: Request<Body>) -> Answer {
    send_as(choice, request, false)
}

fn send_as(choice: usize, mut request: Request<Body>, bodiless: bool) -> Answer {
    let server = server();
    let host = HeaderValue::from_static(["localhost", "auth.example"][choice % 2]);
    request.headers_mut().entry("host").or_insert(host);
    let preflight = request.method() == Method::OPTIONS;
    let (parts, body) = server.runtime.block_on(async {
        let routes = server.routes[choice % 2].clone();
        let response: Response<Body> = routes.oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        (parts, body.collect().await.expect("a body in memory").to_bytes())
    });
    let status = parts.status;
    assert!(!status.is_server_error(), "{status}: {}", String::from_utf8_lossy(&body));
    let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if status.is_client_error() && !bodiless && !preflight {
        for member in ["error", "error_description", "reason"] {
            assert!(answer[member].is_string(), "{status} without {member}");
        }
        assert_eq!(parts.headers["cache-control"], "no-store");
    }
    (status, parts.headers, answer)
}
#[cfg(test)]
mod tests {
    use super::*;

    fn seed(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/seeds/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    /// Otherwise the fuzzer would begin with requests that all end at the same early check.
    #[test]
    fn seeds_reach_the_end_of_their_endpoint() {
        for name in ["challenge_json/body-0", "challenge_json/body-1"] {
            assert_eq!(challenge_status(&seed(name)), StatusCode::OK, "{name}");
        }
        assert_eq!(token_status(&seed("token_form/assertion")), StatusCode::OK);
        // The same assertion again, which is used up.
        let again = token_status(&seed("token_form/assertion-unbound"));
        assert_eq!(again, StatusCode::BAD_REQUEST);
        for name in ["introspect_form/assertion", "introspect_form/secret"] {
            assert_eq!(introspect_status(&seed(name)).0, StatusCode::OK, "{name}");
        }
    }
}
