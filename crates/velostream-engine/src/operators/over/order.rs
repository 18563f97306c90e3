//! `Order`: holds rows back until none can come before them, and passes them on by event time and sequence.

use super::late::{horizon, judge};
use crate::batch::{ChangeBatch, Op, Seq};
use crate::error::Result;
use crate::operators::{Context, Operator, Stateful};
use crate::state::{RowQueues, State, composite_state};
use velostream_sql::types::DataType;

/// The one group that all rows are in.
const ALL: u32 = 0;

/// The rows that are held back.
struct Held {
    rows: RowQueues,
}
composite_state!(Held { rows });

/// The operator. Its input's rows only come.
pub struct Order {
    /// Positions of the input's columns that are passed on.
    columns: Vec<usize>,
    grace: i64,
    state: Held,
    in_time: Vec<u32>,
}

impl Order {
    /// No rows of these types, the input's `columns`. Rows may come `grace` microseconds behind the watermark.
    #[must_use]
    pub fn new(columns: Vec<usize>, types: &[DataType], grace: i64) -> Self {
        let mut state = Held { rows: RowQueues::new(types) };
        state.rows.grow(1);
        Self { columns, grace, state, in_time: Vec::new() }
    }

    fn hold(&mut self, input: &ChangeBatch, row: usize) {
        let source = |index: usize| &input.columns[self.columns[index]];
        self.state.rows.insert(ALL, input.event_times[row], source, row);
    }

    /// Passes on what is not younger than `until`.
    fn release(&mut self, until: i64, seq: Seq, out: &mut ChangeBatch) {
        let rows = &mut self.state.rows;
        while let Some(&(time, slot)) = rows.order(ALL).front()
            && time <= until
        {
            for (to, from) in out.columns.iter_mut().zip(rows.columns()) {
                to.push_from(from, slot as usize);
            }
            out.push_mark(Op::Insert, seq, time);
            rows.drop_front(ALL);
        }
    }
}

impl Operator for Order {
    fn process(&mut self, input: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()> {
        let mut in_time = std::mem::take(&mut self.in_time);
        in_time.clear();
        judge(input, self.grace, ctx, &mut in_time);
        let mut rows = in_time.iter().peekable();
        let mut moves = ctx.time.advances.iter().peekable();
        let mut standing = ctx.time.before;
        loop {
            let next_row = rows.peek().map(|&&row| input.seqs[row as usize]);
            let next_move = moves.peek().map(|&&(seq, _)| seq);
            let Some(seq) = next_row.into_iter().chain(next_move).min() else { break };
            while let Some(&row) = rows.next_if(|&&row| input.seqs[row as usize] == seq) {
                self.hold(input, row as usize);
            }
            if let Some(&(_, watermark)) = moves.next_if(|&&(at, _)| at == seq) {
                standing = watermark;
            }
            self.release(horizon(standing, self.grace), seq, out);
        }
        self.in_time = in_time;
        Ok(())
    }
}

impl Stateful for Order {
    fn state(&self) -> Option<&dyn State> {
        Some(&self.state)
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.state)
    }

    fn groups(&self) -> usize {
        self.state.rows.order(ALL).len()
    }
}
