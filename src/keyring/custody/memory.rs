//! Keys in this process's memory, which end with it: for development.

use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{Algorithm, InMemorySigner};

use super::{Custody, CustodyError, Made};
use crate::keyring::key::SigningKey;
use crate::keyring::ring::Entry;

/// Keeps nothing beyond the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

impl Custody for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn generate(&self, algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Made, CustodyError> {
        let key = SigningKey::generate(algorithm, entropy)?;
        Ok(Made { handle: key.kid().to_owned(), key })
    }

    fn import(&self, key: &InMemorySigner, _: &dyn Entropy) -> Result<Made, CustodyError> {
        let key = SigningKey::in_memory(key)?;
        Ok(Made { handle: key.kid().to_owned(), key })
    }

    fn open(&self, entry: &Entry, _: &str) -> Result<SigningKey, CustodyError> {
        Err(CustodyError::Handle(entry.kid.clone()))
    }

    fn destroy(&self, _: &str) -> Result<(), CustodyError> {
        Ok(())
    }
}
