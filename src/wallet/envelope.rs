//! The off-chain envelopes that Solana wallets put around a text before they sign it.
//!
//! A hardware wallet does not sign bare text, since text could be a transaction. Each envelope is
//! built here around the very text that was received and its one account, and the signature is
//! tried over it. No envelope is ever taken apart: a text that is merely *contained* in something
//! that was signed proves nothing.
//!
//! Specs: Solana off-chain message v0 (agave), its 20-byte predecessor, sRFC 38 (v1).

/// What no transaction can begin with.
const SIGNING_DOMAIN: &[u8; 16] = b"\xffsolana offchain";

/// The longest text that a hardware wallet shows: 1232 bytes of a packet less the v0 header.
const SHORT_TEXT: usize = 1232;

/// Every envelope in use around `text`, for the account `key`; the likeliest first.
///
/// `domain` is the text's own domain, which some wallets write into the application domain of v0.
pub fn around<'a>(
    text: &'a str,
    domain: &'a str,
    key: &'a [u8; 32],
) -> impl Iterator<Item = Vec<u8>> + use<'a> {
    let kind = kind_of(text);
    // The length has two bytes in both older forms; a longer text has none of them.
    let length = u16::try_from(text.len()).ok().map(u16::to_le_bytes);
    let named = application_domain(domain);
    let v0 = [named, Some([0; 32])].into_iter().flatten();
    let v0 = v0.filter_map(move |application| {
        let parts: [&[u8]; 8] = [
            SIGNING_DOMAIN,
            &[0],
            &application,
            &[kind],
            &[1],
            key,
            &length?,
            text.as_bytes(),
        ];
        Some(parts.concat())
    });
    let legacy = length.map(move |length| {
        let parts: [&[u8]; 5] = [SIGNING_DOMAIN, &[0], &[kind], &length, text.as_bytes()];
        parts.concat()
    });
    let v1: [&[u8]; 5] = [SIGNING_DOMAIN, &[1], &[1], key, text.as_bytes()];
    v0.chain(legacy).chain(std::iter::once(v1.concat()))
}

/// The message format byte: 0 for printable ASCII on one line, 1 for short text, 2 for long text.
fn kind_of(text: &str) -> u8 {
    if text.len() > SHORT_TEXT {
        2
    } else if text.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        0
    } else {
        1
    }
}

/// A domain as 32 bytes, filled up with zeros.
fn application_domain(domain: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    bytes
        .get_mut(..domain.len())?
        .copy_from_slice(domain.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_laid_out_as_wallets_do() {
        let key = [7; 32];
        let all: Vec<_> = around("a\nb", "x.example", &key).collect();
        assert_eq!(all.len(), 4);
        let v0 = &all[0];
        assert_eq!(&v0[..17], b"\xffsolana offchain\0");
        assert_eq!(&v0[17..26], b"x.example");
        assert_eq!(v0[26..49], [0; 23]);
        assert_eq!(v0[49..51], [1, 1]);
        assert_eq!(v0[51..83], key);
        assert_eq!(&v0[83..], b"\x03\0a\nb");
        assert_eq!(all[2], b"\xffsolana offchain\0\x01\x03\0a\nb");
        assert_eq!(all[3].len(), 16 + 2 + 32 + 3);
        assert_eq!(around("a", &"x".repeat(40), &key).count(), 3);
        assert_eq!(around(&"a".repeat(70_000), "x", &key).count(), 1);
    }
}
