//! How many signatures are made at the same time where each takes a while, and for whom a place is kept.
//!
//! Whoever is to get a token has used something up for it, so its place is taken before that and kept
//! until it is signed. The feed is read by anybody: it has places of its own, and can never take those.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a place is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A token.
    Token,
    /// An answer of the feed.
    Feed,
}

/// The places of a custody in which a signature takes a while.
#[derive(Debug)]
pub struct Slots {
    tokens: Arc<Semaphore>,
    feed: Arc<Semaphore>,
}

/// A place to sign at, until it is dropped.
#[derive(Debug)]
#[must_use = "the place is free again as soon as this is dropped"]
pub struct Reserved {
    _place: Option<OwnedSemaphorePermit>,
}

impl Reserved {
    /// Where there are places for everybody.
    pub(super) const fn unbounded() -> Self {
        Self { _place: None }
    }
}

impl Slots {
    /// So many places for each.
    pub fn new(tokens: usize, feed: usize) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { tokens: places(tokens), feed: places(feed) }
    }

    /// A place, waited for in turn and not for long; `None` where none came free.
    pub async fn reserve(&self, purpose: Purpose) -> Option<Reserved> {
        let places = match purpose {
            Purpose::Token => &self.tokens,
            Purpose::Feed => &self.feed,
        };
        let place = tokio::time::timeout(PATIENCE, Arc::clone(places).acquire_owned()).await;
        Some(Reserved { _place: Some(place.ok()?.ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_feed_takes_no_place_of_a_token_and_who_waits_gets_the_next() {
        let slots = Slots::new(1, 1);
        let feed = slots.reserve(Purpose::Feed).await;
        assert!(feed.is_some() && slots.reserve(Purpose::Feed).await.is_none());
        let token = slots.reserve(Purpose::Token).await;
        assert!(token.is_some());
        let (next, ()) = tokio::join!(slots.reserve(Purpose::Token), async { drop(token) });
        assert!(next.is_some());
        assert!(slots.reserve(Purpose::Token).await.is_none(), "after a while");
    }
}
