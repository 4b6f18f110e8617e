//! Keys that lie in the ring's own file, sealed: of no use to whoever takes the file alone.
//!
//! AES-256-GCM under a key of 256 bits, which comes of a passphrase by Argon2id (RFC 9106 §4) or of a
//! key by HKDF (RFC 5869). What is sealed is bound to the kid and algorithm of its entry, so that one
//! cannot be put in another's place.

use std::fmt;

use argon2::{Algorithm as Variant, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{Algorithm, InMemorySigner, PublicKey, Signer as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::secret::Secret;
use super::{Custody, CustodyError, Made};
use crate::keyring::key::SigningKey;
use crate::keyring::ring::Entry;

/// Its name.
pub const KIND: &str = "sealed";
/// What a sealed key begins its associated data with.
const LABEL: &str = "countersign signing key v1";
/// Of what the key is derived that authenticates the ring.
const RING_LABEL: &str = "countersign ring of keys v1";
/// The second choice of RFC 9106 §4, for machines of any size: 64 MiB, three passes, four lanes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;
/// What a file may ask of us at most.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 16;

/// How the key that seals comes of the secret. Stands in the ring, and is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kdf", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sealing {
    /// From a passphrase.
    Argon2id {
        /// 16 random bytes, base64url.
        salt: String,
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// From a key.
    HkdfSha256 {
        /// 16 random bytes, base64url.
        salt: String,
    },
}

impl Sealing {
    fn new(secret: &Secret, entropy: &dyn Entropy) -> Result<Self, CustodyError> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt)?;
        let salt = URL_SAFE_NO_PAD.encode(salt);
        Ok(match secret {
            Secret::Passphrase(_) => {
                Self::Argon2id { salt, memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES }
            }
            Secret::Key(_) => Self::HkdfSha256 { salt },
        })
    }

    /// The key that seals, and the one that authenticates the ring.
    fn derive(&self, secret: &Secret) -> Result<(LessSafeKey, hmac::Key), CustodyError> {
        let (mut key, mut code) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        match (self, secret) {
            (Self::Argon2id { salt, memory_kib, passes, lanes }, Secret::Passphrase(text)) => {
                if *memory_kib > MOST_MEMORY_KIB || *passes > MOST_PASSES || *lanes > MOST_LANES {
                    return Err(other(
                        "the ring asks for more work than any version of this program would",
                    ));
                }
                if *memory_kib < MEMORY_KIB || *passes < PASSES || *lanes < LANES {
                    return Err(other(
                        "the ring asks for less work than any version of this program does: it was changed",
                    ));
                }
                let params = Params::new(*memory_kib, *passes, *lanes, Some(32));
                let params =
                    params.map_err(|_| other("the ring's Argon2id parameters are none"))?;
                Argon2::new(Variant::Argon2id, Version::V0x13, params)
                    .hash_password_into(text.as_bytes(), &decoded(salt)?, &mut *key)
                    .map_err(|_| other("no key came of the passphrase; is there enough memory?"))?;
                expand(&decoded(salt)?, &key, RING_LABEL, &mut code)?;
            }
            (Self::HkdfSha256 { salt }, Secret::Key(bytes)) => {
                let salt = decoded(salt)?;
                expand(&salt, bytes, LABEL, &mut key)?;
                expand(&salt, bytes, RING_LABEL, &mut code)?;
            }
            (Self::Argon2id { .. }, Secret::Key(_)) => {
                return Err(other(
                    "the keys are sealed with a passphrase, and the configuration names a key: write \
                     keys.passphrase_file, or change what seals them with countersign keys reseal",
                ));
            }
            (Self::HkdfSha256 { .. }, Secret::Passphrase(_)) => {
                return Err(other(
                    "the keys are sealed with a key, and the configuration names a passphrase: write \
                     keys.key_file or keys.credential, or change what seals them with countersign keys reseal",
                ));
            }
        }
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| other("no key to seal with"))?;
        Ok((LessSafeKey::new(key), hmac::Key::new(hmac::HMAC_SHA256, &*code)))
    }
}

