//! Lost, doubled and refused answers to a refresh: which token is presented next, and for how long.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::super::double_issuer::{Fate, Issuer, LIFE, field};
use super::super::{InMemoryWallet, Session, Wallet};
use super::*;
use crate::account::Account;
use crate::entropy::OsEntropy;
use crate::key::{Curve, InMemorySigner, SignerError};

async fn text(session: &Session) -> Result<String, ClientError> {
    session.access_token().await.map(|token| token.access_token.expose().to_owned())
}

#[tokio::test]
async fn a_refresh_is_a_proven_form_without_a_scope() {
    let issuer = Issuer::start().await;
    let session = issuer.session();
    issuer.clock.advance(LIFE);
    text(&session).await.unwrap();
    let sent = &issuer.double.received("POST /token")[0];
    let fields = ["grant_type", "refresh_token", "resource", "scope"];
    assert_eq!(
        fields.map(|name| field(sent, name)),
        ["refresh_token", "refresh-0", "https://a.example", ""]
    );
}

#[tokio::test]
async fn an_answer_that_was_lost_costs_nothing() {
    for fate in [Fate::Lost, Fate::Unavailable, Fate::Twice] {
        let issuer = Issuer::start().await;
        let session = issuer.session();
        issuer.books(|books| books.fates.extend([fate; 3]));
        issuer.clock.advance(LIFE);
        let mut failed = 0;
        while let Err(error) = text(&session).await {
            assert!(!matches!(error, ClientError::SignInRequired), "{fate:?}");
            failed += 1;
            issuer.clock.advance(MAX_PAUSE);
        }
        // The same one each time, until another came for it.
        assert_eq!(failed, if fate == Fate::Twice { 0 } else { 3 });
        assert_eq!(issuer.presented(), vec![0; failed + 1], "{fate:?}");
        issuer.clock.advance(LIFE);
        while text(&session).await.is_err() {
            issuer.clock.advance(MAX_PAUSE);
        }
        assert_eq!(issuer.presented().last(), Some(&1));
        assert!(!issuer.books(|books| books.ended));
    }
}

/// A fifth of the answers is lost, a fifth comes of a doubled request, and callers never stop.
#[tokio::test]
async fn nobody_is_logged_out_by_a_bad_line() {
    let issuer = Issuer::start().await;
    let session = issuer.session();
    let fates = [Fate::Whole, Fate::Lost, Fate::Whole, Fate::Twice, Fate::Unavailable];
    issuer.books(|books| books.fates.extend(fates.iter().cycle().take(150).copied()));
    for step in [200, 70, 40, 1, 3, 290, 7, 350, 31].iter().cycle().take(300) {
        issuer.clock.advance(*step);
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let session = session.clone();
                tokio::spawn(async move { text(&session).await })
            })
            .collect();
        for call in calls {
            let got = call.await.unwrap();
            assert!(!matches!(got, Err(ClientError::SignInRequired)));
        }
        let _ = session.settle().await;
    }
    let (ended, generation) = issuer.books(|books| (books.ended, books.generation));
    assert!(!ended && generation > 90, "{generation}");
    // What is presented never grows older.
    assert!(issuer.presented().is_sorted());
    assert_eq!(issuer.double.received("POST /challenge").len(), 0);
}

const ENDS: [Option<&str>; 4] =
    [Some("session_ended"), Some("refresh_reused"), Some("refresh_token_invalid"), None];

#[tokio::test]
async fn a_session_that_has_ended_asks_for_its_person_and_for_nothing_else() {
    for reason in ENDS {
        let issuer = Issuer::start().await;
        let session = issuer.session();
        issuer.books(|books| books.fates.push_back(Fate::Refused("invalid_grant", reason)));
        issuer.clock.advance(LIFE);
        for pause in [0, 0, MAX_PAUSE, 0] {
            issuer.clock.advance(pause);
            let ended = text(&session).await.unwrap_err();
            assert!(matches!(ended, ClientError::SignInRequired), "{reason:?}: {ended}");
        }
        assert_eq!(issuer.presented(), [0], "{reason:?}");
    }
}

