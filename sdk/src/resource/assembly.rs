//! How a server is made of its settings, or every fault of them told at once.
//!
//! The last step of the configuration, and the only one that makes anything. What a setting must be
//! like by itself stands in `policy`; here is what shows only when it is used. RFC 8707, RFC 9728.

use std::sync::Arc;

use super::config::{Choice, MetadataUrl, ResourceConfig};
use super::introspection::Introspection;
use super::issuer::Issuer;
use super::jwks_cache::JwksCache;
use super::jwks_source::{IssuerEndpoint, KeySource};
use super::metadata::default_metadata_url;
use super::nonce::Nonces;
use super::policy::{ConfigErrors, Policy, faults, is_safe_url};
use super::revocation::{Follower, FollowerParts, IssuerFeed, RevocationSource, Revocations};
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
        let issuer = noted(&mut faults, self.asked_issuer()).flatten();
        let introspection = noted(&mut faults, self.own_introspection(issuer.as_ref())).flatten();
        let nonces = Nonces::generate(self.nonce_required_before(), &*self.entropy);
        let nonces = noted(&mut faults, nonces.map_err(|error| error.to_string()));
        let source = self.own_key_source(issuer.as_ref());
        let keys =
            source.map(|source| JwksCache::new(source, Arc::clone(&self.clock), self.key_cache));
        let revocations =
            keys.as_ref().and_then(|keys| self.own_revocations(issuer.as_ref(), keys));
        let parts = (public_base, metadata_url, keys, nonces, revocations, faults.is_empty());
        let (
            Some(public_base),
            Some(metadata_url),
            Some(keys),
            Some(nonces),
            Some(revocations),
            true,
        ) = parts
        else {
            // Whatever is missing is missing for one of these.
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

    /// The issuer as the default sources and introspection ask it; one connection pool for all.
    /// `None` where nobody asks.
    fn asked_issuer(&self) -> Result<Option<Issuer>, String> {
        let is_asked = self.key_source.is_none()
            || matches!(self.revocations, Choice::IssuerFeed)
            || self.introspect_as.is_some();
        let issuer = is_asked.then(|| Issuer::new(&self.issuer)).transpose();
        issuer.map_err(|fault| format!("issuer: {fault}"))
    }

    fn own_key_source(&self, issuer: Option<&Issuer>) -> Option<Arc<dyn KeySource>> {
        match (&self.key_source, issuer) {
            (Some(source), _) => Some(Arc::clone(source)),
            (None, Some(issuer)) => Some(Arc::new(IssuerEndpoint(issuer.clone()))),
            (None, None) => None,
        }
    }

    fn own_revocations(&self, issuer: Option<&Issuer>, keys: &JwksCache) -> Option<Revocations> {
        let source: Arc<dyn RevocationSource> = match (&self.revocations, issuer) {
            (Choice::Without, _) => return Some(Revocations::Ignored),
            (Choice::Source(source), _) => Arc::clone(source),
            (Choice::IssuerFeed, Some(issuer)) => Arc::new(IssuerFeed::of(issuer.clone())),
            (Choice::IssuerFeed, None) => return None,
        };
        Some(Revocations::Followed(Follower::new(FollowerParts {
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

    fn own_introspection(
        &mut self,
        issuer: Option<&Issuer>,
    ) -> Result<Option<Introspection>, String> {
        match (self.introspect_as.take(), issuer) {
            (Some(caller), Some(issuer)) => {
                let introspection =
                    Introspection::new(issuer.clone(), &self.issuer, &self.audience, caller);
                introspection.map(Some)
            }
            (_, _) => Ok(None),
        }
    }
}

/// The value, or a fault more.
fn noted<T>(faults: &mut Vec<String>, result: Result<T, String>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}
