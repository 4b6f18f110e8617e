//! When the issuer's keys are fetched again, and how long old ones serve.
//!
//! | the set is | a request |
//! |---|---|
//! | fresh | uses it and waits for nothing; towards the end of its time, it also starts a fetch |
//! | stale | waits for one fetch, and uses the old set if that fails (stale-if-error); once one has failed, waits for none until one succeeds |
//! | past its last use, or was never had | waits for one fetch, and is refused with 503 if that fails |
//! | fresh, but lacks the key that a token names | waits for one fetch; is refused with 503 if one was just tried for somebody else |
//!
//! There is one fetch at a time, whoever waits for it, and between two of them lies a cool-down, so
//! that invented key names cannot make us hammer the issuer; it is short, so that they cannot keep
//! out a key that the issuer has just begun to use. Nobody waits for longer than two seconds, and
//! nobody holds a lock while a fetch runs: it is a task of its own, and a request that is dropped
//! does not stop it.
//!
//! The revocation feed names the keys that are published. Once it has spoken, tokens verify by keys that it
//! named last and by no others, however fresh the set is: a fetch that was on its way, or came from a
//! cache, may be of before. That holds for as long as the view of revocations counts as current; after it, when
//! only what was named as open is served, it is every key that is not withdrawn: the issuer may have rotated
//! since. Answers of the feed itself verify by every key of the set that is not
//! withdrawn, or no new key could ever be told of. A withdrawal ends, for one that is no leftover of a
//! cache but what the issuer still publishes hours later. Where the two leave no key, the keys are
//! unavailable: 503.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use super::jwks::IssuerKeys;
use super::jwks_source::{FetchError, FetchedKeys, KeySource};
use super::jwks_told::{Parts, Told};
use super::revocation::Bounds;
use crate::time::{Clock, Timestamp};

/// Seconds that a set counts as fresh: the issuer's `max-age` within these bounds.
const FRESH_AT_LEAST: u64 = 60;
pub(super) const FRESH_AT_MOST: u64 = 3600;
/// Seconds that a set counts as fresh when the issuer does not say.
const FRESH_BY_DEFAULT: u64 = 300;
/// Seconds between two tries as long as there is no set at all: everything is refused meanwhile.
const COOL_DOWN_WITHOUT_KEYS: u64 = 1;
/// How long requests wait for a fetch, counted from its start. It goes on without them.
const PATIENCE: Duration = Duration::from_secs(2);

/// How patient the cache is.
#[derive(Clone, Copy, Debug)]
pub struct KeyCachePolicy {
    /// Seconds between two fetches at least, however many unknown key names come by. 5 by default.
    pub cool_down: u64,
    /// Seconds that a stale set still serves while the issuer does not answer.
    ///
    /// 3600 by default. Tokens live 15 minutes at most, so during an outage of the issuer a longer
    /// time lets nobody in; it only lengthens how long a withdrawn key is believed by a server
    /// that somebody keeps from reaching the issuer.
    pub stale_if_error: u64,
}

impl Default for KeyCachePolicy {
    fn default() -> Self {
        Self { cool_down: 5, stale_if_error: 3600 }
    }
}

/// There is no key set that may be used: the request is neither right nor wrong. 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's keys are out of reach")]
pub struct KeysUnavailable;

/// The issuer's keys, kept.
#[derive(Clone, Debug)]
pub struct JwksCache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    policy: KeyCachePolicy,
    /// The last set that was good. Replaced whole; a bad answer leaves it alone. Written under the lock of
    /// what was told, so that neither a landing nor an answer of the feed is lost to the other.
    set: RwLock<Option<Arc<KeySet>>>,
    /// What the feed said of keys.
    told: Mutex<Told>,
    /// Until when tokens verify by no other keys than those that the feed named, in Unix seconds.
    binds_until: AtomicU64,
    /// Whether a fetch is under way, and when the last one began. Held for an instant only.
    flight: Mutex<Flight>,
    /// Counts the fetches that ended, well or not; who waits for one waits for a change.
    landed: watch::Sender<u64>,
}

#[derive(Clone, Debug)]
struct KeySet {
    /// As it was fetched.
    landed: Arc<IssuerKeys>,
    parts: Parts,
    asked_at: Timestamp,
    refresh_from: Timestamp,
    fresh_until: Timestamp,
}

#[derive(Debug, Default)]
struct Flight {
    under_way: bool,
    /// It takes longer than anybody waits.
    overdue: bool,
    /// The last one that ended, or is overdue, brought nothing.
    failed: bool,
    began: Option<Timestamp>,
}

impl KeySet {
    /// A clock that was set back makes the set stale: nobody knows how old it is.
    fn is_fresh(&self, now: Timestamp) -> bool {
        (self.asked_at..self.fresh_until).contains(&now)
    }
}

