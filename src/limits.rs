//! How many requests a site and a network may make, counted in this process.
//!
//! A bucket counts in fixed windows of [`WINDOW`], each of which starts at the first request after the one before has
//! ended. What a bucket may hold is not kept here but asked with every request, so that a changed setting acts at once.
//! Replicas each count for themselves; to let them share, [`Limits`] is what would get another inside.
//!
//! The memory is bounded whatever is sent. Buckets lie in shards of at most [`SHARD_CAPACITY`]; when a shard is full of
//! live ones, networks that have none yet share one bucket per policy and site, while everybody else, and every site's
//! own bucket, is counted exactly as before. Requests that belong to no site (wrong keys, preflights) have shards of
//! their own, so a flood of those can't push the networks of a site into sharing.

use std::{
    array,
    collections::{HashMap, hash_map::Entry},
    fmt::{self, Write as _},
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ipnet::IpNet;
use uuid::Uuid;

use crate::domain::keys::Sha256Digest;

/// The length of a window: a quota is a number of requests in this time.
pub const WINDOW: Duration = Duration::from_mins(1);

/// How many buckets a shard holds before networks have to share. As much as fits a hash table of 32,768 places, some
/// 2 MB, so 30 MB in all.
const SHARD_CAPACITY: usize = 28_672;

const SITE_SHARDS: usize = 8;

/// How many wrong keys, sessions and machine keys a network may present in a [`WINDOW`].
pub const REFUSED: u32 = 300;

/// How often a full shard is searched for ended windows; one that isn't full, only once a [`WINDOW`].
const SWEEP_WHEN_FULL: Duration = Duration::from_secs(1);

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Policy {
    SiteReads,
    SiteWrites,
    NetworkReads,
    NetworkWrites,
    /// Requests with a wrong key.
    Refused,
    Preflights,
    KeyChecks,
    /// Tries to log in, of an account ([`Network::of_account`]) and of a network.
    LoginAccount,
    LoginNetwork,
    /// Calls of a session or machine key ([`Network::of_account`]), and of all who work in an org.
    Credential,
    Org,
}

impl Policy {
    const COUNT: usize = 11;

    /// The name in the `RateLimit` headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SiteReads => "site-reads",
            Self::SiteWrites => "site-writes",
            Self::NetworkReads => "network-reads",
            Self::NetworkWrites => "network-writes",
            Self::Refused => "refused",
            Self::Preflights => "preflights",
            Self::KeyChecks => "key-checks",
            Self::LoginAccount => "login-account",
            Self::LoginNetwork => "login-network",
            Self::Credential => "credential",
            Self::Org => "org",
        }
    }
}

const V4_MASK: u32 = u32::MAX << (32 - 24);
const V6_MASK: u128 = u128::MAX << (128 - 56);
const V6_WIDE_MASK: u128 = u128::MAX << (128 - 48);
/// What an IPv6 /48 has, of which whoever has one has all 256 of the /56: so many times the limit of one of these.
const WIDE: u32 = 4;

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
}

impl Bucket {
    /// The one that it shares with its neighbours, and what that holds.
    fn wide(self, limit: u32) -> Option<(Self, u32)> {
        let counts_addresses = !matches!(self.policy, Policy::LoginAccount | Policy::Credential | Policy::Org);
        match self.network?.0 {
            Prefix::V6(first) if counts_addresses => {
                let network = Network(Prefix::V6Wide(Ipv6Addr::from_bits(first.to_bits() & V6_WIDE_MASK)));
                Some((Self { network: Some(network), ..self }, limit.saturating_mul(WIDE)))
            }
            _ => None,
        }
    }
}

