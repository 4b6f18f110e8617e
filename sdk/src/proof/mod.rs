//! Proofs of possession, made and checked: what turns a copied token into waste paper.
//!
//! | file | decides |
//! |---|---|
//! | `jws` | what a compact JWS is, and which header members end its reading |
//! | [`dpop`] | RFC 9449 proofs: the numbered checks, and how one is made |
//! | [`target_uri`] | when two spellings of a URI are the same `htu` |
//! | [`nonce`] | server nonces that cost no memory |
//! | [`replay`] | the one atomic verb by which a proof is used up |

pub mod dpop;
pub(crate) mod jws;
pub mod jwt_assertion;
pub mod nonce;
pub mod replay;
pub mod target_uri;

pub use jws::JwsError;
