//! A wallet's session on the command line: kept, renewed by each process, listed, and ended.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::command_line::{Desk, age, api, command, plain, run};
use crate::support::Server;

const OK: &str = "done";

/// Signs a wallet in and keeps the session as `name`.
async fn wallet_desk(server: &Server, api: &str, names: &[&str]) -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let sessions = folder.path().join("sessions");
    let desk = Desk { folder, sessions };
    let key = desk.folder.path().join("wallet.pem");
    let key = key.to_str().unwrap();
    assert!(run(&["keygen", "--curve", "secp256k1", "--out", key]).await.status.success());
    for name in names {
        let login = ["login", "--issuer", &server.issuer, "--key", key, "--format", "siwe"];
        let wanted = ["--resource", api, "--scope", "read", "--label", name];
        let kept = ["--keep", name, "--sessions", desk.sessions()];
        let done = run(&[&login[..], &wanted, &kept].concat()).await;
        assert!(done.status.success(), "{done:?}");
    }
    desk
}

fn file(desk: &Desk, name: &str) -> PathBuf {
    desk.sessions.join(format!("{name}.json"))
}

fn kept(desk: &Desk, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(file(desk, name)).unwrap()).unwrap()
}

#[tokio::test]
async fn processes_that_share_a_session_renew_it_in_turns() {
    let server = Server::with_system_clock().await;
    let (origin, _) = api(|| plain(200, OK)).await;
    let desk = wallet_desk(&server, &origin, &["demo"]).await;
    for _ in 0..3 {
        let before = kept(&desk, "demo");
        age(&file(&desk, "demo"));
        let args = ["call", "--session", "demo", "--sessions", desk.sessions(), "GET", &origin];
        let processes: Vec<_> = (0..4).map(|_| command(&args).spawn().unwrap()).collect();
        for process in processes {
            let done = process.wait_with_output().await.unwrap();
            assert_eq!((done.status.code(), done.stdout.as_slice()), (Some(0), OK.as_bytes()));
            assert!(done.stderr.is_empty(), "{done:?}");
        }
        let after = kept(&desk, "demo");
        assert_ne!(after["refresh_token"], before["refresh_token"]);
        assert_eq!(after["session_id"], before["session_id"]);
        assert_eq!(after["label"], "demo");
    }
}

/// Killed at any moment of a renewal, before the request or after the answer.
#[tokio::test]
async fn a_process_that_is_killed_leaves_the_session_whole() {
    let server = Server::with_system_clock().await;
    let (origin, _) = api(|| plain(200, OK)).await;
    let desk = wallet_desk(&server, &origin, &["demo"]).await;
    let session = kept(&desk, "demo")["session_id"].clone();
    let args = ["call", "--session", "demo", "--sessions", desk.sessions(), "GET", &origin];
    for moment in 0..40 {
        age(&file(&desk, "demo"));
        let mut process = command(&args).spawn().unwrap();
        let moment = std::time::Duration::from_millis(moment);
        if tokio::time::timeout(moment, process.wait()).await.is_err() {
            process.kill().await.unwrap();
        }
        assert_eq!(kept(&desk, "demo")["session_id"], session);
    }
    age(&file(&desk, "demo"));
    let done = desk.call(&["GET", &origin]).await;
    assert_eq!((done.status.code(), done.stdout.as_slice()), (Some(0), OK.as_bytes()), "{done:?}");
    // What was left half-way is gone.
    let files = std::fs::read_dir(&desk.sessions).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(files.into_iter().all(|file| !file.to_str().unwrap().ends_with(".new")));
}

#[tokio::test]
async fn a_session_of_the_first_version_goes_on() {
    let server = Server::with_system_clock().await;
    let (origin, _) = api(|| plain(200, OK)).await;
    let desk = Desk::signed_in(&server, &origin).await;
    let mut first = kept(&desk, "demo");
    let key = first["signed_by"]["agent_key"].take();
    first["version"] = json!(1);
    first["signed_by"] = json!({ "agent_key_file": key });
    first.as_object_mut().unwrap().remove("jkt");
    std::fs::write(file(&desk, "demo"), first.to_string()).unwrap();
    age(&file(&desk, "demo"));
    assert_eq!(desk.call(&["GET", &origin]).await.stdout, OK.as_bytes());
    assert_eq!(kept(&desk, "demo")["version"], 2);
}