impl Network {
    /// Stands for an account where a network is counted: 56 bits of a digest of its e-mail address, so that whatever
    /// addresses are made up take no more memory than made-up networks do.
    #[must_use]
    pub fn of_account(email: Sha256Digest) -> Self {
        let mut octets = [0; 16];
        octets.copy_from_slice(&email.as_bytes()[..16]);
        Self(Prefix::V6(Ipv6Addr::from_bits(u128::from_be_bytes(octets) & V6_MASK)))
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

/// Whose requests are counted together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Bucket {
    pub policy: Policy,
    /// Only a site that is known to exist: buckets without a network are kept however many there are.
    pub site: Option<Uuid>,
    pub network: Option<Network>,
}

/// How a bucket stands after a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    pub policy: Policy,
    /// Requests in a [`WINDOW`].
    pub limit: u32,
    /// Requests left in this window.
    pub remaining: u32,
    /// The time until this window ends; see [`reset_seconds`](Self::reset_seconds).
    pub reset: Duration,
    /// Whether this is the bucket that had nothing left for the request.
    pub exceeded: bool,
}

impl Standing {
    /// [`reset`](Self::reset) as the headers have it, `Retry-After` too: rounded up to whole seconds, at least 1.
    #[must_use]
    pub fn reset_seconds(&self) -> u64 {
        (self.reset.as_secs() + u64::from(self.reset.subsec_nanos() > 0)).max(1)
    }
}

/// All buckets of this process.
pub struct Limits(Option<Table>);

struct Table {
    /// First those of sites, then one for each policy for requests without a site.
    shards: [Mutex<Shard>; SITE_SHARDS + Policy::COUNT],
    capacity: usize,
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    windows: HashMap<Bucket, Window>,
    swept: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Window {
    started: Instant,
    used: u32,
}

impl Window {
    /// `None` once it has ended. A clock reading from before its start, by a thread that waited, is in it.
    fn left(&self, now: Instant) -> Option<Duration> {
        WINDOW.checked_sub(now.saturating_duration_since(self.started)).filter(|left| !left.is_zero())
    }
}

/// What was taken, for giving it back.
struct Taken {
    bucket: Bucket,
    started: Instant,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Limits" } else { "Limits(off)" })
    }
}

impl Limits {
    /// Empty buckets.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(SHARD_CAPACITY)
    }

    fn with_capacity(capacity: usize) -> Self {
        Self(Some(Table { shards: array::from_fn(|_| Mutex::default()), capacity, hasher: RandomState::new() }))
    }

    /// No limits at all, for load tests.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Takes one request from each bucket with its limit, in the order given: the network's before the site's.
    ///
    /// It stops at the first bucket that has nothing left, which is then the last of the answer and `exceeded`; the
    /// buckets before it get theirs back, as a refused request uses nothing up: neither does an abusive network use up
    /// the site, nor does a visitor of a busy site use up his network. An IPv6 network is counted with its neighbours, too, which
    /// the answer says only when they have nothing left. With limits off the answer is empty.
    pub fn take(&self, now: Instant, asks: &[(Bucket, u32)]) -> Vec<Standing> {
        let Some(table) = &self.0 else {
            return Vec::new();
        };
        let mut standings = Vec::with_capacity(asks.len());
        let mut wide = Vec::new();
        for &(bucket, limit) in asks {
            let neighbours = bucket.wide(limit).map(|(bucket, limit)| table.take(now, bucket, limit));
            let (mut standing, taken) = match neighbours {
                Some((standing, _)) if standing.exceeded => (Standing { limit, ..standing }, None),
                neighbours => {
                    wide.extend(neighbours.and_then(|(_, taken)| taken));
                    table.take(now, bucket, limit)
                }
            };
            if standing.exceeded {
                standing.remaining = 0;
                for taken in &wide {
                    table.give_back(taken);
                }
                for (standing, taken) in &mut standings {
                    let standing: &mut Standing = standing;
                    let taken: &mut Option<Taken> = taken;
                    if let Some(taken) = taken.take() {
                        table.give_back(&taken);
                        standing.remaining += 1;
                    }
                }
                standings.push((standing, None));
                break;
            }
            standings.push((standing, taken));
        }
        standings.into_iter().map(|(standing, _)| standing).collect()
    }

    /// Gives back what was taken `at` that time, as its standing says: the request was none that counts.
    pub fn give_back(&self, at: Instant, bucket: Bucket, standing: &mut Standing) {
        let (Some(table), Some(started)) = (&self.0, (at + standing.reset).checked_sub(WINDOW)) else { return };
        table.give_back(&Taken { bucket, started });
        standing.remaining += 1;
    }

    /// How a bucket stands, without taking anything. With limits off, everything is left.
    pub fn peek(&self, now: Instant, bucket: Bucket, limit: u32) -> Standing {
        let Some(table) = &self.0 else {
            return Standing { policy: bucket.policy, limit, remaining: limit, reset: WINDOW, exceeded: false };
        };
        let neighbours = bucket.wide(limit).map(|(bucket, limit)| table.peek(now, bucket, limit));
        match neighbours {
            Some(standing) if standing.exceeded => Standing { limit, remaining: 0, ..standing },
            _ => table.peek(now, bucket, limit),
        }
    }
}

