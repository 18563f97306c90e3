//! The bounded queue between one sender and one receiver.

use super::share::Share;
use crate::catalog::PipelineId;
use crate::dead_letter::LeftOut;
use crate::error::Error;
use crate::spares::Spares;
use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard};
use crate::trouble::dawdle;
use crate::wake::Wake;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::time::{TimeRuns, Watermark};

/// A batch with what the receiver must know of its way.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Which of the receiver's inputs it belongs to.
    pub input: usize,
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
    /// Up to this number the sender has sent everything.
    pub through: Seq,
    /// Where the rows' buffers go afterwards, to be used again.
    pub home: Option<Arc<Spares>>,
}

impl Envelope {
    /// The rows are done with: their buffers go home.
    pub fn recycle(self) {
        if let Some(home) = self.home {
            home.put(self.batch.changes);
        }
    }

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

    /// The number of the first row or move of time; nothing for an envelope without either.
    pub fn head(&self) -> Option<Seq> {
        let row = self.batch.changes.seqs.first();
        let moved = self.batch.time.advances.first().map(|(seq, _)| seq);
        row.into_iter().chain(moved).min().copied()
    }

    /// The number of the last row or move of time.
    pub fn tail(&self) -> Option<Seq> {
        let row = self.batch.changes.seqs.last();
        let moved = self.batch.time.advances.last().map(|(seq, _)| seq);
        row.into_iter().chain(moved).max().copied()
    }

    /// Rows that were numbered from 0, in a time that begins with them, become those behind the first `offset` records,
    /// of numbers from `next` on, which find `watermark` standing.
    pub fn rebase(&mut self, next: Seq, offset: u64, watermark: Watermark) {
        let Batch { changes, time } = &mut self.batch;
        changes.seqs.iter_mut().for_each(|seq| seq.0 += next.0);
        time.before = watermark;
        time.advances.retain(|&(_, to)| to > watermark);
        time.advances.iter_mut().for_each(|(seq, _)| seq.0 += next.0);
        self.offset = offset;
        self.first_seq = Some(next);
        self.through.0 += next.0;
    }

    /// Takes out what is numbered below `bound`; what is left stays.
    pub fn split_before(&mut self, bound: Seq) -> Self {
        let (changes, time) = (&mut self.batch.changes, &mut self.batch.time);
        let rows = changes.seqs.partition_point(|&seq| seq < bound);
        let moves = time.advances.partition_point(|&(seq, _)| seq < bound);
        let (mut head, mut rest) = (ChangeBatch::like(changes), ChangeBatch::like(changes));
        head.extend_range(changes, 0, rows);
        rest.extend_range(changes, rows, changes.len());
        *changes = rest;
        let moved: Vec<_> = time.advances.drain(..moves).collect();
        let before = time.before;
        time.before = moved.last().map_or(before, |&(_, watermark)| watermark);
        let head = Batch { changes: head, time: TimeRuns { before, advances: moved } };
        let (offset, first_seq) = (self.offset, self.first_seq);
        if first_seq.is_none() {
            self.offset += rows as u64;
        }
        let (input, at_ms, accepted) = (self.input, self.at_ms, self.accepted);
        let through = Seq(bound.0 - 1);
        Self { input, batch: head, offset, first_seq, at_ms, accepted, through, home: None }
    }
}

/// What goes through a mailbox.
#[derive(Debug)]
pub enum Event {
    /// Rows, or only time.
    Batch(Box<Envelope>),
    /// The same for all receivers of a pipeline, of which each takes its own rows.
    Share(Arc<Share>),
    /// Records of the next batch, or of the end, that a receiver which shares a plan has left out.
    LeftOut(Box<LeftOut>),
    /// What several inputs begin with, all of one number.
    Beginning(Vec<Envelope>),
    /// Up to this number the sender has sent everything.
    Through(Seq),
    /// Comes once by every way that leads from the engine to the receiver, behind everything accepted before it.
    Barrier(Barrier),
    /// An input ends behind this number: what is open becomes final.
    End(usize, Seq),
    /// The input has failed, and with it all that reads it.
    Failed(Box<Error>),
    /// A receiver that shares a plan has failed at this number.
    ShareFailed(Seq, Box<Error>),
}

impl Event {
    /// Whether nobody waits for it who would not wait for the next one as well.
    fn can_wait(&self) -> bool {
        matches!(self, Self::Batch(_) | Self::LeftOut(_) | Self::Through(_))
    }

