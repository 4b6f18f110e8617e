//! The issuer's nonces: for messages that it writes, for messages that clients write, and for proofs.

use countersign_sdk::entropy::{Entropy, EntropyError};
use countersign_sdk::proof::dpop::NonceCheck;
use countersign_sdk::proof::nonce::{NonceError, NonceKind, NonceMint};
use countersign_sdk::time::Timestamp;

use crate::model::reason::{Reason, Refusal};
use crate::wallet::caip122::UnverifiedMessage;
use crate::wallet::policy::{NonceAuthority, NonceOrigin, OpenedNonce};

/// Seconds for which a nonce for proofs is taken.
const PROOF_NONCE_LIFETIME: u64 = 300;

/// The issuer's nonces, under one secret key.
#[derive(Debug)]
pub struct Nonces(NonceMint);

fn no_entropy(_: EntropyError) -> Refusal {
    Refusal::new(Reason::ServerError, "no random bytes to be had")
}

impl Nonces {
    /// Nonces under the key of `mint`.
    pub const fn new(mint: NonceMint) -> Self {
        Self(mint)
    }

    /// A nonce for a message that a client writes: it covers time and randomness alone.
    ///
    /// # Errors
    /// [`Reason::ServerError`] without randomness.
    pub fn bare(&self, expires_at: Timestamp, entropy: &dyn Entropy) -> Result<String, Refusal> {
        self.0.mint(NonceKind::Bare, expires_at, &[], entropy).map_err(no_entropy)
    }

    /// A nonce for a message that the issuer wrote: it covers the format and every byte around it.
    ///
    /// # Errors
    /// [`Reason::ServerError`] without randomness.
    pub fn challenge(
        &self,
        expires_at: Timestamp,
        format: &str,
        (before, after): (&str, &str),
        entropy: &dyn Entropy,
    ) -> Result<String, Refusal> {
        let context = [format.as_bytes(), before.as_bytes(), after.as_bytes()];
        self.0.mint(NonceKind::Challenge, expires_at, &context, entropy).map_err(no_entropy)
    }

    /// A nonce for DPoP proofs (RFC 9449 §8).
    ///
    /// # Errors
    /// [`Reason::ServerError`] without randomness.
    pub fn proof(&self, now: Timestamp, entropy: &dyn Entropy) -> Result<String, Refusal> {
        self.0
            .mint(NonceKind::Dpop, now.plus(PROOF_NONCE_LIFETIME), &[], entropy)
            .map_err(no_entropy)
    }

    /// A word for the URL of a call-back: it covers the digest that is to be signed, and the key that is to
    /// sign it, where it is known.
    ///
    /// # Errors
    /// [`Reason::ServerError`] without randomness.
    pub fn call_back(
        &self,
        expires_at: Timestamp,
        digest: &[u8; 32],
        key: Option<&[u8; 33]>,
        entropy: &dyn Entropy,
    ) -> Result<String, Refusal> {
        let context = call_back_context(digest, key);
        self.0.mint(NonceKind::CallBack, expires_at, &context, entropy).map_err(no_entropy)
    }

    /// Until when the challenge of a digest may be answered by this key, by the word of its URL.
    ///
    /// # Errors
    /// [`Reason::NonceUnknown`], [`Reason::MessageMismatch`] or [`Reason::ChallengeExpired`].
    pub fn open_call_back(
        &self,
        word: &str,
        digest: &[u8; 32],
        key: &[u8; 33],
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        let open = |key: Option<&[u8; 33]>| {
            self.0.open(NonceKind::CallBack, word, &call_back_context(digest, key), now)
        };
        let opened = match open(None) {
            // Not a link for whoever answers; then for this key, or not ours to take.
            Err(NonceError::ContextChanged) => open(Some(key)),
            opened => opened,
        };
        match opened {
            Ok(opened) => Ok(opened.expires_at()),
            Err(NonceError::ContextChanged) => {
                let detail = "this link is for another wallet's key, or was altered";
                Err(Refusal::new(Reason::MessageMismatch, detail))
            }
            Err(error) => Err(refusal(error)),
        }
    }

    /// Judges the nonces of DPoP proofs: one is required of all, or of those made before a moment.
    pub const fn for_proofs(&self, required: bool, required_before: Timestamp) -> ProofNonces<'_> {
        ProofNonces { mint: &self.0, required, required_before }
    }
}

/// What the word of a call-back covers. One part and two are never taken for each other: the number of
/// parts is the kind of the link.
fn call_back_context<'a>(digest: &'a [u8; 32], key: Option<&'a [u8; 33]>) -> Vec<&'a [u8]> {
    let key = key.map(|key| &key[..]);
    std::iter::once(&digest[..]).chain(key).collect()
}

impl NonceAuthority for Nonces {
    fn open(
        &self,
        format: &str,
        message: &UnverifiedMessage<'_>,
        now: Timestamp,
    ) -> Result<OpenedNonce, Refusal> {
        let nonce = message.fields().nonce.unwrap_or_default();
        let (before, after) = message.around_nonce().unwrap_or_default();
        let whole = [format.as_bytes(), before.as_bytes(), after.as_bytes()];
        let (kind, origin, context): (_, _, &[&[u8]]) = match NonceMint::claimed_kind(nonce) {
            Some(NonceKind::Challenge) => (NonceKind::Challenge, NonceOrigin::Challenge, &whole),
            Some(NonceKind::Bare) => (NonceKind::Bare, NonceOrigin::Bare, &[]),
            // What was made for something else is none for messages.
            Some(NonceKind::Dpop | NonceKind::CallBack) | None => {
                return Err(refusal(NonceError::Unknown));
            }
        };
        let opened = self.0.open(kind, nonce, context, now).map_err(refusal)?;
        Ok(OpenedNonce { origin, spend_key: opened.replay_key(), until: opened.expires_at() })
    }
}

fn refusal(error: NonceError) -> Refusal {
    match error {
        NonceError::Unknown => {
            Refusal::new(Reason::NonceUnknown, "the message's nonce is not one of this issuer's")
        }
        NonceError::ContextChanged => Refusal::new(
            Reason::MessageMismatch,
            "the message differs from the one that the issuer wrote for this nonce",
        ),
        NonceError::Expired => Refusal::new(
            Reason::ChallengeExpired,
            "the challenge's time to be redeemed has passed; ask for a new one",
        ),
    }
}

/// The judgement of a DPoP proof's nonce.
#[derive(Clone, Copy, Debug)]
pub struct ProofNonces<'a> {
    mint: &'a NonceMint,
    required: bool,
    required_before: Timestamp,
}

impl NonceCheck for ProofNonces<'_> {
    fn required(&self, made_at: Timestamp) -> bool {
        self.required || made_at < self.required_before
    }

    fn accepts(&self, nonce: &str, now: Timestamp) -> bool {
        self.mint.open(NonceKind::Dpop, nonce, &[], now).is_ok()
    }
}
