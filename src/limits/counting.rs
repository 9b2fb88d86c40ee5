//! All buckets of this process, and taking from several at once.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Instant,
};

use super::{
    policy::{Ask, Bucket, Standing, WIDE},
    shared::{self, Sharing},
    windows::{Counting, Outcome, Taken, Windows},
};

/// How often others are asked for one request, which may wait for three buckets: then it is counted here alone.
const ROUNDS: usize = 6;

/// Where the buckets stand that a request was counted in.
#[derive(Debug, Default)]
pub struct Counted {
    pub standings: Vec<Standing>,
    /// Each with the place of its bucket; that of the neighbours with the network's own.
    taken: Vec<(Taken, usize)>,
}

/// All buckets of this process.
pub struct Limits {
    windows: Option<Arc<Windows>>,
    others: OnceLock<shared::Asking>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.windows.is_some() { "Limits" } else { "Limits(off)" })
    }
}

impl Limits {
    /// Empty buckets, counted by this process alone until [`shared::run`] is there.
    #[must_use]
    pub fn new() -> Self {
        Self { windows: Some(Arc::new(Windows::new())), others: OnceLock::new() }
    }

    /// No limits at all, for load tests.
    #[must_use]
    pub fn off() -> Self {
        Self { windows: None, others: OnceLock::new() }
    }

    /// Takes one request from each bucket with its limit, in the order given: the network's before the site's.
    ///
    /// It stops at the first bucket that has nothing left, which is then the last of the answer and `exceeded`; the
    /// buckets before it get theirs back, as a refused request uses nothing up: neither does an abusive network use up
    /// the site, nor does a visitor of a busy site use up his network. An IPv6 network is counted with its neighbours, too, which
    /// the answer says only when they have nothing left. With limits off the answer is empty.
    pub async fn take(&self, asks: &[(Bucket, u32)]) -> Counted {
        let asks: Vec<Ask> = asks.iter().map(|&(bucket, limit)| Ask { bucket, limit, cost: 1 }).collect();
        self.count(&asks).await
    }

    /// Takes `cost` of what one bucket may hold; nothing, when so much is not left.
    pub async fn spend(&self, bucket: Bucket, limit: u32, cost: u32) -> Counted {
        self.count(&[Ask { bucket, limit, cost }]).await
    }

    async fn count(&self, asks: &[Ask]) -> Counted {
        if let Some(others) = self.others.get() {
            for _ in 0..ROUNDS {
                match self.try_count(Instant::now(), asks, Counting::Shared) {
                    Ok(counted) => return counted,
                    Err(due) => others.ask(due).await,
                }
            }
        }
        self.try_count(Instant::now(), asks, Counting::Alone).unwrap_or_default()
    }

    /// `Err` with what has to be asked of the other processes first; nothing was taken then.
    fn try_count(&self, now: Instant, asks: &[Ask], counting: Counting) -> Result<Counted, Ask> {
        let mut counted = Counted::default();
        let Some(windows) = &self.windows else {
            return Ok(counted);
        };
        for (place, &ask) in asks.iter().enumerate() {
            for (ask, is_wide) in ask.wide().map(|wide| (wide, true)).into_iter().chain([(ask, false)]) {
                match windows.take(now, ask, counting) {
                    Outcome::Taken(standing, took) => {
                        counted.taken.push((took, place));
                        if !is_wide {
                            counted.standings.push(standing);
                        }
                    }
                    Outcome::Exceeded(standing) => {
                        (0..=place).for_each(|place| self.give_back(&mut counted, place));
                        let remaining = if is_wide || ask.cost == 1 { 0 } else { standing.remaining };
                        let limit = if is_wide { ask.limit / WIDE } else { ask.limit };
                        counted.standings.push(Standing { limit, remaining, ..standing });
                        return Ok(counted);
                    }
                    Outcome::Due(due) => {
                        (0..=place).for_each(|place| self.give_back(&mut counted, place));
                        return Err(due);
                    }
                }
            }
        }
        Ok(counted)
    }

