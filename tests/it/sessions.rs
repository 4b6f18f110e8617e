//! A subject sees and ends its own sessions, and nobody else's; what a request without right is answered.

use countersign_sdk::key::Curve;
use serde_json::json;

use crate::flows::CONFIGURED;
use crate::signed_in::{
    SignedIn, agent_token, ask, assertion, ath, proof_for, redeem, refresh, send,
};
use crate::support::{
    Answer, EvmWallet, JWT_BEARER, RESOURCE, SIGNED_MESSAGE, START, Server, did, dpop, jkt, jws,
    key,
};

#[tokio::test]
async fn a_subject_sees_its_sessions_for_every_resource() {
    let server = Server::development().await;
    let first =
        SignedIn::of(&server, EvmWallet::new(), json!({}), &[("session_label", "Laptop")]).await;
    server.clock.advance(100);
    let used = first.refresh(&server, first.refresh_token()).await;
    server.clock.advance(50);
    let SignedIn { wallet, key, answer } = first;
    let elsewhere = json!({ "resource": "http://127.0.0.1:8900", "session_expires_in": 4000 });
    let second = SignedIn::of(&server, wallet, elsewhere, &[]).await;
    let _stranger = SignedIn::new(&server).await;
    let list = second.list(&server).await;
    assert_eq!(list.len(), 2);
    let account = second.wallet.account();
    assert_eq!(
        list[0],
        json!({
            "id": answer.text("session_id"), "current": false, "label": "Laptop",
            "account": account, "client_id": server.issuer.replace("http://", ""), "format": "siwe",
            "resource": RESOURCE, "scope": "escrow:read escrow:release", "bound": true,
            "created_at": "2027-01-15T08:00:00Z", "last_used_at": "2027-01-15T08:01:40Z",
            "expires_at": "2027-02-14T08:00:00Z",
        })
    );
    assert_eq!(list[1]["current"], true);
    assert_eq!(list[1]["expires_at"], "2027-01-15T09:09:10Z");
    assert!(list[1].get("label").is_none());
    // The token of the other resource sees the same, with itself as the current one.
    let other = ask(&server, "GET", "/sessions", used.text("access_token"), &key).await;
    assert_eq!(other.body["sessions"][0]["current"], true);
    assert_eq!(other.body["sessions"][1]["current"], false);
}

#[tokio::test]
async fn one_session_is_ended_and_its_tokens_with_it() {
    let server = Server::development().await;
    let SignedIn { wallet, key, answer } = SignedIn::new(&server).await;
    let phone = SignedIn::of(&server, wallet, json!({}), &[]).await;
    let path = format!("/sessions/{}", answer.text("session_id"));
    let ended = phone.ask(&server, "DELETE", &path).await;
    assert_eq!((ended.status, &ended.body), (204, &json!("")));
    assert_eq!(ended.header("cache-control"), Some("no-store"));
    phone.ask(&server, "DELETE", &path).await.refused(404, "invalid_request", "session_unknown");
    let proof = server.proof(&key);
    let gone = refresh(&server, answer.text("refresh_token"), Some(&proof), &[]).await;
    gone.refused(400, "invalid_grant", "session_ended");
    let token = answer.text("access_token");
    let out = ask(&server, "GET", "/sessions", token, &key).await;
    out.refused(401, "invalid_token", "token_revoked");
    assert_eq!(phone.list(&server).await.len(), 1);
    // One's own, at the end.
    let own = format!("/sessions/{}", phone.session());
    assert_eq!(phone.ask(&server, "DELETE", &own).await.status, 204);
    let out = phone.ask(&server, "DELETE", &own).await;
    out.refused(401, "invalid_token", "token_revoked");
}

#[tokio::test]
async fn another_subjects_session_does_not_exist() {
    let server = Server::development().await;
    let (owner, thief) = (SignedIn::new(&server).await, SignedIn::new(&server).await);
    let path = format!("/sessions/{}", owner.session());
    for path in [&*path, "/sessions/AAAAAAAAAAAAAAAAAAAAAA", "/sessions/x", "/sessions/%FF"] {
        let answer = thief.ask(&server, "DELETE", path).await;
        answer.refused(404, "invalid_request", "session_unknown");
    }
    assert_eq!(owner.list(&server).await.len(), 1);
}

