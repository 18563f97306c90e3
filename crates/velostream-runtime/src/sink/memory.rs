//! The bounded queue of a query's undelivered changes.

use crate::api::Pull;
use crate::error::{Error, Result};
use crate::partition::event::batch_bytes;
use crate::spares::Spares;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::trouble::dawdle;
use crate::wake::Wake;
use std::collections::VecDeque;
use std::sync::PoisonError;
use velostream_engine::batch::{ChangeBatch, Op};

/// How the changes end.
enum Close {
    Open,
    Ended,
    Failed(Box<Error>),
}

struct State {
    batches: VecDeque<ChangeBatch>,
    /// Rows of the first batch that are already delivered.
    delivered: usize,
    rows: usize,
    bytes: usize,
    close: Close,
    /// Nobody reads any more.
    abandoned: bool,
    /// The reader takes whatever comes, so that a receiver which found no room need not be woken before half of it
    /// is free: woken at each pull, the two would do nothing but change places.
    drained: bool,
    /// The receiver's thread waits for room.
    receiver_waits: bool,
}

/// Changes on their way from a receiver to the caller. When it is full the receiver waits.
pub struct OutputQueue {
    state: Mutex<State>,
    room: Condvar,
    rows_max: usize,
    bytes_max: usize,
    wake: Wake,
    spares: Spares,
}

impl OutputQueue {
    /// An empty queue.
    pub fn new(rows_max: usize, bytes_max: usize, wake: Wake) -> Self {
        let state = State {
            batches: VecDeque::new(),
            delivered: 0,
            rows: 0,
            bytes: 0,
            close: Close::Open,
            abandoned: false,
            drained: false,
            receiver_waits: false,
        };
        let spares = Spares::default();
        Self { state: Mutex::new(state), room: Condvar::new(), rows_max, bytes_max, wake, spares }
    }

    /// A batch with buffers that were delivered before, if there is one.
    pub fn spare(&self) -> Option<ChangeBatch> {
        self.spares.take()
    }

    /// Says whether somebody takes whatever comes, as a listener does.
    pub fn set_drained(&self, drained: bool) {
        let mut state = self.lock();
        state.drained = drained;
        self.announce_room(&mut state);
    }

    /// Wakes the receiver if it waits for room that there is now.
    fn announce_room(&self, state: &mut State) {
        let enough = !state.drained || state.rows <= self.rows_max / 2 && state.bytes <= self.bytes_max / 2;
        if state.receiver_waits && enough && self.has_room_in(state) {
            state.receiver_waits = false;
            self.room.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room_in(&self, state: &State) -> bool {
        state.abandoned || state.rows < self.rows_max && state.bytes < self.bytes_max
    }

    /// Whether the receiver may go on.
    pub fn has_room(&self) -> bool {
        self.has_room_in(&self.lock())
    }

    /// Waits until the receiver may go on; `before` is called first if it may not.
    pub fn wait_for_room(&self, before: impl FnOnce()) {
        let mut state = self.lock();
        if self.has_room_in(&state) {
            return;
        }
        before();
        while !self.has_room_in(&state) {
            state.receiver_waits = true;
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Appends changes without regard to room.
    pub fn push(&self, changes: ChangeBatch) {
        if changes.is_empty() {
            return;
        }
        dawdle();
        let mut state = self.lock();
        if state.abandoned {
            return;
        }
        state.rows += changes.len();
        state.bytes += batch_bytes(&changes);
        state.batches.push_back(changes);
        drop(state);
        self.wake.wake();
    }

    fn finish(&self, close: Close) {
        let mut state = self.lock();
        if matches!(state.close, Close::Open) {
            state.close = close;
        }
        drop(state);
        self.wake.wake();
    }

    /// No more changes come.
    pub fn end(&self) {
        self.finish(Close::Ended);
    }

    /// No more changes come, for this reason.
    pub fn fail(&self, error: Error) {
        self.finish(Close::Failed(Box::new(error)));
    }

    /// Nobody reads any more: what is there goes, and the receiver never waits again.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.batches.clear();
        state.rows = 0;
        state.bytes = 0;
        drop(state);
        self.room.notify_all();
    }

    /// Undelivered rows.
    pub fn rows(&self) -> usize {
        self.lock().rows
    }

    /// Moves up to `rows_max` rows to `out`, and one more rather than cut an update in two.
    pub fn pull(&self, rows_max: usize, out: &mut ChangeBatch) -> Result<Pull> {
        let mut state = self.lock();
        let Some(first) = state.batches.front() else {
            return match std::mem::replace(&mut state.close, Close::Ended) {
                Close::Failed(error) => Err(*error),
                Close::Ended => Ok(Pull::Ended),
                Close::Open => {
                    state.close = Close::Open;
                    Ok(Pull::Empty)
                }
            };
        };
        let (from, rows) = (state.delivered, first.len());
        let mut to = rows.min(from.saturating_add(rows_max.max(1)));
        if to < rows && first.ops[to - 1] == Op::UpdateBefore {
            to += 1;
        }
        let taken = to - from;
        if from == 0 && to == rows && out.is_empty() {
            let bytes = batch_bytes(first);
            let taken = state.batches.pop_front().expect("the first batch is there");
            self.spares.put(std::mem::replace(out, taken));
            state.bytes -= bytes.min(state.bytes);
        } else {
            append_range(out, first, from, to);
            if to == rows {
                let bytes = batch_bytes(first);
                state.batches.pop_front().into_iter().for_each(|taken| self.spares.put(taken));
                state.delivered = 0;
                state.bytes -= bytes.min(state.bytes);
            } else {
                state.delivered = to;
            }
        }
        state.rows -= taken;
        self.announce_room(&mut state);
        Ok(Pull::Rows)
    }
}

/// Appends rows `from..to` of `batch`.
pub fn append_range(out: &mut ChangeBatch, batch: &ChangeBatch, from: usize, to: usize) {
    if out.columns.is_empty() {
        *out = ChangeBatch::like(batch);
    }
    for (column, given) in out.columns.iter_mut().zip(&batch.columns) {
        column.extend_range(given, from, to);
    }
    out.ops.extend_from_slice(&batch.ops[from..to]);
    out.seqs.extend_from_slice(&batch.seqs[from..to]);
    out.event_times.extend_from_slice(&batch.event_times[from..to]);
}
