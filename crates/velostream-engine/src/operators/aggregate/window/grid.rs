//! The grid of windows with fixed bounds: tumbling, hopping and cumulating.
//!
//! The windows of one row end at equal distances, so that a row's windows are a [`Span`] of ends; and an end
//! tells its window's start. Between two neighbouring bounds every row has the same span.

use crate::error::Result;
use crate::state::{SnapshotReader, SnapshotWriter, Storable};
use crate::time::Watermark;
use velostream_sql::plan::WindowKind;

/// Windows by their ends: from the first to the last, a step of the grid apart. In order of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Span {
    pub last: i64,
    pub first: i64,
}

impl Span {
    /// The one window that ends at `end`.
    pub fn of(end: i64) -> Self {
        Self { last: end, first: end }
    }

    /// Whether the window of the grid that ends at `end` is one of them.
    pub fn holds(&self, end: i64) -> bool {
        self.first <= end && end <= self.last
    }
}

impl Storable for Span {
    fn store(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.last.store(writer)?;
        self.first.store(writer)
    }

    fn load(reader: &mut dyn SnapshotReader) -> Result<Self> {
        Ok(Self { last: i64::load(reader)?, first: i64::load(reader)? })
    }
}

/// A stretch of time `[from, to)` in which all rows have one span.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Slice {
    from: i64,
    to: i64,
    pub span: Span,
}

impl Default for Slice {
    /// Holds no time.
    fn default() -> Self {
        Self { from: 0, to: 0, span: Span::of(0) }
    }
}

impl Slice {
    /// Whether a time lies in it.
    #[inline]
    pub fn holds(&self, time: i64) -> bool {
        self.from <= time && time < self.to
    }

    /// Becomes the slice of a time; `None` where that is not representable.
    #[inline]
    pub fn move_to(&mut self, grid: &Grid, time: i64) -> Option<&Self> {
        if !self.holds(time) {
            *self = grid.slice_of(time)?;
        }
        Some(self)
    }
}

/// Windows with fixed bounds; everything in microseconds.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Grid {
    /// Length of a window, or of the longest.
    size: i64,
    /// From one start to the next.
    advance: i64,
    /// From one end to the next.
    step: i64,
    offset: i64,
    grace: i64,
}

impl Grid {
    /// The grid of a kind of windows; `None` for sessions.
    pub fn new(kind: WindowKind, grace: i64) -> Option<Self> {
        let (size, advance, step, offset) = match kind {
            WindowKind::Tumbling { size_micros: size, offset_micros } => (size, size, size, offset_micros),
            WindowKind::Hopping { size_micros, advance_micros: advance, offset_micros } => {
                (size_micros, advance, advance, offset_micros)
            }
            WindowKind::Cumulating { size_micros: size, step_micros, offset_micros } => {
                (size, size, step_micros, offset_micros)
            }
            WindowKind::Session { .. } => return None,
        };
        Some(Self { size, advance, step, offset, grace })
    }

    /// Whether a row can be in several windows.
    pub fn overlaps(&self) -> bool {
        self.step < self.size
    }

    /// The slice of a time; `None` where one of its windows does not lie within representable time.
    pub fn slice_of(&self, time: i64) -> Option<Slice> {
        let into = time.checked_sub(self.offset)?.rem_euclid(self.advance);
        let start = time.checked_sub(into)?;
        let last = start.checked_add(self.size)?;
        let first = last - (last - 1).checked_sub(time)? / self.step * self.step;
        first.checked_sub(self.size)?;
        let from = start.max(first - self.step);
        let to = first.min(start.saturating_add(self.advance));
        Some(Slice { from, to, span: Span { first, last } })
    }

    /// The bounds of the window that ends at `end`.
    pub fn bounds(&self, end: i64) -> (i64, i64) {
        if self.step == self.advance {
            return (end - self.size, end);
        }
        let last = i128::from(end) - 1;
        let into = (last - i128::from(self.offset)).rem_euclid(i128::from(self.size));
        ((last - into) as i64, end)
    }

    /// The watermark at which the window that ends at `end` closes.
    #[inline]
    pub fn closes_at(&self, end: i64) -> i64 {
        end.saturating_add(self.grace)
    }

