//! The protected resource as one value: its policy, the issuer's keys, and what was used already.
//!
//! Cheap to clone, and nothing but what the checks need; what they do with it stands in `check`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use super::challenge_header;
use super::check::Verdict;
use super::error::AccessError;
use super::introspection::Introspection;
use super::jwks_cache::JwksCache;
use super::nonce::Nonces;
use super::policy::Policy;
use super::revocation::{RevocationStatus, Revocations};
use super::used_proofs::UsedProofs;
use crate::entropy::Entropy;
use crate::proof::dpop::AccessTokenHash;
use crate::time::{Clock, Timestamp};

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
    pub(super) revocations: Revocations,
    pub(super) introspection: Option<Introspection>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// What [`ResourceServer::new`] needs.
pub(super) struct Parts {
    pub(super) policy: Policy,
    pub(super) keys: JwksCache,
    pub(super) used_proofs: UsedProofs,
    pub(super) token_cache_capacity: usize,
    pub(super) nonces: Nonces,
    pub(super) revocations: Revocations,
    pub(super) introspection: Option<Introspection>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl ResourceServer {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            policy: parts.policy,
            keys: parts.keys,
            used_proofs: parts.used_proofs,
            verdicts: Cache::new(parts.token_cache_capacity),
            nonces: parts.nonces,
            revocations: parts.revocations,
            introspection: parts.introspection,
            clock: parts.clock,
            entropy: parts.entropy,
        }))
    }

    /// The whole answer to a request that was refused: status, `WWW-Authenticate` as RFC 9449 §7.1
    /// has it, and a JSON body with `error`, `error_description` and `reason`.
    pub fn refusal(&self, error: &AccessError) -> http::Response<String> {
        challenge_header::refusal(error, &self.0.policy)
    }

    /// Begins to follow the issuer's revocations, so that the first request need not wait for them,
    /// and tells what is known after the first answer or two seconds. The first request begins by
    /// itself. Must run inside a tokio runtime; what it started stops with the last clone of the
    /// server.
    pub async fn follow_revocations(&self) -> RevocationStatus {
        self.0.revocations.start();
        self.0.revocations.settle(self.0.clock.now()).await;
        self.revocation_status()
    }

    /// What is known of the issuer's revocations, for metrics and health. Asks nobody.
    pub fn revocation_status(&self) -> RevocationStatus {
        self.0.revocations.status(self.0.clock.now())
    }

    /// A nonce for the client's next proof (RFC 9449 §9).
    pub(super) fn fresh_nonce(&self, now: Timestamp) -> Result<String, AccessError> {
        let fresh = self.0.nonces.fresh(now, &*self.0.entropy);
        fresh.map_err(|_| AccessError::NoEntropy)
    }
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceServer({})", self.0.policy.audience)
    }
}
