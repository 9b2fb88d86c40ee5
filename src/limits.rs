//! How many requests a site and a network may make.
//!
//! A bucket counts in fixed windows ([`Policy::window`]), each of which starts at the first request after the one before has
//! ended. What a bucket may hold is not kept here but asked with every request, so that a changed setting acts at once.
//!
//! All processes of a database count together, without a trip for each request: a process is lent a tenth of a limit at a
//! time, and the first tenth without asking ([`shared`]). So the limit is exact to a tenth of it a process, and who makes
//! few requests costs nothing.
//!
//! The memory is bounded whatever is sent. Buckets lie in shards; when a shard is full of live ones, networks that have none
//! yet share one bucket per policy and site, while everybody else, and every site's own bucket, is counted exactly as
//! before. Requests that belong to no site (wrong keys, preflights) have shards of their own, so a flood of those can't
//! push the networks of a site into sharing.

mod counting;
mod headers;
mod network;
mod policy;
mod shared;
mod windows;

pub use counting::{Counted, Limits};
pub use headers::{policy_header, rate_limit_header};
pub use network::{Network, client_address};
pub use policy::{Bucket, Policy, REFUSED, Standing, WINDOW};
pub use shared::Sharing;