impl Table {
    fn peek(&self, now: Instant, bucket: Bucket, limit: u32) -> Standing {
        let shard = self.shard(&bucket);
        let window = match shard.windows.get(&bucket) {
            None if shard.windows.len() >= self.capacity => shard.windows.get(&shared(bucket)),
            window => window,
        };
        let (used, left) = window.and_then(|window| Some((window.used, window.left(now)?))).unwrap_or((0, WINDOW));
        standing(bucket.policy, limit, used, left, used >= limit)
    }

    fn shard(&self, bucket: &Bucket) -> MutexGuard<'_, Shard> {
        let index = match bucket.site {
            #[expect(clippy::cast_possible_truncation, reason = "less than SITE_SHARDS")]
            Some(site) => (self.hasher.hash_one(site) % SITE_SHARDS as u64) as usize,
            None => SITE_SHARDS + bucket.policy as usize,
        };
        // Counting goes on after a panic elsewhere: no step in here leaves a shard half changed.
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, now: Instant, bucket: Bucket, limit: u32) -> (Standing, Option<Taken>) {
        let mut shard = self.shard(&bucket);
        let shard = &mut *shard;
        // A bucket that never lets anything through needs no place.
        if limit == 0 {
            let left = shard.windows.get(&bucket).and_then(|window| window.left(now)).unwrap_or(WINDOW);
            return (standing(bucket.policy, 0, 0, left, true), None);
        }
        let key = shard.place_for(bucket, now, self.capacity);
        let window = match shard.windows.entry(key) {
            Entry::Occupied(entry) => {
                let window = entry.into_mut();
                if window.left(now).is_none() {
                    *window = Window { started: now, used: 0 };
                }
                window
            }
            Entry::Vacant(entry) => entry.insert(Window { started: now, used: 0 }),
        };
        let exceeded = window.used >= limit;
        if !exceeded {
            window.used += 1;
        }
        let left = window.left(now).unwrap_or(WINDOW);
        let taken = (!exceeded).then_some(Taken { bucket: key, started: window.started });
        (standing(bucket.policy, limit, window.used, left, exceeded), taken)
    }

    /// Undoes a take, unless its window has been followed by another. A bucket left with nothing gives up its place:
    /// requests that a site refuses must not fill its shard with their networks.
    fn give_back(&self, taken: &Taken) {
        let mut shard = self.shard(&taken.bucket);
        if let Entry::Occupied(mut entry) = shard.windows.entry(taken.bucket)
            && entry.get().started == taken.started
        {
            let used = entry.get().used.saturating_sub(1);
            entry.get_mut().used = used;
            if used == 0 {
                entry.remove();
            }
        }
    }
}

