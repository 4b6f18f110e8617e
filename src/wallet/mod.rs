//! How a wallet or a raw key proves itself: the texts it signs, and the one place that judges them.
//!
//! | file | decides |
//! |---|---|
//! | [`caip122`] | whether bytes are a sign-in text, and what it says |
//! | [`recap`] | what a text grants, and whether the person could read it |
//! | [`format`](mod@format) | what a message format has to answer; the proof that a key signed |
//! | [`on_chain`] | what is left to be asked of the account's chain |
//! | [`siwe`], [`siws`], [`key`], [`bip322`], [`bip137`], [`tip191`], [`adr36`], [`nostr`], [`sha256`], [`sui`], [`aptos`], [`nep413`], [`sep53`], [`sep10`], [`lnurl`], [`ssh`], [`ton`] | one format each: accounts, hashes, signatures |
//! | [`accounts`] | what the accounts of a namespace are; each format names some |
//! | `chain_account` | how the accounts of most chains stand in a text |
//! | `bitcoin` | the accounts that two formats share |
//! | [`envelope`] | the off-chain envelopes that Solana hardware wallets sign |
//! | `network` | which chains a namespace has, and how its accounts are named |
//! | [`registry`] | which formats there are |
//! | [`policy`] | whether a text is one that this issuer expects, now |
//!
//! To add a format, write one file with a `WalletFormat` and add a line to [`registry::FORMATS`].

pub mod accounts;
pub mod adr36;
pub mod aptos;
pub mod bip137;
pub mod bip322;
mod bitcoin;
pub mod caip122;
mod chain_account;
pub mod envelope;
pub mod format;
pub mod key;
pub mod lnurl;
pub mod nep413;
mod network;
pub mod nostr;
pub mod on_chain;
pub mod policy;
pub mod recap;
pub mod registry;
#[cfg(test)]
mod samples;
pub mod sep10;
pub mod sep53;
pub mod sha256;
pub mod siwe;
pub mod siws;
pub mod ssh;
pub mod sui;
pub mod tip191;
pub mod ton;
