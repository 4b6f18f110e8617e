//! HTTP: where a request goes, what it must look like, and how an answer is written.
//!
//! | file | decides |
//! |---|---|
//! | [`router`] | which path leads where: the table |
//! | [`extract`] | sizes, content types, repeated fields and parameters |
//! | [`error`] | status and OAuth error of each reason; the only place with status codes |
//! | [`layers`] | CORS, request limits, the security headers of every answer |
//! | [`serve`] | connections: time-outs, bounds, draining |
//! | `challenge`, `nonce`, `token`, `metadata`, `health` | one endpoint each |

pub mod challenge;
pub mod error;
pub mod extract;
pub mod health;
pub mod layers;
pub mod metadata;
pub mod nonce;
pub mod router;
pub mod serve;
pub mod token;