    /// How much of a mailbox's capacity it takes; nothing where it is no batch.
    fn batch_bytes(&self) -> Option<usize> {
        match self {
            Self::Batch(envelope) => Some(envelope.bytes()),
            Self::Share(share) => Some(share.whole.bytes()),
            Self::LeftOut(left_out) => Some(left_out.bytes()),
            _ => None,
        }
    }
}

/// A question that travels behind everything accepted before it.
#[derive(Debug, Clone)]
pub struct Barrier {
    /// The number of the last record accepted before it.
    pub at: Seq,
    /// The pipelines that it goes to.
    pub members: Arc<BTreeSet<PipelineId>>,
    /// What is asked.
    pub kind: BarrierKind,
}

/// What a barrier asks.
#[derive(Debug, Clone)]
pub enum BarrierKind {
    /// Everything before is processed when the last pass is dropped: a pass counts while it lives.
    Flush(#[allow(dead_code)] Pass),
    /// The rows that a pipeline maintains, and from here on its changes.
    Subscribe(Arc<Subscription>),
}

/// A new reader of a derived relation.
#[derive(Debug)]
pub struct Subscription {
    /// Who maintains the relation.
    pub of: PipelineId,
    /// Who reads it.
    pub reader: Reader,
    /// The number of the rows with which the reader begins.
    pub at: Seq,
    /// Whether it wants the rows of this moment alone, then the end.
    pub once: bool,
}

/// Where changes go.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The reading pipeline.
    pub pipeline: PipelineId,
    /// Its mailbox.
    pub mailbox: Arc<Mailbox>,
    /// Which of its inputs this is.
    pub input: usize,
}

/// A flush on its way: one pass per receiver that still has to be passed. It counts as passed when dropped,
/// also where a receiver has gone.
#[derive(Debug)]
pub struct Pass(Arc<Passes>);

/// Counts the passes of one flush.
pub struct Passes {
    waiting: AtomicUsize,
    wake: Wake,
}

impl std::fmt::Debug for Passes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passes").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Passes {
    /// The first pass of a flush, which is passed when that and all made from it are dropped.
    pub fn new(wake: Wake) -> (Arc<Self>, Pass) {
        let passes = Arc::new(Self { waiting: AtomicUsize::new(1), wake });
        (Arc::clone(&passes), Pass(passes))
    }

    /// Whether all are passed.
    pub fn is_passed(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }
}