#[tokio::test]
async fn another_refusal_ends_nothing() {
    for (error, reason) in [
        ("invalid_dpop_proof", Some("proof_key_mismatch")),
        ("invalid_dpop_proof", Some("proof_required")),
        ("invalid_grant", Some("assertion_expired")),
        ("temporarily_unavailable", None),
        ("invalid_request", None),
    ] {
        let issuer = Issuer::start().await;
        let session = issuer.session();
        issuer.books(|books| books.fates.extend([Fate::Refused(error, reason); 2]));
        issuer.clock.advance(LIFE);
        for _ in 0..2 {
            let refused = text(&session).await.unwrap_err();
            assert!(matches!(refused, ClientError::Refused(_)), "{refused}");
            let paused = text(&session).await.unwrap_err();
            assert!(matches!(paused, ClientError::RenewalPaused { .. }), "{paused}");
            issuer.clock.advance(MAX_PAUSE);
        }
        assert_eq!(text(&session).await.unwrap(), "token-1");
        assert_eq!(issuer.presented(), [0; 3]);
    }
}

/// The nonce that the issuer wants, its own time, and a request that the network doubled.
#[tokio::test]
async fn a_refused_proof_is_made_once_more() {
    for (error, reason, sent) in [
        ("use_dpop_nonce", Some("proof_nonce_required"), 2),
        ("invalid_dpop_proof", Some("proof_replayed"), 2),
        ("invalid_dpop_proof", Some("proof_invalid"), 1),
    ] {
        for times in [1, 2] {
            let issuer = Issuer::start().await;
            let session = issuer.session();
            issuer.books(|books| books.fates.extend(vec![Fate::Refused(error, reason); times]));
            issuer.clock.advance(LIFE);
            assert_eq!(text(&session).await.is_ok(), times < sent, "{reason:?}");
            assert_eq!(issuer.presented(), vec![0; sent]);
            let proofs = issuer.double.received("POST /token");
            assert!(sent == 1 || proofs[0].header("dpop") != proofs[1].header("dpop"));
        }
    }
}

/// An in-memory wallet that a person guards.
#[derive(Debug)]
struct Guarded(InMemoryWallet, AtomicBool);

#[async_trait]
impl Wallet for Guarded {
    fn account(&self) -> &Account {
        self.0.account()
    }

    fn format(&self) -> &str {
        self.0.format()
    }

    async fn sign_message(&self, message: &str) -> Result<String, SignerError> {
        assert!(!self.1.swap(true, Ordering::SeqCst), "asked twice");
        self.0.sign_message(message).await
    }
}

fn wallet() -> InMemoryWallet {
    InMemoryWallet::raw(InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap()).unwrap()
}

#[tokio::test]
async fn a_wallet_that_signs_alone_signs_again_and_a_persons_does_not() {
    for reason in ENDS {
        for alone in [true, false] {
            let issuer = Issuer::start().await;
            let wallet: Arc<dyn Wallet> = match alone {
                true => Arc::new(wallet()),
                false => Arc::new(Guarded(wallet(), AtomicBool::new(false))),
            };
            let session = issuer.sign_in().label("phone").wallet(wallet).await.unwrap();
            assert_eq!(field(&issuer.double.received("POST /token")[0], "session_label"), "phone");
            issuer.books(|books| books.fates.push_back(Fate::Refused("invalid_grant", reason)));
            issuer.clock.advance(LIFE);
            let next = text(&session).await;
            assert_eq!(next.is_ok(), alone, "{next:?}");
            assert_eq!(issuer.presented(), [10]);
            assert_eq!(issuer.books(|books| books.opened), if alone { 2 } else { 1 });
            if alone {
                // The new session's own tokens follow.
                issuer.clock.advance(LIFE);
                text(&session).await.unwrap();
                assert_eq!(issuer.presented(), [10, 20]);
            }
        }
    }
}

#[tokio::test]
async fn a_token_of_another_session_is_not_taken() {
    for (member, other) in [("did:key:x", "did:key:y"), ("\"s0\"", "\"s1\"")] {
        let answers = super::super::double::Double::start(move |origin, request| {
            match request.line.starts_with("POST") {
                true => (
                    200,
                    vec![],
                    r#"{"access_token":"t","token_type":"DPoP","expires_in":300,
                        "sub":"did:key:x","refresh_token":"r","session_id":"s0"}"#
                        .replace(member, other),
                ),
                false => super::super::double::metadata(origin),
            }
        })
        .await;
        let issuer = Issuer::start().await;
        let key = Arc::new(InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap());
        let session = super::super::SignIn::new(&answers.origin).http(issuer.http());
        let session = session.resume(issuer.first_token(), key).unwrap();
        issuer.clock.advance(LIFE);
        let refused = text(&session).await.unwrap_err();
        assert!(refused.to_string().contains("another session"), "{refused}");
        assert_eq!(session.current().refresh_token.as_ref().unwrap().expose(), "refresh-0");
    }
}
