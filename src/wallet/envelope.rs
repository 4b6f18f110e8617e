//! The off-chain envelopes that Solana wallets put around a text before they sign it.
//!
//! A hardware wallet does not sign bare text, since text could be a transaction. Each envelope is
//! built here around the very text that was received and its one account, and the signature is
//! tried over it. No envelope is ever taken apart: a text that is merely *contained* in something
//! that was signed proves nothing.
//!
//! Specs: Solana off-chain message v0 (agave), its 20-byte predecessor, sRFC 38 (v1).

/// What no transaction can begin with.
const SIGNING_DOMAIN: &[u8] = b"\xffsolana offchain";

/// The longest text that a hardware wallet shows: 1232 bytes of a packet less the v0 header.
const SHORT_TEXT: usize = 1232;

/// Every envelope in use around `text`, for the account `key`; the likeliest first.
///
/// `domain` is the text's own domain, which some wallets write into the application domain of v0.
/// At most seven, so that a wrong signature costs a bounded number of verifications.
pub fn around<'a>(
    text: &'a str,
    domain: &'a str,
    key: &'a [u8; 32],
) -> impl Iterator<Item = Vec<u8>> + use<'a> {
    let kinds = kinds_of(text);
    // The length has two bytes in both older forms; a longer text has none of them.
    let length = u16::try_from(text.len()).ok().map(u16::to_le_bytes);
    let applications = [application_domain(domain), Some([0; 32])];
    let v0 = applications.into_iter().flatten().flat_map(move |application| {
        kinds.into_iter().flatten().filter_map(move |kind| {
            let header = [&[0], &application[..], &[kind, 1]].concat();
            let parts = [SIGNING_DOMAIN, &header[..], key, &length?, text.as_bytes()];
            Some(parts.concat())
        })
    });
    let legacy = kinds.into_iter().flatten().filter_map(move |kind| {
        Some([SIGNING_DOMAIN, &[0, kind][..], &length?, text.as_bytes()].concat())
    });
    let v1 = [SIGNING_DOMAIN, &[1, 1][..], key, text.as_bytes()].concat();
    v0.chain(legacy).chain(std::iter::once(v1))
}

/// The message format bytes that wallets give a text: 0 for ASCII, 1 for short text, 2 for long.
///
/// The specification leaves line feeds out of format 0 and devices sign them under it all the same,
/// so a short ASCII text of several lines has two.
fn kinds_of(text: &str) -> [Option<u8>; 2] {
    let ascii = text.bytes().all(|b| b == b'\n' || (0x20..=0x7e).contains(&b));
    match (text.len() > SHORT_TEXT, ascii) {
        (true, _) => [Some(2), None],
        (false, true) => [Some(0), Some(1)],
        (false, false) => [Some(1), None],
    }
}

/// A domain as 32 bytes, filled up with zeros.
fn application_domain(domain: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    bytes.get_mut(..domain.len())?.copy_from_slice(domain.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_laid_out_as_wallets_do() {
        let key = [7; 32];
        let all: Vec<_> = around("a\nb", "x.example", &key).collect();
        assert_eq!(all.len(), 7);
        let v0 = &all[1];
        assert_eq!(&v0[..17], b"\xffsolana offchain\0");
        assert_eq!(&v0[17..26], b"x.example");
        assert_eq!(v0[26..49], [0; 23]);
        assert_eq!(v0[49..51], [1, 1]);
        assert_eq!(v0[51..83], key);
        assert_eq!(&v0[83..], b"\x03\0a\nb");
        assert_eq!(all[0][49], 0);
        assert_eq!(all[5], b"\xffsolana offchain\0\x01\x03\0a\nb");
        assert_eq!(all[6].len(), 16 + 2 + 32 + 3);
        assert_eq!(around("\u{e4}", &"x".repeat(40), &key).count(), 3);
        assert_eq!(around(&"a".repeat(70_000), "x", &key).count(), 1);
    }
}