    /// Gives back what was taken of the `n`th bucket, and of its neighbours': the request was none that counts.
    pub fn give_back(&self, counted: &mut Counted, n: usize) {
        let Some(windows) = &self.windows else { return };
        let (back, kept): (Vec<_>, Vec<_>) = counted.taken.drain(..).partition(|(_, place)| *place == n);
        counted.taken = kept;
        for (taken, _) in &back {
            windows.give_back(taken);
        }
        if let (Some((taken, _)), Some(standing)) = (back.first(), counted.standings.get_mut(n)) {
            standing.remaining += taken.cost;
        }
    }

    /// From now on the buckets are counted with other processes, as long as what is returned [runs](Sharing::run). `None`
    /// when that was said before, and with limits off.
    pub fn share(&self) -> Option<Sharing> {
        let (asking, sharing) = shared::channel(self.windows.clone()?);
        self.others.set(asking).ok()?;
        Some(sharing)
    }

    /// How a bucket stands, without taking anything. With limits off, everything is left.
    pub fn peek(&self, bucket: Bucket, limit: u32) -> Standing {
        self.peek_at(Instant::now(), bucket, limit)
    }

    fn peek_at(&self, now: Instant, bucket: Bucket, limit: u32) -> Standing {
        let Some(windows) = &self.windows else {
            let (policy, reset) = (bucket.policy, bucket.policy.window());
            return Standing { policy, limit, remaining: limit, reset, exceeded: false };
        };
        let neighbours = Ask { bucket, limit, cost: 1 }.wide().map(|ask| windows.peek(now, ask.bucket, ask.limit));
        match neighbours {
            Some(standing) if standing.exceeded => Standing { limit, remaining: 0, ..standing },
            _ => windows.peek(now, bucket, limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::{
        super::{
            network::Network,
            policy::{Policy, WINDOW},
            windows::Lease,
        },
        *,
    };

    impl Limits {
        /// What one process takes alone.
        fn taken(&self, now: Instant, asks: &[(Bucket, u32)]) -> Vec<Standing> {
            let asks: Vec<Ask> = asks.iter().map(|&(bucket, limit)| Ask { bucket, limit, cost: 1 }).collect();
            self.try_count(now, &asks, Counting::Alone).expect("nobody is asked").standings
        }
    }

    fn with_capacity(capacity: usize) -> Limits {
        Limits { windows: Some(Arc::new(Windows::with_capacity(capacity))), others: OnceLock::new() }
    }

    const SWEEP: Duration = Duration::from_secs(1);
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
        (0..tries).map(|_| u32::from(limits.taken(now, asks).iter().all(|standing| !standing.exceeded))).sum()
    }

    #[test]
    fn exactly_the_limit_passes_in_a_window() {
        let (limits, now) = (Limits::new(), Instant::now());
        let ask = [(of_site(), 3)];
        let remaining: Vec<u32> = (0..3).map(|_| limits.taken(now, &ask)[0].remaining).collect();
        assert_eq!(remaining, [2, 1, 0]);
        let refused = limits.taken(now + seconds(18), &ask);
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
        assert_eq!(limits.taken(just_before, &ask)[0].reset_seconds(), 1);
        assert_eq!(passing(&limits, now + WINDOW, &ask, 100), 2);
        assert_eq!(limits.taken(now + WINDOW + seconds(1), &ask)[0].reset, seconds(59));
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
        let lowered = limits.taken(now, &[(of_site(), 3)])[0];
        assert!(lowered.exceeded && lowered.remaining == 0 && lowered.limit == 3);
        assert_eq!(passing(&limits, now, &[(of_site(), 8)], 10), 1);
    }

    #[test]
    fn a_limit_of_zero_lets_nothing_through_and_says_when_to_ask_again() {
        let (limits, now) = (Limits::new(), Instant::now());
        let refused = limits.taken(now, &[(of_site(), 0)])[0];
        assert!(refused.exceeded && refused.reset == WINDOW);
        assert_eq!(limits.taken(now + seconds(100), &[(of_site(), 0)])[0].reset, WINDOW);
        assert!(limits.peek_at(now, of_site(), 0).exceeded);
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
        let refused = limits.taken(now, &abuser);
        assert_eq!(refused.len(), 1, "the site isn't asked: {refused:?}");
        assert_eq!(refused[0].policy, Policy::NetworkReads);
        assert_eq!(passing(&limits, now, &[(of_network("198.51.100.1"), 3), (of_site(), 5)], 10), 2);
    }

    #[test]
    fn what_a_site_is_refused_does_not_use_up_the_network() {
        let (limits, now) = (Limits::new(), Instant::now());
        let asks = [(of_network("192.0.2.1"), 4), (of_site(), 2)];
        assert_eq!(passing(&limits, now, &asks, 50), 2);
        let refused = limits.taken(now, &asks);
        assert_eq!(refused.iter().map(|standing| standing.exceeded).collect::<Vec<_>>(), [false, true]);
        assert_eq!(refused[0], limits.peek_at(now, of_network("192.0.2.1"), 4));
        assert_eq!(refused[0].remaining, 2);
    }

    #[test]
    fn the_256_networks_of_an_ipv6_48_have_four_times_what_one_has() {
        let (limits, now) = (Limits::new(), Instant::now());
        let neighbour = |n: u32| of_network(&format!("2001:db8:1:{n:x}00::1"));
        let passed: u32 = (0..256).map(|n| passing(&limits, now, &[(neighbour(n), 10)], 10)).sum();
        assert_eq!(passed, 40);
        assert!(limits.peek_at(now, neighbour(200), 10).exceeded);
        assert_eq!(passing(&limits, now, &[(of_network("2001:db8:2::1"), 10)], 20), 10);
        // What the site refuses uses up neither the network nor its neighbours.
        let full = [(of_network("2001:db8:3::1"), 10), (of_site(), 0)];
        assert_eq!(passing(&limits, now, &full, 50), 0);
        assert_eq!(limits.peek_at(now, of_network("2001:db8:3::1"), 10).remaining, 10);
    }

    #[test]
    fn what_is_given_back_of_an_ipv6_network_its_neighbours_have_again() {
        let (limits, now) = (Limits::new(), Instant::now());
        let ask = |n: u32| Ask { bucket: of_network(&format!("2001:db8:1:{n:x}00::1")), limit: 10, cost: 10 };
        for n in 0..20 {
            let mut counted = limits.try_count(now, &[ask(n)], Counting::Alone).expect("nobody is asked");
            assert!(!counted.standings[0].exceeded, "the {n}th");
            limits.give_back(&mut counted, 0);
            assert_eq!(counted.standings[0].remaining, 10);
        }
    }

    #[test]
    fn what_was_lent_meanwhile_keeps_nothing_from_being_given_back() {
        let (limits, now) = (Limits::new(), Instant::now());
        let windows = limits.windows.as_ref().unwrap();
        let ask = Ask { bucket: of_site(), limit: 20, cost: 1 };
        let take = || limits.try_count(now, &[ask], Counting::Shared);
        let mut first = take().expect("a tenth is taken unasked");
        take().expect("two are a tenth");
        let due = take().expect_err("the others have to be asked");
        let draw = windows.due(now, due).expect("due");
        assert_eq!((draw.untold, draw.wanted), (2, 2));
        let lease = Lease { used: 14, lent: 2, left: seconds(7) };
        windows.lent(now, &draw, lease);
        assert_eq!(limits.peek_at(now, of_site(), 20).remaining, 8, "others used ten");
        limits.give_back(&mut first, 0);
        assert_eq!(limits.peek_at(now, of_site(), 20).remaining, 9);
        assert_eq!(limits.peek_at(now + seconds(7), of_site(), 20).remaining, 20, "the window of all has ended");
    }

    #[test]
    fn peeking_takes_nothing() {
        let (limits, now) = (Limits::new(), Instant::now());
        let fresh = Standing { policy: Policy::SiteReads, limit: 2, remaining: 2, reset: WINDOW, exceeded: false };
        assert_eq!(limits.peek_at(now, of_site(), 2), fresh);
        limits.taken(now, &[(of_site(), 2)]);
        for _ in 0..5 {
            let peeked = limits.peek_at(now + seconds(10), of_site(), 2);
            assert_eq!((peeked.remaining, peeked.reset, peeked.exceeded), (1, seconds(50), false));
        }
        limits.taken(now, &[(of_site(), 2)]);
        assert!(limits.peek_at(now, of_site(), 2).exceeded);
        assert_eq!(limits.peek_at(now + WINDOW, of_site(), 2), fresh);
    }

    #[test]
    fn limits_that_are_off_allow_everything_and_say_nothing() {
        let (limits, now) = (Limits::off(), Instant::now());
        for _ in 0..10 {
            assert_eq!(limits.taken(now, &[(of_site(), 0)]), []);
        }
        assert!(!limits.peek_at(now, of_site(), 0).exceeded);
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
        limits.windows.as_ref().unwrap().count()
    }

    #[test]
    fn a_flood_of_networks_shares_one_bucket_and_the_others_go_on_exactly() {
        let (limits, now) = (with_capacity(100), Instant::now());
        let regular = [(of_network("192.0.2.1"), 10), (of_site(), 1_000_000)];
        assert_eq!(passing(&limits, now, &regular, 4), 4);

        let flood =
            (0..50_000).map(|n| passing(&limits, now, &[(many(n), 10), (of_site(), 1_000_000)], 1)).sum::<u32>();
        assert_eq!(flood, 98 + 10, "one for each with a place of its own, and the limit of one for all the others");
        assert!(buckets(&limits) <= 102);

        assert_eq!(passing(&limits, now, &regular, 100), 6, "a network that has its bucket keeps its count");
        assert_eq!(limits.peek_at(now, of_site(), 1_000_000).remaining, 1_000_000 - flood - 10);
        assert!(limits.peek_at(now, many(60_000), 10).exceeded, "a newcomer stands as the shared bucket does");
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
        let (limits, now) = (with_capacity(100), Instant::now());
        for n in 0..10_000 {
            limits.taken(now, &[(Bucket { policy: Policy::Refused, site: None, ..many(n) }, 5)]);
        }
        for n in 0..90 {
            assert_eq!(passing(&limits, now, &[(many(n), 2)], 3), 2);
            let preflight = Bucket { policy: Policy::Preflights, site: None, ..many(n) };
            assert_eq!(passing(&limits, now, &[(preflight, 2)], 3), 2);
        }
    }

    #[test]
    fn requests_that_a_site_refuses_do_not_fill_its_room_with_their_networks() {
        let (limits, now) = (with_capacity(100), Instant::now());
        for n in 0..10_000 {
            limits.taken(now, &[(many(n), 10), (of_site(), 20)]);
        }
        assert_eq!(buckets(&limits), 21);
    }

    #[test]
    fn ended_windows_are_swept_while_there_is_room_too() {
        let (limits, now) = (Limits::new(), Instant::now());
        for n in 0..1000 {
            limits.taken(now, &[(many(n), 1)]);
        }
        limits.taken(now + WINDOW, &[(many(5000), 1)]);
        assert_eq!(buckets(&limits), 1);
    }

    #[test]
    fn a_full_table_is_searched_for_ended_windows_once_a_second() {
        let (limits, now) = (with_capacity(10), Instant::now());
        for n in 0..10 {
            limits.taken(now + Duration::from_millis(100) * n, &[(many(n), 1)]);
        }
        let passes = |now, n| passing(&limits, now, &[(many(n), 1)], 1) == 1;
        let swept = now + WINDOW;
        assert!(passes(swept, 20), "in the place of the first");
        let soon = swept + SWEEP / 2;
        assert!(passes(soon, 21), "in the shared bucket");
        assert!(!passes(soon, 22), "in the shared bucket, although other windows have ended");
        assert!(passes(swept + SWEEP, 23), "in the place of one of those");
    }
}
