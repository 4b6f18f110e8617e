//! What a protected resource is and demands: a builder that lists every fault at once.
//!
//! The issuer and the resource are arguments of the constructor; no check has an off switch. The
//! public base URL is configured, never guessed from `Host` or forwarded headers, for a proof names
//! the URL that the client saw. RFC 9449 §4.3, RFC 8707, RFC 9728.

use std::fmt;
use std::sync::Arc;

use url::{Host, Url};

use super::jwks_cache::{JwksCache, KeyCachePolicy};
use super::jwks_source::{IssuerEndpoint, KeySource};
use super::metadata::default_metadata_url;
use super::nonce::Nonces;
use super::server::{Parts, ResourceServer, UsedProofs};
use crate::entropy::{Entropy, OsEntropy};
use crate::key::Algorithm;
use crate::proof::dpop::Window;
use crate::proof::replay::{MemoryReplayStore, ReplayStore};
use crate::proof::target_uri::TargetUri;
use crate::time::{Clock, SystemClock};

/// Seconds that clocks may be told to differ, and proofs to live, at most.
const MAX_LEEWAY: u64 = 60;
const MAX_PROOF_AGE: u64 = 300;

/// Every fault of a configuration, each a sentence that names the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// The faults, one by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// The settings that the checks read, found right.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) public_base: TargetUri,
    pub(super) realm: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) window: Window,
    pub(super) leeway: u64,
    pub(super) accepts_bearer: bool,
    pub(super) metadata_url: Option<String>,
    pub(super) scopes: Vec<String>,
}

/// Describes a protected resource; [`ResourceConfig::build`] makes the server of it.
#[derive(Debug)]
pub struct ResourceConfig {
    issuer: String,
    audience: String,
    public_url: Option<String>,
    realm: Option<String>,
    algorithms: Vec<Algorithm>,
    window: Window,
    leeway: u64,
    accepts_bearer: bool,
    requires_nonce: bool,
    metadata_url: MetadataUrl,
    scopes: Vec<String>,
    replay_capacity: usize,
    token_cache_capacity: usize,
    key_cache: KeyCachePolicy,
    key_source: Option<Arc<dyn KeySource>>,
    replay_store: Option<Arc<dyn ReplayStore>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Debug)]
enum MetadataUrl {
    None,
    Default,
    At(String),
}

