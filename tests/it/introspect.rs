//! A resource server asks about a token: how it says who it is, and that it learns of its own alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::key::{Curve, InMemorySigner, Signer as _};
use serde_json::{Value, json};

use crate::flows::CONFIGURED;
use crate::signed_in::{SignedIn, agent_token, post, redeem, revoke};
use crate::support::{Answer, EvmWallet, RESOURCE, START, Server, did, jkt, jws, key, part};

const ESCROW: &str = "https://escrow.example";
const API: &str = "https://api.example";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const SECRET: &str = "cs_is_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const INACTIVE: &str = r#"{"active":false}"#;

/// An issuer with a resource that signs, and one that has a secret; the key of the first.
async fn configured() -> (Server, InMemorySigner) {
    let caller = key(Curve::Ed25519);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SECRET.as_bytes());
    let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash);
    let toml = CONFIGURED
        .replacen(
            "scopes = [\"escrow",
            &format!("introspection_keys = [\"{}\"]\nscopes = [\"escrow", did(&caller)),
            1,
        )
        .replacen("binding", &format!("introspection_secret = \"sha256:{hash}\"\nbinding"), 1);
    (Server::configured(&toml).await, caller)
}

fn assertion(server: &Server, caller: &InMemorySigner, changes: Value) -> String {
    let mut claims = json!({
        "iss": did(caller), "sub": did(caller), "aud": server.issuer, "iat": server.now(),
        "exp": server.now() + 60, "jti": jkt(&key(Curve::Ed25519)),
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    jws(caller, &json!({ "alg": caller.algorithm().name() }), &claims)
}

async fn by_key(server: &Server, caller: &InMemorySigner, token: &str) -> Answer {
    by_assertion(server, &assertion(server, caller, json!({})), token).await
}

async fn by_assertion(server: &Server, assertion: &str, token: &str) -> Answer {
    let form =
        [("token", token), ("client_assertion_type", ASSERTION), ("client_assertion", assertion)];
    post(server, "/introspect", &form, &[]).await
}

async fn by_secret(server: &Server, user: &str, secret: &str, token: &str) -> Answer {
    let user: String =
        percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC).collect();
    let authorization = format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")));
    post(server, "/introspect", &[("token", token)], &[("authorization", authorization)]).await
}

#[track_caller]
fn inactive(answer: &Answer) {
    assert_eq!((answer.status, answer.body.to_string()), (200, INACTIVE.to_owned()), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[track_caller]
fn unauthenticated(answer: &Answer) {
    answer.refused(401, "invalid_client", "client_not_authenticated");
    assert!(answer.header("www-authenticate").unwrap().starts_with("Basic realm="));
}

/// A wallet's session at the escrow.
async fn owner(server: &Server) -> SignedIn {
    let asked = json!({ "resource": ESCROW, "domain": "app.example" });
    SignedIn::of(server, EvmWallet::new(), asked, &[]).await
}

#[tokio::test]
async fn a_resource_server_learns_what_its_token_stands_for() {
    let (server, caller) = configured().await;
    let owner = owner(&server).await;
    let answer = by_key(&server, &caller, owner.access()).await;
    let claims = owner.answer.claims();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut expected = json!({ "active": true, "token_type": "DPoP" });
    for name in [
        "iss",
        "sub",
        "aud",
        "client_id",
        "scope",
        "exp",
        "iat",
        "nbf",
        "jti",
        "auth_time",
        "cnf",
        "sid",
        "account",
        "proven_key",
    ] {
        assert!(!claims[name].is_null(), "{name}");
        expected[name] = claims[name].clone();
    }
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn a_stock_library_asks_with_its_secret() {
    let (server, _) = configured().await;
    let wallet = EvmWallet::new();
    let body = json!({ "account": wallet.account(), "resource": API, "domain": "app.example" });
    let bearer = redeem(&server, &wallet, &body, &[], None).await;
    let token = bearer.text("access_token");
    let answer = by_secret(&server, API, SECRET, token).await;
    assert_eq!((&answer.body["active"], &answer.body["aud"]), (&json!(true), &json!(API)));
    assert_eq!(answer.body["token_type"], "Bearer");
    assert!(answer.body.get("cnf").is_none() && answer.body.get("sid").is_none());
    // As a client writes it that does not encode what stands before the colon.
    let plain = format!("basic {}", STANDARD.encode(format!("{API}:{SECRET}")));
    let form = [("token", token), ("client_id", API), ("token_type_hint", "access_token")];
    let answer = post(&server, "/introspect", &form, &[("authorization", plain)]).await;
    assert_eq!(answer.body["active"], true);
}

#[tokio::test]
async fn of_anything_else_nothing_is_said() {
    let (server, caller) = configured().await;
    let elsewhere = Server::development().await;
    let owner = owner(&server).await;
    let foreign = SignedIn::new(&elsewhere).await;
    let agent = agent_token(&server, &key(Curve::Ed25519), API).await;
    let altered = format!("{}AAAA", &owner.access()[..owner.access().len() - 4]);
    let others = [
        agent.text("access_token"),
        foreign.access(),
        owner.refresh_token(),
        &altered,
        "x",
        "a.b.c",
    ];
    for token in others {
        inactive(&by_key(&server, &caller, token).await);
    }
    inactive(&by_secret(&server, API, SECRET, owner.access()).await);
    revoke(&server, owner.access()).await;
    inactive(&by_key(&server, &caller, owner.access()).await);
    let next = owner.refresh(&server, owner.refresh_token()).await;
    let token = next.text("access_token");
    assert_eq!(by_key(&server, &caller, token).await.body["active"], true);
    revoke(&server, next.text("refresh_token")).await;
    inactive(&by_key(&server, &caller, token).await);
}

#[tokio::test]
async fn an_expired_token_is_inactive_at_its_very_second() {
    let (server, caller) = configured().await;
    let owner = owner(&server).await;
    server.clock.advance(299);
    assert_eq!(by_key(&server, &caller, owner.access()).await.body["active"], true);
    server.clock.advance(1);
    inactive(&by_key(&server, &caller, owner.access()).await);
}

#[tokio::test]
async fn an_assertion_is_the_callers_own_and_used_once() {
    let (server, caller) = configured().await;
    let owner = owner(&server).await;
    let token = owner.access();
    let once = assertion(&server, &caller, json!({}));
    assert_eq!(by_assertion(&server, &once, token).await.body["active"], true);
    unauthenticated(&by_assertion(&server, &once, token).await);
    let stranger = key(Curve::Ed25519);
    unauthenticated(&by_key(&server, &stranger, token).await);
    for changes in [
        json!({ "aud": format!("{}/introspect", server.issuer) }),
        json!({ "aud": [server.issuer, "https://elsewhere.example"] }),
        json!({ "exp": START + 61 }),
        json!({ "exp": START - 10, "iat": START - 20 }),
        json!({ "iat": START - 1, "exp": START + 10 }),
        json!({ "sub": did(&stranger) }),
        json!({ "iss": did(&stranger), "sub": did(&stranger) }),
        json!({ "jti": "" }),
    ] {
        let wrong = assertion(&server, &caller, changes.clone());
        let answer = by_assertion(&server, &wrong, token).await;
        assert_eq!(answer.status, 401, "{changes}");
        unauthenticated(&answer);
    }
    unauthenticated(&by_assertion(&server, "garbage", token).await);
    let header =
        json!({ "alg": "EdDSA", "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA" } });
    let burnt = jws(&caller, &header, &part(&assertion(&server, &caller, json!({})), 1));
    let answer = by_assertion(&server, &burnt, token).await;
    answer.refused(400, "invalid_request", "private_key_received");
    // The user's own token or proof is no assertion.
    unauthenticated(&by_assertion(&server, token, token).await);
    unauthenticated(&by_assertion(&server, &server.proof(&caller), token).await);
}

#[tokio::test]
async fn a_key_for_the_grant_and_for_the_question_shares_its_memory() {
    let (server, caller) = configured().await;
    let owner = owner(&server).await;
    let once = assertion(&server, &caller, json!({ "resource": ESCROW }));
    let form = [("grant_type", crate::support::JWT_BEARER), ("assertion", &*once)];
    let answer = server.token(&form, Some(&server.proof(&caller))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    unauthenticated(&by_assertion(&server, &once, owner.access()).await);
}

#[tokio::test]
async fn a_wrong_secret_or_user_is_refused() {
    let (server, _) = configured().await;
    let token = owner(&server).await.answer.text("access_token").to_owned();
    let other = format!("{}B", &SECRET[..48]);
    for (user, secret) in [
        (API, &*other),
        (API, ""),
        (ESCROW, SECRET),
        ("https://nowhere.example", SECRET),
        ("", SECRET),
    ] {
        unauthenticated(&by_secret(&server, user, secret, &token).await);
    }
    for authorization in ["Basic !", "Basic", "DPoP x", "Bearer x", "Basic YWJj"] {
        let fields = [("authorization", authorization.to_owned())];
        unauthenticated(&post(&server, "/introspect", &[("token", "x")], &fields).await);
    }
}

#[tokio::test]
async fn a_caller_authenticates_in_one_way() {
    let (server, caller) = configured().await;
    let own = assertion(&server, &caller, json!({}));
    let basic = format!("Basic {}", STANDARD.encode(format!("{API}:{SECRET}")));
    let both = [("token", "x"), ("client_assertion_type", ASSERTION), ("client_assertion", &*own)];
    let answer = post(&server, "/introspect", &both, &[("authorization", basic.clone())]).await;
    answer.refused(400, "invalid_request", "malformed_request");
    unauthenticated(&post(&server, "/introspect", &[("token", "x")], &[]).await);
    let untyped = [("token", "x"), ("client_assertion", &*own)];
    unauthenticated(&post(&server, "/introspect", &untyped, &[]).await);
    let in_form = [("token", "x"), ("client_id", API), ("client_secret", SECRET)];
    unauthenticated(&post(&server, "/introspect", &in_form, &[]).await);
    let without = post(&server, "/introspect", &[], &[("authorization", basic.clone())]).await;
    without.refused(400, "invalid_request", "parameter_missing");
    for (client_id, fields) in [(ESCROW, vec![("authorization", basic)]), (API, vec![])] {
        let mut form = vec![("token", "x"), ("client_id", client_id)];
        if fields.is_empty() {
            form.extend([("client_assertion_type", ASSERTION), ("client_assertion", &*own)]);
        }
        unauthenticated(&post(&server, "/introspect", &form, &fields).await);
    }
    // None of it has used the assertion up.
    let name = did(&caller);
    let named = [&both[..], &[("client_id", &*name)]].concat();
    assert_eq!(post(&server, "/introspect", &named, &[]).await.body["active"], false);
}

#[tokio::test]
async fn in_development_any_key_asks_and_no_secret_is_known() {
    let server = Server::development().await;
    let owner = SignedIn::new(&server).await;
    for curve in [Curve::Ed25519, Curve::Secp256k1] {
        let answer = by_key(&server, &key(curve), owner.access()).await;
        assert_eq!(answer.body["jti"], part(owner.access(), 1)["jti"]);
    }
    let refused = by_secret(&server, RESOURCE, SECRET, owner.access()).await;
    unauthenticated(&refused);
    assert!(refused.text("error_description").contains("private_key_jwt"));
}
