//! The output of a run: first which rows of either side stand in each row, then all columns at once.

use super::JoinSpec;
use crate::batch::{ChangeBatch, Op, Seq};
use crate::column::{Column, NO_ROW};
use crate::time::EventTime;
use velostream_sql::plan::Side;

/// Rows of the output, by the rows of both sides that stand in them.
pub(super) struct Output {
    left_width: usize,
    columns: Vec<usize>,
    left: Vec<u32>,
    right: Vec<u32>,
    ops: Vec<Op>,
    seqs: Vec<Seq>,
    event_times: Vec<EventTime>,
}

/// One row of the output as seen from the side of the run: its own row and the other side's slot, either of
/// which may be [`NO_ROW`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Joined {
    pub own: u32,
    pub other: u32,
    pub op: Op,
    pub seq: Seq,
    pub event_time: EventTime,
}

impl Output {
    pub fn new(spec: &JoinSpec) -> Self {
        Self {
            left_width: spec.left.types.len(),
            columns: spec.columns.clone(),
            left: Vec::new(),
            right: Vec::new(),
            ops: Vec::new(),
            seqs: Vec::new(),
            event_times: Vec::new(),
        }
    }

    /// Adds a row `count` times.
    pub fn push(&mut self, side: Side, joined: Joined, count: i64) {
        let (left, right) = match side {
            Side::Left => (joined.own, joined.other),
            Side::Right => (joined.other, joined.own),
        };
        for _ in 0..count {
            self.left.push(left);
            self.right.push(right);
            self.ops.push(joined.op);
            self.seqs.push(joined.seq);
            self.event_times.push(joined.event_time);
        }
    }

    /// Appends all rows to `out`, of whose sides these are the columns, and forgets them.
    pub fn flush(&mut self, side: Side, own: &[Column], other: &[Column], out: &mut ChangeBatch) {
        if self.ops.is_empty() {
            return;
        }
        let (left, right) = match side {
            Side::Left => (own, other),
            Side::Right => (other, own),
        };
        for (column, &position) in out.columns.iter_mut().zip(&self.columns) {
            match position.checked_sub(self.left_width) {
                None => column.extend_optional(&left[position], &self.left),
                Some(position) => column.extend_optional(&right[position], &self.right),
            }
        }
        hand_over(&mut self.ops, &mut out.ops);
        hand_over(&mut self.seqs, &mut out.seqs);
        hand_over(&mut self.event_times, &mut out.event_times);
        self.left.clear();
        self.right.clear();
    }
}

/// Appends all of `from` to `to`.
fn hand_over<T>(from: &mut Vec<T>, to: &mut Vec<T>) {
    if to.is_empty() {
        std::mem::swap(from, to);
    } else {
        to.append(from);
    }
}

impl Joined {
    /// A row of one side alone.
    pub fn alone(own: u32, op: Op, seq: Seq, event_time: EventTime) -> Self {
        Self { own, other: NO_ROW, op, seq, event_time }
    }
}
