//! The slices of the window that closed last, merged so that the next one needs three merges instead of one per slice.
//!
//! Two stacks, after Tangwongsan, Hirzel and Schneider, "Low-Latency Sliding-Window Aggregation in Worst-Case Constant
//! Time" (2017): `front` holds merged panes, each of a slice and all that end later, so that leaving out the slice that
//! goes is taking one off; `back` has merged what came since. When `front` is empty it is built again from the slices.
//!
//! A slice is merged when the first of its windows closes. From then on no row comes to it: one that did would be
//! late for that window, and so have another span. Slices of such spans may go before those of `front`; they stay out
//! of `back` and are merged into each of their windows until `front` is built again.

use super::super::pane::AggregatePane;
use super::Span;
use super::slices::MergeScratch;
use crate::state::{Pane, Panes, State};

/// The merged slices of one window.
#[derive(Default)]
pub(in super::super) struct Stack {
    /// The window's end.
    end: i64,
    /// Merged panes with the last end of their earliest slice, latest first.
    front: Vec<(i64, AggregatePane)>,
    /// The window for which `front` was built, and the last end of its latest slice.
    built_at: i64,
    latest: i64,
    back: Option<AggregatePane>,
}

impl Stack {
    /// Whether a slice belongs into `back`: it came after `front` was built and goes no sooner than all of it.
    fn follows(&self, span: Span) -> bool {
        span.first > self.built_at && span.last >= self.latest
    }

    /// Goes on to a later window, whose slices are among the panes.
    pub fn move_to(&mut self, end: i64, panes: &Panes<Span, AggregatePane>, merge: &mut MergeScratch) {
        while let Some((_, gone)) = self.front.pop_if(|(last, _)| *last < end) {
            merge.recycle(gone);
        }
        if self.front.is_empty() {
            self.build(end, panes, merge);
        } else {
            for (span, slice) in panes.iter() {
                if span.holds(end) && span.first > self.end && self.follows(span) {
                    let back = self.back.get_or_insert_with(|| merge.take_pane());
                    back.absorb(slice, &mut merge.absorb);
                }
            }
        }
        self.end = end;
    }

    fn build(&mut self, end: i64, panes: &Panes<Span, AggregatePane>, merge: &mut MergeScratch) {
        if let Some(back) = self.back.take() {
            merge.recycle(back);
        }
        for (span, slice) in panes.iter().rev().filter(|(span, _)| span.holds(end)) {
            let mut merged = match self.front.pop_if(|(last, _)| *last == span.last) {
                Some((_, merged)) => merged,
                None => {
                    let mut merged = merge.take_pane();
                    if let Some((_, later)) = self.front.last() {
                        merged.absorb(later, &mut merge.absorb);
                    }
                    merged
                }
            };
            merged.absorb(slice, &mut merge.absorb);
            self.front.push((span.last, merged));
        }
        self.built_at = end;
        self.latest = self.front.first().map_or(end, |&(last, _)| last);
    }

    /// The window: all of its slices, merged.
    pub fn whole<'a>(
        &'a self,
        panes: &Panes<Span, AggregatePane>,
        merge: &'a mut MergeScratch,
    ) -> &'a AggregatePane {
        let MergeScratch { pane, absorb, .. } = merge;
        pane.clear();
        let merged = self.front.last().map(|(_, front)| front).into_iter().chain(&self.back);
        merged.for_each(|part| pane.absorb(part, absorb));
        for (span, slice) in panes.iter() {
            if span.holds(self.end) && span.first > self.built_at && !self.follows(span) {
                pane.absorb(slice, absorb);
            }
        }
        pane
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let panes = self.front.iter().map(|(_, pane)| pane).chain(&self.back);
        panes.map(|pane| pane.bytes()).sum()
    }
}
