//! What the keys are for a stretch of time: which one signs, and what the world is told.
//!
//! Made once for each stretch, so that a request reads and computes nothing; when the time of a key
//! comes the stretch is over and the next request makes the next one. RFC 7517 §5.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use countersign_sdk::key::PublicJwk;
use countersign_sdk::resource::{IssuerKeys, IssuerKeysError};
use countersign_sdk::time::Timestamp;
use serde::Serialize;

use super::key::SigningKey;
use super::ring::{Entry, Ring};

/// Why a ring cannot be shown or signed with.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The key set could not be written.
    #[error("the key set could not be written: {0}")]
    Encoding(#[from] serde_json::Error),
    /// Its own reader does not take it.
    #[error("the issuer's own key set: {0}")]
    Set(#[from] IssuerKeysError),
    /// No key can sign.
    #[error("the ring holds no key that can sign")]
    NoKey,
}

/// The keys from one moment to another.
#[derive(Debug)]
pub struct View {
    from: Timestamp,
    until: Option<Timestamp>,
    active: Arc<SigningKey>,
    jwks: Bytes,
    published: Option<IssuerKeys>,
    kids: Vec<String>,
}

/// One key of the JWKS (RFC 7517 §4).
#[derive(Serialize)]
struct PublishedKey<'a> {
    #[serde(flatten)]
    jwk: PublicJwk,
    kid: &'a str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
}

impl<'a> From<&'a Entry> for PublishedKey<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            jwk: entry.public.to_jwk(),
            kid: &entry.kid,
            alg: entry.algorithm().name(),
            usage: "sig",
        }
    }
}

#[derive(Serialize)]
struct KeySet<'a> {
    keys: Vec<PublishedKey<'a>>,
}

/// A JWK set of these keys.
///
/// # Errors
/// Of the JSON encoder.
pub fn key_set<'a>(entries: impl Iterator<Item = &'a Entry>) -> Result<String, serde_json::Error> {
    serde_json::to_string(&KeySet { keys: entries.map(PublishedKey::from).collect() })
}

impl View {
    /// What the ring is at `now`, and for how long.
    ///
    /// # Errors
    /// [`ViewError`].
    pub(super) fn of(
        ring: &Ring,
        opened: &HashMap<String, Arc<SigningKey>>,
        now: Timestamp,
    ) -> Result<Self, ViewError> {
        let active = ring.active(now).and_then(|entry| opened.get(&entry.kid));
        let active = Arc::clone(active.ok_or(ViewError::NoKey)?);
        // What is written of a key publishes nothing: its private half has shown that it is ours. And the
        // set is whole or empty, for a key that is missing in it counts as withdrawn.
        let is_proven = |entry: &Entry| opened.get(&entry.kid).is_some_and(|key| key.is_proven());
        let published: Vec<&Entry> = match ring.published(now).all(is_proven) {
            true => ring.published(now).collect(),
            false => Vec::new(),
        };
        let jwks = key_set(published.iter().copied())?;
        Ok(Self {
            from: now,
            until: ring.next_change(now),
            active,
            published: match published.is_empty() {
                true => None,
                false => Some(IssuerKeys::from_json(jwks.as_bytes())?),
            },
            jwks: jwks.into(),
            kids: published.into_iter().map(|entry| entry.kid.clone()).collect(),
        })
    }

    /// Whether it is the one of `now`.
    pub(super) fn holds_at(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }

    /// The key that signs.
    pub const fn active(&self) -> &Arc<SigningKey> {
        &self.active
    }

    /// The JWKS document (RFC 7517 §5): every key that a live document may be signed with, now or later.
    pub fn jwks(&self) -> Bytes {
        self.jwks.clone()
    }

    /// The same keys, to verify with; none while the custody that has them is away since the start.
    pub const fn published(&self) -> Option<&IssuerKeys> {
        self.published.as_ref()
    }

    /// Their names.
    pub fn kids(&self) -> &[String] {
        &self.kids
    }
}
