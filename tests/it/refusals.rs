//! Each refusal with its own reason, and that a refusal burns nothing.

use countersign_sdk::key::{Curve, InMemorySigner, Signer};
use serde_json::json;

use crate::flows::CONFIGURED;
use crate::support::{
    Answer, EvmWallet, JWT_BEARER, RESOURCE, SIGNED_MESSAGE, START, Server, Siwe, did, dpop, jkt,
    jws, key,
};

/// A wallet with a session key and a challenge, ready to be redeemed.
struct Ready {
    server: Server,
    wallet: EvmWallet,
    session: InMemorySigner,
    message: String,
}

impl Ready {
    async fn new() -> Self {
        let (server, wallet, session) =
            (Server::development().await, EvmWallet::new(), key(Curve::P256));
        let challenge = server
            .challenge(&json!({
                "account": wallet.account(), "resource": RESOURCE, "scope": "escrow:read",
                "dpop_jkt": jkt(&session),
            }))
            .await;
        let message = challenge.text("message").to_owned();
        Self { server, wallet, session, message }
    }

    async fn post(&self, message: &str, signature: &str) -> Answer {
        self.post_with(message, signature, &[]).await
    }

    async fn post_with(&self, message: &str, signature: &str, more: &[(&str, &str)]) -> Answer {
        let form = [
            &[("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", signature)],
            more,
        ]
        .concat();
        self.server.token(&form, Some(&self.server.proof(&self.session))).await
    }

