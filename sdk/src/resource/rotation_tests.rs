//! What becomes of requests while the issuer's keys change, or are not to be had.

use std::sync::Mutex;

use serde_json::json;

use super::tests::refused;
use super::*;
use crate::key::{Curve, InMemorySigner};
use crate::resource::fixture::{Fixture, ISSUER, NOW, key_set, signer};
use crate::resource::issuer_double::sealed;
use crate::resource::{FetchError, FetchedKeys, FixedKeys, KeySource, RevocationSource};

/// Publishes one set first and another from then on.
#[derive(Debug)]
struct Rotating(Mutex<Vec<Vec<u8>>>);

#[async_trait::async_trait]
impl KeySource for Rotating {
    async fn fetch(&self) -> Result<FetchedKeys, FetchError> {
        let mut sets = self.0.lock().unwrap();
        let document = if sets.len() > 1 { sets.remove(0) } else { sets[0].clone() };
        Ok(FetchedKeys { document, max_age: None })
    }
}

#[tokio::test]
async fn a_kept_verdict_ends_with_the_issuers_key() {
    let (first, second) = (signer(Curve::Ed25519), signer(Curve::Ed25519));
    let sets = vec![key_set(&first, "a"), key_set(&second, "b")];
    let source = Arc::new(Rotating(Mutex::new(sets)));
    let mut fixture = Fixture::with(|config| config.key_source(source));
    fixture.issuer = first;
    let token = fixture.token(|claims| claims["exp"] = json!(NOW.plus(900).as_unix()));
    assert!(fixture.ask_with(&token).await.is_ok());
    fixture.clock.advance(300);
    let gone = fixture.ask_with(&token).await.unwrap_err();
    assert_eq!(gone, AccessError::Token(TokenError::UnknownKey));
}

#[tokio::test]
async fn an_invented_key_name_keeps_no_new_key_out() {
    let (first, second) = (signer(Curve::Ed25519), signer(Curve::Ed25519));
    let old = key_set(&first, "x");
    let sets = vec![old.clone(), old, key_set(&second, "a")];
    let source = Arc::new(Rotating(Mutex::new(sets)));
    let mut fixture = Fixture::with(|config| config.key_source(source));
    // The issuer rotates right after a fetch that garbage has caused.
    fixture.issuer = first;
    let garbage = fixture.token(|_| ());
    assert!(fixture.ask_with(&garbage).await.is_err());
    fixture.clock.advance(5);
    let unknown = fixture.ask_with(&garbage).await.unwrap_err();
    assert_eq!(unknown, AccessError::Token(TokenError::UnknownKey));
    fixture.issuer = second;
    let token = fixture.token(|_| ());
    fixture.clock.advance(4);
    let early = fixture.ask_with(&token).await.unwrap_err();
    assert_eq!(early, AccessError::KeysUnavailable, "the token is not to blame");
    fixture.clock.advance(1);
    assert!(fixture.ask_with(&token).await.is_ok());
}

/// Never answers.
#[derive(Debug)]
struct Never;

#[async_trait::async_trait]
impl KeySource for Never {
    async fn fetch(&self) -> Result<FetchedKeys, FetchError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn garbage_waits_for_no_keys() {
    let fixture = Fixture::with(|config| config.key_source(Arc::new(Never)));
    let proof_as_token = fixture.proof("GET", "/a", "x").await;
    for (token, why) in
        [("x.y.z", "invalid_token token_malformed"), (&*proof_as_token, "invalid_token token_type")]
    {
        let authorization = format!("DPoP {token}");
        let fields = [("authorization", &*authorization)];
        let asked = refused(&fixture, &fields, 401, why);
        let at_once = std::time::Duration::from_millis(500);
        assert!(tokio::time::timeout(at_once, asked).await.is_ok());
    }
}

/// A feed by one key that names that key alone, once it is let go.
struct Held {
    key: InMemorySigner,
    go: tokio::sync::Semaphore,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

#[async_trait::async_trait]
impl RevocationSource for Held {
    async fn fetch(&self, after: Option<&str>, _: u64) -> Result<String, FetchError> {
        self.go.acquire().await.unwrap().forget();
        let header = json!({ "typ": "revocations+jwt", "alg": "EdDSA", "kid": "b" });
        let mut payload = json!({
            "iss": ISSUER, "iat": NOW.plus(1), "entries": [], "cursor": "c", "more": false, "kids": ["b"],
        });
        if let Some(after) = after {
            payload["after"] = json!(after);
        }
        Ok(sealed(&self.key, &header, &payload.to_string()))
    }
}

/// The set of two keys, as one document.
fn both(one: &InMemorySigner, other: &InMemorySigner) -> String {
    let keys = [(one, "a"), (other, "b")].map(|(key, kid)| {
        let set: serde_json::Value = serde_json::from_slice(&key_set(key, kid)).unwrap();
        set["keys"][0].clone()
    });
    json!({ "keys": keys }).to_string()
}

#[tokio::test]
async fn a_key_that_the_feed_drops_while_it_is_waited_for_lets_nobody_in() {
    let (first, second) = (signer(Curve::Ed25519), signer(Curve::Ed25519));
    let keys = FixedKeys::new(both(&first, &second));
    let feed = Arc::new(Held { key: second, go: tokio::sync::Semaphore::new(0) });
    let source = Arc::clone(&feed) as Arc<dyn RevocationSource>;
    let mut fixture =
        Fixture::with(|config| config.key_source(Arc::new(keys)).revocation_source(source));
    fixture.issuer = first;
    let token = fixture.token(|_| ());
    // From here on a request waits for nothing but the feed.
    assert!(fixture.server.0.keys.keys().await.is_ok());
    let (asked, ()) = tokio::join!(fixture.ask_with(&token), async { feed.go.add_permits(1) });
    assert_eq!(asked.unwrap_err(), AccessError::Token(TokenError::UnknownKey));
}
