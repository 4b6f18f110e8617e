//! Nonces that cost no memory: authenticated, not stored.
//!
//! A nonce is 32 bytes, written as 64 lower-case hexadecimal digits:
//!
//! | bytes | |
//! |---|---|
//! | 1 | kind: what the nonce was made for |
//! | 4 | the second at which it expires, big-endian |
//! | 10 | random (80 bits) |
//! | 3 | origin tag: a MAC over the 15 bytes before, for diagnosis only |
//! | 14 | MAC (112 bits) over the 18 bytes before and over the context, such as a message |
//!
//! Both MACs are HMAC-SHA-256 under a key of the issuer. The short tag answers one question only:
//! whether a nonce that failed was ours at all, so that "this text was altered" and "this nonce is
//! not ours" are different answers. Nothing is accepted on its strength.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyError};
use crate::proof::replay::ReplayKey;
use crate::time::Timestamp;

const HEAD: usize = 15;
const TAGGED: usize = 18;
const WHOLE: usize = 32;

/// What a nonce was made for; one made for another purpose is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceKind {
    /// Inside a message that the issuer wrote; its MAC covers that message.
    Challenge = 1,
    /// For a message that the client writes itself.
    Bare = 2,
    /// For DPoP proofs (RFC 9449 §8).
    Dpop = 3,
    /// In the URL that a wallet sends its answer to; its MAC covers what the wallet signs.
    CallBack = 4,
}

/// Why a nonce was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// Not ours, or not of this kind.
    #[error("the nonce is not one of this issuer's")]
    Unknown,
    /// Ours, but what it was issued with has been changed.
    #[error("the nonce was issued with another text")]
    ContextChanged,
    /// Ours, and past its time.
    #[error("the nonce has expired")]
    Expired,
}

/// A nonce that was found genuine and within its time.
#[derive(Clone, Copy, Debug)]
pub struct OpenedNonce {
    bytes: [u8; WHOLE],
    expires_at: Timestamp,
}

impl OpenedNonce {
    /// The last second at which the nonce may be used; a spent one is remembered until then.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// By what the store remembers that it was spent. Made of the decoded bytes.
    pub fn replay_key(&self) -> ReplayKey {
        ReplayKey::of_bytes("nonce", &self.bytes)
    }
}

/// Mints and opens nonces under one secret key. Prints nothing of it.
pub struct NonceMint(hmac::Key);

impl NonceMint {
    /// A mint under a new random key. Whoever restarts with a new key has forgotten nothing: all
    /// nonces of the old one are unknown from then on.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *key)?;
        Ok(Self(hmac::Key::new(HMAC_SHA256, &*key)))
    }

    /// A new nonce of `kind` that may be used up to `expires_at`. `context` is what it is bound
    /// to, part by part.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn mint(
        &self,
        kind: NonceKind,
        expires_at: Timestamp,
        context: &[&[u8]],
        entropy: &dyn Entropy,
    ) -> Result<String, EntropyError> {
        let mut random = [0; 10];
        entropy.fill(&mut random)?;
        let expiry = u32::try_from(expires_at.as_unix()).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = Vec::with_capacity(WHOLE);
        bytes.push(kind as u8);
        bytes.extend_from_slice(&expiry);
        bytes.extend_from_slice(&random);
        let tag = self.origin_tag(&bytes);
        bytes.extend(tag.as_ref().iter().take(TAGGED - HEAD));
        let mac = self.mac(&bytes, context);
        bytes.extend(mac.as_ref().iter().take(WHOLE - TAGGED));
        Ok(hex::encode(bytes))
    }

    /// Opens a nonce of `kind` that was minted with this very `context`.
    ///
    /// # Errors
    /// [`NonceError`]; the MAC is compared in constant time and before the expiry is looked at.
    pub fn open(
        &self,
        kind: NonceKind,
        nonce: &str,
        context: &[&[u8]],
        now: Timestamp,
    ) -> Result<OpenedNonce, NonceError> {
        let bytes = decode(nonce).ok_or(NonceError::Unknown)?;
        let (tagged, mac) = bytes.split_at_checked(TAGGED).ok_or(NonceError::Unknown)?;
        if tagged.first() != Some(&(kind as u8)) {
            return Err(NonceError::Unknown);
        }
        if !begins_with(&self.mac(tagged, context), mac) {
            let (head, tag) = tagged.split_at_checked(HEAD).ok_or(NonceError::Unknown)?;
            let ours = begins_with(&self.origin_tag(head), tag);
            return Err(if ours { NonceError::ContextChanged } else { NonceError::Unknown });
        }
        let expiry = tagged.get(1..5).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
        let expires_at = Timestamp::from_unix(u64::from(expiry.ok_or(NonceError::Unknown)?));
        if now > expires_at {
            return Err(NonceError::Expired);
        }
        Ok(OpenedNonce { bytes, expires_at })
    }

    /// What kind a nonce of ours claims to be, for choosing how to open it. Not authenticated.
    pub fn claimed_kind(nonce: &str) -> Option<NonceKind> {
        match decode(nonce)?.first()? {
            1 => Some(NonceKind::Challenge),
            2 => Some(NonceKind::Bare),
            3 => Some(NonceKind::Dpop),
            4 => Some(NonceKind::CallBack),
            _ => None,
        }
    }

    fn origin_tag(&self, head: &[u8]) -> hmac::Tag {
        let mut mac = hmac::Context::with_key(&self.0);
        mac.update(b"countersign nonce origin v1");
        mac.update(head);
        mac.sign()
    }

    fn mac(&self, tagged: &[u8], context: &[&[u8]]) -> hmac::Tag {
        let mut mac = hmac::Context::with_key(&self.0);
        mac.update(b"countersign nonce v1");
        mac.update(tagged);
        for part in context {
            // Each part with its length, so that no two contexts run into one.
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.sign()
    }
}

