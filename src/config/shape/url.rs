//! An issuer and a resource are URLs that others compare byte by byte, so they are accepted in normal form alone.
//!
//! `https://Auth.example:443/` and `https://auth.example` reach the same server and are different audiences. Rewriting
//! one into the other would leave the operator with an identifier that nobody typed; the fault says what to write.
//! RFC 8414 §2 (issuer), RFC 8707 §2 (resource), RFC 3986 §6.2 (normal form).

use ::url::{Host, Url};

use super::super::settings::Issuer;
use super::TextShape;
use super::net::is_loopback;

/// The longest identifier in bytes: both stand in messages that people read in a wallet.
const LONGEST: usize = 512;

/// The issuer identifier.
pub(crate) struct IssuerUrl;

impl TextShape for IssuerUrl {
    type Value = Issuer;

    fn accepted(&self) -> String {
        "an https URL (http for loopback) without query, fragment or closing slash, such as \
         https://auth.example"
            .to_owned()
    }

    fn parse(&self, text: &str) -> Result<Issuer, String> {
        let url = absolute(text)?;
        if url.query().is_some() {
            return Err("must not have a query".to_owned());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        if !url.path().chars().all(plain) || url.path().contains("//") {
            return Err("must have a path of plain segments: letters, digits, - . _ ~".to_owned());
        }
        normal(text, url.as_str().trim_end_matches('/'))?;
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Issuer { url: text.to_owned(), host })
    }
}

/// Where operators call: an origin, below which the paths are ours.
pub(crate) struct OperationsUrl;

impl TextShape for OperationsUrl {
    type Value = String;

    fn accepted(&self) -> String {
        "an https URL (http for loopback) without path and closing slash, such as \
         https://operations.example"
            .to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let issuer = IssuerUrl.parse(text)?;
        if !issuer.path().is_empty() {
            return Err("must not have a path".to_owned());
        }
        Ok(text.to_owned())
    }
}

/// The identifier of an API.
pub(crate) struct ResourceUri;

impl TextShape for ResourceUri {
    type Value = String;

    fn accepted(&self) -> String {
        "an https URL (http for loopback) without fragment, such as https://escrow.example"
            .to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let url = absolute(text)?;
        // An empty path and "/" are two identifiers: RFC 8707 compares strings, so both spellings are the operator's choice.
        let root = url.path() == "/" && url.query().is_none() && !text.ends_with('/');
        let wanted = if root { url.as_str().trim_end_matches('/') } else { url.as_str() };
        normal(text, wanted)?;
        Ok(text.to_owned())
    }
}

/// Reads an absolute https URL (http for loopback) with nothing in it that could be mistaken in a signed sentence.
pub(super) fn absolute(text: &str) -> Result<Url, String> {
    if text.len() > LONGEST {
        return Err(format!("must be at most {LONGEST} bytes"));
    }
    // The parser below would quietly drop or encode these (WHATWG URL §4.4).
    let strange = |c: &char| !c.is_ascii_graphic() || "\"'<>\\^`{|}".contains(*c);
    if let Some(found) = text.chars().find(strange) {
        return Err(format!("must not contain {found:?}"));
    }
    let url = Url::parse(text).map_err(|error| format!("is not an absolute URL: {error}"))?;
    let host = url.host().filter(is_host).ok_or("must name a host")?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&host) => {}
        "http" => return Err("must be https: http is accepted for loopback alone".to_owned()),
        _ => return Err("must be https".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have a user name or password".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment".to_owned());
    }
    Ok(url)
}

/// Refuses any spelling but the normal one, and tells it.
fn normal(text: &str, wanted: &str) -> Result<(), String> {
    if text == wanted { Ok(()) } else { Err(format!("must be in normal form: write {wanted}")) }
}

/// Whether a parsed host is an address, or a name that DNS could hold (RFC 1123 §2.1).
pub(crate) fn is_host<S: AsRef<str>>(host: &Host<S>) -> bool {
    let Host::Domain(name) = host else {
        return true;
    };
    let name = name.as_ref();
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_know_their_host_and_path() {
        for (written, host, path) in [
            ("https://auth.example", "auth.example", ""),
            ("https://auth.example:8443/tenant/a", "auth.example:8443", "/tenant/a"),
            ("http://127.0.0.1:8700", "127.0.0.1:8700", ""),
            ("http://localhost", "localhost", ""),
            ("https://[2001:db8::1]", "[2001:db8::1]", ""),
        ] {
            let issuer = IssuerUrl.parse(written).unwrap();
            assert_eq!((issuer.issuer(), issuer.host(), issuer.path()), (written, host, path));
        }
    }

    #[test]
    fn issuers_in_any_other_form_are_refused() {
        for (written, problem) in [
            ("https://auth.example/", "must be in normal form: write https://auth.example"),
            ("https://Auth.example:443", "must be in normal form: write https://auth.example"),
            ("https:auth.example", "must be in normal form: write https://auth.example"),
            ("https://a.example/x/../y", "must be in normal form: write https://a.example/y"),
            ("https://auth.example?a=b", "must not have a query"),
            ("https://auth.example#top", "must not have a fragment"),
            ("https://me:x@auth.example", "must not have a user name or password"),
            ("http://auth.example", "must be https: http is accepted for loopback alone"),
            ("http://127.0.0.1.example", "must be https: http is accepted for loopback alone"),
            ("ftp://auth.example", "must be https"),
            ("auth.example", "is not an absolute URL: relative URL without a base"),
            ("https://auth example", "must not contain ' '"),
            ("https://bücher.example", "must not contain 'ü'"),
            ("https://auth_1.example", "must name a host"),
            (
                "https://auth.example/a%20b",
                "must have a path of plain segments: letters, digits, - . _ ~",
            ),
        ] {
            assert_eq!(IssuerUrl.parse(written).unwrap_err(), problem, "{written}");
        }
    }

    #[test]
    fn operators_call_an_origin() {
        for written in ["https://ops.example:8443", "http://127.0.0.1:8701"] {
            assert_eq!(OperationsUrl.parse(written).as_deref(), Ok(written));
        }
        for written in ["https://ops.example/", "https://ops.example/a", "http://10.0.0.1:8701"] {
            assert!(OperationsUrl.parse(written).is_err(), "{written}");
        }
    }

    #[test]
    fn resources_keep_their_spelling() {
        for written in [
            "https://escrow.example",
            "https://escrow.example/",
            "https://escrow.example/v1/",
            "https://escrow.example/v1?tenant=a",
            "http://localhost:3000",
        ] {
            assert_eq!(ResourceUri.parse(written).as_deref(), Ok(written));
        }
        for (written, problem) in [
            ("https://Escrow.example", "must be in normal form: write https://escrow.example"),
            ("https://escrow.example#a", "must not have a fragment"),
            ("https://escrow.example/it's", "must not contain '\\''"),
            ("urn:escrow", "must name a host"),
            ("http://escrow.example", "must be https: http is accepted for loopback alone"),
        ] {
            assert_eq!(ResourceUri.parse(written).unwrap_err(), problem, "{written}");
        }
    }
}
