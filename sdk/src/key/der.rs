//! ECDSA signatures as DER, in the one encoding that each has.
//!
//! Lengths of one byte, no zero in front but for the sign, nothing after the end: what BIP-66
//! demands and what Bitcoin and Lightning wallets write.
//!
//! Specs: X.690 (DER), BIP-66.

/// The 64 bytes r‖s of a DER `SEQUENCE` of two `INTEGER`s; `None` for any other encoding.
pub fn ecdsa_from_der(der: &[u8]) -> Option<[u8; 64]> {
    let (content, rest) = tagged(der, 0x30)?;
    let (r, after) = tagged(content, 0x02)?;
    let (s, end) = tagged(after, 0x02)?;
    if !rest.is_empty() || !end.is_empty() {
        return None;
    }
    let mut both = [0; 64];
    let (first, second) = both.split_at_mut(32);
    for (number, to) in [(r, first), (s, second)] {
        let digits = match number {
            [0] => [].as_slice(),
            // A zero in front is for the sign alone.
            [0, next, ..] if *next >= 0x80 => number.get(1..)?,
            [first, ..] if *first != 0 && *first < 0x80 => number,
            _ => return None,
        };
        let from = to.len().checked_sub(digits.len())?;
        to.get_mut(from..)?.copy_from_slice(digits);
    }
    Some(both)
}

/// 64 bytes r‖s as DER.
pub fn ecdsa_to_der(signature: &[u8; 64]) -> Vec<u8> {
    let (r, s) = signature.split_at(32);
    let numbers = [r, s].map(|number| {
        let digits: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = digits.first().is_none_or(|first| *first >= 0x80);
        let mut content = if sign { vec![0] } else { Vec::new() };
        content.extend(digits);
        element(0x02, &content)
    });
    element(0x30, &numbers.concat())
}

/// Never longer than 127 bytes: two numbers of 33 bytes at most.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap_or_default();
    [&[tag, length], content].concat()
}

/// One element of that tag with a length of one byte, and what follows it.
fn tagged(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    match der {
        [first, length, rest @ ..] if *first == tag && *length < 0x80 => {
            rest.split_at_checked(usize::from(*length))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn der_has_one_encoding() {
        assert!(ecdsa_from_der(&[0x30, 6, 2, 1, 1, 2, 1, 2]).is_some());
        assert!(ecdsa_from_der(&[0x30, 7, 2, 2, 0, 0x80, 2, 1, 2]).is_some());
        for wrong in [
            &[][..],
            &[0x30, 6, 2, 1, 1, 2, 1, 2, 0],
            &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 2],
            &[0x30, 7, 2, 2, 0, 1, 2, 1, 2],
            &[0x30, 6, 2, 1, 0x80, 2, 1, 2],
            &[0x30, 5, 2, 0, 2, 1, 2],
            &[0x31, 6, 2, 1, 1, 2, 1, 2],
        ] {
            assert!(ecdsa_from_der(wrong).is_none(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(signature in proptest::collection::vec(any::<u8>(), 64), zeros in 0..40_usize) {
            let mut signature: [u8; 64] = signature.try_into().unwrap();
            signature[..zeros].fill(0);
            prop_assert_eq!(ecdsa_from_der(&ecdsa_to_der(&signature)), Some(signature));
        }

        #[test]
        fn what_is_read_is_written(der in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(signature) = ecdsa_from_der(&der) {
                prop_assert_eq!(ecdsa_to_der(&signature), der);
            }
        }
    }
}
