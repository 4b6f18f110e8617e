//! What the issuer hands out: access tokens, and the nonces inside challenges.

pub mod access;
pub mod nonce;
