//! `countersign admin` as processes, against a server that is one: an agent's key and a wallet's as operators.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::command_line::run;
use crate::process::{Process, free_port};

/// Two operators with key files, a stranger, and a server that takes two for a key operation.
struct Office {
    folder: TempDir,
    server: Process,
    operations: String,
}

/// How each signs in: the name of the key file, its curve, and what is typed.
const AGENT: (&str, &str, &[&str]) = ("agent", "ed25519", &[]);
const WALLET: (&str, &str, &[&str]) = ("wallet", "secp256k1", &["--format", "siwe"]);
const STRANGER: (&str, &str, &[&str]) = ("stranger", "ed25519", &[]);

impl Office {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut names = Vec::new();
        for (name, curve, _) in [AGENT, WALLET, STRANGER] {
            let path = folder.path().join(format!("{name}.pem"));
            let made =
                run(&["--json", "keygen", "--curve", curve, "--out", path.to_str().unwrap()]).await;
            assert!(made.status.success(), "{made:?}");
            names.push(serde_json::from_slice::<Value>(&made.stdout).unwrap());
        }
        let account = |names: &Value, prefix: &str| {
            let text = names.to_string();
            let at = text.find(prefix).unwrap_or_else(|| panic!("{prefix} in {text}"));
            text[at..].split('"').next().unwrap().to_owned()
        };
        let scopes =
            "scopes = [\"admin:read\", \"admin:keys\", \"admin:sessions\", \"admin:audit\"]";
        let (agent, wallet) = (account(&names[0], "did:key:"), account(&names[1], "eip155:1:"));
        let config = format!(
            "issuer = \"http://127.0.0.1:{port}\"\n[admin]\napprovals = 2\n{}\
             [[resources]]\nuri = \"https://escrow.example\"\nscopes = [\"read\"]\n\
             [[operators]]\naccount = \"{agent}\"\n{scopes}\n\
             [[operators]]\naccount = \"{wallet}\"\n{scopes}\n",
            crate::support::MEMORY,
        );
        let file = folder.path().join("countersign.toml");
        std::fs::write(&file, config).unwrap();
        let server = Process::configured(port, &file).await;
        let operations = server.health.trim_end_matches("/health/ready").to_owned();
        Self { folder, server, operations }
    }

    fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.pem"))
    }

    async fn admin(&self, (name, _, how): (&str, &str, &[&str]), command: &[&str]) -> Output {
        let key = self.key(name);
        let who = [
            "--json",
            "admin",
            "--issuer",
            &self.server.issuer,
            "--operations-url",
            &self.operations,
            "--operator-key",
            key.to_str().unwrap(),
        ];
        run(&[&who[..], how, command].concat()).await
    }
}

#[track_caller]
fn answered(done: &Output) -> Value {
    assert!(done.status.success(), "{done:?}");
    serde_json::from_slice(&done.stdout).unwrap()
}

#[track_caller]
fn refused(done: &Output, reason: &str) {
    let told: Value = serde_json::from_slice(&done.stderr).unwrap();
    assert_eq!((done.status.code(), told["reason"].as_str()), (Some(1), Some(reason)), "{done:?}");
    assert!(done.stdout.is_empty());
}

