//! The table of keys decides what can be configured, its bounds and its default, once for the reader and for docs/CONFIG.md.
//!
//! A default is written as a person would write it and read the same way, so that what the page promises is what the
//! server does. Bounds follow protocol.md: tokens live 15 minutes at most (§5), challenges 5 by default (§3), a DPoP
//! proof is fresh for a minute.

mod audit;
mod custody;
mod limits;
mod operators;
mod resource;
mod rpc;
mod server;
mod store;

pub(crate) use audit::*;
pub(crate) use custody::*;
pub(crate) use limits::*;
pub(crate) use operators::*;
pub(crate) use resource::*;
pub(crate) use rpc::*;
pub(crate) use server::*;
pub(crate) use store::*;

use super::shape::Shape;

/// The name of the list of resource tables.
pub(crate) const RESOURCES: &str = "resources";
/// The name of the list of operator tables.
pub(crate) const OPERATORS: &str = "operators";

/// The name of the list of tables of nodes.
pub(crate) const RPC: &str = "rpc";

/// What holds when a key is left out.
pub(crate) enum Absent {
    /// It must not be.
    Required,
    /// This, as a person would write it in the environment.
    Default(&'static str),
    /// This, in words.
    Means(&'static str),
}

/// One key.
pub(crate) struct Key<S> {
    /// The name within its table of keys, with its section: `challenge.lifetime`.
    pub(crate) name: &'static str,
    /// What the value must look like.
    pub(crate) shape: S,
    /// What holds without it.
    pub(crate) absent: Absent,
    /// What it decides, in a sentence or two.
    pub(crate) meaning: &'static str,
}

/// A key without its type, for the walk over names and for the page.
pub(crate) trait AnyKey: Sync {
    /// The name within its table of keys.
    fn name(&self) -> &'static str;
    /// The accepted form.
    fn accepted(&self) -> String;
    /// What holds without it.
    fn absent(&self) -> &Absent;
    /// What it decides.
    fn meaning(&self) -> &'static str;
}

impl<S: Shape> AnyKey for Key<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn accepted(&self) -> String {
        self.shape.accepted()
    }

    fn absent(&self) -> &Absent {
        &self.absent
    }

    fn meaning(&self) -> &'static str {
        self.meaning
    }
}

/// The names of `keys`.
pub(crate) fn names(keys: &'static [&'static dyn AnyKey]) -> impl Iterator<Item = &'static str> {
    keys.iter().map(|key| key.name())
}

/// The sections of the file, each once.
pub(crate) fn sections() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    names(KEYS).filter_map(|name| name.split_once('.')).filter_map(move |(section, _)| {
        let fresh = section != last;
        last = section;
        fresh.then_some(section)
    })
}

/// Every key outside the resources, section by section, as the page lists them.
pub(crate) const KEYS: &[&dyn AnyKey] = &[
    &ISSUER,
    &LISTEN,
    &OPERATIONS_LISTEN,
    &OPERATIONS_URL,
    &DOMAINS,
    &CHAINS,
    &CHALLENGE_LIFETIME,
    &SESSION_LIFETIME,
    &CONTRACT_SESSION_LIFETIME,
    &SIGNING_ALGORITHM,
    &KEYS_CUSTODY,
    &KEYS_PASSPHRASE_FILE,
    &KEYS_KEY_FILE,
    &KEYS_CREDENTIAL,
    &KEYS_PKCS11_MODULE,
    &KEYS_PKCS11_TOKEN,
    &KEYS_PKCS11_PIN_FILE,
    &KEYS_ROTATE_EVERY,
    &KEYS_PUBLISH_BEFORE,
    &STELLAR_SIGNING_KEY_FILE,
    &DPOP_REQUIRE_NONCE,
    &DPOP_MAX_AGE,
    &DPOP_MAX_FUTURE_SKEW,
    &ADMIN_APPROVALS,
    &ADMIN_APPROVAL_WINDOW,
    &ADMIN_STEP_UP,
    &STORE_ENGINE,
    &STORE_DIRECTORY,
    &AUDIT_ON_FAILURE,
    &AUDIT_RETENTION_DAYS,
    &AUDIT_MAX_BYTES,
    &AUDIT_STREAM,
    &AUDIT_CHECKPOINT_RECORDS,
    &AUDIT_CHECKPOINT_SECONDS,
    &LIMITS_MAX_BODY_BYTES,
    &LIMITS_REQUESTS_PER_MINUTE,
    &LIMITS_BURST,
    &LIMITS_MAX_CONNECTIONS,
    &LIMITS_CONNECTIONS_PER_ADDRESS,
    &LIMITS_HEADER_TIMEOUT,
    &LIMITS_BODY_TIMEOUT,
    &LIMITS_SPENT_NONCES,
    &LIMITS_PROOFS,
    &LIMITS_ANSWERS,
    &LIMITS_SESSIONS,
    &LIMITS_SESSIONS_PER_SUBJECT,
    &LIMITS_REVOCATIONS,
    &LIMITS_FEED_WAITERS,
    &LIMITS_SHUTDOWN_GRACE,
    &LIMITS_TRUSTED_PROXIES,
    &LOG_FORMAT,
    &LOG_LEVEL,
];

/// Every key of a resource.
pub(crate) const RESOURCE_KEYS: &[&dyn AnyKey] = &[
    &RESOURCE_URI,
    &RESOURCE_SCOPES,
    &RESOURCE_DEFAULT_SCOPES,
    &RESOURCE_TOKEN_TTL,
    &RESOURCE_BINDING,
    &RESOURCE_BEARER_SESSIONS,
    &RESOURCE_FORMATS,
    &RESOURCE_ALLOW,
    &RESOURCE_DENY,
    &RESOURCE_CONTRACT_ACCOUNTS,
    &RESOURCE_INTROSPECTION_KEYS,
    &RESOURCE_INTROSPECTION_SECRET,
];

/// Every key of an operator.
pub(crate) const OPERATOR_KEYS: &[&dyn AnyKey] = &[&OPERATOR_ACCOUNT, &OPERATOR_SCOPES];

/// Every key of a chain's nodes.
pub(crate) const RPC_KEYS: &[&dyn AnyKey] = &[
    &RPC_CHAIN,
    &RPC_URLS,
    &RPC_QUORUM,
    &RPC_TIMEOUT,
    &RPC_MAX_ANSWER_BYTES,
    &RPC_BLOCK,
    &RPC_MAX_BLOCK_AGE,
    &RPC_DELEGATED,
    &RPC_FACTORIES,
];

/// The keys that development mode takes, all others needing a file.
pub(crate) const DEVELOPMENT_KEYS: &[&dyn AnyKey] =
    &[&LISTEN, &OPERATIONS_LISTEN, &STORE_DIRECTORY, &LOG_FORMAT, &LOG_LEVEL];

/// The unit of every lifetime.
const SECOND: &str = "seconds";
