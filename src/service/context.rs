//! What every use case works with: the issuer's name and rules, its keys, its store, its clock.
//!
//! Nothing but the store outlives a request; a use case gets one of these and values, nothing else.

use std::sync::Arc;

use countersign_sdk::account::ChainId;
use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::PublicKey;
use countersign_sdk::proof::dpop::Window;
use countersign_sdk::proof::target_uri::TargetUri;
use countersign_sdk::time::{Clock, Timestamp};

use super::feed::Feed;
use super::keys::Unrecorded;
use crate::audit::{Audit, AuditError};
use crate::keyring::Keyring;
use crate::model::domain::Domains;
use crate::model::operator::Operators;
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::{Resources, Target};
use crate::model::scope::ScopeSet;
use crate::rpc::Nodes;
use crate::store::{SessionError, Store, StoreError};
use crate::token::nonce::Nonces;
use crate::token::refresh::RefreshTokens;
use crate::token::verify::AccessTokens;
use crate::wallet::policy::{AllowedChains, Expected};
use crate::wallet::registry;
use crate::wallet::sep10::ServerKey;

/// The issuer as clients name it.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The issuer identifier (RFC 8414), compared byte by byte.
    pub url: String,
    /// Host, and port when it is not the scheme's own: the default domain of messages.
    pub host: String,
    /// Path of the identifier: empty, or with a leading slash.
    pub path: String,
    /// The token endpoint, which `htu` names.
    pub token_endpoint: TargetUri,
}

impl Issuer {
    /// The endpoint at `path` below the issuer, as `htu` names it.
    ///
    /// # Errors
    /// [`Reason::ServerError`]: the issuer is a URL of that kind, and the paths are ours.
    pub(crate) fn target(&self, path: &str) -> Result<TargetUri, Refusal> {
        TargetUri::parse(&format!("{}{path}", self.url))
            .map_err(|error| Refusal::new(Reason::ServerError, error.to_string()))
    }
}

/// Seconds that the clock of whoever wrote a message may differ from ours.
pub(crate) const CLOCK_SKEW: u64 = 60;

/// The chains whose accounts are accepted.
#[derive(Clone, Debug)]
pub enum Chains {
    /// Each chain of the supported namespaces.
    Any,
    /// These.
    Listed(Vec<ChainId>),
}

impl AllowedChains for Chains {
    fn allows(&self, chain: &ChainId) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(list) => list.contains(chain),
        }
    }
}

/// The issuer's rules for messages and proofs.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whose pages and wallets may ask for signatures.
    pub domains: Domains,
    /// What tokens are issued for.
    pub resources: Resources,
    /// Who may run the server from afar; `None` where nobody may.
    pub operators: Option<Operators>,
    /// The chains whose accounts are accepted.
    pub chains: Chains,
    /// Seconds in which a challenge must be redeemed.
    pub challenge_lifetime: u64,
    /// Seconds that a signature with a session key opens at most.
    pub session_lifetime: u64,
    /// The same for accounts that their chain is asked about.
    pub contract_session_lifetime: u64,
    /// How old a DPoP proof may be.
    pub window: Window,
    /// Whether a DPoP proof must carry a nonce of ours.
    pub require_nonce: bool,
}

/// Everything a use case needs.
#[derive(Debug)]
pub struct Context {
    /// The issuer.
    pub issuer: Issuer,
    /// Its rules.
    pub rules: Rules,
    /// Its signing keys.
    pub keyring: Arc<Keyring>,
    /// Its nonces.
    pub nonces: Nonces,
    /// The key of the Stellar transactions that it hands out.
    pub stellar: ServerKey,
    /// Its refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// Its access tokens, where it takes them back.
    pub access_tokens: AccessTokens,
    /// Who waits for revocations.
    pub feed: Feed,
    /// The nodes that are asked what only a chain knows.
    pub nodes: Nodes,
    /// What is recorded of decisions.
    pub audit: Audit,
    /// What is still to be recorded of keys that were revoked.
    pub unrecorded: Unrecorded,
    /// What outlives a request.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Since when the store remembers: what was signed before may have been used before.
    pub remembers_since: Timestamp,
    /// Proofs that were made before need a nonce: whether they were used is not remembered, and
    /// what they could be used with is still there.
    pub proofs_need_nonce_before: Timestamp,
}

