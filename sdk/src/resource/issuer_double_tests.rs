//! An issuer on a free port for the tests of this module: metadata, keys, feed, introspection.
//!
//! Its feed is a list that grows, read by cursors; a question that waits is answered when something
//! is revoked or when the test says so, never by a timer. Answers can be scripted instead.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

use super::fixture::{BUILT, Fixture, NOW, RESOURCE, key_set, signer};
use super::revocation::{RevocationStatus, Revocations};
use super::{ResourceConfig, ResourceServer};
use crate::key::{Curve, InMemorySigner};
use crate::proof::jws;
use crate::time::{Clock, ManualClock, Timestamp};

/// What is longer than this has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// A scripted answer of the feed.
pub(super) enum Script {
    /// A status and a body.
    Body(u16, Vec<u8>),
    /// Nothing, and the connection stays open.
    Silence,
}

pub(super) struct IssuerDouble {
    pub(super) issuer: String,
    pub(super) key: InMemorySigner,
    pub(super) clock: Arc<ManualClock>,
    shared: Arc<Shared>,
}

struct Shared {
    issuer: String,
    secret: zeroize::Zeroizing<[u8; 32]>,
    clock: Arc<ManualClock>,
    entries: Mutex<Vec<Value>>,
    script: Mutex<VecDeque<Script>>,
    /// Members of the metadata that are set or, where `null`, left out.
    metadata: Mutex<Value>,
    key_sets: Mutex<Vec<u8>>,
    introspection: Mutex<(u16, Value)>,
    posted: Mutex<Vec<(String, String)>>,
    asked: Mutex<Vec<String>>,
    metadata_asked: AtomicUsize,
    page: AtomicUsize,
    down: AtomicBool,
    /// The last change that a question was told of.
    told: AtomicU64,
    changed: watch::Sender<u64>,
}

impl IssuerDouble {
    /// Starts in the runtime of the caller.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = signer(Curve::Ed25519);
        let clock = Arc::new(ManualClock::new(NOW));
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            secret: key.secret_bytes(),
            clock: Arc::clone(&clock),
            entries: Mutex::default(),
            script: Mutex::default(),
            metadata: Mutex::new(json!({})),
            key_sets: Mutex::new(key_set(&key, "a")),
            introspection: Mutex::new((200, json!({ "active": false }))),
            posted: Mutex::default(),
            asked: Mutex::default(),
            metadata_asked: AtomicUsize::new(0),
            page: AtomicUsize::new(1000),
            down: AtomicBool::new(false),
            told: AtomicU64::new(0),
            changed: watch::Sender::new(0),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        Self { issuer, key, clock, shared }
    }

    /// A server that trusts this issuer, with a token of which `configure` may change the rest.
    pub(super) fn api(&self, configure: impl FnOnce(ResourceConfig) -> ResourceConfig) -> Fixture {
        let clock = Arc::clone(&self.clock);
        let now = clock.now();
        clock.set(BUILT);
        let config = ResourceConfig::new(&self.issuer, RESOURCE)
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .open_when_stale(["escrow:read"]);
        let server = configure(config).build().unwrap();
        clock.set(now);
        let issuer = InMemorySigner::from_bytes(Curve::Ed25519, &self.shared.secret).unwrap();
        Fixture { issuer, agent: signer(Curve::Ed25519), clock, server }
    }

    /// A good token of this issuer for the agent of `api`, but for what is changed.
    pub(super) fn token(&self, api: &Fixture, change: impl FnOnce(&mut Value)) -> String {
        api.token(|claims| {
            claims["iss"] = json!(self.issuer);
            claims["exp"] = json!(api.clock.now().plus(900));
            change(claims);
        })
    }

    /// Puts an entry into the feed, with an `until` unless it has one; questions that wait hear of it.
    pub(super) fn revoke(&self, mut entry: Value) {
        if entry.get("until").is_none() {
            entry["until"] = json!(self.clock.now().plus(900));
        }
        self.shared.entries.lock().unwrap().push(entry);
        self.tick();
    }

    /// Questions that wait are answered: there is nothing new.
    pub(super) fn tick(&self) {
        self.shared.changed.send_modify(|version| *version += 1);
    }

    /// The next answers of the feed, before it goes on by itself.
    pub(super) fn script(&self, answers: impl IntoIterator<Item = Script>) {
        self.shared.script.lock().unwrap().extend(answers);
        self.tick();
    }

    /// Whether connections are closed without an answer; those that wait are, too.
    pub(super) fn down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
        self.tick();
    }

    /// At most so many entries in one answer.
    pub(super) fn page(&self, entries: usize) {
        self.shared.page.store(entries, Ordering::SeqCst);
    }

    /// Sets members of the metadata; `null` leaves one out.
    pub(super) fn metadata(&self, members: Value) {
        *self.shared.metadata.lock().unwrap() = members;
    }

    /// Publishes other keys.
    pub(super) fn publish(&self, set: Vec<u8>) {
        *self.shared.key_sets.lock().unwrap() = set;
    }

    /// What `/introspect` answers from now on.
    pub(super) fn says(&self, status: u16, answer: Value) {
        *self.shared.introspection.lock().unwrap() = (status, answer);
    }

    /// The questions to the feed so far, by their query.
    pub(super) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How often the metadata was asked for so far.
    pub(super) fn metadata_asked(&self) -> usize {
        self.shared.metadata_asked.load(Ordering::SeqCst)
    }

    /// The `Authorization` and the body of each post so far.
    pub(super) fn posted(&self) -> Vec<(String, String)> {
        self.shared.posted.lock().unwrap().clone()
    }

    /// A payload of the feed, with an `iat` of now.
    pub(super) fn payload(&self, entries: Value, cursor: &str, more: bool) -> Value {
        self.shared.payload(entries, cursor, more)
    }

    /// A payload, signed as the feed signs it.
    pub(super) fn signed(&self, payload: &Value) -> Script {
        let header = json!({ "typ": "revocations+jwt", "alg": "EdDSA", "kid": "a" });
        Script::Body(200, sealed(&self.key, &header, &payload.to_string()).into_bytes())
    }
}

