//! `Aggregate`: groups, in tumbling windows or without, shown as they change or when they are final.
//!
//! A batch's keys are hashed in one pass. Rows are cut into runs of one window; a run's keys are looked up
//! to group numbers, and each aggregate then goes over the run in one loop of its own ([`run`]). Rows that
//! may go again, steps of several rows and sums near their limits take the path step by step ([`steps`]),
//! which compares each touched group's row before and after. Both give the same changes.
//!
//! Every expression is evaluated before the first change of state.

mod given;
mod pane;
mod run;
mod steps;
mod windows;

pub use windows::Tumbling;

use crate::batch::ChangeBatch;
use crate::error::{RecordError, Result};
use crate::expr::RowErrors;
use crate::functions::aggregate;
use crate::operators::{Context, Operator, Stateful};
use crate::state::{Panes, State, composite_state, hash_rows};
use crate::time::Watermark;
use given::{Evaluation, Given};
use pane::AggregatePane;
use velostream_sql::plan::{AggregateCall, Expr};
use velostream_sql::types::DataType;

/// What an aggregate computes and how it shows it.
#[derive(Debug, Clone)]
pub struct AggregateSpec {
    /// Group keys over the input; none means one group.
    pub keys: Vec<Expr>,
    /// The windows, if any.
    pub window: Option<Tumbling>,
    /// The aggregate calls.
    pub calls: Vec<AggregateCall>,
    /// Types of the output columns: keys, window bounds, calls.
    pub types: Vec<DataType>,
    /// Whether the input can take rows back.
    pub updating_input: bool,
    /// Whether a group is shown once, when it can no longer change, instead of after every change.
    pub is_final: bool,
    /// Whether updates show the old row before the new one.
    pub before: bool,
    /// Whether, without keys and window, the end of an empty input shows SQL's one row.
    pub row_of_nothing: bool,
}

impl AggregateSpec {
    /// Whether the one group never goes once it is there.
    fn is_global(&self) -> bool {
        self.keys.is_empty() && self.window.is_none()
    }

    /// Whether every row that comes changes its group's row.
    fn counts_every_row(&self) -> bool {
        self.calls.iter().any(aggregate::counts_every_row)
    }

    /// Whether applying a row can fail.
    #[must_use]
    pub fn is_fallible(&self) -> bool {
        self.calls.iter().any(aggregate::is_fallible)
    }

    /// Whether each group's last event time is kept.
    fn keeps_times(&self) -> bool {
        self.window.is_none() && (self.is_final || self.before)
    }
}

/// The state: one pane per open window, or one.
struct Groups {
    panes: Panes<AggregatePane>,
}
composite_state!(Groups { panes });

/// Buffers that live from batch to batch and hold nothing between them.
#[derive(Default)]
struct Scratch {
    /// Rows of the batch in hand that take part, with their hashes and window starts.
    rows: Vec<u32>,
    hashes: Vec<u64>,
    starts: Vec<i64>,
    /// The window of the last row seen; where to look first.
    window: (i64, i64),
    /// The earliest close of any window from each row on.
    closes: Vec<i64>,
    run: run::RunScratch,
    steps: steps::StepScratch,
    /// Rows to compare: old ones and new ones.
    wide: ChangeBatch,
}

/// The operator.
pub struct Aggregate {
    spec: AggregateSpec,
    evaluation: Evaluation,
    state: Groups,
    scratch: Scratch,
    errors: RowErrors,
}

impl Aggregate {
    /// No groups yet.
    pub fn new(spec: AggregateSpec) -> Result<Self> {
        let evaluation = Evaluation::new(&spec)?;
        AggregatePane::new(&spec)?;
        let for_panes = spec.clone();
        let make = move || AggregatePane::new(&for_panes).expect("a pane of this plan was made before");
        let scratch = Scratch { wide: ChangeBatch::new(&spec.types), ..Scratch::default() };
        let state = Groups { panes: Panes::new(Box::new(make)) };
        Ok(Self { spec, evaluation, state, scratch, errors: RowErrors::new() })
    }

    /// Evaluates and fills `rows`: all that do not fail, and whose step does not.
    fn evaluate(&mut self, input: &ChangeBatch, ctx: &mut Context<'_>) {
        let rows = &mut self.scratch.rows;
        rows.clear();
        if input.is_empty() {
            return;
        }
        self.errors.clear();
        self.evaluation.evaluate(input, &mut self.errors);
        rows.extend(0..input.len() as u32);
        if !self.errors.is_empty() {
            let failing = |row: &u32| {
                let seq = input.seqs[*row as usize];
                let fails =
                    |failed: u32| failed == *row || (ctx.on_record && input.seqs[failed as usize] == seq);
                self.errors.iter().any(|&(failed, _)| fails(failed))
            };
            rows.retain(|row| !failing(row));
            ctx.failures.extend(self.errors.drain(..).map(|(row, error)| (input.seqs[row as usize], error)));
        }
    }

