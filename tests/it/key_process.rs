//! Signing keys of a process: killed while it changes them, starved of disk, started with wrong secrets; and `countersign keys`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_sdk::key::{Curve, Signer as _};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::process::{Process, free_port};
use crate::support::{EvmWallet, jkt, key, rand_bytes};
use crate::wire_client::Client;

/// A folder with a configuration and a secret.
struct Place {
    outer: tempfile::TempDir,
    port: u16,
}

impl Place {
    async fn new() -> Self {
        let place = Self { outer: tempfile::tempdir().unwrap(), port: free_port() };
        let secret = place.path("sealing.key");
        let (code, told) = run(&["generate-secret", secret.to_str().unwrap()]).await;
        assert_eq!(code, 0, "{told}");
        let config = format!(
            "issuer = \"http://127.0.0.1:{}\"\nlisten = \"127.0.0.1:{}\"\n\
             operations_listen = \"127.0.0.1:{}\"\n[keys]\nkey_file = \"{}\"\n[store]\n\
             directory = \"{}\"\n[limits]\nrequests_per_minute = \"off\"\n[[resources]]\n\
             uri = \"http://127.0.0.1:8800\"\n\
             scopes = [\"read\"]\ndefault_scopes = [\"read\"]\n",
            place.port,
            place.port,
            free_port(),
            secret.display(),
            place.path("store").display(),
        );
        fs::write(place.config(), config).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.outer.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("countersign.toml")
    }

    fn ring(&self) -> PathBuf {
        self.path("store/keys/ring.json")
    }

    async fn start(&self) -> Process {
        Process::start_configured(self.port, &self.config()).await
    }

    /// How `serve` ends when it does not start.
    async fn refuses_to_start(&self) -> String {
        let done = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["serve", "--config"])
            .arg(self.config())
            .kill_on_drop(true)
            .output();
        let done = tokio::time::timeout(Duration::from_secs(60), done).await.unwrap().unwrap();
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        String::from_utf8(done.stderr).unwrap()
    }

    /// `countersign keys` for this server: the exit code, and what it told.
    async fn keys(&self, args: &[&str]) -> (i32, String) {
        let config = self.config();
        let (command, rest) = args.split_first().unwrap();
        run(&[&[*command, "--config", config.to_str().unwrap()], rest].concat()).await
    }

    async fn list(&self) -> Vec<Value> {
        let (code, told) = self.keys(&["list"]).await;
        assert_eq!(code, 0, "{told}");
        // A warning may follow.
        let mut told = serde_json::Deserializer::from_str(&told).into_iter::<Value>();
        told.next().unwrap().unwrap()["keys"].as_array().unwrap().clone()
    }

    async fn in_state(&self, state: &str) -> Vec<String> {
        let keys = self.list().await;
        let keys = keys.iter().filter(|key| key["state"] == state);
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}

async fn run(args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let done = command.args(["--json", "keys"]).args(args).output().await.unwrap();
    let told = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    (done.status.code().unwrap(), told)
}

