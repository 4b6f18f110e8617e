//! Plain values that every floor above uses: reasons for a refusal, scopes, and what a resource allows.

pub mod domain;
pub mod reason;
pub mod resource;
pub mod scope;
