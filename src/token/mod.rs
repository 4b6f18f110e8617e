//! What the issuer hands out: access tokens, refresh tokens, and the nonces inside challenges.

pub mod access;
pub mod nonce;
pub mod refresh;
