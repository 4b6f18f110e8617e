//! Countersign: prove a key, get a token that only that key can use.
//!
//! A request falls through the floors in this order, and no arrow points up:
//!
//! | floor | decides |
//! |---|---|
//! | [`app`], [`cli`] | what is put together, and what a person types |
//! | [`control`] | what whoever runs the server can ask it |
//! | [`http`] | where a request goes ([`http::router`] is the table), and what an error looks like |
//! | [`service`] | the use cases, step by step |
//! | [`token`] | what is handed out, and what must be shown before |
//! | [`store`], [`limit`], [`audit`] | what outlives a request, how much is taken, and what is recorded |
//! | [`wallet`], [`keyring`] | what was signed, and what signs tokens |
//! | [`rpc`] | what only an account's chain knows, asked of its nodes |
//! | [`model`] | reasons, scopes, resources, sessions, revocations |
//!
//! Beside the floors stands [`vectors`], which judges published test cases with them.
//!
//! Keys, proofs and time stand in `countersign-sdk`, which clients and resource servers use too.

pub mod app;
pub mod audit;
mod batch;
pub mod cli;
pub mod config;
pub mod control;
pub mod http;
pub mod keyring;
pub mod limit;
pub mod model;
pub mod rpc;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod token;
pub mod vectors;
pub mod wallet;
