//! No credential reaches the log at its most talkative, the audit log, the collector's copy, or what the system tells of the process.
//!
//! Every flow is run against the real program, and everything that is secret in it is collected as it is sent
//! or received. At the end all that was written is searched for each of them, in several encodings.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
use countersign_sdk::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::command_line::run;
use crate::process::{Process, free_port};
use crate::support::{Answer, EvmWallet, JWT_BEARER, did, dpop, jws, key, rand_bytes};
use crate::wire_client::{Client, Fate, Kept};

const API: &str = "http://127.0.0.1:8800";

/// What must be found nowhere, and what it is.
#[derive(Default)]
struct Secrets(Vec<(&'static str, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, what: &'static str, secret: impl AsRef<[u8]>) {
        assert!(secret.as_ref().len() >= 12, "{what} is too short to be looked for");
        self.0.push((what, secret.as_ref().to_vec()));
    }

    /// A token or proof: the whole, and its signature alone.
    fn add_jws(&mut self, what: &'static str, token: &str) {
        self.add(what, token);
        self.add(what, token.rsplit('.').next().unwrap());
    }

    /// Every token in an answer.
    fn of(&mut self, answer: &Answer) {
        assert_eq!(answer.status, 200, "{answer:?}");
        self.add_jws("an access token", answer.text("access_token"));
        if let Some(refresh) = answer.body["refresh_token"].as_str() {
            self.add("a refresh token", refresh);
            self.add("a refresh token", &refresh[refresh.len() - 24..]);
        }
    }

    /// A private key.
    fn add_key(&mut self, what: &'static str, key: &InMemorySigner) {
        self.add(what, *key.secret_bytes());
    }

    /// Each of them in the spellings that a program could give it.
    fn spelled(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut spelled = Vec::new();
        for (what, secret) in &self.0 {
            let encoded = [
                STANDARD.encode(secret).trim_end_matches('=').to_owned(),
                URL_SAFE_NO_PAD.encode(secret),
                hex::encode(secret),
                hex::encode_upper(secret),
                format!("{secret:?}").trim_matches(['[', ']']).to_owned(),
            ];
            spelled.push((*what, secret.clone()));
            spelled.extend(encoded.into_iter().map(|text| (*what, text.into_bytes())));
        }
        spelled
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    let first = part[0];
    let mut places = text.iter().enumerate().filter(|(_, byte)| **byte == first);
    places.any(|(at, _)| text[at..].starts_with(part))
}

fn private_file(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The server, and whoever deals with it.
struct Scene {
    folder: tempfile::TempDir,
    config: PathBuf,
    server: Process,
    client: Client,
    operator: InMemorySigner,
    introspection_secret: String,
    secrets: Secrets,
}

impl Scene {
    async fn begin() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let at = |name: &str| folder.path().join(name);
        let mut secrets = Secrets::default();
        let passphrase = format!("correct horse {}", hex::encode(rand_bytes()));
        private_file(&at("passphrase"), &passphrase);
        secrets.add("the passphrase of the keys", &passphrase);
        let made = run(&["--json", "secret"]).await;
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let introspection_secret = made["secret"].as_str().unwrap().to_owned();
        secrets.add("an introspection secret", &introspection_secret);
        let operator = key(Curve::Ed25519);
        secrets.add_key("an operator's key", &operator);
        let config = at("countersign.toml");
        let toml = format!(
            "issuer = \"http://127.0.0.1:{port}\"\n[store]\ndirectory = \"{}\"\n[keys]\n\
             passphrase_file = \"{}\"\n[audit]\nstream = \"{}\"\n[[resources]]\nuri = \"{API}\"\n\
             scopes = [\"read\"]\ndefault_scopes = [\"read\"]\nintrospection_secret = \"{}\"\n[[operators]]\naccount = \"{}\"\n\
             scopes = [\"admin:read\", \"admin:keys\", \"admin:sessions\", \"admin:audit\"]\n",
            at("store").display(),
            at("passphrase").display(),
            at("copy.jsonl").display(),
            made["introspection_secret"].as_str().unwrap(),
            did(&operator),
        );
        fs::write(&config, toml).unwrap();
        let server = Process::traced(port, &config, &at("server.log")).await;
        let client = Client::new(&server.issuer);
        Self { folder, config, server, client, operator, introspection_secret, secrets }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Signs in with a wallet and a session key.
    async fn sign_in(&mut self) -> (Kept, Answer) {
        let (wallet, key) = (EvmWallet::new(), Arc::new(key(Curve::Ed25519)));
        self.secrets.add_key("a session key", &key);
        let form = self.client.signed_message(&wallet, &key).await.unwrap();
        let (sent, answer) = self.client.with_proof(form, &key).await;
        let answer = answer.unwrap();
        self.secrets.add_jws("a proof", &sent.proof);
        self.secrets.of(&answer);
        let tokens = vec![answer.text("refresh_token").to_owned()];
        (Kept { key, tokens, in_flight: false, fate: Fate::Alive }, answer)
    }

    async fn refresh(&mut self, kept: &Kept, token: &str) -> Answer {
        let (sent, answer) = self.client.refresh(kept, token).await;
        self.secrets.add_jws("a proof", &sent.proof);
        answer.unwrap()
    }

    /// A request with an access token and a proof.
    async fn ask(&mut self, method: &str, url: &str, token: &str, key: &InMemorySigner) -> Answer {
        let ath = URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()));
        let now = SystemClock.now().as_unix();
        let proof = dpop(key, url, now, json!({ "htm": method, "ath": ath }));
        self.secrets.add_jws("a proof", &proof);
        let request = self.client.http.request(method.parse().unwrap(), url);
        let request = request.header("authorization", format!("DPoP {token}"));
        Answer::read(request.header("dpop", proof).send().await.unwrap()).await
    }

    /// An assertion by `key` for `resource`, redeemed.
    async fn assert(&mut self, key: &Arc<InMemorySigner>, resource: &str, scope: &str) -> Answer {
        let now = SystemClock.now().as_unix() + 1;
        let claims = json!({
            "iss": did(key), "sub": did(key), "aud": self.client.issuer, "iat": now, "exp": now + 50,
            "jti": hex::encode(rand_bytes()), "resource": resource, "scope": scope,
        });
        let assertion = jws(key, &json!({ "alg": "EdDSA" }), &claims);
        let form = vec![("grant_type", JWT_BEARER.to_owned()), ("assertion", assertion)];
        let (sent, answer) = self.client.with_proof(form, key).await;
        self.secrets.add_jws("a proof", &sent.proof);
        answer.unwrap()
    }

    /// `countersign keys …` beside the running server.
    async fn keys(&self, args: &[&str]) -> std::process::Output {
        let config = self.config.to_str().unwrap();
        run(&[&["--json", "keys"], args, &["--config", config]].concat()).await
    }
}

