//! Base58 with a version byte in front and four bytes of checksum behind.
//!
//! Specs: the Base58Check of Bitcoin, which Tron shares.

use super::hash::double_sha256;
use crate::key::base58_bytes;

/// Writes a version and 20 bytes.
pub fn encode(version: u8, hash: &[u8; 20]) -> String {
    let content = [&[version], &hash[..]].concat();
    let sum = double_sha256(&content);
    bs58::encode([&content[..], sum.split_at(4).0].concat()).into_string()
}

/// Reads a version and 20 bytes; `None` for another length, alphabet or checksum.
pub fn decode(text: &str) -> Option<(u8, [u8; 20])> {
    let bytes = base58_bytes::<25>(text)?;
    let (content, sum) = bytes.split_at(21);
    let (version, hash) = content.split_first()?;
    (double_sha256(content).split_at(4).0 == sum).then_some(())?;
    Some((*version, hash.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_spelling() {
        let text = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2";
        let (version, hash) = decode(text).unwrap();
        assert_eq!((version, encode(version, &hash)), (0, text.to_owned()));
        for wrong in [
            "",
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
            "11BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN",
            " 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
            "0BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        ] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
        assert_eq!(decode(&"1".repeat(10_000)), None);
    }
}
