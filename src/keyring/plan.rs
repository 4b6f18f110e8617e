//! What is to be done about the keys at a moment, one thing after the other, until there is nothing.
//!
//! Pure, and the only place that knows the rules: there is always a key standing by that every cache
//! knows; a key of the configured algorithm; none that signs for longer than it should; and whatever
//! is over is let go. `change.rs` does what is said here.

use countersign_sdk::key::Algorithm;
use countersign_sdk::time::Timestamp;

use super::ring::{Entry, Ring, State};

/// Seconds for which clients may keep the JWKS, as its answer says.
pub const JWKS_MAX_AGE: u64 = 300;

/// Seconds for which a key is published before it signs, at the least: a cache between us and a client
/// may hold an answer for its whole age and hand it on, the client holds it for as long again, and a minute.
pub const PUBLISH_BEFORE_AT_LEAST: u64 = 2 * JWKS_MAX_AGE + 60;

/// What the configuration says of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The algorithm of new keys.
    pub algorithm: Algorithm,
    /// Seconds for which a key signs at most.
    pub rotate_every: u64,
    /// Seconds for which a key is published before it signs.
    pub publish_before: u64,
}

/// One thing that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// A key is to be made that signs at once: there is none that can.
    First,
    /// A key is to be made that stands by.
    Next {
        /// When it is to sign.
        signs_from: Timestamp,
        /// By how many seconds that may be earlier.
        jitter: u64,
    },
    /// The time of a key that stands by is to be moved, since it lies too far ahead.
    Reschedule {
        /// The key.
        kid: String,
        /// When it is to sign.
        signs_from: Timestamp,
    },
    /// A clock that was ahead has written that the key is published later than now.
    Published(String),
    /// A key of another algorithm than the configured one need not stand by any longer.
    Discard(String),
    /// The last token of a key is over everywhere: it is to be withdrawn and let go.
    Withdraw(String),
    /// A key has begun to sign, which is to be written down.
    Activated(String),
}

impl Policy {
    /// From when on a key may sign.
    pub fn ready_at(&self, entry: &Entry, now: Timestamp) -> Timestamp {
        entry.published_at.min(now).plus(self.publish_before)
    }

    const fn jitter(&self) -> u64 {
        self.rotate_every / 10
    }
}

/// The first thing that is due at `now`; nothing when all is as it should be.
pub fn plan(ring: &Ring, now: Timestamp, policy: &Policy) -> Option<Due> {
    let Some(active) = ring.active(now) else { return Some(Due::First) };
    let over = |entry: &&Entry| !entry.is_over() && ring.state(entry, now) == State::Retired;
    if let Some(entry) = ring.entries.iter().find(over) {
        return Some(Due::Withdraw(entry.kid.clone()));
    }
    let ahead = |entry: &&Entry| !entry.is_over() && entry.published_at > now;
    if let Some(entry) = ring.entries.iter().find(ahead) {
        return Some(Due::Published(entry.kid.clone()));
    }
    if active.activated_at.is_none() {
        return Some(Due::Activated(active.kid.clone()));
    }
    let nexts = ring.nexts(now);
    let (fitting, others): (Vec<&Entry>, Vec<&Entry>) =
        nexts.into_iter().partition(|entry| entry.algorithm() == policy.algorithm);
    if let Some(due) = standby(active, &fitting, now, policy) {
        return Some(due);
    }
    let known = |entry: &&Entry| policy.ready_at(entry, now) <= now;
    let is_replaced = active.algorithm() == policy.algorithm || fitting.iter().any(known);
    if let Some(other) = others.first().filter(|_| is_replaced) {
        return Some(Due::Discard(other.kid.clone()));
    }
    too_late(active, fitting.first()?, now, policy)
}

/// The key that is to be made, unless one stands by whose time does not come before its successor would
/// be known to every cache.
fn standby(active: &Entry, fitting: &[&Entry], now: Timestamp, policy: &Policy) -> Option<Due> {
    let known_by = now.plus(policy.publish_before);
    let Some(last) = fitting.last() else {
        if active.algorithm() != policy.algorithm {
            return Some(Due::Next { signs_from: known_by, jitter: 0 });
        }
        return Some(after(active, known_by, policy));
    };
    (last.signs_from < known_by).then(|| after(last, known_by, policy))
}

fn after(last: &Entry, known_by: Timestamp, policy: &Policy) -> Due {
    let signs_from = last.signs_from.plus(policy.rotate_every);
    if signs_from.minus(policy.jitter()) < known_by {
        return Due::Next { signs_from: signs_from.max(known_by), jitter: 0 };
    }
    Due::Next { signs_from, jitter: policy.jitter() }
}

/// The configuration or a rotation on demand may have left the next time further ahead than it should be.
fn too_late(active: &Entry, next: &Entry, now: Timestamp, policy: &Policy) -> Option<Due> {
    // A clock that was ahead may have had it sign before its time, which is not waited for.
    let bound = active.signs_from.min(now).plus(policy.rotate_every);
    let possible = policy.ready_at(next, now).max(now.plus(policy.publish_before));
    let signs_from = bound.max(possible);
    (next.signs_from > signs_from).then(|| Due::Reschedule { kid: next.kid.clone(), signs_from })
}
