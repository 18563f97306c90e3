//! Records that were left out, and why: dead letters and late records, bounded.

use crate::api::{DeadLetter, LateRecord};
use crate::sync::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::PoisonError;

#[derive(Default)]
struct State {
    letters: VecDeque<DeadLetter>,
    /// How many of the last letters nobody has taken yet.
    new: usize,
    late: VecDeque<LateRecord>,
    total: u64,
    dropped: u64,
}

/// The engine's dead letters and late records. Locked once per batch that has some.
pub struct DeadLetters {
    state: Mutex<State>,
    capacity: usize,
}

impl DeadLetters {
    /// None yet, at most `capacity` kept.
    pub fn new(capacity: usize) -> Self {
        Self { state: Mutex::default(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds letters; beyond the capacity the oldest go and are counted.
    pub fn add(&self, letters: impl IntoIterator<Item = DeadLetter>) {
        let mut state = self.lock();
        for letter in letters {
            state.total += 1;
            state.new += 1;
            state.letters.push_back(letter);
            if state.letters.len() > self.capacity {
                state.letters.pop_front();
                state.dropped += 1;
            }
        }
        state.new = state.new.min(state.letters.len());
    }

    /// Adds late records; beyond the capacity the oldest go (they stay counted in the metrics).
    pub fn add_late(&self, late: impl IntoIterator<Item = LateRecord>) {
        let mut state = self.lock();
        for record in late {
            state.late.push_back(record);
            if state.late.len() > self.capacity {
                state.late.pop_front();
            }
        }
    }

    /// All letters kept, oldest first.
    pub fn all(&self) -> Vec<DeadLetter> {
        self.lock().letters.iter().cloned().collect()
    }

    /// The letters since the last call.
    pub fn take_new(&self) -> Vec<DeadLetter> {
        let mut state = self.lock();
        let from = state.letters.len() - state.new;
        state.new = 0;
        state.letters.iter().skip(from).cloned().collect()
    }

    /// The late records since the last call.
    pub fn take_late(&self) -> Vec<LateRecord> {
        self.lock().late.drain(..).collect()
    }

    /// How many there were, and how many of them are no longer kept.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.total, state.dropped)
    }
}
