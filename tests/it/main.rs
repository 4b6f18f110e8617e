//! The one integration binary: flows through HTTP on a free port, with a clock that stands still.
//!
//! | module | shows |
//! |---|---|
//! | `support` | a server, a wallet and an agent, made of other libraries than the server's own verifiers |
//! | `flows` | each grant and format, from challenge to token |
//! | `wallets` | every message format from challenge to token, and each way in which it gets none |
//! | `lightning` | that a wallet answers by its call-back, and only whoever asked comes for the token |
//! | `signed_in` | somebody with a session, and what they ask for |
//! | `refresh`, `sessions` | how a session goes on, is shown and ends |
//! | `revoke`, `feed`, `introspect` | what ends a token, and how resource servers learn of it |
//! | `contracts` | accounts that their chain is asked about, before a node that is told what to say |
//! | `refusals` | each refusal with its own reason, and that a refusal burns nothing |
//! | `races` | of many at once exactly one |
//! | `lost_answers` | that lost, late and doubled answers log nobody out, and that reuse is found; `lossy` loses them |
//! | `crash` | that whatever was answered outlives `kill -9`, and nothing used is taken again; `process` and `wire_client` help |
//! | `audit` | that what is decided is recorded, outlives `kill -9`, and can be proven to others |
//! | `hygiene` | that no credential reaches a log, a record or what the system tells of the process |
//! | `disk` | what a full disk does, and `countersign store` beside a running server |
//! | `edges` | garbage, limits, CORS, health, draining |
//! | `operators`, `operator_refusals` | what operators do from afar, and each way in which they are refused and recorded; `schema` reads the document |
//! | `revoked_calls` | that an API refuses what was revoked, also when the server is gone |
//! | `command_line` | that `login`, `call` and `inspect` withstand hostile servers and lost readers |
//! | `command_admin` | what operators do from the command line, as processes |
//! | `command_sessions` | that kept sessions renew, are shared by processes, listed and ended |
//! | `client` | the SDK's client against this server and an API behind the SDK's extractors |
//! | `introspected_calls` | that an API that asks at every call knows at once, and one that starts late knows too |
//! | `client_sessions` | that its sessions go on, survive lost answers, and end |
//! | `keys` | that keys rotate under load, are revoked, and outlive a restart |
//! | `key_process` | that a ring outlives `kill -9` and full disks, and `countersign keys` beside a server and without one |
//! | `vectors` | every published case, answered as it expects |
//! | `architecture` | that no arrow points up, and that the documents keep up with the code |

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends by panicking"
)]

mod architecture;
mod audit;
mod client;
mod client_sessions;
mod command_admin;
mod command_line;
mod command_sessions;
mod conformance;
mod contracts;
mod crash;
mod disk;
mod edges;
mod feed;
mod flows;
mod hygiene;
mod introspect;
mod introspected_calls;
mod key_process;
mod keys;
mod lightning;
mod lossy;
mod lost_answers;
mod operator_refusals;
mod operators;
mod process;
mod races;
mod refresh;
mod refusals;
mod revoke;
mod revoked_calls;
mod schema;
mod sessions;
mod signed_in;
mod support;
mod vectors;
mod wallets;
mod wire_client;
