//! An access token that comes back: each check of it alone.

use countersign_sdk::entropy::OsEntropy;
use serde_json::{Value, json};

use super::*;
use crate::keyring::Policy;
use crate::model::revocation::Revocation;
use crate::store::memory::MemoryStore;
use crate::store::{Bounds, SessionBounds};
use crate::token::jws;

const NOW: Timestamp = Timestamp::from_unix(1_000_000);
const ISSUER: &str = "https://auth.example";

struct Issuer {
    keyring: Arc<Keyring>,
    tokens: AccessTokens,
    store: MemoryStore,
}

impl Issuer {
    fn new(algorithm: Algorithm) -> Self {
        let policy = Policy { algorithm, rotate_every: 86_400, publish_before: 900 };
        let keyring = Keyring::in_memory(policy, NOW, &OsEntropy).unwrap();
        let sessions = SessionBounds { total: 10, per_subject: 10, revocations: 10 };
        let bounds = Bounds { nonces: 10, proofs: 10, answers: 10, sessions };
        Self {
            tokens: AccessTokens::new(ISSUER, &keyring),
            keyring,
            store: MemoryStore::new(&bounds, &OsEntropy).unwrap(),
        }
    }

    /// The usual claims with `changes`.
    fn claims(&self, changes: &Value) -> Value {
        let mut claims = json!({
            "iss": ISSUER, "sub": "did:key:z", "aud": "https://escrow.example", "client_id": "c",
            "iat": 1_000_000, "nbf": 1_000_000, "exp": 1_000_300, "jti": "one", "scope": "read",
            "auth_time": 1_000_000, "account": "did:key:z", "proven_key": { "method": "key" },
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    /// A token of those claims, signed by this issuer's key.
    fn signed(&self, typ: &'static str, changes: &Value) -> String {
        jws::sign(&self.keyring.active(NOW), typ, &self.claims(changes)).unwrap()
    }

    async fn verify(&self, token: &str, now: Timestamp) -> Result<OwnAccessToken, NotLive> {
        self.tokens.verify(token, &self.store, now).await
    }
}

#[tokio::test]
async fn what_the_issuer_signed_lives_until_its_end() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let issuer = Issuer::new(algorithm);
        let token = issuer.signed("at+jwt", &json!({}));
        assert_eq!(issuer.verify(&token, NOW.plus(299)).await.unwrap().id(), "one");
        assert_eq!(issuer.verify(&token, NOW.plus(300)).await, Err(NotLive::Expired));
        let gone = Revocation::Token { jti: "one".to_owned(), expires_at: NOW.plus(300) };
        issuer.store.revoke(&gone, NOW).await.unwrap();
        assert_eq!(issuer.verify(&token, NOW).await, Err(NotLive::Revoked));
    }
}

#[tokio::test]
async fn each_check_stands_alone() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    for (typ, changes) in [
        ("revocations+jwt", json!({})),
        ("JWT", json!({})),
        ("at+jwt", json!({ "iss": "https://auth.example/" })),
        ("at+jwt", json!({ "exp": "1000300" })),
        ("at+jwt", json!({ "exp": null })),
        ("at+jwt", json!({ "exp": 1_000_300.5 })),
        ("at+jwt", json!({ "aud": ["https://escrow.example"] })),
        ("at+jwt", json!({ "cnf": { "x5t#S256": "a" } })),
        ("at+jwt", json!({ "sid": "short" })),
        ("at+jwt", json!({ "exp": 1_000_901 })),
        ("at+jwt", json!({ "iat": 1_000_121, "exp": 1_000_300 })),
    ] {
        let token = issuer.signed(typ, &changes);
        assert_eq!(issuer.verify(&token, NOW).await, Err(NotLive::NotOurs), "{typ} {changes}");
    }
    let foreign = Issuer::new(Algorithm::EdDsa).signed("at+jwt", &json!({}));
    assert_eq!(issuer.verify(&foreign, NOW).await, Err(NotLive::NotOurs));
    // The right claims, of which one stands twice.
    let claims = issuer.claims(&json!({})).to_string();
    let twice = format!("{{\"jti\":\"one\",{}", &claims[1..]);
    for (text, ends) in [(claims, true), (twice, false)] {
        let raw: Box<serde_json::value::RawValue> = serde_json::from_str(&text).unwrap();
        let token = jws::sign(&issuer.keyring.active(NOW), "at+jwt", &raw).unwrap();
        assert_eq!(issuer.verify(&token, NOW).await.is_ok(), ends, "{text}");
    }
}
