//! Plain values that every floor above uses: reasons for a refusal, and scopes.

pub mod reason;
pub mod scope;
