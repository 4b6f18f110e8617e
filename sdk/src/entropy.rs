//! Randomness as a value that is handed in, so that tests can repeat what they saw.
//!
//! This file holds the workspace's only call of the operating system's generator.

use std::fmt;

/// The operating system gave no random bytes. Nothing may be issued without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct EntropyError;

/// Gives random bytes that nobody can foresee.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills all of `out`.
    ///
    /// # Errors
    /// [`EntropyError`] when the source failed; `out` must then not be used.
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError>;
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(out).map_err(|_| EntropyError)
    }
}
