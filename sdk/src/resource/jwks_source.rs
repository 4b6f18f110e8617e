//! Where an issuer's keys come from: its metadata and its JWK set, both on its own origin.
//!
//! How the issuer is asked stands in `issuer`; here is what is asked for, and in what time. Who has
//! no way to the issuer gives the keys otherwise: [`KeySource`]. RFC 8414 §2, RFC 7517 §5.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::issuer::{Endpoint, Issuer};
use super::jwks::MAX_JWKS_BYTES;

/// The time that metadata and keys may take together, connecting included.
const FETCH_TIME: Duration = Duration::from_secs(5);

/// A JWK set as it was fetched, not read yet.
#[derive(Clone, Debug)]
pub struct FetchedKeys {
    /// The document.
    pub document: Vec<u8>,
    /// Seconds for which the issuer says that it may be kept (`Cache-Control: max-age`).
    pub max_age: Option<u64>,
}

/// Why something of the issuer was not to be had. Tells operators; callers of the API learn no more
/// than 503.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No answer, or not in time.
    #[error("{url} did not answer: {reason}")]
    NoAnswer {
        /// What was asked for.
        url: String,
        /// What the transport said.
        reason: String,
    },
    /// The answer that there is none now: too many questions, or something that passes (429, 503).
    #[error("{url} answered with status {status}: to be asked again in {retry_after} seconds")]
    Busy {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// Seconds until it is worth asking again, as the answer says (`Retry-After`); 1 where it does not.
        retry_after: u64,
    },
    /// An answer that is none to use.
    #[error("{url} answered what cannot be used: {reason}")]
    Unusable {
        /// What was asked for.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

/// Gives the issuer's keys, wherever they are kept. An implementation bounds its own time.
#[async_trait]
pub trait KeySource: Send + Sync + fmt::Debug {
    /// The key set as it stands now.
    ///
    /// # Errors
    /// [`FetchError`]; what was fetched before stays in use for its time.
    async fn fetch(&self) -> Result<FetchedKeys, FetchError>;

    /// Whether what it gives later is what the issuer publishes then. Of a set that stands still, a key that
    /// the feed has once withdrawn is never taken again: that it still stands there says nothing.
    fn is_live(&self) -> bool {
        true
    }
}

/// A key set that is given and does not change: for services without a way to the issuer.
///
/// Replace it, and restart, when a key was revoked: what the feed says of withdrawn keys is remembered by
/// the process alone, and a service without the feed hears nothing of it.
#[derive(Clone, Debug)]
pub struct FixedKeys(Vec<u8>);

impl FixedKeys {
    /// The keys of a JWK set document.
    pub fn new(document: impl Into<Vec<u8>>) -> Self {
        Self(document.into())
    }
}

#[async_trait]
impl KeySource for FixedKeys {
    async fn fetch(&self) -> Result<FetchedKeys, FetchError> {
        Ok(FetchedKeys { document: self.0.clone(), max_age: None })
    }

    fn is_live(&self) -> bool {
        false
    }
}

/// The issuer's own endpoints, over HTTP.
#[derive(Clone, Debug)]
pub struct IssuerEndpoint(pub(super) Issuer);

impl IssuerEndpoint {
    /// The endpoints of `issuer`.
    ///
    /// # Errors
    /// A sentence: the identifier is no URL to fetch from, or there is no TLS to be had.
    pub fn new(issuer: &str) -> Result<Self, String> {
        Issuer::new(issuer).map(Self)
    }
}

#[async_trait]
impl KeySource for IssuerEndpoint {
    async fn fetch(&self) -> Result<FetchedKeys, FetchError> {
        let both = async {
            let url = self.0.find(Endpoint::Jwks).await?;
            let answer = self.0.get(&url, MAX_JWKS_BYTES).await?;
            Ok(FetchedKeys { max_age: answer.max_age(), document: answer.body })
        };
        tokio::time::timeout(FETCH_TIME, both).await.unwrap_or_else(|_| {
            let reason = format!("it took longer than {} seconds", FETCH_TIME.as_secs());
            Err(FetchError::NoAnswer { url: self.0.metadata_url().to_string(), reason })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each connection with one of `answers`, in order, as an issuer at a free port.
    async fn issuer_that_answers(answers: Vec<(u16, String)>) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let base = issuer.clone();
        tokio::spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 2048];
                let _ = stream.read(&mut request).await.unwrap();
                let body = body.replace("ISSUER", &base);
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\ncache-control: max-age=77\r\nage: 7\r\n\
                     location: {base}/elsewhere\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        issuer
    }

    async fn fetch(answers: &[(u16, &str)]) -> Result<FetchedKeys, FetchError> {
        let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let issuer = issuer_that_answers(answers).await;
        IssuerEndpoint::new(&issuer).unwrap().fetch().await
    }

    const GOOD: &str = r#"{"issuer":"ISSUER","jwks_uri":"ISSUER/jwks"}"#;

    #[tokio::test]
    async fn fetches_through_the_metadata() {
        let fetched = fetch(&[(200, GOOD), (200, "{}")]).await.unwrap();
        assert_eq!((fetched.document, fetched.max_age), (b"{}".to_vec(), Some(70)));
    }

    /// Runs the test above once more in a process of its own, whose proxies lead nowhere.
    #[test]
    fn asks_no_proxy() {
        let nowhere = "http://127.0.0.1:1";
        let this = std::env::current_exe().unwrap();
        let mut again = std::process::Command::new(this);
        again.args(["--exact", "resource::jwks_source::tests::fetches_through_the_metadata"]);
        for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            again.env(variable, nowhere);
        }
        let output = again.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("1 passed"), "{printed}");
    }

    #[tokio::test]
    async fn refuses_foreign_moved_and_oversized_answers() {
        let long = "x".repeat(MAX_JWKS_BYTES + 1);
        for (answers, reason) in [
            (vec![(302, GOOD)], "status 302"),
            (vec![(200, "[]")], "not metadata"),
            (
                vec![(200, r#"{"issuer":"http://other","jwks_uri":"ISSUER/jwks"}"#)],
                "another issuer",
            ),
            (
                vec![(200, r#"{"issuer":"ISSUER","jwks_uri":"http://127.0.0.1:1/jwks"}"#)],
                "own origin",
            ),
            (vec![(200, GOOD), (500, "{}")], "status 500"),
            (vec![(200, GOOD), (200, &long)], "more than"),
        ] {
            let error = fetch(&answers).await.unwrap_err().to_string();
            assert!(error.contains(reason), "{reason}: {error}");
        }
    }
}
