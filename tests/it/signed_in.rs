//! Somebody who has signed in with a session key, and what they then ask of the issuer.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::key::{Curve, InMemorySigner};
use serde_json::{Value, json};

use crate::support::{
    Answer, EvmWallet, JWT_BEARER, RESOURCE, SIGNED_MESSAGE, Server, did, dpop, jkt, jws, key,
};

/// A wallet, its session key, and the answer that opened the session.
pub(crate) struct SignedIn {
    pub(crate) wallet: EvmWallet,
    pub(crate) key: InMemorySigner,
    pub(crate) answer: Answer,
}

impl SignedIn {
    pub(crate) async fn new(server: &Server) -> Self {
        Self::of(server, EvmWallet::new(), json!({}), &[]).await
    }

    /// With a wallet, `asked` laid over the usual challenge, and more form parameters.
    pub(crate) async fn of(
        server: &Server,
        wallet: EvmWallet,
        asked: Value,
        form: &[(&str, &str)],
    ) -> Self {
        let key = key(Curve::P256);
        let mut body = json!({
            "account": wallet.account(), "resource": RESOURCE,
            "scope": "escrow:read escrow:release", "dpop_jkt": jkt(&key),
        });
        for (name, value) in asked.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = redeem(server, &wallet, &body, form, Some(&key)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Self { wallet, key, answer }
    }

    pub(crate) fn access(&self) -> &str {
        self.answer.text("access_token")
    }

    pub(crate) fn refresh_token(&self) -> &str {
        self.answer.text("refresh_token")
    }

    pub(crate) fn session(&self) -> &str {
        self.answer.text("session_id")
    }

    /// Refreshes with a token and a fresh proof by the session key.
    pub(crate) async fn refresh(&self, server: &Server, token: &str) -> Answer {
        refresh(server, token, Some(&server.proof(&self.key)), &[]).await
    }

    /// A request by the access token and a fresh proof.
    pub(crate) async fn ask(&self, server: &Server, method: &str, path: &str) -> Answer {
        ask(server, method, path, self.access(), &self.key).await
    }

    pub(crate) async fn list(&self, server: &Server) -> Vec<Value> {
        let answer = self.ask(server, "GET", "/sessions").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer.body["sessions"].as_array().unwrap().clone()
    }
}

/// A challenge, signed and redeemed.
pub(crate) async fn redeem(
    server: &Server,
    wallet: &EvmWallet,
    body: &Value,
    more: &[(&str, &str)],
    key: Option<&InMemorySigner>,
) -> Answer {
    let challenge = server.challenge(body).await;
    let message = challenge.text("message");
    let signature = wallet.sign(message);
    let mut form =
        vec![("grant_type", SIGNED_MESSAGE), ("message", message), ("signature", &*signature)];
    form.extend(more);
    let proof = key.map(|key| server.proof(key));
    server.token(&form, proof.as_deref()).await
}

/// The grant of an agent's own key: its token.
pub(crate) async fn agent_token(server: &Server, agent: &InMemorySigner, resource: &str) -> Answer {
    let assertion = assertion(server, agent, resource);
    let form = [("grant_type", JWT_BEARER), ("assertion", &*assertion)];
    let answer = server.token(&form, Some(&server.proof(agent))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// An agent's assertion of now.
pub(crate) fn assertion(server: &Server, agent: &InMemorySigner, resource: &str) -> String {
    let claims = json!({
        "iss": did(agent), "sub": did(agent), "aud": server.issuer, "resource": resource,
        "iat": server.now(), "exp": server.now() + 60, "scope": "read",
        "jti": jkt(&key(Curve::Ed25519)),
    });
    jws(agent, &json!({ "alg": "EdDSA" }), &claims)
}

/// The grant `refresh_token`.
pub(crate) async fn refresh(
    server: &Server,
    token: &str,
    proof: Option<&str>,
    more: &[(&str, &str)],
) -> Answer {
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    form.extend(more);
    server.token(&form, proof).await
}

pub(crate) fn ath(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))
}

/// A proof for a request that carries a token.
pub(crate) fn proof_for(
    server: &Server,
    key: &InMemorySigner,
    method: &str,
    path: &str,
    token: &str,
) -> String {
    let htu = format!("{}{path}", server.issuer);
    dpop(key, &htu, server.now(), json!({ "htm": method, "ath": ath(token) }))
}

/// A request under the scheme `DPoP`, with a fresh proof.
pub(crate) async fn ask(
    server: &Server,
    method: &str,
    path: &str,
    token: &str,
    key: &InMemorySigner,
) -> Answer {
    let proof = proof_for(server, key, method, path, token);
    let fields = [("authorization", format!("DPoP {token}")), ("dpop", proof)];
    send(server, method, path, &fields).await
}

/// A request with these header fields and no body.
pub(crate) async fn send(
    server: &Server,
    method: &str,
    path: &str,
    fields: &[(&str, String)],
) -> Answer {
    let mut request = server.http.request(method.parse().unwrap(), server.at(path));
    for (name, value) in fields {
        request = request.header(*name, value);
    }
    Answer::read(request.send().await.unwrap()).await
}

/// A form, with header fields.
pub(crate) async fn post(
    server: &Server,
    path: &str,
    form: &[(&str, &str)],
    fields: &[(&str, String)],
) -> Answer {
    let mut request = server.http.post(server.at(path)).form(form);
    for (name, value) in fields {
        request = request.header(*name, value);
    }
    Answer::read(request.send().await.unwrap()).await
}

/// `/revoke` with a token alone.
pub(crate) async fn revoke(server: &Server, token: &str) -> Answer {
    post(server, "/revoke", &[("token", token)], &[]).await
}
