//! NEAR: the account that a key is, and what its wallets sign for a message.
//!
//! Specs: NEP-413, NEP-148 implicit accounts, Borsh.

use sha2::{Digest as _, Sha256};

/// 2^31 + 413, little-endian: no transaction of the chain begins so.
const TAG: [u8; 4] = 2_147_484_061_u32.to_le_bytes();

/// The structure that is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// What the person reads.
    pub message: &'a [u8],
    /// A nonce.
    pub nonce: &'a [u8; 32],
    /// Who asks.
    pub recipient: &'a str,
    /// Where a browser wallet hands its answer to.
    pub callback_url: Option<&'a str>,
}

impl Signed<'_> {
    /// SHA-256 of the tag and the structure in Borsh; `None` for a part of more than 4 GiB.
    pub fn digest(&self) -> Option<[u8; 32]> {
        let mut hash = Sha256::new();
        let mut string = |tag: &[u8], bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).ok()?;
            hash.update(tag);
            hash.update(length.to_le_bytes());
            hash.update(bytes);
            Some(())
        };
        string(&TAG, self.message)?;
        string(self.nonce, self.recipient.as_bytes())?;
        match self.callback_url {
            Some(url) => string(&[1], url.as_bytes())?,
            None => hash.update([0]),
        }
        Some(hash.finalize().into())
    }
}

/// The nonce that is signed beside the text. The text has a nonce of its own, so this one need not
/// be random; that it is the text's hash lets the server know it without a second secret.
pub fn nonce_of(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The 32 bytes that an implicit account's name is the lower-case hex of.
pub fn implicit_key(account_id: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let lower = account_id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    hex::decode_to_slice(account_id, &mut bytes).ok().filter(|()| lower)?;
    Some(bytes)
}
