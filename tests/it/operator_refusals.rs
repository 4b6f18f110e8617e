//! Each way in which an operator's request is refused, with its reason, and that each is on record.

use countersign_sdk::key::Curve;
use serde_json::json;

use crate::operators::{API, EVERY_SCOPE, Operator, ask, credentials, send, toml, with_one};
use crate::signed_in::{self, SignedIn, agent_token, ath};
use crate::support::{EvmWallet, JWT_BEARER, Server, did, dpop, jkt, jws, key};

const KEYS: &str = "/admin/keys";
const ROTATE: &str = "/admin/keys/rotate";

/// The refusals on record, as who, what and why, without what the search itself leaves.
async fn refusals(server: &Server, auditor: &Operator) -> Vec<(String, String, String)> {
    let actions = auditor.actions(server).await;
    let refused = actions.into_iter().filter(|(_, _, outcome, _)| outcome == "refused");
    refused.map(|(who, what, _, reason)| (who, what, reason)).collect()
}

#[track_caller]
fn recorded(found: &[(String, String, String)], who: &str, what: &str, reason: &str) {
    let wanted = (who.to_owned(), what.to_owned(), reason.to_owned());
    assert!(found.contains(&wanted), "{wanted:?} is not among {found:?}");
}

#[tokio::test]
async fn a_token_is_worth_nothing_without_a_fresh_proof_by_its_key() {
    let (server, operator) = with_one().await;
    let (token, thief) = (operator.token(&server, EVERY_SCOPE).await, key(Curve::Ed25519));
    let scheme = |scheme: &str| ("authorization", format!("{scheme} {token}"));
    let good = credentials(&server, "POST", ROTATE, &token, &operator.key);
    let proof = good[1].clone();
    // Without a proof, and as a bearer token, with a proof or without.
    let answer = send(&server, "POST", ROTATE, &[scheme("DPoP")], None).await;
    answer.refused(401, "invalid_dpop_proof", "proof_required");
    for fields in [vec![scheme("Bearer")], vec![scheme("Bearer"), proof.clone()]] {
        let answer = send(&server, "POST", ROTATE, &fields, None).await;
        answer.refused(401, "invalid_token", "bound_token_as_bearer");
        assert!(answer.header("www-authenticate").unwrap().starts_with("DPoP error="));
    }
    // By another key; for another method, path or token; two of them; too old.
    let by_thief = credentials(&server, "POST", ROTATE, &token, &thief);
    let answer = send(&server, "POST", ROTATE, &by_thief, None).await;
    answer.refused(401, "invalid_token", "proof_key_mismatch");
    let other = operator.token(&server, EVERY_SCOPE).await;
    for (method, path, of) in
        [("GET", ROTATE, &token), ("POST", KEYS, &token), ("POST", ROTATE, &other)]
    {
        let mut fields = credentials(&server, method, path, of, &operator.key);
        fields[0] = scheme("DPoP");
        let answer = send(&server, "POST", ROTATE, &fields, None).await;
        answer.refused(401, "invalid_dpop_proof", "proof_invalid");
    }
    let twice = [good[0].clone(), proof.clone(), by_thief[1].clone()];
    let answer = send(&server, "POST", ROTATE, &twice, None).await;
    answer.refused(400, "invalid_request", "parameter_repeated");
    let htu = format!("{}{ROTATE}", server.operations.as_ref().unwrap());
    let claims = json!({ "htm": "POST", "ath": ath(&token) });
    let old = dpop(&operator.key, &htu, server.now() - 61, claims);
    let answer = send(&server, "POST", ROTATE, &[scheme("DPoP"), ("dpop", old)], None).await;
    answer.refused(401, "invalid_dpop_proof", "proof_expired");
    // The good one does it once.
    assert_eq!(send(&server, "POST", ROTATE, &good, None).await.status, 200);
    let answer = send(&server, "POST", ROTATE, &good, None).await;
    answer.refused(401, "invalid_dpop_proof", "proof_replayed");

    let (found, who) = (refusals(&server, &operator).await, operator.account());
    for reason in [
        "proof_required",
        "bound_token_as_bearer",
        "proof_key_mismatch",
        "proof_invalid",
        "proof_expired",
        "proof_replayed",
    ] {
        recorded(&found, &who, "keys.rotate", reason);
    }
    recorded(&found, "-", "keys.rotate", "parameter_repeated");
    let done = operator.actions(&server).await;
    let rotated =
        done.iter().filter(|(_, what, outcome, _)| what == "keys.rotate" && outcome == "done");
    assert_eq!(rotated.count(), 1);
}

