//! Keys in a security module, by PKCS#11: made in it, used in it, and never out of it.
//!
//! The module is a library of its maker that is loaded into this process, and the device behind it can be
//! slow, busy or away: `token` has what is done about that. PKCS #11 v2.40 and v3.0.

mod calls;
mod token;

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use countersign_sdk::entropy::Entropy;
use countersign_sdk::key::{Algorithm, Curve, InMemorySigner, KeyError, PublicKey};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Module};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::{Custody, CustodyError, Made};
use crate::keyring::key::{PrivateHalf, SignError, SigningKey};
use crate::keyring::ring::Entry;
use crate::keyring::slots::Slots;
pub use token::TokenLogin;
use token::{Open, Token, Work};

/// What objects of ours are labelled, beside their random ids.
const LABEL: &[u8] = b"countersign";
/// The object identifiers of the curves, in DER (RFC 5480 §2.1.1.1, RFC 8410 §3).
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// Keys of one token.
#[derive(Debug)]
pub struct Pkcs11(Arc<Token>);

/// The other half of a key in the module.
struct InModule {
    token: Arc<Token>,
    id: Vec<u8>,
    curve: Curve,
}

impl Pkcs11 {
    /// Loads the module, which must be there; whether the token is shows when a key of it is used.
    ///
    /// # Errors
    /// [`CustodyError::Unavailable`].
    pub fn load(module: &Path, login: TokenLogin) -> Result<Self, CustodyError> {
        let failed = |error: &Error| {
            CustodyError::Unavailable(format!("the PKCS#11 module {}: {error}", module.display()))
        };
        let loaded = Module::new(module).map_err(|error| failed(&error))?;
        match loaded.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed(&error)),
        }
        Ok(Self(Arc::new(Token::new(loaded, login))))
    }

    fn failed(&self, error: String) -> CustodyError {
        match self.0.refused_its_pin() {
            true => CustodyError::Pin(error),
            false => CustodyError::Unavailable(error),
        }
    }

    fn half(&self, id: Vec<u8>, curve: Curve) -> InModule {
        InModule { token: Arc::clone(&self.0), id, curve }
    }
}

impl Token {
    fn find(open: &mut Open, id: &[u8]) -> Result<ObjectHandle, String> {
        if let Some(found) = open.found.get(id) {
            return Ok(*found);
        }
        let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id.to_vec())];
        let objects = open.session.find_objects(&template).map_err(|error| error.to_string())?;
        match objects.as_slice() {
            [only] => {
                open.found.insert(id.to_vec(), *only);
                Ok(*only)
            }
            [] => Err(format!("the token holds no key of the id {}", hex::encode(id))),
            [_, ..] => Err(format!("the token holds several keys of the id {}", hex::encode(id))),
        }
    }

    /// Whether the token has exactly one private key of this id, asked in a session of its own.
    fn holds(&self, id: &[u8]) -> Result<bool, String> {
        self.forget_sessions();
        self.with(Work::Other, |open| {
            let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id.to_vec())];
            let objects = open.session.find_objects(&template);
            Ok(objects.map_err(|error| error.to_string())?.len() == 1)
        })
    }

    fn sign(&self, kind: Work, id: &[u8], curve: Curve, input: &[u8]) -> Result<[u8; 64], String> {
        self.with(kind, |open| {
            let key = Self::find(open, id)?;
            let signed = match curve {
                Curve::Ed25519 => {
                    let scheme = EddsaParams::new(EddsaSignatureScheme::Ed25519);
                    open.session.sign(&Mechanism::Eddsa(scheme), key, input)
                }
                // Hashed here, since not every module does it.
                Curve::P256 | Curve::Secp256k1 => {
                    open.session.sign(&Mechanism::Ecdsa, key, digest(&SHA256, input).as_ref())
                }
            };
            let signed = signed.map_err(|error| error.to_string())?;
            signed
                .try_into()
                .map_err(|_| "the module gave something that is no signature".to_owned())
        })
    }

    /// Makes a key pair, and makes sure that its private half stays inside.
    fn generate(&self, id: &[u8], curve: Curve) -> Result<PublicKey, String> {
        let (mechanism, parameters) = match curve {
            Curve::Ed25519 => (Mechanism::EccEdwardsKeyPairGen, ED25519),
            Curve::P256 => (Mechanism::EccKeyPairGen, P256),
            Curve::Secp256k1 => return Err("tokens are not signed with ES256K".to_owned()),
        };
        let named = || {
            [Attribute::Token(true), Attribute::Id(id.to_vec()), Attribute::Label(LABEL.to_vec())]
        };
        let mut public = named().to_vec();
        public.extend([
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(parameters.to_vec()),
        ]);
        let mut private = named().to_vec();
        private.extend([
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            // For signatures and nothing else, as long as it lives.
            Attribute::Derive(false),
            Attribute::Decrypt(false),
            Attribute::Unwrap(false),
            Attribute::Copyable(false),
            Attribute::Modifiable(false),
        ]);
        self.with(Work::Other, |open| {
            let text = |error: Error| error.to_string();
            let session = &open.session;
            let (public, private) =
                session.generate_key_pair(&mechanism, &public, &private).map_err(text)?;
            let kept = session
                .get_attributes(
                    private,
                    &[AttributeType::AlwaysSensitive, AttributeType::NeverExtractable],
                )
                .map_err(text)?;
            let stays = [Attribute::AlwaysSensitive(true), Attribute::NeverExtractable(true)];
            if !stays.iter().all(|attribute| kept.contains(attribute)) {
                return Err("the module does not keep the private key to itself".to_owned());
            }
            let point = session.get_attributes(public, &[AttributeType::EcPoint]).map_err(text)?;
            let Some(Attribute::EcPoint(point)) = point.first() else {
                return Err("the module does not tell the public key".to_owned());
            };
            read_point(curve, point).map_err(|error| error.to_string())
        })
    }

    /// Destroys every object of this id and of our label.
    fn destroy(&self, id: &[u8]) -> Result<(), String> {
        self.with(Work::Other, |open| {
            let template = [Attribute::Id(id.to_vec()), Attribute::Label(LABEL.to_vec())];
            let objects =
                open.session.find_objects(&template).map_err(|error| error.to_string())?;
            for object in objects {
                open.session.destroy_object(object).map_err(|error| error.to_string())?;
            }
            open.found.remove(id);
            Ok(())
        })
    }
}

