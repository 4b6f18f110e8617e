//! The composition root: from settings to a running server, and down again.
//!
//! Nothing below this file knows how the configuration was written, which store was chosen, or what
//! time it is.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use countersign_sdk::entropy::{Entropy, EntropyError, OsEntropy};
use countersign_sdk::proof::nonce::NonceMint;
use countersign_sdk::proof::target_uri::{TargetUri, TargetUriError};
use countersign_sdk::time::{Clock, SystemClock, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::audit::{self, Audit, AuditError};
use crate::config::{Limits, Settings, StoreSettings};
use crate::control::Control;
use crate::http::extract::BodyLimits;
use crate::http::health::Health;
use crate::http::layers::Gate;
use crate::http::metadata::Documents;
use crate::http::router::{self, AppState};
use crate::http::serve::{ConnectionBounds, serve};
use crate::http::work::Work;
use crate::keyring::custody::CustodyError;
use crate::keyring::{Keyring, KeyringError};
use crate::limit::RequestLimit;
use crate::model::reason::Refusal;
use crate::rpc::{Nodes, NodesError};
use crate::service::admin::Desk;
use crate::service::context::Context;
use crate::service::feed::Feed;
use crate::service::issuing::stellar_key;
use crate::service::keys::Unrecorded;
use crate::store::embedded::{EmbeddedStore, Folder, OpenError};
use crate::store::memory::MemoryStore;
use crate::store::{Bounds, SessionBounds, SessionError, Store};
use crate::token::nonce::Nonces;
use crate::token::refresh::RefreshTokens;
use crate::token::verify::AccessTokens;

pub(crate) mod keys;
mod log;
mod rules;

/// Seconds for which expired entries are kept all the same: a request that began before an entry
/// expired, or a clock that is set back a little, must still find it.
const SWEEP_AFTER: u64 = 120;
/// How often expired entries are cleared away, off every request's path.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be bound.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, io::Error),
    /// No randomness for keys.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The signing keys were not opened.
    #[error("the signing keys: {0}")]
    Keys(#[from] KeyringError),
    /// The file of the key that signs Stellar's transactions gives none.
    #[error("stellar.signing_key_file: {0}")]
    Stellar(io::Error),
    /// The settings hold a scope or account that is none; the configuration's check lets none through.
    #[error("the settings do not fit: {0}")]
    Settings(#[from] Refusal),
    /// The issuer is no URL under which requests can arrive.
    #[error("the issuer: {0}")]
    Issuer(#[from] TargetUriError),
    /// Where operators call is no URL under which requests can arrive.
    #[error("operations_url: {0}")]
    OperationsUrl(TargetUriError),
    /// The store was not opened.
    #[error("the store: {0}")]
    Store(#[from] OpenError),
    /// The opening of the signing keys ended badly.
    #[error("the signing keys: {0}")]
    BrokenOff(String),
    /// What happened to keys was not recorded.
    #[error("the record of the signing keys: {0}")]
    Record(Refusal),
    /// The store was opened and takes nothing.
    #[error("the store: {0}")]
    Unwritten(SessionError),
    /// No connections to nodes can be made.
    #[error(transparent)]
    Nodes(#[from] NodesError),
    /// The audit log was not opened.
    #[error("the audit log: {0}")]
    Audit(#[from] audit::OpenError),
    /// The audit log was opened and takes nothing.
    #[error(transparent)]
    Unrecorded(#[from] AuditError),
    /// Everything of before a moment is void that lies ahead of this clock, and so does the newest record: it is
    /// as likely this clock that is behind.
    #[error(
        "every token of before a moment ahead of this machine's clock is void, and the newest record of the audit log was \
         made at {recorded}, while the clock says {now}. If the clock is behind, put it right and start again. If it is \
         right, and was ahead before, run `countersign store revoke --everything` and start again"
    )]
    ClockBehind {
        /// Now, by the clock.
        now: Timestamp,
        /// When the newest record was made.
        recorded: Timestamp,
    },
    /// A document could not be written as JSON.
    #[error("a document could not be written: {0}")]
    Document(#[from] serde_json::Error),
}

impl StartError {
    /// Whether another start does harm before somebody has put something right.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Keys(KeyringError::Custody(CustodyError::Pin(_))))
    }
}

/// The clock and the randomness of a server; tests bring their own.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for Surroundings {
    /// The machine's own.
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(OsEntropy) }
    }
}

/// A server whose addresses are bound and which takes no request yet.
#[derive(Debug)]
pub struct App {
    settings: Settings,
    public: TcpListener,
    operations: Option<TcpListener>,
    control: Option<Control>,
    state: AppState,
    /// Where operators come to, with bounds of its own: a flood of the public does not keep them out.
    desk: Option<(AppState, Arc<Desk>)>,
}

impl App {
    /// Makes the keys, builds the rules and binds the addresses.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn bind(settings: Settings, surroundings: Surroundings) -> Result<Self, StartError> {
        let public = listen(settings.listen).await?;
        let operations = match settings.operations_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let address = public.local_addr().map_err(|e| StartError::Bind(settings.listen, e))?;
        let settings = settings.with_bound_address(address);
        let (store, embedded) = open_store(&settings, Arc::clone(&surroundings.entropy)).await?;
        let keyring = keys::open_off_the_workers(&settings, &surroundings).await?;
        let audit = log::open(&settings).await?;
        let newest = audit.head().time;
        let clock = Arc::clone(&surroundings.clock);
        let state = state(&settings, surroundings, store, keyring, audit)?;
        keys::check_clock(&state.context, newest).await?;
        let control = embedded.and_then(|store| control(store, &state.context, clock));
        log::begin(&settings, &state.context).await?;
        keys::void_tokens_of_before(&state.context).await?;
        let settled = state.context.key_office().settle_records().await;
        settled.map_err(StartError::Record)?;
        let desk = desk(&settings, operations.as_ref(), &state)?;
        Ok(Self { settings, public, operations, control, state, desk })
    }

    /// The settings, with the address that was bound.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The address of the operations listener, if there is one.
    pub fn operations_address(&self) -> Option<SocketAddr> {
        self.operations.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// The public routes, for tests that need no socket.
    pub fn routes(&self) -> Router {
        router::public(self.state.clone())
    }

    /// Serves until `stop` turns true, then drains.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let limits = &self.settings.limits;
        let bounds = ConnectionBounds {
            max_connections: limits.max_connections,
            header_timeout: Duration::from_secs(limits.header_timeout),
            per_address: limits.connections_per_address,
            write_timeout: Duration::from_secs(limits.body_timeout),
            grace: Duration::from_secs(limits.shutdown_grace),
        };
        let health = Arc::new(Health::new(
            Arc::clone(&self.state.context.store),
            self.state.context.audit.clone(),
        ));
        let at_the_desk = self.desk.as_ref().map(|(_, desk)| Arc::clone(desk));
        let gates = self.desk.iter().map(|(state, _)| Arc::clone(&state.gate));
        let gates = gates.chain([Arc::clone(&self.state.gate)]).collect();
        let sweeper = tokio::spawn(sweep(Arc::clone(&self.state.context), at_the_desk, gates));
        let key_keeper = tokio::spawn(keys::keep_tended(Arc::clone(&self.state.context)));
        let asked = self.state.work.clone();
        let control = self.control.map(|control| tokio::spawn(control.run(move || asked.begin())));
        // The operations listener outlives the public one, so that draining can be watched.
        let (drained, wait_for_drain) = watch::channel(false);
        let operations = self.operations.map(|listener| {
            let routes = router::operations(Arc::clone(&health), self.desk);
            tokio::spawn(serve(
                listener,
                routes,
                bounds,
                Arc::clone(&self.state.gate),
                wait_for_drain,
            ))
        });
        health.set_ready(true);
        let gate = Arc::clone(&self.state.gate);
        let context = Arc::clone(&self.state.context);
        let signer = tokio::spawn(log::sign(Arc::clone(&context), log::due(&self.settings)));
        let (recorded, work) = (Arc::clone(&context), self.state.work.clone());
        let routes = router::public(self.state);
        let draining = mark_draining(stop.clone(), Arc::clone(&health), context);
        let ((), ()) = tokio::join!(serve(self.public, routes, bounds, gate, stop), draining);
        drained.send_replace(true);
        sweeper.abort();
        key_keeper.abort();
        if let Some(control) = control {
            control.abort();
            // What it has just accepted counts as begun when it has ended.
            let _ = control.await;
        }
        if let Some(operations) = operations
            && let Err(error) = operations.await
        {
            tracing::error!(%error, "the operations listener ended badly");
        }
        // Of requests whose clients are gone; as long as others had to end.
        if tokio::time::timeout(bounds.grace, work.ended()).await.is_err() {
            tracing::error!(
                "requests whose clients are gone did not end; what they do may not be recorded"
            );
        }
        signer.abort();
        keys::end(&recorded, bounds.grace).await;
        log::end(&recorded).await;
    }
}

/// The control socket. A server without it serves all the same: its path can be too long for one.
fn control(store: Arc<EmbeddedStore>, context: &Context, clock: Arc<dyn Clock>) -> Option<Control> {
    match Control::bind(store, context.key_office(), clock) {
        Ok(control) => Some(control),
        Err(error) => {
            tracing::error!(%error, "no control socket: `countersign store` and `countersign keys` work on a stopped server alone");
            None
        }
    }
}

async fn mark_draining(
    mut stop: watch::Receiver<bool>,
    health: Arc<Health>,
    context: Arc<Context>,
) {
    // A sender that is gone means the same as one that says stop.
    let _ = stop.wait_for(|stop| *stop).await;
    health.set_ready(false);
    // Readers of the feed would wait for up to half a minute; they get what there is.
    context.feed.close();
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| StartError::Bind(address, error))
}

