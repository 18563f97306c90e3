//! A batch that goes to all receivers of a pipeline, of which each takes its own rows.

use super::mailbox::Envelope;
use crate::spares::Spares;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::column::Values;
use velostream_sql::catalog::Relation;
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
    /// Rows by receiver, those of each in order, and where those of each end.
    Each {
        /// All rows of the batch.
        rows: Vec<u32>,
        /// Per receiver.
        ends: Vec<u32>,
    },
}

impl Share {
    /// The rows of receiver `place`, appended to `changes`, which has the batch's columns or more.
    fn own(&self, place: u16, changes: &mut ChangeBatch) {
        let all = &self.whole.batch.changes;
        match &self.places {
            Places::One(one) if *one == place => changes.extend_range(all, 0, all.len()),
            Places::One(_) => {}
            Places::Each { rows, ends } => {
                let place = usize::from(place);
                let begin = place.checked_sub(1).map_or(0, |before| ends[before] as usize);
                changes.extend_selected(all, &rows[begin..ends[place] as usize]);
            }
        }
    }

    /// A batch of one receiver's rows, with the time of all.
    fn envelope(&self, changes: ChangeBatch, home: Option<Arc<Spares>>) -> Envelope {
        let Envelope { input, ref batch, offset, first_seq, at_ms, accepted, through, .. } = self.whole;
        let batch = Batch { changes, time: batch.time.clone() };
        Envelope { input, batch, offset, first_seq, at_ms, accepted, through, home }
    }

    /// The rows of receiver `place` in memory of their own.
    pub fn part(&self, place: u16) -> Envelope {
        let mut changes = ChangeBatch::like(&self.whole.batch.changes);
        self.own(place, &mut changes);
        self.envelope(changes, None)
    }
}

impl Places {
    /// From each row's receiver, one of `count`.
    pub fn of(each: &[u16], count: usize) -> Self {
        let mut ends = vec![0_u32; count];
        each.iter().for_each(|&place| ends[usize::from(place)] += 1);
        let mut begin = 0;
        for end in &mut ends {
            begin += std::mem::replace(end, begin);
        }
        // What is the beginning of a receiver's rows becomes, row by row, their end.
        let mut rows = vec![0_u32; each.len()];
        for (row, &place) in each.iter().enumerate() {
            let at = &mut ends[usize::from(place)];
            rows[*at as usize] = row as u32;
            *at += 1;
        }
        Self::Each { rows, ends }
    }
}

/// How a receiver takes its rows.
#[derive(Debug)]
pub struct Taker {
    place: u16,
    inputs: Vec<TakenInput>,
    numbered: bool,
}

#[derive(Debug)]
struct TakenInput {
    types: Vec<DataType>,
    /// Buffers to be used again.
    spares: Arc<Spares>,
}

impl Taker {
    /// Of receiver `place` of a plan over these inputs; with `numbered` each row gets its sequence number as one
    /// column more.
    pub fn new(place: u16, inputs: &[Arc<Relation>], numbered: bool) -> Self {
        let input = |relation: &Arc<Relation>| {
            let of_fields = relation.schema.fields.iter().map(|field| field.data_type);
            let types = of_fields.chain(numbered.then_some(DataType::BigInt)).collect();
            TakenInput { types, spares: Arc::default() }
        };
        Self { place, inputs: inputs.iter().map(input).collect(), numbered }
    }

    /// Its rows of a batch. The whole batch's buffers go home with the last receiver.
    pub fn take(&mut self, share: Arc<Share>) -> Envelope {
        let TakenInput { types, spares } = &self.inputs[share.whole.input];
        let mut changes = spares.take().unwrap_or_else(|| ChangeBatch::new(types));
        share.own(self.place, &mut changes);
        if self.numbered {
            number(&mut changes);
        }
        let envelope = share.envelope(changes, Some(Arc::clone(spares)));
        if let Some(share) = Arc::into_inner(share) {
            share.whole.recycle();
        }
        envelope
    }
}

/// Fills the last column with the rows' sequence numbers.
fn number(changes: &mut ChangeBatch) {
    if let Some(Values::I64(values)) = changes.columns.last_mut().map(|column| &mut column.values) {
        values.extend(changes.seqs.iter().map(|&Seq(seq)| seq as i64));
    }
}
