//! The wallet's way against a double: what is asked, what is signed, and what never is.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::super::double::{Double, challenge, metadata, token};
use super::super::{ClientError, InMemoryWallet};
use super::*;
use crate::account::Account;
use crate::entropy::OsEntropy;
use crate::key::SignerError;
use crate::time::{Clock as _, SystemClock};

fn new_key(curve: Curve) -> InMemorySigner {
    InMemorySigner::generate(curve, &OsEntropy).unwrap()
}

async fn issuer(alter: fn(String) -> String) -> Double {
    Double::start(move |origin, request| match request.line.split(' ').nth(1) {
        Some("/challenge") => {
            let (status, headers, body) = challenge(origin, request, SystemClock.now());
            (status, headers, alter(body))
        }
        Some("/token") => token("a-token", 300),
        _ => metadata(origin),
    })
    .await
}

#[tokio::test]
async fn a_wallet_names_the_session_key_and_a_bare_key_does_not() {
    for with_session_key in [true, false] {
        let double = issuer(|body| body).await;
        let bytes = new_key(Curve::Secp256k1).secret_bytes();
        let key = || InMemorySigner::from_bytes(Curve::Secp256k1, &bytes).unwrap();
        let wallet = Arc::new(InMemoryWallet::raw(key()).unwrap());
        let mut sign_in = SignIn::new(&double.origin).resource("https://a.example").scope("read");
        if !with_session_key {
            sign_in = sign_in.proven_key(Arc::new(key()));
        }
        let session = sign_in.wallet(wallet).await.unwrap();
        assert_eq!(session.access_token().await.unwrap().scope, "read");
        let asked = &double.received("POST /challenge")[0].body;
        assert_eq!(asked.contains("dpop_jkt"), with_session_key);
        let redeemed = &double.received("POST /token")[0];
        assert!(redeemed.body.contains("signed-message") && redeemed.body.contains("format=key"));
        assert!(redeemed.header("dpop").is_some());
    }
}

/// Remembers whether it was asked to sign.
#[derive(Debug)]
struct Watched {
    account: Account,
    asked: AtomicBool,
}

#[async_trait]
impl Wallet for Watched {
    fn account(&self) -> &Account {
        &self.account
    }

    fn format(&self) -> &str {
        "key"
    }

    async fn sign_message(&self, _: &str) -> Result<String, SignerError> {
        self.asked.store(true, Ordering::SeqCst);
        Err(SignerError("said no".to_owned()))
    }
}

#[tokio::test]
async fn an_altered_challenge_never_reaches_the_wallet() {
    let alterations: [fn(String) -> String; 5] = [
        |body| body.replace("127.0.0.1:", "evil.example:"),
        |body| body.replace("URI: http://", "URI: https://"),
        |body| body.replace("sha-256:", "sha-256:A"),
        |body| body.replace("did:key:z", "did:key:zz"),
        |body| body.replace("\"key\"", "\"siwe\""),
    ];
    for (alter, reaches) in [(alterations.as_slice(), false), (&[|body| body], true)] {
        for alter in alter {
            let double = issuer(*alter).await;
            let account = Account::of_key(new_key(Curve::Ed25519).public_key()).unwrap();
            let wallet = Arc::new(Watched { account, asked: AtomicBool::new(false) });
            let sign_in = SignIn::new(&double.origin).resource("https://a.example");
            let refused = sign_in.wallet(Arc::clone(&wallet) as _).await.unwrap_err();
            assert_eq!(wallet.asked.load(Ordering::SeqCst), reaches, "{refused}");
            assert_eq!(matches!(refused, ClientError::Challenge(_)), !reaches, "{refused}");
            assert!(double.received("POST /token").is_empty());
        }
    }
}

#[tokio::test]
async fn a_foreign_issuer_is_refused_before_anything_is_sent() {
    let double = Double::start(|_, _| metadata("http://127.0.0.1:1")).await;
    let key = Arc::new(new_key(Curve::Ed25519));
    let refused = SignIn::new(&double.origin).agent(key).await.unwrap_err();
    assert!(matches!(refused, ClientError::Protocol { .. }), "{refused}");
    assert!(double.received("POST").is_empty());
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let double = Double::start(|_, _| (200, vec![], "x".repeat(65 * 1024))).await;
    let key = Arc::new(new_key(Curve::Ed25519));
    let refused = SignIn::new(&double.origin).agent(key).await.unwrap_err();
    assert!(refused.to_string().contains("larger than"), "{refused}");
}
