//! Where limits stand, as headers say it: draft-ietf-httpapi-ratelimit-headers-10.

use std::fmt::{self, Write as _};

use super::policy::Standing;

/// The value of `RateLimit-Policy`, as in draft-ietf-httpapi-ratelimit-headers-10:
/// `"network-reads";q=300;w=60, "site-reads";q=6000;w=60`. Empty for no standings: send no header then.
#[must_use]
pub fn policy_header(standings: &[Standing]) -> String {
    header(standings, |text, standing| {
        write!(text, "\"{}\";q={};w={}", standing.policy.name(), standing.limit, standing.policy.window().as_secs())
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
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::policy::{Policy, WINDOW},
        *,
    };

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
}
