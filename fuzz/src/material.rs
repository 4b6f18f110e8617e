//! The keys, clocks and nonces that every run shares: fixed, so that an input means the same tomorrow.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_sdk::entropy::{Entropy, EntropyError};
use countersign_sdk::key::{Curve, InMemorySigner};
use countersign_sdk::time::Timestamp;

/// Every target's now, in the year 2027.
pub const NOW: u64 = 1_800_000_000;
/// The issuer that proofs and assertions are for.
pub const ISSUER: &str = "https://auth.example";
/// The resource that tokens are for.
pub const RESOURCE: &str = "https://escrow.example";

/// [`NOW`] as the library has it.
pub const fn now() -> Timestamp {
    Timestamp::from_unix(NOW)
}

/// The curves, in the order of [`signer`].
pub const CURVES: [Curve; 3] = [Curve::Ed25519, Curve::Secp256k1, Curve::P256];

/// One of three signers, the same in every run; each further number begins again.
pub fn signer(number: usize) -> &'static InMemorySigner {
    static SIGNERS: OnceLock<Vec<InMemorySigner>> = OnceLock::new();
    let signers = SIGNERS.get_or_init(|| {
        let make = |curve| InMemorySigner::from_bytes(curve, &[7; 32]).expect("a right scalar");
        CURVES.into_iter().map(make).collect()
    });
    &signers[number % signers.len()]
}

/// A compact JWS over any two texts, by `signer`.
pub fn jws(signer: &InMemorySigner, header: &[u8], payload: &[u8]) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(header);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut text);
    let signature = signer.sign_now(text.as_bytes()).expect("the key signs");
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    text
}

/// Accepted JSON as a parser reads it that knows nothing of ours; `None` where only that one
/// refuses it: a member that we ignore may hold half of a surrogate pair.
pub fn independently(json: &[u8]) -> Option<serde_json::Value> {
    assert!(std::str::from_utf8(json).is_ok(), "accepted JSON is UTF-8 (RFC 8259 §8.1)");
    serde_json::from_slice(json).ok()
}

/// Header and payload of an accepted compact JWS, read [`independently`].
pub fn parts(jws: &str) -> Option<(serde_json::Value, serde_json::Value)> {
    let mut parts = jws.split('.').map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("an accepted JWS is base64url");
        independently(&bytes)
    });
    Some((parts.next()??, parts.next()??))
}

/// Bytes that count up: each nonce differs, each run is the same.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(8) {
            let next = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let bytes = next.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}