    /// The part of a span that is not closed at a watermark.
    #[inline]
    pub fn open_part(&self, span: Span, watermark: i64) -> Option<Span> {
        if self.closes_at(span.first) > watermark {
            return Some(span);
        }
        if self.closes_at(span.last) <= watermark {
            return None;
        }
        let closed = (watermark - self.grace - span.first) / self.step;
        Some(Span { first: span.first + (closed + 1) * self.step, ..span })
    }

    /// The ends of a span.
    pub fn ends(&self, span: Span) -> impl Iterator<Item = i64> + use<> {
        let step = self.step;
        std::iter::successors(Some(span.first), move |end| end.checked_add(step))
            .take_while(move |&end| end <= span.last)
    }

    /// The end of the window behind the one that ends at `end`.
    pub fn next(&self, end: i64) -> Option<i64> {
        end.checked_add(self.step)
    }

    /// The end up to which windows are closed at a watermark.
    pub fn closed_by(&self, watermark: Watermark) -> i64 {
        watermark.delayed(self.grace).0
    }

    /// The first window of a span that ends after `end`.
    pub fn first_after(&self, span: Span, end: i64) -> Option<i64> {
        if span.first > end {
            return Some(span.first);
        }
        let passed = (end.min(span.last) - span.first) / self.step + 1;
        Some(span.first + passed * self.step).filter(|&next| next <= span.last)
    }

    /// How many windows a span has.
    pub fn count(&self, span: Span) -> usize {
        ((span.last - span.first) / self.step + 1) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(kind: WindowKind) -> Grid {
        Grid::new(kind, 0).expect("the kind has a grid")
    }

    fn slice(grid: &Grid, time: i64) -> Slice {
        grid.slice_of(time).expect("the windows are representable")
    }

    fn ends(grid: &Grid, time: i64) -> Vec<(i64, i64)> {
        grid.ends(slice(grid, time).span).map(|end| grid.bounds(end)).collect()
    }

    fn hopping(size: i64, advance: i64, offset: i64) -> Grid {
        grid(WindowKind::Hopping { size_micros: size, advance_micros: advance, offset_micros: offset })
    }

    fn cumulating(size: i64, step: i64, offset: i64) -> Grid {
        grid(WindowKind::Cumulating { size_micros: size, step_micros: step, offset_micros: offset })
    }

    #[test]
    fn rows_are_in_every_window_that_holds_them() {
        assert_eq!(ends(&hopping(10, 5, 0), 12), [(5, 15), (10, 20)]);
        assert_eq!(ends(&hopping(10, 4, 0), 12), [(4, 14), (8, 18), (12, 22)]);
        assert_eq!(ends(&hopping(10, 4, 0), 15), [(8, 18), (12, 22)]);
        assert_eq!(ends(&hopping(10, 4, 1), -1), [(-7, 3), (-3, 7)]);
        assert_eq!(ends(&cumulating(9, 3, 0), 4), [(0, 6), (0, 9)]);
        assert_eq!(ends(&cumulating(9, 3, 2), -1), [(-7, 2)]);
        assert_eq!(ends(&cumulating(9, 3, 0), 8), [(0, 9)]);
    }

    #[test]
    fn a_slice_holds_exactly_the_times_of_its_span() {
        for grid in [hopping(10, 4, 1), hopping(10, 5, 0), hopping(7, 7, 3), cumulating(9, 3, 2)] {
            for time in -40..40 {
                let found = slice(&grid, time);
                assert!(found.holds(time));
                for other in -40..40 {
                    let same = slice(&grid, other).span == found.span;
                    assert_eq!(found.holds(other), same, "{grid:?} {time} {other}");
                }
            }
        }
    }

    #[test]
    fn windows_out_of_representable_time_are_refused() {
        assert!(hopping(10, 5, 0).slice_of(i64::MAX - 3).is_none());
        assert!(hopping(10, 5, 0).slice_of(i64::MIN + 3).is_none());
        assert!(cumulating(9, 3, 0).slice_of(i64::MAX - 1).is_none());
    }

    #[test]
    fn closed_windows_are_left_out_of_a_span() {
        let grid = hopping(10, 2, 0);
        let span = slice(&grid, 9).span;
        assert_eq!(span, Span { first: 10, last: 18 });
        assert_eq!(grid.open_part(span, 9), Some(span));
        assert_eq!(grid.open_part(span, 10), Some(Span { first: 12, last: 18 }));
        assert_eq!(grid.open_part(span, 17), Some(Span { first: 18, last: 18 }));
        assert_eq!(grid.open_part(span, 18), None);
    }
}
