//! The bounded queue between one sender and one receiver.

use crate::error::Error;
use crate::wake::Wake;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};

/// A batch with what the receiver must know of its way.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Rows and time.
    pub batch: Batch,
    /// The relation's number of the first row.
    pub offset: u64,
    /// The first row's sequence number where the rows are numbered one by one, as at a source's door.
    pub first_seq: Option<Seq>,
    /// The clock at acceptance, milliseconds since the epoch.
    pub at_ms: i64,
    /// When it was accepted, for latency.
    pub accepted: Instant,
}

impl Envelope {
    /// The relation's number of a row.
    pub fn offset_of(&self, row: usize) -> u64 {
        match self.first_seq {
            Some(first) => self.offset + (self.batch.changes.seqs[row].0 - first.0),
            None => self.offset + row as u64,
        }
    }

    fn bytes(&self) -> usize {
        batch_bytes(&self.batch.changes)
    }
}

/// What goes through a mailbox.
#[derive(Debug)]
pub enum Event {
    /// Rows, or only time.
    Batch(Box<Envelope>),
    /// Everything before is processed when this is dropped, here and in every reader downstream.
    Flush(Pass),
    /// Asks for the rows of the table that the receiver maintains.
    Rows(Arc<RowsRequest>),
    /// Passes an event on, behind everything before it, to a reader further down.
    Forward(Arc<Mailbox>, Box<Event>),
    /// From here on the changes go to this mailbox too; its first batch is the table's rows.
    Subscribe(Arc<Mailbox>),
    /// The input ends: what is open becomes final.
    End,
    /// The input has failed, and with it all that reads it.
    Failed(Box<Error>),
}

/// A flush on its way: one pass per receiver that still has to be passed. It counts as passed when dropped,
/// also where a receiver has gone.
#[derive(Debug)]
pub struct Pass(Arc<Barrier>);

/// Counts the passes of one flush.
pub struct Barrier {
    waiting: AtomicUsize,
    wake: Wake,
}

impl std::fmt::Debug for Barrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Barrier").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Barrier {
    /// A barrier with its first pass; it is passed when that and all made from it are dropped.
    pub fn new(wake: Wake) -> (Arc<Self>, Pass) {
        let barrier = Arc::new(Self { waiting: AtomicUsize::new(1), wake });
        (Arc::clone(&barrier), Pass(barrier))
    }

    /// Whether all are passed.
    pub fn is_passed(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }
}

impl Pass {
    /// Another pass of the same flush.
    pub fn again(&self) -> Self {
        self.0.waiting.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.wake.wake();
        }
    }
}

/// A question for a table's rows and the place for its answer.
#[derive(Debug, Default)]
pub struct RowsRequest {
    answer: Mutex<Option<Result<ChangeBatch, Error>>>,
}

impl RowsRequest {
    /// Answers.
    pub fn answer(&self, rows: Result<ChangeBatch, Error>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(rows);
    }

    /// Takes the answer, if it is there.
    pub fn take(&self) -> Option<Result<ChangeBatch, Error>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How much a mailbox holds.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Batches.
    pub batches: usize,
    /// Bytes.
    pub bytes: usize,
}

struct State {
    events: VecDeque<Event>,
    batches: usize,
    bytes: usize,
    closed: bool,
    /// A sender was told that there is no room and waits for a wake.
    refused: bool,
}

/// A bounded queue with one sender and one receiver. Batches count against the capacity; the other events
/// are few and pass.
pub struct Mailbox {
    state: Mutex<State>,
    arrived: Condvar,
    room: Condvar,
    capacity: Capacity,
    wake: Wake,
    /// Whether the caller's thread receives what another thread sends, so that each event wakes it.
    wakes_caller: AtomicBool,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new(capacity: Capacity, wake: Wake) -> Self {
        let events = VecDeque::new();
        let state = State { events, batches: 0, bytes: 0, closed: false, refused: false };
        let wakes_caller = AtomicBool::new(false);
        Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
            room: Condvar::new(),
            capacity,
            wake,
            wakes_caller,
        }
    }

    /// From here on every event wakes the caller, whose thread receives.
    pub fn wake_caller(&self) {
        self.wakes_caller.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room_in(&self, state: &State) -> bool {
        state.closed || state.batches < self.capacity.batches && state.bytes < self.capacity.bytes
    }

    /// Whether a batch may be pushed. After a no, the caller is woken when there is room.
    pub fn has_room(&self) -> bool {
        let mut state = self.lock();
        let room = self.has_room_in(&state);
        state.refused |= !room;
        room
    }

    /// Appends an event without regard to room; a closed mailbox gives it back.
    pub fn push(&self, event: Event) -> Result<(), Event> {
        let mut state = self.lock();
        if state.closed {
            return Err(event);
        }
        if let Event::Batch(envelope) = &event {
            state.batches += 1;
            state.bytes += envelope.bytes();
        }
        state.events.push_back(event);
        drop(state);
        self.arrived.notify_one();
        if self.wakes_caller.load(Ordering::Acquire) {
            self.wake.wake();
        }
        Ok(())
    }

    /// Appends an event as soon as there is room; a closed mailbox gives it back.
    pub fn push_when_room(&self, event: Event) -> Result<(), Event> {
        let mut state = self.lock();
        while !self.has_room_in(&state) {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.push(event)
    }

    fn take(&self, state: &mut State) -> Option<Event> {
        let event = state.events.pop_front()?;
        if let Event::Batch(envelope) = &event {
            state.batches -= 1;
            state.bytes -= envelope.bytes();
            self.room.notify_one();
            if state.refused && self.has_room_in(state) {
                state.refused = false;
                self.wake.wake();
            }
        }
        Some(event)
    }

    /// The next event, waiting for it; `None` once the mailbox is closed.
    pub fn pop(&self) -> Option<Event> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(event) = self.take(&mut state) {
                return Some(event);
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next event, if there is one.
    pub fn try_pop(&self) -> Option<Event> {
        let mut state = self.lock();
        if state.closed { None } else { self.take(&mut state) }
    }

    /// Ends all waiting; what was not taken is dropped.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.batches = 0;
        state.bytes = 0;
        let events = std::mem::take(&mut state.events);
        drop(state);
        self.arrived.notify_all();
        self.room.notify_all();
        drop(events);
        self.wake.wake();
    }

    /// Batches and bytes waiting.
    pub fn depth(&self) -> (u64, u64) {
        let state = self.lock();
        (state.batches as u64, state.bytes as u64)
    }
}

/// About how many bytes a batch's rows take.
pub fn batch_bytes(changes: &ChangeBatch) -> usize {
    changes.columns.iter().map(velostream_engine::column::Column::capacity_bytes).sum::<usize>()
        + changes.len() * (size_of::<Seq>() + size_of::<i64>() + 1)
}
