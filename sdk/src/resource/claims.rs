//! What an access token says, once it has been verified.
//!
//! Only [`verify_access_token`](super::verify_access_token) makes an [`AccessToken`]; there is no
//! way to read one from JSON. RFC 9068 §2.2, RFC 9449 §6.1; `account`, `proven_key` and
//! `sid` are Countersign's own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::token::TokenError;
use crate::json::{Object, present, typed};
use crate::key::Thumbprint;
use crate::time::Timestamp;

/// The claims of a verified access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    subject: String,
    account: Option<String>,
    client_id: Option<String>,
    id: String,
    scope: String,
    session: Option<String>,
    methods: Vec<String>,
    proven_key: Option<ProvenKey>,
    bound_to: Option<Thumbprint>,
    issued_at: Timestamp,
    not_before: Option<Timestamp>,
    expires_at: Timestamp,
    authenticated_at: Option<Timestamp>,
}

/// The key that signed in, and how it was proven (`proven_key`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenKey {
    jkt: Option<Thumbprint>,
    method: String,
}

impl ProvenKey {
    /// The key's thumbprint; `None` for a contract wallet, which has no key of its own.
    pub const fn jkt(&self) -> Option<Thumbprint> {
        self.jkt
    }

    /// The message format that proved it, such as `siwe`.
    pub fn method(&self) -> &str {
        &self.method
    }
}

impl AccessToken {
    /// `sub`: who the token speaks for, a `did:pkh` or `did:key`.
    pub fn sub(&self) -> &str {
        &self.subject
    }

    /// `account`: the CAIP-10 account or `did:key` that was signed for, on the chain that was signed for.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// `client_id`: the registered client, or the domain of the message.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// `jti`: this token's own identifier.
    pub fn jti(&self) -> &str {
        &self.id
    }

    /// `sid`: the session that the token came from.
    pub fn sid(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// `amr`: how the subject was authenticated (RFC 8176).
    pub fn amr(&self) -> &[String] {
        &self.methods
    }

    /// `proven_key`: the key that signed in, which need not be the one that signs requests.
    pub const fn proven_key(&self) -> Option<&ProvenKey> {
        self.proven_key.as_ref()
    }

    /// `cnf.jkt`: the key that must sign each request (RFC 9449 §6.1); `None` for a bearer token.
    pub const fn cnf_jkt(&self) -> Option<Thumbprint> {
        self.bound_to
    }

    /// `scope` as it was written, scopes with spaces between them.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The scopes, one by one.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Whether this very scope was granted; no scope implies another.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
    }

    /// `iat`.
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// `exp`: the first second at which the token is worth nothing.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// `auth_time`: when the key was proven.
    pub const fn auth_time(&self) -> Option<Timestamp> {
        self.authenticated_at
    }

    /// Whether the token lives for `seconds` at most.
    pub(super) const fn check_lifetime(&self, seconds: u64) -> Result<(), TokenError> {
        let lifetime = self.expires_at.since(self.issued_at);
        if lifetime <= seconds { Ok(()) } else { Err(TokenError::Lifetime(lifetime)) }
    }

    /// Whether `now` lies within the token's times, clocks being `leeway` seconds apart at most.
    ///
    /// A verdict that is kept runs this again for each request.
    pub(super) fn check_times(&self, now: Timestamp, leeway: u64) -> Result<(), TokenError> {
        // RFC 9068 §4: not on or after `exp`.
        if now >= self.expires_at.plus(leeway) {
            return Err(TokenError::Expired(now.since(self.expires_at)));
        }
        let latest = now.plus(leeway);
        if self.not_before.is_some_and(|start| start > latest) {
            return Err(TokenError::NotYetValid);
        }
        if self.issued_at > latest {
            return Err(TokenError::IssuedInFuture(self.issued_at.since(now)));
        }
        Ok(())
    }
}

/// The claims as they were received. Serde refuses a member that stands twice.
#[derive(Deserialize)]
pub(super) struct Received {
    pub(super) iss: String,
    pub(super) aud: Audience,
    sub: String,
    exp: u64,
    iat: u64,
    jti: String,
    #[serde(default, deserialize_with = "typed")]
    nbf: Option<u64>,
    #[serde(default, deserialize_with = "typed")]
    client_id: Option<String>,
    #[serde(default, deserialize_with = "typed")]
    scope: Option<String>,
    #[serde(default, deserialize_with = "typed")]
    auth_time: Option<u64>,
    #[serde(default, deserialize_with = "typed")]
    account: Option<String>,
    #[serde(default, deserialize_with = "typed")]
    sid: Option<String>,
    #[serde(default, deserialize_with = "typed")]
    amr: Option<Vec<String>>,
    #[serde(default, deserialize_with = "typed")]
    cnf: Option<Object<Confirmation>>,
    #[serde(default, deserialize_with = "typed")]
    proven_key: Option<Object<ReceivedProvenKey>>,
    /// Limits of what may be done (RFC 9396).
    #[serde(default, deserialize_with = "present")]
    authorization_details: bool,
    /// Who acts for the subject (RFC 8693 §4.1).
    #[serde(default, deserialize_with = "present")]
    act: bool,
}

/// `aud` is one text or a list of them (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    List(Vec<String>),
}

impl Audience {
    /// Whether `resource` is among them (RFC 9068 §4). The issuer itself writes exactly one.
    pub(super) fn names(&self, resource: &str) -> bool {
        match self {
            Self::One(audience) => audience == resource,
            Self::List(list) => list.iter().any(|audience| audience == resource),
        }
    }
}

#[derive(Deserialize)]
struct Confirmation {
    #[serde(default, deserialize_with = "typed")]
    jkt: Option<Thumbprint>,
    /// Another binding beside `jkt` would go unchecked.
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct ReceivedProvenKey {
    #[serde(default, deserialize_with = "typed")]
    jkt: Option<Thumbprint>,
    method: String,
}

impl Received {
    /// The claims as they are handed on; a binding that is not `jkt` is one that we cannot check,
    /// and a constraint that nobody here enforces would make of a small right a large one.
    pub(super) fn into_token(self) -> Result<AccessToken, TokenError> {
        if self.sub.is_empty() || self.jti.is_empty() {
            return Err(TokenError::Claims);
        }
        if self.authorization_details || self.act {
            return Err(TokenError::Constraint);
        }
        let bound_to = match self.cnf {
            None => None,
            Some(Object(Confirmation { jkt: Some(jkt), others })) if others.is_empty() => Some(jkt),
            Some(Object(_)) => return Err(TokenError::Confirmation),
        };
        Ok(AccessToken {
            subject: self.sub,
            account: self.account,
            client_id: self.client_id,
            id: self.jti,
            scope: self.scope.unwrap_or_default(),
            session: self.sid,
            methods: self.amr.unwrap_or_default(),
            proven_key: self
                .proven_key
                .map(|Object(key)| ProvenKey { jkt: key.jkt, method: key.method }),
            bound_to,
            issued_at: Timestamp::from_unix(self.iat),
            not_before: self.nbf.map(Timestamp::from_unix),
            expires_at: Timestamp::from_unix(self.exp),
            authenticated_at: self.auth_time.map(Timestamp::from_unix),
        })
    }
}