#[tokio::test]
async fn everything_of_a_subject_ends_and_the_next_second_is_free() {
    let server = Server::development().await;
    let agent = key(Curve::Ed25519);
    let SignedIn { wallet, key: laptop, answer } = SignedIn::new(&server).await;
    let phone = SignedIn::of(&server, wallet, json!({}), &[]).await;
    let (stranger, bystander) =
        (SignedIn::new(&server).await, agent_token(&server, &agent, RESOURCE).await);
    let ended = phone.ask(&server, "DELETE", "/sessions").await;
    assert_eq!((ended.status, &ended.body), (204, &json!("")));
    for (key, answer) in [(&laptop, &answer), (&phone.key, &phone.answer)] {
        let out = ask(&server, "GET", "/sessions", answer.text("access_token"), key).await;
        out.refused(401, "invalid_token", "token_revoked");
        let proof = server.proof(key);
        let gone = refresh(&server, answer.text("refresh_token"), Some(&proof), &[]).await;
        gone.refused(400, "invalid_grant", "session_ended");
    }
    assert_eq!(stranger.list(&server).await.len(), 1);
    let still = ask(&server, "GET", "/sessions", bystander.text("access_token"), &agent).await;
    assert_eq!(still.body, json!({ "sessions": [] }));
    // A message of the very second could have been signed before it, and opens nothing; one of the next
    // does.
    let body = json!({ "account": phone.wallet.account(), "resource": RESOURCE, "dpop_jkt": jkt(&laptop) });
    let early = redeem(&server, &phone.wallet, &body, &[], Some(&laptop)).await;
    early.refused(400, "invalid_grant", "session_ended");
    server.clock.advance(1);
    let again = SignedIn::of(&server, phone.wallet, json!({}), &[]).await;
    assert_eq!(again.list(&server).await.len(), 1);
    assert_eq!(again.refresh(&server, again.refresh_token()).await.status, 200);
}

/// Whoever was talked into signing, and ends everything before it is presented, is safe.
#[tokio::test]
async fn a_signature_of_before_opens_nothing_after_everything_was_ended() {
    let server = Server::development().await;
    let owner = SignedIn::new(&server).await;
    let thief = key(Curve::Ed25519);
    let asked = |jkt: Option<String>| {
        let mut body = json!({ "account": owner.wallet.account(), "resource": RESOURCE });
        if let Some(jkt) = jkt {
            body["dpop_jkt"] = json!(jkt);
        }
        body
    };
    let named = server.challenge(&asked(Some(jkt(&thief)))).await;
    let plain = server.challenge(&asked(None)).await;
    server.clock.advance(5);
    assert_eq!(owner.ask(&server, "DELETE", "/sessions").await.status, 204);
    server.clock.advance(200);
    let message = named.text("message");
    let signature = owner.wallet.sign(message);
    let form = [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &signature)];
    let opened = server.token(&form, Some(&server.proof(&thief))).await;
    opened.refused(400, "invalid_grant", "session_ended");
    // The wallet's own key as an agent's, in a text that names no session key.
    let message = plain.text("message");
    let signature = owner.wallet.sign(message);
    let form = [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &signature)];
    let opened = server.token(&form, Some(&server.proof(&owner.wallet.raw_key()))).await;
    opened.refused(400, "invalid_grant", "session_ended");
}

/// The same for an agent's assertion.
#[tokio::test]
async fn an_assertion_of_before_opens_nothing_after_its_key_was_burnt() {
    let server = Server::development().await;
    let agent = key(Curve::Ed25519);
    let token = agent_token(&server, &agent, RESOURCE).await;
    let before = assertion(&server, &agent, RESOURCE);
    server.clock.advance(5);
    let ended = ask(&server, "DELETE", "/sessions", token.text("access_token"), &agent).await;
    assert_eq!(ended.status, 204);
    server.clock.advance(1);
    let redeem = async |assertion: &str| {
        let form = [("grant_type", JWT_BEARER), ("assertion", assertion)];
        server.token(&form, Some(&server.proof(&agent))).await
    };
    redeem(&before).await.refused(400, "invalid_grant", "session_ended");
    assert_eq!(redeem(&assertion(&server, &agent, RESOURCE)).await.status, 200);
}

