//! Plain values that every floor above uses: reasons for a refusal, scopes, what a resource allows and who may ask about it, operators, sessions and what ends them.

pub mod domain;
pub mod introspection;
pub mod operator;
pub mod reason;
pub mod resource;
pub mod revocation;
pub mod scope;
pub mod session;
