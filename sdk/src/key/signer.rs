//! Keys that sign: the trait for those who hold keys elsewhere, and signers that live in memory.
//!
//! A signer gives JWS signatures, for proofs and assertions. What a wallet signs to sign in is a
//! wallet's own affair and stands in `client::wallet`.

use std::fmt;

use async_trait::async_trait;
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey as Ed25519Key;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use k256::ecdsa::signature::Signer as _;
use k256::ecdsa::{Signature as EcdsaSignature, SigningKey as Secp256k1Key};
use k256::pkcs8::{LineEnding, SecretDocument};
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use super::{Algorithm, Curve, PublicKey};
use crate::entropy::Entropy;

/// A signer could not sign: a device was taken away, a person said no, a service failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signer did not sign: {0}")]
pub struct SignerError(pub String);

/// Why bytes or a text are not a secret key. Never holds any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretKeyError {
    /// Not the encoding that was asked for.
    #[error("not a secret key in this encoding: {0}")]
    Encoding(&'static str),
    /// The number is zero or not below the group order.
    #[error("the secret key is out of range for its curve")]
    OutOfRange,
    /// No random bytes were to be had.
    #[error("no random bytes to make a key of")]
    Entropy,
}

/// Holds a private key and signs with it, wherever the key may be.
#[async_trait]
pub trait Signer: Send + Sync + fmt::Debug {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// The JOSE algorithm of the signatures.
    fn algorithm(&self) -> Algorithm {
        self.public_key().algorithm()
    }

    /// A JWS signature over `message`, 64 bytes (RFC 7518 §3.4, RFC 8037, RFC 8812).
    ///
    /// # Errors
    /// [`SignerError`] when the key cannot be used now.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;
}

/// A private key in this process's memory, wiped when dropped. Prints as its thumbprint.
pub struct InMemorySigner {
    secret: Secret,
    public: PublicKey,
}

enum Secret {
    Ed25519 { key: Ed25519Key, pair: Box<Ed25519KeyPair> },
    Secp256k1(Secp256k1Key),
    P256 { scalar: Zeroizing<[u8; 32]>, pair: Box<EcdsaKeyPair> },
}

/// The members of a private JWK (RFC 7517 §9.3) that hold the key.
#[derive(Deserialize)]
struct PrivateJwk<'a> {
    crv: &'a str,
    d: &'a str,
}

