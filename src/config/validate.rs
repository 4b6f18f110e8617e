//! Validation turns what was written into settings, and looks at every key before it gives up on any.
//!
//! One value alone is judged by its shape; here stands what spans several: what a mode requires and refuses, lifetimes
//! that must nest, listeners that must not meet. A function that returns nothing has added the reason to the faults.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::custody;
use super::fault::{Fault, Source};
use super::keys::{self, Engine, Key};
use super::operators;
use super::raw::Raw;
use super::reader::{Reader, plain};
use super::resource;
use super::rpc;
use super::settings::{
    AuditSettings, Binding, DomainPolicy, DpopSettings, Issuer, KeySettings, Limits, LogSettings,
    Mode, Operator, Resource, ResourcePolicy, ResourceRules, RpcSettings, ScopeRule, Settings,
    SigningAlgorithm, StoreSettings,
};
use super::shape::Shape;
use super::written::Values;
use crate::audit::retention::Retention;
use crate::model::operator::Care;

/// The settings of a server with a configuration file at `path`.
pub(crate) fn configured(raw: &Raw, path: &str, faults: &mut Vec<Fault>) -> Option<Settings> {
    let place = Source::File { path: path.to_owned(), line: None, column: None };
    let resources = resource::all(&raw.resources, &place, faults);
    let rpc = rpc::all(&raw.rpc, faults);
    let operators = operators::all(&raw.operators, faults);
    let mut reader = Reader { values: &raw.values, place, prefix: String::new(), faults };
    let issuer = reader.read(&keys::ISSUER);
    let domains = reader.read(&keys::DOMAINS).map(plain).unwrap_or_default();
    let chains = reader.read(&keys::CHAINS).map(plain);
    let listen = reader.read(&keys::LISTEN);
    let operations_listen = reader.read(&keys::OPERATIONS_LISTEN);
    let operations_url = reader.read(&keys::OPERATIONS_URL);
    let store = store(&mut reader);
    let keys = custody::keys(&mut reader, store.as_ref(), raw.credentials.as_deref());
    let limits = limits(&mut reader);
    let rest = rest(&mut reader);
    if let (false, Some(listener)) = (raw.operators.is_empty(), operations_listen) {
        operators::check_reach(listener, operations_url.as_deref(), &mut reader);
    }
    if let (Some(operators), Some(rest)) = (&operators, &rest) {
        operators::check_approvals(operators, rest.care, &mut reader);
    }
    if let (Some(issuer), Some(resources)) = (&issuer, &resources) {
        operators::check_resources(issuer, resources, &raw.resources, reader.faults);
    }
    if let (Some(issuer), Some(listen)) = (&issuer, listen) {
        check_issuer(issuer, listen, &mut reader);
    }
    if let (Some(listen), Some(Some(operations))) = (listen, operations_listen) {
        check_listeners(listen, operations, &mut reader);
    }
    if let (Some(rest), Some(resources)) = (&rest, &resources) {
        check_lifetimes(rest, resources, &mut reader);
    }
    let issuer = issuer?;
    Some(rest?.into_settings(Parts {
        mode: Mode::Configured,
        domains: DomainPolicy::Listed(with_own_host(&issuer, domains)),
        issuer,
        listen: listen?,
        operations_listen: operations_listen?,
        operations_url,
        operators: operators?,
        resources: ResourcePolicy::Listed(resources?),
        chains,
        rpc: rpc?,
        keys: keys?,
        store: store?,
        limits: limits?,
    }))
}

