//! The life of a session at `/token`: its successor, the lost answer, the thief, the end.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::key::{Curve, InMemorySigner};
use serde_json::json;

use crate::flows::CONFIGURED;
use crate::signed_in::{SignedIn, agent_token, redeem, refresh};
use crate::support::{
    Answer, EvmWallet, RESOURCE, SIGNED_MESSAGE, START, Server, Siwe, did, dpop, jkt, key, part,
};

#[tokio::test]
async fn a_session_goes_on_with_its_successor() {
    let server = Server::development().await;
    let owner = SignedIn::new(&server).await;
    let first = owner.answer.claims();
    assert_eq!((&first["sid"], &first["auth_time"]), (&json!(owner.session()), &json!(START)));
    assert!(owner.refresh_token().starts_with("cs_rt_") && owner.refresh_token().len() == 70);
    server.clock.advance(200);
    let second = owner.refresh(&server, owner.refresh_token()).await;
    let claims = second.claims();
    assert_eq!(second.header("cache-control"), Some("no-store"));
    assert_eq!((second.text("token_type"), second.text("session_id")), ("DPoP", owner.session()));
    assert_ne!(second.text("refresh_token"), owner.refresh_token());
    for same in
        ["sid", "sub", "account", "aud", "client_id", "scope", "auth_time", "cnf", "proven_key"]
    {
        assert_eq!(claims[same], first[same], "{same}");
    }
    assert_ne!(claims["jti"], first["jti"]);
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(START + 200), &json!(START + 500)));
    let third = owner.refresh(&server, second.text("refresh_token")).await;
    assert_eq!(third.status, 200, "{third:?}");
}

#[tokio::test]
async fn a_lost_answer_is_given_again_at_any_time() {
    let server = Server::development().await;
    let owner = SignedIn::new(&server).await;
    let lost = owner.refresh(&server, owner.refresh_token()).await;
    for later in [0, 10, 86_400] {
        server.clock.advance(later);
        let again = owner.refresh(&server, owner.refresh_token()).await;
        assert_eq!(again.text("refresh_token"), lost.text("refresh_token"));
        assert_ne!(again.text("access_token"), lost.text("access_token"));
    }
    let next = owner.refresh(&server, lost.text("refresh_token")).await;
    assert_eq!(next.status, 200, "{next:?}");
}

