//! Countersign: prove a key, get a token that only that key can use.

pub mod config;
pub mod keyring;
pub mod model;
pub mod store;