/// The public key, which modules give with and without the header of an OCTET STRING.
fn read_point(curve: Curve, point: &[u8]) -> Result<PublicKey, KeyError> {
    match (curve, point) {
        (Curve::Ed25519, [4, 32, key @ ..]) if key.len() == 32 => {
            PublicKey::from_ed25519_bytes(key)
        }
        (Curve::Ed25519, key) => PublicKey::from_ed25519_bytes(key),
        (Curve::P256 | Curve::Secp256k1, [4, 65, key @ ..]) if key.len() == 65 => {
            PublicKey::from_sec1(curve, key)
        }
        (Curve::P256 | Curve::Secp256k1, key) => PublicKey::from_sec1(curve, key),
    }
}

impl PrivateHalf for InModule {
    fn sign(&self, input: &[u8]) -> Result<[u8; 64], SignError> {
        let sign = || self.token.sign(Work::Signature, &self.id, self.curve, input);
        let sign = || sign().map_err(SignError);
        // A worker of a runtime that has others lets them go on meanwhile.
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(sign),
            Ok(_) | Err(_) => sign(),
        }
    }

    fn is_ready(&self) -> bool {
        self.token.is_ready()
    }

    fn slots(&self) -> Option<&Slots> {
        Some(self.token.slots())
    }
}

impl Custody for Pkcs11 {
    fn kind(&self) -> &'static str {
        "pkcs11"
    }

    fn outlives_its_handle(&self) -> bool {
        true
    }

    fn generate(&self, algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Made, CustodyError> {
        let mut id = [0; 16];
        entropy.fill(&mut id)?;
        let curve = algorithm.curve();
        let made = self.0.generate(&id, curve).and_then(|public| {
            // One that cannot sign says nothing of those that do.
            let signature = self.0.sign(Work::Other, &id, curve, b"")?;
            let verdict = public.verify(algorithm, b"", &signature);
            verdict.map_err(|_| "the module's signature is not by the key that it made")?;
            Ok(SigningKey::new(public, Box::new(self.half(id.to_vec(), curve))))
        });
        match made {
            Ok(key) => Ok(Made { handle: hex::encode(id), key }),
            Err(error) => {
                // Why there is no key is told; that half of one is left is not worse.
                let _ = self.0.destroy(&id);
                Err(self.failed(error))
            }
        }
    }

    fn import(&self, _: &InMemorySigner, _: &dyn Entropy) -> Result<Made, CustodyError> {
        Err(CustodyError::Unsupported(
            "a key that was outside of the module is not taken into it: countersign keys generate makes one inside",
        ))
    }

    /// A module that is away is no fault of the entry: its key is opened all the same, unproven.
    fn open(&self, entry: &Entry, handle: &str) -> Result<SigningKey, CustodyError> {
        let damaged = || CustodyError::Handle(entry.kid.clone());
        let id = hex::decode(handle).map_err(|_| damaged())?;
        let half_id = id.clone();
        let half = self.half(id, entry.public.curve());
        let key = SigningKey::new(entry.public.clone(), Box::new(half));
        match key.sign(b"") {
            Ok(signature) => {
                let verdict = entry.public.verify(entry.algorithm(), b"", &signature);
                verdict.map_err(|_| damaged())?;
            }
            Err(error) => {
                tracing::error!(%error, kid = entry.kid, "the key is out of reach");
                // A start that went on would try it again with each restart.
                if self.0.refused_its_pin() {
                    return Err(self.failed(error.to_string()));
                }
                // One that is not there is another matter than a module that cannot be asked.
                if self.0.holds(&half_id).is_ok_and(|holds| !holds) {
                    return Err(damaged());
                }
                return Ok(key.unproven());
            }
        }
        Ok(key)
    }

    fn destroy(&self, handle: &str) -> Result<(), CustodyError> {
        let id = hex::decode(handle).map_err(|_| CustodyError::Handle(handle.to_owned()))?;
        self.0.destroy(&id).map_err(CustodyError::Unavailable)
    }
}

#[cfg(test)]
mod tests;