#[tokio::test]
async fn an_old_token_ends_its_own_session_and_no_other() {
    let server = Server::development().await;
    let owner = SignedIn::new(&server).await;
    let SignedIn { wallet, key, answer } = owner;
    let other = SignedIn::of(&server, wallet, json!({}), &[]).await;
    let stolen = answer.text("refresh_token");
    let turn = |token: String| {
        let (server, key) = (&server, &key);
        async move { refresh(server, &token, Some(&server.proof(key)), &[]).await }
    };
    let second = turn(stolen.to_owned()).await;
    let third = turn(second.text("refresh_token").to_owned()).await;
    turn(stolen.to_owned()).await.refused(400, "invalid_grant", "refresh_reused");
    for dead in [stolen, second.text("refresh_token"), third.text("refresh_token")] {
        turn(dead.to_owned()).await.refused(400, "invalid_grant", "session_ended");
    }
    assert_eq!(other.list(&server).await.len(), 1);
    let alive = other.refresh(&server, other.refresh_token()).await;
    assert_eq!(alive.status, 200, "{alive:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_refreshes_at_once_all_get_one_successor() {
    let server = Arc::new(Server::development().await);
    let owner = Arc::new(SignedIn::new(&server).await);
    let asked: Vec<_> = (0..64)
        .map(|_| {
            let (server, owner) = (Arc::clone(&server), Arc::clone(&owner));
            tokio::spawn(async move { owner.refresh(&server, owner.refresh_token()).await })
        })
        .collect();
    let mut successors = Vec::new();
    for one in asked {
        successors.push(one.await.unwrap().text("refresh_token").to_owned());
    }
    successors.dedup();
    assert_eq!(successors.len(), 1);
    let next = owner.refresh(&server, &successors[0]).await;
    assert_eq!(next.status, 200, "{next:?}");
    assert_ne!(next.text("refresh_token"), successors[0]);
}

/// What is refused, why, and that the session is as it was.
#[tokio::test]
async fn what_is_refused_consumes_nothing() {
    let (server, elsewhere) = (Server::development().await, Server::development().await);
    let owner = SignedIn::new(&server).await;
    let (token, foreign) = (owner.refresh_token(), SignedIn::new(&elsewhere).await);
    let proof = || server.proof(&owner.key);
    let with = |text: String, proof: Option<String>, more: Vec<(&'static str, &'static str)>| {
        let server = &server;
        async move { refresh(server, &text, proof.as_deref(), &more).await }
    };
    let stranger = key(Curve::P256);
    let mismatch = with(token.to_owned(), Some(server.proof(&stranger)), vec![]).await;
    mismatch.refused(400, "invalid_dpop_proof", "proof_key_mismatch");
    with(token.to_owned(), None, vec![]).await.refused(400, "invalid_dpop_proof", "proof_required");
    let altered = format!("{}{}", &token[..69], if token.ends_with('A') { 'B' } else { 'A' });
    for (text, detail) in [
        ("cs_rt_".to_owned(), "whole"),
        (altered, "whole"),
        (token.replacen("cs_rt_", "cs_rs_", 1), "whole"),
        (owner.access().to_owned(), "whole"),
        (foreign.refresh_token().to_owned(), "not issued here"),
    ] {
        let answer = with(text, Some(proof()), vec![]).await;
        answer.refused(400, "invalid_grant", "refresh_token_invalid");
        assert!(answer.text("error_description").contains(detail), "{answer:?}");
    }
    let wider = with(token.to_owned(), Some(proof()), vec![("scope", "escrow:refund")]).await;
    wider.refused(400, "invalid_scope", "scope_not_granted");
    let other =
        with(token.to_owned(), Some(proof()), vec![("resource", "http://127.0.0.1:1")]).await;
    other.refused(400, "invalid_target", "resource_not_allowed");
    let missing = server.token(&[("grant_type", "refresh_token")], Some(&proof())).await;
    missing.refused(400, "invalid_request", "parameter_missing");
    let once = proof();
    assert_eq!(with(token.to_owned(), Some(once.clone()), vec![]).await.status, 200);
    let replayed = with(token.to_owned(), Some(once), vec![]).await;
    replayed.refused(400, "invalid_dpop_proof", "proof_replayed");
    let repeat = with(token.to_owned(), Some(proof()), vec![]).await;
    assert_eq!(part(repeat.text("access_token"), 1)["sid"], json!(owner.session()));
    assert_eq!(owner.refresh(&server, repeat.text("refresh_token")).await.status, 200);
}

#[tokio::test]
async fn a_narrower_scope_is_for_one_token_alone() {
    let server = Server::development().await;
    let owner = SignedIn::new(&server).await;
    let more = [("scope", "escrow:read"), ("resource", RESOURCE)];
    let proof = server.proof(&owner.key);
    let narrow = refresh(&server, owner.refresh_token(), Some(&proof), &more).await;
    assert_eq!(
        (narrow.text("scope"), &narrow.claims()["scope"]),
        ("escrow:read", &json!("escrow:read"))
    );
    let whole = owner.refresh(&server, narrow.text("refresh_token")).await;
    assert_eq!(whole.text("scope"), "escrow:read escrow:release");
}

#[tokio::test]
async fn the_end_that_was_signed_is_the_end() {
    let server = Server::development().await;
    let wallet = EvmWallet::new();
    let owner = SignedIn::of(&server, wallet, json!({ "session_expires_in": 1000 }), &[]).await;
    server.clock.advance(800);
    let last = owner.refresh(&server, owner.refresh_token()).await;
    assert_eq!(
        (&last.body["expires_in"], &last.claims()["exp"]),
        (&json!(200), &json!(START + 1000))
    );
    server.clock.advance(199);
    let token = last.text("refresh_token");
    let very_last = owner.refresh(&server, token).await;
    assert_eq!(very_last.body["expires_in"], json!(1));
    server.clock.advance(1);
    let over = owner.refresh(&server, very_last.text("refresh_token")).await;
    over.refused(400, "invalid_grant", "session_ended");
}

#[tokio::test]
async fn whoever_signs_with_the_proven_key_gets_no_session() {
    let server = Server::development().await;
    let agent = key(Curve::Ed25519);
    let asserted = agent_token(&server, &agent, RESOURCE).await;
    let challenge =
        server.challenge(&json!({ "account": did(&agent), "resource": RESOURCE })).await;
    let message = challenge.text("message");
    let signature = URL_SAFE_NO_PAD.encode(agent.sign_now(message.as_bytes()).unwrap());
    let form = [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &*signature)];
    let signed = server.token(&form, Some(&server.proof(&agent))).await;
    for answer in [asserted, signed] {
        assert!(answer.body.get("refresh_token").is_none() && answer.claims().get("sid").is_none());
        assert!(answer.body.get("session_id").is_none());
    }
}

fn bearer_sessions() -> String {
    CONFIGURED.replace("binding = \"optional\"", "binding = \"optional\"\nbearer_sessions = true")
}

