//! The checks as a tower layer and as axum extractors; the only file that knows either.
//!
//! An extractor in a handler's signature is the requirement: a handler that takes
//! [`Scoped<S>`] cannot run for a caller without the scope, with or without the layer before it.
//! What the layer leaves in a request's extensions is a [`Caller`], which nothing but the checks
//! can make, and it is believed only by the server that made it and for the method and path that
//! it was made for. So a proof is used up once, however many of them look.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, FromRequestParts, OriginalUri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::Request;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use tower::{Layer, Service};

use super::challenge_header::{DPOP_NONCE, insert_nonce};
use super::check::{Caller, RequestHead};
use super::error::AccessError;
use super::server::ResourceServer;
use super::standing::Demand;

/// A refused request: the reason, and the whole answer (RFC 9449 §7.1).
#[derive(Debug)]
pub struct AccessRejection {
    error: AccessError,
    answer: http::Response<String>,
}

impl AccessRejection {
    pub(super) fn new(server: &ResourceServer, error: AccessError) -> Self {
        let answer = server.refusal(&error);
        let (reason, status) = (error.reason(), answer.status().as_u16());
        if answer.status().is_server_error() {
            tracing::warn!(reason, status, "request refused");
        } else {
            tracing::debug!(reason, status, "request refused");
        }
        Self { error, answer }
    }

    /// Why.
    pub const fn error(&self) -> &AccessError {
        &self.error
    }
}

impl IntoResponse for AccessRejection {
    fn into_response(self) -> Response {
        self.answer.map(Body::from)
    }
}

/// A caller who was let in by a view of revocations that is too old for most. Not a [`Caller`] to
/// whoever looks into the extensions: only an extractor that demands an open scope takes it for one.
#[derive(Clone)]
struct StaleCaller(Caller);

/// The caller of this request, for what is demanded: found by a layer or extractor before, or by
/// the checks now.
pub(super) async fn caller_of(
    server: &ResourceServer,
    parts: &mut Parts,
    demand: Demand,
) -> Result<Caller, AccessRejection> {
    // A nested router sees a shortened path; a proof names the whole one.
    let original = parts.extensions.get::<OriginalUri>();
    let uri = original.map_or(&parts.uri, |OriginalUri(uri)| uri);
    let request = RequestHead {
        method: parts.method.as_str(),
        path_and_query: uri.path(),
        headers: &parts.headers,
    };
    if let Some(caller) = parts.extensions.get::<Caller>()
        && caller.was_admitted_by(server, &request)
    {
        return Ok(caller.clone());
    }
    if let Some(StaleCaller(caller)) = parts.extensions.get::<StaleCaller>()
        && caller.was_admitted_by(server, &request)
    {
        let serves = caller.serves(demand).then(|| caller.clone());
        return serves.ok_or_else(|| AccessRejection::new(server, AccessError::RevocationsStale));
    }
    match server.authenticate_for(&request, demand).await {
        Ok(caller) => {
            if caller.is_stale() {
                parts.extensions.insert(StaleCaller(caller.clone()));
            } else {
                parts.extensions.insert(caller.clone());
            }
            Ok(caller)
        }
        Err(error) => Err(AccessRejection::new(server, error)),
    }
}

/// Lets in only requests that prove their key, and leaves the [`Caller`] in their extensions.
///
/// Scopes are for the handlers to demand, by [`Scoped`]. Put a CORS layer outside of this one:
/// browsers send preflight requests without credentials.
///
/// While the view of revocations is too old it refuses everything, for it cannot know what the
/// handlers behind it do; [`ResourceLayer::staleness_by_scope`] leaves that to them.
#[derive(Clone, Debug)]
pub struct ResourceLayer {
    server: ResourceServer,
    demand: Demand,
}

impl ResourceLayer {
    /// The layer of this server.
    pub const fn new(server: ResourceServer) -> Self {
        Self { server, demand: Demand::Anything }
    }

    /// Lets requests on while the view of revocations is too old, if their token has one of the
    /// scopes of [`open_when_stale`](super::ResourceConfig::open_when_stale).
    ///
    /// Only for routes whose every handler demands a scope by [`Scoped`]: an extractor that demands
    /// one that is not open, or none, refuses then, and no [`Caller`] is found in the extensions. A
    /// handler that asks for nobody runs.
    #[must_use]
    pub const fn staleness_by_scope(mut self) -> Self {
        self.demand = Demand::SaidLater;
        self
    }
}

impl<S> Layer<S> for ResourceLayer {
    type Service = ResourceService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ResourceService { server: self.server.clone(), demand: self.demand, inner }
    }
}