#[tokio::test]
async fn who_brings_no_token_of_an_operator_is_refused() {
    let operator = Operator::new();
    let server = Server::configured(&toml(&[(&operator.account(), EVERY_SCOPE)], "")).await;
    let answer = send(&server, "GET", KEYS, &[], None).await;
    answer.refused(401, "invalid_token", "token_required");
    let plain = answer.header("www-authenticate").unwrap();
    assert!(plain.starts_with("DPoP algs="), "{plain}");
    let nonsense = [("authorization", "DPoP nonsense".to_owned())];
    let answer = send(&server, "GET", KEYS, &nonsense, None).await;
    answer.refused(401, "invalid_token", "token_invalid");
    // The operator's own token, for an API.
    let elsewhere = agent_token(&server, &operator.key, API).await;
    let answer = ask(&server, "GET", KEYS, elsewhere.text("access_token"), &operator.key).await;
    answer.refused(401, "invalid_token", "token_audience");
    // A token that is bound to no key.
    server.clock.advance(10);
    let claims = json!({
        "iss": operator.account(), "sub": operator.account(), "aud": server.issuer,
        "resource": "https://open.example", "iat": server.now(), "exp": server.now() + 60,
        "jti": "unbound",
    });
    let assertion = jws(&operator.key, &json!({ "alg": "EdDSA" }), &claims);
    let form = [("grant_type", JWT_BEARER), ("assertion", &*assertion)];
    let unbound = server.token(&form, None).await;
    let unbound = unbound.text("access_token");
    let fields = [("authorization", format!("Bearer {unbound}"))];
    let answer = send(&server, "GET", KEYS, &fields, None).await;
    answer.refused(401, "invalid_token", "token_not_bound");
    let answer = ask(&server, "GET", KEYS, unbound, &operator.key).await;
    answer.refused(401, "invalid_token", "token_not_bound");
    // An agent that is no operator, with a token for an API whose scope has the right name.
    let stranger = key(Curve::Ed25519);
    let foreign = agent_token(&server, &stranger, API).await;
    let answer = ask(&server, "GET", KEYS, foreign.text("access_token"), &stranger).await;
    answer.refused(401, "invalid_token", "token_audience");
    // One of before.
    let token = operator.token(&server, EVERY_SCOPE).await;
    server.clock.advance(300);
    let answer = ask(&server, "GET", KEYS, &token, &operator.key).await;
    answer.refused(401, "invalid_token", "token_expired");

    let (found, who) = (refusals(&server, &operator).await, operator.account());
    recorded(&found, "-", "keys.list", "token_required");
    recorded(&found, "-", "keys.list", "token_invalid");
    for reason in ["token_audience", "token_not_bound", "token_expired"] {
        recorded(&found, &who, "keys.list", reason);
    }
    recorded(&found, &did(&stranger), "keys.list", "token_audience");
}

#[tokio::test]
async fn a_scope_too_small_does_not_do() {
    let (all, reader) = (Operator::new(), Operator::new());
    let list = [(&*all.account(), EVERY_SCOPE), (&*reader.account(), "admin:read")];
    let server = Server::configured(&toml(&list, "")).await;
    let kid = jkt(&all.key);
    let retire = format!("/admin/keys/{kid}/retire");
    for (scope, method, path) in [
        ("admin:read admin:sessions admin:audit", "POST", ROTATE),
        ("admin:read admin:sessions admin:audit", "POST", &*retire),
        ("admin:read admin:keys admin:audit", "POST", "/admin/revocations"),
        ("admin:read admin:keys admin:audit", "DELETE", "/admin/sessions/AAAAAAAAAAAAAAAAAAAAAA"),
        ("admin:read admin:keys admin:sessions", "GET", "/admin/audit"),
        ("admin:audit", "GET", KEYS),
        ("admin:keys admin:audit", "GET", "/admin/sessions?subject=did:key:z"),
        ("admin:sessions admin:audit", "GET", "/admin/approvals"),
        ("admin:keys admin:audit", "GET", "/admin/revocations"),
    ] {
        let token = all.token(&server, scope).await;
        let answer = ask(&server, method, path, &token, &all.key).await;
        answer.refused(403, "insufficient_scope", "scope_insufficient");
        let told = answer.header("www-authenticate").unwrap();
        assert!(
            told.contains("error=\"insufficient_scope\"") && told.contains("scope=\"admin:"),
            "{told}"
        );
    }
    let token = reader.token(&server, "admin:read").await;
    let answer = ask(&server, "POST", ROTATE, &token, &reader.key).await;
    answer.refused(403, "insufficient_scope", "scope_insufficient");
    assert_eq!(ask(&server, "GET", KEYS, &token, &reader.key).await.status, 200);
    // Who asks for no scope gets no token.
    let answer = all.ask_token(&server, "").await;
    answer.refused(400, "invalid_scope", "scope_not_granted");
    let found = refusals(&server, &all).await;
    recorded(&found, &reader.account(), "keys.rotate", "scope_insufficient");
    recorded(&found, &all.account(), "sessions.end", "scope_insufficient");
}

