//! A server on a free port with a manual clock, and clients that sign with k256 and dalek directly.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::app::{App, StartError, Surroundings};
use countersign::config::{self, Flags, Settings};
use countersign::store::embedded::OpenError;
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Curve, InMemorySigner, Signer};
use countersign_sdk::time::{Clock, ManualClock, SystemClock, Timestamp};
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};
use tokio::sync::watch;

pub(crate) const SIGNED_MESSAGE: &str = "urn:countersign:params:oauth:grant-type:signed-message";
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(crate) const START: u64 = 1_800_000_000;
pub(crate) const RESOURCE: &str = "http://127.0.0.1:8800";

/// What a configuration says that keeps everything in memory.
pub(crate) const MEMORY: &str = "[store]\nengine = \"memory\"\n";

/// A running server; it drains when dropped.
pub(crate) struct Server {
    pub(crate) issuer: String,
    pub(crate) operations: Option<String>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) http: reqwest::Client,
    stop: watch::Sender<bool>,
    running: Option<tokio::task::JoinHandle<()>>,
    base: String,
    /// Where its store lies; the folder goes with the server.
    _data: Option<tempfile::TempDir>,
}

impl Server {
    /// A server in development mode, with its store in a folder.
    pub(crate) async fn development() -> Self {
        let data = tempfile::tempdir().unwrap();
        Self::start(Self::development_settings(Some(&data)), Some(data)).await
    }

    /// A server in development mode by the machine's clock, which `Date` also tells; `clock` then
    /// moves nothing. Its store is in memory.
    pub(crate) async fn with_system_clock() -> Self {
        let settings = Self::development_settings(None);
        Self::start_by(settings, None, Arc::default(), Arc::new(SystemClock)).await
    }

