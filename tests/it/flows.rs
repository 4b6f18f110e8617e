//! Each grant and format, from challenge to token.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_sdk::key::{Curve, Signer};
use serde_json::json;

use crate::support::{
    EvmWallet, JWT_BEARER, RESOURCE, SIGNED_MESSAGE, START, Server, Siwe, did, dpop, jkt, jws, key,
    part,
};

#[tokio::test]
async fn an_evm_wallet_with_a_session_key_gets_a_bound_token() {
    for curve in [Curve::P256, Curve::Ed25519, Curve::Secp256k1] {
        let (server, wallet, session) = (Server::development().await, EvmWallet::new(), key(curve));
        let challenge = server
            .challenge(&json!({
                "account": format!("eip155:137:{}", wallet.address()), "resource": RESOURCE,
                "scope": "escrow:release escrow:read", "dpop_jkt": jkt(&session),
            }))
            .await;
        assert_eq!(challenge.header("cache-control"), Some("no-store"));
        let message = challenge.text("message");
        assert!(message.contains("(1) 'escrow': 'read', 'release' for 'http://127.0.0.1:8800'."));
        let signature = wallet.sign(message);
        let form =
            [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &signature)];
        let answer = server.token(&form, Some(&server.proof(&session))).await;
        let claims = answer.claims();
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.text("token_type"), "DPoP");
        assert_eq!(answer.body["expires_in"], 300);
        let sub = format!("did:pkh:eip155:1:{}", wallet.address());
        assert_eq!(claims["sub"], json!(sub));
        assert_eq!(answer.text("sub"), sub);
        assert_eq!(claims["account"], json!(format!("eip155:137:{}", wallet.address())));
        assert_eq!(claims["aud"], json!(RESOURCE));
        assert_eq!(claims["iss"], json!(server.issuer));
        assert_eq!(claims["cnf"]["jkt"], json!(jkt(&session)));
        assert_ne!(claims["proven_key"]["jkt"], claims["cnf"]["jkt"]);
        assert_eq!(claims["proven_key"]["method"], "siwe");
        assert_eq!(claims["scope"], "escrow:read escrow:release");
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(START), &json!(START + 300)));
        let header = part(answer.text("access_token"), 0);
        assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("EdDSA")));
    }
}

#[tokio::test]
async fn a_message_that_the_client_wrote_gets_the_default_scopes_only() {
    let (server, wallet, session) =
        (Server::development().await, EvmWallet::new(), key(Curve::P256));
    let message = Siwe::new(&server, &wallet).await.with_session_key(&session).text();
    let signature = wallet.sign(&message);
    let form = [
        ("grant_type", SIGNED_MESSAGE),
        ("message", &message),
        ("signature", &signature),
        ("resource", RESOURCE),
    ];
    let answer = server.token(&form, Some(&server.proof(&session))).await;
    assert_eq!(answer.claims()["scope"], "read");
    let wider = [&form[..], &[("scope", "read escrow:release")]].concat();
    let message = Siwe::new(&server, &wallet).await.with_session_key(&session).text();
    let signature = wallet.sign(&message);
    let wider: Vec<_> = wider
        .into_iter()
        .map(|(name, value)| match name {
            "message" => (name, message.as_str()),
            "signature" => (name, signature.as_str()),
            _ => (name, value),
        })
        .collect();
    let answer = server.token(&wider, Some(&server.proof(&session))).await;
    answer.refused(400, "invalid_scope", "scope_not_granted");
}

/// A text that says where it signs in opens nothing elsewhere, and one that opens nothing is not written.
#[tokio::test]
async fn a_sign_in_without_scopes_is_refused() {
    let none = CONFIGURED.replacen("default_scopes = [\"escrow:read\"]", "", 1);
    let server = Server::configured(&none).await;
    let (wallet, session, agent) = (EvmWallet::new(), key(Curve::P256), key(Curve::Ed25519));
    let (bare, other) = ("https://escrow.example", "https://api.example");
    let mut ask = json!({
        "account": wallet.account(), "resource": bare, "dpop_jkt": jkt(&session),
        "domain": "app.example",
    });
    server.challenge(&ask).await.refused(400, "invalid_scope", "scope_not_granted");
    ask["scope"] = json!("");
    server.challenge(&ask).await.refused(400, "invalid_scope", "scope_not_granted");
    ask["scope"] = json!("escrow:read");
    // With a scope the text is for this resource and no other.
    let challenge = server.challenge(&ask).await;
    let message = challenge.text("message");
    let signature = wallet.sign(message);
    let form = |resource| {
        [
            ("grant_type", SIGNED_MESSAGE),
            ("message", message),
            ("signature", signature.as_str()),
            ("resource", resource),
        ]
    };
    let answer = server.token(&form(other), Some(&server.proof(&session))).await;
    answer.refused(400, "invalid_target", "resource_not_allowed");
    let answer = server.token(&form(bare), Some(&server.proof(&session))).await;
    assert_eq!(answer.claims()["aud"], json!(bare));

    // A text of the client's own, and an agent.
    let mut own = Siwe::new(&server, &wallet).await.with_session_key(&session);
    own.domain = "app.example".to_owned();
    own.uri = "https://app.example/login".to_owned();
    let message = own.text();
    let signature = wallet.sign(&message);
    let form = |resource| {
        [
            ("grant_type", SIGNED_MESSAGE),
            ("message", message.as_str()),
            ("signature", signature.as_str()),
            ("resource", resource),
        ]
    };
    let answer = server.token(&form(bare), Some(&server.proof(&session))).await;
    answer.refused(400, "invalid_scope", "scope_not_granted");
    let answer = server.token(&form(other), Some(&server.proof(&session))).await;
    assert_eq!(answer.claims()["scope"], "read", "nothing before has burnt it");
    let payload = json!({
        "iss": did(&agent), "sub": did(&agent), "aud": server.issuer, "jti": "one",
        "iat": server.now(), "exp": server.now() + 60, "resource": bare,
    });
    let assertion = jws(&agent, &json!({ "alg": "EdDSA" }), &payload);
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    let answer = server.token(&form, Some(&server.proof(&agent))).await;
    answer.refused(400, "invalid_scope", "scope_not_granted");
}

