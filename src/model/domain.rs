//! Which wallet applications may ask people to sign in: the domains of messages, and the origins of pages.

use std::net::Ipv4Addr;

/// The applications whose domain may stand in a message.
#[derive(Clone, Debug)]
pub enum Domains {
    /// Any that is served from this machine: development.
    Loopback,
    /// These `host` or `host:port`, lower-case.
    Listed(Vec<String>),
}

impl Domains {
    /// Whether a message may name `domain` (RFC 3986 authority without user information).
    pub fn allows(&self, domain: &str) -> bool {
        match self {
            Self::Loopback => is_loopback_authority(domain),
            // Exactly: the text's spelling becomes `client_id`, and one client has one.
            Self::Listed(list) => list.iter().any(|listed| listed == domain),
        }
    }

    /// Whether a page of `origin` (RFC 6454, as browsers send it) may call: its authority is an
    /// allowed domain, over https, or over http on this machine.
    pub fn allows_origin(&self, origin: &str) -> bool {
        authority_of_origin(origin).is_some_and(|authority| self.allows(authority))
    }
}

/// The authority of an `Origin` header: of an https one, or an http one on this machine; `None` for others.
pub fn authority_of_origin(origin: &str) -> Option<&str> {
    match origin.split_once("://")? {
        ("https", authority) => Some(authority),
        ("http", authority) if is_loopback_authority(authority) => Some(authority),
        _ => None,
    }
}

/// Whether `authority` (`host` or `host:port`) is on this machine, in its one spelling: lower-case
/// names under `localhost`, the dotted 127.0.0.0/8, or `[::1]`. No URL parser is asked, because
/// those drop some characters and have many spellings for one address.
pub fn is_loopback_authority(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix("[::1]") {
        Some(port) => ("[::1]", port),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let here = match host {
        "[::1]" | "localhost" => true,
        _ => match host.strip_suffix(".localhost") {
            Some(labels) => labels.split('.').all(is_label),
            None => host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
        },
    };
    here && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn is_label(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(fits)
}

fn is_port(digits: &str) -> bool {
    let decimal = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    decimal && digits.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_and_nothing_that_looks_like_it() {
        for near in ["localhost", "localhost:3000", "127.0.0.1:8700", "[::1]:9", "app.localhost"] {
            assert!(is_loopback_authority(near), "{near}");
        }
        for far in [
            "localhost.example",
            "127.0.0.1.example",
            "a@localhost",
            "localhost/x",
            "local\nhost",
            "127.1",
            "0x7f.1",
            "localhost:",
            "10.0.0.1",
            "",
            "example",
        ] {
            assert!(!is_loopback_authority(far), "{far}");
        }
    }

    #[test]
    fn an_origin_is_its_domain_over_https() {
        let listed = Domains::Listed(vec!["app.example".to_owned()]);
        assert!(listed.allows("app.example") && listed.allows_origin("https://app.example"));
        for other in [
            "http://app.example",
            "https://app.example.evil",
            "null",
            "https://app.example:8443",
            "https://x@app.example",
        ] {
            assert!(!listed.allows_origin(other), "{other}");
        }
    }
}
