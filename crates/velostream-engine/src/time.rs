//! Event time and watermarks as data that travels with the batches.

use crate::batch::Seq;
use std::ops::RangeInclusive;

/// Microseconds since 1970-01-01T00:00:00Z; a row's own time.
pub type EventTime = i64;

/// A moment, microseconds since 1970-01-01T00:00:00Z.
pub type Timestamp = i64;

/// The time up to which an input partition is taken to be complete, microseconds since the epoch.
///
/// `Watermark::NONE` before any record, `Watermark::END` after end of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watermark(pub i64);

impl Watermark {
    /// Nothing is known yet.
    pub const NONE: Self = Self(i64::MIN);
    /// Every time has passed.
    pub const END: Self = Self(i64::MAX);

    /// The watermark `micros` earlier; NONE and END stay what they are.
    #[must_use]
    pub fn delayed(self, micros: i64) -> Self {
        if self == Self::NONE || self == Self::END { self } else { Self(self.0.saturating_sub(micros)) }
    }
}

/// How the watermark moves within one batch: from `before`, at each `(seq, watermark)` to that watermark.
/// Strictly ascending in both. A record's lateness is judged by the watermark standing *before* it;
/// windows close *after* the record that moved it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeRuns {
    /// The watermark before the batch's first record.
    pub before: Watermark,
    /// Where it moves; records that were filtered out upstream still stand here.
    pub advances: Vec<(Seq, Watermark)>,
}

impl Default for TimeRuns {
    fn default() -> Self {
        Self { before: Watermark::NONE, advances: Vec::new() }
    }
}

impl TimeRuns {
    /// From the beginning of time to `watermark`, with the step `seq`: what that step brings is not late.
    #[must_use]
    pub fn reaching(watermark: Watermark, seq: Seq) -> Self {
        let advances = if watermark > Watermark::NONE { vec![(seq, watermark)] } else { Vec::new() };
        Self { before: Watermark::NONE, advances }
    }

    /// The watermark after the batch's last record.
    #[must_use]
    pub fn after(&self) -> Watermark {
        self.advances.last().map_or(self.before, |&(_, watermark)| watermark)
    }

    /// How records of these numbers move it.
    #[must_use]
    pub fn within(&self, numbers: RangeInclusive<Seq>) -> Self {
        let before = |bound: Seq| self.advances.partition_point(|&(at, _)| at < bound);
        let (from, to) = (before(*numbers.start()), before(Seq(numbers.end().0 + 1)));
        Self { before: self.standing_at(*numbers.start()), advances: self.advances[from..to].to_vec() }
    }

    /// The watermark standing when the record `seq` arrives.
    #[must_use]
    pub fn standing_at(&self, seq: Seq) -> Watermark {
        let index = self.advances.partition_point(|&(at, _)| at < seq);
        index.checked_sub(1).map_or(self.before, |last| self.advances[last].1)
    }
}

/// The watermark standing before each of some records, which are asked for in ascending order.
#[derive(Debug)]
pub struct WatermarkCursor<'a> {
    standing: Watermark,
    ahead: &'a [(Seq, Watermark)],
}

impl<'a> WatermarkCursor<'a> {
    /// At the beginning of a batch.
    #[must_use]
    pub fn new(time: &'a TimeRuns) -> Self {
        Self { standing: time.before, ahead: &time.advances }
    }

    /// The watermark standing when the record `seq` arrives.
    #[inline]
    pub fn standing_at(&mut self, seq: Seq) -> Watermark {
        while let Some((&(at, watermark), rest)) = self.ahead.split_first()
            && at < seq
        {
            (self.standing, self.ahead) = (watermark, rest);
        }
        self.standing
    }
}
