//! The settings are what a server starts from, complete and checked: plain types without a trace of how they were written.
//!
//! The composition root hands them on; every default and every bound stands in `keys/`, once.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use countersign_sdk::account::ChainId;
use ipnet::IpNet;
use url::Url;

use crate::audit::retention::Retention;
use crate::audit::{OnFailure, Target};
use crate::keyring::custody::secret::SecretSource;
use crate::model::introspection::SecretHash;
use crate::model::operator::{AdminScope, Care};
use crate::rpc::BlockTag;

/// What kind of server this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Without a configuration file: loopback alone, nothing to write first.
    Development,
    /// With one: nothing is allowed that it does not name.
    Configured,
}

/// The issuer identifier (RFC 8414 §2): https (http for loopback alone), in normal form, without query, fragment or closing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    pub(crate) url: String,
    pub(crate) host: String,
}

impl Issuer {
    /// The identifier, compared byte by byte by everyone: `https://auth.example` or `https://auth.example/tenant`.
    pub fn issuer(&self) -> &str {
        &self.url
    }

    /// Host, and port when it is not the scheme's own: `auth.example` or `127.0.0.1:8700`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path: empty, or `/tenant` with its leading slash. RFC 8414 §3.1 appends it to the well-known path.
    pub fn path(&self) -> &str {
        let authority = self.url.split_once("://").map_or("", |(_, rest)| rest);
        authority.strip_prefix(&self.host).unwrap_or("")
    }

    /// The issuer of a development server at `address`.
    pub(crate) fn development(address: SocketAddr) -> Self {
        let host = match address.port() {
            80 if address.is_ipv6() => format!("[{}]", address.ip()),
            80 => address.ip().to_string(),
            _ => address.to_string(),
        };
        Self { url: format!("http://{host}"), host }
    }
}

/// The wallet applications that may ask people to sign in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainPolicy {
    /// Any application served from this machine.
    Loopback,
    /// These `host` or `host:port`, lower-case; the issuer's own host stands first.
    Listed(Vec<String>),
}

/// The APIs that tokens are issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourcePolicy {
    /// Any API on this machine, all under the same rules.
    AnyLoopback(ResourceRules),
    /// These.
    Listed(Vec<Resource>),
}

/// One API that tokens are issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its identifier (RFC 8707 §2), which becomes the token's `aud`, exactly.
    pub uri: String,
    /// What its tokens may be.
    pub rules: ResourceRules,
}

/// What the tokens of a resource may be, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRules {
    /// The scopes that exist.
    pub scopes: ScopeRule,
    /// The scopes of a sign-in that asks for none; may be empty.
    pub default_scopes: Vec<String>,
    /// Lifetime of an access token in seconds, 30 to 900.
    pub token_ttl: u64,
    /// Whether a token without a key is allowed.
    pub binding: Binding,
    /// Whether a message opens a session for a client that sends no proof.
    pub bearer_sessions: bool,
    /// The message formats that may open it; `None` means every registered one.
    pub formats: Option<Vec<String>>,
    /// The subjects that may sign in (`did:pkh` or `did:key`); empty means everyone.
    pub allow: Vec<String>,
    /// The accounts of `allow`, each as a `did:pkh` on the chain that it was written with.
    pub allow_on_chain: Vec<String>,
    /// The subjects that may not, whatever `allow` says.
    pub deny: Vec<String>,
    /// Whether accounts may sign in that their chain is asked about.
    pub contract_accounts: bool,
    /// The keys (`did:key`) that may ask about its tokens.
    pub introspection_keys: Vec<String>,
    /// The hash of the secret by which somebody may ask about its tokens.
    pub introspection_secret: Option<SecretHash>,
}

/// Which scopes a resource knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeRule {
    /// Any that fits the grammar; in development alone.
    Any,
    /// These, at least one.
    Listed(Vec<String>),
}

/// Whether tokens must be bound to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Every token is bound by a DPoP proof.
    Required,
    /// A client that sends no proof gets a bearer token.
    Optional,
}

/// The algorithm that access tokens are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA over P-256 (RFC 7518 §3.4).
    Es256,
}

/// How DPoP proofs are judged (RFC 9449).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpopSettings {
    /// Whether a proof must carry a nonce of this server (RFC 9449 §8).
    pub require_nonce: bool,
    /// How many seconds old a proof may be.
    pub max_age: u64,
    /// How many seconds ahead of this server's clock a proof may be.
    pub max_future_skew: u64,
}

/// The bounds that keep a server standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body in bytes.
    pub max_body_bytes: usize,
    /// Requests a minute of one client address; `None` means that none are counted.
    pub requests_per_minute: Option<u32>,
    /// How many requests of one address may come at once before that rate applies.
    pub burst: u32,
    /// Connections open at the same time.
    pub max_connections: usize,
    /// Connections that one client address may hold.
    pub connections_per_address: usize,
    /// Seconds within which a request's head must have arrived.
    pub header_timeout: u64,
    /// Seconds within which its body must have.
    pub body_timeout: u64,
    /// The hard bound of remembered spent nonces; when it is reached, sign-ins answer 503.
    pub spent_nonces: usize,
    /// The hard bound of remembered proofs; when it is reached, requests with a proof answer 503.
    pub proofs: usize,
    /// The hard bound of wallets' answers that wait; when it is reached, wallets are answered 503.
    pub answers: usize,
    /// The hard bound of sessions; when it is reached, messages that would open one answer 503.
    pub sessions: usize,
    /// Sessions of one subject; one more ends the one that was used longest ago.
    pub sessions_per_subject: usize,
    /// The hard bound of revocations that are remembered; when it is reached, more are answered 503.
    pub revocations: usize,
    /// Requests that may wait for revocations at the same time.
    pub feed_waiters: usize,
    /// Seconds that open requests are given when the server is told to stop.
    pub shutdown_grace: u64,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// Where sessions and revocations are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    /// In memory: all of them end with the process.
    Memory,
    /// In a file.
    Embedded {
        /// The folder that it lies in.
        directory: PathBuf,
    },
}

