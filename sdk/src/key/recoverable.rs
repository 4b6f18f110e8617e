//! Recoverable secp256k1 signatures over a digest, which Ethereum's wallets give in place of a JWS.
//!
//! Only a key in memory makes them here; whoever holds a key elsewhere brings a wallet of their own.

use k256::ecdsa::SigningKey;

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;
    use crate::key::recover_secp256k1;

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
}
