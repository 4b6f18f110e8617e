//! What a protected resource is and demands, setting by setting.
//!
//! The issuer and the resource are arguments of the constructor; no check has an off switch but
//! revocation, where the way to the issuer may be missing, and its name says what it does. The public base URL is configured, never guessed from `Host` or forwarded headers, for a proof names
//! the URL that the client saw. RFC 9449 §4.3, RFC 8707, RFC 9728.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::introspection::IntrospectAs;
use super::jwks_cache::KeyCachePolicy;
use super::jwks_source::KeySource;
use super::revocation::RevocationSource;
use crate::entropy::{Entropy, OsEntropy};
use crate::key::{Algorithm, Signer};
use crate::proof::dpop::Window;
use crate::proof::replay::ReplayStore;
use crate::time::{Clock, SystemClock};

/// Describes a protected resource; [`ResourceConfig::build`] makes the server of it.
#[derive(Debug)]
pub struct ResourceConfig {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) public_url: Option<String>,
    pub(super) realm: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) window: Window,
    pub(super) leeway: u64,
    pub(super) max_token_lifetime: u64,
    pub(super) accepts_bearer: bool,
    pub(super) requires_nonce: bool,
    pub(super) metadata_url: MetadataUrl,
    pub(super) scopes: Vec<String>,
    pub(super) replay_capacity: usize,
    pub(super) token_cache_capacity: usize,
    pub(super) key_cache: KeyCachePolicy,
    pub(super) key_source: Option<Arc<dyn KeySource>>,
    pub(super) replay_store: Option<Arc<dyn ReplayStore>>,
    pub(super) replays_survive_restart: bool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) revocations: Choice,
    pub(super) revocation_wait: u64,
    pub(super) revocation_capacity: usize,
    pub(super) max_staleness: u64,
    pub(super) open_when_stale: Vec<String>,
    pub(super) introspect_as: Option<IntrospectAs>,
}

/// How the service wants to learn of revocations.
#[derive(Debug)]
pub(super) enum Choice {
    /// By the issuer's own endpoint.
    IssuerFeed,
    /// By what the service gives.
    Source(Arc<dyn RevocationSource>),
    /// Not at all.
    Without,
}

#[derive(Debug)]
pub(super) enum MetadataUrl {
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
            revocations: Choice::IssuerFeed,
            revocation_wait: 10,
            revocation_capacity: 1 << 20,
            max_staleness: 30,
            open_when_stale: Vec::new(),
            introspect_as: None,
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
    /// [`metadata_router`](super::ResourceServer::metadata_router) serves it (RFC 9728 §3.1).
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

    /// Takes the issuer's keys from elsewhere than its own endpoints. Where revocations come from
    /// must then be said as well: [`revocation_source`](Self::revocation_source) or
    /// [`without_revocations`](Self::without_revocations).
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

    /// Seconds for which the view of the issuer's revocations may age before requests are refused
    /// with 503, but for the scopes of [`open_when_stale`](Self::open_when_stale). 30 by default, 3600
    /// at most. A revoked token is refused after this time at the latest, whatever becomes of the
    /// issuer and of the way to it. The clocks of issuer and server must agree as far.
    #[must_use]
    pub const fn max_staleness(mut self, seconds: u64) -> Self {
        self.max_staleness = seconds;
        self
    }

    /// Scopes that only read: requests for them are served even while nobody knows whether their
    /// token was revoked a moment ago. None by default. All other scopes, and whatever demands no
    /// scope, are refused then.
    #[must_use]
    pub fn open_when_stale<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.open_when_stale = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Seconds for which the issuer may wait for something new before it answers: 10 by default, 30
    /// at most, and never more than a third of [`max_staleness`](Self::max_staleness), so that two
    /// questions may fail before the view is too old.
    #[must_use]
    pub const fn revocation_wait(mut self, seconds: u64) -> Self {
        self.revocation_wait = seconds;
        self
    }

    /// How many live revocations are kept, about 100 bytes each: 1 048 576 by default, more than an
    /// issuer holds unless it is configured to: its `limits.revocations` and an eighth of that. With more, the
    /// view counts as too old, for forgetting one would let its token in again.
    #[must_use]
    pub const fn revocation_capacity(mut self, entries: usize) -> Self {
        self.revocation_capacity = entries;
        self
    }

    /// Takes the signed answers of the issuer's revocation feed from elsewhere than its endpoint.
    #[must_use]
    pub fn revocation_source(mut self, source: Arc<dyn RevocationSource>) -> Self {
        self.revocations = Choice::Source(source);
        self
    }

    /// **Takes revoked tokens until they expire.** Nothing is asked and nothing is looked up: who was
    /// thrown out at the issuer stays in here for as long as his token lives. For services that have
    /// no way to the issuer, and for tests.
    #[must_use]
    pub fn without_revocations(mut self) -> Self {
        self.revocations = Choice::Without;
        self
    }

    /// Lets routes ask the issuer whether a token is live at this very moment, by an assertion that
    /// `signer` signs (RFC 7662, `private_key_jwt`). The issuer must know its `did:key` as this
    /// resource's. The key must be Ed25519 or secp256k1.
    #[must_use]
    pub fn introspect_as(mut self, signer: Arc<dyn Signer>) -> Self {
        self.introspect_as = Some(IntrospectAs::Key(signer));
        self
    }

    /// The same with a secret that the issuer's operator made for this resource
    /// (`client_secret_basic`, RFC 6749 §2.3.1).
    #[must_use]
    pub fn introspect_with_secret(mut self, secret: impl Into<String>) -> Self {
        self.introspect_as = Some(IntrospectAs::Secret(Zeroizing::new(secret.into()).into()));
        self
    }
}