#[tokio::test]
async fn what_hurts_everybody_takes_a_sign_in_of_a_moment_ago() {
    let (wallet, auditor) = (EvmWallet::new(), Operator::new());
    let account = wallet.account();
    let list = [(&*account, EVERY_SCOPE), (&*auditor.account(), EVERY_SCOPE)];
    let server = Server::configured(&toml(&list, "[admin]\nstep_up = 120\n")).await;
    let asked = json!({ "resource": server.issuer, "scope": EVERY_SCOPE });
    let owner = SignedIn::of(&server, wallet, asked, &[]).await;
    server.clock.advance(120);
    let answer = ask(&server, "POST", ROTATE, owner.access(), &owner.key).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    server.clock.advance(1);
    // A new token of the same sign-in is no new sign-in.
    let next = owner.refresh(&server, owner.refresh_token()).await;
    let token = next.text("access_token");
    let waiting = "/admin/approvals/AAAAAAAAAAAAAAAAAAAAAA";
    let retire = format!("/admin/keys/{}/retire", jkt(&owner.key));
    let revoke = format!("/admin/keys/{}/revoke", jkt(&owner.key));
    for (method, path) in [
        ("POST", ROTATE),
        ("POST", &*retire),
        ("POST", &*revoke),
        ("POST", waiting),
        ("DELETE", waiting),
    ] {
        let answer = ask(&server, method, path, token, &owner.key).await;
        answer.refused(401, "insufficient_user_authentication", "step_up_required");
        let told = answer.header("www-authenticate").unwrap();
        assert!(told.contains("max_age=\"120\""), "{told}");
    }
    let fields = credentials(&server, "POST", "/admin/revocations", token, &owner.key);
    let everything = json!({ "everything": true });
    let answer = send(&server, "POST", "/admin/revocations", &fields, Some(&everything)).await;
    answer.refused(401, "insufficient_user_authentication", "step_up_required");
    // To look, and to end one session, the sign-in does.
    assert_eq!(ask(&server, "GET", KEYS, token, &owner.key).await.status, 200);
    let stranger = SignedIn::of(&server, EvmWallet::new(), json!({ "resource": API }), &[]).await;
    let path = format!("/admin/sessions/{}", stranger.session());
    assert_eq!(ask(&server, "DELETE", &path, token, &owner.key).await.status, 204);
    // That of an operator hurts the others.
    let path = format!("/admin/sessions/{}", owner.session());
    let answer = ask(&server, "DELETE", &path, token, &owner.key).await;
    answer.refused(401, "insufficient_user_authentication", "step_up_required");
    let found = refusals(&server, &auditor).await;
    let who = format!("did:pkh:{account}");
    for what in
        ["keys.rotate", "keys.retire", "keys.revoke", "approvals.approve", "revocations.everything"]
    {
        recorded(&found, &who, what, "step_up_required");
    }
}

