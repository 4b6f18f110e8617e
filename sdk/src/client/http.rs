//! One exchange with a server: time-outs, size caps, and what each server taught us about itself.
//!
//! Two things are learnt from every answer and kept by origin, so that one server cannot disturb
//! what we know of another: how far its clock (`Date`) is from ours, by which every `iat` is
//! written, and the latest `DPoP-Nonce` (RFC 9449 §8.2). Redirects are never followed: a proof is
//! made for one URL, and a `Location` is not a reason to send a token elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc2822;
use http::HeaderMap;
use http::header::{AGE, CONTENT_LENGTH, DATE, RETRY_AFTER};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::address::Address;
use super::error::{ClientError, NetworkError, ServerRefusal, quoted};
use crate::entropy::{Entropy, OsEntropy};
use crate::time::{Clock, SystemClock, Timestamp};

/// The largest answer of an issuer that is read, in bytes.
pub const MAX_ISSUER_ANSWER: usize = 64 * 1024;
/// The longest server nonce that is sent back, in bytes.
const MAX_NONCE: usize = 256;
/// How many servers are remembered. Beyond it all are forgotten; each is then learnt again.
const MAX_PEERS: usize = 256;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ISSUER_TIMEOUT: Duration = Duration::from_secs(20);

/// Sends requests, and remembers clocks and nonces. Cheap to clone; clones share what they learnt.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// By origin. Held for a look-up or an insert, never across an await.
    peers: Mutex<HashMap<String, Peer>>,
}

/// What one server taught us.
#[derive(Clone, Default)]
struct Peer {
    /// Seconds by which its clock is ahead of ours.
    clock_offset: Option<i64>,
    nonce: Option<String>,
}

impl Http {
    /// With this machine's clock and randomness.
    ///
    /// # Errors
    /// [`ClientError::Network`] when TLS cannot be set up.
    pub fn new() -> Result<Self, ClientError> {
        Self::with(Arc::new(SystemClock), Arc::new(OsEntropy))
    }

