//! What was answered is there after `kill -9` at any moment, and nothing that was used is taken again.
//!
//! Ten rounds here; `scripts/crash` makes as many as it is told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_sdk::key::Curve;
use tokio::task::JoinSet;

use crate::process::{Process, check, free_port};
use crate::support::{EvmWallet, key, rand_bytes};
use crate::wire_client::{Client, Fate, Kept, Sent};

const WORKERS: usize = 12;
/// Of the sessions of earlier rounds, how many are looked at after each.
const LOOKED_AT_AGAIN: usize = 40;

/// What a worker did before the server was gone.
#[derive(Default)]
struct Done {
    kept: Vec<Kept>,
    /// What was redeemed, or perhaps was.
    used: Vec<Sent>,
    answered: usize,
}

fn below(bound: usize) -> usize {
    usize::from(u16::from_be_bytes([rand_bytes()[0], rand_bytes()[1]])) % bound
}

/// Signs in, refreshes and revokes until no answer comes.
async fn work(client: Client) -> Done {
    let mut done = Done::default();
    while one(&client, &mut done).await.is_some() {
        done.answered += 1;
    }
    done
}

async fn one(client: &Client, done: &mut Done) -> Option<()> {
    let Done { kept, used, .. } = done;
    let alive: Vec<usize> = (0..kept.len())
        .filter(|at| kept[*at].fate == Fate::Alive && !kept[*at].in_flight)
        .collect();
    match below(10) {
        0..4 if !alive.is_empty() => {
            let session = &mut kept[alive[below(alive.len())]];
            session.in_flight = true;
            let (sent, answer) = client.refresh(session, session.tokens.last().unwrap()).await;
            used.push(sent);
            let answer = answer?;
            assert_eq!(answer.status, 200, "{answer:?}");
            session.tokens.push(answer.text("refresh_token").to_owned());
            session.in_flight = false;
        }
        4 if !alive.is_empty() => {
            let session = &mut kept[alive[below(alive.len())]];
            session.fate = Fate::Unknown;
            let answer = client.revoke(session.tokens.last().unwrap()).await?;
            assert_eq!(answer.status, 200, "{answer:?}");
            session.fate = Fate::Ended;
        }
        5 => {
            let (agent, form) = client.assertion();
            let (sent, answer) = client.with_proof(form, &agent).await;
            used.push(sent);
            let answer = answer?;
            assert!(
                answer.status == 200 || answer.body["reason"] == "assertion_expired",
                "{answer:?}"
            );
        }
        _ => {
            let (wallet, key) = (EvmWallet::new(), Arc::new(key(Curve::Ed25519)));
            let form = client.signed_message(&wallet, &key).await?;
            let (sent, answer) = client.with_proof(form, &key).await;
            used.push(sent);
            let answer = answer?;
            assert_eq!(answer.status, 200, "{answer:?}");
            let tokens = vec![answer.text("refresh_token").to_owned()];
            kept.push(Kept { key, tokens, in_flight: false, fate: Fate::Alive });
        }
    }
    Some(())
}

/// Compares what the server has with what it has answered; tells what the session is from now on.
async fn compare(client: &Client, kept: &mut Kept) {
    let count = kept.tokens.len();
    if kept.fate == Fate::Alive && !kept.in_flight && count > 2 && below(4) == 0 {
        // Were the last rotation forgotten, this would be the direct predecessor, and taken.
        let (_, answer) = client.refresh(kept, &kept.tokens[count - 3]).await;
        answer.unwrap().refused(400, "invalid_grant", "refresh_reused");
        kept.fate = Fate::Ended;
    }
    let (_, answer) = client.refresh(kept, &kept.tokens[count - 1]).await;
    let answer = answer.unwrap();
    match (kept.fate, answer.status) {
        (Fate::Alive | Fate::Unknown, 200) => {
            kept.tokens.push(answer.text("refresh_token").to_owned());
            (kept.fate, kept.in_flight) = (Fate::Alive, false);
        }
        (Fate::Ended | Fate::Unknown, _) => {
            answer.refused(400, "invalid_grant", "session_ended");
            kept.fate = Fate::Ended;
        }
        (Fate::Alive, _) => panic!("an answered session is gone: {answer:?}"),
    }
}

async fn nothing_used_is_taken_again(client: &Client, used: Vec<Sent>) {
    for sent in used.into_iter().rev().take(30) {
        let answer = client.send("/token", &sent).await.unwrap();
        assert_ne!(answer.status, 200, "with its proof: {:?}", sent.form);
        if sent.form[0].1 != "refresh_token" {
            // The one who may: the same key, with a proof of now.
            let nonce = answer.header("dpop-nonce").map(str::to_owned);
            let proof = client.proof(&sent.key, nonce.as_deref());
            let answer = client.send("/token", &Sent { proof, ..sent.clone() }).await.unwrap();
            assert_ne!(answer.status, 200, "with another proof: {:?}", sent.form);
        }
    }
}

/// Tells after each round, and at the end, what was done.
async fn rounds(folder: &Path, rounds: usize, tell: impl Fn(String)) {
    let port = free_port();
    let mut kept: Vec<Kept> = Vec::new();
    let (mut answered, mut slowest) = (0, Duration::ZERO);
    let mut server = Process::start(port, folder, "").await;
    let mut client = Client::new(&server.issuer);
    for round in 0..rounds {
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            workers.spawn(work(client.clone()));
        }
        tokio::time::sleep(Duration::from_millis(100 + 2 * below(300) as u64)).await;
        server.kill().await;
        let done = workers.join_all().await;
        server = Process::start(port, folder, "").await;
        slowest = slowest.max(server.ready_after);
        client = Client::new(&server.issuer);
        let before = kept.len();
        for worker in done {
            answered += worker.answered;
            kept.extend(worker.kept);
            nothing_used_is_taken_again(&client, worker.used).await;
        }
        for _ in 0..before.min(LOOKED_AT_AGAIN) {
            compare(&client, &mut kept[below(before)]).await;
        }
        for session in &mut kept[before..] {
            compare(&client, session).await;
        }
        tell(format!(
            "round {round}: {answered} answers, {} sessions, ready after {:?}",
            kept.len(),
            server.ready_after
        ));
    }
    for session in &mut kept {
        compare(&client, session).await;
    }
    server.stop().await;
    let report = check(folder).await;
    let alive = kept.iter().filter(|session| session.fate == Fate::Alive).count();
    assert_eq!(report["faults"], 0, "{report}");
    assert!(report["live"].as_u64().unwrap() >= alive as u64, "{alive} are alive: {report}");
    tell(format!(
        "{rounds} rounds, {answered} answers, {} sessions, slowest start {slowest:?}: {report}",
        kept.len()
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    rounds(&folder.path().join("store"), 10, |line| println!("{line}")).await;
}

/// The same for as many rounds as `CRASH_ROUNDS` says, by `scripts/crash`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; scripts/crash runs it"]
async fn what_was_answered_outlives_many_kills() {
    let told = std::env::var_os("CRASH_ROUNDS").and_then(|rounds| rounds.to_str()?.parse().ok());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("store");
    rounds(&folder, told.unwrap_or(200), |line| println!("{line}")).await;
}
