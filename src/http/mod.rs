//! HTTP: where a request goes, what it must look like, and how an answer is written.
//!
//! | file | decides |
//! |---|---|
//! | [`router`] | which path leads where: the table |
//! | [`extract`] | sizes, content types, repeated fields and parameters |
//! | `credentials`, [`basic`] | which access token and proof, or which user and secret, a request brings |
//! | [`error`] | status and OAuth error of each reason; the only place with status codes |
//! | [`layers`] | CORS, request limits, the security headers of every answer |
//! | [`admin`] | what operators ask for, on the operations listener |
//! | [`work`] | that what has begun is finished |
//! | [`serve`] | connections: time-outs, bounds, draining |
//! | `challenge`, `nonce`, `token`, `sessions`, `revoke`, `introspect`, `revocations`, `lnurl`, `metadata`, `health` | one endpoint each |

pub mod admin;
pub mod basic;
pub mod challenge;
mod credentials;
pub mod error;
pub mod extract;
pub mod health;
pub mod introspect;
pub mod layers;
mod lnurl;
pub mod metadata;
pub mod nonce;
pub mod revocations;
pub mod revoke;
pub mod router;
pub mod serve;
pub mod sessions;
pub mod token;
pub mod work;
