//! One exchange with one node: a bounded time, a bounded answer, nothing followed and nothing told.
//!
//! A node's URL often carries the key of an account with its provider. So it is printed nowhere, and
//! neither is an error of the HTTP library, which would name it. Redirects are not followed and
//! no proxy is asked: what the operator wrote is who is believed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, StatusCode};
use url::Url;

use super::NodesError;
use super::answer::AnswerError;

/// Why a node said nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NodeError {
    /// It was not reached, or broke off.
    #[error("it was not reached, or broke off")]
    Unreached,
    /// It did not answer in time.
    #[error("it did not answer in time")]
    TimedOut,
    /// It answered with another status than 200.
    #[error("it answered with status {0}")]
    Status(u16),
    /// Its answer is longer than may be.
    #[error("its answer is longer than max_answer_bytes")]
    TooLong,
    /// Its answer is none.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// A node.
#[derive(Clone)]
pub(super) struct Node {
    url: Url,
    http: Client,
    timeout: Duration,
    max_answer: usize,
    of_the_network: Arc<AtomicBool>,
}

impl Node {
    /// The node at `url`, by https unless the URL says otherwise.
    ///
    /// # Errors
    /// [`NodesError`] when TLS cannot be set up.
    pub(super) fn new(url: Url, timeout: Duration, max_answer: usize) -> Result<Self, NodesError> {
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .https_only(url.scheme() == "https")
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| NodesError(error.without_url().to_string()))?;
        Ok(Self { url, http, timeout, max_answer, of_the_network: Arc::default() })
    }

    /// Sends `request` and gives the body of the answer.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(super) async fn exchange(&self, request: Bytes) -> Result<Vec<u8>, NodeError> {
        self.exchange_up_to(request, self.max_answer).await
    }

    /// Whether it has said that it is of the network that it should be of.
    pub(super) fn is_of_the_network(&self) -> bool {
        self.of_the_network.load(Ordering::Relaxed)
    }

    /// It has said so.
    pub(super) fn set_of_the_network(&self) {
        self.of_the_network.store(true, Ordering::Relaxed);
    }

    /// Sends `request` and gives the body of an answer of at most so many bytes.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(super) async fn exchange_up_to(
        &self,
        request: Bytes,
        max_answer: usize,
    ) -> Result<Vec<u8>, NodeError> {
        let exchange = async {
            let request = self
                .http
                .post(self.url.clone())
                .header(CONTENT_TYPE, "application/json")
                .header(ACCEPT, "application/json")
                .body(request);
            let mut response = request.send().await.map_err(|_| NodeError::Unreached)?;
            if response.status() != StatusCode::OK {
                return Err(NodeError::Status(response.status().as_u16()));
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|_| NodeError::Unreached)? {
                if chunk.len() > max_answer.saturating_sub(body.len()) {
                    return Err(NodeError::TooLong);
                }
                body.extend_from_slice(&chunk);
            }
            Ok(body)
        };
        tokio::time::timeout(self.timeout, exchange).await.map_err(|_| NodeError::TimedOut)?
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Node")
    }
}
