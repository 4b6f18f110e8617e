//! The signing client: prove a key, hold the token, and sign every request that carries it.
//!
//! | file | decides |
//! |---|---|
//! | [`address`] | which URLs credentials may travel to |
//! | [`http`] | one exchange: time-outs, size caps, each server's clock and nonces |
//! | [`discovery`] | what an issuer offers, and that it is the one that was asked |
//! | [`wallet`] | what a wallet is; `in_memory` holds those that live in this process |
//! | [`challenge`] | whether a text may be shown to the wallet for its signature |
//! | `recap` | what it would grant, and the sentence that says so |
//! | [`sign_in`] | the two ways to a token: a signed challenge, an agent's assertion |
//! | [`token`] | the token as the client keeps it |
//! | [`session`] | when a token is renewed, and by whom |
//! | [`request`] | a protected call: token, proof, and the three retries that are safe |
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use countersign_sdk::client::{Client, ClientError, SignIn};
//! # use countersign_sdk::key::{Curve, InMemorySigner};
//! # use countersign_sdk::entropy::OsEntropy;
//! # async fn pay() -> Result<(), Box<dyn std::error::Error>> {
//! let key = Arc::new(InMemorySigner::generate(Curve::Ed25519, &OsEntropy)?);
//! let session = SignIn::new("https://auth.example")
//!     .resource("https://escrow.example")
//!     .scope("escrow:create")
//!     .agent(key)
//!     .await?;
//! let client = Client::new(session);
//! let answer = client.request("POST", "https://escrow.example/escrows")
//!     .json(r#"{"amount":1000}"#)
//!     .send()
//!     .await?;
//! # Ok(()) }
//! ```

pub mod address;
pub mod challenge;
pub mod discovery;
#[cfg(test)]
mod double;
pub mod error;
pub mod http;
mod in_memory;
mod recap;
pub mod request;
pub mod session;
pub mod sign_in;
pub mod token;
pub mod wallet;

pub use address::Address;
pub use error::{ClientError, ServerRefusal};
pub use http::Http;
pub use in_memory::{InMemoryWallet, WalletKeyError};
pub use request::{Client, Response};
pub use session::Session;
pub use sign_in::SignIn;
pub use token::{AccessToken, Token};
pub use wallet::{ToSign, Wallet};