/// A URL that may hold a key, and is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(pub(crate) Url);

impl SecretUrl {
    /// The URL, for whoever connects to it.
    pub const fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl")
    }
}

/// The nodes of a chain that are asked about its accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcSettings {
    /// The chain.
    pub chain: ChainId,
    /// Where its nodes are, at least one.
    pub urls: Vec<SecretUrl>,
    /// How many of them must say the same; more than half.
    pub quorum: usize,
    /// Seconds within which a node must have answered.
    pub timeout: u64,
    /// The largest answer that is read, in bytes.
    pub max_answer_bytes: usize,
    /// The block that an Ethereum node is asked at.
    pub block: BlockTag,
    /// Seconds since the block of an Ethereum node's answer.
    pub max_block_age: u64,
    /// Whether code that keys have delegated to is taken for a contract.
    pub delegated: bool,
    /// The factories that may be called (ERC-6492).
    pub factories: Vec<[u8; 20]>,
}

/// Who may run the server from afar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its subject: a `did:pkh` or `did:key`.
    pub subject: String,
    /// What it may do; at least one.
    pub scopes: Vec<AdminScope>,
}

/// Where the private halves of signing keys lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustodySettings {
    /// In memory: all of them end with the process.
    Memory,
    /// In the store's folder, sealed with this.
    Sealed(SecretSource),
    /// In a security module.
    Pkcs11 {
        /// Its library.
        module: PathBuf,
        /// The label of the token.
        token: String,
        /// Where its user's PIN is.
        pin_file: PathBuf,
    },
}

/// What is done about signing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySettings {
    /// Where their private halves lie.
    pub custody: CustodySettings,
    /// Seconds for which a key signs at most.
    pub rotate_every: u64,
    /// Seconds for which a key is published before it signs.
    pub publish_before: u64,
}

/// How decisions are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// What becomes of decisions that cannot be recorded.
    pub on_failure: OnFailure,
    /// How long records are kept.
    pub retention: Retention,
    /// Where records go besides, as lines.
    pub stream: Option<Target>,
    /// After so many records the log is signed.
    pub checkpoint_records: u64,
    /// After so many seconds it is, if there are new records.
    pub checkpoint_seconds: u64,
}

/// How the log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// For people or for programs.
    pub format: LogFormat,
    /// A level, or several with targets: `info,countersign=debug`.
    pub level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything a server starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Development or configured.
    pub mode: Mode,
    /// The issuer identifier.
    pub issuer: Issuer,
    /// The public listener.
    pub listen: SocketAddr,
    /// The listener for health checks and operators; `None` when switched off.
    pub operations_listen: Option<SocketAddr>,
    /// The URL under which operators reach that listener; `None` means its own address.
    pub operations_url: Option<String>,
    /// Who may run the server from afar; mostly nobody.
    pub operators: Vec<Operator>,
    /// How careful they have to be.
    pub care: Care,
    /// The wallet applications that may ask people to sign in.
    pub domains: DomainPolicy,
    /// The APIs that tokens are issued for.
    pub resources: ResourcePolicy,
    /// The CAIP-2 chains whose accounts are accepted; `None` means every chain of the supported namespaces.
    pub chains: Option<Vec<String>>,
    /// Seconds within which a challenge must be redeemed.
    pub challenge_lifetime: u64,
    /// Seconds that a signature with a session key opens, unless the client asks for less.
    pub session_lifetime: u64,
    /// The same for accounts that their chain is asked about.
    pub contract_session_lifetime: u64,
    /// The nodes that are asked, chain by chain.
    pub rpc: Vec<RpcSettings>,
    /// The algorithm that access tokens are signed with.
    pub signing_algorithm: SigningAlgorithm,
    /// What is done about signing keys.
    pub keys: KeySettings,
    /// The file with the seed that signs Stellar's transactions; `None` means a new key at each start.
    pub stellar_signing_key_file: Option<PathBuf>,
    /// How DPoP proofs are judged.
    pub dpop: DpopSettings,
    /// Where sessions and revocations are kept.
    pub store: StoreSettings,
    /// How decisions are recorded; on disk where the store is.
    pub audit: AuditSettings,
    /// The bounds that keep the server standing.
    pub limits: Limits,
    /// How the log is written.
    pub log: LogSettings,
}

impl Settings {
    /// The same settings at the address that was bound, which is known only afterwards when port 0 was asked for.
    ///
    /// In development the issuer is that address. A configured issuer stays what the configuration says: clients know
    /// it by that name, whatever stands in front of the listener.
    #[must_use]
    pub fn with_bound_address(self, address: SocketAddr) -> Self {
        let issuer = match self.mode {
            Mode::Development => Issuer::development(address),
            Mode::Configured => self.issuer,
        };
        Self { issuer, listen: address, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_development_issuer_is_its_address_in_normal_form() {
        for (address, issuer, host) in [
            ("127.0.0.1:8700", "http://127.0.0.1:8700", "127.0.0.1:8700"),
            ("127.0.0.1:80", "http://127.0.0.1", "127.0.0.1"),
            ("[::1]:9000", "http://[::1]:9000", "[::1]:9000"),
            ("[::1]:80", "http://[::1]", "[::1]"),
        ] {
            let found = Issuer::development(address.parse().unwrap());
            assert_eq!((found.issuer(), found.host(), found.path()), (issuer, host, ""));
        }
    }
}
