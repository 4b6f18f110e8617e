//! Where an issuer's keys come from: its metadata and its JWK set, both on its own origin.
//!
//! The issuer's metadata must name the issuer that was asked for (RFC 8414 §3.3), and its
//! `jwks_uri` must lie on the issuer's origin, so that nobody else can lend us keys. Redirects are
//! not followed, answers are bounded in size and time.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{AGE, CACHE_CONTROL};
use serde::Deserialize;
use url::Url;

use super::jwks::MAX_JWKS_BYTES;
use crate::json::object;

/// The longest metadata document read, in bytes.
const MAX_METADATA_BYTES: usize = 64 * 1024;
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

/// Why the keys were not to be had. Tells operators; callers of the API learn no more than 503.
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
}

/// A key set that is given and does not change: for services without a way to the issuer.
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
}

/// The issuer's own endpoints, over HTTP.
#[derive(Clone, Debug)]
pub struct IssuerEndpoint {
    issuer: String,
    metadata_url: Url,
    http: reqwest::Client,
}

/// The members of the issuer's metadata that are needed here (RFC 8414 §2).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl IssuerEndpoint {
    /// The endpoints of `issuer`.
    ///
    /// # Errors
    /// A sentence: the identifier is no URL to fetch from, or there is no TLS to be had.
    pub fn new(issuer: &str) -> Result<Self, String> {
        let metadata_url = metadata_url(issuer).ok_or("the issuer is no http(s) URL")?;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // Proxy variables would carry loopback's plain http off this machine, and with it the
            // choice of the keys that we believe.
            .no_proxy()
            .user_agent(concat!("countersign-sdk/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("no HTTP client could be made: {error}"))?;
        Ok(Self { issuer: issuer.to_owned(), metadata_url, http })
    }

    async fn jwks_url(&self) -> Result<Url, FetchError> {
        let answer = self.get(&self.metadata_url, MAX_METADATA_BYTES).await?;
        let unusable = |reason: &str| unusable(&self.metadata_url, reason);
        let metadata: Metadata = object(&answer.document)
            .map_err(|_| unusable("not metadata with issuer and jwks_uri"))?;
        if metadata.issuer != self.issuer {
            return Err(unusable("it is the metadata of another issuer"));
        }
        Url::parse(&metadata.jwks_uri)
            .ok()
            .filter(|url| url.origin() == self.metadata_url.origin())
            .ok_or_else(|| unusable("jwks_uri is not on the issuer's own origin"))
    }

    async fn get(&self, url: &Url, max_bytes: usize) -> Result<FetchedKeys, FetchError> {
        let no_answer = |error: reqwest::Error| FetchError::NoAnswer {
            url: url.to_string(),
            reason: with_causes(&error.without_url()),
        };
        let sent = self.http.get(url.clone()).send().await;
        let mut answer = sent.map_err(no_answer)?;
        if answer.status() != http::StatusCode::OK {
            return Err(unusable(url, &format!("status {}", answer.status())));
        }
        let directives = answer.headers().get(CACHE_CONTROL);
        let max_age = directives.and_then(|value| value.to_str().ok()).and_then(max_age);
        // What a cache on the way has kept is that much older (RFC 9111 §4.2.3).
        let age = answer.headers().get(AGE).and_then(|value| value.to_str().ok()?.parse().ok());
        let max_age = max_age.map(|seconds| seconds.saturating_sub(age.unwrap_or(0)));
        let mut document = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(no_answer)? {
            if document.len() + chunk.len() > max_bytes {
                return Err(unusable(url, &format!("more than {max_bytes} bytes")));
            }
            document.extend_from_slice(&chunk);
        }
        Ok(FetchedKeys { document, max_age })
    }
}

#[async_trait]
impl KeySource for IssuerEndpoint {
    async fn fetch(&self) -> Result<FetchedKeys, FetchError> {
        let both = async {
            let url = self.jwks_url().await?;
            self.get(&url, MAX_JWKS_BYTES).await
        };
        tokio::time::timeout(FETCH_TIME, both).await.unwrap_or_else(|_| {
            let reason = format!("it took longer than {} seconds", FETCH_TIME.as_secs());
            Err(FetchError::NoAnswer { url: self.metadata_url.to_string(), reason })
        })
    }
}

/// Where RFC 8414 §3.1 puts an issuer's metadata: before the path that the issuer may have.
fn metadata_url(issuer: &str) -> Option<Url> {
    let mut url = Url::parse(issuer).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    Some(url)
}

/// The seconds of `max-age` (RFC 9111 §5.2.2.1); `no-store` and `no-cache` count as none at all.
fn max_age(directives: &str) -> Option<u64> {
    directives.split(',').find_map(|directive| {
        let (name, value) = directive.trim().split_once('=')?;
        let seconds = value.trim_matches('"').parse().ok()?;
        name.eq_ignore_ascii_case("max-age").then_some(seconds)
    })
}

fn unusable(url: &Url, reason: &str) -> FetchError {
    FetchError::Unusable { url: url.to_string(), reason: reason.to_owned() }
}

/// An error and what caused it, since the transport's own text says only that sending failed.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_metadata_of_issuers_with_and_without_path() {
        let at = |issuer| metadata_url(issuer).map(String::from);
        let root = "https://auth.example/.well-known/oauth-authorization-server";
        assert_eq!(at("https://auth.example").as_deref(), Some(root));
        assert_eq!(at("https://auth.example/").as_deref(), Some(root));
        assert_eq!(at("https://auth.example/tenant/a").unwrap(), format!("{root}/tenant/a"));
        assert_eq!(at("file:///etc/passwd"), None);
    }

    #[test]
    fn reads_max_age() {
        assert_eq!(max_age("public, max-age=300"), Some(300));
        assert_eq!(max_age("Max-Age=\"60\""), Some(60));
        assert_eq!(max_age("no-store"), None);
        assert_eq!(max_age("max-age=-1"), None);
    }

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
