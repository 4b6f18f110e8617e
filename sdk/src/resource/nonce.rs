//! This server's own nonces: whether a proof's nonce is current, and when to hand out the next.
//!
//! They are distinct from the issuer's. A client that was given one must use one from then on, so a
//! proof whose nonce we do not know is refused even where none is required. They die with the
//! process, so a proof that carries one was not used before the process began; one that was made
//! before then, and may have been used, needs one. RFC 9449 §9.

use std::cell::Cell;

use crate::entropy::{Entropy, EntropyError};
use crate::proof::dpop::NonceCheck;
use crate::proof::nonce::{NonceKind, NonceMint, OpenedNonce};
use crate::time::Timestamp;

/// Seconds for which a nonce may be used.
const LIFETIME: u64 = 120;

/// Makes this server's nonces, under a key that lives as long as the process.
#[derive(Debug)]
pub(super) struct Nonces {
    mint: NonceMint,
    /// A proof that was made before this moment is refused without a nonce.
    required_before: Timestamp,
}

impl Nonces {
    /// Under a new key. A proof made before `required_before` needs a nonce.
    pub(super) fn generate(
        required_before: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, EntropyError> {
        Ok(Self { mint: NonceMint::generate(entropy)?, required_before })
    }

    pub(super) fn fresh(
        &self,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<String, EntropyError> {
        self.mint.mint(NonceKind::Dpop, now.plus(LIFETIME), &[], entropy)
    }

    /// Judges the nonce of one proof.
    pub(super) const fn judge(&self) -> NonceJudge<'_> {
        NonceJudge { nonces: self, expires_at: Cell::new(None) }
    }
}

/// Judges one proof's nonce, and remembers how long it has left.
pub(super) struct NonceJudge<'a> {
    nonces: &'a Nonces,
    expires_at: Cell<Option<Timestamp>>,
}

impl NonceJudge<'_> {
    /// Whether the client should be given the next nonce: half of its own one's time is over.
    pub(super) fn wants_renewal(&self, now: Timestamp) -> bool {
        let left = self.expires_at.get().map(|end| end.since(now));
        left.is_some_and(|seconds| seconds < LIFETIME / 2)
    }
}

impl NonceCheck for NonceJudge<'_> {
    fn required(&self, made_at: Timestamp) -> bool {
        made_at < self.nonces.required_before
    }

    fn accepts(&self, nonce: &str, now: Timestamp) -> bool {
        let opened = self.nonces.mint.open(NonceKind::Dpop, nonce, &[], now);
        self.expires_at.set(opened.as_ref().ok().map(OpenedNonce::expires_at));
        opened.is_ok()
    }
}
