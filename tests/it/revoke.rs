//! What a token alone may burn, what takes its key, and that nothing is written for strangers.

use countersign_sdk::key::{Curve, InMemorySigner};
use serde_json::json;

use crate::feed::{Reader, kinds};
use crate::flows::CONFIGURED;
use crate::signed_in::{SignedIn, agent_token, ask, post, proof_for, refresh, revoke};
use crate::support::{Answer, EvmWallet, RESOURCE, Server, dpop, jkt, key};

/// An empty 200.
#[track_caller]
fn done(answer: &Answer) {
    assert_eq!((answer.status, &answer.body), (200, &json!("")), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn whoever_holds_an_access_token_may_burn_it() {
    let server = Server::development().await;
    let owner = SignedIn::new(&server).await;
    let form = [("token", owner.access()), ("token_type_hint", "refresh_token")];
    done(&post(&server, "/revoke", &form, &[]).await);
    let out = owner.ask(&server, "GET", "/sessions").await;
    out.refused(401, "invalid_token", "token_revoked");
    // The token alone: its session goes on.
    let next = owner.refresh(&server, owner.refresh_token()).await;
    let list = ask(&server, "GET", "/sessions", next.text("access_token"), &owner.key).await;
    assert_eq!(list.body["sessions"].as_array().unwrap().len(), 1);
    done(&revoke(&server, owner.access()).await);
}

#[tokio::test]
async fn a_refresh_token_of_any_age_burns_its_session() {
    let server = Server::development().await;
    for age in [0, 1, 3] {
        let owner = SignedIn::new(&server).await;
        let mut current = owner.refresh_token().to_owned();
        for _ in 0..age {
            current = owner.refresh(&server, &current).await.text("refresh_token").to_owned();
        }
        done(&revoke(&server, owner.refresh_token()).await);
        let over = owner.refresh(&server, &current).await;
        over.refused(400, "invalid_grant", "session_ended");
        let out = owner.ask(&server, "GET", "/sessions").await;
        out.refused(401, "invalid_token", "token_revoked");
        done(&revoke(&server, &current).await);
    }
}

#[tokio::test]
async fn nothing_is_written_for_what_is_no_token_of_ours_or_over() {
    let (server, elsewhere) = (Server::development().await, Server::development().await);
    let (owner, foreign) = (SignedIn::new(&server).await, SignedIn::new(&elsewhere).await);
    let over = json!({ "session_expires_in": 400 });
    let short = SignedIn::of(&server, EvmWallet::new(), over, &[]).await;
    let mut reader = Reader::new(&server);
    assert!(reader.read(&server).await.is_empty());
    let altered = format!("{}AAAA", &owner.access()[..owner.access().len() - 4]);
    for unknown in ["x", "cs_rt_", &altered, foreign.access(), foreign.refresh_token()] {
        done(&revoke(&server, unknown).await);
    }
    server.clock.advance(400);
    done(&revoke(&server, owner.access()).await);
    assert!(reader.read(&server).await.is_empty());
    // Why a session is over is not known: it is written once, as one that lives, however often it is burnt.
    for _ in 0..3 {
        done(&revoke(&server, short.refresh_token()).await);
    }
    assert_eq!(kinds(&reader.read(&server).await), ["sid"]);
    let live = owner.refresh(&server, owner.refresh_token()).await;
    for _ in 0..3 {
        done(&revoke(&server, live.text("access_token")).await);
        done(&revoke(&server, live.text("refresh_token")).await);
    }
    assert_eq!(kinds(&reader.read(&server).await), ["jti", "sid"]);
    assert_eq!(reader.sequence_moved(), 3);
}

async fn everything(server: &Server, of: &str, token: &str, proof: Option<String>) -> Answer {
    let fields: Vec<_> = proof.map(|proof| ("dpop", proof)).into_iter().collect();
    post(server, "/revoke", &[("token", token), ("everything_of", of)], &fields).await
}

fn proof(server: &Server, key: &InMemorySigner, token: &str) -> Option<String> {
    Some(proof_for(server, key, "POST", "/revoke", token))
}

#[tokio::test]
async fn everything_of_a_key_ends_and_no_more() {
    let server = Server::development().await;
    let agent = key(Curve::Ed25519);
    let (one, two) = (
        agent_token(&server, &agent, RESOURCE).await,
        agent_token(&server, &agent, RESOURCE).await,
    );
    let SignedIn { wallet, key: laptop, answer } = SignedIn::new(&server).await;
    let phone = SignedIn::of(&server, wallet, json!({}), &[]).await;
    let token = one.text("access_token");
    done(&everything(&server, "key", token, proof(&server, &agent, token)).await);
    let out = ask(&server, "GET", "/sessions", two.text("access_token"), &agent).await;
    out.refused(401, "invalid_token", "token_revoked");
    let token = answer.text("access_token");
    done(&everything(&server, "key", token, proof(&server, &laptop, token)).await);
    let proof_of_laptop = server.proof(&laptop);
    let over = refresh(&server, answer.text("refresh_token"), Some(&proof_of_laptop), &[]).await;
    over.refused(400, "invalid_grant", "session_ended");
    assert_eq!(phone.list(&server).await.len(), 1);
    // The key is not banned: what it is given from the next second on lives.
    server.clock.advance(1);
    let later = agent_token(&server, &agent, RESOURCE).await;
    let alive = ask(&server, "GET", "/sessions", later.text("access_token"), &agent).await;
    assert_eq!(alive.status, 200, "{alive:?}");
}

#[tokio::test]
async fn everything_of_a_subject_ends_on_every_device() {
    let server = Server::development().await;
    let SignedIn { wallet, key: laptop, answer } = SignedIn::new(&server).await;
    let phone = SignedIn::of(&server, wallet, json!({}), &[]).await;
    let stranger = SignedIn::new(&server).await;
    let token = answer.text("access_token");
    done(&everything(&server, "subject", token, proof(&server, &laptop, token)).await);
    let over = phone.refresh(&server, phone.refresh_token()).await;
    over.refused(400, "invalid_grant", "session_ended");
    let out = phone.ask(&server, "GET", "/sessions").await;
    out.refused(401, "invalid_token", "token_revoked");
    assert_eq!(stranger.list(&server).await.len(), 1);
}

#[tokio::test]
async fn more_than_the_token_itself_takes_its_key() {
    let server = Server::development().await;
    let owner = SignedIn::new(&server).await;
    let (token, thief) = (owner.access(), key(Curve::P256));
    for of in ["key", "subject"] {
        let answer = everything(&server, of, token, None).await;
        answer.refused(401, "invalid_dpop_proof", "proof_required");
        let answer = everything(&server, of, token, proof(&server, &thief, token)).await;
        answer.refused(401, "invalid_token", "proof_key_mismatch");
        assert!(answer.header("www-authenticate").unwrap().starts_with("DPoP error="));
        let htu = format!("{}/revoke", server.issuer);
        let without_ath = Some(dpop(&owner.key, &htu, server.now(), json!({})));
        let answer = everything(&server, of, token, without_ath).await;
        answer.refused(401, "invalid_dpop_proof", "proof_invalid");
        let refresh_token = owner.refresh_token();
        let own = proof(&server, &owner.key, refresh_token);
        let answer = everything(&server, of, refresh_token, own).await;
        answer.refused(401, "invalid_token", "token_invalid");
    }
    let own = proof(&server, &owner.key, token);
    let answer = everything(&server, "everybody", token, own).await;
    answer.refused(400, "invalid_request", "malformed_request");
    let answer = post(&server, "/revoke", &[("everything_of", "key")], &[]).await;
    answer.refused(400, "invalid_request", "parameter_missing");
    assert_eq!(owner.list(&server).await.len(), 1);
    let once = proof(&server, &owner.key, token);
    done(&everything(&server, "key", token, once.clone()).await);
    let again = everything(&server, "key", token, once).await;
    again.refused(401, "invalid_token", "token_revoked");
    assert_eq!(owner.answer.claims()["cnf"]["jkt"], json!(jkt(&owner.key)));
}

#[tokio::test]
async fn a_used_proof_ends_nothing_again() {
    let server = Server::development().await;
    let agent = key(Curve::Ed25519);
    let token = agent_token(&server, &agent, RESOURCE).await;
    let token = token.text("access_token");
    // One proof fits one endpoint; the same `jti` for another is another use of it.
    let shared = json!({ "jti": "the same", "ath": crate::signed_in::ath(token) });
    let mut for_list = shared.clone();
    for_list["htm"] = json!("GET");
    let list = dpop(&agent, &format!("{}/sessions", server.issuer), server.now(), for_list);
    let fields = [("authorization", format!("DPoP {token}")), ("dpop", list)];
    let seen = crate::signed_in::send(&server, "GET", "/sessions", &fields).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    let again = dpop(&agent, &format!("{}/revoke", server.issuer), server.now(), shared);
    let answer = everything(&server, "subject", token, Some(again)).await;
    answer.refused(401, "invalid_dpop_proof", "proof_replayed");
    assert_eq!(ask(&server, "GET", "/sessions", token, &agent).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_not_confirmed() {
    let toml = CONFIGURED.to_owned() + "\n[limits]\nrevocations = 10\n";
    let server = Server::configured(&toml).await;
    let agent = key(Curve::Ed25519);
    let mut tokens = Vec::new();
    for _ in 0..11 {
        let token = agent_token(&server, &agent, "https://api.example").await;
        tokens.push(token.text("access_token").to_owned());
    }
    let last = tokens.pop().unwrap();
    let asked =
        json!({ "domain": "app.example", "resource": "https://api.example", "scope": "read" });
    let named = SignedIn::of(&server, EvmWallet::new(), asked.clone(), &[]).await;
    let owner = SignedIn::of(&server, EvmWallet::new(), asked, &[]).await;
    for token in &tokens {
        done(&revoke(&server, token).await);
    }
    let full = |answer: Answer| {
        answer.refused(503, "temporarily_unavailable", "store_unavailable");
        assert_eq!(answer.header("retry-after"), Some("2"));
    };
    full(revoke(&server, &last).await);
    full(everything(&server, "key", &last, proof(&server, &agent, &last)).await);
    full(ask(&server, "DELETE", "/sessions", &last, &agent).await);
    // A session that is named ends, and asking again is not answered as if its last token had ended too.
    for _ in 0..2 {
        full(revoke(&server, named.refresh_token()).await);
    }
    let over = named.refresh(&server, named.refresh_token()).await;
    over.refused(400, "invalid_grant", "session_ended");
    assert_eq!(named.ask(&server, "GET", "/sessions").await.status, 200);
    let next = owner.refresh(&server, owner.refresh_token()).await;
    assert_eq!(next.status, 200, "{next:?}");
    // All of a subject's end, and that is recorded; their last tokens go on.
    full(owner.ask(&server, "DELETE", "/sessions").await);
    let over = owner.refresh(&server, next.text("refresh_token")).await;
    over.refused(400, "invalid_grant", "session_ended");
    assert_eq!(owner.ask(&server, "GET", "/sessions").await.status, 200);
    // What is recorded before an answer stands behind what was queued before it.
    agent_token(&server, &agent, "https://api.example").await;
    let subject = json!({ "subject": owner.answer.text("sub") });
    let revoked = crate::audit::bodies(&server.folder(), "revoked");
    assert!(revoked.iter().any(|body| body["what"] == subject), "{revoked:?}");
    // It is as it was, and what is revoked already may be revoked again.
    assert_eq!(ask(&server, "GET", "/sessions", &last, &agent).await.status, 200);
    done(&revoke(&server, &tokens[0]).await);
}
