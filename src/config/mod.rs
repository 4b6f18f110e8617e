//! The configuration decides what a server is before it binds a port: every value it starts from, or every reason why not.
//!
//! Top to bottom: [`load`] merges what was written (file < environment < flags; `raw` values remember where they
//! stood), `validate` reads each through the one table of keys in `keys` and checks what spans several, and
//! [`Settings`] are the plain types that come out. A fault never hides another: all are listed together, each with its
//! place, what was found and what is accepted.
//!
//! To add a key: a row in `keys/`, a field in `settings.rs`, a line in `validate.rs`, then
//! `countersign check --print-config-doc > docs/CONFIG.md`. What one value must look like is a shape, in `shape/`.
//!
//! The configuration imports the house; nothing below imports the configuration. `app.rs` hands the settings on.

pub mod doc;

mod custody;
mod fault;
mod keys;
mod load;
mod operators;
mod raw;
mod reader;
mod resource;
mod rpc;
mod settings;
mod shape;
mod suggest;
mod validate;
mod written;

#[cfg(test)]
mod tests;

pub use fault::{Fault, Faults, Source};
pub use load::{Flags, load, process_environment};
pub use settings::{
    AuditSettings, Binding, CustodySettings, DomainPolicy, DpopSettings, Issuer, KeySettings,
    Limits, LogFormat, LogSettings, Mode, Operator, Resource, ResourcePolicy, ResourceRules,
    RpcSettings, ScopeRule, SecretUrl, Settings, SigningAlgorithm, StoreSettings,
};
