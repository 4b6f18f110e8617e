//! `login`, `call` and `inspect` as processes, with servers that mean no good and readers that leave.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use countersign_sdk::key::Curve;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Server, jws, key};

/// A folder with a key in it, and a session for `api`, kept as `demo`.
pub(crate) struct Desk {
    pub(crate) folder: TempDir,
    pub(crate) sessions: PathBuf,
}

impl Desk {
    pub(crate) async fn signed_in(server: &Server, api: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sessions = folder.path().join("sessions");
        let desk = Self { folder, sessions };
        let key = desk.folder.path().join("agent.pem");
        let key = key.to_str().unwrap();
        assert!(run(&["keygen", "--out", key]).await.status.success());
        let login = ["login", "--issuer", &server.issuer, "--key", key, "--resource", api];
        let kept = ["--scope", "read", "--keep", "demo", "--sessions", desk.sessions()];
        let done = run(&[&login[..], &kept[..]].concat()).await;
        assert!(done.status.success(), "{done:?}");
        desk
    }

    pub(crate) fn sessions(&self) -> &str {
        self.sessions.to_str().unwrap()
    }

    pub(crate) async fn call(&self, more: &[&str]) -> Output {
        let call = ["call", "--session", "demo", "--sessions", self.sessions()];
        run(&[&call[..], more].concat()).await
    }
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) async fn run(args: &[&str]) -> Output {
    command(args).spawn().unwrap().wait_with_output().await.unwrap()
}

/// An API that answers every request by `answer`; gives its origin and the paths it was asked for.
pub(crate) async fn api(
    answer: impl Fn() -> (StatusCode, HeaderMap, Bytes) + Clone + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let log = Arc::clone(&asked);
    let routes = Router::new().fallback(move |uri: http::Uri| {
        log.lock().unwrap().push(uri.path().to_owned());
        std::future::ready(answer())
    });
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (origin, asked)
}

pub(crate) fn plain(status: u16, body: &'static str) -> (StatusCode, HeaderMap, Bytes) {
    (StatusCode::from_u16(status).unwrap(), HeaderMap::new(), Bytes::from_static(body.as_bytes()))
}

/// Makes the kept token stale, so that the next call renews it.
pub(crate) fn age(session: &Path) {
    let mut kept: Value = serde_json::from_slice(&std::fs::read(session).unwrap()).unwrap();
    (kept["issued_at"], kept["expires_at"]) = (json!(1), json!(1));
    std::fs::write(session, kept.to_string()).unwrap();
}

#[tokio::test]
async fn an_answer_is_printed_whatever_becomes_of_the_session_file() {
    let server = Server::with_system_clock().await;
    let sessions: Arc<Mutex<PathBuf>> = Arc::default();
    let doomed = Arc::clone(&sessions);
    let (origin, _) = api(move || {
        // A file where the folder was: nothing can be kept there any more.
        let folder = doomed.lock().unwrap().clone();
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::write(folder, "").unwrap();
        plain(200, r#"{"paid":true}"#)
    })
    .await;
    let desk = Desk::signed_in(&server, &origin).await;
    *sessions.lock().unwrap() = desk.sessions.clone();
    age(&desk.sessions.join("demo.json"));
    let done = desk.call(&["POST", &format!("{origin}/pay"), "-d", "{}"]).await;
    assert_eq!(done.stdout, br#"{"paid":true}"#);
    assert_eq!(done.status.code(), Some(0));
    // What was renewed was kept before the call; that it is gone by now is nobody's fault.
    assert_eq!(String::from_utf8(done.stderr).unwrap(), "");
}

#[tokio::test]
async fn a_refused_call_fails_though_nobody_reads_it() {
    let server = Server::with_system_clock().await;
    let body: &'static str = "x".repeat(1 << 20).leak();
    let (origin, _) = api(move || plain(500, body)).await;
    let desk = Desk::signed_in(&server, &origin).await;
    for json in [&["--json"][..], &[]] {
        let args = ["call", "--session", "demo", "--sessions", desk.sessions(), "GET", &origin];
        let mut child = command(&[&args[..], json].concat()).spawn().unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().await.unwrap();
        assert_eq!(done.status.code(), Some(22), "{done:?}");
        assert!(String::from_utf8(done.stderr).unwrap().contains("500"));
    }
}

#[tokio::test]
async fn a_token_goes_to_its_resource_unless_told_otherwise() {
    let server = Server::with_system_clock().await;
    let (ours, _) = api(|| plain(200, "ours")).await;
    let (theirs, asked) = api(|| plain(200, "theirs")).await;
    let desk = Desk::signed_in(&server, &ours).await;
    assert_eq!(desk.call(&["GET", &ours]).await.stdout, b"ours");
    let refused = desk.call(&["GET", &theirs]).await;
    assert_eq!((refused.status.code(), asked.lock().unwrap().len()), (Some(2), 0));
    let told = desk.call(&["--also-at", &theirs, "GET", &theirs]).await;
    assert_eq!((told.status.code(), told.stdout.as_slice()), (Some(0), &b"theirs"[..]));
}

#[tokio::test]
async fn a_servers_words_do_not_steer_the_terminal() {
    let server = Server::with_system_clock().await;
    let (origin, _) = api(|| {
        let (status, mut headers, body) = plain(401, "\u{9b}31m");
        let hostile = "Foo \u{9b}2J\u{9d}0;title\u{9c} \u{202e}".as_bytes();
        headers.insert("www-authenticate", hostile.try_into().unwrap());
        (status, headers, body)
    })
    .await;
    let desk = Desk::signed_in(&server, &origin).await;
    for more in [&[][..], &["--json"], &["-i"]] {
        let done = desk.call(&[more, &["GET", &origin]].concat()).await;
        assert_eq!(done.status.code(), Some(22));
        let (shown, said) =
            (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
        let steers =
            |text: &str| text.contains(|c: char| c != '\n' && c.is_control() || c == '\u{202e}');
        assert!(!steers(&said) && said.contains("9d"), "{said}");
        // The body is the caller's own business where no terminal shows it.
        match more {
            [] => assert_eq!(shown, "\u{9b}31m"),
            ["--json"] => assert!(!steers(&shown), "{shown}"),
            _ => assert!(!steers(shown.trim_end_matches("\u{9b}31m")), "{shown}"),
        }
    }
}

#[tokio::test]
async fn inspect_judges_hostile_numbers() {
    let key = key(Curve::Ed25519);
    for number in [1_000_000_000_000_000_u64, u64::MAX] {
        let token = json!({"iss": "x", "exp": number, "iat": number, "sub": "x", "jti": "x"});
        let proof = json!({"jti": "x", "htm": "GET", "htu": "https://a.example/", "iat": number});
        let jwk = json!(countersign_sdk::key::Signer::public_key(&key).to_jwk());
        for text in [
            jws(&key, &json!({"typ": "at+jwt", "alg": "EdDSA"}), &token),
            jws(&key, &json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk}), &proof),
        ] {
            let done = run(&["inspect", &text]).await;
            assert_eq!(done.status.code(), Some(1), "{done:?}");
            assert!(String::from_utf8(done.stdout).unwrap().contains(&number.to_string()));
        }
    }
}