impl JwksCache {
    /// An empty cache; the first request fills it.
    pub fn new(source: Arc<dyn KeySource>, clock: Arc<dyn Clock>, policy: KeyCachePolicy) -> Self {
        Self(Arc::new(Shared {
            source,
            clock,
            policy,
            set: RwLock::default(),
            told: Mutex::default(),
            binds_until: AtomicU64::new(0),
            flight: Mutex::default(),
            landed: watch::Sender::new(0),
        }))
    }

    /// The keys to verify tokens with now. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when there is no set, none that may still be used, or none with a key that the
    /// feed names.
    pub async fn keys(&self) -> Result<Arc<IssuerKeys>, KeysUnavailable> {
        let now = self.0.clock.now();
        self.part(|set| self.of_tokens(set, now)).await
    }

    /// The keys to verify answers of the feed with now.
    ///
    /// # Errors
    /// As [`JwksCache::keys`].
    pub(super) async fn keys_of_feed(&self) -> Result<Arc<IssuerKeys>, KeysUnavailable> {
        self.part(|set| &set.parts.of_feed).await
    }

    fn of_tokens<'a>(&self, set: &'a KeySet, now: Timestamp) -> &'a Arc<IssuerKeys> {
        if self.feed_binds(now) { &set.parts.of_tokens } else { &set.parts.of_tokens_unbound }
    }

    fn feed_binds(&self, now: Timestamp) -> bool {
        now.as_unix() <= self.0.binds_until.load(Ordering::Acquire)
    }

    async fn part(
        &self,
        part: impl Fn(&KeySet) -> &Arc<IssuerKeys>,
    ) -> Result<Arc<IssuerKeys>, KeysUnavailable> {
        let now = self.0.clock.now();
        let usable = |set: &Arc<KeySet>| self.serves(set, now) && !part(set).is_empty();
        let current = || self.0.current().filter(usable);
        if let Some(set) = current()
            && set.is_fresh(now)
        {
            if now >= set.refresh_from {
                // Ahead of time, so that no request has to wait for it.
                let _ = self.start_fetch(now);
            }
            return Ok(Arc::clone(part(&set)));
        }
        let has_failed = self.0.flight().failed;
        let landing = self.start_fetch(now);
        if let Some(set) = current().filter(|_| has_failed) {
            return Ok(Arc::clone(part(&set)));
        }
        wait_for(landing).await;
        current().map(|set| Arc::clone(part(&set))).ok_or(KeysUnavailable)
    }

    /// A newer set than `seen`, which lacks the key that a token names; `None` when the issuer was
    /// asked just now and has none.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when the issuer could not be asked since: nobody knows.
    pub async fn newer_than(
        &self,
        seen: &Arc<IssuerKeys>,
    ) -> Result<Option<Arc<IssuerKeys>>, KeysUnavailable> {
        let now = self.0.clock.now();
        self.newer(seen, |set| self.of_tokens(set, now)).await
    }

    /// The same for an answer of the feed.
    ///
    /// # Errors
    /// As [`JwksCache::newer_than`].
    pub(super) async fn newer_of_feed(
        &self,
        seen: &Arc<IssuerKeys>,
    ) -> Result<Option<Arc<IssuerKeys>>, KeysUnavailable> {
        self.newer(seen, |set| &set.parts.of_feed).await
    }

    async fn newer(
        &self,
        seen: &Arc<IssuerKeys>,
        part: impl Fn(&KeySet) -> &Arc<IssuerKeys>,
    ) -> Result<Option<Arc<IssuerKeys>>, KeysUnavailable> {
        let now = self.0.clock.now();
        wait_for(self.start_fetch(now)).await;
        match self.0.current() {
            Some(set) if !Arc::ptr_eq(part(&set), seen) => Ok(Some(Arc::clone(part(&set)))),
            Some(set) if set.asked_at >= now => Ok(None),
            Some(_) | None => Err(KeysUnavailable),
        }
    }

    /// Whether the feed and the set disagree on the key of this name, so that nobody knows yet if it is the
    /// issuer's: one of them is older than the other. A key that was withdrawn is not.
    pub(super) fn is_open(&self, name: &str) -> bool {
        let told = self.0.told();
        let Some(names) = told.names.as_ref().filter(|_| self.feed_binds(self.0.clock.now()))
        else {
            return false;
        };
        let is_told = names.iter().any(|one| one == name);
        let is_here = self.0.current().is_some_and(|set| set.parts.of_feed.names(name));
        is_told != is_here
    }

    /// The feed says, in an answer of `told_at`, that the issuer publishes the keys of these names and no
    /// others, which counts for `max_staleness` seconds. An older answer than the last says nothing, and
    /// neither does one that is ahead of our clock by more than `leeway`: it would keep the next ones from
    /// being heard.
    pub(super) fn hear_of(
        &self,
        names: &[String],
        told_at: Timestamp,
        now: Timestamp,
        Bounds { max_staleness, leeway }: Bounds,
    ) {
        let latest = now.plus(leeway);
        let is_news = {
            let mut told = self.0.told();
            // What was heard by a clock that ran ahead, and was put right since, is no bar either.
            let is_older = told_at < told.at && told.at <= latest;
            if told_at > latest || is_older {
                return;
            }
            told.at = told_at;
            let until = told_at.plus(max_staleness).as_unix();
            self.0.binds_until.store(until, Ordering::Release);
            // A set that was asked for since the answer was made may know more than it.
            let set = self.0.current().filter(|set| set.asked_at < told_at);
            let here = set.as_ref().map(|set| &*set.parts.of_feed);
            let is_news = told.hear(names, here, self.0.source.is_live(), now);
            if let Some(set) = self.0.current().filter(|_| is_news) {
                let parts = told.split(&set.landed, set.asked_at);
                self.0.put(KeySet { parts, ..KeySet::clone(&set) });
            }
            is_news
        };
        if is_news {
            let _ = self.start_fetch(now);
        }
    }

    fn serves(&self, set: &KeySet, now: Timestamp) -> bool {
        now < set.fresh_until.plus(self.0.policy.stale_if_error)
    }

    /// What to wait for: the fetch that is under way, or one that is started now. `None` when it
    /// is too early for one, or the one that is under way is overdue.
    fn start_fetch(&self, now: Timestamp) -> Option<watch::Receiver<u64>> {
        let shared = &self.0;
        let cool_down = match shared.current() {
            Some(_) => shared.policy.cool_down,
            None => COOL_DOWN_WITHOUT_KEYS,
        };
        let mut flight = shared.flight();
        // Subscribed to before the flight can land, so that no landing is missed.
        let landed = shared.landed.subscribe();
        if flight.under_way {
            return (!flight.overdue).then_some(landed);
        }
        // A clock that was set back must not make the cool-down last until it has caught up.
        let cooling = |began: Timestamp| (began..began.plus(cool_down)).contains(&now);
        if flight.began.is_some_and(cooling) {
            return None;
        }
        let failed = flight.failed;
        *flight = Flight { under_way: true, overdue: false, failed, began: Some(now) };
        drop(flight);
        tokio::spawn(fly(Landing { shared: Arc::clone(shared), failed: true }, now));
        Some(landed)
    }
}