/// Clears away what has expired.
async fn sweep(context: Arc<Context>, desk: Option<Arc<Desk>>, gates: Vec<Arc<Gate>>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        // Before the store forgets what was revoked.
        if let Some(desk) = &desk
            && let Err(refusal) = desk.drop_void(context.now()).await
        {
            tracing::error!(%refusal, "whether what waits for approval still counts is not known");
        }
        let store = Arc::clone(&context.store);
        let until = context.now().minus(SWEEP_AFTER);
        let runtime = tokio::runtime::Handle::current();
        // Off the workers: a large map takes a while to walk.
        let swept = tokio::task::spawn_blocking(move || runtime.block_on(store.sweep(until)));
        if let Err(error) = swept.await {
            tracing::error!(%error, "expired entries were not cleared away");
        }
        for gate in &gates {
            gate.requests.sweep();
        }
    }
}

/// Opens the store off the workers: it reads the whole file.
async fn open_store(
    settings: &Settings,
    entropy: Arc<dyn Entropy>,
) -> Result<(Arc<dyn Store>, Option<Arc<EmbeddedStore>>), StartError> {
    let limits = &settings.limits;
    let sessions = SessionBounds {
        total: limits.sessions,
        per_subject: limits.sessions_per_subject,
        revocations: limits.revocations,
    };
    let bounds = Bounds {
        nonces: limits.spent_nonces,
        proofs: limits.proofs,
        answers: limits.answers,
        sessions,
    };
    match settings.store.clone() {
        StoreSettings::Memory => {
            let store = MemoryStore::new(&bounds, &*entropy)?;
            Ok((Arc::new(store), None))
        }
        StoreSettings::Embedded { directory } => {
            let began = tokio::time::Instant::now();
            let opened = tokio::task::spawn_blocking(move || {
                EmbeddedStore::open(Folder::take(&directory)?, bounds, &*entropy)
            });
            let store = opened.await.map_err(|error| OpenError::Failed(error.to_string()))??;
            let milliseconds = began.elapsed().as_millis();
            tracing::info!(milliseconds, "the store was read and is ready");
            let store = Arc::new(store);
            Ok((Arc::<EmbeddedStore>::clone(&store), Some(store)))
        }
    }
}