/// The settings of a server without one: loopback alone, and nothing to decide but where to listen and what to log.
pub(crate) fn development(raw: &Raw, faults: &mut Vec<Fault>) -> Option<Settings> {
    let taken: Vec<&str> = keys::DEVELOPMENT_KEYS.iter().map(|key| key.name()).collect();
    for written in raw.values.values().filter(|written| !taken.contains(&written.key.as_str())) {
        let problem = format!(
            "needs a configuration file (--config): without one, only {} are taken",
            taken.join(", ")
        );
        faults.push(written.fault(problem, None));
    }
    let ours: Values = raw
        .values
        .iter()
        .filter(|(key, _)| taken.contains(&key.as_str()))
        .map(|(key, written)| (key.clone(), written.clone()))
        .collect();
    let mut reader =
        Reader { values: &ours, place: Source::Default, prefix: String::new(), faults };
    let listen = reader.read(&keys::LISTEN);
    let operations = reader.read(&keys::OPERATIONS_LISTEN);
    let store = match ours.contains_key(keys::STORE_DIRECTORY.name) {
        true => store(&mut reader),
        false => Some(StoreSettings::Memory),
    };
    let keys = custody::in_memory(&mut reader);
    let limits = limits(&mut reader);
    let rest = rest(&mut reader);
    let listen = listen?;
    let operations = match operations? {
        // A port that the system picks is asked for by tests, many at once: a fixed second one would clash.
        Some(_) if listen.port() == 0 && !ours.contains_key(keys::OPERATIONS_LISTEN.name) => {
            Some(SocketAddr::new(listen.ip(), 0))
        }
        written => written,
    };
    check_loopback(listen, &keys::LISTEN, &mut reader);
    if let Some(operations) = operations {
        check_loopback(operations, &keys::OPERATIONS_LISTEN, &mut reader);
        check_listeners(listen, operations, &mut reader);
    }
    let settings = rest?.into_settings(Parts {
        mode: Mode::Development,
        issuer: Issuer::development(listen),
        listen,
        operations_listen: operations,
        operations_url: None,
        operators: Vec::new(),
        domains: DomainPolicy::Loopback,
        resources: ResourcePolicy::AnyLoopback(development_rules(&mut reader)?),
        chains: None,
        rpc: Vec::new(),
        keys: keys?,
        store: store?,
        limits: Limits { requests_per_minute: None, ..limits? },
    });
    Some(settings)
}

/// The rules of any API on this machine: whatever one wants to try, but bound to a key like the real thing.
fn development_rules(reader: &mut Reader<'_>) -> Option<ResourceRules> {
    Some(ResourceRules {
        scopes: ScopeRule::Any,
        default_scopes: vec!["read".to_owned()],
        token_ttl: reader.read(&keys::RESOURCE_TOKEN_TTL)?,
        binding: Binding::Required,
        bearer_sessions: false,
        formats: None,
        allow: Vec::new(),
        allow_on_chain: Vec::new(),
        deny: Vec::new(),
        contract_accounts: false,
        introspection_keys: Vec::new(),
        introspection_secret: None,
    })
}

/// What both modes read alike.
struct Rest {
    challenge_lifetime: u64,
    session_lifetime: u64,
    contract_session_lifetime: u64,
    signing_algorithm: SigningAlgorithm,
    stellar_signing_key_file: Option<PathBuf>,
    dpop: DpopSettings,
    care: Care,
    audit: AuditSettings,
    log: LogSettings,
}

/// What differs between the modes.
struct Parts {
    mode: Mode,
    issuer: Issuer,
    listen: SocketAddr,
    operations_listen: Option<SocketAddr>,
    operations_url: Option<String>,
    operators: Vec<Operator>,
    domains: DomainPolicy,
    resources: ResourcePolicy,
    chains: Option<Vec<String>>,
    rpc: Vec<RpcSettings>,
    keys: KeySettings,
    store: StoreSettings,
    limits: Limits,
}

impl Rest {
    fn into_settings(self, parts: Parts) -> Settings {
        Settings {
            mode: parts.mode,
            issuer: parts.issuer,
            listen: parts.listen,
            operations_listen: parts.operations_listen,
            operations_url: parts.operations_url,
            operators: parts.operators,
            care: self.care,
            domains: parts.domains,
            resources: parts.resources,
            chains: parts.chains,
            challenge_lifetime: self.challenge_lifetime,
            session_lifetime: self.session_lifetime,
            contract_session_lifetime: self.contract_session_lifetime,
            rpc: parts.rpc,
            signing_algorithm: self.signing_algorithm,
            keys: parts.keys,
            stellar_signing_key_file: self.stellar_signing_key_file,
            dpop: self.dpop,
            store: parts.store,
            audit: self.audit,
            limits: parts.limits,
            log: self.log,
        }
    }
}

