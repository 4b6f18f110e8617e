//! Whether a token still stands: not revoked as far as is known, and how far that must be.
//!
//! | what a request demands | while the view of revocations is too old |
//! |---|---|
//! | a scope that was named as open | let in, for the open scopes and for nothing else |
//! | another scope, or none that is known | refused with 503 |
//!
//! The decision is made where the demand is known, and who does not say what is demanded gets the
//! strict one. A caller who was let in by an old view remembers it, and
//! [`Caller::require`](super::Caller::require) refuses him whatever is not open. What is known to be
//! revoked is refused always.

use std::sync::Arc;

use super::claims::AccessToken;
use super::error::AccessError;
use super::server::ResourceServer;
use crate::time::Timestamp;

/// What a request is let in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Whatever the handler does.
    Anything,
    /// What this scope allows.
    Scope(&'static str),
    /// An extractor behind the layer says; until then, nothing.
    SaidLater,
}

/// That a token stands, as far as is known. Only [`ResourceServer::standing`] makes one.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// The scopes that may be used all the same, if the view was too old.
    open_when_stale: Option<Arc<[String]>>,
}

impl Standing {
    /// Whether the view was too old, and only open scopes may be used.
    pub(super) const fn is_stale(&self) -> bool {
        self.open_when_stale.is_some()
    }

    /// Whether this scope may be used.
    pub(super) fn allows(&self, scope: &str) -> bool {
        self.open_when_stale.as_ref().is_none_or(|open| open.iter().any(|one| one == scope))
    }

    /// Whether a request with this token may go on to what it demands.
    pub(super) fn serves(&self, demand: Demand, token: &AccessToken) -> bool {
        match demand {
            Demand::Anything => !self.is_stale(),
            Demand::Scope(scope) => self.allows(scope),
            Demand::SaidLater => token.scopes().any(|scope| self.allows(scope)) || !self.is_stale(),
        }
    }
}

impl ResourceServer {
    /// Whether a verified token stands, for what is demanded. Asks nobody.
    pub(super) fn standing(
        &self,
        token: &AccessToken,
        demand: Demand,
        now: Timestamp,
    ) -> Result<Standing, AccessError> {
        let revocations = &self.0.revocations;
        // Looked at before the entries: what is heard in between makes the view no older.
        let stale = revocations.are_stale(now);
        if revocations.name(token) {
            return Err(AccessError::TokenRevoked);
        }
        let open_when_stale = stale.then(|| Arc::clone(&self.0.policy.open_when_stale));
        let standing = Standing { open_when_stale };
        if standing.serves(demand, token) {
            Ok(standing)
        } else {
            Err(AccessError::RevocationsStale)
        }
    }
}
