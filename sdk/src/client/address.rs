//! Which URLs a credential may travel to: https anywhere, http to this machine alone.
//!
//! A token, a signed challenge or an assertion that crosses a network in the clear is not stolen,
//! since a key is needed beside it, but whoever stands between could answer in the server's place.

use std::fmt;

use url::{Host, Url};

/// The longest URL taken, in bytes.
const MAX_BYTES: usize = 4096;

/// Why a URL is not one that we send credentials to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an absolute URL of at most 4096 bytes.
    #[error("not an absolute http or https URL")]
    Shape,
    /// Plain http to another machine.
    #[error("http is for this machine alone; {0} needs https")]
    Insecure(String),
    /// A user name, a password or a fragment.
    #[error("a URL here has no user information and no fragment")]
    Extra,
    /// An issuer with a query or a trailing slash after a path.
    #[error("an issuer is a URL without query and without a trailing slash")]
    Issuer,
    /// The token was issued for another server.
    #[error("the token is for {expected}, this request goes to {received}")]
    OtherServer {
        /// Where the token belongs.
        expected: String,
        /// Where the request would have gone.
        received: String,
    },
}

/// An absolute URL that is https, or http to a loopback address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_BYTES || text.bytes().any(|b| b <= b' ' || b == 0x7f || b == b'\\') {
            return Err(AddressError::Shape);
        }
        let url = Url::parse(text).map_err(|_| AddressError::Shape)?;
        let host = url.host().ok_or(AddressError::Shape)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&host) => {}
            "http" => return Err(AddressError::Insecure(host.to_string())),
            _ => return Err(AddressError::Shape),
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.fragment().is_some() {
            return Err(AddressError::Extra);
        }
        Ok(Self(url))
    }

    /// Scheme, host and port, such as `https://auth.example`.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Host, with the port where it is not the scheme's own: a message's domain.
    pub fn domain(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The path, `/` at least.
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The whole URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `localhost` counts: browsers and RFC 8252 §8.3 take it for this machine.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => *name == "localhost",
    }
}

/// An issuer identifier (RFC 8414 §2), kept in the spelling that tokens and messages carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    address: Address,
}

impl Issuer {
    /// Reads an issuer; a lone slash after the host, as browsers show it, is dropped.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let address = Address::parse(text)?;
        let text = match address.path() {
            "/" => text.trim_end_matches('/'),
            _ => text,
        };
        if address.url().query().is_some() || text.ends_with('/') {
            return Err(AddressError::Issuer);
        }
        Ok(Self { text: text.to_owned(), address })
    }

    /// The identifier, exactly as it stands in metadata, messages and tokens.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The identifier as an address.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Where RFC 8414 §3.1 puts the metadata: between the host and the issuer's path.
    ///
    /// # Errors
    /// [`AddressError`] when the two do not make a URL.
    pub fn metadata_address(&self) -> Result<Address, AddressError> {
        let path = self.address.path().trim_end_matches('/');
        let origin = self.address.origin();
        Address::parse(&format!("{origin}/.well-known/oauth-authorization-server{path}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_for_loopback_alone() {
        for text in [
            "https://auth.example/a?b",
            "http://127.0.0.1:8700",
            "http://[::1]:1/",
            "http://localhost:8700",
        ] {
            assert!(Address::parse(text).is_ok(), "{text}");
        }
        for text in [
            "http://auth.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "https://user@auth.example",
            "https://auth.example/#a",
            "https:\\\\auth.example",
            "auth.example",
            "https://auth.example /",
            "",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn metadata_stands_before_the_issuers_path() {
        let plain = Issuer::parse("https://auth.example/").unwrap();
        assert_eq!(plain.as_str(), "https://auth.example");
        let at = |issuer: &Issuer| issuer.metadata_address().unwrap().to_string();
        assert_eq!(at(&plain), "https://auth.example/.well-known/oauth-authorization-server");
        let nested = Issuer::parse("https://auth.example/tenant/a").unwrap();
        assert_eq!(
            at(&nested),
            "https://auth.example/.well-known/oauth-authorization-server/tenant/a"
        );
        assert_eq!(nested.address().domain(), "auth.example");
        for text in ["https://auth.example/a/", "https://auth.example?x"] {
            assert_eq!(Issuer::parse(text), Err(AddressError::Issuer), "{text}");
        }
    }
}
