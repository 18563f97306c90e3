//! [`Given`]: what a receiver applies in one go.

use crate::partition::event::Envelope;
use velostream_engine::batch::{Selected, Seq};

/// Batches to be applied, at least one.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    /// Of one input, all of it or some rows.
    Batch(&'a Envelope, Option<Selected<'a>>),
    /// Of several inputs, all rows of one number.
    Step(&'a [Envelope]),
    /// Of several inputs, one of each, whose numbers take turns.
    Turns(&'a [Envelope]),
}

impl<'a> Given<'a> {
    /// All of them.
    pub fn parts(self) -> &'a [Envelope] {
        match self {
            Self::Batch(part, _) => std::slice::from_ref(part),
            Self::Step(parts) | Self::Turns(parts) => parts,
        }
    }

    /// What stands for all: of a step, whatever has rows, as a lane may bring no more than a move of time.
    pub fn first(self) -> &'a Envelope {
        let parts = self.parts();
        parts.iter().find(|part| !part.batch.changes.is_empty()).unwrap_or(&parts[0])
    }

    /// The number of the last row or move of time.
    pub fn tail(self) -> Option<Seq> {
        self.parts().iter().filter_map(Envelope::tail).max()
    }

    /// Rows to be applied.
    pub fn records(self) -> u64 {
        match self {
            Self::Batch(_, Some(selected)) => selected.rows.len() as u64,
            _ => self.parts().iter().map(|part| part.batch.changes.len() as u64).sum(),
        }
    }
}
