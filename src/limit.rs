//! How many requests one client address may make: a token bucket for each, by `governor`.
//!
//! IPv6 clients are counted by their /64, which is what one subscriber has; counting single
//! addresses has let people walk around limits by changing the lower half. What an API has to read to
//! verify tokens is counted apart from the rest: whoever makes an API ask the issuer often, as callers of
//! the API can, does not thereby keep it from hearing what was revoked.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;

/// The limit on requests, and whose word is taken for a client's address.
#[derive(Debug)]
pub struct RequestLimit {
    buckets: Option<Buckets>,
    trusted_proxies: Vec<IpNet>,
    clock: DefaultClock,
}

/// What a request is counted among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// What an API reads to verify tokens: metadata, keys, revocations.
    Verifying,
    /// Everything else.
    Other,
}

/// One of each lane for an address, all of one size.
#[derive(Debug)]
struct Buckets {
    verifying: DefaultKeyedRateLimiter<IpAddr>,
    other: DefaultKeyedRateLimiter<IpAddr>,
}

impl Buckets {
    fn new(quota: Quota) -> Self {
        Self { verifying: RateLimiter::keyed(quota), other: RateLimiter::keyed(quota) }
    }
}

/// A client is over its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// Seconds after which the next request is taken.
    pub retry_after: u64,
}

impl RequestLimit {
    /// `per_minute` requests of one address and lane, with bursts of `burst`; `None` counts nothing.
    pub fn new(
        per_minute: Option<NonZeroU32>,
        burst: NonZeroU32,
        trusted_proxies: Vec<IpNet>,
    ) -> Self {
        let buckets =
            per_minute.map(|rate| Buckets::new(Quota::per_minute(rate).allow_burst(burst)));
        Self { buckets, trusted_proxies, clock: DefaultClock::default() }
    }

    /// Whether anything is counted.
    pub const fn is_on(&self) -> bool {
        self.buckets.is_some()
    }

    /// Counts a request.
    ///
    /// # Errors
    /// [`OverLimit`], and the request is then not counted.
    pub fn count(&self, client: IpAddr, lane: Lane) -> Result<(), OverLimit> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        let bucket = match lane {
            Lane::Verifying => &buckets.verifying,
            Lane::Other => &buckets.other,
        };
        bucket.check_key(&network_of(client)).map_err(|denied| {
            let wait = denied.wait_time_from(self.clock.now());
            OverLimit { retry_after: wait.as_secs().saturating_add(1) }
        })
    }

    /// Forgets addresses that have been quiet. Called from the background.
    pub fn sweep(&self) {
        let Some(Buckets { verifying, other }) = &self.buckets else { return };
        for buckets in [verifying, other] {
            buckets.retain_recent();
            buckets.shrink_to_fit();
        }
    }

    /// Whether `address` is a proxy whose word is taken.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies.iter().any(|net| net.contains(&address))
    }

    /// The client's address: the connection's peer, or, where the peer is a trusted proxy, the last
    /// address of `X-Forwarded-For` that is not one.
    pub fn client_of(&self, peer: IpAddr, forwarded_for: &[&str]) -> IpAddr {
        let mut client = peer.to_canonical();
        let hops = forwarded_for.iter().rev().flat_map(|value| value.rsplit(','));
        for hop in hops {
            if !self.trusts(client) {
                break;
            }
            // What no proxy could have written ends the walk at the last address we believe.
            let Some(address) = address_of(hop.trim()) else {
                break;
            };
            client = address.to_canonical();
        }
        client
    }
}

/// The address of one entry of `X-Forwarded-For`: bare, in brackets, or with a port.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let with_port = || hop.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    bare.parse().ok().or_else(with_port)
}

/// The bucket of an address: itself for IPv4, its /64 for IPv6.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let high = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(high))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_minute: u32, burst: u32) -> RequestLimit {
        let proxies = vec!["10.0.0.0/8".parse().unwrap()];
        RequestLimit::new(NonZeroU32::new(per_minute), NonZeroU32::new(burst).unwrap(), proxies)
    }

    #[test]
    fn counts_an_address_and_its_network() {
        let limit = limit(1, 2);
        let (one, same_net): (IpAddr, IpAddr) =
            ("2001:db8::1".parse().unwrap(), "2001:db8::ffff".parse().unwrap());
        let count = |client| limit.count(client, Lane::Other);
        assert!(count(one).is_ok() && count(same_net).is_ok());
        assert!(count(one).unwrap_err().retry_after >= 1);
        assert!(count("2001:db8:0:1::1".parse().unwrap()).is_ok());
        assert!(count("192.0.2.1".parse().unwrap()).is_ok());
        // The lanes do not use each other up.
        let verify = || limit.count(one, Lane::Verifying);
        assert!(verify().is_ok() && verify().is_ok() && verify().is_err());
    }

    #[test]
    fn believes_trusted_proxies_alone() {
        let limit = limit(1, 1);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(limit.client_of(ip("192.0.2.9"), &["198.51.100.1"]), ip("192.0.2.9"));
        assert_eq!(limit.client_of(ip("10.1.1.1"), &["198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(
            limit.client_of(ip("10.1.1.1"), &["203.0.113.5, 198.51.100.1, 10.2.2.2"]),
            ip("198.51.100.1")
        );
        assert_eq!(limit.client_of(ip("10.1.1.1"), &["garbage"]), ip("10.1.1.1"));
        assert_eq!(limit.client_of(ip("10.1.1.1"), &[]), ip("10.1.1.1"));
        for hop in ["198.51.100.1:5555", "[2001:db8::1]", "[2001:db8::1]:5555", "2001:db8::1"] {
            let client = limit.client_of(ip("10.1.1.1"), &[hop]);
            assert!(client == ip("198.51.100.1") || client == ip("2001:db8::1"), "{hop}");
        }
    }
}
