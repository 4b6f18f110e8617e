//! Base58 of a length that is known: what a text of so many bytes means, in one reading.
//!
//! A library reads a digit at a time into bytes; here five digits go into 32-bit words at once, which is
//! what a signature of 64 bytes is worth. The alphabet is Bitcoin's.
//!
//! Specs: draft-msporny-base58, the digits of Bitcoin.

/// 32-bit words of the longest value, 64 bytes.
const WORDS: usize = 16;

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The digit of each byte; 255 for those that are none.
#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, with a byte over a table of 256"
)]
const DIGITS: [u8; 256] = {
    let mut digits = [u8::MAX; 256];
    let mut rest: &[u8] = ALPHABET;
    let mut digit = 0;
    while let [letter, after @ ..] = rest {
        digits[*letter as usize] = digit;
        digit += 1;
        rest = after;
    }
    digits
};

/// The bytes that a text means; `None` unless they are exactly `N`, at most 64, in the one spelling
/// that they have.
pub fn base58_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    // Each byte takes fewer than 1.4 digits.
    if N > 4 * WORDS || text.len() > N.saturating_mul(7).div_ceil(5) {
        return None;
    }
    // The lowest word first.
    let mut words = [0_u32; WORDS];
    for five in text.as_bytes().chunks(5) {
        let (mut factor, mut carry) = (1_u64, 0_u64);
        for letter in five {
            let digit = *DIGITS.get(usize::from(*letter))?;
            if digit == u8::MAX {
                return None;
            }
            factor *= 58;
            carry = carry * 58 + u64::from(digit);
        }
        for word in &mut words {
            // Below 2^32 · 58^5 + 2^32, and so below 2^63.
            let value = u64::from(*word) * factor + carry;
            *word = u32::try_from(value & u64::from(u32::MAX)).ok()?;
            carry = value >> 32;
        }
        if carry != 0 {
            return None;
        }
    }
    let mut bytes = [0; N];
    let lowest_first = words.iter().flat_map(|word| word.to_le_bytes());
    let mut places = bytes.iter_mut().rev();
    for byte in lowest_first {
        match places.next() {
            Some(place) => *place = byte,
            None if byte != 0 => return None,
            None => {}
        }
    }
    // A zero in front is a digit of its own, and no digit in front is one for nothing.
    let ones = text.bytes().take_while(|letter| *letter == b'1').count();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    (ones == zeros).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the library reads, if it is of that length.
    fn by_library<const N: usize>(text: &str) -> Option<[u8; N]> {
        bs58::decode(text).into_vec().ok()?.try_into().ok()
    }

    #[test]
    fn zeros_in_front_are_counted() {
        for zeros in 0..=32 {
            let mut bytes = [0xff; 32];
            bytes[..zeros].fill(0);
            let text = bs58::encode(bytes).into_string();
            assert_eq!(base58_bytes::<32>(&text), Some(bytes));
            assert_eq!(base58_bytes::<32>(&format!("1{text}")), None);
            assert_eq!(base58_bytes::<31>(&text).is_some(), by_library::<31>(&text).is_some());
        }
        assert_eq!(base58_bytes::<0>(""), Some([]));
        assert_eq!(base58_bytes::<64>(&bs58::encode([0xff; 64]).into_string()), Some([0xff; 64]));
        assert_eq!(base58_bytes::<64>(&bs58::encode([0xff; 65]).into_string()), None);
        assert_eq!(base58_bytes::<65>(&bs58::encode([1; 65]).into_string()), None);
        for broken in ["0", "O", "I", "l", "é", "2 ", "+"] {
            assert_eq!(base58_bytes::<1>(broken), None);
        }
    }

    proptest! {
        #[test]
        fn what_the_library_writes_is_read(bytes in proptest::collection::vec(any::<u8>(), 64), zeros in 0_usize..64) {
            let mut bytes: [u8; 64] = bytes.try_into().unwrap();
            bytes[..zeros].fill(0);
            let text = bs58::encode(bytes).into_string();
            prop_assert_eq!(base58_bytes::<64>(&text), Some(bytes));
        }

        #[test]
        fn both_read_the_same(text in "[1-9A-HJ-NP-Za-km-z]{0,100}|[ -~]{0,60}|1{0,40}[1-9A-C]{0,60}") {
            prop_assert_eq!(base58_bytes::<64>(&text), by_library(&text));
            prop_assert_eq!(base58_bytes::<35>(&text), by_library(&text));
            prop_assert_eq!(base58_bytes::<34>(&text), by_library(&text));
            prop_assert_eq!(base58_bytes::<32>(&text), by_library(&text));
            prop_assert_eq!(base58_bytes::<25>(&text), by_library(&text));
        }
    }
}
