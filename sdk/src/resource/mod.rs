//! Protecting an API: who may call it, decided by pure checks, worn as a tower layer and axum extractors.
//!
//! A token is worth nothing without its key, so every request proves the key again. In the order
//! in which a request meets them:
//!
//! | file | decides |
//! |---|---|
//! | `config`, `policy`, `assembly` | what the resource is and demands: [`ResourceConfig`]; which settings are right; the server of them |
//! | `layer` | where the checks stand: a tower layer, axum extractors |
//! | `check` | whether a request is let in: the numbered checks, and the only way to a [`Caller`] |
//! | `credentials` | what a request brings: one token, one scheme, at most one proof |
//! | `token`, `claims` | whether a text is an access token of our issuer, for us, now (RFC 9068), and what it says |
//! | `jwks` | which of the issuer's published keys are ours to use (RFC 7517) |
//! | `jwks_cache` | when keys are fetched again, and how long old ones serve |
//! | `jwks_source` | where they come from |
//! | `jwks_told` | which of them are used, after what the feed said of keys |
//! | `issuer` | how the issuer is asked: its metadata, its endpoints on its own origin (RFC 8414) |
//! | `signature` | whether another document was signed by one of the issuer's keys |
//! | `nonce` | this server's own nonces (RFC 9449 §9) |
//! | `standing`, `revocation` | whether the token was revoked since, and what goes on while nobody knows |
//! | `introspection` | whether the issuer says, now, that the token is live (RFC 7662) |
//! | `error`, `challenge_header` | what a refused caller is told (RFC 9449 §7.1) |
//! | `metadata` | what the resource says of itself (RFC 9728) |
//! | `used_proofs` | where used proofs are remembered, how long, and one key's share |
//! | `server` | what all of these share |
//!
//! ```no_run
//! use axum::{Router, routing::post};
//! use countersign_sdk::resource::{ResourceConfig, Scoped};
//!
//! countersign_sdk::required_scope!(Release = "escrow:release");
//!
//! async fn release(caller: Scoped<Release>) -> String {
//!     format!("released by {}", caller.sub())
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ResourceConfig::new("https://auth.example", "https://escrow.example").build()?;
//! let app: Router = Router::new().route("/release", post(release)).with_state(server);
//! # Ok(())
//! # }
//! ```

mod assembly;
mod challenge_header;
mod check;
mod claims;
mod config;
mod credentials;
mod error;
#[cfg(test)]
#[path = "fixture_tests.rs"]
mod fixture;
mod introspection;
mod issuer;
#[cfg(test)]
#[path = "issuer_double_tests.rs"]
mod issuer_double;
mod jwks;
mod jwks_cache;
mod jwks_source;
mod jwks_told;
mod layer;
mod layer_introspection;
mod metadata;
mod nonce;
mod policy;
mod revocation;
mod server;
mod signature;
mod standing;
mod token;
mod used_proofs;

pub use check::{Caller, RequestHead};
pub use claims::{AccessToken, ProvenKey};
pub use config::ResourceConfig;
pub use error::AccessError;
pub use jwks::{IssuerKeys, IssuerKeysError, MAX_ARCHIVE_BYTES, MAX_JWKS_BYTES};
pub use jwks_cache::{JwksCache, KeyCachePolicy, KeysUnavailable};
pub use jwks_source::{FetchError, FetchedKeys, FixedKeys, IssuerEndpoint, KeySource};
pub use layer::{
    AccessRejection, Authenticated, RequiredScope, ResourceLayer, ResourceService, Scoped,
};
pub use layer_introspection::Introspected;
pub use policy::ConfigErrors;
pub use revocation::{
    FeedAnswer, FeedError, IssuerFeed, MAX_FEED_BYTES, RevocationEntry, RevocationSource,
    RevocationStatus,
};
pub use server::ResourceServer;
pub use signature::verify_jws;
pub use token::{ExpectedToken, MAX_TOKEN_BYTES, TokenError, VerifiedToken, verify_access_token};
