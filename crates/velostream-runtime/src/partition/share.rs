//! A batch that goes to all receivers of a pipeline, of which each takes its own rows.

use super::mailbox::Envelope;
use crate::spares::Spares;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::column::Values;
use velostream_sql::types::DataType;

/// The batch, and whose each row is. Time is everybody's.
#[derive(Debug)]
pub struct Share {
    /// The batch.
    pub whole: Envelope,
    /// For each row the receiver it belongs to.
    pub places: Places,
}

/// Whose the rows of a batch are.
#[derive(Debug)]
pub enum Places {
    /// All of them one receiver's.
    One(u16),
    /// Each row's receiver.
    Each(Vec<u16>),
}

impl Places {
    /// Which of a batch's rows belong to receiver `place`.
    pub fn rows_of(&self, place: u16, count: usize, rows: &mut Vec<u32>) {
        rows.clear();
        match self {
            Self::One(one) if *one == place => rows.extend(0..count as u32),
            Self::One(_) => {}
            Self::Each(places) => {
                let mine = places.iter().enumerate().filter(|&(_, &other)| other == place);
                rows.extend(mine.map(|(row, _)| row as u32));
            }
        }
    }
}

/// How a receiver takes its rows.
#[derive(Debug)]
pub struct Taker {
    /// Which receiver it is.
    pub place: u16,
    /// Per input the types of its rows; with `numbered` one more, for the row's sequence number.
    pub types: Vec<Vec<DataType>>,
    /// Whether each row gets its sequence number as its last column.
    pub numbered: bool,
    /// Per input, buffers to be used again.
    pub spares: Vec<Arc<Spares>>,
    rows: Vec<u32>,
}

impl Taker {
    /// Of receiver `place`, whose inputs have rows of these types.
    pub fn new(place: u16, types: Vec<Vec<DataType>>, numbered: bool) -> Self {
        let spares = types.iter().map(|_| Arc::default()).collect();
        Self { place, types, numbered, spares, rows: Vec::new() }
    }

    /// Its rows of a batch. The whole batch's buffers go home with the last receiver.
    pub fn take(&mut self, share: Arc<Share>) -> Envelope {
        let envelope = self.own(&share.whole, &share.places);
        if let Some(share) = Arc::into_inner(share) {
            share.whole.recycle();
        }
        envelope
    }

    fn own(&mut self, whole: &Envelope, places: &Places) -> Envelope {
        let all = &whole.batch.changes;
        places.rows_of(self.place, all.len(), &mut self.rows);
        let spares = &self.spares[whole.input];
        let mut changes = spares.take().unwrap_or_else(|| ChangeBatch::new(&self.types[whole.input]));
        changes.extend_selected(all, &self.rows);
        if self.numbered {
            number(&mut changes);
        }
        Envelope {
            input: whole.input,
            batch: Batch { changes, time: whole.batch.time.clone() },
            offset: whole.offset,
            first_seq: whole.first_seq,
            at_ms: whole.at_ms,
            accepted: whole.accepted,
            through: whole.through,
            home: Some(Arc::clone(spares)),
        }
    }
}

/// Fills the last column with the rows' sequence numbers.
fn number(changes: &mut ChangeBatch) {
    if let Some(Values::I64(values)) = changes.columns.last_mut().map(|column| &mut column.values) {
        values.extend(changes.seqs.iter().map(|&Seq(seq)| seq as i64));
    }
}
