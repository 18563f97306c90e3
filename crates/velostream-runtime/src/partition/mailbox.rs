//! The bounded queue between one sender and one receiver.

use super::event::Event;
use crate::sync::{AtomicBool, Condvar, Mutex, MutexGuard};
use crate::trouble::dawdle;
use crate::wake::Wake;
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

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

    /// Whether it holds so many bytes, or has no room, for a sender that will ask again.
    pub fn holds(&self, bytes: usize) -> bool {
        let state = self.lock();
        !state.closed && (state.bytes >= bytes || !self.has_room_in(&state))
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
        if !self.quiet.load(Ordering::Acquire) {
            return;
        }
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
