//! Countersign: prove a key, get a token that only that key can use.

pub mod keyring;
pub mod model;
pub mod store;
pub mod wallet;
