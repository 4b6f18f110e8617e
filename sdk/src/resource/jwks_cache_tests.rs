//! The cache of keys on a manual clock, against a source that is told what to answer.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::entropy::OsEntropy;
use crate::key::{Curve, InMemorySigner, Signer as _};
use crate::resource::fixture::{key_set, signer};
use crate::resource::jwks_source::FixedKeys;
use crate::resource::jwks_told::WITHDRAWN_FOR;
use crate::time::ManualClock;

const NOW: Timestamp = Timestamp::from_unix(1_000_000);

/// Counts its calls; answers a set, or nothing while `down`.
#[derive(Debug)]
struct Source {
    calls: AtomicUsize,
    down: Mutex<bool>,
    max_age: AtomicU64,
}

#[async_trait]
impl KeySource for Source {
    async fn fetch(&self) -> Result<FetchedKeys, FetchError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if *self.down.lock().unwrap() {
            return Err(FetchError::NoAnswer { url: "x".to_owned(), reason: "down".to_owned() });
        }
        let signer = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
        let jwk = serde_json::to_value(signer.public_key().to_jwk()).unwrap();
        Ok(FetchedKeys {
            document: serde_json::json!({ "keys": [jwk] }).to_string().into_bytes(),
            max_age: Some(self.max_age.load(Ordering::SeqCst)),
        })
    }
}

fn cache() -> (JwksCache, Arc<Source>, Arc<ManualClock>) {
    let source = Arc::new(Source {
        calls: AtomicUsize::new(0),
        down: Mutex::new(false),
        max_age: AtomicU64::new(300),
    });
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = JwksCache::new(
        Arc::clone(&source) as Arc<dyn KeySource>,
        Arc::clone(&clock) as Arc<dyn Clock>,
        KeyCachePolicy::default(),
    );
    (cache, source, clock)
}

/// Lets the tasks that were started run to their end.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn calls(source: &Source) -> usize {
    source.calls.load(Ordering::SeqCst)
}

#[tokio::test]
async fn many_first_requests_make_one_fetch() {
    let (cache, source, _clock) = cache();
    let waiting: Vec<_> = (0..32)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.keys().await.is_ok() })
        })
        .collect();
    for one in waiting {
        assert!(one.await.unwrap());
    }
    assert_eq!(calls(&source), 1);
}

#[tokio::test]
async fn a_fresh_set_is_used_and_renewed_before_its_end() {
    let (cache, source, clock) = cache();
    let first = cache.keys().await.unwrap();
    clock.advance(239);
    assert!(Arc::ptr_eq(&cache.keys().await.unwrap(), &first));
    settle().await;
    assert_eq!(calls(&source), 1);
    clock.advance(1);
    assert!(Arc::ptr_eq(&cache.keys().await.unwrap(), &first));
    settle().await;
    assert_eq!(calls(&source), 2);
    assert!(!Arc::ptr_eq(&cache.keys().await.unwrap(), &first));
}

#[tokio::test]
async fn max_age_is_honoured_within_bounds() {
    for (max_age, fresh) in [(0, 60), (120, 120), (1 << 40, 3600)] {
        let (cache, source, clock) = cache();
        source.max_age.store(max_age, Ordering::SeqCst);
        let first = cache.keys().await.unwrap();
        *source.down.lock().unwrap() = true;
        clock.advance(fresh - 1);
        assert!(Arc::ptr_eq(&cache.keys().await.unwrap(), &first));
        settle().await;
        *source.down.lock().unwrap() = false;
        // Past the cool-down of the renewal that failed; for the next one nobody waits.
        clock.advance(6);
        assert!(Arc::ptr_eq(&cache.keys().await.unwrap(), &first));
        settle().await;
        assert!(!Arc::ptr_eq(&cache.keys().await.unwrap(), &first), "{max_age}");
    }
}

#[tokio::test]
async fn unknown_names_make_one_fetch_in_each_cool_down() {
    let (cache, source, clock) = cache();
    let mut seen = cache.keys().await.unwrap();
    for _ in 0..100 {
        assert!(cache.newer_than(&seen).await.unwrap().is_none(), "a fetch was just made");
    }
    assert_eq!(calls(&source), 1);
    clock.advance(4);
    assert_eq!(cache.newer_than(&seen).await.err(), Some(KeysUnavailable), "nobody knows");
    clock.advance(1);
    for _ in 0..100 {
        seen = cache.newer_than(&seen).await.unwrap().unwrap_or(seen);
    }
    assert_eq!(calls(&source), 2);
}

