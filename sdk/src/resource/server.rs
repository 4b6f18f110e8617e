//! The protected resource as one value: its policy, the issuer's keys, and what was used already.
//!
//! Cheap to clone. What the checks do with it stands in `check`; this file decides only how used
//! proofs leave memory: a task in the background, which ends when the server is gone.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

use quick_cache::sync::Cache;

use super::challenge_header;
use super::check::Verdict;
use super::error::AccessError;
use super::jwks_cache::JwksCache;
use super::nonce::Nonces;
use super::policy::Policy;
use crate::entropy::Entropy;
use crate::proof::dpop::AccessTokenHash;
use crate::proof::replay::{MemoryReplayStore, ReplayStore};
use crate::time::{Clock, Timestamp};

/// Seconds between two sweeps of the used proofs.
const SWEEP_SECONDS: u64 = 10;
/// Seconds that a used proof is remembered beyond its time, in case the clock is set back.
const REMEMBERED_LONGER: u64 = 120;

/// Tells the servers of one process apart.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A protected resource (RFC 9449 §7), made by
/// [`ResourceConfig::build`](super::ResourceConfig::build). All clones are one and the same server.
#[derive(Clone)]
pub struct ResourceServer(pub(super) Arc<Inner>);

pub(super) struct Inner {
    /// Marks the callers that this server let in.
    pub(super) id: u64,
    pub(super) policy: Policy,
    pub(super) keys: JwksCache,
    pub(super) used_proofs: UsedProofs,
    /// Tokens that were verified before, by their hash. Positive verdicts only; evicting one costs
    /// a signature verification and nothing else.
    pub(super) verdicts: Cache<AccessTokenHash, Arc<Verdict>>,
    pub(super) nonces: Nonces,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    sweeping: Once,
}

/// What [`ResourceServer::new`] needs.
pub(super) struct Parts {
    pub(super) policy: Policy,
    pub(super) keys: JwksCache,
    pub(super) used_proofs: UsedProofs,
    pub(super) token_cache_capacity: usize,
    pub(super) nonces: Nonces,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// Where used proofs are remembered.
pub(super) enum UsedProofs {
    /// In this process, swept by this server.
    Here(Arc<MemoryReplayStore>),
    /// In a store that somebody else keeps and sweeps.
    Elsewhere(Arc<dyn ReplayStore>),
}

impl ResourceServer {
    pub(super) fn new(parts: Parts) -> Self {
        let server = Self(Arc::new(Inner {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            policy: parts.policy,
            keys: parts.keys,
            used_proofs: parts.used_proofs,
            verdicts: Cache::new(parts.token_cache_capacity),
            nonces: parts.nonces,
            clock: parts.clock,
            entropy: parts.entropy,
            sweeping: Once::new(),
        }));
        server.ensure_sweeping();
        server
    }

    /// The whole answer to a request that was refused: status, `WWW-Authenticate` as RFC 9449 §7.1
    /// has it, and a JSON body with `error`, `error_description` and `reason`.
    pub fn refusal(&self, error: &AccessError) -> http::Response<String> {
        challenge_header::refusal(error, &self.0.policy)
    }

    /// A nonce for the client's next proof (RFC 9449 §9).
    pub(super) fn fresh_nonce(&self, now: Timestamp) -> Result<String, AccessError> {
        let fresh = self.0.nonces.fresh(now, &*self.0.entropy);
        fresh.map_err(|_| AccessError::NoEntropy)
    }

    /// Starts the sweeping once: here if there is a runtime, or else with the first request.
    pub(super) fn ensure_sweeping(&self) {
        if self.0.sweeping.is_completed() {
            return;
        }
        let UsedProofs::Here(store) = &self.0.used_proofs else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (store, clock) = (Arc::downgrade(store), Arc::clone(&self.0.clock));
            self.0.sweeping.call_once(|| {
                runtime.spawn(sweep(store, clock));
            });
        }
    }
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceServer({})", self.0.policy.audience)
    }
}

async fn sweep(store: Weak<MemoryReplayStore>, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(SWEEP_SECONDS));
    loop {
        ticks.tick().await;
        match store.upgrade() {
            Some(store) => store.sweep(clock.now().minus(REMEMBERED_LONGER)),
            None => return,
        }
    }
}
