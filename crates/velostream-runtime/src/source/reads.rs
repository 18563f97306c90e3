//! [`Reads`]: how much has been read of a file or of feeds, by all queries that read them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use velostream_engine::time::Watermark;

/// Counters of a source that queries read by themselves: written once for each block, read by the engine at any time.
#[derive(Debug)]
pub struct Reads {
    records: AtomicU64,
    watermark: AtomicI64,
}

impl Default for Reads {
    fn default() -> Self {
        Self { records: AtomicU64::new(0), watermark: AtomicI64::new(Watermark::NONE.0) }
    }
}

impl Reads {
    /// So many records more were let in, with which a query's watermark of the source is this.
    pub fn note(&self, records: u64, watermark: Watermark) {
        self.records.fetch_add(records, Relaxed);
        self.watermark.fetch_max(watermark.0, Relaxed);
    }

    /// Records let in, those of each query counted.
    pub fn records(&self) -> u64 {
        self.records.load(Relaxed)
    }

    /// The watermark of the query that is furthest.
    pub fn watermark(&self) -> Watermark {
        Watermark(self.watermark.load(Relaxed))
    }
}
