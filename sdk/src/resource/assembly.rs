//! How a server is made of its settings, or every fault of them told at once.
//!
//! The last step of the configuration, and the only one that makes anything. What a setting must be
//! like by itself stands in `policy`; here is what shows only when it is used. RFC 8707, RFC 9728.

use std::sync::Arc;

use super::config::{Choice, MetadataUrl, ResourceConfig};
use super::introspection::Introspection;
use super::jwks_cache::JwksCache;
use super::jwks_source::{IssuerEndpoint, KeySource};
use super::metadata::default_metadata_url;
use super::nonce::Nonces;
use super::policy::{ConfigErrors, Policy, faults, is_safe_url};
use super::revocation::{Follower, FollowerParts, IssuerFeed, Revocations};
use super::server::{Parts, ResourceServer};
use super::used_proofs::UsedProofs;
use crate::proof::target_uri::TargetUri;
use crate::time::Timestamp;

impl ResourceConfig {
    /// Makes the server. Asks nobody yet: the issuer's keys and revocations are fetched by the first
    /// request, or by [`ResourceServer::follow_revocations`] before it.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every fault, not only the first.
    pub fn build(mut self) -> Result<ResourceServer, ConfigErrors> {
        let mut faults = faults(&self);
        let public_base = noted(&mut faults, self.public_base());
        let metadata_url = noted(&mut faults, self.own_metadata_url());
        let source = noted(&mut faults, self.own_key_source());
        let nonces = Nonces::generate(self.nonce_required_before(), &*self.entropy);
        let nonces = noted(&mut faults, nonces.map_err(|error| error.to_string()));
        let keys =
            source.map(|source| JwksCache::new(source, Arc::clone(&self.clock), self.key_cache));
        let revocations = match &keys {
            Some(keys) => noted(&mut faults, self.own_revocations(keys)),
            None => None,
        };
        let introspection = noted(&mut faults, self.own_introspection());
        let (
            Some(public_base),
            Some(metadata_url),
            Some(keys),
            Some(nonces),
            Some(revocations),
            Some(introspection),
            true,
        ) = (
            public_base,
            metadata_url,
            keys,
            nonces,
            revocations,
            introspection,
            faults.is_empty(),
        )
        else {
            return Err(ConfigErrors::of(faults));
        };
        let used_proofs = match self.replay_store.take() {
            Some(store) => UsedProofs::Elsewhere(store),
            None => UsedProofs::here(self.replay_capacity, self.window),
        };
        Ok(ResourceServer::new(Parts {
            keys,
            revocations,
            introspection,
            used_proofs,
            token_cache_capacity: self.token_cache_capacity,
            nonces,
            clock: self.clock,
            entropy: self.entropy,
            policy: Policy {
                issuer: self.issuer,
                audience: self.audience,
                public_base,
                realm: self.realm,
                algorithms: self.algorithms,
                window: self.window,
                leeway: self.leeway,
                max_token_lifetime: self.max_token_lifetime,
                accepts_bearer: self.accepts_bearer,
                metadata_url,
                scopes: self.scopes,
                open_when_stale: self.open_when_stale.into(),
            },
        }))
    }

    /// Which proofs need a nonce: all, or those of the time before.
    fn nonce_required_before(&self) -> Timestamp {
        if self.requires_nonce {
            Timestamp::from_unix(u64::MAX)
        } else if self.replays_survive_restart {
            Timestamp::default()
        } else {
            self.clock.now()
        }
    }

    fn public_base(&self) -> Result<TargetUri, String> {
        let url = self.public_url.as_deref().unwrap_or(&self.audience);
        match TargetUri::parse(url) {
            Ok(base) if is_safe_url(url) => Ok(base),
            Ok(_) | Err(_) => Err(
                "public_url (by default the resource): an https URL, or http on loopback, without \
                 query and fragment, is needed"
                    .to_owned(),
            ),
        }
    }

    fn own_metadata_url(&self) -> Result<Option<String>, String> {
        match &self.metadata_url {
            MetadataUrl::None => Ok(None),
            MetadataUrl::At(url) if is_safe_url(url) => Ok(Some(url.clone())),
            MetadataUrl::At(_) => Err(
                "metadata_url: an https URL, or http on loopback, without query and fragment, is needed"
                    .to_owned(),
            ),
            MetadataUrl::Default => {
                default_metadata_url(&self.audience).map(Some).ok_or_else(|| {
                    "metadata_url: the resource identifier is no URL to derive one from".to_owned()
                })
            }
        }
    }

    fn own_revocations(&self, keys: &JwksCache) -> Result<Revocations, String> {
        let source = match &self.revocations {
            Choice::Without => return Ok(Revocations::Ignored),
            Choice::Source(source) => Arc::clone(source),
            Choice::IssuerFeed => match IssuerFeed::new(&self.issuer) {
                Ok(feed) => Arc::new(feed),
                Err(fault) => return Err(format!("issuer: {fault}")),
            },
        };
        Ok(Revocations::Followed(Follower::new(FollowerParts {
            source,
            keys: keys.clone(),
            issuer: self.issuer.clone(),
            algorithms: self.algorithms.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            wait: self.revocation_wait.min(self.max_staleness / 3),
            max_staleness: self.max_staleness,
            leeway: self.leeway,
            capacity: self.revocation_capacity,
        })))
    }

    fn own_introspection(&mut self) -> Result<Option<Introspection>, String> {
        let new = |caller| Introspection::new(&self.issuer, &self.audience, caller);
        self.introspect_as.take().map(new).transpose()
    }

    fn own_key_source(&self) -> Result<Arc<dyn KeySource>, String> {
        match &self.key_source {
            Some(source) => Ok(Arc::clone(source)),
            None => match IssuerEndpoint::new(&self.issuer) {
                Ok(endpoint) => Ok(Arc::new(endpoint)),
                Err(fault) => Err(format!("issuer: {fault}")),
            },
        }
    }
}

/// The value, or a fault more.
fn noted<T>(faults: &mut Vec<String>, result: Result<T, String>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}