    /// Applies the rows of the batch in hand from position `from` to position `to` of `scratch.rows`.
    fn apply(
        &mut self,
        input: &ChangeBatch,
        (from, to): (usize, usize),
        standing: Watermark,
        ascending: bool,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        if from == to {
            return;
        }
        let given = Given { evaluation: &self.evaluation, input };
        if self.spec.updating_input || !ascending {
            let mut work = steps::Steps { spec: &self.spec, given, state: &mut self.state };
            return work.apply(&mut self.scratch, (from, to), standing, out, ctx);
        }
        let mut at = from;
        while at < to {
            let start = self.scratch.starts.get(at).copied().unwrap_or(0);
            let starts = self.scratch.starts.get(at..to).unwrap_or(&[]);
            let next = if starts.is_empty() {
                to
            } else {
                starts.iter().position(|&other| other != start).map_or(to, |length| at + length)
            };
            let window = self.spec.window.as_ref();
            if window.is_some_and(|window| window.closes_at(start) <= standing.0) {
                windows::report_late(input, &self.scratch.rows[at..next], ctx);
            } else {
                self.apply_run(input, (at, next), start, standing, out, ctx);
            }
            at = next;
        }
    }

    fn apply_run(
        &mut self,
        input: &ChangeBatch,
        (from, to): (usize, usize),
        start: i64,
        standing: Watermark,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        let given = Given { evaluation: &self.evaluation, input };
        let index = self.state.panes.find_or_open(start);
        let pane = self.state.panes.at(index);
        let Scratch { rows, hashes, run, wide, .. } = &mut self.scratch;
        let work = run::Run { spec: &self.spec, given, start, rows: &rows[from..to] };
        if work.apply(pane, &hashes[from..to], run, wide, out) {
            return;
        }
        let mut work = steps::Steps { spec: &self.spec, given, state: &mut self.state };
        work.apply(&mut self.scratch, (from, to), standing, out, ctx);
    }

    /// Shows what is final at the end of the input, without windows.
    fn finish(&mut self, out: &mut ChangeBatch, ctx: &Context<'_>) {
        let Some(&(seq, Watermark::END)) = ctx.time.advances.last() else { return };
        if !self.spec.is_final {
            return;
        }
        if self.state.panes.is_empty() && self.spec.row_of_nothing && self.spec.is_global() {
            let index = self.state.panes.find_or_open(0);
            self.state.panes.at(index).insert_global();
        }
        if !self.state.panes.is_empty() {
            self.state.panes.at(0).emit_all(None, seq, &mut self.scratch.steps.groups, out);
            self.state.panes.close_first();
        }
    }
}

impl Operator for Aggregate {
    fn process(&mut self, input: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()> {
        self.evaluate(input, ctx);
        let given = Given { evaluation: &self.evaluation, input };
        let Scratch { rows, hashes, starts, window: last, .. } = &mut self.scratch;
        starts.clear();
        if let Some(window) = &self.spec.window {
            window.starts(given.times(), input, rows, starts, last, ctx);
        }
        hash_rows(self.spec.keys.len(), |index| given.key_column(index), rows, hashes);
        let seqs = &input.seqs;
        let ascending = rows.len() == input.len() && seqs.windows(2).all(|pair| pair[0] < pair[1])
            || rows.windows(2).all(|pair| seqs[pair[0] as usize] < seqs[pair[1] as usize]);
        if self.spec.window.is_some() {
            self.process_windows(input, ascending, out, ctx);
        } else {
            let all = (0, self.scratch.rows.len());
            self.apply(input, all, ctx.time.before, ascending, out, ctx);
            self.finish(out, ctx);
        }
        Ok(())
    }
}

impl Stateful for Aggregate {
    fn state(&self) -> Option<&dyn State> {
        Some(&self.state)
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.state)
    }

    fn groups(&self) -> usize {
        self.state.panes.iter().map(AggregatePane::len).sum()
    }
}

/// The error of a call whose result has no room in its type.
fn out_of_range(call: &AggregateCall) -> RecordError {
    let name = velostream_sql::explain::aggregate_name(call.function);
    RecordError::new(format!("{name} is out of range of {}", call.data_type))
}