/// Whoever has a key of the issuer writes any token; by that alone nobody is an operator.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_by_a_stolen_key_of_the_issuer_is_nobody() {
    use countersign::control::{KeysRequest, SecretText};
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let sealing = folder.path().join("sealing.key");
    std::fs::write(&sealing, format!("{}\n", "5a".repeat(32))).unwrap();
    std::fs::set_permissions(&sealing, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (alice, wallet) = (Operator::new(), EvmWallet::new());
    let (agent, account) = (alice.account(), wallet.account());
    let list = [(&*agent, EVERY_SCOPE), (&*account, EVERY_SCOPE)];
    let more = format!("[keys]\nkey_file = \"{}\"\n", sealing.display());
    let server = Server::configured(&toml(&list, &more)).await;
    let (stolen, thief) = (key(Curve::Ed25519), key(Curve::Ed25519));
    let pem = SecretText(stolen.to_pkcs8_pem().unwrap().to_string());
    // The next key is published, and verifies.
    crate::keys::keys(&server, KeysRequest::Import(pem)).await.unwrap();
    let asked = json!({ "resource": server.issuer, "scope": "admin:read admin:audit" });
    let owner = SignedIn::of(&server, wallet, asked, &[]).await;
    let genuine = owner.answer.claims();
    let subject = genuine["sub"].as_str().unwrap();
    let forged = |changes: serde_json::Value| {
        let mut claims = genuine.clone();
        claims["jti"] = json!(jkt(&key(Curve::P256)));
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        if claims["sid"].is_null() {
            claims.as_object_mut().unwrap().remove("sid");
        }
        jws(&stolen, &json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": jkt(&stolen) }), &claims)
    };
    let by_thief = json!({ "jkt": jkt(&thief) });
    let as_alice = |key: &str| {
        json!({ "sub": agent, "account": agent, "client_id": agent, "cnf": by_thief, "sid": null,
            "scope": EVERY_SCOPE, "proven_key": { "jkt": key, "method": "jwt-bearer" } })
    };
    let wide = json!({ "scope": EVERY_SCOPE });
    let later = json!({ "auth_time": server.now() + 1 });
    server.clock.advance(2);
    for (changes, key) in [
        (as_alice(&jkt(&thief)), &thief),
        (as_alice(&jkt(&alice.key)), &thief),
        // The wallet, by no session, by none that there is, and by its own with another key.
        (json!({ "sub": subject, "cnf": by_thief, "sid": null }), &thief),
        (json!({ "cnf": by_thief, "sid": "AAAAAAAAAAAAAAAAAAAAAA" }), &thief),
        (json!({ "cnf": by_thief }), &thief),
        // Alice, by the wallet's session, with its key.
        (json!({ "sub": agent }), &owner.key),
        // More than was signed for, and a sign-in that never was.
        (wide, &owner.key),
        (later, &owner.key),
    ] {
        let token = forged(changes.clone());
        let answer = ask(&server, "GET", KEYS, &token, key).await;
        assert_eq!(answer.body["reason"], "operator_unknown", "{changes}: {answer:?}");
        answer.refused(403, "access_denied", "operator_unknown");
    }
    // Nor does it end what is an operator's, on the public listener, whatever the token is for.
    let session = format!("/sessions/{}", owner.session());
    for (changes, path) in [
        (as_alice(&jkt(&thief)), "/sessions"),
        (json!({ "cnf": by_thief, "sid": null, "aud": API }), "/sessions"),
        (json!({ "cnf": by_thief, "aud": API }), &session),
    ] {
        let answer = signed_in::ask(&server, "DELETE", path, &forged(changes), &thief).await;
        answer.refused(403, "access_denied", "operator_unknown");
    }
    let token = forged(json!({ "cnf": by_thief, "aud": API }));
    let form = [("token", &*token), ("everything_of", "subject")];
    let proof = [("dpop", signed_in::proof_for(&server, &thief, "POST", "/revoke", &token))];
    let answer = signed_in::post(&server, "/revoke", &form, &proof).await;
    answer.refused(403, "access_denied", "operator_unknown");
    // What the store says too is as good as the genuine one, which shows that the others fail for
    // what they say and not for who signed them.
    assert_eq!(ask(&server, "GET", KEYS, &forged(json!({})), &owner.key).await.status, 200);
    assert_eq!(alice.ask(&server, "GET", KEYS).await.status, 200);
    // The end of the session is the end of the token, whoever signed it.
    let path = format!("/admin/sessions/{}", owner.session());
    assert_eq!(alice.ask(&server, "DELETE", &path).await.status, 204);
    let answer = ask(&server, "GET", KEYS, &forged(json!({})), &owner.key).await;
    answer.refused(401, "invalid_token", "token_revoked");
    // Operators end what is theirs by any token of theirs.
    let asked = json!({ "resource": API, "scope": "read" });
    let elsewhere = SignedIn::of(&server, owner.wallet, asked, &[]).await;
    assert_eq!(elsewhere.ask(&server, "DELETE", "/sessions").await.status, 204);
    let token = agent_token(&server, &alice.key, API).await;
    let token = token.text("access_token");
    let answer = signed_in::ask(&server, "DELETE", "/sessions", token, &alice.key).await;
    assert_eq!(answer.status, 204, "{answer:?}");
}

#[tokio::test]
async fn one_key_is_no_two_operators() {
    let (wallet, auditor) = (EvmWallet::new(), Operator::new());
    let (account, another) = (wallet.account(), auditor.account());
    let tron = countersign_sdk::client::InMemoryWallet::new("tip191", wallet.raw_key(), None);
    let tron = countersign_sdk::client::Wallet::account(&tron.unwrap()).to_string();
    let list = [(&*account, EVERY_SCOPE), (&*tron, EVERY_SCOPE), (&*another, EVERY_SCOPE)];
    let server = Server::configured(&toml(&list, "[admin]\napprovals = 2\n")).await;
    let session = key(Curve::P256);
    let asked = json!({
        "account": wallet.account(), "resource": server.issuer, "scope": "admin:keys",
        "dpop_jkt": jkt(&session),
    });
    let refused = signed_in::redeem(&server, &wallet, &asked, &[], Some(&session)).await;
    refused.refused(400, "invalid_grant", "account_not_allowed");
    assert_eq!(auditor.ask_token(&server, "admin:keys").await.status, 200);
    // Elsewhere the two are as good as any.
    let api = json!({ "resource": API, "scope": "read" });
    SignedIn::of(&server, wallet, api, &[]).await;
}

/// Signing keys outlive a restart, and with them a token of before: the configuration decides.
#[tokio::test]
async fn a_former_operator_is_none() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let sealing = folder.path().join("sealing.key");
    std::fs::write(&sealing, format!("{}\n", "5a".repeat(32))).unwrap();
    std::fs::set_permissions(&sealing, std::fs::Permissions::from_mode(0o600)).unwrap();
    let keys = format!("[keys]\nkey_file = \"{}\"\n", sealing.display());
    let (leaves, stays) = (Operator::new(), Operator::new());
    let (leaver, stayer) = (leaves.account(), stays.account());
    let both = toml(&[(&leaver, EVERY_SCOPE), (&stayer, EVERY_SCOPE)], &keys);
    let server = Server::configured(&both).await;
    server.clock.advance(10);
    let token = leaves.token(&server, EVERY_SCOPE).await;
    let lesser = stays.token(&server, EVERY_SCOPE).await;
    assert_eq!(ask(&server, "GET", KEYS, &token, &leaves.key).await.status, 200);
    let server = server.restart(&toml(&[(&stayer, "admin:read admin:audit")], &keys)).await;
    server.clock.advance(10);
    let answer = ask(&server, "GET", KEYS, &token, &leaves.key).await;
    answer.refused(403, "access_denied", "operator_unknown");
    let answer = ask(&server, "POST", ROTATE, &token, &leaves.key).await;
    answer.refused(403, "access_denied", "operator_unknown");
    // One who may do less than the token still says.
    let answer = ask(&server, "POST", ROTATE, &lesser, &stays.key).await;
    answer.refused(403, "insufficient_scope", "scope_insufficient");
    assert_eq!(ask(&server, "GET", KEYS, &lesser, &stays.key).await.status, 200);
    let token = stays.token(&server, "admin:audit").await;
    let path = "/admin/audit?event=operator_action&limit=1000";
    let found = ask(&server, "GET", path, &token, &stays.key).await;
    let records = found.body["records"].as_array().unwrap();
    let of = |reason: &str| {
        let bodies = records.iter().map(|record| &record["body"]);
        bodies.filter(|body| body["reason"] == reason).collect::<Vec<_>>()
    };
    assert_eq!(of("operator_unknown").len(), 2);
    assert!(of("operator_unknown").iter().all(|body| body["operator"] == leaver));
    assert_eq!(of("scope_insufficient")[0]["operator"], stayer);
}

