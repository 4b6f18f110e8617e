//! The extractor for what must not be done by a token that was revoked a moment ago.
//!
//! It stands beside those of `layer` and is stricter than they are, never laxer: the issuer is asked
//! after everything else has passed. RFC 7662.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;

use super::check::{Caller, RequestHead};
use super::layer::{AccessRejection, RequiredScope, caller_of};
use super::server::ResourceServer;
use super::standing::Demand;

/// Extractor: as [`Scoped`](super::Scoped), and the issuer was asked just now and says that the token
/// is live. Out of reach of the issuer the handler does not run.
///
/// Needs [`introspect_as`](super::ResourceConfig::introspect_as) or
/// [`introspect_with_secret`](super::ResourceConfig::introspect_with_secret); without, every request
/// is answered 500.
pub struct Introspected<S> {
    caller: Caller,
    scope: PhantomData<S>,
}

impl<S> Introspected<S> {
    /// The caller.
    pub fn into_caller(self) -> Caller {
        self.caller
    }
}

impl<S> Deref for Introspected<S> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<S: RequiredScope> fmt::Debug for Introspected<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Introspected({}, {:?})", S::SCOPE, self.caller)
    }
}

impl<S, T> FromRequestParts<T> for Introspected<S>
where
    S: RequiredScope,
    T: Send + Sync,
    ResourceServer: FromRef<T>,
{
    type Rejection = AccessRejection;

    async fn from_request_parts(parts: &mut Parts, state: &T) -> Result<Self, Self::Rejection> {
        let server = ResourceServer::from_ref(state);
        let caller = caller_of(&server, parts, Demand::Scope(S::SCOPE)).await?;
        let refused = |error| AccessRejection::new(&server, error);
        caller.require(S::SCOPE).map_err(refused)?;
        let request = RequestHead {
            method: parts.method.as_str(),
            path_and_query: parts.uri.path(),
            headers: &parts.headers,
        };
        server.introspect(&request, &caller).await.map_err(refused)?;
        Ok(Self { caller, scope: PhantomData })
    }
}

#[cfg(test)]
#[path = "layer_introspection_tests.rs"]
mod tests;