#[tokio::test]
async fn every_spelling_of_a_right_evm_signature_is_taken() {
    let (server, wallet, session) =
        (Server::development().await, EvmWallet::new(), key(Curve::Ed25519));
    for spelling in ["27", "0", "compact", "no prefix"] {
        let message = Siwe::new(&server, &wallet).await.with_session_key(&session).text();
        let (mut rs, id) = wallet.sign_parts(&message);
        let signature = match spelling {
            "27" => format!("0x{}{:02X}", hex::encode_upper(rs), 27 + id),
            "0" => format!("0x{}{:02x}", hex::encode(rs), id),
            "compact" => {
                rs[32] |= id << 7;
                format!("0x{}", hex::encode(rs))
            }
            _ => format!("{}{:02x}", hex::encode(rs), 27 + id),
        };
        let form = [
            ("grant_type", SIGNED_MESSAGE),
            ("message", &message),
            ("signature", &signature),
            ("resource", RESOURCE),
        ];
        let answer = server.token(&form, Some(&server.proof(&session))).await;
        if spelling == "no prefix" {
            answer.refused(400, "invalid_grant", "signature_malformed");
        } else {
            assert_eq!(answer.status, 200, "{spelling}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_solana_wallet_signs_in_with_its_own_key() {
    let (server, wallet) = (Server::development().await, key(Curve::Ed25519));
    let address = bs58::encode(wallet.public_key().as_bytes()).into_string();
    let account = format!("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:{address}");
    for base64 in [false, true] {
        let challenge = server
            .challenge(&json!({ "account": account, "resource": RESOURCE, "scope": "pay" }))
            .await;
        let message = challenge.text("message");
        let signature = wallet.sign_now(message.as_bytes()).unwrap();
        let signature =
            if base64 { STANDARD.encode(signature) } else { bs58::encode(signature).into_string() };
        let form =
            [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &signature)];
        let claims = server.token(&form, Some(&server.proof(&wallet))).await.claims();
        assert_eq!(claims["sub"], json!(format!("did:pkh:{account}")));
        assert_eq!(claims["cnf"]["jkt"], claims["proven_key"]["jkt"]);
        assert_eq!(claims["proven_key"]["method"], "siws");
    }
}

#[tokio::test]
async fn an_agent_signs_a_challenge_with_its_raw_key() {
    for curve in [Curve::Ed25519, Curve::Secp256k1] {
        let (server, agent) = (Server::development().await, key(curve));
        let challenge = server
            .challenge(&json!({ "account": did(&agent), "resource": RESOURCE, "scope": "pay" }))
            .await;
        assert_eq!(challenge.text("format"), "key");
        let message = challenge.text("message");
        assert!(message.contains("wants you to sign in with your key:\ndid:key:z"));
        let signature = URL_SAFE_NO_PAD.encode(agent.sign_now(message.as_bytes()).unwrap());
        let form =
            [("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &signature)];
        let claims = server.token(&form, Some(&server.proof(&agent))).await.claims();
        assert_eq!(claims["sub"], json!(did(&agent)));
        assert_eq!(claims["cnf"]["jkt"], json!(jkt(&agent)));
    }
}

#[tokio::test]
async fn an_agent_signs_in_with_one_assertion() {
    for curve in [Curve::Ed25519, Curve::Secp256k1] {
        let (server, agent) = (Server::development().await, key(curve));
        let payload = json!({
            "iss": did(&agent), "sub": did(&agent), "aud": server.issuer, "jti": "one",
            "iat": START, "exp": START + 60, "scope": "pay read", "resource": RESOURCE,
        });
        let assertion = jws(&agent, &json!({ "alg": agent.algorithm().name() }), &payload);
        let form =
            [("grant_type", JWT_BEARER), ("assertion", assertion.as_str()), ("scope", "pay")];
        let claims = server.token(&form, Some(&server.proof(&agent))).await.claims();
        assert_eq!(claims["sub"], json!(did(&agent)));
        assert_eq!(claims["client_id"], json!(did(&agent)));
        assert_eq!(claims["scope"], "pay");
        assert_eq!(claims["proven_key"]["method"], "jwt-bearer");
        let again = server.token(&form, Some(&server.proof(&agent))).await;
        again.refused(400, "invalid_grant", "assertion_replayed");
    }
}

#[tokio::test]
async fn es256_signs_tokens_where_it_is_configured() {
    let server = Server::configured(CONFIGURED).await;
    server.clock.advance(10);
    let agent = key(Curve::Ed25519);
    let payload = json!({
        "iss": did(&agent), "sub": did(&agent), "aud": server.issuer, "jti": "one",
        "iat": server.now(), "exp": server.now() + 60,
    });
    let assertion = jws(&agent, &json!({ "alg": "EdDSA", "typ": "JWT" }), &payload);
    let form = [
        ("grant_type", JWT_BEARER),
        ("assertion", assertion.as_str()),
        ("resource", "https://api.example"),
    ];
    // Without a proof: the resource allows bearer tokens.
    let answer = server.token(&form, None).await;
    assert_eq!(answer.claims()["scope"], "read");
    assert!(answer.claims().get("cnf").is_none());
    assert_eq!(answer.text("token_type"), "Bearer");
    assert_eq!(part(answer.text("access_token"), 0)["alg"], "ES256");
}

#[tokio::test]
async fn a_nonce_is_demanded_where_it_is_configured() {
    let toml = format!("{CONFIGURED}\n[dpop]\nrequire_nonce = true\n");
    let (server, agent) = (Server::configured(&toml).await, key(Curve::Ed25519));
    let form = |jti: &str| {
        let payload = json!({
            "iss": did(&agent), "sub": did(&agent), "aud": server.issuer, "jti": jti,
            "iat": START, "exp": START + 60, "resource": "https://escrow.example",
        });
        jws(&agent, &json!({ "alg": "EdDSA" }), &payload)
    };
    let assertion = form("a");
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
    let htu = format!("{}/token", server.issuer);
    let told = server.token(&form, Some(&dpop(&agent, &htu, START, json!({})))).await;
    told.refused(400, "use_dpop_nonce", "proof_nonce_required");
    let nonce = told.header("dpop-nonce").unwrap().to_owned();
    // Nothing was used up: the same assertion goes through with the nonce.
    let proof = dpop(&agent, &htu, START, json!({ "nonce": nonce }));
    let answer = server.token(&form, Some(&proof)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.header("dpop-nonce").is_some_and(|next| next != nonce));
    // A nonce for messages is none for proofs.
    let bare = server.nonce().await;
    let wrong = dpop(&agent, &htu, START, json!({ "nonce": bare }));
    server.token(&form, Some(&wrong)).await.refused(400, "use_dpop_nonce", "proof_nonce_required");
}

/// A configured issuer with a bound and a bearer resource.
pub(crate) const CONFIGURED: &str = r#"
issuer = "https://auth.example/tenant"
domains = ["app.example"]
chains = ["eip155:1", "eip155:137"]

[signing]
algorithm = "ES256"

[[resources]]
uri = "https://escrow.example"
scopes = ["escrow:read", "escrow:release"]
default_scopes = ["escrow:read"]

[[resources]]
uri = "https://api.example"
scopes = ["read", "write"]
default_scopes = ["read"]
binding = "optional"
formats = ["siwe", "key"]
"#;

/// The tokens are read by a JWT library that had no part in signing them.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "another's verifier is the point")]
async fn a_token_is_verified_by_another_library() {
    let (server, agent) = (Server::configured(CONFIGURED).await, key(Curve::Ed25519));
    let development = Server::development().await;
    for server in [&server, &development] {
        let resource =
            if server.issuer.starts_with("https") { "https://api.example" } else { RESOURCE };
        let payload = json!({
            "iss": did(&agent), "sub": did(&agent), "aud": server.issuer, "jti": "one",
            "iat": server.now(), "exp": server.now() + 60, "resource": resource,
        });
        let assertion = jws(&agent, &json!({ "alg": "EdDSA" }), &payload);
        let form = [("grant_type", JWT_BEARER), ("assertion", assertion.as_str())];
        let answer = server.token(&form, Some(&server.proof(&agent))).await;
        let jwks = server.http.get(server.at("/.well-known/jwks.json")).send().await.unwrap();
        let jwks: jsonwebtoken::jwk::JwkSet = jwks.json().await.unwrap();
        let token = answer.text("access_token");
        let header = jsonwebtoken::decode_header(token).unwrap();
        let jwk = jwks.find(header.kid.as_deref().unwrap()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(header.alg);
        validation.set_audience(&[resource]);
        validation.validate_exp = false;
        let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
        let read = jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation).unwrap();
        assert_eq!(read.claims["sub"], json!(did(&agent)));
    }
}
