//! What Bitcoin's old `signmessage` signs: a digest from which the key is recovered.
//!
//! Specs: BIP-137.

use super::hash::double_sha256;

/// The digest of a text: a magic and the text, each with its length in front, hashed twice.
pub fn digest(text: &str) -> [u8; 32] {
    let mut bytes = b"\x18Bitcoin Signed Message:\n".to_vec();
    bytes.extend(compact_size(text.len()));
    bytes.extend(text.as_bytes());
    double_sha256(&bytes)
}

/// A length as transactions have it: one byte up to 252, then a marker and two or four bytes.
pub(super) fn compact_size(length: usize) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=252), _) => vec![short],
        (_, Ok(length)) => [&[253], &length.to_le_bytes()[..]].concat(),
        // No text here comes near four gibibytes.
        _ => [&[254], &u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()[..]].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_grow_with_the_text() {
        assert_eq!(compact_size(252), [252]);
        assert_eq!(compact_size(253), [253, 253, 0]);
        assert_eq!(compact_size(0x1234), [253, 0x34, 0x12]);
        assert_eq!(compact_size(0x1_0000), [254, 0, 0, 1, 0]);
    }
}