/// Every key is read before the first missing one ends the function.
fn rest(reader: &mut Reader<'_>) -> Option<Rest> {
    let challenge_lifetime = reader.read(&keys::CHALLENGE_LIFETIME);
    let session_lifetime = reader.read(&keys::SESSION_LIFETIME);
    let contract_session_lifetime = reader.read(&keys::CONTRACT_SESSION_LIFETIME);
    let signing_algorithm = reader.read(&keys::SIGNING_ALGORITHM);
    let stellar_signing_key_file = reader.read(&keys::STELLAR_SIGNING_KEY_FILE);
    let require_nonce = reader.read(&keys::DPOP_REQUIRE_NONCE);
    let max_age = reader.read(&keys::DPOP_MAX_AGE);
    let max_future_skew = reader.read(&keys::DPOP_MAX_FUTURE_SKEW);
    let approvals = reader.read(&keys::ADMIN_APPROVALS);
    let approval_window = reader.read(&keys::ADMIN_APPROVAL_WINDOW);
    let step_up = reader.read(&keys::ADMIN_STEP_UP);
    let audit = audit(reader);
    let format = reader.read(&keys::LOG_FORMAT);
    let level = reader.read(&keys::LOG_LEVEL);
    Some(Rest {
        challenge_lifetime: challenge_lifetime?,
        session_lifetime: session_lifetime?,
        contract_session_lifetime: contract_session_lifetime?,
        signing_algorithm: signing_algorithm?,
        stellar_signing_key_file,
        dpop: DpopSettings {
            require_nonce: require_nonce?,
            max_age: max_age?,
            max_future_skew: max_future_skew?,
        },
        care: Care { approvals: approvals?, approval_window: approval_window?, step_up: step_up? },
        audit: audit?,
        log: LogSettings { format: format?, level: level? },
    })
}

fn audit(reader: &mut Reader<'_>) -> Option<AuditSettings> {
    let on_failure = reader.read(&keys::AUDIT_ON_FAILURE);
    let days = reader.read(&keys::AUDIT_RETENTION_DAYS);
    let bytes = reader.read(&keys::AUDIT_MAX_BYTES);
    let stream = reader.read(&keys::AUDIT_STREAM);
    let checkpoint_records = reader.read(&keys::AUDIT_CHECKPOINT_RECORDS);
    let checkpoint_seconds = reader.read(&keys::AUDIT_CHECKPOINT_SECONDS);
    let seconds = days?.map(|days| days.saturating_mul(86_400));
    if seconds.is_none() && bytes.flatten().is_some() {
        let problem = "needs audit.retention_days, which says how old a record is that may be removed for room: without \
                       it whoever signs in often enough would have the records of others removed";
        reader.fault(&keys::AUDIT_MAX_BYTES, problem.to_owned());
    }
    Some(AuditSettings {
        on_failure: on_failure?,
        retention: Retention { seconds, bytes: bytes? },
        stream: stream?,
        checkpoint_records: checkpoint_records?,
        checkpoint_seconds: checkpoint_seconds?,
    })
}

/// A store that forgets is chosen in so many words: nobody should learn at a restart that it was one.
fn store(reader: &mut Reader<'_>) -> Option<StoreSettings> {
    let engine = reader.read(&keys::STORE_ENGINE);
    let written = reader.values.contains_key(keys::STORE_DIRECTORY.name);
    let directory = reader.read(&keys::STORE_DIRECTORY);
    match (engine?, directory) {
        (Engine::Embedded, Some(directory)) => Some(StoreSettings::Embedded { directory }),
        (Engine::Embedded, None) if !written => {
            reader.faults.push(Fault {
                source: reader.place.clone(),
                key: keys::STORE_DIRECTORY.name.to_owned(),
                found: None,
                problem: "is required: sessions are kept there. Give a folder, or write engine = \"memory\" under \
                          [store] if every session may end with the process"
                    .to_owned(),
                accepted: Some(keys::STORE_DIRECTORY.shape.accepted()),
            });
            None
        }
        (Engine::Memory, Some(_)) => {
            let problem = "is of no use to the engine \"memory\": leave one of them out";
            reader.fault(&keys::STORE_DIRECTORY, problem);
            None
        }
        (Engine::Memory, None) if !written => Some(StoreSettings::Memory),
        // Written, and not a path: its shape has said so.
        (Engine::Embedded | Engine::Memory, None) => None,
    }
}

