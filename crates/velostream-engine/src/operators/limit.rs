//! `Limit`: the first rows of an append-only input, then nothing any more.

use crate::batch::{ChangeBatch, Seq};
use crate::error::Result;
use crate::operators::{Context, Operator, Stateful};
use crate::state::{State, StateCell, composite_state};

struct Remaining {
    rows: StateCell<u64>,
    /// The number of the last row that was let through.
    last: StateCell<u64>,
}
composite_state!(Remaining { rows, last });

/// The operator.
pub struct Limit {
    state: Remaining,
}

impl Limit {
    /// Lets `count` rows through.
    #[must_use]
    pub fn new(count: u64) -> Self {
        Self { state: Remaining { rows: StateCell::new(count), last: StateCell::new(0) } }
    }
}

impl Operator for Limit {
    fn process(&mut self, input: &ChangeBatch, out: &mut ChangeBatch, _ctx: &mut Context<'_>) -> Result<()> {
        let remaining = *self.state.rows.get();
        let rows = usize::try_from(remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
        out.extend_range(input, 0, rows);
        self.state.rows.set(remaining - rows as u64);
        if let Some(last) = input.seqs[..rows].last() {
            self.state.last.set(last.0);
        }
        Ok(())
    }
}

impl Stateful for Limit {
    fn state(&self) -> Option<&dyn State> {
        Some(&self.state)
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.state)
    }

    fn finished_at(&self) -> Option<Seq> {
        (*self.state.rows.get() == 0).then(|| Seq(*self.state.last.get()))
    }
}