impl Context {
    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The resource of that identifier; the issuer itself is that of its operators.
    ///
    /// # Errors
    /// [`Reason::ResourceRequired`] or [`Reason::ResourceNotAllowed`].
    pub fn target(&self, uri: Option<&str>) -> Result<Target<'_>, Refusal> {
        match uri {
            Some(uri) if uri == self.issuer.url => {
                let operators = self.rules.operators.as_ref().map(Operators::target);
                operators.ok_or_else(|| {
                    let detail = "the issuer itself is for its operators, and has none";
                    Refusal::new(Reason::ResourceNotAllowed, detail)
                })
            }
            Some(_) | None => self.rules.resources.find(uri),
        }
    }

    /// The operators, where `target` is the issuer itself.
    pub fn operators_at(&self, target: &Target<'_>) -> Option<&Operators> {
        self.rules.operators.as_ref().filter(|_| target.uri == self.issuer.url)
    }

    /// Whether a message that names `domain` may open `target`. Operators sign in at the issuer's own
    /// domain alone: no other application asks them for what they can do here.
    pub(crate) fn check_domain(&self, target: &Target<'_>, domain: &str) -> Result<(), Refusal> {
        if self.operators_at(target).is_none() || domain == self.issuer.host {
            return Ok(());
        }
        let detail = "operators sign in at the issuer's own domain, and no other";
        Err(Refusal::new(Reason::DomainNotAllowed, detail))
    }

    /// Whether `subject` may have `scope` at `target`. Everybody may have what a resource has; of the
    /// issuer's own, an operator may have what the configuration gives that operator.
    ///
    /// # Errors
    /// [`Reason::ScopeNotAllowed`].
    pub(crate) fn check_scopes(
        &self,
        target: &Target<'_>,
        subject: &str,
        scope: &ScopeSet,
    ) -> Result<(), Refusal> {
        self.operators_at(target).map_or(Ok(()), |operators| operators.check_scopes(subject, scope))
    }

    /// Whether `key` is one operator alone, where `target` is the issuer itself: a key that is two of them
    /// under two addresses would be two persons where two are asked for.
    ///
    /// # Errors
    /// [`Reason::AccountNotAllowed`].
    pub(crate) fn check_one_operator(
        &self,
        target: &Target<'_>,
        subject: &str,
        key: &PublicKey,
    ) -> Result<(), Refusal> {
        let Some(operators) = self.operators_at(target) else { return Ok(()) };
        let is_another = |name: String| name != subject && operators.allowed(&name).is_some();
        if !registry::subjects_of_key(key).any(is_another) {
            return Ok(());
        }
        let detail = "this key is another operator's as well, under another name: each operator has a key of \
                      its own";
        Err(Refusal::new(Reason::AccountNotAllowed, detail))
    }

    /// What this issuer expects of a message that is redeemed now.
    pub fn expected(&self, now: Timestamp) -> Expected<'_> {
        Expected {
            issuer: &self.issuer.url,
            domains: &self.rules.domains,
            chains: &self.rules.chains,
            nonces: &self.nonces,
            now,
            max_age: self.rules.challenge_lifetime.saturating_add(CLOCK_SKEW),
            clock_skew: CLOCK_SKEW,
            max_session: self.rules.session_lifetime,
        }
    }
}

/// The refusal for a store that is full or silent; `used` is what a used entry means here.
pub(crate) fn store_refusal(error: StoreError, used: Refusal) -> Refusal {
    match error {
        StoreError::Used => used,
        StoreError::Full => Refusal::new(
            Reason::StoreUnavailable,
            "this server holds as many used proofs as it may; try again shortly",
        ),
        StoreError::Unavailable => {
            Refusal::new(Reason::StoreUnavailable, "the store does not answer; try again shortly")
        }
    }
}

/// The refusal for what cannot be recorded.
pub(crate) fn audit_refusal(error: AuditError) -> Refusal {
    let reason = match error {
        AuditError::Full | AuditError::Unavailable => Reason::AuditUnavailable,
        AuditError::Busy => Reason::RateLimited,
    };
    Refusal::new(reason, format!("{error}; try again shortly"))
}

/// The refusal for what a session did not give.
pub(crate) fn session_refusal(error: SessionError) -> Refusal {
    match error {
        SessionError::Ended => Refusal::new(
            Reason::SessionEnded,
            "the session has ended, or what was signed was revoked since; sign in again, with a new challenge",
        ),
        SessionError::OtherKey => Refusal::new(
            Reason::ProofKeyMismatch,
            "the DPoP proof must be by the session key that the message named",
        ),
        SessionError::Reused => Refusal::new(
            Reason::RefreshReused,
            "this refresh token was replaced long ago, so somebody else may have it: the session is \
             ended; sign in again",
        ),
        SessionError::Late => Refusal::new(
            Reason::RefreshLate,
            "this request was made before the session moved on and arrived after; nothing has changed",
        ),
        SessionError::Full => Refusal::new(
            Reason::StoreUnavailable,
            "this server holds as many sessions and revocations as it may; try again shortly",
        ),
        SessionError::Unavailable => {
            Refusal::new(Reason::StoreUnavailable, "the store does not answer; try again shortly")
        }
    }
}
