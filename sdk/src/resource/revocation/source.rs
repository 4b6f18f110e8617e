//! Where answers of the revocation feed come from: the issuer's own endpoint, or what is given.
//!
//! An answer is signed by the issuer, so that its way here need not be trusted not to change it. It
//! must be trusted not to hold back an answer and show a later one, for no answer says which one
//! comes before it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use super::super::issuer::{Endpoint, Issuer, shown};
use super::super::jwks_source::FetchError;
use super::answer::MAX_FEED_BYTES;

/// The time that an answer may take beyond that which the issuer was told that it may wait.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Gives the answers of an issuer's revocation feed, wherever they come from. An implementation
/// bounds the size of what it takes in; past its time it is not listened to.
#[async_trait]
pub trait RevocationSource: Send + Sync + fmt::Debug {
    /// The answer that follows the cursor `after`, or the first one: a compact JWS as the issuer
    /// signed it. When there is nothing new, an answer that says so after at most `wait` seconds.
    ///
    /// # Errors
    /// [`FetchError`]; it is asked again soon, and the view ages meanwhile.
    async fn fetch(&self, after: Option<&str>, wait: u64) -> Result<String, FetchError>;
}

/// The `revocation_feed_endpoint` of the issuer's metadata, over HTTP and on the issuer's origin.
#[derive(Debug)]
pub struct IssuerFeed {
    issuer: Issuer,
    /// Where the feed is; looked up again after a failure, for it may have moved, unless the issuer is only busy.
    found: Mutex<Option<Url>>,
    answer_time: Duration,
}

impl IssuerFeed {
    /// The feed of `issuer`.
    ///
    /// # Errors
    /// A sentence: the identifier is no URL to fetch from, or there is no TLS to be had.
    pub fn new(issuer: &str) -> Result<Self, String> {
        Issuer::new(issuer).map(Self::of)
    }

    pub(in super::super) fn of(issuer: Issuer) -> Self {
        Self { issuer, found: Mutex::default(), answer_time: ANSWER_TIME }
    }

    #[cfg(test)]
    pub(super) const fn answer_time(mut self, time: Duration) -> Self {
        self.answer_time = time;
        self
    }

    fn found(&self) -> MutexGuard<'_, Option<Url>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, after: Option<&str>, wait: u64) -> Result<String, FetchError> {
        let known = self.found().clone();
        let mut url = match known {
            Some(url) => url,
            None => {
                let url = self.issuer.find(Endpoint::RevocationFeed).await?;
                *self.found() = Some(url.clone());
                url
            }
        };
        {
            let mut query = url.query_pairs_mut();
            if let Some(after) = after {
                query.append_pair("after", after);
            }
            query.append_pair("wait", &wait.to_string());
        }
        let answer = self.issuer.get(&url, MAX_FEED_BYTES).await?;
        String::from_utf8(answer.body)
            .map_err(|_| FetchError::Unusable { url: shown(&url), reason: "not a text".to_owned() })
    }
}

#[async_trait]
impl RevocationSource for IssuerFeed {
    async fn fetch(&self, after: Option<&str>, wait: u64) -> Result<String, FetchError> {
        let time = self.answer_time + Duration::from_secs(wait);
        let outcome = tokio::time::timeout(time, self.ask(after, wait)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let reason = "it took longer than it was told to".to_owned();
            Err(FetchError::NoAnswer { url: self.issuer.metadata_url().to_string(), reason })
        });
        // To look it up as well would double the questions to an issuer that has too many.
        if outcome.as_ref().is_err_and(|error| !matches!(error, FetchError::Busy { .. })) {
            *self.found() = None;
        }
        outcome
    }
}
