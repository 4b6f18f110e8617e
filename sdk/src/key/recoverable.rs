//! Signatures that wallets give in place of a JWS: recoverable ECDSA over a digest, and Schnorr.
//!
//! Only a key in memory makes them here; whoever holds a key elsewhere brings a wallet of their own.

use k256::ecdsa::SigningKey;
use k256::elliptic_curve::PrimeField as _;
use k256::{Scalar, schnorr};
use std::ops::Neg as _;
use zeroize::Zeroizing;

use super::secp256k1::taproot_tweak;
use super::{Curve, InMemorySigner, Signer as _, SignerError};

impl InMemorySigner {
    /// Signs a 32-byte digest: r‖s with the low S, and the recovery id (0 or 1).
    ///
    /// # Errors
    /// [`SignerError`] for a key of another curve.
    pub fn sign_digest_recoverable(
        &self,
        digest: &[u8; 32],
    ) -> Result<([u8; 64], u8), SignerError> {
        let refused = || SignerError("a recoverable signature needs a secp256k1 key".to_owned());
        if self.public_key().curve() != Curve::Secp256k1 {
            return Err(refused());
        }
        let key = SigningKey::from_slice(&*self.secret_bytes()).map_err(|_| refused())?;
        // RFC 6979: the same digest gives the same signature; the curve's profile makes S low.
        let (signature, id) = key.sign_prehash_recoverable(digest);
        Ok((signature.to_bytes().into(), id.to_byte()))
    }

    /// A Schnorr signature (BIP-340) over `message`, without auxiliary randomness: the same
    /// message gives the same signature.
    ///
    /// # Errors
    /// [`SignerError`] for a key of another curve.
    pub fn sign_schnorr(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        let refused = || SignerError("a Schnorr signature needs a secp256k1 key".to_owned());
        if self.public_key().curve() != Curve::Secp256k1 {
            return Err(refused());
        }
        schnorr_with(&*self.secret_bytes(), message).ok_or_else(refused)
    }

    /// The same by the Taproot output key of this key (BIP-341, no scripts, as BIP-86 has it).
    ///
    /// # Errors
    /// [`SignerError`] for a key of another curve.
    pub fn sign_taproot(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        let refused = || SignerError("a Taproot signature needs a secp256k1 key".to_owned());
        let x = self.public_key().x_only().ok_or_else(refused)?;
        let secret = SigningKey::from_slice(&*self.secret_bytes()).map_err(|_| refused())?;
        let scalar: Scalar = *secret.as_nonzero_scalar().as_ref();
        // The internal key is the point with the even y.
        let odd = self.public_key().as_bytes().last().is_some_and(|byte| byte & 1 == 1);
        let even = if odd { scalar.neg() } else { scalar };
        let tweak = Scalar::from_repr(taproot_tweak(&x).into()).into_option();
        let bytes = Zeroizing::new(<[u8; 32]>::from((even + tweak.ok_or_else(refused)?).to_repr()));
        schnorr_with(&*bytes, message).ok_or_else(refused)
    }
}

fn schnorr_with(secret: &[u8], message: &[u8]) -> Option<[u8; 64]> {
    let key = schnorr::SigningKey::from_slice(secret).ok()?;
    Some(key.sign_raw(message, &[0; 32]).ok()?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;
    use crate::key::secp256k1::{taproot_output_key, verify_schnorr};
    use crate::key::{PublicKey, SignatureError, recover_secp256k1};

    #[test]
    fn the_key_comes_back_and_s_is_low() {
        let signer = InMemorySigner::generate(Curve::Secp256k1, &OsEntropy).unwrap();
        for byte in 0..32 {
            let digest = [byte; 32];
            let (signature, id) = signer.sign_digest_recoverable(&digest).unwrap();
            let key = recover_secp256k1(&digest, &signature, id).unwrap();
            assert_eq!(&key, signer.public_key());
        }
        let other = InMemorySigner::generate(Curve::Ed25519, &OsEntropy).unwrap();
        assert!(other.sign_digest_recoverable(&[1; 32]).is_err());
    }

    #[test]
    fn schnorr_signatures_are_of_the_key_and_of_its_output_key() {
        for byte in 1..20 {
            let signer = InMemorySigner::from_bytes(Curve::Secp256k1, &[byte; 32]).unwrap();
            let key = signer.public_key();
            let output = PublicKey::from_x_only(&taproot_output_key(key).unwrap()).unwrap();
            for message in [&b""[..], b"text", &[7; 32]] {
                let mut plain = signer.sign_schnorr(message).unwrap();
                let mut tweaked = signer.sign_taproot(message).unwrap();
                assert_eq!(verify_schnorr(key, message, &plain), Ok(()));
                assert_eq!(verify_schnorr(&output, message, &tweaked), Ok(()));
                assert_eq!(verify_schnorr(key, message, &tweaked), Err(SignatureError::Mismatch));
                for signature in [&mut plain, &mut tweaked] {
                    signature[40] ^= 1;
                    assert!(verify_schnorr(key, message, signature.as_slice()).is_err());
                }
                let short = verify_schnorr(key, message, &plain[1..]);
                assert!(matches!(short, Err(SignatureError::Malformed(_))));
            }
        }
    }
}
