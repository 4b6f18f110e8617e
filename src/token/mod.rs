//! What the issuer hands out: access tokens, refresh tokens, signed documents, and the nonces inside challenges.

pub mod access;
pub(crate) mod jws;
pub mod nonce;
pub mod refresh;
pub mod verify;
