//! Addresses say where to listen, which proxies are believed, and which host a wallet application is served from.

use std::net::{IpAddr, SocketAddr};

use ::url::Host;
use ipnet::IpNet;

use super::TextShape;
use super::url::is_host;

/// An address to listen on.
pub(crate) struct Address;

impl TextShape for Address {
    type Value = SocketAddr;

    fn accepted(&self) -> String {
        "an IP address and a port, such as 127.0.0.1:8700 or [::1]:8700".to_owned()
    }

    fn parse(&self, text: &str) -> Result<SocketAddr, String> {
        text.parse().map_err(|_| "is not an IP address with a port".to_owned())
    }
}

/// An address to listen on, or `off`.
pub(crate) struct AddressOrOff;

impl TextShape for AddressOrOff {
    type Value = Option<SocketAddr>;

    fn accepted(&self) -> String {
        format!("{}, or \"off\"", TextShape::accepted(&Address))
    }

    fn parse(&self, text: &str) -> Result<Self::Value, String> {
        if text == "off" { Ok(None) } else { Address.parse(text).map(Some) }
    }
}

/// A network, or a single address.
pub(crate) struct Network;

impl TextShape for Network {
    type Value = IpNet;

    fn accepted(&self) -> String {
        "an IP network or address, such as 10.0.0.0/8 or 192.0.2.7".to_owned()
    }

    fn parse(&self, text: &str) -> Result<IpNet, String> {
        let network: IpNet = text
            .parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| "is not an IP network or address".to_owned())?;
        if network.prefix_len() == 0 {
            return Err("would believe everyone: any client could claim any address".to_owned());
        }
        if network.trunc() != network {
            return Err(format!("has bits beyond its prefix: write {}", network.trunc()));
        }
        Ok(network)
    }
}

/// The authority a wallet shows as the one that asks (EIP-4361 `domain`): host, and port unless it is the default one.
pub(crate) struct Domain;

impl TextShape for Domain {
    type Value = String;

    fn accepted(&self) -> String {
        "a host without scheme or path, such as app.example or localhost:5173".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        if let Some((_, rest)) = text.split_once("://") {
            let host = rest.split('/').next().unwrap_or(rest);
            return Err(format!("must not have a scheme: write {host}"));
        }
        if text.contains('*') {
            return Err("must name one host: wildcards are not accepted".to_owned());
        }
        let domain = text.to_ascii_lowercase();
        let url = ::url::Url::parse(&format!("https://{domain}"))
            .ok()
            .filter(|url| url.host().as_ref().is_some_and(is_host))
            .ok_or_else(|| "is not a host, or a host and a port".to_owned())?;
        let loopback = url.host().as_ref().is_some_and(is_loopback);
        let bare = url.host_str().unwrap_or_default();
        if domain == format!("{bare}:443") || (loopback && domain == format!("{bare}:80")) {
            return Err(format!("must leave out the default port: write {bare}"));
        }
        let normal = url.port().map_or_else(|| bare.to_owned(), |port| format!("{bare}:{port}"));
        if normal != domain {
            return Err("is not a host, or a host and a port, in normal form".to_owned());
        }
        Ok(domain)
    }
}

/// Whether `host` is this machine whoever resolves it: `localhost`, 127.0.0.0/8 or ::1.
pub(crate) fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_authorities_in_lower_case() {
        for (written, domain) in [
            ("app.example", "app.example"),
            ("App.Example:8443", "app.example:8443"),
            ("localhost:5173", "localhost:5173"),
            ("192.0.2.7", "192.0.2.7"),
            ("[::1]:3000", "[::1]:3000"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(Domain.parse(written).as_deref(), Ok(domain));
        }
    }

    #[test]
    fn domains_with_anything_else_are_refused() {
        for (written, problem) in [
            ("https://app.example/x", "must not have a scheme: write app.example"),
            ("*.example", "must name one host: wildcards are not accepted"),
            ("app.example:443", "must leave out the default port: write app.example"),
            ("localhost:80", "must leave out the default port: write localhost"),
            ("app.example/", "is not a host, or a host and a port, in normal form"),
            ("app.example:0443", "is not a host, or a host and a port, in normal form"),
            ("me@app.example", "is not a host, or a host and a port, in normal form"),
            ("app.example?x", "is not a host, or a host and a port, in normal form"),
            ("app.example#x", "is not a host, or a host and a port, in normal form"),
            ("app example", "is not a host, or a host and a port"),
            ("app.example.", "is not a host, or a host and a port"),
            ("-app.example", "is not a host, or a host and a port"),
            ("app_1.example", "is not a host, or a host and a port"),
            ("bücher.example", "is not a host, or a host and a port, in normal form"),
            ("0x7f.1", "is not a host, or a host and a port, in normal form"),
            ("app.example:99999", "is not a host, or a host and a port"),
        ] {
            assert_eq!(Domain.parse(written).unwrap_err(), problem, "{written}");
        }
    }

    #[test]
    fn networks_are_exact_and_never_everyone() {
        assert_eq!(Network.parse("10.0.0.0/8"), Ok("10.0.0.0/8".parse().unwrap()));
        assert_eq!(Network.parse("192.0.2.7"), Ok("192.0.2.7/32".parse().unwrap()));
        assert_eq!(Network.parse("fd00::/8"), Ok("fd00::/8".parse().unwrap()));
        for (written, problem) in [
            ("10.0.0.1/8", "has bits beyond its prefix: write 10.0.0.0/8"),
            ("0.0.0.0/0", "would believe everyone: any client could claim any address"),
            ("::/0", "would believe everyone: any client could claim any address"),
            ("10.0.0.0/33", "is not an IP network or address"),
            ("proxy.example", "is not an IP network or address"),
        ] {
            assert_eq!(Network.parse(written).unwrap_err(), problem, "{written}");
        }
    }

    #[test]
    fn an_address_has_a_port_and_no_name() {
        assert!(Address.parse("[::1]:0").is_ok());
        assert_eq!(AddressOrOff.parse("off"), Ok(None));
        for written in ["127.0.0.1", "localhost:8700", ":8700", "127.0.0.1:70000"] {
            assert!(Address.parse(written).is_err(), "{written}");
        }
    }
}
