//! A server for the unit tests of this module: HTTP/1.1 on a free port, answers by a closure.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::RwLock;

use crate::time::Timestamp;

/// A request as the double received it.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What the double answers: status, header lines, body. A status of 0 breaks the connection.
pub(super) type Answer = (u16, Vec<(&'static str, String)>, String);

/// A running double and all that it received.
pub(super) struct Double {
    pub(super) origin: String,
    /// Whoever holds it for writing holds back the answers to POST.
    pub(super) gate: Arc<RwLock<()>>,
    log: Arc<Mutex<Vec<Received>>>,
}

impl Double {
    /// Starts on a free port; `answer` gets the origin and the request.
    pub(super) async fn start(
        answer: impl Fn(&str, &Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let log: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (kept, own) = (Arc::clone(&log), origin.clone());
        let answer = Arc::new(answer);
        let gate: Arc<RwLock<()>> = Arc::default();
        let held = Arc::clone(&gate);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, own, answer) = (Arc::clone(&kept), own.clone(), Arc::clone(&answer));
                let held = Arc::clone(&held);
                tokio::spawn(async move {
                    let (received, mut stream) = read(stream).await;
                    log.lock().unwrap().push(received.clone());
                    let (status, headers, body) = answer(&own, &received);
                    if received.line.starts_with("POST") {
                        drop(held.read().await);
                    }
                    if status == 0 {
                        return;
                    }
                    let mut text = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
                    for (name, value) in headers {
                        text += &format!("{name}: {value}\r\n");
                    }
                    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
                    // Who asked may have gone.
                    let _ = stream.write_all(text.as_bytes()).await;
                });
            }
        });
        Self { origin, gate, log }
    }

    /// The requests whose first line begins with `start`.
    pub(super) fn received(&self, start: &str) -> Vec<Received> {
        let log = self.log.lock().unwrap();
        let all = log.iter().filter(|one| one.line.starts_with(start));
        all.cloned().collect()
    }
}

async fn read(mut stream: TcpStream) -> (Received, TcpStream) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "closed early");
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut received = Received { line: lines.next().unwrap().to_owned(), ..Received::default() };
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        received.headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = received.header("content-length").map_or(0, |text| text.parse().unwrap());
    while bytes.len() < end + 4 + length {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "closed early");
    }
    received.body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
    (received, stream)
}

/// The metadata of an issuer at `origin`.
pub(super) fn metadata(origin: &str) -> Answer {
    let body = format!(
        r#"{{"issuer":"{origin}","token_endpoint":"{origin}/token","challenge_endpoint":"{origin}/challenge","revocation_endpoint":"{origin}/revoke","sessions_endpoint":"{origin}/sessions"}}"#
    );
    (200, vec![], body)
}

/// A challenge as an issuer at `origin` writes it for a raw key, at the moment `issued`.
pub(super) fn challenge(origin: &str, request: &Received, issued: Timestamp) -> Answer {
    let asked: Value = serde_json::from_str(&request.body).unwrap();
    let (account, domain) = (&asked["account"], &asked["domain"]);
    let resource = asked["resource"].as_str().unwrap();
    let grant = json!({"att": {resource: {"oauth/read": [{}]}}, "prf": []}).to_string();
    let expires = issued.plus(300);
    let urn = match asked["dpop_jkt"].as_str() {
        Some(jkt) => format!("- urn:ietf:params:oauth:jwk-thumbprint:sha-256:{jkt}\n"),
        None => String::new(),
    };
    let message = format!(
        "{} wants you to sign in with your key:\n{}\n\nRead. I further authorize \
         the stated URI to perform the following actions on my behalf: (1) 'oauth': 'read' for \
         '{resource}'.\n\nURI: {origin}\nVersion: 1\n\
         Nonce: 0123456789\nIssued At: {issued}\n\
         Expiration Time: {expires}\nResources:\n{urn}- urn:recap:{}",
        domain.as_str().unwrap(),
        account.as_str().unwrap(),
        URL_SAFE_NO_PAD.encode(grant),
    );
    let answer = json!({"format": "key", "message": message, "nonce": "0123456789"});
    (200, vec![], answer.to_string())
}

/// A token of `seconds`.
pub(super) fn token(text: &str, seconds: u64) -> Answer {
    let body = format!(
        r#"{{"access_token":"{text}","token_type":"DPoP","expires_in":{seconds},"scope":"read","sub":"did:key:x"}}"#
    );
    (200, vec![], body)
}

/// A refusal with a `WWW-Authenticate` header.
pub(super) fn unauthorized(error: &str) -> Answer {
    let header = format!("DPoP realm=\"r\", error=\"{error}\", algs=\"EdDSA\"");
    (401, vec![("WWW-Authenticate", header)], String::new())
}