impl ResourceConfig {
    /// A resource with the identifier `resource` (RFC 8707), which takes tokens of `issuer`.
    ///
    /// Both are compared byte by byte with `iss` and `aud`: write them as the issuer does.
    pub fn new(issuer: impl Into<String>, resource: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: resource.into(),
            public_url: None,
            realm: None,
            algorithms: vec![Algorithm::EdDsa, Algorithm::Ed25519, Algorithm::Es256],
            window: Window::default(),
            leeway: 5,
            accepts_bearer: false,
            requires_nonce: false,
            metadata_url: MetadataUrl::None,
            scopes: Vec::new(),
            replay_capacity: 1 << 20,
            token_cache_capacity: 10_000,
            key_cache: KeyCachePolicy::default(),
            key_source: None,
            replay_store: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
        }
    }

    /// The URL under which clients see this service, such as `https://example.org/api`; a proof's
    /// `htu` must be this and the request's path. By default the resource identifier.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// The `realm` in challenges; none by default.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// The algorithms that access tokens may be signed with: `EdDSA`, `Ed25519` and `ES256` by default.
    #[must_use]
    pub fn token_algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// How old a proof may be, and how far ahead: 60 and 5 seconds by default.
    #[must_use]
    pub const fn proof_window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// Seconds by which the issuer's clock may differ from ours: 5 by default, 60 at most.
    #[must_use]
    pub const fn leeway(mut self, seconds: u64) -> Self {
        self.leeway = seconds;
        self
    }

    /// Also accepts tokens that the issuer bound to no key, under `Bearer`. A bound token is
    /// refused there all the same. Who copies such a token can use it; by default there are none.
    #[must_use]
    pub const fn accept_unbound_tokens(mut self) -> Self {
        self.accepts_bearer = true;
        self
    }

    /// Demands a nonce of this server in every proof (RFC 9449 §9). Use it with the layer, which
    /// renews nonces in time; each process has its own, so one client must meet one process.
    #[must_use]
    pub const fn require_nonce(mut self) -> Self {
        self.requires_nonce = true;
        self
    }

    /// Names the resource's metadata in every challenge, at the URL where
    /// [`ResourceServer::metadata_router`] serves it (RFC 9728 §3.1).
    #[must_use]
    pub fn advertise_metadata(mut self) -> Self {
        self.metadata_url = MetadataUrl::Default;
        self
    }

    /// Names the resource's metadata in every challenge, at a URL where something else serves it.
    #[must_use]
    pub fn metadata_url(mut self, url: impl Into<String>) -> Self {
        self.metadata_url = MetadataUrl::At(url.into());
        self
    }

    /// The scopes that the metadata lists; they decide nothing.
    #[must_use]
    pub fn scopes_supported<S: Into<String>>(
        mut self,
        scopes: impl IntoIterator<Item = S>,
    ) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// How many used proofs are remembered, about 40 bytes each; past it requests meet 503, for
    /// forgetting one would let it in again. A million by default: 16 000 requests a second.
    #[must_use]
    pub const fn replay_capacity(mut self, proofs: usize) -> Self {
        self.replay_capacity = proofs;
        self
    }

    /// How many tokens' verdicts are kept, so that their signature is verified once; 10 000 by default.
    #[must_use]
    pub const fn token_cache_capacity(mut self, tokens: usize) -> Self {
        self.token_cache_capacity = tokens;
        self
    }

    /// When the issuer's keys are fetched again, and how long old ones serve.
    #[must_use]
    pub const fn key_cache(mut self, policy: KeyCachePolicy) -> Self {
        self.key_cache = policy;
        self
    }

    /// Takes the issuer's keys from elsewhere than its own endpoints.
    #[must_use]
    pub fn key_source(mut self, source: Arc<dyn KeySource>) -> Self {
        self.key_source = Some(source);
        self
    }

    /// Remembers used proofs elsewhere than in this process. Several processes behind one URL need
    /// one store, or a proof can be used once at each of them.
    #[must_use]
    pub fn replay_store(mut self, store: Arc<dyn ReplayStore>) -> Self {
        self.replay_store = Some(store);
        self
    }

    /// Another clock than the machine's, for tests.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of randomness than the operating system's, for tests.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Makes the server. Asks nobody yet: the issuer's keys are fetched by the first request.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every fault, not only the first.
    pub fn build(self) -> Result<ResourceServer, ConfigErrors> {
        let mut faults = self.faults();
        let public_url = self.public_url.as_deref().unwrap_or(&self.audience);
        let public_base = noted(
            &mut faults,
            TargetUri::parse(public_url).map_err(|_| {
                format!("public_url: {public_url} is no absolute http(s) URL; set it when the resource identifier is none")
            }),
        );
        let metadata_url = match &self.metadata_url {
            MetadataUrl::None => None,
            MetadataUrl::At(url) => Some(url.clone()),
            MetadataUrl::Default => {
                let missing = || {
                    "metadata_url: the resource identifier is no URL to derive it from".to_owned()
                };
                noted(
                    &mut faults,
                    default_metadata_url(&self.audience).ok_or_else(missing),
                )
            }
        };
        let source = match &self.key_source {
            Some(source) => Some(Arc::clone(source)),
            None => noted(
                &mut faults,
                IssuerEndpoint::new(&self.issuer)
                    .map(|endpoint| Arc::new(endpoint) as Arc<dyn KeySource>)
                    .map_err(|fault| format!("issuer: {fault}")),
            ),
        };
        let nonces = noted(
            &mut faults,
            Nonces::generate(self.requires_nonce, &*self.entropy)
                .map_err(|error| error.to_string()),
        );
        let (Some(public_base), Some(source), Some(nonces), true) =
            (public_base, source, nonces, faults.is_empty())
        else {
            return Err(ConfigErrors(faults));
        };
        let used_proofs = match self.replay_store {
            Some(store) => UsedProofs::Elsewhere(store),
            None => UsedProofs::Here(Arc::new(MemoryReplayStore::new(self.replay_capacity))),
        };
        let parts = Parts {
            keys: JwksCache::new(source, Arc::clone(&self.clock), self.key_cache),
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
                accepts_bearer: self.accepts_bearer,
                metadata_url,
                scopes: self.scopes,
            },
        };
        Ok(ResourceServer::new(parts))
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut demand = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        demand(
            is_safe_url(&self.issuer),
            "issuer: an https URL, or http on loopback, without query and fragment, is needed",
        );
        let audience = Url::parse(&self.audience);
        demand(
            audience.is_ok_and(|url| url.fragment().is_none()),
            "resource: an absolute URI without fragment is needed (RFC 8707)",
        );
        demand(
            self.public_url.as_deref().is_none_or(is_safe_url),
            "public_url: an https URL, or http on loopback, without query and fragment, is needed",
        );
        demand(
            !self.algorithms.is_empty(),
            "token_algorithms: at least one is needed",
        );
        demand(
            (1..=MAX_PROOF_AGE).contains(&self.window.max_age)
                && self.window.max_future_skew <= MAX_LEEWAY,
            "proof_window: 1 to 300 seconds of age, at most 60 ahead",
        );
        demand(self.leeway <= MAX_LEEWAY, "leeway: at most 60 seconds");
        demand(
            self.replay_capacity > 0 && self.token_cache_capacity > 0,
            "replay_capacity, token_cache_capacity: at least 1",
        );
        faults
    }
}

/// The value, or a fault more.
fn noted<T>(faults: &mut Vec<String>, result: Result<T, String>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

/// Whether what is sent to this URL can be trusted to arrive there: TLS, or never leaving the machine.
fn is_safe_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    plain && (url.scheme() == "https" || url.scheme() == "http" && loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_every_fault_at_once() {
        let config = ResourceConfig::new("http://auth.example", "not a uri")
            .token_algorithms(&[])
            .leeway(61)
            .proof_window(Window {
                max_age: 0,
                max_future_skew: 0,
            })
            .replay_capacity(0)
            .advertise_metadata();
        let errors = config.build().err().unwrap();
        for setting in [
            "issuer:",
            "resource:",
            "public_url:",
            "token_algorithms:",
            "proof_window:",
            "leeway:",
            "replay_capacity",
            "metadata_url:",
        ] {
            assert!(
                errors.iter().any(|fault| fault.starts_with(setting)),
                "{setting}"
            );
        }
    }

    #[test]
    fn takes_loopback_and_urls_under_a_path() {
        let resource = "http://127.0.0.1:8800";
        assert!(
            ResourceConfig::new("http://127.0.0.1:8700", resource)
                .build()
                .is_ok()
        );
        let elsewhere = ResourceConfig::new("https://auth.example/a", "urn:example:escrow");
        assert!(
            elsewhere
                .public_url("https://example.org/api")
                .build()
                .is_ok()
        );
        let plain = ResourceConfig::new("https://auth.example", "urn:example:escrow");
        assert!(plain.public_url("http://example.org/api").build().is_err());
    }
}
