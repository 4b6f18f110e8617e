//! The one integration binary: flows through HTTP on a free port, with a clock that stands still.
//!
//! | module | shows |
//! |---|---|
//! | `support` | a server, a wallet and an agent, made of other libraries than the server's own verifiers |
//! | `flows` | each grant and format, from challenge to token |
//! | `wallets` | every message format from challenge to token, and each way in which it gets none |
//! | `refusals` | each refusal with its own reason, and that a refusal burns nothing |
//! | `races` | of many at once exactly one |
//! | `lost_answers` | that lost, late and doubled answers log nobody out, and that reuse is found; `lossy` loses them |
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
mod flows;
mod lossy;
mod lost_answers;
mod races;
mod refusals;
mod support;
mod vectors;
mod wallets;
