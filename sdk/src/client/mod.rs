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
//! | [`sign_in`] | what a sign-in asks for, which key signs requests, whether it is kept |
//! | `grant` | what is asked of the token endpoint: a signed challenge, an assertion, a refresh |
//! | [`token`] | the tokens as the client keeps them |
//! | [`session`] | when a caller gets which token |
//! | `renewal` | how a token is renewed: what was kept, the refresh token, a new proof |
//! | [`kept`], [`store`] | what is kept of a session between two runs, and what a place for it must do |
//! | [`file_store`], [`private_file`] | that place as a folder, and files that are their owner's alone |
//! | [`resume`], `log_out` | how a kept session is taken up, and how one is ended |
//! | [`subject_sessions`] | the subject's sessions at the issuer |
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
#[cfg(test)]
mod double_issuer;
pub mod error;
pub mod file_store;
mod grant;
pub mod http;
mod in_memory;
pub mod kept;
mod log_out;
pub mod private_file;
mod recap;
mod renewal;
pub mod request;
pub mod resume;
pub mod session;
pub mod sign_in;
pub mod store;
pub mod subject_sessions;
pub mod token;
pub mod wallet;

pub use address::Address;
pub use error::{ClientError, ServerRefusal};
pub use file_store::FileSessionStore;
pub use http::Http;
pub use in_memory::{InMemoryWallet, WalletKeyError};
pub use kept::{KeptKey, KeptSession};
pub use request::{Client, Response};
pub use resume::Resuming;
pub use session::Session;
pub use sign_in::SignIn;
pub use store::{SessionName, SessionStore, StoreError};
pub use subject_sessions::SubjectSession;
pub use token::{AccessToken, RefreshToken, Token};
pub use wallet::{ToSign, Wallet};