impl Shard {
    /// The bucket to count in: the one asked for, or the shared one when there is no room for another network.
    fn place_for(&mut self, bucket: Bucket, now: Instant, capacity: usize) -> Bucket {
        // The look-up that follows would tell as well; but a new bucket is rare, and until there is room for one it
        // mustn't be made.
        if self.windows.contains_key(&bucket) {
            return bucket;
        }
        let full = self.windows.len() >= capacity;
        let pause = if full { SWEEP_WHEN_FULL } else { WINDOW };
        let swept = *self.swept.get_or_insert(now);
        if now.saturating_duration_since(swept) >= pause {
            self.windows.retain(|_, window| window.left(now).is_some());
            self.swept = Some(now);
        }
        if self.windows.len() >= capacity { shared(bucket) } else { bucket }
    }
}

/// The bucket that stands in for a network's when there is no room; a site's own stands for itself.
fn shared(bucket: Bucket) -> Bucket {
    let prefix = |network: Network| match network.0 {
        Prefix::V6Wide(_) => Prefix::V6Wide(Ipv6Addr::UNSPECIFIED),
        _ => Prefix::Shared,
    };
    Bucket { network: bucket.network.map(|network| Network(prefix(network))), ..bucket }
}

fn standing(policy: Policy, limit: u32, used: u32, reset: Duration, exceeded: bool) -> Standing {
    Standing { policy, limit, remaining: limit.saturating_sub(used), reset, exceeded }
}

/// The value of `RateLimit-Policy`, as in draft-ietf-httpapi-ratelimit-headers-10:
/// `"network-reads";q=300;w=60, "site-reads";q=6000;w=60`. Empty for no standings: send no header then.
#[must_use]
pub fn policy_header(standings: &[Standing]) -> String {
    header(standings, |text, standing| {
        write!(text, "\"{}\";q={};w={}", standing.policy.name(), standing.limit, WINDOW.as_secs())
    })
}

/// The value of `RateLimit`, as in draft-ietf-httpapi-ratelimit-headers-10:
/// `"network-reads";r=299;t=42, "site-reads";r=5999;t=17`. Empty for no standings: send no header then.
#[must_use]
pub fn rate_limit_header(standings: &[Standing]) -> String {
    header(standings, |text, standing| {
        write!(text, "\"{}\";r={};t={}", standing.policy.name(), standing.remaining, standing.reset_seconds())
    })
}

