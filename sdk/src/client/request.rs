//! A protected call: the token, a proof made for this very request, and the retries that are safe.
//!
//! A resource server refuses before it acts, so a call refused for its credentials may be sent
//! again: once with the nonce that the server demands, once with a renewed token, once by the
//! server's clock if ours turned out to be wrong. Nothing else is repeated. The token goes to the
//! origin of the resource that it was asked for and to origins that the caller names.
//!
//! Specs: RFC 9449 §7.1, §8.2 and §9.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use zeroize::Zeroizing;

use super::address::{Address, AddressError};
use super::error::{ClientError, NetworkError};
use super::http::read;
use super::session::Session;
use super::token::Token;
use crate::proof::dpop::NewProof;
use crate::proof::target_uri::TargetUri;

/// The largest answer that [`Response::bytes`] reads, in bytes.
pub const MAX_ANSWER: usize = 16 * 1024 * 1024;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// Seconds by which a newly learnt clock must differ for a refused proof to be worth another try.
const CLOCK_NEWS: u64 = 2;

/// Calls protected APIs with a session's token and key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    session: Session,
    origins: BTreeSet<String>,
}

impl Client {
    /// A client that calls the resource of `session`.
    pub fn new(session: Session) -> Self {
        let origins = session.resource().and_then(|text| Address::parse(text).ok());
        Self { origins: origins.iter().map(Address::origin).collect(), session }
    }

    /// Also sends the token to `origin`, for a resource that is served elsewhere than it is named.
    ///
    /// # Errors
    /// [`AddressError`] when it is no origin that credentials may travel to.
    pub fn also_at(mut self, origin: &str) -> Result<Self, AddressError> {
        self.origins.insert(Address::parse(origin)?.origin());
        Ok(self)
    }

    /// The session behind the calls.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// A call to be made. What is wrong with its parts is told by [`Request::send`].
    pub fn request(&self, method: &str, url: &str) -> Request {
        let method = Method::from_bytes(method.as_bytes());
        Request {
            client: self.clone(),
            target: method
                .map_err(|_| ClientError::Request("the method is none of HTTP"))
                .and_then(|method| Ok((method, Address::parse(url)?))),
            headers: Ok(HeaderMap::new()),
            body: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    fn may_call(&self, address: &Address) -> Result<(), AddressError> {
        let received = address.origin();
        if self.origins.contains(&received) {
            return Ok(());
        }
        let expected = self.origins.iter().next().cloned();
        Err(AddressError::OtherServer {
            expected: expected.unwrap_or_else(|| "no origin; name one".to_owned()),
            received,
        })
    }
}

/// A call to be made.
#[must_use = "nothing is sent before send()"]
pub struct Request {
    client: Client,
    target: Result<(Method, Address), ClientError>,
    headers: Result<HeaderMap, ClientError>,
    body: Vec<u8>,
    timeout: Duration,
}

/// Where it goes, without the query, header fields and body that its caller may think secret.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Ok((method, to)) => write!(f, "Request({method} {}{})", to.origin(), to.path()),
            Err(error) => write!(f, "Request({error})"),
        }
    }
}

impl Request {
    /// Adds a header field. `Authorization` and `DPoP` are this client's own to write.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Ok(headers) = &mut self.headers {
            match field(name, value) {
                Ok((name, value)) => {
                    headers.append(name, value);
                }
                Err(error) => self.headers = Err(error),
            }
        }
        self
    }

    /// The body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A JSON text as the body, with its content type.
    pub fn json(self, json: impl Into<String>) -> Self {
        self.header(CONTENT_TYPE.as_str(), "application/json").body(json.into())
    }

    /// How long each attempt may take; 60 seconds unless said.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends the call with the session's token and a proof by its key. Any status is an answer.
    ///
    /// # Errors
    /// [`ClientError`] when there is no token, no proof, or no answer.
    pub async fn send(self) -> Result<Response, ClientError> {
        let (method, address) = self.target?;
        let headers = self.headers?;
        self.client.may_call(&address)?;
        let target = TargetUri::parse(address.as_str())
            .map_err(|_| ClientError::Request("the URL is no target of a proof"))?;
        let call = Call {
            session: &self.client.session,
            origin: address.origin(),
            issuer_origin: self.client.session.issuer_origin(),
            method,
            address,
            target,
            headers,
            body: self.body,
            timeout: self.timeout,
        };
        call.send().await
    }
}

fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), ClientError> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| ClientError::Request("a header's name is none of HTTP"))?;
    if name == AUTHORIZATION || name == "dpop" {
        return Err(ClientError::Request("Authorization and DPoP are written by the client"));
    }
    let value = HeaderValue::from_str(value)
        .map_err(|_| ClientError::Request("a header's value is none of HTTP"))?;
    Ok((name, value))
}