async fn people(scene: &mut Scene) {
    let (kept, _) = scene.sign_in().await;
    let (first, mut newest) = (kept.tokens[0].clone(), kept.tokens[0].clone());
    for _ in 0..2 {
        let answer = scene.refresh(&kept, &newest).await;
        scene.secrets.of(&answer);
        newest = answer.text("refresh_token").to_owned();
    }
    scene.refresh(&kept, &first).await.refused(400, "invalid_grant", "refresh_reused");
    let (kept, answer) = scene.sign_in().await;
    let (access, url) = (answer.text("access_token"), format!("{}/sessions", scene.client.issuer));
    assert_eq!(scene.ask("GET", &url, access, &kept.key).await.status, 200);
    assert_eq!(scene.ask("DELETE", &url, access, &kept.key).await.status, 204);
    let refused = scene.ask("GET", &url, access, &kept.key).await;
    assert_eq!(refused.text("reason"), "token_revoked");
    let (kept, _) = scene.sign_in().await;
    assert_eq!(scene.client.revoke(&kept.tokens[0]).await.unwrap().status, 200);
    // Other formats, by the command line with key files.
    for (format, curve) in [("siws", "ed25519"), ("tip191", "secp256k1"), ("key", "ed25519")] {
        let path = scene.at(&format!("{format}.pem"));
        let path = path.to_str().unwrap();
        let made = run(&["--json", "keygen", "--curve", curve, "--out", path]).await;
        assert!(made.status.success(), "{made:?}");
        let session = scene.at(&format!("{format}-session.pem"));
        let session = session.to_str().unwrap();
        let made = run(&["--json", "keygen", "--curve", "ed25519", "--out", session]).await;
        assert!(made.status.success(), "{made:?}");
        let issuer = scene.client.issuer.clone();
        let login = ["--json", "login", "--issuer", &issuer, "--key", path, "--format", format];
        let what = ["--session-key", session, "--resource", API, "--scope", "read"];
        let done = run(&[&login[..], &what].concat()).await;
        assert!(done.status.success(), "{format}: {done:?}");
        let told: Value = serde_json::from_slice(&done.stdout).unwrap();
        scene.secrets.add_jws("an access token", told["access_token"].as_str().unwrap());
        for line in
            fs::read_to_string(path).unwrap().lines().filter(|line| !line.starts_with("---"))
        {
            scene.secrets.add("a key file", line);
        }
    }
}