fn header(standings: &[Standing], item: impl Fn(&mut String, &Standing) -> fmt::Result) -> String {
    let mut text = String::with_capacity(standings.len() * 36);
    for standing in standings {
        if !text.is_empty() {
            text.push_str(", ");
        }
        item(&mut text, standing).expect("writing to a String doesn't fail");
    }
    text
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

    const SITE: Option<Uuid> = Some(Uuid::from_u128(1));

    fn network(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    fn of_network(address: &str) -> Bucket {
        Bucket { policy: Policy::NetworkReads, site: SITE, network: Some(network(address)) }
    }

    fn of_site() -> Bucket {
        Bucket { policy: Policy::SiteReads, site: SITE, network: None }
    }

    /// The `n`th of many networks.
    fn many(n: u32) -> Bucket {
        of_network(&format!("10.{}.{}.1", n >> 8, n & 0xff))
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// How many of `tries` requests pass.
    fn passing(limits: &Limits, now: Instant, asks: &[(Bucket, u32)], tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(limits.take(now, asks).iter().all(|standing| !standing.exceeded))).sum()
    }

    #[test]
    fn exactly_the_limit_passes_in_a_window() {
        let (limits, now) = (Limits::new(), Instant::now());
        let ask = [(of_site(), 3)];
        let remaining: Vec<u32> = (0..3).map(|_| limits.take(now, &ask)[0].remaining).collect();
        assert_eq!(remaining, [2, 1, 0]);
        let refused = limits.take(now + seconds(18), &ask);
        let expected =
            Standing { policy: Policy::SiteReads, limit: 3, remaining: 0, reset: seconds(42), exceeded: true };
        assert_eq!(refused, [expected]);
    }

    #[test]
    fn a_window_starts_at_the_first_request_and_refusals_do_not_extend_it() {
        let (limits, now) = (Limits::new(), Instant::now());
        let ask = [(of_site(), 2)];
        assert_eq!(passing(&limits, now, &ask, 1), 1);
        assert_eq!(passing(&limits, now + seconds(50), &ask, 100), 1);
        let just_before = now + WINDOW.checked_sub(Duration::from_nanos(1)).unwrap();
        assert_eq!(passing(&limits, just_before, &ask, 100), 0);
        assert_eq!(limits.take(just_before, &ask)[0].reset_seconds(), 1);
        assert_eq!(passing(&limits, now + WINDOW, &ask, 100), 2);
        assert_eq!(limits.take(now + WINDOW + seconds(1), &ask)[0].reset, seconds(59));
        assert_eq!(passing(&limits, now + seconds(500), &ask, 100), 2);
    }

    #[test]
    fn a_thread_with_an_older_clock_reading_is_in_the_window() {
        let (limits, now) = (Limits::new(), Instant::now() + seconds(1));
        let ask = [(of_site(), 2)];
        assert_eq!(passing(&limits, now, &ask, 1), 1);
        assert_eq!(passing(&limits, now.checked_sub(seconds(1)).unwrap(), &ask, 2), 1);
    }

    #[test]
    fn a_changed_limit_acts_at_once_on_the_count_so_far() {
        let (limits, now) = (Limits::new(), Instant::now());
        assert_eq!(passing(&limits, now, &[(of_site(), 5)], 10), 5);
        assert_eq!(passing(&limits, now, &[(of_site(), 7)], 10), 2);
        let lowered = limits.take(now, &[(of_site(), 3)])[0];
        assert!(lowered.exceeded && lowered.remaining == 0 && lowered.limit == 3);
        assert_eq!(passing(&limits, now, &[(of_site(), 8)], 10), 1);
    }

    #[test]
    fn a_limit_of_zero_lets_nothing_through_and_says_when_to_ask_again() {
        let (limits, now) = (Limits::new(), Instant::now());
        let refused = limits.take(now, &[(of_site(), 0)])[0];
        assert!(refused.exceeded && refused.reset == WINDOW);
        assert_eq!(limits.take(now + seconds(100), &[(of_site(), 0)])[0].reset, WINDOW);
        assert!(limits.peek(now, of_site(), 0).exceeded);
        assert_eq!(passing(&limits, now, &[(of_site(), 1)], 2), 1);
    }

    #[test]
    fn policies_sites_and_networks_are_counted_apart() {
        let (limits, now) = (Limits::new(), Instant::now());
        for bucket in [
            of_site(),
            Bucket { policy: Policy::SiteWrites, ..of_site() },
            Bucket { site: Some(Uuid::from_u128(2)), ..of_site() },
            Bucket { site: None, ..of_site() },
            of_network("192.0.2.1"),
            of_network("192.0.3.1"),
            Bucket { site: Some(Uuid::from_u128(2)), ..of_network("192.0.2.1") },
        ] {
            assert_eq!(passing(&limits, now, &[(bucket, 2)], 5), 2, "{bucket:?}");
        }
    }

    #[test]
    fn what_a_network_is_refused_does_not_use_up_the_site() {
        let (limits, now) = (Limits::new(), Instant::now());
        let abuser = [(of_network("192.0.2.1"), 3), (of_site(), 5)];
        assert_eq!(passing(&limits, now, &abuser, 1000), 3);
        let refused = limits.take(now, &abuser);
        assert_eq!(refused.len(), 1, "the site isn't asked: {refused:?}");
        assert_eq!(refused[0].policy, Policy::NetworkReads);
        assert_eq!(passing(&limits, now, &[(of_network("198.51.100.1"), 3), (of_site(), 5)], 10), 2);
    }

    #[test]
    fn what_a_site_is_refused_does_not_use_up_the_network() {
        let (limits, now) = (Limits::new(), Instant::now());
        let asks = [(of_network("192.0.2.1"), 4), (of_site(), 2)];
        assert_eq!(passing(&limits, now, &asks, 50), 2);
        let refused = limits.take(now, &asks);
        assert_eq!(refused.iter().map(|standing| standing.exceeded).collect::<Vec<_>>(), [false, true]);
        assert_eq!(refused[0], limits.peek(now, of_network("192.0.2.1"), 4));
        assert_eq!(refused[0].remaining, 2);
    }

    #[test]
    fn the_256_networks_of_an_ipv6_48_have_four_times_what_one_has() {
        let (limits, now) = (Limits::new(), Instant::now());
        let neighbour = |n: u32| of_network(&format!("2001:db8:1:{n:x}00::1"));
        let passed: u32 = (0..256).map(|n| passing(&limits, now, &[(neighbour(n), 10)], 10)).sum();
        assert_eq!(passed, 40);
        assert!(limits.peek(now, neighbour(200), 10).exceeded);
        assert_eq!(passing(&limits, now, &[(of_network("2001:db8:2::1"), 10)], 20), 10);
        // What the site refuses uses up neither the network nor its neighbours.
        let full = [(of_network("2001:db8:3::1"), 10), (of_site(), 0)];
        assert_eq!(passing(&limits, now, &full, 50), 0);
        assert_eq!(limits.peek(now, of_network("2001:db8:3::1"), 10).remaining, 10);
    }

    #[test]
    fn peeking_takes_nothing() {
        let (limits, now) = (Limits::new(), Instant::now());
        let fresh = Standing { policy: Policy::SiteReads, limit: 2, remaining: 2, reset: WINDOW, exceeded: false };
        assert_eq!(limits.peek(now, of_site(), 2), fresh);
        limits.take(now, &[(of_site(), 2)]);
        for _ in 0..5 {
            let peeked = limits.peek(now + seconds(10), of_site(), 2);
            assert_eq!((peeked.remaining, peeked.reset, peeked.exceeded), (1, seconds(50), false));
        }
        limits.take(now, &[(of_site(), 2)]);
        assert!(limits.peek(now, of_site(), 2).exceeded);
        assert_eq!(limits.peek(now + WINDOW, of_site(), 2), fresh);
    }

    #[test]
    fn limits_that_are_off_allow_everything_and_say_nothing() {
        let (limits, now) = (Limits::off(), Instant::now());
        for _ in 0..10 {
            assert_eq!(limits.take(now, &[(of_site(), 0)]), []);
        }
        assert!(!limits.peek(now, of_site(), 0).exceeded);
    }

    #[test]
    fn threads_together_get_exactly_the_limit() {
        let (limits, now) = (Limits::new(), Instant::now());
        let asks = [(of_network("192.0.2.1"), 5000), (of_site(), 3000)];
        let passed: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| passing(&limits, now, &asks, 2000))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 3000);
    }

    fn buckets(limits: &Limits) -> usize {
        limits.0.as_ref().unwrap().shards.iter().map(|shard| shard.lock().unwrap().windows.len()).sum()
    }

    #[test]
    fn a_flood_of_networks_shares_one_bucket_and_the_others_go_on_exactly() {
        let (limits, now) = (Limits::with_capacity(100), Instant::now());
        let regular = [(of_network("192.0.2.1"), 10), (of_site(), 1_000_000)];
        assert_eq!(passing(&limits, now, &regular, 4), 4);

        let flood =
            (0..50_000).map(|n| passing(&limits, now, &[(many(n), 10), (of_site(), 1_000_000)], 1)).sum::<u32>();
        assert_eq!(flood, 98 + 10, "one for each with a place of its own, and the limit of one for all the others");
        assert!(buckets(&limits) <= 102);

        assert_eq!(passing(&limits, now, &regular, 100), 6, "a network that has its bucket keeps its count");
        assert_eq!(limits.peek(now, of_site(), 1_000_000).remaining, 1_000_000 - flood - 10);
        assert!(limits.peek(now, many(60_000), 10).exceeded, "a newcomer stands as the shared bucket does");
        let other = Bucket { policy: Policy::NetworkWrites, ..many(1) };
        assert_eq!(passing(&limits, now, &[(other, 10)], 20), 10, "another policy has another shared bucket");
        let new_site = Bucket { policy: Policy::SiteWrites, ..of_site() };
        assert_eq!(passing(&limits, now, &[(new_site, 20)], 30), 20, "a site always has a bucket of its own");
        assert!(buckets(&limits) <= 104);

        let later = now + WINDOW;
        assert_eq!(passing(&limits, later, &[(many(60_000), 10)], 20), 10);
        assert!(buckets(&limits) <= 2, "ended windows are swept");
    }

    #[test]
    fn a_flood_without_a_site_leaves_the_sites_and_the_other_policies_their_room() {
        let (limits, now) = (Limits::with_capacity(100), Instant::now());
        for n in 0..10_000 {
            limits.take(now, &[(Bucket { policy: Policy::Refused, site: None, ..many(n) }, 5)]);
        }
        for n in 0..90 {
            assert_eq!(passing(&limits, now, &[(many(n), 2)], 3), 2);
            let preflight = Bucket { policy: Policy::Preflights, site: None, ..many(n) };
            assert_eq!(passing(&limits, now, &[(preflight, 2)], 3), 2);
        }
    }

    #[test]
    fn requests_that_a_site_refuses_do_not_fill_its_room_with_their_networks() {
        let (limits, now) = (Limits::with_capacity(100), Instant::now());
        for n in 0..10_000 {
            limits.take(now, &[(many(n), 10), (of_site(), 20)]);
        }
        assert_eq!(buckets(&limits), 21);
    }

    #[test]
    fn ended_windows_are_swept_while_there_is_room_too() {
        let (limits, now) = (Limits::new(), Instant::now());
        for n in 0..1000 {
            limits.take(now, &[(many(n), 1)]);
        }
        limits.take(now + WINDOW, &[(many(5000), 1)]);
        assert_eq!(buckets(&limits), 1);
    }

    #[test]
    fn a_full_table_is_searched_for_ended_windows_once_a_second() {
        let (limits, now) = (Limits::with_capacity(10), Instant::now());
        for n in 0..10 {
            limits.take(now + Duration::from_millis(100) * n, &[(many(n), 1)]);
        }
        let passes = |now, n| passing(&limits, now, &[(many(n), 1)], 1) == 1;
        let swept = now + WINDOW;
        assert!(passes(swept, 20), "in the place of the first");
        let soon = swept + SWEEP_WHEN_FULL / 2;
        assert!(passes(soon, 21), "in the shared bucket");
        assert!(!passes(soon, 22), "in the shared bucket, although other windows have ended");
        assert!(passes(swept + SWEEP_WHEN_FULL, 23), "in the place of one of those");
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
    fn the_headers_are_those_of_the_draft() {
        let standing = |policy, limit, remaining, reset| Standing { policy, limit, remaining, reset, exceeded: false };
        let standings = [
            standing(Policy::SiteReads, 6000, 5999, Duration::from_millis(41_001)),
            standing(Policy::NetworkReads, 300, 0, Duration::from_nanos(1)),
        ];
        assert_eq!(policy_header(&standings), "\"site-reads\";q=6000;w=60, \"network-reads\";q=300;w=60");
        assert_eq!(rate_limit_header(&standings), "\"site-reads\";r=5999;t=42, \"network-reads\";r=0;t=1");
        assert_eq!((policy_header(&[]), rate_limit_header(&[])), (String::new(), String::new()));
        assert_eq!(standing(Policy::Refused, 1, 1, WINDOW).reset_seconds(), 60);
        assert_eq!(standing(Policy::Refused, 1, 1, Duration::ZERO).reset_seconds(), 1);
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
