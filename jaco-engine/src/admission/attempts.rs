//! Failed authentications per source, so that guessing is slow.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::Timestamp,
};

/// Failures a source may have before it must wait.
const BURST: u32 = 10;
/// Time after which one failure is forgiven.
const FORGIVE_EVERY: Duration = Duration::from_secs(6);
/// Sources that are remembered; beyond that the one that failed longest ago is forgotten.
const MOST_SOURCES: usize = 4_096;

/// Failed attempts by source. A value: whoever holds it decides how it is shared.
#[derive(Debug, Default)]
pub struct Attempts {
    by_source: BTreeMap<IpAddr, Failures>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    /// When the count was last right.
    at: Timestamp,
}

impl Attempts {
    /// Whether a source may try now.
    ///
    /// # Errors
    /// `rate_limited` when it failed too often lately.
    pub fn check(&self, source: IpAddr, now: Timestamp) -> Result<(), ApiError> {
        let failures = self.by_source.get(&source).map_or(0, |f| f.count_at(now));
        if failures < BURST {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::RateLimited,
            format!("too many failed authentications from {source}"),
        ))
    }

    /// Notes a failure.
    pub fn failed(&mut self, source: IpAddr, now: Timestamp) {
        if !self.by_source.contains_key(&source) && self.by_source.len() >= MOST_SOURCES {
            let oldest = self.by_source.iter().min_by_key(|(_, f)| f.at).map(|(ip, _)| *ip);
            oldest.map(|ip| self.by_source.remove(&ip));
        }
        let failures = self.by_source.entry(source).or_insert(Failures { count: 0, at: now });
        let count = failures.count_at(now).saturating_add(1).min(BURST);
        *failures = Failures { count, at: now };
    }
}

impl Failures {
    fn count_at(&self, now: Timestamp) -> u32 {
        let forgiven = now.since(self.at).as_millis() / FORGIVE_EVERY.as_millis();
        self.count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from(n).into()
    }

    #[test]
    fn a_source_that_fails_ten_times_waits_and_others_do_not() {
        let mut attempts = Attempts::default();
        let now = Timestamp(1_000_000);
        for _ in 0..10 {
            attempts.check(ip(1), now).unwrap();
            attempts.failed(ip(1), now);
        }
        assert_eq!(attempts.check(ip(1), now).unwrap_err().code, ErrorCode::RateLimited);
        attempts.check(ip(2), now).unwrap();
        attempts.check(ip(1), now.after(FORGIVE_EVERY)).unwrap();
        attempts.failed(ip(1), now.after(FORGIVE_EVERY));
        assert!(attempts.check(ip(1), now.after(FORGIVE_EVERY)).is_err());
        attempts.check(ip(1), now.after(FORGIVE_EVERY * 100)).unwrap();
    }

    #[test]
    fn memory_is_bounded() {
        let mut attempts = Attempts::default();
        for n in 0..10_000 {
            attempts.failed(ip(n), Timestamp(u64::from(n)));
        }
        assert_eq!(attempts.by_source.len(), MOST_SOURCES);
        assert!(attempts.by_source.contains_key(&ip(9_999)));
    }
}