    fn development_settings(data: Option<&tempfile::TempDir>) -> Settings {
        let flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            operations_listen: Some("127.0.0.1:0".to_owned()),
            data_dir: data.map(|data| data.path().join("store").display().to_string()),
            ..Flags::default()
        };
        config::load(&flags, &[]).unwrap()
    }

    /// A server with the configuration `toml`; its issuer is what that says, its address any.
    pub(crate) async fn configured(toml: &str) -> Self {
        let (settings, data) = Self::settings(toml);
        Self::start(settings, Some(data)).await
    }

    /// The same, by the machine's clock.
    pub(crate) async fn configured_by_the_system_clock(toml: &str) -> Self {
        let (settings, data) = Self::settings(toml);
        Self::start_by(settings, Some(data), Arc::default(), Arc::new(SystemClock)).await
    }

    /// Stops the server and starts another one with `toml`, over what it kept and by its clock.
    pub(crate) async fn restart(mut self, toml: &str) -> Self {
        self.stop.send_replace(true);
        self.running.take().unwrap().await.unwrap();
        let (data, clock) = (self._data.take().unwrap(), Arc::clone(&self.clock));
        let settings = Self::settings_over(toml, &data);
        Self::start_by(settings, Some(data), Arc::clone(&clock), clock).await
    }

    /// Settings with the embedded store in a folder that goes with the second value.
    fn settings(toml: &str) -> (Settings, tempfile::TempDir) {
        let data = tempfile::tempdir().unwrap();
        (Self::settings_over(toml, &data), data)
    }

    fn settings_over(toml: &str, data: &tempfile::TempDir) -> Settings {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        let flags = Flags {
            config: Some(file.path().to_owned()),
            listen: Some("127.0.0.1:0".to_owned()),
            operations_listen: Some("127.0.0.1:0".to_owned()),
            data_dir: Some(data.path().join("store").display().to_string()),
            ..Flags::default()
        };
        // Unless the configuration says otherwise, keys end with the server, as most flows expect.
        let custody = ("COUNTERSIGN_KEYS__CUSTODY".to_owned(), "memory".to_owned());
        let variables: &[_] = if toml.contains("[keys]") { &[] } else { &[custody] };
        config::load(&flags, variables).unwrap_or_else(|faults| panic!("{faults}"))
    }

    async fn start(settings: Settings, data: Option<tempfile::TempDir>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix(START)));
        Self::start_by(settings, data, Arc::clone(&clock), clock).await
    }

    async fn start_by(
        settings: Settings,
        data: Option<tempfile::TempDir>,
        clock: Arc<ManualClock>,
        of_server: Arc<dyn Clock>,
    ) -> Self {
        let surroundings = Surroundings { clock: of_server, entropy: Arc::new(OsEntropy) };
        // A server before this one may hold the folder for a moment longer, until its last task is gone.
        let bound = async {
            loop {
                match App::bind(settings.clone(), surroundings.clone()).await {
                    Err(StartError::Store(OpenError::InUse(_))) => tokio::task::yield_now().await,
                    bound => break bound.unwrap(),
                }
            }
        };
        let app = tokio::time::timeout(Duration::from_secs(30), bound).await.unwrap();
        let issuer = app.settings().issuer.issuer().to_owned();
        let base = format!("http://{}", app.settings().listen);
        let operations = app.operations_address().map(|address| format!("http://{address}"));
        let (stop, stopped) = watch::channel(false);
        let running = Some(tokio::spawn(app.run(stopped)));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { issuer, operations, clock, http, stop, running, base, _data: data }
    }

    /// The URL of an endpoint at the server's own address, under the issuer's path.
    pub(crate) fn at(&self, path: &str) -> String {
        let authority = self.issuer.split_once("://").unwrap().1;
        let issuer_path = authority.find('/').map_or("", |slash| &authority[slash..]);
        format!("{}{issuer_path}{path}", self.base)
    }

    /// The server's own address, whatever its issuer is called.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now().as_unix()
    }

    pub(crate) async fn challenge(&self, body: &Value) -> Answer {
        let sent = self.http.post(self.at("/challenge")).json(body).send().await.unwrap();
        Answer::read(sent).await
    }

    pub(crate) async fn nonce(&self) -> String {
        let sent = self.http.get(self.at("/nonce")).send().await.unwrap();
        Answer::read(sent).await.body["nonce"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn token(&self, form: &[(&str, &str)], proof: Option<&str>) -> Answer {
        let mut request = self.http.post(self.at("/token")).form(form);
        if let Some(proof) = proof {
            request = request.header("DPoP", proof);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// A fresh proof for the token endpoint.
    pub(crate) fn proof(&self, key: &InMemorySigner) -> String {
        dpop(key, &format!("{}/token", self.issuer), self.now(), json!({}))
    }

    /// Tells the server to stop and waits until it has.
    pub(crate) async fn shut_down(mut self) {
        self.stop.send_replace(true);
        self.running.take().unwrap().await.unwrap();
    }

    /// The same; gives the folder that it kept its store and its audit log in, below `store`.
    pub(crate) async fn shut_down_and_keep(mut self) -> tempfile::TempDir {
        let data = self._data.take().unwrap();
        self.shut_down().await;
        data
    }

    pub(crate) fn tell_to_stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        Self::try_read(response).await.unwrap()
    }

    /// `None` when it ended early.
    pub(crate) async fn try_read(response: reqwest::Response) -> Option<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.ok()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Some(Self { status, headers, body })
    }

    pub(crate) fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts a refusal: status, OAuth error, reason, and that nobody may keep the answer.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, error: &str, reason: &str) {
        assert_eq!(
            (self.status, &self.body["error"], &self.body["reason"]),
            (status, &json!(error), &json!(reason)),
            "{self:?}"
        );
        assert!(!self.text("error_description").is_empty());
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert!(self.body.get("access_token").is_none());
    }

    /// The claims of the access token in the answer, unverified.
    #[track_caller]
    pub(crate) fn claims(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        part(self.text("access_token"), 1)
    }
}

