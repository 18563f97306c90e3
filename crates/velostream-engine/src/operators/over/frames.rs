//! Frames that slide: which rows leave as rows come, and which rows the frames to come can still need.

use super::Segment;
use crate::state::{GroupColumns, GroupId, RowQueues};
use crate::time::EventTime;
use velostream_sql::plan::Frame;

/// How a frame has slid over some rows that came in order.
#[derive(Debug, Default)]
pub(super) struct SlidFrame {
    /// Slots of the rows that left, row after row.
    pub(super) gone: Vec<u32>,
    /// Per row, where those that it drove out end in `gone`.
    pub(super) ends: Vec<u32>,
    /// Per row, the slot of its frame's first row.
    pub(super) firsts: Vec<u32>,
}

/// Whether a row before, `distance` places away, is out of the frame of a row.
#[inline]
fn is_out(frame: Frame, distance: usize, time: EventTime, of: EventTime) -> bool {
    match frame {
        Frame::Unbounded => false,
        Frame::Rows { preceding } => distance > preceding as usize,
        Frame::Range { micros } => time < of.saturating_sub(micros),
    }
}

impl SlidFrame {
    /// Slides a frame over the rows of a segment, which stand in their queues; `lengths` are the rows in the
    /// frame of each group's last row.
    pub(super) fn slide(
        &mut self,
        frame: Frame,
        lengths: &mut GroupColumns<u32>,
        rows: &RowQueues,
        segment: &Segment<'_>,
    ) {
        self.gone.clear();
        self.ends.clear();
        self.firsts.clear();
        let lengths = lengths.write(segment.groups);
        for (&group, &place) in segment.groups.iter().zip(segment.places) {
            let order = rows.order(group);
            let length = &mut lengths[group as usize];
            let time = order[place as usize].0;
            let mut first = order[(place - *length) as usize];
            while *length > 0 && is_out(frame, *length as usize, first.0, time) {
                self.gone.push(first.1);
                *length -= 1;
                first = order[(place - *length) as usize];
            }
            *length += 1;
            self.ends.push(self.gone.len() as u32);
            self.firsts.push(first.1);
        }
    }
}

/// The position of the first row of the frame of the row at `place`.
pub(super) fn first_of(frame: Frame, rows: &RowQueues, group: GroupId, place: usize) -> usize {
    match frame {
        Frame::Unbounded => 0,
        Frame::Rows { preceding } => place.saturating_sub(preceding as usize),
        Frame::Range { micros } => {
            let time = rows.order(group)[place].0;
            rows.count_before(group, time.saturating_sub(micros)).min(place)
        }
    }
}

/// What rows to come can need of rows that are final.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Need {
    /// So many rows before the first that can still change.
    pub(super) rows: usize,
    /// Rows so much older than the horizon, microseconds.
    pub(super) micros: Option<i64>,
}

impl Need {
    /// What frames and a LAG by at most `lag` rows need; of a fold, the row before.
    pub(super) fn of(frames: &[Frame], lag: usize, folds: bool) -> Self {
        let mut need = Self { rows: lag.max(usize::from(folds)), micros: None };
        for frame in frames {
            match *frame {
                Frame::Rows { preceding } => need.rows = need.rows.max(preceding as usize),
                Frame::Range { micros } => need.micros = need.micros.max(Some(micros)),
                Frame::Unbounded => {}
            }
        }
        need
    }

    /// How many rows of a group nothing can need any more, where rows older than `horizon` come no more and
    /// `longest` rows are in a frame of its last row.
    pub(super) fn droppable(
        &self,
        rows: &RowQueues,
        group: GroupId,
        horizon: EventTime,
        longest: usize,
    ) -> usize {
        let count = rows.order(group).len();
        let is_settled = rows.order(group).back().is_none_or(|&(last, _)| last <= horizon);
        let open = if is_settled { count } else { rows.count_until(group, horizon) };
        let mut first = open.saturating_sub(self.rows).min(count - longest);
        if let Some(micros) = self.micros
            && !is_settled
        {
            first = first.min(rows.count_before(group, horizon.saturating_sub(micros)));
        }
        first
    }
}
