//! How the issuer's own endpoints are found and asked: on its own origin, and within bounds.
//!
//! The metadata must name the issuer that was asked for (RFC 8414 §3.3), and every endpoint in it
//! that is used here must lie on the issuer's origin, so that nobody else can lend us keys, hide
//! revocations, or be sent our credentials. Redirects are not followed, no proxy is asked, answers
//! are bounded in size, and whoever asks bounds the time.

use http::header::{AGE, CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use serde::Deserialize;
use url::Url;

use super::jwks_source::FetchError;
use crate::json::{object, typed};

/// The longest metadata document read, in bytes.
const MAX_METADATA_BYTES: usize = 64 * 1024;

/// An issuer that can be asked over HTTP.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    identifier: String,
    metadata_url: Url,
    http: reqwest::Client,
}

/// The members of the issuer's metadata that are used here (RFC 8414 §2).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
    #[serde(default, deserialize_with = "typed")]
    revocation_feed_endpoint: Option<String>,
    #[serde(default, deserialize_with = "typed")]
    introspection_endpoint: Option<String>,
}

/// An endpoint of the issuer, by its member of the metadata.
#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint {
    Jwks,
    RevocationFeed,
    Introspection,
}

impl Endpoint {
    const fn member(self) -> &'static str {
        match self {
            Self::Jwks => "jwks_uri",
            Self::RevocationFeed => "revocation_feed_endpoint",
            Self::Introspection => "introspection_endpoint",
        }
    }

    fn of(self, metadata: Metadata) -> Option<String> {
        match self {
            Self::Jwks => Some(metadata.jwks_uri),
            Self::RevocationFeed => metadata.revocation_feed_endpoint,
            Self::Introspection => metadata.introspection_endpoint,
        }
    }
}

/// An answer, all of it received.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Seconds for which the issuer says that this may be kept, less those that a cache on the way
    /// has kept it (RFC 9111 §4.2.3).
    pub(super) fn max_age(&self) -> Option<u64> {
        let directives = self.headers.get(CACHE_CONTROL);
        let max_age = directives.and_then(|value| value.to_str().ok()).and_then(max_age);
        max_age.map(|seconds| seconds.saturating_sub(self.seconds(&AGE).unwrap_or(0)))
    }

    /// Why an answer of this status, from `url`, is none to use.
    pub(super) fn refused(&self, url: &Url) -> FetchError {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => FetchError::Busy {
                url: shown(url),
                status: self.status.as_u16(),
                retry_after: self.seconds(&RETRY_AFTER).unwrap_or(1),
            },
            status => unusable(url, &format!("status {status}")),
        }
    }

    fn seconds(&self, name: &HeaderName) -> Option<u64> {
        self.headers.get(name)?.to_str().ok()?.parse().ok()
    }
}

impl Issuer {
    /// The issuer with this identifier.
    ///
    /// # Errors
    /// A sentence: the identifier is no URL to fetch from, or there is no TLS to be had.
    pub(super) fn new(identifier: &str) -> Result<Self, String> {
        let metadata_url = metadata_url(identifier).ok_or("the issuer is no http(s) URL")?;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // Proxy variables would carry loopback's plain http off this machine, and with it the
            // choice of the keys that we believe.
            .no_proxy()
            .user_agent(concat!("countersign-sdk/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("no HTTP client could be made: {error}"))?;
        Ok(Self { identifier: identifier.to_owned(), metadata_url, http })
    }

    /// Where the metadata stands.
    pub(super) const fn metadata_url(&self) -> &Url {
        &self.metadata_url
    }

    /// Reads the metadata for the URL of an endpoint, which must be on the issuer's own origin.
    ///
    /// # Errors
    /// [`FetchError`], also when the issuer has no such endpoint.
    pub(super) async fn find(&self, endpoint: Endpoint) -> Result<Url, FetchError> {
        let unusable = |reason: &str| unusable(&self.metadata_url, reason);
        let answer = self.get(&self.metadata_url, MAX_METADATA_BYTES).await?;
        let metadata: Metadata =
            object(&answer.body).map_err(|_| unusable("not metadata with issuer and jwks_uri"))?;
        if metadata.issuer != self.identifier {
            return Err(unusable("it is the metadata of another issuer"));
        }
        let member = endpoint.member();
        let url =
            endpoint.of(metadata).ok_or_else(|| unusable(&format!("there is no {member}")))?;
        Url::parse(&url)
            .ok()
            .filter(|url| url.origin() == self.metadata_url.origin())
            .ok_or_else(|| unusable(&format!("{member} is not on the issuer's own origin")))
    }

    /// Asks for `url`.
    ///
    /// # Errors
    /// [`FetchError`], also for any other status than 200 and for an answer that is too long.
    pub(super) async fn get(&self, url: &Url, max_bytes: usize) -> Result<Answer, FetchError> {
        let answer = receive(self.http.get(url.clone()), url, max_bytes).await?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            _ => Err(answer.refused(url)),
        }
    }

    /// Posts a form to `url`, with `authorization` if there is one; the caller judges the status.
    ///
    /// # Errors
    /// [`FetchError`], also for an answer that is too long.
    pub(super) async fn post_form(
        &self,
        url: &Url,
        form: String,
        authorization: Option<&http::HeaderValue>,
        max_bytes: usize,
    ) -> Result<Answer, FetchError> {
        let request = self.http.post(url.clone()).body(form);
        let form_type = "application/x-www-form-urlencoded";
        let mut request = request.header(http::header::CONTENT_TYPE, form_type);
        if let Some(authorization) = authorization {
            request = request.header(http::header::AUTHORIZATION, authorization);
        }
        receive(request, url, max_bytes).await
    }
}

/// Sends a request and receives its answer, up to `max_bytes` of it.
async fn receive(
    request: reqwest::RequestBuilder,
    url: &Url,
    max_bytes: usize,
) -> Result<Answer, FetchError> {
    let no_answer = |error: reqwest::Error| FetchError::NoAnswer {
        url: shown(url),
        reason: with_causes(&error.without_url()),
    };
    let mut answer = request.send().await.map_err(no_answer)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(no_answer)? {
        if body.len() + chunk.len() > max_bytes {
            return Err(unusable(url, &format!("more than {max_bytes} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    let headers = std::mem::take(answer.headers_mut());
    Ok(Answer { status: answer.status(), headers, body })
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

pub(super) fn unusable(url: &Url, reason: &str) -> FetchError {
    FetchError::Unusable { url: shown(url), reason: reason.to_owned() }
}

/// A URL as logs show it: without the query, which changes with every question.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
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
}
