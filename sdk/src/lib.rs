//! Keys, proofs, a signing client and a resource-server layer for Countersign's key-bound tokens.
//!
//! What more than one party needs stands here once, and both sides of a proof – making and
//! checking – stand beside each other:
//!
//! | module | holds |
//! |---|---|
//! | [`account`] | CAIP-2 chains, CAIP-10 accounts, `did:pkh` and `did:key` subjects |
//! | [`key`] | public keys of the three curves, JWK, thumbprints, `did:key`, signers |
//! | `chain` | feature `client`: the addresses of each chain, and what its wallets sign |
//! | [`proof`] | compact JWS, DPoP (RFC 9449), server nonces, the replay verb |
//! | [`time`], [`entropy`] | the clock and the randomness, as arguments |
//! | `client` | feature `client` (default): sign in, renew, sign each request |
//! | `resource` | feature `resource-server`: tower layer and axum extractor over pure checks |

pub mod account;
#[cfg(feature = "client")]
pub mod chain;
#[cfg(feature = "client")]
pub mod client;
pub mod entropy;
mod json;
pub mod key;
pub mod proof;
#[cfg(feature = "resource-server")]
pub mod resource;
pub mod time;
