//! The one integration binary: flows through HTTP on a free port, with a clock that stands still.
//!
//! | module | shows |
//! |---|---|
//! | `support` | a server, a wallet and an agent, made of other libraries than the server's own verifiers |
//! | `flows` | each grant and format, from challenge to token |
//! | `signed_in` | somebody with a session, and what they ask for |
//! | `refresh`, `sessions` | how a session goes on, is shown and ends |
//! | `revoke`, `feed`, `introspect` | what ends a token, and how resource servers learn of it |
//! | `refusals` | each refusal with its own reason, and that a refusal burns nothing |
//! | `races` | of many at once exactly one |
//! | `edges` | garbage, limits, CORS, health, draining |
//! | `command_line` | that `login`, `call` and `inspect` withstand hostile servers and lost readers |
//! | `client` | the SDK's client against this server and an API behind the SDK's extractors |
//! | `vectors` | every published case, answered as it expects |
//! | `architecture` | that no arrow points up, and that the documents keep up with the code |

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends by panicking"
)]

mod architecture;
mod client;
mod command_line;
mod conformance;
mod edges;
mod feed;
mod flows;
mod introspect;
mod races;
mod refresh;
mod refusals;
mod revoke;
mod sessions;
mod signed_in;
mod support;
mod vectors;
