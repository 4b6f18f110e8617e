//! Which keys of a set tokens and answers of the feed verify by, after what the feed said of keys.
//!
//! Kept beside the set and not in it: what was said outlives every fetch.

use std::sync::Arc;

use super::jwks::IssuerKeys;
use super::jwks_cache::FRESH_AT_MOST;
use crate::time::Timestamp;

/// Seconds after which a key that was withdrawn may sign answers of the feed again, if the issuer still
/// publishes it: longer than a set lives in a cache on the way, stale or not, and a token after it. What is
/// published after that is no leftover: the issuer went back to a copy of its ring, or somebody else had
/// said that the key was gone. Tokens wait for what the feed then says.
pub(super) const WITHDRAWN_FOR: u64 = 2 * FRESH_AT_MOST + 900;
/// The most withdrawn keys that are remembered, more than an issuer publishes at a time.
const MOST_WITHDRAWN: usize = 256;

/// What a set is good for, by what the feed said.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// What of it tokens verify by.
    pub(super) of_tokens: Arc<IssuerKeys>,
    /// The same while what the feed said is too old to go by.
    pub(super) of_tokens_unbound: Arc<IssuerKeys>,
    /// What of it answers of the feed verify by.
    pub(super) of_feed: Arc<IssuerKeys>,
}

/// What the feed said last of which keys there are.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) at: Timestamp,
    /// The keys that it named; `None` before it has spoken.
    pub(super) names: Option<Vec<String>>,
    /// Keys that were here, or named before, and that it names no more.
    withdrawn: Vec<Withdrawn>,
}

#[derive(Debug)]
struct Withdrawn {
    name: String,
    /// In a set that is asked for from then on it may sign answers of the feed.
    until: Timestamp,
}

impl Told {
    /// Takes in what the feed named now, in an answer that is newer than `here`; whether that is anything new.
    /// A set that is not live tells nothing by what it still has in it.
    pub(super) fn hear(
        &mut self,
        names: &[String],
        here: Option<&IssuerKeys>,
        is_live: bool,
        now: Timestamp,
    ) -> bool {
        let here = here.map(|keys| keys.names_beside(names)).unwrap_or_default();
        let before = self.names.iter().flatten().filter(|name| !names.contains(name));
        let mut gone: Vec<String> = before.cloned().chain(here).collect();
        gone.sort_unstable();
        gone.dedup();
        let is_news = !gone.is_empty() || self.names.as_deref() != Some(names);
        self.withdrawn.retain(|one| !names.contains(&one.name) && !gone.contains(&one.name));
        if !gone.is_empty() {
            tracing::info!(keys = ?gone, "the issuer has withdrawn keys");
            let until = now.plus(if is_live { WITHDRAWN_FOR } else { u64::MAX });
            self.withdrawn.extend(gone.into_iter().map(|name| Withdrawn { name, until }));
            let excess = self.withdrawn.len().saturating_sub(MOST_WITHDRAWN);
            self.withdrawn.drain(..excess);
        }
        self.names = Some(names.to_vec());
        is_news
    }

    /// What a set that was asked for then is good for.
    pub(super) fn split(&self, landed: &IssuerKeys, asked_at: Timestamp) -> Parts {
        let is_gone = |name: &str| self.withdrawn.iter().any(|one| one.name == name);
        let holds = |one: &&Withdrawn| asked_at < one.until;
        let is_kept_out =
            |name: &str| self.withdrawn.iter().filter(holds).any(|one| one.name == name);
        let unbound = Arc::new(landed.without(is_gone));
        let of_tokens = match &self.names {
            Some(names) => Arc::new(unbound.among(names)),
            None => Arc::clone(&unbound),
        };
        let of_feed = Arc::new(landed.without(is_kept_out));
        Parts { of_tokens, of_tokens_unbound: unbound, of_feed }
    }
}