/// A compact JWS of any header and payload.
pub(super) fn sealed(key: &InMemorySigner, header: &Value, payload: &str) -> String {
    let input = [&header.to_string(), payload].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = key.sign_now(input.as_bytes()).unwrap();
    jws::close(input, &signature)
}

/// Waits until the server's view is as demanded.
pub(super) async fn until(
    server: &ResourceServer,
    is_so: impl Fn(&RevocationStatus) -> bool,
) -> RevocationStatus {
    let Revocations::Followed(follower) = &server.0.revocations else { panic!("not followed") };
    let mut progress = follower.progress();
    let wait = async {
        loop {
            progress.borrow_and_update();
            let status = server.revocation_status();
            if is_so(&status) {
                return status;
            }
            progress.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(DEADLINE, wait).await;
    waited.unwrap_or_else(|_| panic!("{:?}", server.revocation_status()))
}

/// Waits until the view is as young as the clock says.
pub(super) async fn current(double: &IssuerDouble, server: &ResourceServer) {
    let now: Timestamp = double.clock.now();
    double.tick();
    until(server, |status| status.as_of == Some(now)).await;
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) {
        let Some((line, authorization, body)) = read(&mut stream).await else { return };
        if self.down.load(Ordering::SeqCst) {
            return;
        }
        let target = line.split(' ').nth(1).unwrap();
        let url = Url::parse(&self.issuer).unwrap().join(target).unwrap();
        let (status, body) = match url.path() {
            "/.well-known/oauth-authorization-server" => {
                self.metadata_asked.fetch_add(1, Ordering::SeqCst);
                (200, self.metadata().into_bytes())
            }
            "/jwks" => (200, self.key_sets.lock().unwrap().clone()),
            "/introspect" => {
                self.posted.lock().unwrap().push((authorization, body));
                let (status, answer) = self.introspection.lock().unwrap().clone();
                (status, answer.to_string().into_bytes())
            }
            "/revocations" => match self.feed(&url).await {
                Some(answer) => answer,
                None => return,
            },
            other => panic!("{other}"),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nlocation: {}/jwks\r\nconnection: close\r\n\r\n",
            self.issuer
        );
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&body).await;
    }

    fn metadata(&self) -> String {
        let issuer = &self.issuer;
        let mut document = json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/jwks"),
            "revocation_feed_endpoint": format!("{issuer}/revocations"),
            "introspection_endpoint": format!("{issuer}/introspect"),
        });
        let members = document.as_object_mut().unwrap();
        for (name, value) in self.metadata.lock().unwrap().as_object().unwrap() {
            members.insert(name.clone(), value.clone());
        }
        members.retain(|_, value| !value.is_null());
        document.to_string()
    }

    /// The answer of the feed; `None` closes the connection.
    async fn feed(&self, url: &Url) -> Option<(u16, Vec<u8>)> {
        self.asked.lock().unwrap().push(url.query().unwrap_or_default().to_owned());
        let asked = |name: &str| {
            url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let after = asked("after").and_then(|after| after.strip_prefix('c')?.parse::<usize>().ok());
        let wait: u64 = asked("wait").unwrap().parse().unwrap();
        let mut changed = self.changed.subscribe();
        loop {
            let version = *changed.borrow_and_update();
            if self.down.load(Ordering::SeqCst) {
                return None;
            }
            let scripted = self.script.lock().unwrap().pop_front();
            match scripted {
                Some(Script::Body(status, body)) => return Some((status, body)),
                Some(Script::Silence) => std::future::pending().await,
                None => {}
            }
            let has_news = self.entries.lock().unwrap().len() > after.unwrap_or(0);
            // A tick that came between two questions is told to the second.
            let was_told = self.told.swap(version, Ordering::SeqCst) == version;
            if after.is_none() || wait == 0 || has_news || !was_told {
                break;
            }
            changed.changed().await.unwrap();
        }
        let (page, end) = {
            let entries = self.entries.lock().unwrap();
            let rest = entries.iter().skip(after.unwrap_or(0));
            let page: Vec<Value> = rest.take(self.page.load(Ordering::SeqCst)).cloned().collect();
            (page, entries.len())
        };
        let next = after.unwrap_or(0) + page.len();
        let mut payload = self.payload(json!(page), &format!("c{next}"), next < end);
        if let Some(after) = asked("after") {
            payload["after"] = json!(after);
        }
        let key = InMemorySigner::from_bytes(Curve::Ed25519, &self.secret).unwrap();
        let header = json!({ "typ": "revocations+jwt", "alg": "EdDSA", "kid": "a" });
        Some((200, sealed(&key, &header, &payload.to_string()).into_bytes()))
    }

    fn payload(&self, entries: Value, cursor: &str, more: bool) -> Value {
        json!({
            "iss": self.issuer, "iat": self.clock.now(), "entries": entries, "cursor": cursor,
            "more": more,
        })
    }
}

/// The first line, the `Authorization` and the body of a request.
async fn read(stream: &mut TcpStream) -> Option<(String, String, String)> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let field = |name: &str| {
                let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
                let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.trim().to_owned())
            };
            let length = field("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                let line = head.lines().next()?.to_owned();
                return Some((line, field("authorization").unwrap_or_default(), body.to_owned()));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => received.extend_from_slice(&buffer[..count]),
        }
    }
}
