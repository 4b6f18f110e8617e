//! Nobody is logged out by a lost answer, and whoever uses an old refresh token again is found.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use countersign_sdk::account::Account;
use countersign_sdk::client::{ClientError, Http, InMemoryWallet, Session, SignIn, Wallet};
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::key::{Curve, InMemorySigner, SignerError};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::lossy::LossyProxy;
use crate::support::{Answer, EvmWallet, SIGNED_MESSAGE, Server, dpop, jkt, key};

const SESSIONS: usize = 1000;
const ROUNDS: usize = 4;
const CALLERS: usize = 3;
const LOSS_PERCENT: u64 = 20;

/// A wallet's session, as a client that knows nothing but the contract keeps it.
struct Kept {
    key: InMemorySigner,
    access_token: String,
    /// Every refresh token that was received, the newest last.
    tokens: Vec<String>,
}

async fn behind_a_lossy_proxy(seed: u64) -> (Server, Arc<LossyProxy>) {
    let (listener, url) = LossyProxy::listener().await;
    let server = Server::configured(&format!(
        "issuer = \"{url}\"\n[limits]\nrequests_per_minute = \"off\"\n\
         [[resources]]\nuri = \"https://escrow.example\"\nscopes = [\"read\"]\ndefault_scopes = [\"read\"]\n"
    ))
    .await;
    let proxy = LossyProxy::run(listener, server.base().to_owned(), seed);
    (server, proxy)
}

async fn sign_in(server: &Server) -> Kept {
    let (wallet, key) = (EvmWallet::new(), key(Curve::Ed25519));
    let challenge =
        server.challenge(&json!({ "account": wallet.account(), "dpop_jkt": jkt(&key) })).await;
    let message = challenge.text("message");
    let signature = wallet.sign(message);
    let form = [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &signature)];
    let answer = server.token(&form, Some(&server.proof(&key))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    Kept {
        key,
        access_token: answer.text("access_token").to_owned(),
        tokens: vec![answer.text("refresh_token").to_owned()],
    }
}

/// Presents a refresh token through `url`; `None` when the answer was lost.
async fn refresh(server: &Server, url: &str, key: &InMemorySigner, token: &str) -> Option<Answer> {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let request = server.http.post(format!("{url}/token")).form(&form);
    let sent = request.header("DPoP", server.proof(key)).send().await.ok()?;
    Some(Answer::read(sent).await)
}

/// Callers at once, each until it has an answer: all get the same successor.
async fn refresh_by_many(server: &Server, url: &str, kept: &mut Kept) {
    let current = kept.tokens.last().unwrap().clone();
    let one = async |kept: &Kept| loop {
        let Some(answer) = refresh(server, url, &kept.key, &current).await else { continue };
        // A request that the network sent twice: its proof was used by the first.
        if answer.body["reason"] == "proof_replayed" {
            continue;
        }
        assert_eq!(answer.status, 200, "forced to sign in again: {answer:?}");
        return answer;
    };
    let (a, b, c) = tokio::join!(one(kept), one(kept), one(kept));
    let successors = [&a, &b, &c].map(|answer| answer.text("refresh_token").to_owned());
    assert_eq!(successors.len(), CALLERS);
    assert!(successors.iter().all(|successor| *successor == successors[0]), "one live successor");
    kept.access_token = a.text("access_token").to_owned();
    kept.tokens.push(successors[0].clone());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sessions_outlive_lost_late_and_doubled_answers() {
    let (server, proxy) = behind_a_lossy_proxy(1).await;
    let server = Arc::new(server);
    // So many at once; each has three callers, and a process only so many files.
    let places = Arc::new(Semaphore::new(50));
    let mut signing_in = JoinSet::new();
    for _ in 0..SESSIONS {
        let (server, places) = (Arc::clone(&server), Arc::clone(&places));
        signing_in.spawn(async move {
            let _place = places.acquire().await.unwrap();
            sign_in(&server).await
        });
    }
    let sessions = signing_in.join_all().await;

    proxy.lose(LOSS_PERCENT);
    let mut refreshing = JoinSet::new();
    for mut kept in sessions {
        let (server, url) = (Arc::clone(&server), proxy.url.clone());
        let places = Arc::clone(&places);
        refreshing.spawn(async move {
            let _place = places.acquire().await.unwrap();
            for _ in 0..ROUNDS {
                refresh_by_many(&server, &url, &mut kept).await;
            }
            kept
        });
    }
    let sessions = refreshing.join_all().await;
    proxy.lose(0);
    let toll = &proxy.toll;
    println!("{toll:?}");
    for done in [&toll.lost, &toll.delayed, &toll.doubled] {
        assert!(done.load(Ordering::Relaxed) > SESSIONS, "the proxy did what it is for: {toll:?}");
    }

    // Whoever has a token older than the direct predecessor, and even the key, is found.
    let mut stealing = JoinSet::new();
    for (number, kept) in sessions.into_iter().enumerate() {
        let (server, places) = (Arc::clone(&server), Arc::clone(&places));
        stealing.spawn(async move {
            let _place = places.acquire().await.unwrap();
            let base = server.base().to_owned();
            let again =
                async |token: &str| refresh(&server, &base, &kept.key, token).await.unwrap();
            let direct = again(&kept.tokens[ROUNDS - 1]).await;
            assert_eq!(direct.text("refresh_token"), kept.tokens[ROUNDS], "the same successor");
            let stolen = &kept.tokens[number % (ROUNDS - 1)];
            again(stolen).await.refused(400, "invalid_grant", "refresh_reused");
            again(&kept.tokens[ROUNDS]).await.refused(400, "invalid_grant", "session_ended");
        });
    }
    stealing.join_all().await;
}

/// A person who signs once, and counts how often she is asked.
#[derive(Debug)]
struct Person {
    wallet: InMemoryWallet,
    asked: AtomicUsize,
}

#[async_trait]
impl Wallet for Person {
    fn account(&self) -> &Account {
        self.wallet.account()
    }

    fn format(&self) -> &str {
        self.wallet.format()
    }

    async fn sign_message(&self, message: &str) -> Result<String, SignerError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.wallet.sign_message(message).await
    }
}

