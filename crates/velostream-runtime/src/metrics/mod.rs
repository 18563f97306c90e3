//! Counters of a receiver: written by its thread once per batch, read by the caller's at any time.
//! `text.rs` writes them as OpenMetrics.

pub mod text;

use crate::api::{LatencyMetrics, PartitionMetricsSnapshot};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets per power of two of nanoseconds: a percentile is right to within a quarter.
const BUCKETS_PER_DOUBLING: u32 = 4;
const BUCKETS: usize = 64 * BUCKETS_PER_DOUBLING as usize;

/// Bounds of a distribution, as powers of two of nanoseconds: from a microsecond to 17 seconds.
const BOUND_EXPONENTS: std::ops::RangeInclusive<u32> = 10..=34;

/// Latencies counted in buckets that grow by quarters of a doubling.
pub struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_nanos: AtomicU64,
    max_nanos: AtomicU64,
}

/// How many latencies were at most how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Bounds in nanoseconds, ascending, with the number of latencies up to and including each.
    pub up_to: Vec<(u64, u64)>,
    /// All of them.
    pub count: u64,
    /// Their sum, seconds.
    pub sum_seconds: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            sum_nanos: AtomicU64::new(0),
            max_nanos: AtomicU64::new(0),
        }
    }
}

/// A bucket's own upper end counts in it, so that a power of two ends a bucket.
fn bucket(nanos: u64) -> usize {
    let below = nanos.saturating_sub(1);
    if below < 4 {
        return below as usize;
    }
    let exponent = below.ilog2();
    let quarter = (below >> (exponent - 2)) & 3;
    (exponent * BUCKETS_PER_DOUBLING) as usize + quarter as usize
}

/// The greatest latency that a bucket counts.
fn bucket_end_nanos(bucket: usize) -> f64 {
    if bucket < 4 {
        return bucket as f64 + 1.0;
    }
    let (exponent, quarter) =
        (bucket / BUCKETS_PER_DOUBLING as usize, bucket % BUCKETS_PER_DOUBLING as usize);
    (exponent as f64).exp2() * (1.25 + 0.25 * quarter as f64)
}

impl Histogram {
    /// Counts `records` records of one latency.
    pub fn add(&self, latency: Duration, records: u64) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)].fetch_add(records, Relaxed);
        self.sum_nanos.fetch_add(nanos.wrapping_mul(records), Relaxed);
        self.max_nanos.fetch_max(nanos, Relaxed);
    }

    fn counts(&self) -> Vec<u64> {
        self.counts.iter().map(|count| count.load(Relaxed)).collect()
    }

    /// The counts by bounds that double.
    pub fn distribution(&self) -> Distribution {
        let counts = self.counts();
        let (mut below, mut from) = (0, 0);
        let mut up_to = Vec::with_capacity(BOUND_EXPONENTS.count());
        for exponent in BOUND_EXPONENTS {
            let to = (exponent * BUCKETS_PER_DOUBLING) as usize;
            below += counts[from..to].iter().sum::<u64>();
            from = to;
            up_to.push((1 << exponent, below));
        }
        let count = below + counts[from..].iter().sum::<u64>();
        Distribution { up_to, count, sum_seconds: self.sum_nanos.load(Relaxed) as f64 / 1e9 }
    }

    /// The percentiles, microseconds.
    pub fn snapshot(&self) -> LatencyMetrics {
        let counts = self.counts();
        let total: u64 = counts.iter().sum();
        let max = self.max_nanos.load(Relaxed) as f64 / 1e3;
        let percentile = |share: f64| {
            let rank = (total as f64 * share).ceil() as u64;
            let mut below = 0;
            for (index, count) in counts.iter().enumerate() {
                below += count;
                if below >= rank && below > 0 {
                    return (bucket_end_nanos(index) / 1e3).min(max);
                }
            }
            0.0
        };
        LatencyMetrics { p50: percentile(0.5), p99: percentile(0.99), p999: percentile(0.999), max }
    }
}

