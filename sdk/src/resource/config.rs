//! What a protected resource is and demands, setting by setting, and how a server is made of it.
//!
//! The issuer and the resource are arguments of the constructor; no check has an off switch. The
//! public base URL is configured, never guessed from `Host` or forwarded headers, for a proof names
//! the URL that the client saw. RFC 9449 §4.3, RFC 8707, RFC 9728.

use std::sync::Arc;

use super::jwks_cache::{JwksCache, KeyCachePolicy};
use super::jwks_source::{IssuerEndpoint, KeySource};
use super::metadata::default_metadata_url;
use super::nonce::Nonces;
use super::policy::{ConfigErrors, Policy, faults, is_safe_url};
use super::server::{Parts, ResourceServer};
use super::used_proofs::UsedProofs;
use crate::entropy::{Entropy, OsEntropy};
use crate::key::Algorithm;
use crate::proof::dpop::Window;
use crate::proof::replay::ReplayStore;
use crate::proof::target_uri::TargetUri;
use crate::time::{Clock, SystemClock, Timestamp};

/// Describes a protected resource; [`ResourceConfig::build`] makes the server of it.
#[derive(Debug)]
pub struct ResourceConfig {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) public_url: Option<String>,
    realm: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) window: Window,
    pub(super) leeway: u64,
    pub(super) max_token_lifetime: u64,
    accepts_bearer: bool,
    requires_nonce: bool,
    metadata_url: MetadataUrl,
    scopes: Vec<String>,
    pub(super) replay_capacity: usize,
    pub(super) token_cache_capacity: usize,
    key_cache: KeyCachePolicy,
    key_source: Option<Arc<dyn KeySource>>,
    pub(super) replay_store: Option<Arc<dyn ReplayStore>>,
    pub(super) replays_survive_restart: bool,
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
            max_token_lifetime: 900,
            accepts_bearer: false,
            requires_nonce: false,
            metadata_url: MetadataUrl::None,
            scopes: Vec::new(),
            replay_capacity: 1 << 20,
            token_cache_capacity: 10_000,
            key_cache: KeyCachePolicy::default(),
            key_source: None,
            replay_store: None,
            replays_survive_restart: false,
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

    /// Seconds that an access token may live, from `iat` to `exp`: 900 by default, which is the
    /// longest that the issuer can be set to; the leeway is added. Who got hold of a key of the
    /// issuer cannot write tokens that outlive its withdrawal for long.
    #[must_use]
    pub const fn max_token_lifetime(mut self, seconds: u64) -> Self {
        self.max_token_lifetime = seconds;
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
    /// forgetting one would let it in again. Each stays for three minutes, so the million that is the
    /// default serves 5 600 requests a second. One key may take a sixteenth of it and is told 429
    /// beyond that.
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

    /// Whether the [`replay_store`](Self::replay_store) keeps what it was told when this process
    /// ends: false by default, and true only with such a store.
    ///
    /// Memory forgets which proofs were used, and they stay within their time for a while. So a
    /// proof whose `iat` lies before this server began must carry a nonce of it: it is answered
    /// `use_dpop_nonce` with one, and a client that retries as RFC 9449 §9 demands notices nothing.
    /// What remains is a proof that was dated ahead, by 5 seconds at most unless the window says
    /// otherwise. Several processes behind one URL want a store and this setting.
    #[must_use]
    pub const fn replays_survive_restart(mut self, survive: bool) -> Self {
        self.replays_survive_restart = survive;
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
    pub fn build(mut self) -> Result<ResourceServer, ConfigErrors> {
        let mut faults = faults(&self);
        let public_base = noted(&mut faults, self.public_base());
        let metadata_url = noted(&mut faults, self.own_metadata_url());
        let source = noted(&mut faults, self.own_key_source());
        let nonces = Nonces::generate(self.nonce_required_before(), &*self.entropy);
        let nonces = noted(&mut faults, nonces.map_err(|error| error.to_string()));
        let (Some(public_base), Some(metadata_url), Some(source), Some(nonces), true) =
            (public_base, metadata_url, source, nonces, faults.is_empty())
        else {
            return Err(ConfigErrors::of(faults));
        };
        let used_proofs = match self.replay_store.take() {
            Some(store) => UsedProofs::Elsewhere(store),
            None => UsedProofs::here(self.replay_capacity, self.window),
        };
        Ok(ResourceServer::new(Parts {
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
                max_token_lifetime: self.max_token_lifetime,
                accepts_bearer: self.accepts_bearer,
                metadata_url,
                scopes: self.scopes,
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
