//! When the issuer's keys are fetched again, and how long old ones serve.
//!
//! | the set is | a request |
//! |---|---|
//! | fresh | uses it and waits for nothing; towards the end of its time, it also starts a fetch |
//! | stale | waits for one fetch, and uses the old set if that fails (stale-if-error) |
//! | past its last use, or was never had | waits for one fetch, and is refused with 503 if that fails |
//! | fresh, but lacks the key that a token names | waits for one fetch, unless one was just tried |
//!
//! There is one fetch at a time, whoever waits for it, and between two of them lies a cool-down, so
//! that invented key names cannot make us hammer the issuer. Nobody holds a lock while a fetch
//! runs: it is a task of its own, and a request that is dropped does not stop it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;

use super::jwks::IssuerKeys;
use super::jwks_source::KeySource;
use crate::time::{Clock, Timestamp};

/// Seconds that a set counts as fresh: the issuer's `max-age` within these bounds.
const FRESH_AT_LEAST: u64 = 60;
const FRESH_AT_MOST: u64 = 3600;
/// Seconds that a set counts as fresh when the issuer does not say.
const FRESH_BY_DEFAULT: u64 = 300;
/// Seconds between two tries as long as there is no set at all: everything is refused meanwhile.
const COOL_DOWN_WITHOUT_KEYS: u64 = 1;

/// How patient the cache is.
#[derive(Clone, Copy, Debug)]
pub struct KeyCachePolicy {
    /// Seconds between two fetches at least, however many unknown key names come by. 30 by default.
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
        Self { cool_down: 30, stale_if_error: 3600 }
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
    /// The last set that was good. Replaced whole; a bad answer leaves it alone.
    set: RwLock<Option<Arc<KeySet>>>,
    /// Whether a fetch is under way, and when the last one began. Held for an instant only.
    flight: Mutex<Flight>,
    /// Counts the fetches that ended, well or not; who waits for one waits for a change.
    landed: watch::Sender<u64>,
}

#[derive(Debug)]
struct KeySet {
    keys: Arc<IssuerKeys>,
    refresh_from: Timestamp,
    fresh_until: Timestamp,
}

#[derive(Debug, Default)]
struct Flight {
    under_way: bool,
    began: Option<Timestamp>,
}

impl JwksCache {
    /// An empty cache; the first request fills it.
    pub fn new(source: Arc<dyn KeySource>, clock: Arc<dyn Clock>, policy: KeyCachePolicy) -> Self {
        Self(Arc::new(Shared {
            source,
            clock,
            policy,
            set: RwLock::default(),
            flight: Mutex::default(),
            landed: watch::Sender::new(0),
        }))
    }

    /// The keys to verify with now. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when there is no set, or none that may still be used.
    pub async fn keys(&self) -> Result<Arc<IssuerKeys>, KeysUnavailable> {
        let now = self.0.clock.now();
        if let Some(set) = self.0.current()
            && now < set.fresh_until
        {
            if now >= set.refresh_from {
                // Ahead of time, so that no request has to wait for it.
                let _ = self.start_fetch(now);
            }
            return Ok(Arc::clone(&set.keys));
        }
        self.fetch(now).await;
        let last_use = |set: &KeySet| set.fresh_until.plus(self.0.policy.stale_if_error);
        match self.0.current() {
            Some(set) if now < last_use(&set) => Ok(Arc::clone(&set.keys)),
            Some(_) | None => Err(KeysUnavailable),
        }
    }

    /// A newer set than `seen`, which lacks the key that a token names; `None` when there is none
    /// to be had now.
    pub async fn newer_than(&self, seen: &Arc<IssuerKeys>) -> Option<Arc<IssuerKeys>> {
        self.fetch(self.0.clock.now()).await;
        let set = self.0.current()?;
        (!Arc::ptr_eq(&set.keys, seen)).then(|| Arc::clone(&set.keys))
    }

    /// Waits for the fetch that is under way or can be started; returns at once when neither.
    async fn fetch(&self, now: Timestamp) {
        if let Some(mut landed) = self.start_fetch(now) {
            // The sender lives in `self`, so the wait ends with a landing.
            let _ = landed.changed().await;
        }
    }

    fn start_fetch(&self, now: Timestamp) -> Option<watch::Receiver<u64>> {
        let shared = &self.0;
        let cool_down = match shared.current() {
            Some(_) => shared.policy.cool_down,
            None => COOL_DOWN_WITHOUT_KEYS,
        };
        let mut flight = shared.flight.lock().unwrap_or_else(PoisonError::into_inner);
        // Subscribed to before the flight can land, so that no landing is missed.
        let landed = shared.landed.subscribe();
        if flight.under_way {
            return Some(landed);
        }
        // A clock that was set back must not make the cool-down last until it has caught up.
        let cooling = |began: Timestamp| (began..began.plus(cool_down)).contains(&now);
        if flight.began.is_some_and(cooling) {
            return None;
        }
        *flight = Flight { under_way: true, began: Some(now) };
        drop(flight);
        tokio::spawn(fly(Landing(Arc::clone(shared))));
        Some(landed)
    }
}

impl Shared {
    fn current(&self) -> Option<Arc<KeySet>> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        set.clone()
    }
}

/// Ends a flight when dropped, even if its source panicked.
struct Landing(Arc<Shared>);

impl Drop for Landing {
    fn drop(&mut self) {
        let flight = self.0.flight.lock();
        flight.unwrap_or_else(PoisonError::into_inner).under_way = false;
        self.0.landed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

async fn fly(landing: Landing) {
    let shared = &landing.0;
    let fetched = match shared.source.fetch().await {
        Ok(fetched) => fetched,
        Err(error) => {
            tracing::warn!(%error, "the issuer's keys could not be fetched");
            return;
        }
    };
    let keys = match IssuerKeys::from_json(&fetched.document) {
        Ok(keys) => Arc::new(keys),
        Err(error) => {
            tracing::warn!(%error, "the issuer's key set cannot be used");
            return;
        }
    };
    let max_age = fetched.max_age.unwrap_or(FRESH_BY_DEFAULT);
    let lifetime = max_age.clamp(FRESH_AT_LEAST, FRESH_AT_MOST);
    let now = shared.clock.now();
    let set =
        KeySet { keys, refresh_from: now.plus(lifetime / 5 * 4), fresh_until: now.plus(lifetime) };
    *shared.set.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(set));
}

#[cfg(test)]
#[path = "jwks_cache_tests.rs"]
mod tests;