#[tokio::test]
async fn pages_have_no_business_here() {
    let (server, operator) = with_one().await;
    let token = operator.token(&server, EVERY_SCOPE).await;
    for origin in ["https://auth.example", "https://evil.example", "null"] {
        let mut fields = credentials(&server, "GET", KEYS, &token, &operator.key);
        fields.push(("origin", origin.to_owned()));
        let answer = send(&server, "GET", KEYS, &fields, None).await;
        answer.refused(400, "invalid_request", "domain_not_allowed");
        let asked =
            [("origin", origin.to_owned()), ("access-control-request-method", "POST".to_owned())];
        let preflight = send(&server, "OPTIONS", ROTATE, &asked, None).await;
        preflight.refused(405, "invalid_request", "method_not_allowed");
    }
    for (method, path, status, reason) in [
        ("GET", "/admin", 404, "not_found"),
        ("POST", "/admin/keys/", 404, "not_found"),
        ("GET", "/admin/keys/rotate/x", 404, "not_found"),
        ("PUT", KEYS, 405, "method_not_allowed"),
        ("GET", ROTATE, 405, "method_not_allowed"),
    ] {
        let answer = ask(&server, method, path, &token, &operator.key).await;
        answer.refused(status, "invalid_request", reason);
    }
}

#[tokio::test]
async fn a_flood_of_strangers_does_not_fill_the_record() {
    let operator = Operator::new();
    let more = "[limits]\nrequests_per_minute = \"off\"\n";
    let server = Server::configured(&toml(&[(&operator.account(), EVERY_SCOPE)], more)).await;
    for _ in 0..100 {
        send(&server, "GET", KEYS, &[], None).await.refused(401, "invalid_token", "token_required");
    }
    let strangers = async || {
        let found = refusals(&server, &operator).await;
        found.into_iter().filter(|(who, ..)| who == "-").count()
    };
    assert_eq!(strangers().await, 60);
    // Who shows an operator's token without its key is a stranger too.
    let seen = operator.token(&server, "admin:read").await;
    let thief = key(Curve::Ed25519);
    let answer = ask(&server, "GET", KEYS, &seen, &thief).await;
    answer.refused(401, "invalid_token", "proof_key_mismatch");
    let found = refusals(&server, &operator).await;
    assert!(found.iter().all(|(_, _, reason)| reason != "proof_key_mismatch"), "{found:?}");
    // So is who has it for an application, which has a key of its own.
    let elsewhere = agent_token(&server, &operator.key, API).await;
    let answer = ask(&server, "GET", KEYS, elsewhere.text("access_token"), &operator.key).await;
    answer.refused(401, "invalid_token", "token_audience");
    let found = refusals(&server, &operator).await;
    assert!(found.iter().all(|(_, _, reason)| reason != "token_audience"), "{found:?}");
    // An operator is recorded all the same.
    let token = operator.token(&server, "admin:read").await;
    let answer = ask(&server, "POST", ROTATE, &token, &operator.key).await;
    answer.refused(403, "insufficient_scope", "scope_insufficient");
    let found = refusals(&server, &operator).await;
    recorded(&found, &operator.account(), "keys.rotate", "scope_insufficient");
    server.clock.advance(60);
    send(&server, "GET", KEYS, &[], None).await.refused(401, "invalid_token", "token_required");
    assert_eq!(strangers().await, 61);
    let omitted = operator.ask(&server, "GET", "/admin/audit?event=refusals_omitted").await;
    assert_eq!(omitted.body["records"][0]["body"]["count"], 42);
}

#[tokio::test]
async fn the_desk_counts_requests_by_itself() {
    let operator = Operator::new();
    let more = "[limits]\nrequests_per_minute = 60\nburst = 5\n";
    let server = Server::configured(&toml(&[(&operator.account(), EVERY_SCOPE)], more)).await;
    let mut last = 0;
    for _ in 0..10 {
        last = send(&server, "GET", KEYS, &[], None).await.status;
    }
    assert_eq!(last, 429);
    // Neither do strangers at the desk keep the public out, nor health checks.
    assert_eq!(operator.ask_token(&server, "admin:read").await.status, 200);
    let health = format!("{}/health/live", server.operations.as_ref().unwrap());
    assert_eq!(server.http.get(health).send().await.unwrap().status(), 200);
}