impl Clone for Pass {
    fn clone(&self) -> Self {
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

/// Events, and bytes, of which the receiver of a quiet mailbox is told at the latest.
const UNTOLD_EVENTS_MAX: usize = 16;
const UNTOLD_BYTES_MAX: usize = 256 << 10;

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
    /// A sender's thread waits for room.
    sender_waits: bool,
    /// The receiver's thread waits for an event.
    receiver_waits: bool,
    /// Events came of which the receiver was not told.
    untold: bool,
}

impl State {
    fn append(&mut self, event: Event, quiet: bool) {
        if let Some(bytes) = event.batch_bytes() {
            self.batches += 1;
            self.bytes += bytes;
        }
        self.untold = quiet && event.can_wait();
        match (&event, self.events.back_mut()) {
            (Event::Through(seq), Some(Event::Through(last))) => *last = *seq,
            _ => self.events.push_back(event),
        }
    }
}

/// A bounded queue with one sender and one receiver. Batches count against the capacity; the other events
/// are few and pass.
///
/// A sender that found no room is woken when half of it is free, or when the receiver is about to wait for
/// something itself: woken at each batch taken, the two would do nothing but change places.
pub struct Mailbox {
    state: Mutex<State>,
    arrived: Condvar,
    room: Condvar,
    capacity: Capacity,
    wake: Wake,
    /// Whether the caller's thread receives what another thread sends, so that each event wakes it.
    wakes_caller: AtomicBool,
    /// Whether the sender says when it has sent enough for the receiver to be woken.
    quiet: AtomicBool,
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
        let state = State {
            events,
            batches: 0,
            bytes: 0,
            closed: false,
            refused: false,
            sender_waits: false,
            receiver_waits: false,
            untold: false,
        };
        let (wakes_caller, quiet) = (AtomicBool::new(false), AtomicBool::new(false));
        Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
            room: Condvar::new(),
            capacity,
            wake,
            wakes_caller,
            quiet,
        }
    }

    /// From here on every event wakes the caller, whose thread receives.
    pub fn wake_caller(&self) {
        self.wakes_caller.store(true, Ordering::Release);
    }

    /// From here on rows and news wake the receiver once there are many, or when the sender calls
    /// [`Self::announce_events`], as it must before it waits for anything. A receiver woken for each would take the
    /// processor from its senders again and again.
    pub fn set_quiet(&self) {
        self.quiet.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room_in(&self, state: &State) -> bool {
        state.closed || state.batches < self.capacity.batches && state.bytes < self.capacity.bytes
    }

    fn is_half_free(&self, state: &State) -> bool {
        state.batches <= self.capacity.batches / 2 && state.bytes <= self.capacity.bytes / 2
    }

    /// Wakes whoever waits for room that there is now.
    fn announce_room_in(&self, state: &mut State) {
        if !self.has_room_in(state) {
            return;
        }
        if std::mem::take(&mut state.sender_waits) {
            self.room.notify_one();
        }
        if std::mem::take(&mut state.refused) {
            self.wake.wake();
        }
    }

    /// Wakes whoever waits for room, if there is any: the receiver takes no more for now.
    pub fn announce_room(&self) {
        self.announce_room_in(&mut self.lock());
    }

    /// Whether a batch may be pushed. After a no, the caller is woken when there is room.
    pub fn has_room(&self) -> bool {
        let mut state = self.lock();
        let room = self.has_room_in(&state);
        state.refused |= !room;
        room
    }

    /// Whether there is no room, for a sender that will ask again.
    pub fn is_full(&self) -> bool {
        !self.has_room_in(&self.lock())
    }

    /// Appends an event without regard to room; a closed mailbox gives it back.
    pub fn push(&self, event: Event) -> Result<(), Event> {
        dawdle();
        let mut state = self.lock();
        if state.closed {
            return Err(event);
        }
        state.append(event, self.quiet.load(Ordering::Acquire));
        if !state.untold || state.events.len() >= UNTOLD_EVENTS_MAX || state.bytes >= UNTOLD_BYTES_MAX {
            self.announce(state);
        }
        Ok(())
    }

    /// Wakes who waits for an event, if any came of which it was not told.
    pub fn announce_events(&self) {
        let state = self.lock();
        if state.untold {
            self.announce(state);
        }
    }

    /// Wakes who waits for an event.
    fn announce(&self, mut state: MutexGuard<'_, State>) {
        state.untold = false;
        let receiver_waits = std::mem::take(&mut state.receiver_waits);
        drop(state);
        if receiver_waits {
            self.arrived.notify_one();
        }
        if self.wakes_caller.load(Ordering::Acquire) {
            self.wake.wake();
        }
    }

    /// Appends batches, together no larger than one may be, as soon as there is room; false once it is closed. The
    /// receiver is woken once for all of them.
    pub fn push_all_when_room(&self, events: impl Iterator<Item = Event>) -> bool {
        dawdle();
        let mut state = self.lock();
        while !self.has_room_in(&state) {
            state.sender_waits = true;
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return false;
        }
        events.for_each(|event| state.append(event, false));
        self.announce(state);
        true
    }

    /// Appends an event as soon as there is room, and calls `before` first if there is none; a closed mailbox gives
    /// the event back.
    pub fn push_when_room(&self, event: Event, before: impl FnOnce()) -> Result<(), Event> {
        let mut state = self.lock();
        if !self.has_room_in(&state) {
            drop(state);
            before();
            state = self.lock();
        }
        if !self.has_room_in(&state) && state.untold {
            self.announce(state);
            state = self.lock();
        }
        while !self.has_room_in(&state) {
            state.sender_waits = true;
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.push(event)
    }

    fn take(&self, state: &mut State) -> Option<Event> {
        let event = state.events.pop_front()?;
        if let Some(bytes) = event.batch_bytes() {
            state.batches -= 1;
            state.bytes -= bytes;
            if self.is_half_free(state) {
                self.announce_room_in(state);
            }
        }
        Some(event)
    }

    /// The next event, waiting for it; `None` once the mailbox is closed.
    pub fn pop(&self) -> Option<Event> {
        dawdle();
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(event) = self.take(&mut state) {
                return Some(event);
            }
            self.announce_room_in(&mut state);
            state.receiver_waits = true;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next event, if there is one.
    pub fn try_pop(&self) -> Option<Event> {
        dawdle();
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

    /// Whether nothing comes any more.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
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
