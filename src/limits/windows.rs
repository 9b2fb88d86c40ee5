//! The buckets of this process, and their memory, which is bounded whatever is sent.

use std::{
    array,
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::network::Network;
use super::policy::{Ask, Bucket, Policy, Standing, WINDOW};

/// How many buckets a shard holds before networks have to share. As much as fits a hash table of 32,768 places, some
/// 3 MB, so 50 MB in all.
const SHARD_CAPACITY: usize = 28_672;

const SITE_SHARDS: usize = 8;

/// How often a full shard is searched for ended windows; one that isn't full, only once a [`WINDOW`].
const SWEEP_WHEN_FULL: Duration = Duration::from_secs(1);

/// A process counts a tenth of a limit by itself before it says so to the others, and is lent as much each time.
const LENT: u32 = 10;

/// Who counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counting {
    /// This process is all there is, or the others cannot be asked.
    Alone,
    /// All processes of the database together.
    Shared,
}

/// What came of it.
pub enum Outcome {
    Taken(Standing, Taken),
    Exceeded(Standing),
    /// What this process was lent is used up.
    Due(Ask),
}

/// What was taken, for giving it back.
#[derive(Debug)]
pub struct Taken {
    bucket: Bucket,
    born: Instant,
    pub cost: u32,
}

/// What a process asks to be lent of a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    pub ask: Ask,
    /// How long its window has been running here.
    pub age: Duration,
    /// What it used before it said anything.
    pub untold: u32,
    pub wanted: u32,
    used: u32,
}

/// What it was lent.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// What all processes have used of it or were lent, this one included.
    pub used: u32,
    pub lent: u32,
    /// The time until the window of all of them ends.
    pub left: Duration,
}

/// All buckets.
pub struct Windows {
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
    /// Tells it from those before and after: what was lent may move its start.
    born: Instant,
    started: Instant,
    length: Duration,
    /// By this process, and by the others as far as it knows.
    used: u32,
    /// How far this process may go without asking.
    until: u32,
    /// What the others do not know of; `None` once they were told.
    untold: Option<u32>,
}

impl Window {
    fn begin(ask: &Ask, now: Instant) -> Self {
        let policy = ask.bucket.policy;
        let until = if policy.is_always_asked() { 0 } else { (ask.limit / LENT).max(1) };
        Self { born: now, started: now, length: policy.window(), used: 0, until, untold: Some(0) }
    }

    /// `None` once it has ended. A clock reading from before its start, by a thread that waited, is in it.
    fn left(&self, now: Instant) -> Option<Duration> {
        self.length.checked_sub(now.saturating_duration_since(self.started)).filter(|left| !left.is_zero())
    }

    fn add(&mut self, cost: u32) {
        self.used = self.used.saturating_add(cost);
        self.untold = self.untold.map(|untold| untold.saturating_add(cost));
    }

    fn give_back(&mut self, cost: u32) {
        self.used = self.used.saturating_sub(cost);
        self.untold = self.untold.map(|untold| untold.saturating_sub(cost));
    }
}

impl Windows {
    pub fn new() -> Self {
        Self::with_capacity(SHARD_CAPACITY)
    }

    pub fn with_capacity(capacity: usize) -> Self {
        Self { shards: array::from_fn(|_| Mutex::default()), capacity, hasher: RandomState::new() }
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

    pub fn peek(&self, now: Instant, bucket: Bucket, limit: u32) -> Standing {
        let shard = self.shard(&bucket);
        let window = match shard.windows.get(&bucket) {
            None if shard.windows.len() >= self.capacity => shard.windows.get(&shared(bucket)),
            window => window,
        };
        let (used, left) =
            window.and_then(|window| Some((window.used, window.left(now)?))).unwrap_or((0, bucket.policy.window()));
        standing(bucket.policy, limit, used, left, used >= limit)
    }

    pub fn take(&self, now: Instant, ask: Ask, counting: Counting) -> Outcome {
        let Ask { bucket, limit, cost } = ask;
        let mut shard = self.shard(&bucket);
        let shard = &mut *shard;
        // A bucket that never lets anything through needs no place.
        if limit == 0 {
            let left = shard.windows.get(&bucket).and_then(|window| window.left(now));
            return Outcome::Exceeded(standing(bucket.policy, 0, 0, left.unwrap_or(bucket.policy.window()), true));
        }
        let key = shard.place_for(bucket, now, self.capacity);
        let window = match shard.windows.entry(key) {
            Entry::Occupied(entry) => {
                let window = entry.into_mut();
                if window.left(now).is_none() {
                    *window = Window::begin(&ask, now);
                }
                window
            }
            Entry::Vacant(entry) => entry.insert(Window::begin(&ask, now)),
        };
        let left = window.left(now).unwrap_or(window.length);
        if window.used.saturating_add(cost) > limit {
            return Outcome::Exceeded(standing(bucket.policy, limit, window.used, left, true));
        }
        if counting == Counting::Shared && window.used.saturating_add(cost) > window.until {
            return Outcome::Due(Ask { bucket: key, ..ask });
        }
        window.add(cost);
        let taken = Taken { bucket: key, born: window.born, cost };
        Outcome::Taken(standing(bucket.policy, limit, window.used, left, false), taken)
    }

    /// Undoes a take, unless its window has been followed by another. A bucket left with nothing gives up its place:
    /// requests that a site refuses must not fill its shard with their networks.
    pub fn give_back(&self, taken: &Taken) {
        let mut shard = self.shard(&taken.bucket);
        if let Entry::Occupied(mut entry) = shard.windows.entry(taken.bucket)
            && entry.get().born == taken.born
        {
            entry.get_mut().give_back(taken.cost);
            // What was lent can still be used.
            if entry.get().used == 0 && entry.get().untold.is_some() {
                entry.remove();
            }
        }
    }

    /// What has to be asked of the others before `ask` can be answered; nothing when another request did that meanwhile.
    pub fn due(&self, now: Instant, ask: Ask) -> Option<Draw> {
        let shard = self.shard(&ask.bucket);
        let window = shard.windows.get(&ask.bucket).filter(|window| window.left(now).is_some())?;
        let after = window.used.saturating_add(ask.cost);
        (after > window.until && after <= ask.limit).then(|| Draw {
            ask,
            age: now.saturating_duration_since(window.started),
            untold: window.untold.unwrap_or_default(),
            wanted: (ask.limit / LENT).max(ask.cost),
            used: window.used,
        })
    }

    /// Takes over what was lent, and the window of all processes.
    pub fn lent(&self, now: Instant, draw: &Draw, lease: Lease) {
        let mut shard = self.shard(&draw.ask.bucket);
        let Some(window) = shard.windows.get_mut(&draw.ask.bucket) else { return };
        // Taken while the others were asked.
        let since = window.used.saturating_sub(draw.used);
        window.started = (now + lease.left).checked_sub(window.length).unwrap_or(now);
        window.used = lease.used.saturating_sub(lease.lent).saturating_add(since);
        window.until = lease.used;
        window.untold = None;
    }

    /// The others cannot be asked: this process counts alone until the window ends.
    pub fn alone(&self, ask: &Ask) {
        if let Some(window) = self.shard(&ask.bucket).windows.get_mut(&ask.bucket) {
            window.until = u32::MAX;
        }
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().windows.len()).sum()
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
    Bucket { network: bucket.network.map(Network::shared), ..bucket }
}

fn standing(policy: Policy, limit: u32, used: u32, reset: Duration, exceeded: bool) -> Standing {
    Standing { policy, limit, remaining: limit.saturating_sub(used), reset, exceeded }
}
