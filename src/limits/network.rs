//! Who a client is, as far as it is counted: the network of its address, seen past proxies that are trusted.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use ipnet::IpNet;

use crate::domain::keys::Sha256Digest;

const V4_MASK: u32 = u32::MAX << (32 - 24);
const V6_MASK: u128 = u128::MAX << (128 - 56);
const V6_WIDE_MASK: u128 = u128::MAX << (128 - 48);

/// The part of an address that is counted as one client: an IPv4 /24 or an IPv6 /56. Who has one address of it usually
/// has the others too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Network(Prefix);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Prefix {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// A /48, beside the /56 within it.
    V6Wide(Ipv6Addr),
    /// All networks that came when their shard was full.
    Shared,
}

impl Network {
    /// The network that an address belongs to. An IPv4 address written as IPv6 (`::ffff:…`) counts as IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(Prefix::V4(Ipv4Addr::from_bits(address.to_bits() & V4_MASK))),
            IpAddr::V6(address) => Self(Prefix::V6(Ipv6Addr::from_bits(address.to_bits() & V6_MASK))),
        }
    }

    /// Stands for an account where a network is counted: 56 bits of a digest of its e-mail address, so that whatever
    /// addresses are made up take no more memory than made-up networks do.
    #[must_use]
    pub fn of_account(email: Sha256Digest) -> Self {
        let mut octets = [0; 16];
        octets.copy_from_slice(&email.as_bytes()[..16]);
        Self(Prefix::V6(Ipv6Addr::from_bits(u128::from_be_bytes(octets) & V6_MASK)))
    }

    /// The /48 around an IPv6 network.
    pub(super) fn wide(self) -> Option<Self> {
        match self.0 {
            Prefix::V6(first) => Some(Self(Prefix::V6Wide(Ipv6Addr::from_bits(first.to_bits() & V6_WIDE_MASK)))),
            _ => None,
        }
    }

    /// What is counted in its place when there is no room for one more.
    pub(super) fn shared(self) -> Self {
        match self.0 {
            Prefix::V6Wide(_) => Self(Prefix::V6Wide(Ipv6Addr::UNSPECIFIED)),
            _ => Self(Prefix::Shared),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Prefix::V4(first) => write!(f, "{first}/24"),
            Prefix::V6(first) => write!(f, "{first}/56"),
            Prefix::V6Wide(first) => write!(f, "{first}/48"),
            Prefix::Shared => f.write_str("shared"),
        }
    }
}

/// The address that a request comes from, for [`Network::of`].
///
/// `forwarded_for` is all `X-Forwarded-For` values, joined by commas. It counts only as far as `trusted` proxies wrote
/// it: from the right, the first address that isn't one of theirs is the client, whatever that one claims. At an entry
/// that is no address (with or without a port) the last good one, the hop nearest to it, is taken.
#[must_use]
pub fn client_address(peer: IpAddr, forwarded_for: Option<&str>, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let mut hops = forwarded_for.unwrap_or_default().rsplit(',');
    while is_trusted(&client)
        && let Some(hop) = hops.next().and_then(parse_hop)
    {
        client = hop;
    }
    client
}

fn parse_hop(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let address = entry
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .map_or_else(|| entry.parse(), |v6| v6.parse::<Ipv6Addr>().map(IpAddr::V6));
    let address = address.ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(address.to_canonical())
}
#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    #[test]
    fn networks_are_24_bits_of_ipv4_and_56_bits_of_ipv6() {
        assert_eq!(network("192.0.2.1"), network("192.0.2.254"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.1"));
        assert_eq!(network("2001:db8:1:aa00::1"), network("2001:db8:1:aaff:ffff::"));
        assert_ne!(network("2001:db8:1:aa00::1"), network("2001:db8:1:ab00::1"));
        assert_eq!(network("::ffff:192.0.2.7").to_string(), "192.0.2.0/24");
        assert_eq!(network("2001:db8:1:aabb:1::1").to_string(), "2001:db8:1:aa00::/56");
    }

    #[test]
    fn the_client_is_the_nearest_address_that_is_not_a_trusted_proxy() {
        let trusted: Vec<IpNet> =
            ["10.0.0.0/8", "2001:db8:f::/48"].iter().map(|network| network.parse().unwrap()).collect();
        for (peer, forwarded_for, client) in [
            ("203.0.113.9", Some("192.0.2.1"), "203.0.113.9"),
            ("203.0.113.9", None, "203.0.113.9"),
            ("10.0.0.1", None, "10.0.0.1"),
            ("10.0.0.1", Some(""), "10.0.0.1"),
            ("10.0.0.1", Some("192.0.2.1"), "192.0.2.1"),
            ("10.0.0.1", Some("198.51.100.66, 192.0.2.1"), "192.0.2.1"),
            ("10.0.0.1", Some("198.51.100.66,192.0.2.1 ,10.0.0.2,\t10.0.0.3"), "192.0.2.1"),
            ("10.0.0.1", Some("10.0.0.2, 10.0.0.3"), "10.0.0.2"),
            ("10.0.0.1", Some("192.0.2.1, garbage, 10.0.0.3"), "10.0.0.3"),
            ("10.0.0.1", Some("192.0.2.1, garbage"), "10.0.0.1"),
            ("10.0.0.1", Some("192.0.2.1, , 10.0.0.3"), "10.0.0.3"),
            ("10.0.0.1", Some("garbage, 192.0.2.1"), "192.0.2.1"),
            ("10.0.0.1", Some("unknown"), "10.0.0.1"),
            ("10.0.0.1", Some("192.0.2.1:567"), "192.0.2.1"),
            ("10.0.0.1", Some("192.0.2.1:99999"), "10.0.0.1"),
            ("10.0.0.1", Some("[2001:db8::1]:99"), "2001:db8::1"),
            ("10.0.0.1", Some("[2001:db8::1]"), "2001:db8::1"),
            ("10.0.0.1", Some("2001:db8::1"), "2001:db8::1"),
            ("10.0.0.1", Some("[192.0.2.1]"), "10.0.0.1"),
            ("10.0.0.1", Some("192.0.2.1, 2001:db8:f::7"), "192.0.2.1"),
            ("10.0.0.1", Some("::ffff:192.0.2.1"), "192.0.2.1"),
            ("10.0.0.1", Some("192.0.2.1, ::ffff:10.0.0.9"), "192.0.2.1"),
            ("::ffff:10.0.0.1", Some("192.0.2.1"), "192.0.2.1"),
            ("::ffff:203.0.113.9", Some("192.0.2.1"), "203.0.113.9"),
        ] {
            let found = client_address(peer.parse().unwrap(), forwarded_for, &trusted);
            assert_eq!(found.to_string(), client, "{peer} {forwarded_for:?}");
        }
        let peer = "10.0.0.1".parse().unwrap();
        assert_eq!(client_address(peer, Some("192.0.2.1"), &[]), peer, "no proxy is trusted by default");
    }
}
