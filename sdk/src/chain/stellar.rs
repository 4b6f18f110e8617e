//! Stellar: how an account's key is spelled, and what its wallets sign for a message.
//!
//! An account is the base32 of a version byte, an Ed25519 key and a checksum. 35 bytes are exactly 56 characters of five bits, so that no bit is left over and each key has one
//! spelling. Muxed accounts (`M…`) and contracts (`C…`) have other version bytes and are refused.
//!
//! Specs: SEP-23 (strkeys), SEP-53 (messages), RFC 4648 §6 (base32), CRC-16/XMODEM.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::checksum::crc16;

/// What stands before a message, so that nothing else is ever signed with it.
const PREFIX: &[u8] = b"Stellar Signed Message:\n";

/// The version byte of an account's public key; it makes the first letter a G.
const ACCOUNT: u8 = 6 << 3;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The version byte of a seed; it makes the first letter an S.
const SEED: u8 = 18 << 3;

/// The key of an account, `G…`.
pub fn decode_account(text: &str) -> Option<[u8; 32]> {
    decode(text, ACCOUNT).map(|key| *key)
}

/// The seed of a secret key, `S…`.
pub fn decode_seed(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    decode(text, SEED)
}

/// The 32 bytes of a strkey of that version.
fn decode(text: &str, version: u8) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 35]);
    if text.len() != 56 {
        return None;
    }
    let mut window = 0u16;
    let mut bits = 0u32;
    let mut out = bytes.iter_mut();
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        // At most 7 bits wait and 5 come, so 12 of the 16 are in use.
        window = (window << 5) | u16::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *out.next()? = u8::try_from((window >> bits) & 0xff).ok()?;
            window &= (1 << bits) - 1;
        }
    }
    let (body, checksum) = bytes.split_last_chunk::<2>()?;
    let (&first, key) = body.split_first()?;
    (first == version && u16::from_le_bytes(*checksum) == crc16(body))
        .then(|| key.try_into().ok().map(Zeroizing::new))
        .flatten()
}

/// The account of a key.
pub fn encode_account(key: &[u8; 32]) -> String {
    let body = [&[ACCOUNT], &key[..]].concat();
    let checksum = crc16(&body).to_le_bytes();
    let mut text = String::with_capacity(56);
    let mut window = 0u16;
    let mut bits = 0u32;
    for byte in body.iter().chain(&checksum) {
        window = (window << 8) | u16::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let value = usize::from((window >> bits) & 0x1f);
            text.extend(ALPHABET.get(value).map(|&letter| char::from(letter)));
            window &= (1 << bits) - 1;
        }
    }
    text
}

/// What is signed for a message (SEP-53).
pub fn digest(message: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(PREFIX).chain_update(message).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From SEP-23 and SEP-53.
    const KNOWN: &str = "GBXFXNDLV4LSWA4VB7YIL5GBD7BVNR22SGBTDKMO2SBZZHDXSKZYCP7L";

    #[test]
    fn accounts_and_keys_are_one_to_one() {
        let key = decode_account(KNOWN).unwrap();
        assert_eq!(encode_account(&key), KNOWN);
        for byte in 0..=255 {
            let key = [byte; 32];
            assert_eq!(decode_account(&encode_account(&key)), Some(key));
        }
    }

    #[test]
    fn one_changed_letter_is_noticed() {
        for at in 0..KNOWN.len() {
            for letter in ["A", "B", "7", "1", "a", "="] {
                let mut other = KNOWN.to_owned();
                other.replace_range(at..=at, letter);
                assert!(other == KNOWN || decode_account(&other).is_none(), "{other}");
            }
        }
        for broken in ["", &KNOWN[1..], &format!("{KNOWN}A"), &KNOWN.to_lowercase()] {
            assert!(decode_account(broken).is_none());
        }
        // The account GA7QYNF7… of SEP-23 as a muxed one.
        let muxed = "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUQ";
        assert!(decode_account(muxed).is_none());
        // A seed has another version byte.
        let seed = "SAKICEVQLYWGSOJS4WW7HZJWAHZVEEBS527LHK5V4MLJALYKICQCJXMW";
        assert!(decode_account(seed).is_none());
        let bytes = decode_seed(seed).unwrap();
        assert_eq!(bytes.len(), 32);
        assert!(decode_seed(KNOWN).is_none());
        assert!(decode_seed(&seed.replace("JXMW", "JXMX")).is_none());
    }
}