fn limits(reader: &mut Reader<'_>) -> Option<Limits> {
    let max_body_bytes = reader.read(&keys::LIMITS_MAX_BODY_BYTES);
    let requests_per_minute = reader.read(&keys::LIMITS_REQUESTS_PER_MINUTE);
    let burst = reader.read(&keys::LIMITS_BURST);
    let max_connections = reader.read(&keys::LIMITS_MAX_CONNECTIONS);
    let connections_per_address = reader.read(&keys::LIMITS_CONNECTIONS_PER_ADDRESS);
    let header_timeout = reader.read(&keys::LIMITS_HEADER_TIMEOUT);
    let body_timeout = reader.read(&keys::LIMITS_BODY_TIMEOUT);
    let spent_nonces = reader.read(&keys::LIMITS_SPENT_NONCES);
    let proofs = reader.read(&keys::LIMITS_PROOFS);
    let answers = reader.read(&keys::LIMITS_ANSWERS);
    let sessions = reader.read(&keys::LIMITS_SESSIONS);
    let sessions_per_subject = reader.read(&keys::LIMITS_SESSIONS_PER_SUBJECT);
    let revocations = reader.read(&keys::LIMITS_REVOCATIONS);
    let feed_waiters = reader.read(&keys::LIMITS_FEED_WAITERS);
    let shutdown_grace = reader.read(&keys::LIMITS_SHUTDOWN_GRACE);
    let trusted_proxies = reader.read(&keys::LIMITS_TRUSTED_PROXIES);
    Some(Limits {
        max_body_bytes: max_body_bytes?,
        requests_per_minute: requests_per_minute?,
        burst: burst?,
        max_connections: max_connections?,
        connections_per_address: connections_per_address?,
        header_timeout: header_timeout?,
        body_timeout: body_timeout?,
        spent_nonces: spent_nonces?,
        proofs: proofs?,
        answers: answers?,
        sessions: sessions?,
        sessions_per_subject: sessions_per_subject?,
        revocations: revocations?,
        feed_waiters: feed_waiters?,
        shutdown_grace: shutdown_grace?,
        trusted_proxies: plain(trusted_proxies?),
    })
}

/// The issuer's host, then the others.
fn with_own_host(issuer: &Issuer, domains: Vec<String>) -> Vec<String> {
    let others = domains.into_iter().filter(|domain| domain != issuer.host());
    std::iter::once(issuer.host().to_owned()).chain(others).collect()
}

/// An http issuer would send tokens in clear to whoever the listener reaches.
fn check_issuer(issuer: &Issuer, listen: SocketAddr, reader: &mut Reader<'_>) {
    if issuer.issuer().starts_with("http:") && !listen.ip().is_loopback() {
        let problem = format!("must be https, since listen = {listen} is not loopback");
        reader.fault(&keys::ISSUER, problem);
    }
}

/// Development mode serves this machine alone: everything is allowed there.
fn check_loopback<S: Shape>(address: SocketAddr, key: &Key<S>, reader: &mut Reader<'_>) {
    if !address.ip().is_loopback() {
        let problem = "must be loopback, 127.0.0.1 or [::1], in development mode; any other address needs a \
                       configuration file (--config)";
        reader.fault(key, problem);
    }
}

/// Two listeners need two addresses.
fn check_listeners(listen: SocketAddr, operations: SocketAddr, reader: &mut Reader<'_>) {
    let meet = listen.ip() == operations.ip()
        || listen.ip().is_unspecified()
        || operations.ip().is_unspecified();
    if listen.port() == 0 || listen.port() != operations.port() || !meet {
        return;
    }
    if reader.values.contains_key(keys::OPERATIONS_LISTEN.name) {
        reader.fault(&keys::OPERATIONS_LISTEN, format!("meets the public listener, {listen}"));
    } else {
        let problem = format!("meets operations_listen, which is {operations} unless set");
        reader.fault(&keys::LISTEN, problem);
    }
}

/// A session that ends before its first challenge or token does would promise less than it gives.
fn check_lifetimes(rest: &Rest, resources: &[Resource], reader: &mut Reader<'_>) {
    let challenge = (keys::CHALLENGE_LIFETIME.name.to_owned(), rest.challenge_lifetime);
    let tokens = resources.iter().enumerate().map(|(index, resource)| {
        (format!("resources[{index}].token_ttl"), resource.rules.token_ttl)
    });
    for (key, seconds) in std::iter::once(challenge).chain(tokens) {
        if rest.session_lifetime < seconds {
            let problem = format!("must not be shorter than {key}, {seconds} seconds");
            reader.fault(&keys::SESSION_LIFETIME, problem);
        }
    }
}
