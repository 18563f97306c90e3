//! Changes that are taken where they are computed.

use crate::error::Result;
use velostream_engine::batch::ChangeBatch;
use velostream_engine::column::Pick;

/// Takes a query's changes on the thread that computes them, so that they wait in no queue; see
/// [`crate::Engine::query_into`]. While it does, that partition waits.
pub trait ChangeSink: Send {
    /// Takes the next changes. An error ends the query with it.
    fn take(&mut self, changes: &Changes<'_>) -> Result<()>;
}

/// Changes in their order, where they stand: rows of one batch, or of several that partitions have computed.
pub struct Changes<'a> {
    batches: &'a [&'a ChangeBatch],
    /// None where the batches stand one behind the other.
    picks: Option<&'a [Pick]>,
}

impl<'a> Changes<'a> {
    /// All rows of `batches`, in the order of `picks` or else of the batches.
    pub(crate) fn new(batches: &'a [&'a ChangeBatch], picks: Option<&'a [Pick]>) -> Self {
        debug_assert!(picks.is_none_or(|picks| picks.len() == batches.iter().map(|batch| batch.len()).sum()));
        Self { batches, picks }
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.picks.map_or_else(|| self.batches.iter().map(|batch| batch.len()).sum(), <[_]>::len)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches that the rows stand in, none without any. All their rows are among the changes, those of each batch in
    /// its order.
    #[must_use]
    pub fn batches(&self) -> &'a [&'a ChangeBatch] {
        self.batches
    }

    /// Where the changes stand, in their order: which batch, and which of its rows.
    pub fn order(&self) -> impl Iterator<Item = (usize, usize)> + use<'a> {
        let picked = self.picks.into_iter().flatten().map(|pick| (pick.part as usize, pick.row as usize));
        let batches = if self.picks.is_none() { self.batches } else { &[] };
        let rows = |(part, batch): (usize, &&ChangeBatch)| (0..batch.len()).map(move |row| (part, row));
        picked.chain(batches.iter().enumerate().flat_map(rows))
    }

    /// Appends them to `out`, which has the query's columns.
    pub fn append_to(&self, out: &mut ChangeBatch) {
        match self.picks {
            Some(picks) => out.extend_picked(self.batches, picks),
            None => self.batches.iter().for_each(|batch| out.extend_range(batch, 0, batch.len())),
        }
    }
}