async fn published(server: &Process) -> Vec<String> {
    let url = format!("{}/.well-known/jwks.json", server.issuer);
    let set: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let keys = set["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_outlives_kills_in_the_middle_of_changes() {
    let place = Arc::new(Place::new().await);
    let mut active = Vec::new();
    for round in 0..8 {
        let mut server = place.start().await;
        if round > 0 {
            assert_eq!(place.in_state("active").await, active, "round {round}");
        }
        let (worker, is_over) = (Arc::clone(&place), Arc::new(AtomicBool::new(false)));
        let over = Arc::clone(&is_over);
        let work = tokio::spawn(async move {
            while !over.load(Ordering::Acquire) {
                // Each of these replaces the ring.
                let (_, told) = worker.keys(&["list"]).await;
                let told: Value = serde_json::from_str(&told).unwrap_or_default();
                let keys = told["keys"].as_array().cloned().unwrap_or_default();
                if let Some(next) = keys.iter().find(|key| key["state"] == "next") {
                    worker.keys(&["retire", next["kid"].as_str().unwrap()]).await;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(40 + u64::from(rand_bytes()[0]))).await;
        active = place.in_state("active").await;
        assert_eq!(active.len(), 1);
        server.kill().await;
        // The command that was under way finds nobody, and does it by itself.
        is_over.store(true, Ordering::Release);
        work.await.unwrap();
        let text = fs::read_to_string(place.ring()).unwrap();
        let ring: Value = serde_json::from_str(&text).unwrap();
        assert!(ring["keys"].as_array().unwrap().iter().any(|key| key["kid"] == json!(active[0])));
    }
    let mut server = place.start().await;
    assert!(published(&server).await.contains(&active[0]));
    let client = Client::new(&server.issuer);
    let (wallet, session) = (EvmWallet::new(), Arc::new(key(Curve::Ed25519)));
    let form = client.signed_message(&wallet, &session).await.unwrap();
    let (_, answer) = client.with_proof(form, &session).await;
    assert_eq!(answer.unwrap().status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_changes_no_key_and_is_told() {
    let place = Place::new().await;
    let mut server = place.start().await;
    let before = (place.list().await, published(&server).await);
    let ring = fs::read_to_string(place.ring()).unwrap();
    let pid = server.child.id().unwrap().to_string();
    let bound = async |bytes: &str| {
        let bound = format!("--fsize={bytes}:");
        let done = Command::new("prlimit").args(["--pid", &pid, &bound]).status().await.unwrap();
        assert!(done.success());
    };
    // Nothing can be written any more: neither the record of a change nor the change.
    bound("0").await;
    let mut active = place.in_state("active").await.pop().unwrap();
    for change in [&["rotate"][..], &["generate"]] {
        let (code, told) = place.keys(change).await;
        assert_eq!(code, 1, "{change:?}: {told}");
        assert!(told.contains("error"), "{told}");
    }
    assert_eq!((place.list().await, published(&server).await), before);
    assert_eq!(fs::read_to_string(place.ring()).unwrap(), ring);
    // A key that leaked ends all the same, and it is told what is not kept of that.
    let (code, told) = place.keys(&["revoke", &active]).await;
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("\"ring\"") && told.contains("\"audit\""), "{told}");
    assert!(!published(&server).await.contains(&active));
    let revoked = std::mem::replace(&mut active, place.in_state("active").await.pop().unwrap());
    assert_ne!(active, revoked);
    assert_eq!(fs::read_to_string(place.ring()).unwrap(), ring);
    // Room again, and it goes on by itself.
    bound("unlimited").await;
    let kept = async {
        while place.keys(&["revoke", &revoked]).await.1.contains("pending")
            || !fs::read_to_string(place.ring()).unwrap().contains("is_told")
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), kept).await.unwrap();
    let log = fs::read_dir(place.path("store/audit")).unwrap();
    let log = log.map(|file| fs::read_to_string(file.unwrap().path()).unwrap_or_default());
    assert!(log.collect::<String>().contains("key_revoked"));
    let rotated = async {
        while place.keys(&["rotate"]).await.0 != 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rotated).await.unwrap();
    assert_eq!(place.in_state("active").await, [active]);
    assert!(!place.path("store/keys/ring.json.unfinished").exists());
    server.stop().await;
    let mut server = place.start().await;
    // One that waits to sign, and one that stands by.
    let both = async {
        while place.in_state("next").await.len() != 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_with_its_own_secret_alone() {
    let place = Place::new().await;
    let secret = place.path("sealing.key");
    let right = fs::read_to_string(&secret).unwrap();
    let put = |text: &str, mode: u32| {
        fs::write(&secret, text).unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
    };
    let mut server = place.start().await;
    // One server for each folder, and one command.
    let told = place.refuses_to_start().await;
    assert!(told.contains("cannot listen") || told.contains("in use"), "{told}");
    server.stop().await;
    let active = place.in_state("active").await;
    let ring = fs::read_to_string(place.ring()).unwrap();
    for (text, mode, why) in [
        (&*"ab".repeat(32), 0o600, "is not the one that it was sealed with"),
        ("too short", 0o600, "64 hexadecimal digits are needed"),
        (&right, 0o644, "others can read or write it"),
    ] {
        put(text, mode);
        let told = place.refuses_to_start().await;
        assert!(told.contains(why) && !told.contains(text), "{told}");
        let (code, told) = place.keys(&["rotate"]).await;
        assert!(code == 3 && told.contains(why) && !told.contains(text), "{told}");
    }
    fs::remove_file(&secret).unwrap();
    let told = place.refuses_to_start().await;
    assert!(told.contains("sealing.key: No such file"), "{told}");
    // What is public is told to whoever has the folder.
    assert_eq!(place.in_state("active").await, active);
    assert!(place.keys(&["list"]).await.1.contains("nothing vouches"));
    let (code, told) = place.keys(&["export-public"]).await;
    assert!(code == 3 && told.contains("sealing.key: No such file"), "{told}");
    assert_eq!(fs::read_to_string(place.ring()).unwrap(), ring, "nothing was touched");
    put(&right, 0o600);
    // Nor beside what it opens, by whatever name.
    let beside = place.path("store/sealing.key");
    fs::rename(&secret, &beside).unwrap();
    std::os::unix::fs::symlink(&beside, &secret).unwrap();
    let told = place.refuses_to_start().await;
    assert!(told.contains("lies in the store's folder"), "{told}");
    fs::rename(&beside, &secret).unwrap();
    fs::set_permissions(place.ring(), Permissions::from_mode(0o644)).unwrap();
    let told = place.refuses_to_start().await;
    assert!(told.contains("ring.json: others can read or write it"), "{told}");
    fs::set_permissions(place.ring(), Permissions::from_mode(0o600)).unwrap();
    place.start().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_looked_after_on_a_stopped_server_and_on_a_running_one() {
    let place = Place::new().await;
    let (code, told) = place.keys(&["list"]).await;
    assert!(code == 3 && told.contains("there is no ring"), "{told}");
    let (code, told) = place.keys(&["rotate"]).await;
    assert!(code == 3, "nothing begins a folder by accident: {told}");
    let (code, told) = place.keys(&["generate"]).await;
    assert_eq!(code, 0, "{told}");
    let first = place.in_state("active").await;
    let mut server = place.start().await;
    assert_eq!(place.in_state("active").await, first, "the server has what was made before");
    // A key from elsewhere, which nobody else can read.
    let own = key(Curve::Ed25519);
    let file = place.path("own.pem");
    fs::write(&file, &*own.to_pkcs8_pem().unwrap()).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let import = ["import", file.to_str().unwrap()];
    let (code, told) = place.keys(&import).await;
    assert!(code == 3 && told.contains("others can read"), "{told}");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let (code, told) = place.keys(&import).await;
    assert_eq!(code, 0, "{told}");
    assert!(published(&server).await.contains(&jkt(&own)), "without a restart");
    server.stop().await;
    let moved = place.path("ring.json");
    fs::rename(place.ring(), &moved).unwrap();
    let (code, told) = place.keys(&["revoke", &first[0]]).await;
    assert!(code == 3 && told.contains("put it back") && !place.ring().exists(), "{told}");
    fs::rename(&moved, place.ring()).unwrap();
    let (code, told) = place.keys(&["retire", &jkt(&own)]).await;
    assert_eq!(code, 0, "{told}");
    let (code, told) = place.keys(&["revoke", &first[0]]).await;
    assert_eq!(code, 0, "{told}");
    let (code, told) = place.keys(&["retire", &first[0]]).await;
    assert!(code == 1 && told.contains("was revoked"), "{told}");
    let (code, told) = place.keys(&["revoke", "nobody"]).await;
    assert!(code == 1 && told.contains("no key of that kid"), "{told}");
    let (code, set) = place.keys(&["export-public"]).await;
    let set: Value = serde_json::from_str(&set).unwrap();
    let kids: Vec<&Value> = set["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    // Whoever trusts this set trusts no key that was revoked.
    assert!(code == 0 && !kids.is_empty(), "{set}");
    assert!(!kids.contains(&&json!(first[0])) && !kids.contains(&&json!(jkt(&own))), "{set}");
    assert!(set["keys"].as_array().unwrap().iter().all(|key| key["use"] == "sig"));
    let (code, archive) = place.keys(&["export-public", "--all"]).await;
    let archive: Value = serde_json::from_str(&archive).unwrap();
    let find = |kid: &str| archive["keys"].as_array().unwrap().iter().find(|it| it["kid"] == kid);
    let (revoked, retired) = (find(&first[0]).unwrap(), find(&jkt(&own)).unwrap());
    assert!(code == 0 && revoked["state"] == "revoked" && revoked["revoked_at"].is_string());
    assert!(retired["state"] == "retired" && retired["withdrawn_at"].is_string());
    for set in [&set, &archive] {
        assert!(set["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()));
    }
    assert!(archive["keys"].as_array().unwrap().iter().all(|key| key.get("use").is_none()));

    reseals(&place).await;
    let mut server = place.start().await;
    assert!(!published(&server).await.contains(&first[0]));
    let (code, told) = place.keys(&["reseal", "--new-key-file", "x"]).await;
    assert!(code == 3 && told.contains("in use"), "{told}");
    let folder = place.path("store");
    let (code, told) = run(&["rotate", "--data-dir", folder.to_str().unwrap()]).await;
    assert_eq!(code, 0, "a running server is asked by its folder alone: {told}");
    server.stop().await;
    for command in ["rotate", "export-public"] {
        let (code, told) = run(&[command, "--data-dir", folder.to_str().unwrap()]).await;
        assert!(code == 1 && told.contains("--config"), "{told}");
    }
    // A key that somebody else has put into the ring is told to nobody.
    let mut ring: Value = serde_json::from_str(&fs::read_to_string(place.ring()).unwrap()).unwrap();
    let mut forged = ring["keys"].as_array().unwrap().last().unwrap().clone();
    let own = key(Curve::Ed25519);
    forged["jwk"] = serde_json::to_value(own.public_key().to_jwk()).unwrap();
    forged["kid"] = json!(jkt(&own));
    ring["keys"].as_array_mut().unwrap().push(forged);
    fs::write(place.ring(), ring.to_string()).unwrap();
    for command in ["export-public", "list"] {
        let (code, told) = place.keys(&[command]).await;
        assert!(code == 3 && told.contains("somebody else has changed it"), "{told}");
        assert!(!told.contains(&jkt(&own)), "{told}");
    }
}

/// Another secret, and the configuration that names it.
async fn reseals(place: &Place) {
    let phrase = place.path("phrase");
    fs::write(&phrase, "a passphrase of some length\n").unwrap();
    fs::set_permissions(&phrase, Permissions::from_mode(0o600)).unwrap();
    let before = place.list().await;
    let reseal = ["reseal", "--new-passphrase-file", phrase.to_str().unwrap()];
    let (code, told) = place.keys(&reseal).await;
    assert_eq!(code, 0, "{told}");
    let told = place.refuses_to_start().await;
    assert!(told.contains("write keys.passphrase_file"), "{told}");
    let config = fs::read_to_string(place.config()).unwrap();
    let old = format!("key_file = \"{}\"", place.path("sealing.key").display());
    let new = format!("passphrase_file = \"{}\"", phrase.display());
    fs::write(place.config(), config.replace(&old, &new)).unwrap();
    assert_eq!(place.list().await, before);
}

/// Where distributions put SoftHSM.
fn softhsm() -> Option<PathBuf> {
    if std::env::var_os("COUNTERSIGN_WITHOUT_SOFTHSM").is_some() {
        return None;
    }
    let folders =
        ["/usr/lib/softhsm", "/usr/lib64/softhsm", "/usr/lib64/pkcs11", "/usr/local/lib/softhsm"];
    let found = folders.iter().map(|folder| PathBuf::from(folder).join("libsofthsm2.so"));
    let found = found.into_iter().find(|path| path.exists());
    assert!(found.is_some(), "install softhsm2, or set COUNTERSIGN_WITHOUT_SOFTHSM");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_not_called_revoked_while_the_module_is_away() {
    let Some(module) = softhsm() else { return };
    let place = Place::new().await;
    let (tokens, conf, pin) =
        (place.path("tokens"), place.path("softhsm2.conf"), place.path("pin"));
    fs::create_dir(&tokens).unwrap();
    fs::write(&conf, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
    fs::write(&pin, "1234").unwrap();
    fs::set_permissions(&pin, Permissions::from_mode(0o600)).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "here", "--pin", "1234", "--so-pin", "5678"])
        .env("SOFTHSM2_CONF", &conf)
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let config = fs::read_to_string(place.config()).unwrap();
    let sealed = format!("key_file = \"{}\"", place.path("sealing.key").display());
    let in_module = format!(
        "custody = \"pkcs11\"\npkcs11_module = \"{}\"\npkcs11_token = \"here\"\n\
         pkcs11_pin_file = \"{}\"",
        module.display(),
        pin.display()
    );
    fs::write(place.config(), config.replace(&sealed, &in_module)).unwrap();
    let before = format!("export SOFTHSM2_CONF={}", conf.display());
    let start =
        async || Process::start_configured_after(place.port, &place.config(), &before).await;

    let mut server = start().await;
    let client = Client::new(&server.issuer);
    let (wallet, session) = (EvmWallet::new(), Arc::new(key(Curve::Ed25519)));
    let form = client.signed_message(&wallet, &session).await.unwrap();
    let answer = client.with_proof(form, &session).await.1.unwrap();
    let token = answer.text("access_token").to_owned();
    server.stop().await;
    fs::rename(&tokens, place.path("away")).unwrap();
    fs::create_dir(&tokens).unwrap();
    let mut server = start().await;
    let refused = client.revoke(&token).await.unwrap();
    assert_eq!((refused.status, refused.text("reason")), (503, "signing_unavailable"));
    // Back, and it is kept.
    fs::remove_dir(&tokens).unwrap();
    fs::rename(place.path("away"), &tokens).unwrap();
    let revoked = async {
        while client.revoke(&token).await.unwrap().status != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), revoked).await.unwrap();
    server.stop().await;
    let log = fs::read_dir(place.path("store/audit")).unwrap();
    let log = log.map(|file| fs::read_to_string(file.unwrap().path()).unwrap_or_default());
    assert_eq!(log.collect::<String>().matches("\"event\":\"revoked\"").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_is_not_kept_is_told_and_kept_at_the_latest_at_the_end() {
    let place = Place::new().await;
    let mut server = place.start().await;
    let first = place.in_state("active").await.pop().unwrap();
    // Nothing takes the ring's place any more.
    let in_the_way = place.path("store/keys/ring.json.unfinished");
    fs::create_dir(&in_the_way).unwrap();
    let (code, told) = place.keys(&["revoke", &first]).await;
    assert!(code == 0 && told.contains("\"ring\""), "{told}");
    fs::remove_dir(&in_the_way).unwrap();
    server.stop().await;
    assert_eq!(place.in_state("revoked").await, [&*first]);
    // Here nobody goes on trying.
    let second = place.in_state("active").await.pop().unwrap();
    fs::create_dir(&in_the_way).unwrap();
    let (code, told) = place.keys(&["revoke", &second]).await;
    assert!(code == 1 && told.contains("NOT KEPT"), "{told}");
    assert_eq!(place.in_state("active").await, [&*second]);
    fs::remove_dir(&in_the_way).unwrap();
    let (code, told) = place.keys(&["revoke", &second]).await;
    assert!(code == 0 && !told.contains("pending"), "{told}");
    assert_eq!(place.in_state("next").await.len(), 1, "and another stands by");
}
