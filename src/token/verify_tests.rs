//! An access token that comes back: each check of it alone.

use std::sync::{Mutex, PoisonError};

use countersign_sdk::entropy::{Entropy, OsEntropy};
use countersign_sdk::key::InMemorySigner;
use serde_json::{Value, json};

use super::*;
use crate::keyring::custody::memory::Memory;
use crate::keyring::custody::{Custody, CustodyError, Made};
use crate::keyring::ring::Entry;
use crate::keyring::{
    Document, Draft, Operation, Policy, PrivateHalf, RingFileError, Shelf, SignError, SigningKey,
    Spares,
};
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

/// The clock that dated it may be put back, and forward again.
#[tokio::test]
async fn a_token_that_lies_ahead_is_taken_by_nobody_and_can_be_revoked() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let store = &issuer.store;
    let ahead = |by: u64| {
        let iat = NOW.as_unix() + by;
        issuer.signed("at+jwt", &json!({ "iat": iat, "nbf": iat, "exp": iat + 300 }))
    };
    let token = ahead(3600);
    assert_eq!(issuer.verify(&token, NOW).await, Err(NotLive::NotOurs));
    assert_eq!(issuer.tokens.to_revoke(&token, store, NOW).await.unwrap().id(), "one");
    let refused = issuer.tokens.to_revoke(&ahead(3601), store, NOW).await;
    assert_eq!(refused, Err(NotLive::NotOurs));
    let of_now = issuer.signed("at+jwt", &json!({}));
    let over = issuer.tokens.to_revoke(&of_now, store, NOW.plus(300)).await;
    assert_eq!(over, Err(NotLive::Expired));
}

/// A ring that outlives a start.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Option<Document>>>);

impl Shelf for Kept {
    fn read(&self) -> Result<Option<Document>, RingFileError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn write(&self, document: &Document) -> Result<(), RingFileError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(document.clone());
        Ok(())
    }
}

/// A module that has made keys and cannot be asked for them now, though for new ones.
#[derive(Debug)]
struct Away;

impl PrivateHalf for Away {
    fn sign(&self, _: &[u8]) -> Result<[u8; 64], SignError> {
        Err(SignError("away".to_owned()))
    }
}

impl Custody for Away {
    fn kind(&self) -> &'static str {
        "away"
    }

    fn generate(&self, algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Made, CustodyError> {
        Memory.generate(algorithm, entropy)
    }

    fn import(&self, key: &InMemorySigner, entropy: &dyn Entropy) -> Result<Made, CustodyError> {
        Memory.import(key, entropy)
    }

    fn open(&self, entry: &Entry, _: &str) -> Result<SigningKey, CustodyError> {
        Ok(SigningKey::new(entry.public.clone(), Box::new(Self)).unproven())
    }

    fn destroy(&self, _: &str) -> Result<(), CustodyError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_token_that_no_key_can_verify_is_not_called_anybody_elses() {
    let policy = Policy { algorithm: Algorithm::EdDsa, rotate_every: 86_400, publish_before: 900 };
    let kept = Kept::default();
    let open = |now| {
        let shelf = Box::new(kept.clone());
        Keyring::open(Box::new(|_| Ok(Arc::new(Away))), Some(shelf), policy, now, &OsEntropy)
    };
    let mut issuer = Issuer::new(Algorithm::EdDsa);
    issuer.keyring = open(NOW).unwrap();
    let token = issuer.signed("at+jwt", &json!({}));
    issuer.tokens = AccessTokens::new(ISSUER, &issuer.keyring);
    assert!(issuer.verify(&token, NOW).await.is_ok());
    // The next start, while the module is away.
    let keyring = open(NOW).unwrap();
    issuer.tokens = AccessTokens::new(ISSUER, &keyring);
    for text in [&*token, "no token"] {
        assert_eq!(issuer.verify(text, NOW).await, Err(NotLive::Unverifiable), "{text}");
    }
    assert_eq!(issuer.tokens.subject_of(&token, NOW), None);
    // A key that can be made meanwhile is not the whole set.
    let (turn, generate) = (keyring.turn().await, Operation::Generate);
    let mut spares = Spares::of(&keyring);
    spares.make(&generate, &OsEntropy).unwrap();
    let draft = Draft::of(&keyring, turn, &generate, NOW, &OsEntropy, &spares).unwrap();
    draft.commit().unwrap();
    let view = keyring.view(NOW);
    assert!(view.published().is_none() && view.kids().is_empty());
    assert_eq!(issuer.verify(&token, NOW).await, Err(NotLive::Unverifiable));
}