async fn resource_servers(scene: &mut Scene) {
    let (_, answer) = scene.sign_in().await;
    let token = answer.text("access_token").to_owned();
    let url = format!("{}/introspect", scene.client.issuer);
    for (secret, status) in [(scene.introspection_secret.clone(), 200), ("wrong".repeat(9), 401)] {
        let request = scene.client.http.post(&url).form(&[("token", &token)]);
        let resource = "http%3A%2F%2F127.0.0.1%3A8800";
        let answer = request.basic_auth(resource, Some(&secret)).send().await.unwrap();
        assert_eq!(answer.status(), status);
        scene.secrets.add("what was sent as a secret", secret);
    }
    // A private key where a public one belongs.
    let leaked = key(Curve::Ed25519);
    scene.secrets.add_key("a private key that was sent", &leaked);
    let mut jwk = serde_json::to_value(leaked.public_key().to_jwk()).unwrap();
    jwk["d"] = json!(URL_SAFE_NO_PAD.encode(*leaked.secret_bytes()));
    let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk });
    let proof = jws(&leaked, &header, &json!({ "jti": "a", "htm": "POST", "htu": url, "iat": 1 }));
    scene.secrets.add("a proof with a private key", proof.split('.').next().unwrap());
    let form = [("grant_type", "refresh_token"), ("refresh_token", "csr_notone")];
    let request = scene.client.http.post(format!("{}/token", scene.client.issuer)).form(&form);
    let answer = Answer::read(request.header("dpop", proof).send().await.unwrap()).await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

async fn operators(scene: &mut Scene) {
    let operator = InMemorySigner::from_bytes(Curve::Ed25519, &scene.operator.secret_bytes());
    let operator = Arc::new(operator.unwrap());
    let issuer = scene.client.issuer.clone();
    let scopes = "admin:read admin:keys admin:sessions admin:audit";
    let answer = scene.assert(&operator, &issuer, scopes).await;
    scene.secrets.of(&answer);
    let token = answer.text("access_token").to_owned();
    let base = scene.server.health.trim_end_matches("/health/ready").to_owned();
    for (method, path) in [
        ("GET", "/admin/keys"),
        ("GET", "/admin/audit"),
        ("GET", "/admin/revocations"),
        ("POST", "/admin/keys/rotate"),
    ] {
        let answer = scene.ask(method, &format!("{base}{path}"), &token, &operator).await;
        assert!([200, 202].contains(&answer.status), "{path}: {answer:?}");
    }
    let stranger = key(Curve::Ed25519);
    let refused = scene.ask("GET", &format!("{base}/admin/keys"), &token, &stranger).await;
    assert_eq!(refused.status, 401, "{refused:?}");
}

async fn signing_keys(scene: &mut Scene) {
    let imported = key(Curve::Ed25519);
    scene.secrets.add_key("an imported signing key", &imported);
    let pem = imported.to_pkcs8_pem().unwrap();
    for line in pem.lines().filter(|line| !line.starts_with("---")) {
        scene.secrets.add("the PEM of an imported key", line);
    }
    let path = scene.at("imported.pem");
    private_file(&path, &pem);
    let path = path.to_str().unwrap();
    for args in [&["list"][..], &["import", path], &["rotate"]] {
        let done = scene.keys(args).await;
        assert!(done.status.success(), "{args:?}: {done:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_secret_is_written_anywhere() {
    let mut scene = Scene::begin().await;
    people(&mut scene).await;
    resource_servers(&mut scene).await;
    operators(&mut scene).await;
    signing_keys(&mut scene).await;
    let pid = scene.server.child.id().unwrap();
    let mut written = Vec::new();
    for name in ["cmdline", "environ", "comm", "status"] {
        let path = PathBuf::from(format!("/proc/{pid}/{name}"));
        written.push((path.display().to_string(), fs::read(path).unwrap()));
    }
    scene.server.stop().await;
    let Scene { folder, server, secrets, .. } = scene;
    written.push(("standard output".to_owned(), server.rest_of_stdout().await.into_bytes()));
    let store = folder.path().join("store");
    let mut files = vec![folder.path().join("server.log"), folder.path().join("copy.jsonl")];
    for inner in ["audit", "keys"] {
        let entries = fs::read_dir(store.join(inner)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let log = fs::read_to_string(&files[0]).unwrap();
    assert!(
        log.contains("DEBUG") && !log.contains("panicked"),
        "the log is not at its most talkative"
    );
    written.extend(
        files.into_iter().map(|path| (path.display().to_string(), fs::read(&path).unwrap())),
    );
    let audit: String = written
        .iter()
        .filter(|(name, _)| name.ends_with(".jsonl"))
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    for event in [
        "sign_in",
        "refreshed",
        "refresh_reused",
        "revoked",
        "introspection_refused",
        "operator_action",
        "key_imported",
        "checkpoint",
    ] {
        assert!(audit.contains(&format!("\"event\":\"{event}\"")), "no {event} in play");
    }
    let secrets = secrets.spelled();
    assert!(secrets.len() > 100);
    for (name, bytes) in &written {
        for (what, secret) in &secrets {
            assert!(!contains(bytes, secret), "{what} stands in {name}");
        }
    }
}