#[tokio::test]
async fn a_stale_set_serves_while_the_issuer_is_down_and_then_no_more() {
    let (cache, source, clock) = cache();
    let first = cache.keys().await.unwrap();
    *source.down.lock().unwrap() = true;
    clock.advance(300 + 3599);
    assert!(Arc::ptr_eq(&cache.keys().await.unwrap(), &first));
    assert_eq!(calls(&source), 2);
    assert!(cache.keys().await.is_ok());
    assert_eq!(calls(&source), 2, "within the cool-down nobody waits again");
    clock.advance(1);
    assert_eq!(cache.keys().await.err(), Some(KeysUnavailable));
    *source.down.lock().unwrap() = false;
    clock.advance(5);
    assert!(cache.keys().await.is_ok());
}

#[tokio::test]
async fn without_any_set_it_fails_closed_and_tries_again_soon() {
    let (cache, source, clock) = cache();
    *source.down.lock().unwrap() = true;
    assert_eq!(cache.keys().await.err(), Some(KeysUnavailable));
    assert_eq!(cache.keys().await.err(), Some(KeysUnavailable));
    assert_eq!(calls(&source), 1);
    *source.down.lock().unwrap() = false;
    clock.advance(1);
    assert!(cache.keys().await.is_ok());
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_no_set_fresh() {
    let (cache, source, clock) = cache();
    assert!(cache.keys().await.is_ok());
    clock.set(NOW.minus(3600));
    assert!(cache.keys().await.is_ok());
    assert_eq!(calls(&source), 2);
}

/// Answers once, and then never.
#[derive(Debug)]
struct Silent(FixedKeys, AtomicUsize);

#[async_trait]
impl KeySource for Silent {
    async fn fetch(&self) -> Result<FetchedKeys, FetchError> {
        match self.1.fetch_add(1, Ordering::SeqCst) {
            0 => self.0.fetch().await,
            _ => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn a_silent_issuer_holds_up_nobody_for_long() {
    let signer = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
    let jwk = serde_json::to_value(signer.public_key().to_jwk()).unwrap();
    let set = FixedKeys::new(serde_json::json!({ "keys": [jwk] }).to_string());
    let clock = Arc::new(ManualClock::new(NOW));
    let cache = JwksCache::new(
        Arc::new(Silent(set, AtomicUsize::new(0))),
        Arc::clone(&clock) as Arc<dyn Clock>,
        KeyCachePolicy::default(),
    );
    let first = cache.keys().await.unwrap();
    clock.advance(300);
    // The first to come wait for as long as anybody does, and all those after them for nothing.
    let both = async { tokio::join!(cache.keys(), cache.keys()) };
    let (one, other) = tokio::time::timeout(PATIENCE * 2, both).await.unwrap();
    assert!(Arc::ptr_eq(&one.unwrap(), &first) && Arc::ptr_eq(&other.unwrap(), &first));
    let at_once = Duration::from_millis(500);
    for _ in 0..100 {
        let keys = tokio::time::timeout(at_once, cache.keys()).await.unwrap();
        assert!(Arc::ptr_eq(&keys.unwrap(), &first));
    }
    let newer = tokio::time::timeout(at_once, cache.newer_than(&first)).await.unwrap();
    assert_eq!(newer.err(), Some(KeysUnavailable));
    clock.advance(3600);
    let end = tokio::time::timeout(at_once, cache.keys()).await.unwrap();
    assert_eq!(end.err(), Some(KeysUnavailable));
}

/// Publishes what it is told to.
#[derive(Debug)]
struct Published(Mutex<Vec<u8>>, AtomicBool);

#[async_trait::async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<FetchedKeys, FetchError> {
        Ok(FetchedKeys { document: self.0.lock().unwrap().clone(), max_age: Some(300) })
    }

    fn is_live(&self) -> bool {
        self.1.load(Ordering::SeqCst)
    }
}

/// The set of these keys under these names.
fn set_of(keys: &[(&InMemorySigner, &str)]) -> Vec<u8> {
    let sets = keys.iter().map(|(key, kid)| {
        let set: serde_json::Value = serde_json::from_slice(&key_set(key, kid)).unwrap();
        set["keys"][0].clone()
    });
    serde_json::json!({ "keys": sets.collect::<Vec<_>>() }).to_string().into_bytes()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A cache of what a source publishes that can be changed.
struct Edge {
    source: Arc<Published>,
    clock: Arc<ManualClock>,
    cache: JwksCache,
}

impl Edge {
    fn new(keys: &[(&InMemorySigner, &str)]) -> Self {
        let source = Arc::new(Published(Mutex::new(set_of(keys)), AtomicBool::new(true)));
        let clock = Arc::new(ManualClock::new(NOW));
        let cache = JwksCache::new(
            Arc::clone(&source) as Arc<dyn KeySource>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            KeyCachePolicy::default(),
        );
        Self { source, clock, cache }
    }

    /// Another set is published, and fetched.
    async fn publish(&self, keys: &[(&InMemorySigner, &str)]) {
        *self.source.0.lock().unwrap() = set_of(keys);
        self.clock.advance(400);
        let _ = self.cache.keys().await;
        settle().await;
    }

    fn hear(&self, told: &[&str], at: Timestamp) {
        let now = self.clock.now();
        self.cache.hear_of(&names(told), at, now, Bounds { max_staleness: 1000, leeway: 5 });
    }

    async fn hears(&self, told: &[&str]) {
        self.clock.advance(5);
        self.hear(told, self.clock.now());
        settle().await;
    }

    /// Which of these keys tokens verify by.
    async fn takes<const N: usize>(&self, keys: [&InMemorySigner; N]) -> [bool; N] {
        let set = self.cache.keys().await.unwrap();
        keys.map(|key| set.holds(key.public_key()))
    }

    /// The same for answers of the feed.
    async fn believes<const N: usize>(&self, keys: [&InMemorySigner; N]) -> [bool; N] {
        let set = self.cache.keys_of_feed().await.unwrap();
        keys.map(|key| set.holds(key.public_key()))
    }
}

#[tokio::test]
async fn what_the_feed_does_not_name_is_gone_and_comes_back_by_no_fetch() {
    let (old, new) = (signer(Curve::Ed25519), signer(Curve::Ed25519));
    let edge = Edge::new(&[(&old, "old"), (&new, "new")]);
    assert_eq!(edge.takes([&old, &new]).await, [true, true]);
    edge.hear(&["new", "next"], NOW.plus(1));
    assert_eq!(edge.takes([&old, &new]).await, [false, true], "at once, however fresh the set is");
    // The key set that a cache still has, or that was on its way, names it.
    edge.publish(&[(&old, "old"), (&new, "new")]).await;
    assert_eq!(edge.takes([&old, &new]).await, [false, true]);
    // An older answer of the feed says nothing, a newer one may.
    edge.hear(&["old", "new"], NOW);
    assert_eq!(edge.takes([&old, &new]).await, [false, true]);
    edge.hear(&["old", "new"], NOW.plus(2));
    assert_eq!(edge.takes([&old, &new]).await, [true, true]);
}

#[tokio::test]
async fn a_key_that_only_a_fetch_names_verifies_no_token_until_the_feed_names_it() {
    let (old, new) = (signer(Curve::Ed25519), signer(Curve::Ed25519));
    let edge = Edge::new(&[(&new, "new")]);
    assert_eq!(edge.takes([&old, &new]).await, [false, true]);
    edge.hears(&["new"]).await;
    // A cache on the way brings a key that was revoked before anything was heard here.
    edge.publish(&[(&old, "old"), (&new, "new")]).await;
    assert_eq!(edge.takes([&old, &new]).await, [false, true]);
    assert!(edge.cache.is_open("old"), "it may as well be newer than the feed");
    assert_eq!(edge.believes([&old, &new]).await, [true, true], "or nothing new could be told");
    // An answer that is older than the set says nothing of it.
    edge.hear(&["new"], edge.clock.now().minus(100));
    assert_eq!(edge.believes([&old, &new]).await, [true, true]);
    edge.hears(&["new"]).await;
    assert_eq!(edge.believes([&old, &new]).await, [false, true]);
    assert!(!edge.cache.is_open("old"), "now it is known");
    edge.hears(&["new", "next"]).await;
    assert!(edge.cache.is_open("next"), "told of, and not here yet");
    assert!(!edge.cache.is_open("invented") && !edge.cache.is_open("new"));
}

#[tokio::test]
async fn a_key_that_the_feed_once_named_is_withdrawn_also_when_it_was_not_here() {
    let (old, new) = (signer(Curve::Ed25519), signer(Curve::Ed25519));
    let edge = Edge::new(&[(&new, "new")]);
    assert_eq!(edge.takes([&new]).await, [true]);
    edge.hears(&["old", "new"]).await;
    edge.hears(&["new"]).await;
    edge.publish(&[(&old, "old"), (&new, "new")]).await;
    assert_eq!(edge.believes([&old, &new]).await, [false, true]);
    assert!(!edge.cache.is_open("old"));
}

#[tokio::test]
async fn what_is_published_hours_after_it_was_withdrawn_is_no_leftover() {
    let (old, new) = (signer(Curve::Ed25519), signer(Curve::Ed25519));
    let edge = Edge::new(&[(&old, "old"), (&new, "new")]);
    assert_eq!(edge.takes([&old]).await, [true]);
    edge.hears(&["new"]).await;
    let until = edge.clock.now().plus(WITHDRAWN_FOR);
    edge.clock.set(until.minus(401));
    edge.publish(&[(&old, "old"), (&new, "new")]).await;
    assert_eq!(edge.believes([&old, &new]).await, [false, true], "a second before");
    edge.clock.set(until.minus(400));
    edge.publish(&[(&old, "old"), (&new, "new")]).await;
    edge.publish(&[(&old, "old"), (&new, "new")]).await;
    assert_eq!(edge.believes([&old, &new]).await, [true, true], "it may tell that it is back");
    assert_eq!(edge.takes([&old, &new]).await, [false, true], "and has not told it yet");
    edge.hears(&["old", "new"]).await;
    assert_eq!(edge.takes([&old, &new]).await, [true, true]);
}

#[tokio::test]
async fn a_set_without_a_key_that_the_feed_names_is_none() {
    let (old, new) = (signer(Curve::Ed25519), signer(Curve::Ed25519));
    let edge = Edge::new(&[(&new, "new")]);
    assert_eq!(edge.takes([&new]).await, [true]);
    edge.hears(&["new"]).await;
    edge.publish(&[(&old, "old")]).await;
    assert_eq!(edge.cache.keys().await.err(), Some(KeysUnavailable));
    // It is asked for again as soon as that may be, however long the set was to live.
    *edge.source.0.lock().unwrap() = set_of(&[(&new, "new")]);
    edge.clock.advance(5);
    assert_eq!(edge.takes([&new]).await, [true]);
}

#[tokio::test]
async fn a_moment_ahead_of_the_clock_keeps_no_later_answer_from_being_heard() {
    let (old, new) = (signer(Curve::Ed25519), signer(Curve::Ed25519));
    let edge = Edge::new(&[(&old, "old"), (&new, "new")]);
    assert_eq!(edge.takes([&old, &new]).await, [true, true]);
    edge.hear(&["old"], NOW.plus(6));
    assert_eq!(edge.takes([&old, &new]).await, [true, true], "beyond the leeway");
    edge.hears(&["new"]).await;
    assert_eq!(edge.takes([&old, &new]).await, [false, true]);
    // Heard while our own clock ran ahead.
    edge.clock.set(NOW.plus(100_000));
    edge.hears(&["old", "new"]).await;
    edge.clock.set(NOW.plus(100));
    edge.hears(&["new"]).await;
    assert_eq!(edge.takes([&old, &new]).await, [false, true]);
}

#[tokio::test]
async fn what_the_feed_named_long_ago_keeps_no_new_key_out_and_brings_no_withdrawn_one_back() {
    let (old, new) = (signer(Curve::Ed25519), signer(Curve::Ed25519));
    let next = signer(Curve::Ed25519);
    let all = [&old, &new, &next];
    let edge = Edge::new(&[(&old, "old"), (&new, "new")]);
    assert_eq!(edge.takes(all).await, [true, true, false]);
    edge.hears(&["new"]).await;
    edge.publish(&[(&old, "old"), (&new, "new"), (&next, "next")]).await;
    edge.clock.advance(600);
    assert_eq!(edge.takes(all).await, [false, true, false], "a thousand seconds after");
    assert!(edge.cache.is_open("next"));
    edge.clock.advance(1);
    assert_eq!(edge.takes(all).await, [false, true, true]);
    assert!(!edge.cache.is_open("next"));
}

#[tokio::test]
async fn a_set_that_stands_still_brings_no_withdrawn_key_back() {
    let (old, new) = (signer(Curve::Ed25519), signer(Curve::Ed25519));
    for is_live in [true, false] {
        let edge = Edge::new(&[(&old, "old"), (&new, "new")]);
        edge.source.1.store(is_live, Ordering::SeqCst);
        assert_eq!(edge.takes([&old, &new]).await, [true, true]);
        edge.hears(&["new"]).await;
        edge.clock.advance(3 * 3600);
        edge.publish(&[(&old, "old"), (&new, "new")]).await;
        edge.publish(&[(&old, "old"), (&new, "new")]).await;
        assert_eq!(edge.believes([&old, &new]).await, [is_live, true]);
        edge.clock.advance(30 * 86_400);
        edge.publish(&[(&old, "old"), (&new, "new")]).await;
        edge.publish(&[(&old, "old"), (&new, "new")]).await;
        assert_eq!(edge.believes([&old, &new]).await, [is_live, true]);
    }
}
