//! `did:key` for the two curves of proven keys (W3C CCG did:key; multicodec and multibase).

use super::base58::base58_bytes;
use super::public::Repr;
use super::{Curve, KeyError, PublicKey};

/// Multicodec `ed25519-pub` (0xed) as an unsigned varint.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];
/// Multicodec `secp256k1-pub` (0xe7) as an unsigned varint.
const SECP256K1_PUB: [u8; 2] = [0xe7, 0x01];
/// The longest text read; a secp256k1 key takes 57 characters.
const MAX_DID_BYTES: usize = 128;

impl PublicKey {
    /// Reads `did:key:z6Mk…` (Ed25519) or `did:key:zQ3s…` (secp256k1, compressed).
    ///
    /// # Errors
    /// [`KeyError`]: another method or multibase, a fragment, another key type (P-256 and X25519
    /// included: they are no proven keys), a wrong length, or a point that is none.
    pub fn from_did_key(did: &str) -> Result<Self, KeyError> {
        Self::read_did_key(did, Self::from_ed25519_bytes)
    }

    /// The same for a key that verifies a signature next, and is dropped if that fails: whether an
    /// Ed25519 key is a point is left to the verification.
    pub(crate) fn did_key_to_verify_with(did: &str) -> Result<Self, KeyError> {
        Self::read_did_key(did, Self::ed25519_to_verify_with)
    }

    fn read_did_key(
        did: &str,
        ed25519: fn(&[u8]) -> Result<Self, KeyError>,
    ) -> Result<Self, KeyError> {
        if did.len() > MAX_DID_BYTES {
            return Err(KeyError::Encoding("a did:key of more than 128 characters"));
        }
        let text = did
            .strip_prefix("did:key:z")
            .ok_or(KeyError::Encoding("a did:key begins with did:key:z"))?;
        let bytes = decode(text).ok_or(KeyError::Encoding("the did:key is not base58btc"))?;
        if let Some(key) = bytes.strip_prefix(&ED25519_PUB) {
            ed25519(key)
        } else if let Some(key) = bytes.strip_prefix(&SECP256K1_PUB) {
            if key.len() != 33 {
                return Err(KeyError::Encoding("a secp256k1 did:key holds 33 bytes"));
            }
            Self::from_sec1(Curve::Secp256k1, key)
        } else {
            Err(KeyError::Unsupported)
        }
    }

    /// This key as a `did:key`, or `None` for P-256, which names no subject here.
    pub fn to_did_key(&self) -> Option<String> {
        let bytes = match &self.0 {
            Repr::Ed25519(key) => [&ED25519_PUB[..], key.as_bytes()].concat(),
            Repr::Secp256k1(key) => [&SECP256K1_PUB[..], &key.compressed()].concat(),
            Repr::P256(_) => return None,
        };
        Some(format!("did:key:z{}", bs58::encode(bytes).into_string()))
    }
}

/// The bytes of a text; those of the two lengths that keys have, fast.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.starts_with("6Mk")
        && let Some(bytes) = base58_bytes::<34>(text)
    {
        return Some(bytes.to_vec());
    }
    if text.starts_with("Q3s")
        && let Some(bytes) = base58_bytes::<35>(text)
    {
        return Some(bytes.to_vec());
    }
    bs58::decode(text).into_vec().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        for did in [
            "did:key:z6Mkr3y8hdfPpDXsCiq9BwESt82x4tQBFtMVc5igofhwk2Pm",
            "did:key:zQ3shRDmNWU5a5giciqJ6XS2LQu6FAnD8XQnaYWNTp41YJ9s8",
        ] {
            assert_eq!(PublicKey::from_did_key(did).unwrap().to_did_key().unwrap(), did);
        }
    }

    #[test]
    fn refuses_other_methods_types_and_lengths() {
        for did in [
            "did:web:z6Mkr3y8hdfPpDXsCiq9BwESt82x4tQBFtMVc5igofhwk2Pm",
            "did:key:zDnaeeqqDdCSrWVPJeHA2P7eR4hgFZof75V5fj4Udpgsx7g2Q",
            "did:key:z6LSiu6DEAT1J2UMxirz8RH1v3Zxpyf32WVNjgobcETPgvk2",
            "did:key:z2DQWGDCeVhot9SRV1qMfoWnt8UDh27fsRWgp8ytMtexyto",
            "did:key:z6Mkr3y8hdfPpDXsCiq9BwESt82x4tQBFtMVc5igofhwk2Pm#z6Mk",
            "did:key:z",
            "",
        ] {
            assert!(PublicKey::from_did_key(did).is_err(), "{did}");
        }
    }
}