/// A part of a compact JWS, decoded.
pub(crate) fn part(jws: &str, position: usize) -> Value {
    let part = jws.split('.').nth(position).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub(crate) fn key(curve: Curve) -> InMemorySigner {
    InMemorySigner::generate(curve, &OsEntropy).unwrap()
}

pub(crate) fn jkt(key: &InMemorySigner) -> String {
    key.public_key().thumbprint().to_string()
}

pub(crate) fn did(key: &InMemorySigner) -> String {
    key.public_key().to_did_key().unwrap()
}

/// A compact JWS over any header and payload.
pub(crate) fn jws(key: &InMemorySigner, header: &Value, payload: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = key.sign_now(input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A DPoP proof for a POST, with `extra` claims laid over the usual ones.
pub(crate) fn dpop(key: &InMemorySigner, htu: &str, iat: u64, extra: Value) -> String {
    let header = json!({
        "typ": "dpop+jwt", "alg": key.algorithm().name(), "jwk": key.public_key().to_jwk(),
    });
    let jti = URL_SAFE_NO_PAD.encode(key.sign_now(&rand_bytes()).unwrap());
    let mut payload = json!({ "jti": jti, "htm": "POST", "htu": htu, "iat": iat });
    for (name, value) in extra.as_object().unwrap() {
        payload[name] = value.clone();
    }
    jws(key, &header, &payload)
}

pub(crate) fn rand_bytes() -> [u8; 16] {
    use countersign_sdk::entropy::Entropy as _;
    let mut bytes = [0; 16];
    OsEntropy.fill(&mut bytes).unwrap();
    bytes
}

/// An EVM wallet that signs with k256 alone.
pub(crate) struct EvmWallet(SigningKey);

impl EvmWallet {
    pub(crate) fn new() -> Self {
        let key = key(Curve::Secp256k1);
        Self(SigningKey::from_slice(&*key.secret_bytes()).unwrap())
    }

    pub(crate) fn address(&self) -> String {
        let point = self.0.verifying_key().to_sec1_point(false);
        let hash = Keccak256::digest(&point.as_bytes()[1..]);
        let digits = hex::encode(&hash[12..]);
        let checksum = hex::encode(Keccak256::digest(&digits));
        let spelled: String = digits
            .chars()
            .zip(checksum.chars())
            .map(|(c, sum)| if sum >= '8' { c.to_ascii_uppercase() } else { c })
            .collect();
        format!("0x{spelled}")
    }

    /// `personal_sign`: 65 bytes r, s, v with v 27 or 28.
    pub(crate) fn sign(&self, message: &str) -> String {
        let (rs, id) = self.sign_parts(message);
        format!("0x{}{:02x}", hex::encode(rs), 27 + id)
    }

    pub(crate) fn sign_parts(&self, message: &str) -> ([u8; 64], u8) {
        let prefixed = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
        let digest = Keccak256::digest(prefixed);
        let (signature, id) = self.0.sign_prehash_recoverable(&digest);
        (signature.to_bytes().into(), id.to_byte())
    }

    /// Its key, as that of an agent that signs its own requests.
    pub(crate) fn raw_key(&self) -> InMemorySigner {
        let bytes = self.0.to_bytes();
        InMemorySigner::from_bytes(Curve::Secp256k1, bytes.as_slice().try_into().unwrap()).unwrap()
    }

    pub(crate) fn account(&self) -> String {
        format!("eip155:1:{}", self.address())
    }
}

/// A SIWE message that a client writes itself, around a bare nonce.
pub(crate) struct Siwe<'a> {
    pub(crate) server: &'a Server,
    pub(crate) domain: String,
    pub(crate) uri: String,
    pub(crate) address: String,
    pub(crate) nonce: String,
    pub(crate) issued_at: u64,
    pub(crate) tail: String,
}

impl<'a> Siwe<'a> {
    pub(crate) async fn new(server: &'a Server, wallet: &EvmWallet) -> Self {
        let domain = server.issuer.split_once("://").unwrap().1.to_owned();
        Self {
            uri: format!("{}/login", server.issuer),
            domain,
            address: wallet.address(),
            nonce: server.nonce().await,
            issued_at: server.now(),
            tail: String::new(),
            server,
        }
    }

    /// Names a session key in the resources.
    pub(crate) fn with_session_key(mut self, key: &InMemorySigner) -> Self {
        let uri = key.public_key().thumbprint().to_uri();
        self.tail = format!("\nResources:\n- {uri}");
        self
    }

    pub(crate) fn text(&self) -> String {
        let Self { domain, uri, address, nonce, tail, .. } = self;
        let issued = Timestamp::from_unix(self.issued_at);
        let _ = self.server;
        format!(
            "{domain} wants you to sign in with your Ethereum account:\n{address}\n\n\nURI: {uri}\n\
             Version: 1\nChain ID: 1\nNonce: {nonce}\nIssued At: {issued}{tail}"
        )
    }
}
