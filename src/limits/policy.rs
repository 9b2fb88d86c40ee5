//! What is counted, of whom, and how it stands.

use std::time::Duration;

use uuid::Uuid;

use super::network::Network;

/// The length of a window: a quota is a number of requests in this time.
pub const WINDOW: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// How many wrong keys, sessions and machine keys a network may present in a [`WINDOW`].
pub const REFUSED: u32 = 300;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Policy {
    SiteReads,
    SiteWrites,
    NetworkReads,
    NetworkWrites,
    /// KiB of files, a day.
    NetworkUploads,
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
    pub(super) const COUNT: usize = 12;

    /// The name in the `RateLimit` headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SiteReads => "site-reads",
            Self::SiteWrites => "site-writes",
            Self::NetworkReads => "network-reads",
            Self::NetworkWrites => "network-writes",
            Self::NetworkUploads => "network-uploads",
            Self::Refused => "refused",
            Self::Preflights => "preflights",
            Self::KeyChecks => "key-checks",
            Self::LoginAccount => "login-account",
            Self::LoginNetwork => "login-network",
            Self::Credential => "credential",
            Self::Org => "org",
        }
    }

    /// In which time its limit is counted.
    #[must_use]
    pub fn window(self) -> Duration {
        if self == Self::NetworkUploads { DAY } else { WINDOW }
    }

    /// Rare and dear: no process takes any of it by itself.
    pub(super) fn is_always_asked(self) -> bool {
        self == Self::NetworkUploads
    }

    /// Whether the network of its bucket is one, and no account.
    fn counts_addresses(self) -> bool {
        !matches!(self, Self::LoginAccount | Self::Credential | Self::Org)
    }
}

/// What an IPv6 /48 has, of which whoever has one has all 256 of the /56: so many times the limit of one of these.
pub(super) const WIDE: u32 = 4;

/// Whose requests are counted together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Bucket {
    pub policy: Policy,
    /// Only a site that is known to exist: buckets without a network are kept however many there are.
    pub site: Option<Uuid>,
    pub network: Option<Network>,
}

/// What is asked of a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub bucket: Bucket,
    /// What it may hold in its window, as it is set now.
    pub limit: u32,
    pub cost: u32,
}

impl Ask {
    /// The same of the bucket that it shares with its neighbours.
    pub(super) fn wide(self) -> Option<Self> {
        let network = self.bucket.network.filter(|_| self.bucket.policy.counts_addresses())?.wide()?;
        let bucket = Bucket { network: Some(network), ..self.bucket };
        Some(Self { bucket, limit: self.limit.saturating_mul(WIDE), ..self })
    }
}

/// How a bucket stands after a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    pub policy: Policy,
    /// Requests in a window, [`Policy::window`].
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