/// A header value that Debug does not print.
fn sensitive(text: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| ClientError::Request("the token or proof fits into no header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// One call while it is being made.
struct Call<'a> {
    session: &'a Session,
    origin: String,
    issuer_origin: String,
    method: Method,
    address: Address,
    target: TargetUri,
    headers: HeaderMap,
    body: Vec<u8>,
    timeout: Duration,
}

impl Call<'_> {
    async fn send(&self) -> Result<Response, ClientError> {
        let mut token = self.session.access_token().await?;
        let (mut gave_nonce, mut renewed, mut set_clock) = (false, false, false);
        loop {
            let now = self.now();
            let answer = self.attempt(&token).await?;
            match refused_for(&answer) {
                Some(Fault::Nonce) if !gave_nonce => gave_nonce = true,
                Some(Fault::Proof) if !set_clock && self.clock_moved(now) => set_clock = true,
                Some(Fault::Token) if !renewed => {
                    renewed = true;
                    match self.session.replace(&token).await {
                        Ok(Some(fresh)) => token = fresh,
                        // The server's own words say more than why there is no other token.
                        Ok(None) | Err(_) => return Ok(self.answer(answer)),
                    }
                }
                Some(_) | None => return Ok(self.answer(answer)),
            }
        }
    }

    async fn attempt(&self, token: &Token) -> Result<reqwest::Response, ClientError> {
        let http = self.session.http();
        let nonce = http.nonce_of(&self.origin);
        let access_token = token.access_token.expose();
        let proof = NewProof {
            method: self.method.as_str(),
            target_uri: &self.target,
            access_token: Some(access_token),
            nonce: nonce.as_deref(),
            now: self.now(),
        };
        let proof = proof.sign(&**self.session.signer(), http.entropy()).await?;
        let authorization = sensitive(&Zeroizing::new(format!("DPoP {access_token}")))?;
        let mut request = http
            .builder(self.method.clone(), &self.address)
            .headers(self.headers.clone())
            .header(AUTHORIZATION, authorization)
            .header("DPoP", sensitive(&proof)?)
            .timeout(self.timeout);
        if !self.body.is_empty() {
            request = request.body(self.body.clone());
        }
        http.send(&self.address, request).await
    }

    fn now(&self) -> crate::time::Timestamp {
        self.session.http().now_at(&self.origin, &self.issuer_origin)
    }

    /// Whether the answer taught us another time than the one the proof was made with.
    fn clock_moved(&self, before: crate::time::Timestamp) -> bool {
        let after = self.now();
        after.since(before).max(before.since(after)) > CLOCK_NEWS
    }

    fn answer(&self, inner: reqwest::Response) -> Response {
        Response { origin: self.origin.clone(), inner }
    }
}

/// What a refused call lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nonce,
    Token,
    Proof,
}

fn refused_for(answer: &reqwest::Response) -> Option<Fault> {
    if answer.status() != StatusCode::UNAUTHORIZED {
        return None;
    }
    challenge_error(answer.headers())
}

/// The `error` of the `DPoP` challenge (RFC 9449 §7.1). A hint for a retry, so read loosely.
fn challenge_error(headers: &HeaderMap) -> Option<Fault> {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    let texts = challenges.filter_map(|value| value.to_str().ok());
    texts
        .filter(|text| text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("dpop")))
        .find_map(|text| {
            let (_, rest) = text.split_once("error=\"")?;
            match rest.split('"').next()? {
                "use_dpop_nonce" => Some(Fault::Nonce),
                "invalid_token" => Some(Fault::Token),
                "invalid_dpop_proof" => Some(Fault::Proof),
                _ => None,
            }
        })
}

/// A server's answer, its body not read yet.
#[derive(Debug)]
pub struct Response {
    origin: String,
    inner: reqwest::Response,
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// The next piece of the body, `None` after the last.
    ///
    /// # Errors
    /// [`ClientError::Network`] when the connection breaks.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let chunk = self.inner.chunk().await;
        let chunk = chunk.map_err(|error| NetworkError::new(&self.origin, error))?;
        Ok(chunk.map(Vec::from))
    }

    /// The whole body, of at most [`MAX_ANSWER`] bytes.
    ///
    /// # Errors
    /// [`ClientError`] when it is larger or the connection breaks.
    pub async fn bytes(self) -> Result<Vec<u8>, ClientError> {
        read(&self.origin, self.inner, MAX_ANSWER).await
    }

    pub(super) async fn bytes_up_to(self, cap: usize) -> Result<Vec<u8>, ClientError> {
        read(&self.origin, self.inner, cap).await
    }

    /// The whole body as text; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// As [`Response::bytes`].
    pub async fn text(self) -> Result<String, ClientError> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
