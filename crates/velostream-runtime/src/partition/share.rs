//! A batch that goes to all receivers of a pipeline, of which each takes its own rows.
//!
//! Where the plan groups them at once, a receiver works on its rows where they stand; else it copies them out.

use super::event::Envelope;
use crate::spares::Spares;
use std::ops::Range;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Selected};
use velostream_engine::router::{Router, Shares};
use velostream_sql::catalog::Relation;
use velostream_sql::types::DataType;

/// The batch, and whose each row is. Time is everybody's.
#[derive(Debug)]
pub struct Share {
    /// The batch.
    pub whole: Envelope,
    /// Which rows are whose.
    pub places: Places,
}

/// Whose the rows of a batch are.
#[derive(Debug)]
pub enum Places {
    /// All of them one receiver's.
    One(u16),
    /// Told apart by their keys.
    Each(Shares),
}

impl Share {
    /// The rows of receiver `place` that stand in `range`, appended to `changes`, which has the batch's columns.
    pub fn copy(&self, range: Range<usize>, place: u16, changes: &mut ChangeBatch) {
        let all = &self.whole.batch.changes;
        match self.places.rows(place) {
            Some(own) => changes.extend_selected(all, own.within(&range).rows),
            None => changes.extend_range(all, range.start, range.end),
        }
    }

    /// A batch of one receiver's rows, with the time of all.
    fn envelope(&self, changes: ChangeBatch, home: Option<Arc<Spares>>) -> Envelope {
        let Envelope { input, at_ms, accepted, through, .. } = self.whole;
        let Envelope { batch, offsets, records, .. } = &self.whole;
        let batch = Batch { changes, time: batch.time.clone() };
        let (offsets, appended, records) = (offsets.clone(), Vec::new(), records.clone());
        Envelope { input, batch, offsets, at_ms, accepted, through, home, appended, records }
    }

    /// The rows of receiver `place` in memory of their own.
    pub fn part(&self, place: u16) -> Envelope {
        let mut changes = ChangeBatch::like(&self.whole.batch.changes);
        self.copy(0..self.whole.batch.changes.len(), place, &mut changes);
        self.envelope(changes, None)
    }

    /// One receiver is done with it; with the last one the batch's buffers go home.
    pub fn recycle(self: Arc<Self>) {
        let Some(Self { whole, places }) = Arc::into_inner(self) else { return };
        if let (Some(home), Places::Each(shares)) = (&whole.home, places) {
            home.put_shares(shares);
        }
        whole.recycle();
    }
}

impl Places {
    /// Of the rows of `envelope`, by their keys, among so many receivers.
    pub fn by(router: &mut Router, envelope: &Envelope, receivers: u16) -> Self {
        let mut shares = envelope.home.as_ref().map_or_else(Shares::default, |home| home.take_shares());
        router.route(&envelope.batch.changes, receivers, &mut shares);
        Self::Each(shares)
    }

    /// Whether all rows are receiver `place`'s.
    fn are_all(&self, place: u16) -> bool {
        matches!(self, Self::One(one) if *one == place)
    }

    /// The rows of receiver `place`; `None` where all are.
    pub fn rows(&self, place: u16) -> Option<Selected<'_>> {
        match self {
            _ if self.are_all(place) => None,
            Self::One(_) => Some(Selected::NONE),
            Self::Each(shares) => Some(shares.rows(place)),
        }
    }
}

/// A receiver's rows of a batch, where they stand.
#[derive(Debug)]
pub struct Taken {
    share: Arc<Share>,
    place: u16,
    hashed: bool,
}

impl Taken {
    /// The batch.
    pub fn whole(&self) -> &Envelope {
        &self.share.whole
    }

    /// The receiver's rows of it; `None` where all are.
    pub fn rows(&self) -> Option<Selected<'_>> {
        let Selected { rows, hashes } = self.share.places.rows(self.place)?;
        Some(Selected { rows, hashes: hashes.filter(|_| self.hashed) })
    }

    /// The receiver is done with them.
    pub fn recycle(self) {
        self.share.recycle();
    }
}

/// How a receiver takes its rows.
#[derive(Debug)]
pub struct Taker {
    place: u16,
    inputs: Vec<TakenInput>,
}

/// Of one input.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Whether the plan works on some rows of a batch as well as on all.
    pub selects: bool,
    /// Whether it groups them by the keys that tell whose they are.
    pub hashed: bool,
}

#[derive(Debug)]
struct TakenInput {
    types: Vec<DataType>,
    way: Way,
    /// Buffers to be used again.
    spares: Arc<Spares>,
}

impl Taker {
    /// Which receiver takes.
    pub fn place(&self) -> u16 {
        self.place
    }

    /// Of receiver `place` of a plan over these inputs.
    pub fn new(place: u16, inputs: &[Arc<Relation>], ways: &[Way]) -> Self {
        let input = |(relation, &way): (&Arc<Relation>, &Way)| {
            let types = relation.schema.fields.iter().map(|field| field.data_type).collect();
            TakenInput { types, way, spares: Arc::default() }
        };
        Self { place, inputs: inputs.iter().zip(ways).map(input).collect() }
    }

    /// Its rows of a batch, where they stand; the batch itself where they have to be copied.
    pub fn borrow(&self, share: Arc<Share>) -> Result<Taken, Arc<Share>> {
        let Self { place, inputs, .. } = self;
        let Way { selects, hashed } = inputs[share.whole.input].way;
        if selects || share.places.are_all(*place) {
            return Ok(Taken { share, place: *place, hashed });
        }
        Err(share)
    }

    /// A copy of its rows of a batch.
    pub fn take(&self, share: Arc<Share>) -> Envelope {
        let TakenInput { types, spares, .. } = &self.inputs[share.whole.input];
        let mut changes = spares.take().unwrap_or_else(|| ChangeBatch::new(types));
        share.copy(0..share.whole.batch.changes.len(), self.place, &mut changes);
        let envelope = share.envelope(changes, Some(Arc::clone(spares)));
        share.recycle();
        envelope
    }
}
