//! What the issuer says of itself to everybody: its metadata (RFC 8414), written once, and its keys (RFC 7517).

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use countersign_sdk::key::Algorithm;
use serde::Serialize;

use super::error::ErrorAnswer;
use super::introspect::METHODS;
use super::router::AppState;
use super::token::GRANTS;
use crate::keyring::plan::JWKS_MAX_AGE;
use crate::model::resource::{KnownScopes, Resources};
use crate::service::context::Context;
use crate::token::jws::away;
use crate::wallet::policy::AllowedChains as _;
use crate::wallet::registry;

/// What assertions are signed with: the algorithms of the keys that a `did:key` of ours can name.
const ASSERTION_ALGORITHMS: [&str; 3] =
    [Algorithm::EdDsa.name(), Algorithm::Ed25519.name(), Algorithm::Es256k.name()];

/// The documents that do not change, written once at the start.
#[derive(Debug)]
pub struct Documents {
    metadata: Bytes,
}

#[derive(Serialize)]
struct MessageFormat {
    name: &'static str,
    namespaces: &'static [&'static str],
    curves: Vec<&'static str>,
    /// Whether `/challenge` answers with a `payload`, and whether `/token` needs `public_key`.
    #[serde(skip_serializing_if = "is_false")]
    payload: bool,
    #[serde(skip_serializing_if = "is_false")]
    public_key: bool,
    /// Whether the wallet may answer the issuer by itself: then `account` may be left out at
    /// `/challenge`, and `signature` at `/token`.
    #[serde(skip_serializing_if = "is_false")]
    call_back: bool,
    /// The chains (CAIP-2) of which accounts that are no key are taken as well: contracts, and names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    on_chain_accounts: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    jwks_uri: String,
    token_endpoint: String,
    challenge_endpoint: String,
    nonce_endpoint: String,
    sessions_endpoint: String,
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    revocation_feed_endpoint: String,
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    introspection_endpoint_auth_signing_alg_values_supported: [&'static str; 3],
    grant_types_supported: [&'static str; 3],
    response_types_supported: [&'static str; 0],
    token_endpoint_auth_methods_supported: [&'static str; 1],
    dpop_signing_alg_values_supported: [&'static str; 4],
    message_formats_supported: Vec<MessageFormat>,
    /// The account that signs the transactions of `sep10`.
    stellar_signing_key: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    protected_resources: Vec<&'a str>,
}

impl Documents {
    /// Writes the documents of an issuer.
    ///
    /// # Errors
    /// Of the JSON encoder.
    pub fn of(context: &Context) -> Result<Self, serde_json::Error> {
        let issuer = &context.issuer.url;
        let at = |path: &str| format!("{issuer}{path}");
        let (scopes_supported, protected_resources) = listed(&context.rules.resources);
        let message_formats_supported = registry::FORMATS
            .iter()
            .map(|format| MessageFormat {
                name: format.name(),
                namespaces: format.accounts().namespaces(),
                curves: format.curves().iter().map(|curve| curve.name()).collect(),
                payload: format.has_payload(),
                public_key: format.needs_public_key(),
                call_back: format.whoever_answers().is_some(),
                on_chain_accounts: chains_of(format.accounts().namespaces(), context),
            })
            .collect();
        let metadata = Metadata {
            issuer,
            jwks_uri: at("/.well-known/jwks.json"),
            token_endpoint: at("/token"),
            challenge_endpoint: at("/challenge"),
            nonce_endpoint: at("/nonce"),
            sessions_endpoint: at("/sessions"),
            revocation_endpoint: at("/revoke"),
            revocation_endpoint_auth_methods_supported: ["none"],
            revocation_feed_endpoint: at("/revocations"),
            introspection_endpoint: at("/introspect"),
            introspection_endpoint_auth_methods_supported: METHODS,
            introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
            grant_types_supported: GRANTS,
            response_types_supported: [],
            token_endpoint_auth_methods_supported: ["none"],
            dpop_signing_alg_values_supported: Algorithm::ALL.map(Algorithm::name),
            message_formats_supported,
            stellar_signing_key: context.stellar.account(),
            scopes_supported,
            protected_resources,
        };
        Ok(Self { metadata: serde_json::to_vec(&metadata)?.into() })
    }
}

/// The chains of these namespaces that are asked about accounts, where any resource takes such.
fn chains_of(namespaces: &[&str], context: &Context) -> Vec<String> {
    let taken = match &context.rules.resources {
        Resources::AnyLoopback(rules) => rules.on_chain.taken,
        Resources::Listed(list) => list.iter().any(|resource| resource.rules.on_chain.taken),
    };
    let asked = context.nodes.chains().filter(|chain| {
        taken && namespaces.contains(&chain.namespace()) && context.rules.chains.allows(chain)
    });
    let mut chains: Vec<String> = asked.map(ToString::to_string).collect();
    chains.sort();
    chains
}

/// Scopes and URIs of the configured resources; none in development, where any will do.
fn listed(resources: &Resources) -> (Vec<String>, Vec<&str>) {
    let Resources::Listed(list) = resources else {
        return (Vec::new(), Vec::new());
    };
    let mut scopes: Vec<String> = list
        .iter()
        .filter_map(|resource| match &resource.rules.scopes {
            KnownScopes::Listed(scopes) => Some(scopes),
            KnownScopes::Any => None,
        })
        .flat_map(|scopes| scopes.iter().map(ToString::to_string))
        .collect();
    scopes.sort();
    scopes.dedup();
    (scopes, list.iter().map(|resource| resource.uri.as_str()).collect())
}

/// `GET /.well-known/oauth-authorization-server`.
pub(crate) async fn metadata(State(state): State<AppState>) -> Response {
    document(state.documents.metadata.clone(), "application/json")
}

/// `GET /.well-known/jwks.json`.
pub(crate) async fn jwks(State(state): State<AppState>) -> Response {
    let view = state.context.keyring.view(state.context.now());
    if view.published().is_none() {
        return ErrorAnswer::from(away()).into_response();
    }
    document(view.jwks(), "application/jwk-set+json")
}

fn document(body: Bytes, media_type: &'static str) -> Response {
    let cache = HeaderValue::try_from(format!("public, max-age={JWKS_MAX_AGE}, must-revalidate"));
    let cache = cache.unwrap_or(HeaderValue::from_static("no-store"));
    (
        [
            (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
            (header::CACHE_CONTROL, cache),
        ],
        body,
    )
        .into_response()
}