/// The challenge of a 401.
#[track_caller]
fn challenged(answer: &Answer, error: &str, reason: &str) {
    answer.refused(401, error, reason);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("DPoP "), "{challenge}");
    assert!(challenge.ends_with("algs=\"EdDSA Ed25519 ES256 ES256K\""), "{challenge}");
    let named = format!("error=\"{error}\"");
    assert_eq!(challenge.contains(&named), reason != "token_required", "{challenge}");
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let server = Server::development().await;
    let owner = SignedIn::new(&server).await;
    let token = owner.access();
    let path = "/sessions";
    let with = |scheme: &str, token: &str, proof: Option<String>| {
        let mut fields = vec![("authorization", format!("{scheme} {token}"))];
        fields.extend(proof.map(|proof| ("dpop", proof)));
        let server = &server;
        async move { send(server, "GET", path, &fields).await }
    };
    let proof = |method: &str, path: &str, token: &str| {
        Some(proof_for(&server, &owner.key, method, path, token))
    };
    challenged(&send(&server, "GET", path, &[]).await, "invalid_token", "token_required");
    challenged(&with("Basic", "YTpi", None).await, "invalid_token", "token_required");
    challenged(&with("DPoP", token, None).await, "invalid_dpop_proof", "proof_required");
    let bearer = with("Bearer", token, proof("GET", path, token)).await;
    challenged(&bearer, "invalid_token", "bound_token_as_bearer");
    let refresh_token = owner.refresh_token();
    for bad in [refresh_token, &token[..token.len() - 2], "a.b.c", "x"] {
        let answer = with("DPoP", bad, proof("GET", path, bad)).await;
        challenged(&answer, "invalid_token", "token_invalid");
    }
    let stranger = proof_for(&server, &key(Curve::P256), "GET", path, token);
    challenged(&with("DPoP", token, Some(stranger)).await, "invalid_token", "proof_key_mismatch");
    let htu = format!("{}{path}", server.issuer);
    let (now, own) = (server.now(), &owner.key);
    for (wrong, reason) in [
        (proof("DELETE", path, token), "proof_invalid"),
        (proof("GET", "/sessions/x", token), "proof_invalid"),
        (proof("GET", path, "another"), "proof_invalid"),
        (Some(dpop(own, &htu, now, json!({ "htm": "GET" }))), "proof_invalid"),
        (
            Some(dpop(own, &htu, now - 61, json!({ "htm": "GET", "ath": ath(token) }))),
            "proof_expired",
        ),
        (Some("garbage".to_owned()), "proof_invalid"),
    ] {
        challenged(&with("DPoP", token, wrong).await, "invalid_dpop_proof", reason);
    }
    let once = proof("GET", path, token);
    assert_eq!(with("DPoP", token, once.clone()).await.status, 200);
    challenged(&with("DPoP", token, once).await, "invalid_dpop_proof", "proof_replayed");
    let one = format!("DPoP {token}");
    let two = [("authorization", one.clone()), ("authorization", one.clone())];
    send(&server, "GET", path, &two).await.refused(400, "invalid_request", "parameter_repeated");
    let two = [("authorization", one), ("dpop", "a".to_owned()), ("dpop", "b".to_owned())];
    send(&server, "GET", path, &two).await.refused(400, "invalid_request", "parameter_repeated");
    let list = with("DPoP", &format!("{token}, {token}"), None).await;
    list.refused(400, "invalid_request", "malformed_request");
    server.clock.advance(300);
    let expired = with("DPoP", token, proof("GET", path, token)).await;
    challenged(&expired, "invalid_token", "token_expired");
}

