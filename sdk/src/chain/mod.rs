//! What the wallets of a chain call an account, and the bytes that they sign for a text.
//!
//! Whoever signs and whoever checks need the same addresses and the same digests, so they stand
//! here once; which encodings of a signature are taken, and for whom, is for the server to say.
//!
//! | file | decides |
//! |---|---|
//! | [`base58check`], [`hash`] | what addresses are spelled in and made of |
//! | [`bitcoin`] | addresses of one key, and their scripts |
//! | [`bip322`], [`bip137`] | the two ways in which Bitcoin wallets sign a text |
//! | [`sui`], [`aptos`], [`near`], [`stellar`] | accounts and digests of these chains |
//! | [`stellar_challenge`] | the transaction by which a Stellar account signs in, and `xdr`, what it is written in |
//! | [`ton`], [`ton_cell`] | the same for TON, whose addresses are hashes of trees of cells |
//! | `checksum` | the checks of addresses and cells against a slip of the pen |
//! | [`sshsig`] | what `ssh-keygen -Y sign` signs and writes |
//! | [`tron`], [`cosmos`], [`nostr`], [`lnurl`] | addresses or events, and what is signed |

pub mod aptos;
pub mod base58check;
pub mod bip137;
pub mod bip322;
pub mod bitcoin;
mod checksum;
pub mod cosmos;
pub mod hash;
pub mod lnurl;
pub mod near;
pub mod nostr;
pub mod sshsig;
pub mod stellar;
pub mod stellar_challenge;
pub mod sui;
pub mod ton;
pub mod ton_cell;
pub mod tron;
mod xdr;