fn active(keys: &Value) -> String {
    let mut keys = keys["keys"].as_array().unwrap().iter();
    keys.find(|key| key["state"] == "active").unwrap()["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn two_operators_revoke_a_key_and_it_is_on_record() {
    let office = Office::open().await;
    let kid = active(&answered(&office.admin(AGENT, &["keys", "list"]).await));
    refused(&office.admin(STRANGER, &["keys", "list"]).await, "account_not_allowed");
    let asked = answered(&office.admin(AGENT, &["keys", "revoke", &kid]).await);
    assert_eq!(asked["approval"]["operation"]["kid"], kid);
    let id = asked["approval"]["id"].as_str().unwrap();
    let approved = ["approve", id, "keys.revoke", &kid];
    refused(&office.admin(AGENT, &approved).await, "approval_not_distinct");
    let waiting = answered(&office.admin(WALLET, &["approvals"]).await);
    assert_eq!(waiting["approvals"][0]["id"], id);
    // Who was told that it is something else approves nothing.
    for told in [&["keys.rotate"][..], &["keys.revoke"], &["revocations.everything"]] {
        let other = office.admin(WALLET, &[&["approve", id], told].concat()).await;
        refused(&other, "approval_mismatch");
    }
    let done = answered(&office.admin(WALLET, &approved).await);
    assert_eq!(
        (&done["key"]["kid"], &done["key"]["state"]),
        (&kid.as_str().into(), &"revoked".into())
    );
    // What the revoked key signed in this second ends with it; a sign-in of the next one holds.
    let keys = loop {
        let keys = office.admin(WALLET, &["keys", "list"]).await;
        if keys.status.success() {
            break answered(&keys);
        }
        let told: Value = serde_json::from_slice(&keys.stderr).unwrap();
        assert!(
            ["token_revoked", "session_ended"].contains(&told["reason"].as_str().unwrap()),
            "{told}"
        );
    };
    assert_ne!(active(&keys), kid);
    refused(&office.admin(WALLET, &approved).await, "approval_unknown");

    let found = answered(&office.admin(AGENT, &["audit", "--event", "operator_action"]).await);
    let outcomes: Vec<(&str, &str)> = found["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| (&record["body"]["action"], &record["body"]["outcome"]))
        .map(|(action, outcome)| (action.as_str().unwrap(), outcome.as_str().unwrap()))
        .collect();
    for expected in [
        ("keys.revoke", "requested"),
        ("approvals.approve", "refused"),
        ("approvals.approve", "approved"),
        ("keys.revoke", "done"),
    ] {
        assert!(outcomes.contains(&expected), "{expected:?} in {outcomes:?}");
    }
}

#[tokio::test]
async fn commands_leave_no_session_elsewhere_and_end_those_of_others() {
    let office = Office::open().await;
    let wallet = office.key("stranger");
    let kept = office.folder.path().join("sessions");
    let login = [
        "login",
        "--issuer",
        &office.server.issuer,
        "--key",
        wallet.to_str().unwrap(),
        "--format",
        "siws",
        "--resource",
        "https://escrow.example",
        "--scope",
        "read",
        "--keep",
        "demo",
        "--sessions",
        kept.to_str().unwrap(),
    ];
    assert!(run(&login).await.status.success());
    let session: Value =
        serde_json::from_slice(&std::fs::read(kept.join("demo.json")).unwrap()).unwrap();
    let subject = session["sub"].as_str().unwrap();
    let list = async || {
        let listed = office.admin(WALLET, &["sessions", "--subject", subject]).await;
        answered(&listed)["sessions"].as_array().unwrap().clone()
    };
    assert_eq!(list().await.len(), 1);
    let sessions = list().await;
    assert_eq!((sessions.len(), &sessions[0]["id"]), (1, &session["session_id"]));
    let id = sessions[0]["id"].as_str().unwrap();
    let ended = office.admin(AGENT, &["sessions", "--end", id]).await;
    assert!(ended.status.success(), "{ended:?}");
    assert!(list().await.is_empty());
    refused(&office.admin(AGENT, &["sessions", "--end", id]).await, "session_unknown");
    // A key may be an operator's: it takes both of them.
    let revoked = answered(&office.admin(AGENT, &["revoke", "--of-key", &"A".repeat(43)]).await);
    assert_eq!(revoked["approval"]["operation"]["target"], "A".repeat(43));
    let id = revoked["approval"]["id"].as_str().unwrap();
    let approved = ["approve", id, "revocations.add", &"A".repeat(43)];
    let approved = office.admin(WALLET, &approved).await;
    assert!(approved.status.success(), "{approved:?}");
    let listed = answered(&office.admin(AGENT, &["revocations"]).await);
    assert_eq!(listed["entries"].as_array().unwrap().len(), 2);
    for wrong in [
        &["revoke"][..],
        &["approve", "../../x", "keys.rotate"],
        &["approve", id],
        &["approve", id, "the.rotation"],
        &["keys", "revoke", "x"],
        &["sessions"],
    ] {
        assert_eq!(office.admin(AGENT, wrong).await.status.code(), Some(2), "{wrong:?}");
    }
    // For people: a table, and nothing on standard error.
    let key = office.key("agent");
    let at = ["--issuer", &office.server.issuer, "--operations-url", &office.operations];
    let who = ["--operator-key", key.to_str().unwrap()];
    let table = run(&[&["admin", "keys", "list"][..], &at, &who].concat()).await;
    let shown = String::from_utf8(table.stdout).unwrap();
    assert!(shown.starts_with("KID") && shown.contains("active"), "{shown}");
    assert!(table.stderr.is_empty());
}