/// Waits until the fetch has ended or is overdue.
async fn wait_for(landing: Option<watch::Receiver<u64>>) {
    if let Some(mut landed) = landing {
        // The sender lives in the cache, so the wait ends with a landing.
        let _ = landed.changed().await;
    }
}

impl Shared {
    fn current(&self) -> Option<Arc<KeySet>> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        set.clone()
    }

    fn put(&self, set: KeySet) {
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(set));
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits.
    fn announce(&self) {
        self.landed.send_modify(|count| *count = count.wrapping_add(1));
    }

    async fn fetch(&self) -> Result<FetchedKeys, FetchError> {
        let mut fetch = self.source.fetch();
        if let Ok(fetched) = tokio::time::timeout(PATIENCE, &mut fetch).await {
            return fetched;
        }
        {
            let mut flight = self.flight();
            (flight.overdue, flight.failed) = (true, true);
        }
        self.announce();
        fetch.await
    }
}

/// Ends a flight when dropped, even if its source panicked.
struct Landing {
    shared: Arc<Shared>,
    failed: bool,
}

impl Drop for Landing {
    fn drop(&mut self) {
        {
            let mut flight = self.shared.flight();
            (flight.under_way, flight.failed) = (false, self.failed);
        }
        self.shared.announce();
    }
}

async fn fly(mut landing: Landing, asked_at: Timestamp) {
    let shared = &landing.shared;
    let fetched = match shared.fetch().await {
        Ok(fetched) => fetched,
        Err(error) => {
            tracing::warn!(%error, "the issuer's keys could not be fetched");
            return;
        }
    };
    let keys = match IssuerKeys::from_json(&fetched.document) {
        Ok(keys) => keys,
        Err(error) => {
            tracing::warn!(%error, "the issuer's key set cannot be used");
            return;
        }
    };
    let max_age = fetched.max_age.unwrap_or(FRESH_BY_DEFAULT);
    let lifetime = max_age.clamp(FRESH_AT_LEAST, FRESH_AT_MOST);
    let told = shared.told();
    let parts = told.split(&keys, asked_at);
    let set = KeySet {
        landed: Arc::new(keys),
        parts,
        asked_at,
        refresh_from: asked_at.plus(lifetime / 5 * 4),
        fresh_until: asked_at.plus(lifetime),
    };
    shared.put(set);
    drop(told);
    landing.failed = false;
}

#[cfg(test)]
#[path = "jwks_cache_tests.rs"]
mod tests;
