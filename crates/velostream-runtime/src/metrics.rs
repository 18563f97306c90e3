//! Counters of a receiver: written by its thread once per batch, read by the caller's at any time.

use crate::api::{LatencyMetrics, PartitionMetricsSnapshot};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets per power of two of nanoseconds: a percentile is right to within a quarter.
const BUCKETS_PER_DOUBLING: u32 = 4;
const BUCKETS: usize = 64 * BUCKETS_PER_DOUBLING as usize;

/// Latencies counted in buckets that grow by quarters of a doubling.
pub struct Histogram {
    counts: [AtomicU64; BUCKETS],
    max_nanos: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU64::new(0)), max_nanos: AtomicU64::new(0) }
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < 4 {
        return nanos as usize;
    }
    let exponent = nanos.ilog2();
    let quarter = (nanos >> (exponent - 2)) & 3;
    (exponent * BUCKETS_PER_DOUBLING) as usize + quarter as usize
}

/// The least latency that the next bucket counts.
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
        self.max_nanos.fetch_max(nanos, Relaxed);
    }

    /// The percentiles, microseconds.
    pub fn snapshot(&self) -> LatencyMetrics {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Relaxed)).collect();
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
    /// `i64::MIN` before any.
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

impl PartitionMetrics {
    /// The counters now; `mailbox` is its depth in batches and bytes.
    pub fn snapshot(&self, partition: usize, mailbox: (u64, u64)) -> PartitionMetricsSnapshot {
        PartitionMetricsSnapshot {
            partition,
            records_in: self.records_in.load(Relaxed),
            batches_in: self.batches_in.load(Relaxed),
            changes_out: self.changes_out.load(Relaxed),
            late: self.late.load(Relaxed),
            dead_letters: self.dead_letters.load(Relaxed),
            busy_ms: self.busy_nanos.load(Relaxed) as f64 / 1e6,
            mailbox_batches: mailbox.0,
            mailbox_bytes: mailbox.1,
            state_bytes: self.state_bytes.load(Relaxed),
            groups: self.groups.load(Relaxed),
            latency_us: self.latency.snapshot(),
        }
    }

    /// The watermark, unless nothing is known or everything has passed.
    pub fn watermark(&self) -> Option<i64> {
        Some(self.watermark_micros.load(Relaxed)).filter(|&micros| micros != i64::MIN && micros != i64::MAX)
    }
}
