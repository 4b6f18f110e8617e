//! Which settings of a protected resource are right, and what the checks read of them.
//!
//! A fault is a sentence that begins with the setting, and all of them are told at once. URLs that
//! secrets or proofs travel to are TLS, or never leave the machine.

use std::fmt;
use std::sync::Arc;

use url::{Host, Url};

use super::config::{Choice, ResourceConfig};
use crate::key::Algorithm;
use crate::proof::dpop::Window;
use crate::proof::target_uri::TargetUri;

/// Seconds that clocks may be told to differ, and proofs to live, at most.
const MAX_LEEWAY: u64 = 60;
const MAX_PROOF_AGE: u64 = 300;
/// Seconds that an access token may be told to live at most.
const LONGEST_TOKEN: u64 = 86_400;
/// Seconds that a view of revocations may be told to age at most.
const LONGEST_STALENESS: u64 = 3600;
/// Seconds that the issuer waits for something new at most.
const MAX_WAIT: u64 = 30;

/// Every fault of a configuration, each a sentence that names the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    pub(super) const fn of(faults: Vec<String>) -> Self {
        Self(faults)
    }

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
    pub(super) max_token_lifetime: u64,
    pub(super) accepts_bearer: bool,
    pub(super) metadata_url: Option<String>,
    pub(super) scopes: Vec<String>,
    /// The scopes that are served while nobody knows the newest revocations.
    pub(super) open_when_stale: Arc<[String]>,
}

/// What is wrong with the settings by themselves.
pub(super) fn faults(config: &ResourceConfig) -> Vec<String> {
    let mut faults = Vec::new();
    let mut demand = |holds: bool, fault: &str| {
        if !holds {
            faults.push(fault.to_owned());
        }
    };
    demand(
        is_safe_url(&config.issuer),
        "issuer: an https URL, or http on loopback, without query and fragment, is needed",
    );
    let audience = Url::parse(&config.audience);
    demand(
        audience.is_ok_and(|url| url.fragment().is_none()),
        "resource: an absolute URI without fragment is needed (RFC 8707)",
    );
    demand(!config.algorithms.is_empty(), "token_algorithms: at least one is needed");
    demand(
        (1..=MAX_PROOF_AGE).contains(&config.window.max_age)
            && config.window.max_future_skew <= MAX_LEEWAY,
        "proof_window: 1 to 300 seconds of age, at most 60 ahead",
    );
    demand(config.leeway <= MAX_LEEWAY, "leeway: at most 60 seconds");
    demand(
        (1..=LONGEST_TOKEN).contains(&config.max_token_lifetime),
        "max_token_lifetime: 1 to 86400 seconds",
    );
    demand(
        config.replay_capacity > 0 && config.token_cache_capacity > 0,
        "replay_capacity, token_cache_capacity: at least 1",
    );
    demand(
        config.replay_store.is_some() || !config.replays_survive_restart,
        "replays_survive_restart: only a replay_store outlives this process",
    );
    demand(
        (1..=LONGEST_STALENESS).contains(&config.max_staleness),
        "max_staleness: 1 to 3600 seconds",
    );
    demand(
        config.open_when_stale.iter().all(|scope| is_scope(scope)),
        "open_when_stale: single scopes, each without spaces",
    );
    demand(config.revocation_wait <= MAX_WAIT, "revocation_wait: at most 30 seconds");
    demand(config.revocation_capacity > 0, "revocation_capacity: at least 1");
    demand(
        config.key_source.is_none() || !matches!(config.revocations, Choice::IssuerFeed),
        "revocation_source: with a key_source of its own, the server must be told where revocations \
         come from (revocation_source), or that it does without them (without_revocations)",
    );
    faults
}

/// Whether a text is one scope (RFC 6749 §3.3).
fn is_scope(text: &str) -> bool {
    let is_scope_char = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    !text.is_empty() && text.bytes().all(is_scope_char)
}

/// Whether what is sent to this URL can be trusted to arrive there: TLS, or never leaving the machine.
pub(super) fn is_safe_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let anonymous = url.username().is_empty() && url.password().is_none();
    let plain = url.query().is_none() && url.fragment().is_none() && anonymous;
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
            .proof_window(Window { max_age: 0, max_future_skew: 0 })
            .replay_capacity(0)
            .max_token_lifetime(0)
            .replays_survive_restart(true)
            .advertise_metadata()
            .max_staleness(0)
            .open_when_stale(["a b"])
            .revocation_wait(31)
            .revocation_capacity(0)
            .key_source(Arc::new(crate::resource::FixedKeys::new("")));
        let errors = config.build().err().unwrap();
        for setting in [
            "issuer:",
            "resource:",
            "public_url",
            "token_algorithms:",
            "proof_window:",
            "leeway:",
            "replay_capacity",
            "max_token_lifetime:",
            "replays_survive_restart:",
            "metadata_url:",
            "max_staleness:",
            "open_when_stale:",
            "revocation_wait:",
            "revocation_capacity:",
            "revocation_source:",
        ] {
            assert!(errors.iter().any(|fault| fault.starts_with(setting)), "{setting}");
        }
    }

    #[test]
    fn takes_loopback_and_urls_under_a_path() {
        let resource = "http://127.0.0.1:8800";
        assert!(ResourceConfig::new("http://127.0.0.1:8700", resource).build().is_ok());
        let elsewhere = ResourceConfig::new("https://auth.example/a", "urn:example:escrow");
        assert!(elsewhere.public_url("https://example.org/api").build().is_ok());
        for plain in ["http://example.org/api", "urn:example:escrow", "https://:pw@example.org"] {
            let config = ResourceConfig::new("https://auth.example", plain);
            assert!(config.build().is_err(), "{plain}");
            let config = ResourceConfig::new("https://auth.example", "https://api.example");
            assert!(config.metadata_url(plain).build().is_err(), "{plain}");
        }
    }
}
