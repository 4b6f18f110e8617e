//! Whether the issuer says, at this moment, that a token is live.
//!
//! For what must not be done by a token that was revoked a second ago. The answer must be about the
//! very token that was verified here, and whatever goes wrong lets nobody in. Nothing is kept: each
//! demand asks. RFC 7662 §2; RFC 7523 §2.2 and RFC 6749 §2.3.1 for who asks.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::check::{Caller, RequestHead};
use super::claims::{AccessToken, Audience};
use super::credentials::Credentials;
use super::error::AccessError;
use super::issuer::{Answer, Endpoint, Issuer, unusable};
use super::jwks_source::FetchError;
use super::server::ResourceServer;
use crate::entropy::Entropy;
use crate::json::{Object, object, typed};
use crate::key::{Signer, Thumbprint};
use crate::proof::jwt_assertion::NewAssertion;
use crate::time::Timestamp;

/// The longest answer read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The time that asking may take, looking up the endpoint included.
const ASK_TIME: Duration = Duration::from_secs(5);
/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// As whom the issuer is asked.
pub(super) enum IntrospectAs {
    /// The resource server's own key.
    Key(Arc<dyn Signer>),
    /// The resource's secret.
    Secret(Arc<Zeroizing<String>>),
}

impl fmt::Debug for IntrospectAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key",
            Self::Secret(_) => "Secret",
        })
    }
}

/// Asks the issuer.
pub(super) struct Introspection {
    issuer: Issuer,
    identifier: String,
    resource: String,
    caller: IntrospectAs,
    /// Where to ask; looked up again after a failure, for it may have moved, unless the issuer is only busy.
    found: Mutex<Option<Url>>,
}

/// The members of an answer that decide anything (RFC 7662 §2.2).
#[derive(Deserialize)]
struct Received {
    active: bool,
    #[serde(default, deserialize_with = "typed")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "typed")]
    jti: Option<String>,
    #[serde(default, deserialize_with = "typed")]
    sub: Option<String>,
    #[serde(default, deserialize_with = "typed")]
    aud: Option<Audience>,
    #[serde(default, deserialize_with = "typed")]
    cnf: Option<Object<Confirmation>>,
}

#[derive(Deserialize)]
struct Confirmation {
    jkt: Thumbprint,
}

impl Received {
    /// Whether the answer is about this token of `issuer`, for `resource`.
    fn is_about(&self, token: &AccessToken, issuer: &str, resource: &str) -> bool {
        let bound_to = self.cnf.as_ref().map(|Object(confirmation)| confirmation.jkt);
        self.iss.as_deref().is_none_or(|iss| iss == issuer)
            && self.jti.as_deref() == Some(token.jti())
            && self.sub.as_deref() == Some(token.sub())
            && self.aud.as_ref().is_some_and(|audience| audience.names(resource))
            && bound_to == token.cnf_jkt()
    }
}

impl Introspection {
    /// Asks `issuer`, whose identifier is `identifier`, about tokens for `resource`.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub(super) fn new(
        issuer: Issuer,
        identifier: &str,
        resource: &str,
        caller: IntrospectAs,
    ) -> Result<Self, String> {
        let fault = match &caller {
            IntrospectAs::Key(signer) if signer.public_key().to_did_key().is_none() => {
                Some("introspect_as: an Ed25519 or secp256k1 key is needed; P-256 has no did:key")
            }
            IntrospectAs::Secret(secret) if secret.is_empty() => {
                Some("introspect_with_secret: the secret is empty")
            }
            IntrospectAs::Key(_) | IntrospectAs::Secret(_) => None,
        };
        match fault {
            Some(fault) => Err(fault.to_owned()),
            None => Ok(Self {
                issuer,
                identifier: identifier.to_owned(),
                resource: resource.to_owned(),
                caller,
                found: Mutex::default(),
            }),
        }
    }

    /// What the issuer says of the token.
    async fn ask(
        &self,
        token: &str,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Received, FetchError> {
        let outcome = tokio::time::timeout(ASK_TIME, self.ask_now(token, entropy, now)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let reason = format!("it took longer than {} seconds", ASK_TIME.as_secs());
            Err(FetchError::NoAnswer { url: self.issuer.metadata_url().to_string(), reason })
        });
        // To look it up as well would double the questions to an issuer that has too many.
        if outcome.as_ref().is_err_and(|error| !matches!(error, FetchError::Busy { .. })) {
            *self.found() = None;
        }
        outcome
    }

    async fn ask_now(
        &self,
        token: &str,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Received, FetchError> {
        let known = self.found().clone();
        let url = match known {
            Some(url) => url,
            None => {
                let url = self.issuer.find(Endpoint::Introspection).await?;
                *self.found() = Some(url.clone());
                url
            }
        };
        let url = &url;
        let (form, authorization) = match &self.caller {
            IntrospectAs::Secret(secret) => {
                let authorization = basic(&self.resource, secret);
                let authorization = authorization
                    .ok_or_else(|| unusable(url, "the secret makes no header field"))?;
                (form(&[("token", token)]), Some(authorization))
            }
            IntrospectAs::Key(signer) => {
                let issuer = &self.identifier;
                let assertion = NewAssertion { issuer, scope: None, resource: None, now };
                let assertion = assertion.sign(&**signer, entropy).await;
                let assertion = assertion
                    .map_err(|error| unusable(url, &format!("no assertion was made: {error}")))?;
                let fields = [
                    ("token", token),
                    ("client_assertion_type", ASSERTION_TYPE),
                    ("client_assertion", &assertion),
                ];
                (form(&fields), None)
            }
        };
        let answer = self.issuer.post_form(url, form, authorization.as_ref(), MAX_ANSWER_BYTES);
        match answer.await? {
            Answer { status: StatusCode::OK, body, .. } => {
                object(&body).map_err(|_| unusable(url, "not an answer with active"))
            }
            answer => Err(answer.refused(url)),
        }
    }

    fn found(&self) -> MutexGuard<'_, Option<Url>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// `Authorization: Basic`, user and password form-encoded (RFC 6749 §2.3.1).
fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encoded(user), encoded(password)));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl ResourceServer {
    /// Asks the issuer whether the token of `request`, by which `caller` was let in, is live at this
    /// moment. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`AccessError::TokenRevoked`] when the issuer says that it is not;
    /// [`AccessError::IntrospectionUnavailable`] when the issuer gives no answer about this very
    /// token; [`AccessError::IntrospectionNotConfigured`].
    pub async fn introspect(
        &self,
        request: &RequestHead<'_>,
        caller: &Caller,
    ) -> Result<(), AccessError> {
        let introspection =
            self.0.introspection.as_ref().ok_or(AccessError::IntrospectionNotConfigured)?;
        let token = Credentials::read(request.headers)?.token;
        let now = self.0.clock.now();
        let answer = match introspection.ask(token, &*self.0.entropy, now).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "the issuer could not be asked about a token");
                return Err(AccessError::IntrospectionUnavailable);
            }
        };
        let policy = &self.0.policy;
        if !answer.active {
            Err(AccessError::TokenRevoked)
        } else if answer.is_about(caller.token(), &policy.issuer, &policy.audience) {
            Ok(())
        } else {
            tracing::warn!("the issuer's answer about a token is about another one");
            Err(AccessError::IntrospectionUnavailable)
        }
    }
}