/// What [`ResourceLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct ResourceService<S> {
    server: ResourceServer,
    demand: Demand,
    inner: S,
}

impl<S, B> Service<Request<B>> for ResourceService<S>
where
    S: Service<Request<B>> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was found ready is the one to call; its clone need not be.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let (server, demand) = (self.server.clone(), self.demand);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let caller = match caller_of(&server, &mut parts, demand).await {
                Ok(caller) => caller,
                Err(rejection) => return Ok(rejection.into_response()),
            };
            let answer = inner.call(Request::from_parts(parts, body)).await?;
            Ok(renew_nonce(&server, &caller, answer.into_response()))
        })
    }
}

/// Hands out the next nonce with the answer, before the client's own one ends (RFC 9449 §8.2).
fn renew_nonce(server: &ResourceServer, caller: &Caller, mut answer: Response) -> Response {
    if caller.wants_nonce()
        && !answer.headers().contains_key(DPOP_NONCE)
        // Without one the client meets use_dpop_nonce once; that is no reason to fail here.
        && let Ok(nonce) = server.fresh_nonce(server.0.clock.now())
    {
        insert_nonce(answer.headers_mut(), &nonce);
    }
    answer
}

/// Extractor: the request was signed by the key that its token is bound to. Demands no scope, and so
/// a current view of revocations.
#[derive(Clone, Debug)]
pub struct Authenticated(Caller);

impl Authenticated {
    /// The caller.
    pub fn into_caller(self) -> Caller {
        self.0
    }
}

impl Deref for Authenticated {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl<T> FromRequestParts<T> for Authenticated
where
    T: Send + Sync,
    ResourceServer: FromRef<T>,
{
    type Rejection = AccessRejection;

    async fn from_request_parts(parts: &mut Parts, state: &T) -> Result<Self, Self::Rejection> {
        let server = ResourceServer::from_ref(state);
        caller_of(&server, parts, Demand::Anything).await.map(Self)
    }
}

/// A scope as a type, for [`Scoped`]. [`required_scope!`](crate::required_scope) declares one.
pub trait RequiredScope: Send + Sync + 'static {
    /// The scope, as tokens write it.
    const SCOPE: &'static str;
}

/// Declares scopes as types: `required_scope!(pub EscrowRelease = "escrow:release");`
#[macro_export]
macro_rules! required_scope {
    ($($(#[$meta:meta])* $visibility:vis $name:ident = $scope:literal);+ $(;)?) => {
        $(
            $(#[$meta])*
            #[doc = concat!("The scope `", $scope, "`.")]
            #[derive(Clone, Copy, Debug)]
            $visibility struct $name;

            impl $crate::resource::RequiredScope for $name {
                const SCOPE: &'static str = $scope;
            }
        )+
    };
}

/// Extractor: as [`Authenticated`], and the token has the scope `S`.
pub struct Scoped<S> {
    caller: Caller,
    scope: PhantomData<S>,
}

impl<S> Scoped<S> {
    /// The caller.
    pub fn into_caller(self) -> Caller {
        self.caller
    }
}

impl<S> Deref for Scoped<S> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<S: RequiredScope> fmt::Debug for Scoped<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scoped({}, {:?})", S::SCOPE, self.caller)
    }
}

impl<S, T> FromRequestParts<T> for Scoped<S>
where
    S: RequiredScope,
    T: Send + Sync,
    ResourceServer: FromRef<T>,
{
    type Rejection = AccessRejection;

    async fn from_request_parts(parts: &mut Parts, state: &T) -> Result<Self, Self::Rejection> {
        let server = ResourceServer::from_ref(state);
        let caller = caller_of(&server, parts, Demand::Scope(S::SCOPE)).await?;
        match caller.require(S::SCOPE) {
            Ok(()) => Ok(Self { caller, scope: PhantomData }),
            Err(error) => Err(AccessRejection::new(&server, error)),
        }
    }
}

impl ResourceServer {
    /// The tower layer of this server.
    pub fn layer(&self) -> ResourceLayer {
        ResourceLayer::new(self.clone())
    }

    /// A router with the resource's metadata at its well-known path (RFC 9728 §3), open to all.
    /// Merge it outside of the layer.
    pub fn metadata_router<T: Clone + Send + Sync + 'static>(&self) -> Router<T> {
        let document = self.protected_resource_metadata();
        let serve = move || async move {
            let headers = [
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "max-age=300"),
                (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            ];
            Ok::<_, Infallible>((headers, document))
        };
        // A resource's path may have segments that axum once read as parameters.
        let router = Router::new().without_v07_checks();
        router.route(&self.metadata_path(), get(serve))
    }
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "layer_stale_tests.rs"]
mod stale_tests;