#[tokio::test]
async fn nothing_but_an_access_token_of_this_issuer_will_do() {
    let (server, elsewhere) = (Server::development().await, Server::development().await);
    let (owner, foreign) = (SignedIn::new(&server).await, SignedIn::new(&elsewhere).await);
    let answer = ask(&server, "GET", "/sessions", foreign.access(), &foreign.key).await;
    challenged(&answer, "invalid_token", "token_invalid");
    // Self-made: the right claims under another key, and the issuer's own feed.
    let forger = key(Curve::Ed25519);
    let kid = crate::support::part(owner.access(), 0)["kid"].clone();
    let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": kid });
    let forged = jws(&forger, &header, &owner.answer.claims());
    let feed = send(&server, "GET", "/revocations", &[]).await;
    for bad in [&*forged, feed.body.as_str().unwrap()] {
        let answer = ask(&server, "GET", "/sessions", bad, &owner.key).await;
        challenged(&answer, "invalid_token", "token_invalid");
    }
}

#[tokio::test]
async fn the_path_of_the_issuer_belongs_to_the_proof_and_a_nonce_is_demanded() {
    let toml = format!("{CONFIGURED}\n[dpop]\nrequire_nonce = true\n");
    let server = Server::configured(&toml).await;
    let agent = key(Curve::Ed25519);
    let htu = format!("{}/token", server.issuer);
    let assertion = |jti: &str| {
        let claims = json!({
            "iss": did(&agent), "sub": did(&agent), "aud": server.issuer, "jti": jti,
            "iat": START, "exp": START + 60, "resource": "https://escrow.example",
        });
        jws(&agent, &json!({ "alg": "EdDSA" }), &claims)
    };
    let assertion = assertion("a");
    let form = [("grant_type", JWT_BEARER), ("assertion", &*assertion)];
    let told = server.token(&form, Some(&dpop(&agent, &htu, START, json!({})))).await;
    let nonce = told.header("dpop-nonce").unwrap();
    let proof = dpop(&agent, &htu, START, json!({ "nonce": nonce }));
    let token = server.token(&form, Some(&proof)).await;
    let token = token.text("access_token");
    let told = ask(&server, "GET", "/sessions", token, &agent).await;
    challenged(&told, "use_dpop_nonce", "proof_nonce_required");
    let nonce = told.header("dpop-nonce").unwrap();
    let claims = json!({ "htm": "GET", "ath": ath(token), "nonce": nonce });
    let authorization = ("authorization", format!("DPoP {token}"));
    // Without the issuer's path it is another URI.
    let wrong = dpop(&agent, "https://auth.example/sessions", START, claims.clone());
    let wrong = send(&server, "GET", "/sessions", &[authorization.clone(), ("dpop", wrong)]).await;
    challenged(&wrong, "invalid_dpop_proof", "proof_invalid");
    let right = dpop(&agent, "https://auth.example/tenant/sessions", START, claims);
    let right = send(&server, "GET", "/sessions", &[authorization, ("dpop", right)]).await;
    assert_eq!(right.body, json!({ "sessions": [] }));
    assert!(right.header("dpop-nonce").is_some());
}

#[tokio::test]
async fn a_bearer_token_opens_nothing_here() {
    let server = Server::configured(CONFIGURED).await;
    let wallet = EvmWallet::new();
    let body = json!({ "account": wallet.account(), "resource": "https://api.example", "domain": "app.example" });
    let bearer = redeem(&server, &wallet, &body, &[], None).await;
    let token = bearer.text("access_token");
    for scheme in ["Bearer", "DPoP"] {
        let proof = proof_for(&server, &key(Curve::P256), "GET", "/sessions", token);
        let fields = [("authorization", format!("{scheme} {token}")), ("dpop", proof)];
        let answer = send(&server, "GET", "/sessions", &fields).await;
        challenged(&answer, "invalid_token", "token_not_bound");
    }
}

#[tokio::test]
async fn a_page_may_end_a_session() {
    let server = Server::development().await;
    let preflight = [
        ("origin", "http://localhost:5173".to_owned()),
        ("access-control-request-method", "DELETE".to_owned()),
        ("access-control-request-headers", "authorization,dpop".to_owned()),
    ];
    let answer = send(&server, "OPTIONS", "/sessions/AAAAAAAAAAAAAAAAAAAAAA", &preflight).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:5173"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("DELETE"));
    // A refusal is readable too.
    let refused = send(&server, "DELETE", "/sessions", &preflight[..1]).await;
    challenged(&refused, "invalid_token", "token_required");
    assert_eq!(refused.header("access-control-allow-origin"), Some("http://localhost:5173"));
}
