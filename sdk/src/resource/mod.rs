//! Protecting an API: who may call it, decided by pure checks, worn as a tower layer and axum extractors.
//!
//! A token is worth nothing without its key, so every request proves the key again. In the order
//! in which a request meets them:
//!
//! | file | decides |
//! |---|---|
//! | `token` | whether a text is an access token of our issuer, for us, now (RFC 9068, RFC 8725) |
//! | `claims` | what an access token says |
//! | `signature` | whether any other JWS is by one of the issuer's keys (RFC 7515) |
//! | `jwks` | which of the issuer's published keys are ours to use (RFC 7517) |
//! | `jwks_cache` | when keys are fetched again, and how long old ones serve |
//! | `jwks_source` | where they come from: the issuer's metadata, on its own origin (RFC 8414) |

mod claims;
mod jwks;
mod signature;
mod jwks_cache;
mod jwks_source;
mod token;

pub use claims::{AccessToken, ProvenKey};
pub use jwks::{IssuerKeys, IssuerKeysError, MAX_JWKS_BYTES};
pub use signature::verify_jws;
pub use jwks_cache::{JwksCache, KeyCachePolicy, KeysUnavailable};
pub use jwks_source::{FetchError, FetchedKeys, FixedKeys, IssuerEndpoint, KeySource};
pub use token::{ExpectedToken, MAX_TOKEN_BYTES, TokenError, VerifiedToken, verify_access_token};
