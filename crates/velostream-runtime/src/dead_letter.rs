//! Records that were left out, and why: dead letters and late records, bounded.

use crate::api::{DeadLetter, DeadRecord, LateRecord};
use crate::partition::event::batch_bytes;
use crate::sync::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::PoisonError;
use velostream_engine::batch::Seq;

/// What a receiver has left out, each with the number of the record that caused it.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// Records, and rows of the answer, that failed.
    pub letters: Vec<(Seq, DeadLetter)>,
    /// Records that came too late.
    pub late: Vec<(Seq, LateRecord)>,
}

impl LeftOut {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty() && self.late.is_empty()
    }

    /// About how many bytes its records take.
    pub fn bytes(&self) -> usize {
        let of_letter = |(_, letter): &(Seq, DeadLetter)| match &letter.record {
            DeadRecord::Row(_, row) => batch_bytes(row) + letter.message.len(),
            DeadRecord::Bytes(bytes) => bytes.len() + letter.message.len(),
        };
        let of_late = |(_, late): &(Seq, LateRecord)| batch_bytes(&late.row);
        self.letters.iter().map(of_letter).sum::<usize>() + self.late.iter().map(of_late).sum::<usize>()
    }

    /// Adds what another receiver has left out.
    pub fn append(&mut self, mut other: Self) {
        self.letters.append(&mut other.letters);
        self.late.append(&mut other.late);
    }

    /// Puts all in the order in which one receiver would meet it, record by record: of one number the record first, then
    /// the rows that time made final, by what is said of them.
    pub fn sort(&mut self) {
        let is_row = |letter: &DeadLetter| matches!(letter.record, DeadRecord::Bytes(_));
        self.letters.sort_by(|(seq, one), (other_seq, other)| {
            let key = (seq, is_row(one), &one.message, one.partition);
            key.cmp(&(other_seq, is_row(other), &other.message, other.partition))
        });
        self.late.sort_by_key(|&(seq, _)| seq);
    }

    /// Takes out what is numbered up to `bound`, in order.
    pub fn take_through(&mut self, bound: Seq) -> Self {
        let mut taken = Self {
            letters: self.letters.extract_if(.., |(seq, _)| *seq <= bound).collect(),
            late: self.late.extract_if(.., |(seq, _)| *seq <= bound).collect(),
        };
        taken.sort();
        taken
    }
}

#[derive(Default)]
struct State {
    letters: VecDeque<DeadLetter>,
    /// How many of the last letters nobody has taken yet.
    new: usize,
    late: VecDeque<LateRecord>,
    counts: Counts,
}

/// What was left out so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Dead letters.
    pub letters: u64,
    /// Those among them that are no longer kept.
    pub letters_dropped: u64,
    /// Late records that were no longer kept when somebody asked for them.
    pub late_dropped: u64,
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

    /// Adds what a query has left out, which is in order.
    pub fn report(&self, left_out: LeftOut) {
        self.add(left_out.letters.into_iter().map(|(_, letter)| letter));
        self.add_late(left_out.late.into_iter().map(|(_, late)| late));
    }

    /// Adds letters; beyond the capacity the oldest go and are counted.
    pub fn add(&self, letters: impl IntoIterator<Item = DeadLetter>) {
        let mut letters = letters.into_iter().peekable();
        // Mostly there is none, and the lock is everybody's.
        if letters.peek().is_none() {
            return;
        }
        let mut state = self.lock();
        for letter in letters {
            state.counts.letters += 1;
            state.new += 1;
            state.letters.push_back(letter);
            if state.letters.len() > self.capacity {
                state.letters.pop_front();
                state.counts.letters_dropped += 1;
            }
        }
        state.new = state.new.min(state.letters.len());
    }

    /// Adds late records; beyond the capacity the oldest go and are counted.
    fn add_late(&self, late: impl IntoIterator<Item = LateRecord>) {
        let mut state = self.lock();
        for record in late {
            state.late.push_back(record);
            if state.late.len() > self.capacity {
                state.late.pop_front();
                state.counts.late_dropped += 1;
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
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }
}