/// Counters of one receiver.
pub struct PartitionMetrics {
    pub records_in: AtomicU64,
    pub batches_in: AtomicU64,
    pub changes_out: AtomicU64,
    pub late: AtomicU64,
    pub dead_letters: AtomicU64,
    pub busy_nanos: AtomicU64,
    pub state_bytes: AtomicU64,
    pub groups: AtomicU64,
    /// The last one before the end; `i64::MIN` before any.
    pub watermark_micros: AtomicI64,
    pub latency: Histogram,
}

impl Default for PartitionMetrics {
    fn default() -> Self {
        Self {
            records_in: AtomicU64::new(0),
            batches_in: AtomicU64::new(0),
            changes_out: AtomicU64::new(0),
            late: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            busy_nanos: AtomicU64::new(0),
            state_bytes: AtomicU64::new(0),
            groups: AtomicU64::new(0),
            watermark_micros: AtomicI64::new(i64::MIN),
            latency: Histogram::default(),
        }
    }
}

/// The counters of one partition: of its receivers.
pub struct PartitionCounters {
    /// In the first stage of the plan, whose records are the query's.
    pub first: Arc<PartitionMetrics>,
    /// In the second, if it has one there.
    pub second: Option<Arc<PartitionMetrics>>,
    /// Whether what goes out of it is the answer, or the second stage's alone.
    pub gives_answer: bool,
}

impl PartitionCounters {
    /// The counters now; `mailbox` is the depth of its mailboxes in batches and bytes. What comes in is counted by the
    /// first stage, what goes out by the last, and the rest by all.
    pub fn snapshot(&self, partition: usize, mailbox: (u64, u64)) -> PartitionMetricsSnapshot {
        let first = |count: fn(&PartitionMetrics) -> &AtomicU64| count(&self.first).load(Relaxed);
        let sum = |count: fn(&PartitionMetrics) -> &AtomicU64| {
            first(count) + self.second.as_ref().map_or(0, |second| count(second).load(Relaxed))
        };
        PartitionMetricsSnapshot {
            partition,
            records_in: first(|each| &each.records_in),
            batches_in: first(|each| &each.batches_in),
            changes_out: self.answer().map_or(0, |answer| answer.changes_out.load(Relaxed)),
            late: sum(|each| &each.late),
            dead_letters: sum(|each| &each.dead_letters),
            busy_ms: sum(|each| &each.busy_nanos) as f64 / 1e6,
            mailbox_batches: mailbox.0,
            mailbox_bytes: mailbox.1,
            state_bytes: sum(|each| &each.state_bytes),
            groups: sum(|each| &each.groups),
            latency_us: self.latency().snapshot(),
        }
    }

    /// Those of the receiver whose changes are the answer's.
    pub fn answer(&self) -> Option<&PartitionMetrics> {
        self.gives_answer.then_some(self.second.as_ref().unwrap_or(&self.first))
    }

    /// Of the first stage, whose records they are.
    pub fn latency(&self) -> &Histogram {
        &self.first.latency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_counts_up_to_its_bound() {
        let histogram = Histogram::default();
        histogram.add(Duration::from_nanos(1024), 2);
        histogram.add(Duration::from_nanos(1025), 1);
        histogram.add(Duration::from_secs(60), 1);
        let Distribution { up_to, count, sum_seconds } = histogram.distribution();
        assert_eq!(up_to[..2], [(1024, 2), (2048, 3)]);
        assert_eq!(up_to.last(), Some(&(1 << 34, 3)));
        assert_eq!((count, sum_seconds), (4, 60.000_003_073));
    }

    #[test]
    fn a_percentile_is_not_below_its_latency() {
        for nanos in [0, 1, 2, 3, 4, 5, 6, 7, 1_000, 1_024, 1_025, 1_279, 1_280, 1_281, 123_456_789] {
            let end = bucket_end_nanos(bucket(nanos));
            assert!(end >= nanos as f64 && end <= nanos.max(4) as f64 * 1.25, "{nanos} counts up to {end}");
        }
    }
}
