//! What operators are told of a signing key.

use countersign_sdk::key::PublicJwk;
use countersign_sdk::time::Timestamp;
use serde::Serialize;

use crate::keyring::ring::{Entry, Ring, State};

/// A key as operators see it. Moments are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// Its name in token headers: the RFC 7638 thumbprint.
    pub kid: String,
    /// The algorithm of its signatures.
    pub alg: &'static str,
    /// Its state now.
    pub state: State,
    /// Its public half.
    pub jwk: PublicJwk,
    /// When it was made.
    pub created_at: String,
    /// Since when it is published.
    pub published_at: String,
    /// From when on it signs, signed or was to sign.
    pub signs_from: String,
    /// Until when it signs or signed, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signs_until: Option<String>,
    /// Since when it is withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<String>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    /// What is in force and still to be done for it, which the server goes on trying.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Pending>,
}

/// What a revocation that is in force still lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
    /// It is not in the ring's file: a restart before it is brings the key back.
    Ring,
    /// It is not in the audit log.
    Audit,
    /// The feed does not say yet that what the key signed is void; that the key is gone it says.
    Feed,
}

impl KeyView {
    pub(super) fn of(ring: &Ring, entry: &Entry, now: Timestamp) -> Self {
        let text = |moment: Timestamp| moment.to_string();
        Self {
            kid: entry.kid.clone(),
            alg: entry.algorithm().name(),
            state: ring.state(entry, now),
            jwk: entry.public.to_jwk(),
            created_at: text(entry.created_at),
            published_at: text(entry.published_at),
            signs_from: text(entry.signs_from),
            signs_until: ring.signs_until(entry).map(text),
            withdrawn_at: entry.withdrawn_at.map(text),
            revoked_at: entry.revoked_at.map(text),
            pending: Vec::new(),
        }
    }

    /// Every key of a ring.
    pub fn all(ring: &Ring, now: Timestamp) -> Vec<Self> {
        ring.entries.iter().map(|entry| Self::of(ring, entry, now)).collect()
    }
}