#[tokio::test]
async fn inspect_explains_a_refresh_token_and_keeps_it_to_itself() {
    let server = Server::with_system_clock().await;
    let (origin, _) = api(|| plain(200, OK)).await;
    let desk = wallet_desk(&server, &origin, &["demo"]).await;
    let session = kept(&desk, "demo");
    let token = session["refresh_token"].as_str().unwrap();
    let path = desk.folder.path().join("token");
    std::fs::write(&path, token).unwrap();
    let done = run(&["inspect", &format!("@{}", path.display())]).await;
    let shown = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(4), "{shown}");
    assert!(shown.contains(session["session_id"].as_str().unwrap()), "{shown}");
    assert!(shown.contains("checksum   right"), "{shown}");
    assert!(!shown.contains(&token[40..]), "{shown}");
    std::fs::write(&path, token.replace("cs_rt_", "cs_rt_A")).unwrap();
    let done = run(&["inspect", &format!("@{}", path.display())]).await;
    assert_eq!(done.status.code(), Some(1));
}

#[tokio::test]
async fn nothing_is_removed_while_the_issuer_is_out_of_reach() {
    let server = Server::with_system_clock().await;
    let (origin, _) = api(|| plain(200, OK)).await;
    let desk = wallet_desk(&server, &origin, &["demo"]).await;
    let at = ["--session", "demo", "--sessions", desk.sessions()];
    server.shut_down().await;
    let done = run(&[&["logout"][..], &at].concat()).await;
    assert_eq!(done.status.code(), Some(6), "{done:?}");
    assert!(String::from_utf8(done.stderr).unwrap().contains("--forget"));
    assert!(file(&desk, "demo").exists());
    // A file that cannot be read is forgotten, too.
    std::fs::write(file(&desk, "demo"), "half").unwrap();
    assert_eq!(run(&[&["logout"][..], &at].concat()).await.status.code(), Some(3));
    let done = run(&[&["logout", "--forget", "--json"][..], &at].concat()).await;
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told, json!({"session": "demo", "ended_at_issuer": false, "removed": true}));
    assert_eq!(std::fs::read_dir(&desk.sessions).unwrap().count(), 0);
    let again = run(&[&["logout", "--forget"][..], &at].concat()).await;
    assert_eq!(again.status.code(), Some(2));
}

#[tokio::test]
async fn sessions_are_listed_ended_and_logged_out() {
    let server = Server::with_system_clock().await;
    let (origin, _) = api(|| plain(200, OK)).await;
    let desk = wallet_desk(&server, &origin, &["laptop", "phone", "tablet"]).await;
    let ask = async |command: &str, more: &[&str]| {
        run(&[&[command, "--sessions", desk.sessions()], more].concat()).await
    };
    // Which of the three is meant has to be said.
    assert_eq!(ask("sessions", &[]).await.status.code(), Some(2));
    let listed = ask("sessions", &["--session", "laptop", "--json"]).await;
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    for one in sessions {
        assert_eq!(one["current"], one["label"] == "laptop");
        assert_eq!(one["id"], kept(&desk, one["label"].as_str().unwrap())["session_id"]);
    }
    let table = ask("sessions", &["--session", "phone"]).await.stdout;
    let table = String::from_utf8(table).unwrap();
    assert!(table.lines().any(|line| line.starts_with("* ") && line.contains("phone")), "{table}");
    assert_eq!(table.lines().count(), 4);

    // One that another ended asks for its person.
    let phone = kept(&desk, "phone")["session_id"].as_str().unwrap().to_owned();
    let end = ["--session", "laptop", "--end", &phone];
    assert!(ask("sessions", &end).await.status.success());
    assert_eq!(ask("sessions", &end).await.status.code(), Some(1));
    age(&file(&desk, "phone"));
    let call = async |name: &str| ask("call", &["--session", name, "GET", &origin]).await;
    let ended = call("phone").await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(String::from_utf8(ended.stderr).unwrap().contains("sign in again"));

    // A copy of a session that was logged out is worth nothing.
    let copy = std::fs::read(file(&desk, "tablet")).unwrap();
    assert!(ask("logout", &["--session", "tablet"]).await.status.success());
    assert!(!file(&desk, "tablet").exists());
    std::fs::write(file(&desk, "laptop"), copy).unwrap();
    age(&file(&desk, "laptop"));
    assert_eq!(call("laptop").await.status.code(), Some(1));
}

#[tokio::test]
async fn the_only_session_ends_them_all() {
    let server = Server::with_system_clock().await;
    let (origin, _) = api(|| plain(200, OK)).await;
    let desk = wallet_desk(&server, &origin, &["demo"]).await;
    let done = run(&["sessions", "--end-all", "--json", "--sessions", desk.sessions()]).await;
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told, json!({"ended": "all"}));
    assert_eq!(std::fs::read_dir(&desk.sessions).unwrap().count(), 0);
}
