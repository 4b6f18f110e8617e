//! Whether a verified token was revoked since, as far as this server knows, and how far that is.
//!
//! The issuer signs a feed of what it revoked. One task follows it for as long as the server lives,
//! and every request is judged by what it has heard. What was never heard of is not known to be
//! live either, so the age of the view counts: past the bound, requests that are not for a scope
//! that was named as open are refused with 503. In the order in which an answer meets them:
//!
//! | file | decides |
//! |---|---|
//! | `source` | where answers come from: the issuer's own endpoint, or what the service gives |
//! | `follower` | when the feed is asked, what of an answer is believed, who starts and stops it |
//! | `answer` | whether a payload is an answer of the feed, and what it says |
//! | `known` | which tokens are revoked by what was heard, and when that may be forgotten |
//! | `view` | how old the view is, and whether it is too old |

mod answer;
mod follower;
mod known;
mod source;
mod view;

pub use answer::{FeedAnswer, FeedError, MAX_FEED_BYTES, RevocationEntry};
pub(super) use follower::{Follower, FollowerParts};
pub use source::{IssuerFeed, RevocationSource};
pub(super) use view::Bounds;
pub use view::RevocationStatus;

use super::claims::AccessToken;
use crate::time::Timestamp;

/// How a server learns of revocations.
pub(super) enum Revocations {
    /// The service said that it does without; loudly, in its configuration.
    Ignored,
    /// By the feed.
    Followed(Follower),
}

impl Revocations {
    /// Follows the feed from now on, if nobody does. Does nothing outside of a tokio runtime.
    pub(super) fn start(&self) {
        match self {
            Self::Ignored => {}
            Self::Followed(follower) => follower.start(),
        }
    }

    /// Waits for the first answer, but not for long, and only where it would change anything.
    pub(super) async fn settle(&self, now: Timestamp) {
        match self {
            Self::Ignored => {}
            Self::Followed(follower) => follower.settle(now).await,
        }
    }

    /// Whether this token is known to be revoked.
    pub(super) fn name(&self, token: &AccessToken) -> bool {
        match self {
            Self::Ignored => false,
            Self::Followed(follower) => follower.view().known().name(token),
        }
    }

    /// Whether there may be revocations that should be known and are not.
    pub(super) fn are_stale(&self, now: Timestamp) -> bool {
        match self {
            Self::Ignored => false,
            Self::Followed(follower) => follower.view().is_stale(now),
        }
    }

    /// What is known, for metrics and health.
    pub(super) fn status(&self, now: Timestamp) -> RevocationStatus {
        match self {
            Self::Ignored => RevocationStatus::not_followed(),
            Self::Followed(follower) => follower.view().status(now),
        }
    }
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod refusal_tests;
