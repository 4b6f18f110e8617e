//! A refresh token, as far as anybody but its issuer can tell: whole or not, of which session.
//!
//! Its MAC is the issuer's to check. Nothing is printed that could be presented: the session's name
//! and the generation are no secret, the rest is left out.

use aws_lc_rs::digest::{self, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::report::Report;
use crate::token::refresh::PREFIX;

/// The bytes behind the prefix, and how many of them the checksum covers.
const WHOLE: usize = 48;
const COVERED: usize = 44;

/// Whether a text is, or means to be, a refresh token.
pub(super) fn is_one(text: &str) -> bool {
    text.starts_with(PREFIX)
}

pub(super) fn explain(text: &str, report: &mut Report) {
    report.ok("prefix", PREFIX);
    let body = text.strip_prefix(PREFIX).unwrap_or(text);
    let expected = "64 characters of base64url after the prefix";
    let bytes = URL_SAFE_NO_PAD.decode(body).map(Zeroizing::new);
    let Ok(bytes) = bytes else {
        return report.failed("form", expected, "other characters, or a part of them");
    };
    let (Some((covered, sum)), WHOLE) = (bytes.split_at_checked(COVERED), bytes.len()) else {
        return report.failed("form", expected, format!("{} characters", body.len()));
    };
    report.ok("form", expected);
    let mut context = digest::Context::new(&SHA256);
    context.update(PREFIX.as_bytes());
    context.update(covered);
    let whole = context.finish().as_ref().starts_with(sum);
    let fault = "another one: a character was mistyped or cut";
    let received = if whole { "right: nothing is mistyped or cut" } else { fault };
    report.judge("checksum", whole, "the first 4 bytes of the SHA-256", received);
    let Some((session, [a, b, c, d, ..])) = covered.split_first_chunk::<16>() else { return };
    let told = "only the issuer can tell whether it lives";
    report.shown("session", URL_SAFE_NO_PAD.encode(session), told);
    let generation = u32::from_be_bytes([*a, *b, *c, *d]);
    report.shown("generation", generation.to_string(), "each use gives the next one");
    report.shown("mac", "24 bytes, left out", "only the issuer has its key");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> Vec<&'static str> {
        let mut report = Report::default();
        explain(text, &mut report);
        report.failed_names()
    }

    /// Bytes 0 to 43 and their checksum, which Python's hashlib computed.
    const WHOLE_TOKEN: &str =
        "cs_rt_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKivDYXE5";

    #[test]
    fn a_token_is_whole_or_it_is_told_what_is_not() {
        assert_eq!(failed(WHOLE_TOKEN), [""; 0]);
        assert_eq!(failed(&WHOLE_TOKEN.replace("AAEC", "AAED")), ["checksum"]);
        for text in [&WHOLE_TOKEN[..69], "cs_rt_", "cs_rt_é", &format!("{WHOLE_TOKEN}AAAA")] {
            assert_eq!(failed(text), ["form"], "{text}");
        }
    }
}
