//! Where private halves lie: one small trait, and what every custody has to keep to.
//!
//! | custody | a handle is | the private half |
//! |---|---|---|
//! | [`memory`] | nothing | lives in this process and ends with it |
//! | [`sealed`] | the private half under AEAD | is in this process's memory while it may sign |
//! | `pkcs11` | the name of an object | never leaves the module |
//!
//! Another one, such as a key service of a cloud, is one file beside these: it makes a key and says by
//! which handle it is found again, opens a handle to sign with, and destroys it. `contract` is the
//! suite that it passes.

use std::fmt;

use countersign_sdk::entropy::{Entropy, EntropyError};
use countersign_sdk::key::{Algorithm, InMemorySigner, SecretKeyError};

use super::key::SigningKey;
use super::ring::Entry;

#[cfg(test)]
mod contract;
pub mod memory;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
pub mod sealed;
pub mod secret;

pub use sealed::Sealing;

/// Why a custody did not do what it was asked to. Names no secret, and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// No key could be made of what was given.
    #[error(transparent)]
    Key(#[from] SecretKeyError),
    /// What opens the keys is not what they were sealed with.
    #[error("{0}")]
    Secret(String),
    /// The handle is none of this custody, or of another key.
    #[error("the key {0} cannot be opened: what is kept of it is not what was written")]
    Handle(String),
    /// A token refused its PIN. It is not tried again: a token locks after a few.
    #[error("{0}")]
    Pin(String),
    /// A service or device is away or has failed.
    #[error("{0}")]
    Unavailable(String),
    /// The custody takes no key from outside.
    #[error("{0}")]
    Unsupported(&'static str),
}

/// A new key.
#[derive(Debug)]
pub struct Made {
    /// By what it is found again; opaque, and kept in the ring.
    pub handle: String,
    /// The key, ready to sign.
    pub key: SigningKey,
}

/// Keeps private halves.
///
/// A key service of a cloud, in one file: `Service` stands for its client, and each of its three calls
/// for a request.
///
/// ```
/// use std::sync::Arc;
///
/// use countersign::keyring::custody::{Custody, CustodyError, Made};
/// use countersign::keyring::ring::Entry;
/// use countersign::keyring::{PrivateHalf, SignError, SigningKey};
/// use countersign_sdk::entropy::Entropy;
/// use countersign_sdk::key::{Algorithm, InMemorySigner, PublicKey};
///
/// trait Service: Send + Sync + std::fmt::Debug {
///     /// Makes a key that does not leave the service; its name and its public half.
///     fn create(&self, algorithm: Algorithm) -> Result<(String, PublicKey), String>;
///     fn sign(&self, name: &str, input: &[u8]) -> Result<[u8; 64], String>;
///     fn delete(&self, name: &str) -> Result<(), String>;
/// }
///
/// struct Remote {
///     service: Arc<dyn Service>,
///     name: String,
/// }
///
/// impl PrivateHalf for Remote {
///     fn sign(&self, input: &[u8]) -> Result<[u8; 64], SignError> {
///         self.service.sign(&self.name, input).map_err(SignError)
///     }
/// }
///
/// #[derive(Debug)]
/// struct KeyService(Arc<dyn Service>);
///
/// impl KeyService {
///     fn key(&self, name: &str, public: PublicKey) -> SigningKey {
///         let half = Remote { service: Arc::clone(&self.0), name: name.to_owned() };
///         SigningKey::new(public, Box::new(half))
///     }
/// }
///
/// impl Custody for KeyService {
///     fn kind(&self) -> &'static str {
///         "key-service"
///     }
///
///     // Its keys live on when the ring has forgotten them.
///     fn outlives_its_handle(&self) -> bool {
///         true
///     }
///
///     fn generate(&self, algorithm: Algorithm, _: &dyn Entropy) -> Result<Made, CustodyError> {
///         let made = self.0.create(algorithm).map_err(CustodyError::Unavailable)?;
///         Ok(Made { key: self.key(&made.0, made.1), handle: made.0 })
///     }
///
///     fn import(&self, _: &InMemorySigner, _: &dyn Entropy) -> Result<Made, CustodyError> {
///         Err(CustodyError::Unsupported("the key service makes its keys itself"))
///     }
///
///     fn open(&self, entry: &Entry, handle: &str) -> Result<SigningKey, CustodyError> {
///         // A signature shows that the service has the other half of what the ring says.
///         let shown = self.0.sign(handle, b"open").map_err(CustodyError::Unavailable)?;
///         let fits = entry.public.verify(entry.algorithm(), b"open", &shown);
///         fits.map_err(|_| CustodyError::Handle(entry.kid.clone()))?;
///         Ok(self.key(handle, entry.public.clone()))
///     }
///
///     fn destroy(&self, handle: &str) -> Result<(), CustodyError> {
///         self.0.delete(handle).map_err(CustodyError::Unavailable)
///     }
/// }
/// ```
pub trait Custody: Send + Sync + fmt::Debug {
    /// Its name in the ring and in the configuration.
    fn kind(&self) -> &'static str;

    /// By what the keys are sealed, if they are; kept in the ring.
    fn sealing(&self) -> Option<Sealing> {
        None
    }

    /// A code over what is written of a ring, which only who has the secret of this custody makes; none
    /// where it has no such secret.
    fn authenticate(&self, _: &[u8]) -> Option<[u8; 32]> {
        None
    }

    /// Whether a key lives on when the ring has forgotten its handle, so that it has to be destroyed.
    fn outlives_its_handle(&self) -> bool {
        false
    }

    /// Makes a key. May block.
    ///
    /// # Errors
    /// [`CustodyError`]; nothing is left behind.
    fn generate(&self, algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Made, CustodyError>;

    /// Takes a key in that was made elsewhere. May block.
    ///
    /// # Errors
    /// [`CustodyError`]; nothing is left behind.
    fn import(&self, key: &InMemorySigner, entropy: &dyn Entropy) -> Result<Made, CustodyError>;

    /// Opens the key of an entry to sign with, and has it show that it is the other half of what is
    /// written; where it cannot be asked now the key comes unproven. May block.
    ///
    /// # Errors
    /// [`CustodyError`]; also when the handle is of another key than the entry's.
    fn open(&self, entry: &Entry, handle: &str) -> Result<SigningKey, CustodyError>;

    /// Makes sure that the handle opens nothing any more, as far as it is in this custody's hands.
    /// What is gone already is no error.
    ///
    /// # Errors
    /// [`CustodyError`]; the key may still be there.
    fn destroy(&self, handle: &str) -> Result<(), CustodyError>;
}