impl InMemorySigner {
    /// A new key on `curve`.
    ///
    /// # Errors
    /// [`SecretKeyError::Entropy`]; `OutOfRange` with a probability of about 2⁻¹²⁸.
    pub fn generate(curve: Curve, entropy: &dyn Entropy) -> Result<Self, SecretKeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes).map_err(|_| SecretKeyError::Entropy)?;
        Self::from_bytes(curve, &bytes)
    }

    /// A key from its 32 secret bytes: the seed of RFC 8032, or the scalar, big-endian.
    ///
    /// # Errors
    /// [`SecretKeyError::OutOfRange`].
    pub fn from_bytes(curve: Curve, bytes: &[u8; 32]) -> Result<Self, SecretKeyError> {
        let out_of_range = SecretKeyError::OutOfRange;
        let (secret, public) = match curve {
            Curve::Ed25519 => {
                let key = Ed25519Key::from_bytes(bytes);
                let pair = Ed25519KeyPair::from_seed_unchecked(bytes);
                let pair = Box::new(pair.map_err(|_| out_of_range)?);
                let public = PublicKey::from_ed25519_bytes(pair.public_key().as_ref());
                (Secret::Ed25519 { key, pair }, public)
            }
            Curve::Secp256k1 => {
                let key = Secp256k1Key::from_slice(bytes).map_err(|_| out_of_range)?;
                let point = key.verifying_key().to_sec1_point(false);
                (Secret::Secp256k1(key), PublicKey::from_sec1(curve, point.as_bytes()))
            }
            Curve::P256 => {
                let private = PrivateKey::from_private_key(&ECDH_P256, bytes);
                let private = private.map_err(|_| out_of_range)?;
                let point = private.compute_public_key().map_err(|_| out_of_range)?;
                let pair = p256_pair(bytes, point.as_ref())?;
                let secret = Secret::P256 { scalar: Zeroizing::new(*bytes), pair: Box::new(pair) };
                (secret, PublicKey::from_sec1(curve, point.as_ref()))
            }
        };
        Ok(Self { secret, public: public.map_err(|_| out_of_range)? })
    }

    /// A key from 64 hexadecimal digits, with or without `0x`.
    ///
    /// # Errors
    /// [`SecretKeyError`].
    pub fn from_hex(curve: Curve, text: &str) -> Result<Self, SecretKeyError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, &mut *bytes)
            .map_err(|_| SecretKeyError::Encoding("64 hexadecimal digits are needed"))?;
        Self::from_bytes(curve, &bytes)
    }

    /// A key from a private JWK (`d`); the public members, if any, are computed and not believed.
    ///
    /// # Errors
    /// [`SecretKeyError`].
    pub fn from_jwk_json(json: &str) -> Result<Self, SecretKeyError> {
        // The parser's own message could quote the text, so it is dropped.
        let jwk: PrivateJwk<'_> = serde_json::from_str(json)
            .map_err(|_| SecretKeyError::Encoding("a JWK with crv and d is needed"))?;
        let curve = [Curve::Ed25519, Curve::P256, Curve::Secp256k1]
            .into_iter()
            .find(|curve| curve.name() == jwk.crv)
            .ok_or(SecretKeyError::Encoding("crv is none of Ed25519, P-256, secp256k1"))?;
        let mut bytes = Zeroizing::new([0; 32]);
        match URL_SAFE_NO_PAD.decode_slice(jwk.d.as_bytes(), &mut *bytes) {
            Ok(32) => Self::from_bytes(curve, &bytes),
            Ok(_) | Err(_) => Err(SecretKeyError::Encoding("d is not 32 bytes of base64url")),
        }
    }

    /// A key from a PKCS#8 PEM text (`-----BEGIN PRIVATE KEY-----`, RFC 5958), of any of the three curves.
    ///
    /// # Errors
    /// [`SecretKeyError::Encoding`].
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, SecretKeyError> {
        if let Ok(key) = Ed25519Key::from_pkcs8_pem(pem) {
            return Self::from_bytes(Curve::Ed25519, key.as_bytes());
        }
        if let Ok(key) = Secp256k1Key::from_pkcs8_pem(pem) {
            let mut bytes: [u8; 32] = key.to_bytes().into();
            let signer = Self::from_bytes(Curve::Secp256k1, &bytes);
            bytes.zeroize();
            return signer;
        }
        let refused = SecretKeyError::Encoding(
            "a PKCS#8 PEM of an Ed25519, secp256k1 or P-256 key is needed",
        );
        let (_, document) = SecretDocument::from_pem(pem).map_err(|_| refused)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_bytes())
            .map_err(|_| refused)?;
        let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(|_| refused)?;
        let bytes = Zeroizing::new(<[u8; 32]>::try_from(scalar.as_ref()).map_err(|_| refused)?);
        Self::from_bytes(Curve::P256, &bytes)
    }

    /// The key as PKCS#8 DER (RFC 5958).
    ///
    /// # Errors
    /// [`SecretKeyError::Encoding`] when the encoder fails.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, SecretKeyError> {
        Ok(Zeroizing::new(self.to_document()?.as_bytes().to_vec()))
    }

    /// The key as PKCS#8 PEM, to be written where only its owner reads.
    ///
    /// # Errors
    /// [`SecretKeyError::Encoding`] when the encoder fails.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, SecretKeyError> {
        self.to_document()?
            .to_pem("PRIVATE KEY", LineEnding::LF)
            .map_err(|_| SecretKeyError::Encoding("the key could not be encoded"))
    }

    fn to_document(&self) -> Result<SecretDocument, SecretKeyError> {
        let failed = SecretKeyError::Encoding("the key could not be encoded");
        match &self.secret {
            Secret::Ed25519 { key, .. } => key.to_pkcs8_der().map_err(|_| failed),
            Secret::Secp256k1(key) => key.to_pkcs8_der().map_err(|_| failed),
            Secret::P256 { pair, .. } => {
                let der = pair.to_pkcs8v1().map_err(|_| failed)?;
                SecretDocument::try_from(der.as_ref()).map_err(|_| failed)
            }
        }
    }

    /// The 32 secret bytes, for the wallet formats that sign something else than a JWS.
    pub fn secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(match &self.secret {
            Secret::Ed25519 { key, .. } => key.to_bytes(),
            Secret::Secp256k1(key) => key.to_bytes().into(),
            Secret::P256 { scalar, .. } => **scalar,
        })
    }

    /// Signs at once; [`Signer::sign`] for a key that is at hand.
    ///
    /// # Errors
    /// [`SignerError`] when the library refuses, which it does not for a key made here.
    pub fn sign_now(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let refused = || SignerError("the curve library refused".to_owned());
        match &self.secret {
            Secret::Ed25519 { pair, .. } => Ok(pair.sign(message).as_ref().to_vec()),
            Secret::Secp256k1(key) => {
                let signature: EcdsaSignature = key.try_sign(message).map_err(|_| refused())?;
                Ok(signature.normalize_s().to_vec())
            }
            Secret::P256 { pair, .. } => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| refused()),
        }
    }
}

