//! What the wallets of a chain call an account, and the bytes that they sign for a text.
//!
//! Whoever signs and whoever checks need the same addresses and the same digests, so they stand
//! here once; which encodings of a signature are taken, and for whom, is for the server to say.
//!
//! | file | decides |
//! |---|---|
//! | [`sui`], [`aptos`], [`near`], [`stellar`] | accounts and digests of these chains |
//! | [`sshsig`] | what `ssh-keygen -Y sign` signs and writes |

pub mod aptos;
pub mod near;
pub mod sshsig;
pub mod stellar;
pub mod sui;