/// HKDF (RFC 5869 §2).
fn expand(
    salt: &[u8],
    secret: &[u8; 32],
    label: &str,
    into: &mut [u8; 32],
) -> Result<(), CustodyError> {
    let failed = |_| other("no key came of the secret");
    let random = Salt::new(HKDF_SHA256, salt).extract(secret);
    let info = [label.as_bytes()];
    random.expand(&info, HKDF_SHA256).and_then(|output| output.fill(into)).map_err(failed)
}

fn other(problem: &str) -> CustodyError {
    CustodyError::Secret(problem.to_owned())
}

fn decoded(salt: &str) -> Result<Vec<u8>, CustodyError> {
    let salt = URL_SAFE_NO_PAD.decode(salt).ok().filter(|salt| salt.len() == 16);
    salt.ok_or_else(|| other("the ring's salt is not 16 bytes"))
}

/// Seals keys and opens them.
pub struct Sealed {
    sealing: Sealing,
    key: LessSafeKey,
    code: hmac::Key,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("sealing", &self.sealing).finish_non_exhaustive()
    }
}

impl Sealed {
    /// A custody by `secret`, in the way that the ring says, or in a new one. Takes a moment for a
    /// passphrase, and 64 MiB.
    ///
    /// # Errors
    /// [`CustodyError`].
    pub fn new(
        secret: &Secret,
        sealing: Option<Sealing>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CustodyError> {
        let sealing = sealing.map_or_else(|| Sealing::new(secret, entropy), Ok)?;
        let (key, code) = sealing.derive(secret)?;
        Ok(Self { sealing, key, code })
    }

    fn seal(&self, key: &InMemorySigner, entropy: &dyn Entropy) -> Result<String, CustodyError> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let mut text = Zeroizing::new(Vec::with_capacity(64));
        text.extend_from_slice(&*key.secret_bytes());
        let aad = Aad::from(about(key.public_key()));
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut *text)
            .map_err(|_| other("the key could not be sealed"))?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat()))
    }

    fn unseal(&self, entry: &Entry, handle: &str) -> Result<InMemorySigner, CustodyError> {
        let damaged = || CustodyError::Handle(entry.kid.clone());
        let bytes = URL_SAFE_NO_PAD.decode(handle).map_err(|_| damaged())?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let aad = Aad::from(about(&entry.public));
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let secret = self.key.open_in_place(nonce, aad, &mut text).map_err(|_| {
            CustodyError::Secret(format!(
                "the key {} does not open: the passphrase or key is not the one that it was sealed with, \
                 or the ring was changed",
                entry.kid
            ))
        })?;
        let secret: &[u8; 32] = (&*secret).try_into().map_err(|_| damaged())?;
        let key = InMemorySigner::from_bytes(entry.public.curve(), secret)?;
        if *key.public_key() == entry.public { Ok(key) } else { Err(damaged()) }
    }
}

/// What a sealed key is bound to.
fn about(key: &PublicKey) -> Vec<u8> {
    format!("{LABEL}\0{}\0{}", key.algorithm().name(), key.thumbprint()).into_bytes()
}

impl Custody for Sealed {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn sealing(&self) -> Option<Sealing> {
        Some(self.sealing.clone())
    }

    fn authenticate(&self, bytes: &[u8]) -> Option<[u8; 32]> {
        hmac::sign(&self.code, bytes).as_ref().try_into().ok()
    }

    fn generate(&self, algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Made, CustodyError> {
        self.import(&InMemorySigner::generate(algorithm.curve(), entropy)?, entropy)
    }

    fn import(&self, key: &InMemorySigner, entropy: &dyn Entropy) -> Result<Made, CustodyError> {
        Ok(Made { key: SigningKey::in_memory(key)?, handle: self.seal(key, entropy)? })
    }

    fn open(&self, entry: &Entry, handle: &str) -> Result<SigningKey, CustodyError> {
        Ok(SigningKey::in_memory(&self.unseal(entry, handle)?)?)
    }

    /// The handle is the key, and it leaves the ring with its entry's change.
    fn destroy(&self, _: &str) -> Result<(), CustodyError> {
        Ok(())
    }
}

/// Opens a key under one custody and seals it under another.
///
/// # Errors
/// [`CustodyError`].
pub fn reseal(
    from: &Sealed,
    to: &Sealed,
    entry: &Entry,
    handle: &str,
    entropy: &dyn Entropy,
) -> Result<String, CustodyError> {
    to.seal(&from.unseal(entry, handle)?, entropy)
}
