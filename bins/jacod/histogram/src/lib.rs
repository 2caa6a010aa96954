//! The part of `base2histogram` that openraft uses, at the cost of what it counts.
//!
//! openraft keeps some fifteen histograms of its batches. The published crate computes tables for all
//! sixteen precisions when the first histogram is made: 26 MiB that stay resident, more than everything
//! else that a daemon holds. openraft uses one precision of 252 buckets, whose bounds are cheap to
//! compute, so no table is needed. The root `Cargo.toml` puts this crate in the other's place for the
//! programs that are built there; whoever embeds a node from the registry gets the published one.
//!
//! Values below 8 are exact; above, a bucket spans an eighth to a quarter of its lower bound.

use std::fmt;

/// Bits that tell buckets of one power of two apart, with the leading one.
const WIDTH: u32 = 3;
/// Buckets of one power of two.
const GROUP: usize = 1 << (WIDTH - 1);
/// Buckets of all values.
const BUCKETS: usize = GROUP * (66 - WIDTH as usize);

/// The bucket of a value.
fn bucket(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    if bits < WIDTH {
        return usize::try_from(value).unwrap_or(0);
    }
    let shift = bits - WIDTH;
    let leading = usize::try_from(value >> shift).unwrap_or(0);
    GROUP * shift as usize + leading
}

/// The least value of a bucket.
fn least(bucket: usize) -> u64 {
    if bucket < GROUP {
        return bucket as u64;
    }
    let (shift, offset) = (bucket / GROUP - 1, bucket % GROUP);
    ((GROUP + offset) as u64) << shift
}

/// How often values of each size were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    /// Counts by bucket; empty until the first value.
    counts: Vec<u64>,
    data: T,
}

impl<T: Default> Histogram<T> {
    /// One without values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<T> Histogram<T> {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value so many times.
    pub fn record_n(&mut self, value: u64, times: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS];
        }
        let count = &mut self.counts[bucket(value)];
        *count = count.saturating_add(times);
    }

    /// How many values were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The least value of the bucket that this share of the values, from 0 to 1, does not exceed.
    #[must_use]
    pub fn percentile(&self, share: f64) -> u64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let rank = (self.total() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0_u64;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if seen >= rank {
                return least(bucket);
            }
        }
        0
    }

    /// The percentiles that are shown.
    #[must_use]
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.percentile(0.001),
            p1: self.percentile(0.01),
            p5: self.percentile(0.05),
            p10: self.percentile(0.10),
            p50: self.percentile(0.50),
            p90: self.percentile(0.90),
            p99: self.percentile(0.99),
            p99_9: self.percentile(0.999),
        }
    }
}

/// Percentiles of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PercentileStats {
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p50, p99, p99_9, .. } = self;
        write!(f, "[samples: {samples}, P50: {p50}, P99: {p99}, P99.9: {p99_9}]")
    }
}

/// Several histograms under each other, each as its percentiles.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart<T = ()> {
    series: Vec<(String, Histogram<T>)>,
}

impl<T: Default> AsciiChart<T> {
    /// One without histograms.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this histogram below the others.
    #[must_use]
    pub fn add(mut self, name: &str, histogram: Histogram<T>) -> Self {
        self.series.push((name.to_owned(), histogram));
        self
    }

    /// As text.
    #[must_use]
    pub fn compact(&self) -> impl fmt::Display {
        let line = |(name, histogram): &(String, Histogram<T>)| {
            format!("{name}: {}", histogram.percentile_stats())
        };
        self.series.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_the_bucket_whose_bounds_hold_it() {
        let powers = (0..64).map(|bit| 1_u64 << bit);
        let around = powers.flat_map(|p| [p - 1, p, p + 1, p + p / 4, p + p / 2, p + (p - 1)]);
        for value in around.chain([0, u64::MAX]) {
            let bucket = bucket(value);
            assert!(least(bucket) <= value, "{value}");
            assert!(bucket + 1 == BUCKETS || value < least(bucket + 1), "{value}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile(0.5), 0);
        for value in 1..=8 {
            histogram.record(value);
        }
        histogram.record_n(1000, 2);
        assert_eq!((histogram.total(), histogram.percentile(0.5)), (10, 5));
        assert_eq!(histogram.percentile_stats().p99, 896);
    }
}
