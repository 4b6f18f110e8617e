//! Which characters and shapes the single values of a sign-in text may have.
//!
//! Written out as byte tables in place of regular expressions: these run over every byte that a
//! stranger sends, before anything else is known about it.
//!
//! Specs: RFC 3986 (URI, authority), EIP-4361 ABNF (statement, nonce, request id).

use std::net::Ipv6Addr;

const UNRESERVED: u8 = 1;
const SUB_DELIM: u8 = 2;
const GEN_DELIM: u8 = 4;

static CLASS: [u8; 256] = classes();

#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, over an index of the table's own length"
)]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = if byte.is_ascii_alphanumeric() {
            UNRESERVED
        } else {
            match byte {
                b'-' | b'.' | b'_' | b'~' => UNRESERVED,
                b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {
                    SUB_DELIM
                }
                b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@' => GEN_DELIM,
                _ => 0,
            }
        };
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

fn is(byte: u8, class: u8) -> bool {
    CLASS.get(usize::from(byte)).is_some_and(|c| c & class != 0)
}

/// Whether all of `text` is unreserved, sub-delims, percent-encoded or one of `more`.
fn is_all(text: &str, more: &[u8]) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => {
                let high = bytes.next().is_some_and(|b| b.is_ascii_hexdigit());
                high && bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
            }
            _ => is(byte, UNRESERVED | SUB_DELIM) || more.contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// A statement of EIP-4361: one line of reserved and unreserved characters and spaces.
pub(super) fn is_ascii_statement(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b == b' ' || is(b, UNRESERVED | SUB_DELIM | GEN_DELIM))
}

/// A line of a statement in any script, without what could hide or reorder text on a screen.
pub(super) fn is_printable_line(text: &str) -> bool {
    text.is_ascii() && text.bytes().all(|b| (0x20..0x7f).contains(&b))
        || text.chars().all(|c| !c.is_control() && !is_deceptive(c))
}

/// Characters that show as nothing, as a space that is none, or that turn the text around them:
/// with them two texts look like one. The variation selectors of emoji are not among them.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{1680}' | '\u{3000}' | '\u{3164}')
        || matches!(c, '\u{feff}' | '\u{ffa0}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}')
        || matches!(c, '\u{205f}'..='\u{206f}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}')
        || matches!(c, '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// `*pchar` of RFC 3986.
pub(super) fn is_request_id(text: &str) -> bool {
    is_all(text, b":@")
}

/// An account's address in any namespace; which ones are right is for the format to say.
pub(super) fn is_address(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'%' | b':' | b'_'))
}

/// Letters and digits, at least `min` and at most [`MAX_NONCE`].
pub(super) fn is_nonce(text: &str, min: usize) -> bool {
    (min..=MAX_NONCE).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The longest nonce that is read, in characters. Those that we issue have 64.
pub const MAX_NONCE: usize = 128;

/// `scheme` of RFC 3986.
pub(super) fn is_scheme(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// `authority` of RFC 3986, never empty, and without the empty port that the RFC lets pass.
pub(super) fn is_authority(text: &str) -> bool {
    let host_and_port = match text.rsplit_once('@') {
        Some((userinfo, rest)) if is_all(userinfo, b":") => rest,
        Some(_) => return false,
        None => text,
    };
    let (host_fits, port) = if let Some(literal) = host_and_port.strip_prefix('[') {
        let Some((address, rest)) = literal.split_once(']') else {
            return false;
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port),
            None if rest.is_empty() => None,
            None => return false,
        };
        (address.parse::<Ipv6Addr>().is_ok(), port)
    } else {
        match host_and_port.split_once(':') {
            Some((host, port)) => (!host.is_empty() && is_all(host, b""), Some(port)),
            None => (!host_and_port.is_empty() && is_all(host_and_port, b""), None),
        }
    };
    host_fits
        && port.is_none_or(|port| {
            port.len() <= 5
                && port.parse::<u16>().is_ok_and(|_| port.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// `URI` of RFC 3986: a scheme, and everything after it in the right characters.
pub fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    if !is_scheme(scheme) {
        return false;
    }
    let (rest, fragment) = split_off(rest, '#');
    let (hierarchy, query) = split_off(rest, '?');
    let path = match hierarchy.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
            // `file:///x` has an authority that is there and empty.
            if !(authority.is_empty() || is_authority(authority)) {
                return false;
            }
            path
        }
        None => hierarchy,
    };
    is_all(path, b":@/")
        && query.is_none_or(|query| is_all(query, b":@/?"))
        && fragment.is_none_or(|fragment| is_all(fragment, b":@/?"))
}

fn split_off(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// The scheme and the authority of a hierarchical URI such as `https://app.example/login`.
pub fn origin_of(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some((scheme, rest.get(..end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_those_of_rfc3986() {
        for uri in [
            "https://app.example/login?x=1#y",
            "https://[::cafe]",
            "https://127.0.0.1:4361",
            "ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/",
            "urn:recap:eyJhdHQi",
            "did:key:z6Mk",
            "file:///etc",
            "https://a.example/%7Euser",
        ] {
            assert!(is_uri(uri), "{uri}");
        }
        for uri in [
            "",
            "***",
            "login",
            ":not_a_rfc3986_valid_uri_",
            "https://a b",
            "https://a.example/%7",
            "https://a.example/%zz",
            "https://a.example/#a#b",
            "https://a.example/<x>",
            "https://[::cafe",
            "https://[::1]x",
            "https://a.example/[x]",
            "https://ü.example",
            "1https://a.example",
        ] {
            assert!(!is_uri(uri), "{uri}");
        }
    }

    #[test]
    fn authorities_have_a_host() {
        for text in ["a.example", "localhost:8080", "[::1]:80", "u:p@127.0.0.1:8080"] {
            assert!(is_authority(text), "{text}");
        }
        for text in ["", "a:", ":80", "a:b", "a:99999", "a/b", "#x", "a b", "[::1", "a:+1", "u@"] {
            assert!(!is_authority(text), "{text}");
        }
    }

    #[test]
    fn a_line_hides_nothing() {
        assert!(is_printable_line("Войти на сайт"));
        for text in ["a\rb", "a\u{202e}b", "a\u{0}b", "a\u{2028}b", "a\u{7f}b"] {
            assert!(!is_printable_line(text), "{text:?}");
        }
    }
}
