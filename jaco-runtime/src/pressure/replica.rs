//! What a container has used between two measurements. Pure.

use std::time::Duration;

use jaco_api::model::ReplicaUsage;

use crate::container::Stats;

/// What was used between two measurements that lie so far apart. Counters that went back, because
/// the container was started anew in between, count from zero.
#[must_use]
pub fn replica_usage(before: &Stats, now: &Stats, apart: Duration) -> ReplicaUsage {
    let since = |before: u64, now: u64| now.checked_sub(before).unwrap_or(now);
    let nanos = apart.as_nanos().max(1);
    let rate = |amount: u64, per: u64| {
        u64::try_from(u128::from(amount) * u128::from(per) / nanos).unwrap_or(u64::MAX)
    };
    const SECOND: u64 = 1_000_000_000;
    ReplicaUsage {
        // Nanoseconds of work in nanoseconds of time.
        cpu_millis: rate(since(before.cpu_ns, now.cpu_ns), 1000),
        memory_bytes: now.memory_bytes,
        received_per_second: rate(since(before.received_bytes, now.received_bytes), SECOND),
        sent_per_second: rate(since(before.sent_bytes, now.sent_bytes), SECOND),
        received_bytes: now.received_bytes,
        sent_bytes: now.sent_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_what_lies_between_two_measurements() {
        let before =
            Stats { cpu_ns: 5_000_000_000, memory_bytes: 1, received_bytes: 100, sent_bytes: 50 };
        let now =
            Stats { cpu_ns: 8_000_000_000, memory_bytes: 7, received_bytes: 1100, sent_bytes: 50 };
        let usage = replica_usage(&before, &now, Duration::from_secs(2));
        let expected = ReplicaUsage {
            cpu_millis: 1500,
            memory_bytes: 7,
            received_per_second: 500,
            sent_per_second: 0,
            received_bytes: 1100,
            sent_bytes: 50,
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn a_container_that_was_started_anew_counts_from_zero() {
        let before = Stats { cpu_ns: 9_000_000_000, ..Stats::default() };
        let now = Stats { cpu_ns: 500_000_000, ..Stats::default() };
        assert_eq!(replica_usage(&before, &now, Duration::from_secs(1)).cpu_millis, 500);
        assert_eq!(replica_usage(&now, &now, Duration::ZERO).cpu_millis, 0);
    }
}