/// Callers of the SDK's sessions, each session with several at once, while tokens end and answers
/// are lost: all get fresh tokens in the end, and nobody is asked to sign again.
#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_keeps_a_thousand_sessions_through_lost_answers() {
    let (server, proxy) = behind_a_lossy_proxy(2).await;
    let clock = Arc::clone(&server.clock);
    let places = Arc::new(Semaphore::new(50));
    let mut signing_in = JoinSet::new();
    for _ in 0..SESSIONS {
        let (url, clock, places) = (proxy.url.clone(), Arc::clone(&clock), Arc::clone(&places));
        signing_in.spawn(async move {
            let _place = places.acquire().await.unwrap();
            let wallet = InMemoryWallet::ethereum(key(Curve::Secp256k1), 1).unwrap();
            let person = Arc::new(Person { wallet, asked: AtomicUsize::new(0) });
            let http = Http::with(clock, Arc::new(OsEntropy)).unwrap();
            let sign_in = SignIn::new(url).resource("https://escrow.example").http(http);
            let session = sign_in.wallet(Arc::clone(&person) as _).await.unwrap();
            (Arc::new(session), person)
        });
    }
    let sessions = signing_in.join_all().await;
    proxy.lose(LOSS_PERCENT);
    for _ in 0..2 {
        clock.advance(300);
        let mut waiting: Vec<Arc<Session>> =
            sessions.iter().map(|(session, _)| Arc::clone(session)).collect();
        while !waiting.is_empty() {
            let mut calling = JoinSet::new();
            for session in waiting {
                let places = Arc::clone(&places);
                calling.spawn(async move {
                    let _place = places.acquire().await.unwrap();
                    let token = || session.access_token();
                    let got: [_; CALLERS] = tokio::join!(token(), token(), token()).into();
                    let fresh = got.iter().flatten().next().cloned();
                    for result in got {
                        assert!(!matches!(result, Err(ClientError::SignInRequired)), "{result:?}");
                        // Whoever got one got the same one.
                        assert!(
                            result.is_err()
                                || result.ok().map(|token| token.access_token.clone())
                                    == fresh.as_ref().map(|token| token.access_token.clone())
                        );
                    }
                    fresh.is_none().then_some(session)
                });
            }
            waiting = calling.join_all().await.into_iter().flatten().collect();
            // Who failed pauses for a while.
            clock.advance(if waiting.is_empty() { 0 } else { 31 });
        }
    }
    proxy.lose(0);
    println!("{:?}", proxy.toll);
    assert!(proxy.toll.lost.load(Ordering::Relaxed) > SESSIONS / 3);
    for (session, person) in sessions {
        assert_eq!(person.asked.load(Ordering::Relaxed), 1, "forced to sign in again");
        drop(session);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_proof_consumes_nothing() {
    let server = Server::development().await;
    let (wallet, key_of_session) = (EvmWallet::new(), key(Curve::P256));
    let challenge = server
        .challenge(&json!({
            "account": wallet.account(), "dpop_jkt": jkt(&key_of_session),
            "resource": crate::support::RESOURCE,
        }))
        .await;
    let message = challenge.text("message");
    let signature = wallet.sign(message);
    let form = [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &signature)];
    let first = server.token(&form, Some(&server.proof(&key_of_session))).await;
    let token = first.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let thief = key(Curve::Ed25519);
    server.token(&form, Some(&server.proof(&thief))).await.refused(
        400,
        "invalid_dpop_proof",
        "proof_key_mismatch",
    );
    server.token(&form, None).await.refused(400, "invalid_dpop_proof", "proof_required");
    let elsewhere = dpop(&key_of_session, "http://127.0.0.1:1/token", server.now(), json!({}));
    server.token(&form, Some(&elsewhere)).await.refused(400, "invalid_dpop_proof", "proof_invalid");
    let second = server.token(&form, Some(&server.proof(&key_of_session))).await;
    let claims = second.claims();
    assert_eq!(claims["sid"], second.body["session_id"]);
    assert_eq!(claims["sid"], first.body["session_id"]);
    assert_eq!(claims["cnf"]["jkt"], json!(jkt(&key_of_session)));
    assert_ne!(second.text("refresh_token"), token);
}
