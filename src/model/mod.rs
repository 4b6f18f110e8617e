//! Plain values that every floor above uses: reasons for a refusal, scopes, what a resource allows, sessions and what ends them.

pub mod domain;
pub mod reason;
pub mod resource;
pub mod revocation;
pub mod scope;
pub mod session;