/// A message of a stock library, which names no end and no session key, without a proof.
async fn unbound(server: &Server) -> Answer {
    let wallet = EvmWallet::new();
    let siwe = Siwe::new(server, &wallet).await;
    let message = Siwe { domain: "auth.example".to_owned(), ..siwe }.text();
    let signature = wallet.sign(&message);
    let form = [
        ("grant_type", SIGNED_MESSAGE),
        ("message", &*message),
        ("signature", &*signature),
        ("resource", "https://api.example"),
    ];
    server.token(&form, None).await
}

#[tokio::test]
async fn a_bearer_session_exists_where_it_is_configured_alone() {
    let token = unbound(&Server::configured(CONFIGURED).await).await;
    assert_eq!(token.text("token_type"), "Bearer");
    assert!(token.body.get("refresh_token").is_none() && token.claims().get("sid").is_none());
}

#[tokio::test]
async fn a_bearer_session_forgives_a_lost_answer_for_ten_seconds() {
    let server = Server::configured(&bearer_sessions()).await;
    let opened = unbound(&server).await;
    assert_eq!(opened.claims()["sid"], opened.body["session_id"]);
    let first = opened.text("refresh_token");
    let second = refresh(&server, first, None, &[]).await;
    assert_eq!(second.text("token_type"), "Bearer");
    server.clock.advance(10);
    let again = refresh(&server, first, None, &[]).await;
    assert_eq!(again.text("refresh_token"), second.text("refresh_token"));
    server.clock.advance(1);
    refresh(&server, first, None, &[]).await.refused(400, "invalid_grant", "refresh_reused");
    let dead = refresh(&server, second.text("refresh_token"), None, &[]).await;
    dead.refused(400, "invalid_grant", "session_ended");
}

#[tokio::test]
async fn a_bearer_session_is_not_taken_over_by_a_key() {
    let server = Server::configured(&bearer_sessions()).await;
    let opened = unbound(&server).await;
    let proof = server.proof(&key(Curve::P256));
    let taken = refresh(&server, opened.text("refresh_token"), Some(&proof), &[]).await;
    taken.refused(400, "invalid_dpop_proof", "proof_key_mismatch");
    let second = refresh(&server, opened.text("refresh_token"), None, &[]).await;
    assert_eq!(second.status, 200, "{second:?}");
}

#[tokio::test]
async fn a_label_is_short_and_printable() {
    let server = Server::development().await;
    let wallet = EvmWallet::new();
    let session: InMemorySigner = key(Curve::P256);
    let body =
        json!({ "account": wallet.account(), "resource": RESOURCE, "dpop_jkt": jkt(&session) });
    for label in ["a\u{7}b", &"x".repeat(65)] {
        let answer =
            redeem(&server, &wallet, &body, &[("session_label", label)], Some(&session)).await;
        answer.refused(400, "invalid_request", "malformed_request");
    }
    let longest = "ä".repeat(64);
    let owner = SignedIn::of(&server, wallet, json!({}), &[("session_label", &longest)]).await;
    assert_eq!(owner.list(&server).await[0]["label"], json!(longest));
}

#[tokio::test]
async fn what_the_configuration_took_away_a_refresh_does_not_give() {
    let server = Server::configured(CONFIGURED).await;
    let asked = json!({ "resource": "https://escrow.example", "domain": "app.example" });
    let owner = SignedIn::of(&server, EvmWallet::new(), asked, &[]).await;
    let denied =
        format!("deny = [\"{}\"]\ndefault_scopes = [\"escrow:read\"]", owner.wallet.account());
    // Within the first seconds of a process, a proof could have been used before it began.
    let server = server.restart(CONFIGURED).await;
    let told = owner.refresh(&server, owner.refresh_token()).await;
    told.refused(400, "use_dpop_nonce", "proof_nonce_required");
    let nonce = json!({ "nonce": told.header("dpop-nonce").unwrap() });
    let htu = format!("{}/token", server.issuer);
    let proof = dpop(&owner.key, &htu, server.now(), nonce);
    let second = refresh(&server, owner.refresh_token(), Some(&proof), &[]).await;
    assert_eq!(second.text("scope"), "escrow:read escrow:release");
    // A scope that is gone.
    let server = server.restart(&CONFIGURED.replace(", \"escrow:release\"", "")).await;
    server.clock.advance(60);
    let third = owner.refresh(&server, second.text("refresh_token")).await;
    assert_eq!(third.text("scope"), "escrow:read");
    // An account that is denied, for as long as it is.
    let server = server
        .restart(&CONFIGURED.replacen("default_scopes = [\"escrow:read\"]", &denied, 1))
        .await;
    server.clock.advance(60);
    let out = owner.refresh(&server, third.text("refresh_token")).await;
    out.refused(400, "invalid_grant", "account_not_allowed");
    let server = server.restart(CONFIGURED).await;
    server.clock.advance(60);
    let back = owner.refresh(&server, third.text("refresh_token")).await;
    assert_eq!(back.text("scope"), "escrow:read escrow:release");
}