    /// With a clock and an entropy of the caller's.
    ///
    /// # Errors
    /// [`ClientError::Network`] when TLS cannot be set up.
    pub fn with(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, ClientError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // Proxy variables would carry loopback's plain http off this machine.
            .no_proxy()
            .http1_only()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("countersign-sdk/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| NetworkError::new("this machine", error))?;
        Ok(Self(Arc::new(Inner { client, clock, entropy, peers: Mutex::default() })))
    }

    /// Now, by the clock of the server at `origin`; while that is unknown, by the one at
    /// `fallback`; by our own before any answer came.
    pub fn now_at(&self, origin: &str, fallback: &str) -> Timestamp {
        let peers = self.peers();
        let offset = |origin: &str| peers.get(origin).and_then(|peer| peer.clock_offset);
        let offset = offset(origin).or_else(|| offset(fallback)).unwrap_or(0);
        let now = self.0.clock.now();
        match u64::try_from(offset) {
            Ok(ahead) => now.plus(ahead),
            Err(_) => now.minus(offset.unsigned_abs()),
        }
    }

    /// Now, by our own clock: for how long ago something happened here.
    pub(super) fn local_now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The latest nonce of the server at `origin`.
    pub(crate) fn nonce_of(&self, origin: &str) -> Option<String> {
        self.peers().get(origin).and_then(|peer| peer.nonce.clone())
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.0.entropy
    }

    pub(crate) fn builder(&self, method: http::Method, to: &Address) -> reqwest::RequestBuilder {
        self.0.client.request(method, to.url().clone())
    }

    /// Sends one request to `to` and learns from the answer's headers. Its body is not read yet.
    pub(crate) async fn send(
        &self,
        to: &Address,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, ClientError> {
        let origin = to.origin();
        let answer = request.send().await;
        let answer = answer.map_err(|error| NetworkError::new(&origin, error))?;
        self.learn(&origin, answer.headers());
        Ok(answer)
    }

    /// Sends a request to an issuer: a JSON answer of bounded size, or its refusal.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        to: &Address,
        request: reqwest::RequestBuilder,
    ) -> Result<T, ClientError> {
        // It can hold a token.
        let body = Zeroizing::new(self.document(to, request).await?);
        // The parser's message could quote a token.
        serde_json::from_slice(&body).map_err(|_| ClientError::Protocol {
            server: to.origin(),
            fault: format!("{} is not the JSON that belongs there", to.path()),
        })
    }

    /// Sends a request to an issuer: the answer's bytes, or its refusal.
    pub(crate) async fn document(
        &self,
        to: &Address,
        request: reqwest::RequestBuilder,
    ) -> Result<Vec<u8>, ClientError> {
        let answer = self.send(to, request.timeout(ISSUER_TIMEOUT)).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = read(&to.origin(), answer, MAX_ISSUER_ANSWER).await?;
        if status.is_success() {
            return Ok(body);
        }
        Err(refusal(status.as_u16(), &headers, &body).into())
    }

    fn learn(&self, origin: &str, headers: &HeaderMap) {
        let offset = clock_offset(headers, self.0.clock.now());
        let nonce = one_header(headers, "dpop-nonce").filter(|nonce| nonce.len() <= MAX_NONCE);
        if offset.is_none() && nonce.is_none() {
            return;
        }
        let mut peers = self.peers();
        if peers.len() >= MAX_PEERS && !peers.contains_key(origin) {
            peers.clear();
        }
        let peer = peers.entry(origin.to_owned()).or_default();
        peer.clock_offset = offset.or(peer.clock_offset);
        if let Some(nonce) = nonce {
            peer.nonce = Some(nonce.to_owned());
        }
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<String, Peer>> {
        // Whatever a panicking thread left is still a map of hints.
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

/// Reads a body of at most `cap` bytes.
pub(crate) async fn read(
    origin: &str,
    mut answer: reqwest::Response,
    cap: usize,
) -> Result<Vec<u8>, ClientError> {
    let too_large = || ClientError::Protocol {
        server: origin.to_owned(),
        fault: format!("the answer is larger than {cap} bytes"),
    };
    let announced = one_header(answer.headers(), CONTENT_LENGTH.as_str());
    let announced: usize = announced.and_then(|text| text.parse().ok()).unwrap_or(0);
    if announced > cap {
        return Err(too_large());
    }
    // All of it at once, so that growing leaves no copies behind.
    let mut body = Vec::with_capacity(announced.min(cap));
    loop {
        let chunk = answer.chunk().await;
        let Some(chunk) = chunk.map_err(|error| NetworkError::new(origin, error))? else {
            return Ok(body);
        };
        if body.len() + chunk.len() > cap {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
}

/// A header that stands there once, as text.
pub(crate) fn one_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Seconds by which the answer's `Date` (and its `Age`, if a cache held it) is ahead of `now`.
fn clock_offset(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    let date = OffsetDateTime::parse(one_header(headers, DATE.as_str())?, &Rfc2822).ok()?;
    let age = one_header(headers, AGE.as_str()).and_then(|age| age.parse().ok());
    let theirs = date.unix_timestamp().checked_add(age.unwrap_or(0))?;
    let offset = theirs.checked_sub(i64::try_from(now.as_unix()).ok()?)?;
    // `Date` has whole seconds: a difference of one says nothing.
    Some(if offset.abs() <= 1 { 0 } else { offset })
}

#[derive(Default, Deserialize)]
struct RefusalBody {
    error: Option<String>,
    error_description: Option<String>,
    reason: Option<String>,
}

pub(super) fn refusal(status: u16, headers: &HeaderMap, body: &[u8]) -> ServerRefusal {
    let body: RefusalBody = serde_json::from_slice(body).unwrap_or_default();
    let retry_after = one_header(headers, RETRY_AFTER.as_str());
    ServerRefusal {
        status,
        error: quoted(body.error.as_deref().unwrap_or("no OAuth error")),
        reason: body.reason.as_deref().map(quoted),
        description: body.error_description.as_deref().map(quoted),
        retry_after: retry_after.and_then(|text| text.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ManualClock;

    const NOW: Timestamp = Timestamp::from_unix(784_111_777);

    fn headers(date: &str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, date.parse().unwrap())])
    }

    #[test]
    fn each_server_has_its_own_clock_and_nonce() {
        let http = Http::with(Arc::new(ManualClock::new(NOW)), Arc::new(OsEntropy)).unwrap();
        assert_eq!(http.now_at("a", "b"), NOW);
        http.learn("b", &headers("Sun, 06 Nov 1994 08:51:37 GMT"));
        assert_eq!(http.now_at("a", "b"), NOW.plus(120));
        let mut behind = headers("Sun, 06 Nov 1994 08:49:07 GMT");
        behind.insert("dpop-nonce", "n1".parse().unwrap());
        http.learn("a", &behind);
        assert_eq!(http.now_at("a", "b"), NOW.minus(30));
        assert_eq!(http.nonce_of("a").as_deref(), Some("n1"));
        assert_eq!(http.nonce_of("b"), None);
    }

    #[test]
    fn a_second_of_difference_is_none() {
        assert_eq!(clock_offset(&headers("Sun, 06 Nov 1994 08:49:38 GMT"), NOW), Some(0));
        let mut cached = headers("Sun, 06 Nov 1994 08:48:37 GMT");
        cached.insert(AGE, "60".parse().unwrap());
        assert_eq!(clock_offset(&cached, NOW), Some(0));
        assert_eq!(clock_offset(&headers("yesterday"), NOW), None);
    }

    #[test]
    fn a_refusal_that_is_not_json_is_still_one() {
        let refused = refusal(502, &HeaderMap::new(), b"<html>");
        assert_eq!((refused.status, refused.error.as_str()), (502, "no OAuth error"));
        let body =
            br#"{"error":"invalid_grant","reason":"nonce_used","error_description":"a\u001b[2Jb"}"#;
        let refused = refusal(400, &HeaderMap::new(), body);
        assert_eq!(refused.reason.as_deref(), Some("nonce_used"));
        assert_eq!(refused.description.as_deref(), Some("a\\u{1b}[2Jb"));
    }
}