impl fmt::Debug for NonceMint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceMint")
    }
}

/// Exactly 64 lower-case hexadecimal digits: one spelling for each nonce.
fn decode(nonce: &str) -> Option<[u8; WHOLE]> {
    if nonce.len() != 2 * WHOLE || nonce.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; WHOLE];
    hex::decode_to_slice(nonce, &mut bytes).ok()?;
    Some(bytes)
}

fn begins_with(tag: &hmac::Tag, truncated: &[u8]) -> bool {
    tag.as_ref()
        .get(..truncated.len())
        .is_some_and(|start| verify_slices_are_equal(start, truncated).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);

    fn minted(context: &[&[u8]]) -> (NonceMint, String) {
        let mint = NonceMint::generate(&OsEntropy).unwrap();
        let nonce = mint.mint(NonceKind::Challenge, NOW.plus(300), context, &OsEntropy).unwrap();
        (mint, nonce)
    }

    #[test]
    fn opens_within_its_time() {
        let (mint, nonce) = minted(&[b"text"]);
        assert!(nonce.len() == 64 && nonce.bytes().all(|b| b.is_ascii_alphanumeric()));
        let open = |now| mint.open(NonceKind::Challenge, &nonce, &[b"text"], now).map(|_| ());
        assert_eq!(open(NOW.plus(300)), Ok(()));
        assert_eq!(open(NOW.plus(301)), Err(NonceError::Expired));
    }

    #[test]
    fn tells_altered_from_foreign() {
        let (mint, nonce) = minted(&[b"te", b"xt"]);
        let open = |mint: &NonceMint, kind, nonce: &str, context: &[&[u8]]| {
            mint.open(kind, nonce, context, NOW).unwrap_err()
        };
        let challenge = NonceKind::Challenge;
        assert_eq!(open(&mint, challenge, &nonce, &[b"te", b"xT"]), NonceError::ContextChanged);
        assert_eq!(open(&mint, challenge, &nonce, &[b"t", b"ext"]), NonceError::ContextChanged);
        assert_eq!(open(&mint, challenge, &nonce, &[b"text"]), NonceError::ContextChanged);
        assert_eq!(open(&mint, NonceKind::Bare, &nonce, &[b"te", b"xt"]), NonceError::Unknown);
        let (other, _) = minted(&[]);
        assert_eq!(open(&other, challenge, &nonce, &[b"te", b"xt"]), NonceError::Unknown);
        assert_eq!(
            open(&mint, challenge, &nonce.to_uppercase(), &[b"te", b"xt"]),
            NonceError::Unknown
        );
    }

    #[test]
    fn every_single_bit_is_covered() {
        let (mint, nonce) = minted(&[b"text"]);
        let bytes = hex::decode(&nonce).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let opened = mint.open(NonceKind::Challenge, &hex::encode(flipped), &[b"text"], NOW);
            assert!(opened.is_err(), "bit {bit}");
        }
    }
}
