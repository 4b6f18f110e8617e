//! A server whose disk is full or cannot be written says so, believes nothing meanwhile, and goes on by itself.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use countersign_sdk::key::Curve;
use tokio::process::Command;
use tokio::time::timeout;

use crate::process::{Process, check, free_port};
use crate::support::{Answer, EvmWallet, key};
use crate::wire_client::{Client, Fate, Kept};

/// What may be written beyond what a new store has, in blocks of 512 bytes.
const ROOM: u64 = 2048 + 512;

async fn sign_in(client: &Client) -> Result<Kept, Answer> {
    let (wallet, key) = (EvmWallet::new(), Arc::new(key(Curve::Ed25519)));
    let form = client.signed_message(&wallet, &key).await.unwrap();
    let (_, answer) = client.with_proof(form, &key).await;
    match answer.unwrap() {
        answer if answer.status == 200 => {
            let tokens = vec![answer.text("refresh_token").to_owned()];
            Ok(Kept { key, tokens, in_flight: false, fate: Fate::Alive })
        }
        refused => Err(refused),
    }
}

async fn is_ready(server: &Process) -> bool {
    reqwest::get(&server.health).await.unwrap().status() == 200
}

/// Waits until it is, or no longer is.
async fn until_ready(server: &Process, ready: bool) {
    let changed = async {
        while is_ready(server).await != ready {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), changed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_survived() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("store");
    // What the file may grow to is bounded, as a full disk bounds it, and can be raised again.
    let bounded = format!("trap '' XFSZ; ulimit -S -f {ROOM}");
    let mut server = Process::start(free_port(), &folder, &bounded).await;
    let client = Client::new(&server.issuer);
    assert!(is_ready(&server).await);
    let mut answered = Vec::new();
    let refused = loop {
        match sign_in(&client).await {
            Ok(kept) => answered.push(kept),
            Err(refused) => break refused,
        }
        assert!(answered.len() < 20_000, "the disk never filled");
    };
    // Whichever of the two files is full first.
    let reason = refused.text("reason");
    assert!(["store_unavailable", "audit_unavailable"].contains(&reason), "{reason}");
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());

    // Room again: nobody starts anything.
    let pid = server.child.id().unwrap().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().await;
    assert!(raised.unwrap().success());
    until_ready(&server, true).await;
    let late = async {
        loop {
            if let Ok(kept) = sign_in(&client).await {
                return kept;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    answered.push(timeout(Duration::from_secs(60), late).await.unwrap());
    for kept in answered.iter().rev().take(50) {
        let (_, answer) = client.refresh(kept, &kept.tokens[0]).await;
        assert_eq!(answer.unwrap().status, 200, "whatever was answered is there");
    }
    server.stop().await;
    let report = check(&folder).await;
    assert_eq!(report["faults"], 0, "{report}");
    let signed_in = crate::audit::jtis(&folder).await;
    assert!(signed_in.len() >= answered.len(), "{} of {}", signed_in.len(), answered.len());
    // What was refused may have been written all the same.
    assert!(report["sessions"].as_u64().unwrap() >= answered.len() as u64, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_at_all_is_a_503_until_there_is_some() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("store");
    let port = free_port();
    let mut server = Process::start(port, &folder, "").await;
    let client = Client::new(&server.issuer);
    let kept = sign_in(&client).await.ok().unwrap();
    server.stop().await;
    let mut server = Process::start(port, &folder, "trap '' XFSZ").await;
    let pid = server.child.id().unwrap().to_string();
    let bound = async |bytes: &str| {
        let bound = format!("--fsize={bytes}:");
        let done = Command::new("prlimit").args(["--pid", &pid, &bound]).status().await.unwrap();
        assert!(done.success());
    };
    bound("0").await;
    let refused = sign_in(&client).await.err().unwrap();
    assert_eq!((refused.status, refused.text("reason")), (503, "store_unavailable"));
    until_ready(&server, false).await;
    let (_, answer) = client.refresh(&kept, &kept.tokens[0]).await;
    assert_eq!(answer.unwrap().status, 503, "nothing is believed meanwhile");
    bound("unlimited").await;
    until_ready(&server, true).await;
    let (_, answer) = client.refresh(&kept, &kept.tokens[0]).await;
    assert_eq!(answer.unwrap().status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_looked_after_while_the_server_runs() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("store");
    let mut server = Process::start(free_port(), &folder, "").await;
    let client = Client::new(&server.issuer);
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(sign_in(&client).await.ok().unwrap());
    }
    let store = async |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let done = command.arg("--json").arg("store").args(args).arg("--data-dir").arg(&folder);
        let done = done.output().await.unwrap();
        (
            done.status.code().unwrap(),
            String::from_utf8([done.stdout, done.stderr].concat()).unwrap(),
        )
    };
    assert_eq!(check(&folder).await["live"], 3, "over the control socket");
    let out = outer.path().join("backup.redb");
    let backup = ["backup", out.to_str().unwrap()];
    assert_eq!(store(&backup).await.0, 0);
    let (code, told) = store(&backup).await;
    assert!(code == 1 && told.contains("backup.redb"), "nothing is overwritten: {told}");
    let restore = ["restore", out.to_str().unwrap()];
    let (code, told) = store(&restore).await;
    assert!(code == 3 && told.contains("in use"), "{told}");
    let (code, _) = store(&["revoke", "--everything"]).await;
    assert_eq!(code, 0);
    for kept in &sessions {
        let (_, answer) = client.refresh(kept, &kept.tokens[0]).await;
        answer.unwrap().refused(400, "invalid_grant", "session_ended");
    }
    server.stop().await;
    assert!(!folder.join("control.sock").exists());

    // Stopped, the same commands have the file to themselves. The backup knows nothing of the end.
    assert_eq!(check(&folder).await["live"], 0);
    let (code, told) = store(&restore).await;
    assert!(code == 3 && told.contains("--replace"), "{told}");
    let (code, told) = store(&[&restore[..], &["--replace", "--keep-sessions"]].concat()).await;
    assert_eq!(code, 0, "{told}");
    assert_eq!(check(&folder).await["live"], 3);
    let (code, _) = store(&["revoke", "--subject", "eip155:1:0x1"]).await;
    assert_eq!(code, 2, "an account is no subject");
    let (code, told) = store(&[&restore[..], &["--replace"]].concat()).await;
    assert!(code == 0 && told.contains("\"live\": 0"), "{told}");

    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let (code, told) = store(&["check"]).await;
    assert!(code == 3 && told.contains("chmod 700"), "{told}");
}