fn state(
    settings: &Settings,
    surroundings: Surroundings,
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    audit: Audit,
) -> Result<AppState, StartError> {
    let Surroundings { clock, entropy } = surroundings;
    let limits = &settings.limits;
    let now = clock.now();
    let issuer = rules::issuer(&settings.issuer)?;
    let context = Context {
        access_tokens: AccessTokens::new(&issuer.url, &keyring),
        audit,
        unrecorded: Unrecorded::default(),
        feed: Feed::new(limits.feed_waiters),
        nodes: Nodes::new(rules::nodes(settings))?,
        issuer,
        rules: rules::rules(settings)?,
        keyring,
        stellar: stellar_key(settings.stellar_signing_key_file.as_deref(), &*entropy)
            .map_err(StartError::Stellar)?,
        nonces: Nonces::new(NonceMint::generate(&*entropy)?),
        refresh_tokens: RefreshTokens::new(&store.session_secret()),
        // A proof may be dated ahead, so the first seconds count as before.
        proofs_need_nonce_before: match store.has_forgotten_proofs() {
            true => now.plus(settings.dpop.max_future_skew).plus(1),
            false => Timestamp::default(),
        },
        // Whole seconds: what was used in this very one may be forgotten too.
        remembers_since: match store.has_forgotten_proofs() {
            true => now.plus(1),
            false => now,
        },
        store,
        clock,
        entropy,
    };
    let documents = Arc::new(Documents::of(&context)?);
    Ok(AppState {
        context: Arc::new(context),
        documents,
        gate: Arc::new(gate(limits)),
        work: Work::default(),
    })
}

fn gate(limits: &Limits) -> Gate {
    Gate {
        body: BodyLimits {
            max_bytes: limits.max_body_bytes,
            timeout: Duration::from_secs(limits.body_timeout),
        },
        requests: RequestLimit::new(
            limits.requests_per_minute.and_then(NonZeroU32::new),
            NonZeroU32::new(limits.burst).unwrap_or(NonZeroU32::MIN),
            limits.trusted_proxies.clone(),
        ),
    }
}

/// Where operators come to, if there are any: the URL that the configuration says, or the listener's own.
fn desk(
    settings: &Settings,
    listener: Option<&TcpListener>,
    state: &AppState,
) -> Result<Option<(AppState, Arc<Desk>)>, StartError> {
    let Some(Ok(address)) = listener.map(TcpListener::local_addr) else { return Ok(None) };
    let own = || format!("http://{address}");
    let base = settings.operations_url.clone().unwrap_or_else(own);
    let base = TargetUri::parse(&base).map_err(StartError::OperationsUrl)?;
    let Some(desk) = Desk::of(Arc::clone(&state.context), base) else { return Ok(None) };
    let state = AppState { gate: Arc::new(gate(&settings.limits)), ..state.clone() };
    Ok(Some((state, Arc::new(desk))))
}
