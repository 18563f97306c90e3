//! [`Merged`]: what several receivers gave, in one order, where it stands.

use crate::partition::event::Envelope;
use crate::sink::changes::Changes;
use velostream_engine::batch::{ChangeBatch, Seq};
use velostream_engine::column::{Column, Pick};
use velostream_engine::time::TimeRuns;

/// Envelopes of one or several receivers, all of whose rows come next.
pub struct Merged {
    pub(super) parts: Vec<Envelope>,
    /// The order of the rows; none where the parts stand one behind the other.
    pub(super) picks: Option<Vec<Pick>>,
    /// The last columns of the parts, where these had one more than the answer.
    pub(super) numbers: Vec<Column>,
    /// How time moved over them.
    pub time: TimeRuns,
    /// Up to this number everything has come.
    pub through: Seq,
    /// The clock when the first of them was accepted.
    pub at_ms: i64,
}

impl Merged {
    /// The number of the last row or move of time.
    pub fn tail(&self) -> Option<Seq> {
        self.parts.iter().filter_map(Envelope::tail).max()
    }

    /// The rows where they stand.
    pub fn view<T>(&self, see: impl FnOnce(&Changes<'_>) -> T) -> T {
        let batches: Vec<&ChangeBatch> = self.parts.iter().map(|part| &part.batch.changes).collect();
        see(&Changes::new(&batches, self.picks.as_deref()))
    }

    /// Gives all rows to `out`, which is empty and has the answer's columns.
    pub fn give_to(&mut self, out: &mut ChangeBatch) {
        match self.parts.as_mut_slice() {
            [part] if self.numbers.is_empty() => std::mem::swap(&mut part.batch.changes, out),
            _ => self.view(|changes| changes.append_to(out)),
        }
    }

    /// The rows are done with: their buffers go home.
    pub fn recycle(mut self) {
        let parts = self.parts.iter_mut();
        parts
            .zip(self.numbers.drain(..))
            .for_each(|(part, numbers)| part.batch.changes.columns.push(numbers));
        self.parts.into_iter().for_each(Envelope::recycle);
    }
}