    /// The owner's message still opens: nothing before has burnt its nonce.
    async fn assert_unburnt(&self) {
        let answer = self.post(&self.message, &self.wallet.sign(&self.message)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn a_used_message() {
    let ready = Ready::new().await;
    ready.assert_unburnt().await;
    let again = ready.post(&ready.message, &ready.wallet.sign(&ready.message)).await;
    again.refused(400, "invalid_grant", "nonce_used");
}

#[tokio::test]
async fn a_foreign_signature_burns_nothing() {
    let ready = Ready::new().await;
    let foreign = EvmWallet::new().sign(&ready.message);
    let answer = ready.post(&ready.message, &foreign).await;
    answer.refused(400, "invalid_grant", "signature_mismatch");
    for (malformed, reason) in [
        ("0x", "signature_malformed"),
        ("0x00", "signature_malformed"),
        ("zz", "signature_malformed"),
        (&*format!("0x{}1b", "0".repeat(128)), "signature_malformed"),
        (&*format!("0x{}1d", "1".repeat(128)), "signature_malformed"),
    ] {
        ready.post(&ready.message, malformed).await.refused(400, "invalid_grant", reason);
    }
    ready.assert_unburnt().await;
}

#[tokio::test]
async fn an_altered_message_even_when_signed() {
    let ready = Ready::new().await;
    for (from, to) in [
        ("escrow': 'read'", "escrow': 'reed'"),
        ("Version: 1", "Version: 2"),
        ("Chain ID: 1", "Chain ID: 137"),
        ("Sign in to", "Log in to"),
        ("Resources:\n", "Resources:\n- https://evil.example\n"),
    ] {
        let altered = ready.message.replacen(from, to, 1);
        assert_ne!(altered, ready.message, "{from}");
        let answer = ready.post(&altered, &ready.wallet.sign(&altered)).await;
        let reason =
            if from.starts_with("Version") { "version_unsupported" } else { "message_mismatch" };
        answer.refused(400, "invalid_grant", reason);
    }
    ready.assert_unburnt().await;
}

#[tokio::test]
async fn an_expired_challenge() {
    let ready = Ready::new().await;
    ready.server.clock.advance(301);
    let answer = ready.post(&ready.message, &ready.wallet.sign(&ready.message)).await;
    answer.refused(400, "invalid_grant", "challenge_expired");
}

#[tokio::test]
async fn a_nonce_of_another_issuer() {
    let (ready, other) = (Ready::new().await, Ready::new().await);
    let stolen =
        Siwe { nonce: other.server.nonce().await, ..Siwe::new(&ready.server, &ready.wallet).await };
    let message = stolen.with_session_key(&ready.session).text();
    let answer =
        ready.post_with(&message, &ready.wallet.sign(&message), &[("resource", RESOURCE)]).await;
    answer.refused(400, "invalid_grant", "nonce_unknown");
}

#[tokio::test]
async fn each_field_of_a_clients_own_message() {
    let ready = Ready::new().await;
    type Change = fn(&mut Siwe<'_>);
    let cases: [(&str, &str, Change); 9] = [
        ("invalid_grant", "domain_not_allowed", |m| {
            m.domain = "evil.example".to_owned();
        }),
        ("invalid_grant", "uri_not_allowed", |m| {
            m.uri = "https://evil.example/".to_owned();
        }),
        ("invalid_grant", "issued_at_out_of_range", |m| {
            m.issued_at -= 100_000;
        }),
        ("invalid_grant", "issued_at_out_of_range", |m| {
            m.issued_at += 100_000;
        }),
        ("invalid_grant", "malformed_message", |m| m.nonce.truncate(7)),
        ("invalid_grant", "nonce_unknown", |m| {
            m.nonce = "0".repeat(64);
        }),
        ("invalid_grant", "malformed_message", |m| {
            m.address = m.address.to_lowercase();
        }),
        ("invalid_grant", "message_expired", |m| {
            m.issued_at -= 100;
            m.tail = format!("\nExpiration Time: 2027-01-15T07:59:59Z{}", m.tail);
        }),
        ("invalid_grant", "message_not_yet_valid", |m| {
            m.tail = format!("\nNot Before: 2030-01-15T07:59:59Z{}", m.tail);
        }),
    ];
    for (error, reason, change) in cases {
        let mut siwe =
            Siwe::new(&ready.server, &ready.wallet).await.with_session_key(&ready.session);
        change(&mut siwe);
        let message = siwe.text();
        let more = [("resource", RESOURCE)];
        let answer = ready.post_with(&message, &ready.wallet.sign(&message), &more).await;
        answer.refused(400, error, reason);
    }
}

#[tokio::test]
async fn proofs_that_do_not_belong() {
    let ready = Ready::new().await;
    let signature = ready.wallet.sign(&ready.message);
    let form =
        [("grant_type", SIGNED_MESSAGE), ("message", &ready.message), ("signature", &signature)];
    let server = &ready.server;
    let htu = format!("{}/token", server.issuer);
    let thief = key(Curve::P256);
    let none = server.token(&form, None).await;
    none.refused(400, "invalid_dpop_proof", "proof_required");
    let foreign = server.token(&form, Some(&server.proof(&thief))).await;
    foreign.refused(400, "invalid_dpop_proof", "proof_key_mismatch");
    let elsewhere = dpop(&ready.session, "https://evil.example/token", START, json!({}));
    let answer = server.token(&form, Some(&elsewhere)).await;
    answer.refused(400, "invalid_dpop_proof", "proof_invalid");
    assert!(answer.text("error_description").contains(&htu));
    for iat in [START - 61, START + 6] {
        let old = server.token(&form, Some(&dpop(&ready.session, &htu, iat, json!({})))).await;
        old.refused(400, "invalid_dpop_proof", "proof_expired");
    }
    let proof = server.proof(&ready.session);
    let good = server.token(&form, Some(&proof)).await;
    assert_eq!(good.status, 200, "nothing before has burnt the nonce: {good:?}");
    let replayed = server.token(&form, Some(&proof)).await;
    replayed.refused(400, "invalid_dpop_proof", "proof_replayed");
}

#[tokio::test]
async fn a_session_key_must_hold_even_where_bearer_tokens_are_allowed() {
    let (server, wallet, session) =
        (Server::configured(CONFIGURED).await, EvmWallet::new(), key(Curve::P256));
    let challenge = server
        .challenge(&json!({
            "account": wallet.account(), "resource": "https://api.example",
            "dpop_jkt": jkt(&session), "domain": "app.example",
        }))
        .await;
    let message = challenge.text("message");
    let signature = wallet.sign(message);
    let form = [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &signature)];
    server.token(&form, None).await.refused(400, "invalid_dpop_proof", "proof_required");
    assert_eq!(server.token(&form, Some(&server.proof(&session))).await.status, 200);
}

#[tokio::test]
async fn a_private_key_anywhere() {
    let ready = Ready::new().await;
    let private = json!({
        "typ": "dpop+jwt", "alg": "EdDSA",
        "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                 "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" },
    });
    let proof = jws(&key(Curve::Ed25519), &private, &json!({}));
    let server = &ready.server;
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}"#;
    for (name, value) in [("seed", "abandon abandon"), ("public_key", jwk)] {
        let sent = server.token(&[(name, value)], None).await;
        sent.refused(400, "invalid_request", "private_key_received");
    }
    let told = server.challenge(&json!({ "account": "a", "dpop_jkt": jwk })).await;
    told.refused(400, "invalid_request", "private_key_received");
    let body =
        json!({ "account": did(&key(Curve::Ed25519)), "jwk": { "kty": "OKP", "d": "AAAA" } });
    server.challenge(&body).await.refused(400, "invalid_request", "private_key_received");
    let form = [
        ("grant_type", SIGNED_MESSAGE),
        ("message", ready.message.as_str()),
        ("signature", "0x00"),
    ];
    let answer = ready.server.token(&form, Some(&proof)).await;
    answer.refused(400, "invalid_request", "private_key_received");
}

#[tokio::test]
async fn scopes_and_resources_never_widen() {
    let ready = Ready::new().await;
    let signature = ready.wallet.sign(&ready.message);
    let wider = [("scope", "escrow:read escrow:release")];
    let answer = ready.post_with(&ready.message, &signature, &wider).await;
    answer.refused(400, "invalid_scope", "scope_not_granted");
    let other = [("resource", "http://127.0.0.1:9999")];
    let answer = ready.post_with(&ready.message, &signature, &other).await;
    answer.refused(400, "invalid_target", "resource_not_allowed");
    ready.assert_unburnt().await;
}

#[tokio::test]
async fn assertions_that_do_not_fit() {
    let (server, agent) = (Server::development().await, key(Curve::Ed25519));
    let good = json!({
        "iss": did(&agent), "sub": did(&agent), "aud": server.issuer, "jti": "j",
        "iat": START, "exp": START + 60, "scope": "pay", "resource": RESOURCE,
    });
    let other = did(&key(Curve::Ed25519));
    for (member, value, reason) in [
        ("iss", json!(other), "assertion_invalid"),
        ("sub", json!(other), "assertion_invalid"),
        ("aud", json!("https://evil.example"), "assertion_invalid"),
        ("aud", json!([server.issuer, "https://evil.example"]), "assertion_invalid"),
        ("exp", json!(START + 61), "assertion_expired"),
        ("exp", json!(START - 10), "assertion_expired"),
        ("exp", json!("soon"), "assertion_invalid"),
        ("iat", json!(START + 30), "assertion_expired"),
        ("nbf", json!(START + 30), "assertion_expired"),
        ("jti", json!(""), "assertion_invalid"),
    ] {
        let mut payload = good.clone();
        payload[member] = value;
        let assertion = jws(&agent, &json!({ "alg": "EdDSA" }), &payload);
        let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
        let answer = server.token(&form, Some(&server.proof(&agent))).await;
        answer.refused(400, "invalid_grant", reason);
    }
    for typ in ["dpop+jwt", "at+jwt"] {
        let assertion = jws(&agent, &json!({ "alg": "EdDSA", "typ": typ }), &good);
        let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
        let answer = server.token(&form, Some(&server.proof(&agent))).await;
        answer.refused(400, "invalid_grant", "assertion_invalid");
    }
    let assertion = jws(&agent, &json!({ "alg": agent.algorithm().name() }), &good);
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    let foreign = server.token(&form, Some(&server.proof(&key(Curve::Ed25519)))).await;
    foreign.refused(400, "invalid_dpop_proof", "proof_key_mismatch");
    assert_eq!(server.token(&form, Some(&server.proof(&agent))).await.status, 200);
}

#[tokio::test]
async fn challenges_that_are_not_written() {
    let server = Server::configured(CONFIGURED).await;
    let account = EvmWallet::new().account();
    let escrow = "https://escrow.example";
    for (body, error, reason) in [
        (json!({ "account": "nobody", "resource": escrow }), "invalid_request", "account_invalid"),
        (
            json!({ "account": "eip155:1:0x12", "resource": escrow }),
            "invalid_request",
            "account_invalid",
        ),
        (json!({ "account": account }), "invalid_target", "resource_required"),
        (
            json!({ "account": account, "resource": "https://x.example" }),
            "invalid_target",
            "resource_not_allowed",
        ),
        (
            json!({ "account": account, "resource": escrow, "scope": "escrow:burn" }),
            "invalid_scope",
            "scope_unknown",
        ),
        (
            json!({ "account": account, "resource": escrow, "domain": "evil.example" }),
            "invalid_request",
            "domain_not_allowed",
        ),
        (
            json!({ "account": account, "resource": escrow, "format": "siws" }),
            "invalid_request",
            "format_unsupported",
        ),
        (
            json!({ "account": account, "resource": escrow, "dpop_jkt": "short" }),
            "invalid_request",
            "session_key_invalid",
        ),
        (
            json!({ "account": account, "resource": escrow, "colour": "red" }),
            "invalid_request",
            "parameter_unknown",
        ),
        (json!({ "account": 1 }), "invalid_request", "malformed_request"),
        (
            json!({ "account": account.replace("eip155:1:", "eip155:10:"), "resource": escrow }),
            "invalid_request",
            "chain_not_allowed",
        ),
    ] {
        server.challenge(&body).await.refused(400, error, reason);
    }
}

#[tokio::test]
async fn a_stranger_does_not_burn_a_bare_nonce() {
    let ready = Ready::new().await;
    let siwe = Siwe::new(&ready.server, &ready.wallet).await.with_session_key(&ready.session);
    let stranger = EvmWallet::new();
    let copied = Siwe { address: stranger.address(), tail: siwe.tail.clone(), ..siwe };
    let more = [("resource", RESOURCE)];
    let theirs = copied.text();
    let answer = ready.post_with(&theirs, &stranger.sign(&theirs), &more).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // The owner's text still opens, once, on whatever chain it is written for.
    let mine = theirs.replace(&stranger.address(), &ready.wallet.address());
    let answer = ready.post_with(&mine, &ready.wallet.sign(&mine), &more).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let again = mine.replace("Chain ID: 1", "Chain ID: 137");
    let answer = ready.post_with(&again, &ready.wallet.sign(&again), &more).await;
    answer.refused(400, "invalid_grant", "nonce_used");
}

#[tokio::test]
async fn an_assertion_from_before_the_start() {
    let (server, agent) = (Server::development().await, key(Curve::Ed25519));
    let payload = json!({
        "iss": did(&agent), "sub": did(&agent), "aud": server.issuer, "jti": "j",
        "iat": START - 1, "exp": START + 50, "resource": RESOURCE,
    });
    let assertion = jws(&agent, &json!({ "alg": "EdDSA" }), &payload);
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    let answer = server.token(&form, Some(&server.proof(&agent))).await;
    answer.refused(400, "invalid_grant", "assertion_expired");
}

#[tokio::test]
async fn a_denied_key_is_denied_by_each_of_its_names() {
    let agent = key(Curve::Ed25519);
    let address = bs58::encode(agent.public_key().as_bytes()).into_string();
    let toml = format!(
        "issuer = \"https://auth.example\"\n[[resources]]\nuri = \"https://api.example\"\n\
         scopes = [\"read\"]\ndeny = [\"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:{address}\"]\n"
    );
    let server = Server::configured(&toml).await;
    let payload = json!({
        "iss": did(&agent), "sub": did(&agent), "aud": server.issuer, "jti": "j",
        "iat": START, "exp": START + 50,
    });
    let assertion = jws(&agent, &json!({ "alg": "EdDSA" }), &payload);
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    let answer = server.token(&form, Some(&server.proof(&agent))).await;
    answer.refused(400, "invalid_grant", "account_not_allowed");
}