fn p256_pair(scalar: &[u8; 32], point: &[u8]) -> Result<EcdsaKeyPair, SecretKeyError> {
    let pair = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        scalar,
        point,
    )
    .map_err(|_| SecretKeyError::OutOfRange)?;
    debug_assert_eq!(pair.public_key().as_ref(), point);
    Ok(pair)
}

#[async_trait]
impl Signer for InMemorySigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.sign_now(message)
    }
}

impl fmt::Debug for InMemorySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InMemorySigner({:?})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;

    const CURVES: [Curve; 3] = [Curve::Ed25519, Curve::P256, Curve::Secp256k1];

    #[test]
    fn signs_what_the_public_half_verifies() {
        for curve in CURVES {
            let signer = InMemorySigner::generate(curve, &OsEntropy).unwrap();
            let signature = signer.sign_now(b"text").unwrap();
            let key = signer.public_key();
            assert_eq!(key.verify(key.algorithm(), b"text", &signature), Ok(()), "{curve:?}");
            assert!(key.verify(key.algorithm(), b"test", &signature).is_err());
        }
    }

    #[test]
    fn survives_pem_and_bytes() {
        for curve in CURVES {
            let signer = InMemorySigner::generate(curve, &OsEntropy).unwrap();
            let read = InMemorySigner::from_pkcs8_pem(&signer.to_pkcs8_pem().unwrap()).unwrap();
            assert_eq!(read.public_key(), signer.public_key(), "{curve:?}");
            let raw = InMemorySigner::from_bytes(curve, &signer.secret_bytes()).unwrap();
            assert_eq!(raw.public_key(), signer.public_key());
        }
    }

    #[test]
    fn reads_the_private_jwk_of_rfc8037() {
        let jwk = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let signer = InMemorySigner::from_jwk_json(jwk).unwrap();
        assert_eq!(
            signer.public_key().thumbprint().to_string(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
        assert!(!format!("{signer:?}").contains("nWGx"));
    }

    #[test]
    fn refuses_zero_and_the_order() {
        assert!(InMemorySigner::from_bytes(Curve::Secp256k1, &[0; 32]).is_err());
        assert!(InMemorySigner::from_bytes(Curve::P256, &[0xff; 32]).is_err());
    }
}
