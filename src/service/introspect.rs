//! A resource server asks what a token stands for, and learns it of its own tokens alone (RFC 7662).
//!
//! Whatever is not a live access token for the caller's own resource is inactive, and nothing more
//! is said of it: a caller finds out nothing about other APIs.

use countersign_sdk::key::KeyError;
use countersign_sdk::proof::jwt_assertion::{self, AssertionError, Expected};
use countersign_sdk::time::Timestamp;

use super::context::{Context, session_refusal, store_refusal};
use super::possession::store_error;
use super::recording;
use crate::model::reason::{Reason, Refusal};
use crate::model::resource::Introspected;
use crate::token::jws::away;
use crate::token::verify::{NotLive, OwnAccessToken};

/// How the caller says who it is.
#[derive(Clone, Copy)]
pub enum Authentication<'a> {
    /// `private_key_jwt` (RFC 7523 §2.2): a JWT by the resource server's own key.
    Assertion(&'a str),
    /// `client_secret_basic` (RFC 6749 §2.3.1).
    Secret {
        /// The resource's URI.
        resource: &'a str,
        /// Its secret.
        secret: &'a str,
    },
}

impl Authentication<'_> {
    fn resource(&self) -> Option<&str> {
        match self {
            Self::Secret { resource, .. } => Some(resource),
            Self::Assertion(_) => None,
        }
    }
}

/// The answer.
#[derive(Debug)]
pub enum Introspection {
    /// A live token for the caller.
    Active(Box<OwnAccessToken>),
    /// Anything else.
    Inactive,
}

/// Authenticates the caller and looks at the token.
///
/// # Errors
/// [`Reason::ClientNotAuthenticated`], [`Reason::PrivateKeyReceived`], [`Reason::StoreUnavailable`], or
/// [`Reason::SigningUnavailable`] while nobody can tell whether the token is ours.
pub async fn introspect(
    context: &Context,
    authentication: Authentication<'_>,
    client_id: Option<&str>,
    token: &str,
) -> Result<Introspection, Refusal> {
    let now = context.now();
    let mut claimed = None;
    let sees = match authentication {
        Authentication::Secret { resource, secret } => {
            check_client_id(client_id, resource).and_then(|()| by_secret(context, resource, secret))
        }
        Authentication::Assertion(assertion) => {
            by_assertion(context, assertion, client_id, &mut claimed, now).await
        }
    };
    let sees = sees.inspect_err(|refusal| {
        let resource = authentication.resource();
        recording::introspection_refused(context, claimed, resource, refusal.reason(), now);
    })?;
    match context.access_tokens.verify(token, &*context.store, now).await {
        Ok(token) if sees.includes(token.audience()) => Ok(Introspection::Active(Box::new(token))),
        Ok(_) | Err(NotLive::NotOurs | NotLive::Expired | NotLive::Revoked) => {
            Ok(Introspection::Inactive)
        }
        Err(NotLive::Unverifiable) => Err(away()),
        Err(NotLive::Unknown(error)) => Err(session_refusal(error)),
    }
}

fn by_secret<'a>(
    context: &'a Context,
    resource: &str,
    secret: &str,
) -> Result<Introspected<'a>, Refusal> {
    context.rules.resources.introspected_by_secret(resource, secret).ok_or_else(|| {
        refused(
            "no resource has this URI and this secret; development mode knows no secrets, and takes \
             private_key_jwt by any did:key",
        )
    })
}

/// The key must be one that the configuration lists before anything is written: a stranger who
/// signs assertions fills nothing.
async fn by_assertion<'a>(
    context: &'a Context,
    assertion: &str,
    client_id: Option<&str>,
    signed_by: &mut Option<String>,
    now: Timestamp,
) -> Result<Introspected<'a>, Refusal> {
    let skew = context.rules.window.max_future_skew;
    let expected = Expected { issuer: &context.issuer.url, skew, now };
    let assertion = jwt_assertion::check(assertion, &expected).map_err(|error| match error {
        AssertionError::Key(KeyError::PrivateKey) => {
            let detail = "the client_assertion carries a private key; consider it burnt";
            Refusal::new(Reason::PrivateKeyReceived, detail)
        }
        error => refused(format!("the client_assertion was refused: {error}")),
    })?;
    let did = assertion.account().to_did();
    *signed_by = Some(did.clone());
    check_client_id(client_id, &did)?;
    // What was used before this process began is not remembered. One that was dated ahead then could be
    // used again, and would tell whoever has both it and the token what the token says by itself.
    if assertion.issued_at() < context.remembers_since {
        return Err(refused("the client_assertion is older than this server; make a new one"));
    }
    let sees = context.rules.resources.introspected_by_key(&did);
    let sees = sees.ok_or_else(|| refused("no resource lists this key as one of its own"))?;
    let claimed = context.store.claim(assertion.replay_key(), assertion.retain_until(), now).await;
    let _claimed = claimed.map_err(|error| {
        let used = refused("this client_assertion was used before; make a new one");
        store_refusal(store_error(error), used)
    })?;
    Ok(sees)
}

fn check_client_id(stated: Option<&str>, authenticated: &str) -> Result<(), Refusal> {
    if stated.is_none_or(|stated| stated == authenticated) {
        return Ok(());
    }
    Err(refused("client_id is another client than the one that authenticated"))
}

fn refused(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::ClientNotAuthenticated, detail)
}
