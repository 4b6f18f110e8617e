//! When two spellings of a request's URI are one and the same `htu`.
//!
//! RFC 9449 §4.3 compares without query and fragment, after the normalisation of RFC 3986 §6.2.2
//! and §6.2.3: case of scheme, host and percent-encodings, unreserved characters decoded, dot
//! segments, default ports, and the empty path.

use std::fmt;

use url::Url;

/// The longest URI read, in bytes.
const MAX_URI_BYTES: usize = 4096;

/// Not an absolute `http` or `https` URI that names a request's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an absolute http or https URI without user information")]
pub struct TargetUriError;

/// A request's URI without query and fragment, in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetUri(String);

impl TargetUri {
    /// Normalises `uri`.
    ///
    /// # Errors
    /// [`TargetUriError`] for anything but an absolute `http(s)` URI of at most 4096 bytes.
    pub fn parse(uri: &str) -> Result<Self, TargetUriError> {
        if uri.len() > MAX_URI_BYTES || uri.bytes().any(|b| !b.is_ascii_graphic() || b == b'\\') {
            return Err(TargetUriError);
        }
        let mut url = Url::parse(uri).map_err(|_| TargetUriError)?;
        // The query is not compared, and a stray `%` stands in many.
        let compared = uri.split(['?', '#']).next().unwrap_or_default();
        let escapes_are_whole = compared.split('%').skip(1).all(|after| {
            after.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
        });
        let spelled_out = escapes_are_whole && is_spelled_out(uri, &url);
        if !matches!(url.scheme(), "http" | "https") || !spelled_out {
            return Err(TargetUriError);
        }
        url.set_query(None);
        url.set_fragment(None);
        let normal = normalise_percent(url.path());
        let origin = url.origin().ascii_serialization();
        Ok(Self(origin + &normal))
    }

    /// The target of a request at `path` (as received, from its first `/`, query left out) under a
    /// public base URL such as `https://api.example` or `https://example.org/api`.
    ///
    /// A proof may name dot segments and is normalised. What was received may not have them: it
    /// goes to a handler as it stands, which would not be the one that the normal form names.
    ///
    /// # Errors
    /// [`TargetUriError`] when the two do not make a URI, or a segment of the path is `.` or `..`
    /// in any spelling.
    pub fn at(base: &Self, path: &str) -> Result<Self, TargetUriError> {
        let base = base.0.strip_suffix('/').unwrap_or(&base.0);
        // Most paths are in normal form already; only the others are taken apart.
        let plain =
            path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_'));
        let whole = path.starts_with('/') && !path.contains(['?', '#']);
        if !whole || !plain && has_dot_segment(path) {
            return Err(TargetUriError);
        }
        let joined = format!("{base}{path}");
        if plain { Ok(Self(joined)) } else { Self::parse(&joined) }
    }

    /// Whether `uri`, as a proof states it, names this target.
    pub fn is_named_by(&self, uri: &str) -> bool {
        uri == self.0 || Self::parse(uri).is_ok_and(|other| other == *self)
    }

    /// The URI in normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the authority stands in `uri` as it was parsed, but for case and the default port. The
/// parser repairs much that RFC 3986 knows as another URI or as none: missing or more slashes,
/// user information, `127.1` for an address.
fn is_spelled_out(uri: &str, parsed: &Url) -> bool {
    let Some((_, rest)) = uri.split_once("://") else {
        return false;
    };
    let written = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let default_port = match parsed.scheme() {
        "https" => ":443",
        _ => ":80",
    };
    let host = parsed.host_str().unwrap_or_default();
    match parsed.port() {
        Some(port) => written == format!("{host}:{port}"),
        None => written.strip_suffix(default_port).unwrap_or(&written) == host,
    }
}

/// Whether a segment is `.` or `..`, each dot written as itself or as `%2e`.
fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let mut rest = segment;
        let mut dots = 0;
        while let Some(after) = ["%2e", "%2E", "."].iter().find_map(|dot| rest.strip_prefix(dot)) {
            (rest, dots) = (after, dots + 1);
        }
        rest.is_empty() && matches!(dots, 1 | 2)
    })
}

/// Upper-case hexadecimal digits, and unreserved characters decoded (RFC 3986 §6.2.2.1, §6.2.2.2).
fn normalise_percent(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let digits = after.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(digits) = digits else {
            out.push('%');
            rest = after;
            continue;
        };
        match u8::from_str_radix(digits, 16) {
            Ok(byte)
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') =>
            {
                out.push(char::from(byte));
            }
            Ok(_) | Err(_) => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = after.get(2..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_equal_spellings_for_one() {
        let target = TargetUri::parse("https://api.example/a/~b").unwrap();
        for same in [
            "https://api.example/a/~b",
            "HTTPS://API.example:443/a/%7eb?q=1#f",
            "https://api.example/x/../a/./%7Eb",
        ] {
            assert!(target.is_named_by(same), "{same}");
        }
        let root = TargetUri::parse("https://api.example").unwrap();
        assert!(root.is_named_by("https://api.example/"));
    }

    #[test]
    fn keeps_different_targets_apart() {
        let target = TargetUri::parse("https://api.example/a").unwrap();
        for other in [
            "http://api.example/a",
            "https://api.example:8443/a",
            "https://api.example/a/",
            "https://api.example/A",
            "https://api.example/%2Fa",
            "https://user@api.example/a",
            "https:api.example/a",
            "https:////api.example/a",
            "https:api.example/a?b=://",
            "https://api.example:/a",
            "https://api.example:0443/a",
            "/a",
            "",
            "https://api.example/a\n",
        ] {
            assert!(!target.is_named_by(other), "{other}");
        }
    }

    #[test]
    fn joins_a_base_and_a_path() {
        let base = TargetUri::parse("https://example.org/api").unwrap();
        assert_eq!(
            TargetUri::at(&base, "/escrow/1").unwrap().as_str(),
            "https://example.org/api/escrow/1"
        );
        let bare = TargetUri::parse("https://example.org").unwrap();
        assert_eq!(TargetUri::at(&bare, "/%7ea").unwrap().as_str(), "https://example.org/~a");
        let dotted = "/.a/..b/c./d../.../e.json";
        assert!(TargetUri::at(&bare, dotted).unwrap().as_str().ends_with(dotted));
    }

    #[test]
    fn what_a_handler_would_read_otherwise_is_no_target() {
        for base in ["https://example.org", "https://example.org/api"] {
            let base = TargetUri::parse(base).unwrap();
            for path in [
                "/x/../a",
                "/..",
                "/.",
                "/./a",
                "/x/%2e%2e/a",
                "/x/%2E./a",
                "/x/.%2e",
                "/%2e",
                "/../admin",
                "/a?b",
                "/a#b",
                "a",
                "",
            ] {
                assert!(TargetUri::at(&base, path).is_err(), "{path}");
            }
        }
    }

    #[test]
    fn only_what_is_compared_must_be_whole() {
        let target = TargetUri::parse("https://api.example/a").unwrap();
        assert!(target.is_named_by("https://api.example/a?q=100%"));
        assert!(target.is_named_by("https://api.example/a#100%"));
        assert!(!target.is_named_by("https://api.example/a%?q"));
    }
}
