//! `Aggregate`: groups, in windows with fixed bounds or without, shown as they change or when they are final.
//!
//! A batch's keys are hashed in one pass. Rows are cut into runs of one window; a run's keys are looked up
//! to group numbers, and each aggregate then goes over the run in one loop of its own ([`run`]). Rows that
//! may go again, steps of several rows and sums near their limits take the path step by step ([`steps`]),
//! which compares each touched group's row before and after. Both give the same changes.
//!
//! Windows whose bounds the rows themselves make are another operator, [`session`].
//!
//! Every expression is evaluated before the first change of state.

mod given;
mod pane;
mod run;
mod session;
mod steps;
mod window;

pub use window::WindowSpec;

use crate::batch::{ChangeBatch, Seq};
use crate::error::{RecordError, Result};
use crate::functions::aggregate;
use crate::operators::{Context, Operator, Stateful};
use crate::state::{Derived, Panes, State, StateCell, composite_state};
use crate::time::Watermark;
use given::{Evaluation, Given};
use pane::AggregatePane;
use velostream_sql::plan::{AggregateCall, Expr, WindowKind};
use velostream_sql::types::DataType;
use window::{Grid, MergeScratch, OverlapScratch, RowTimes, Slice, Span, Stack, leave_late, place_rows};

/// What an aggregate computes and how it shows it.
#[derive(Debug, Clone)]
pub struct AggregateSpec {
    /// Group keys over the input; none means one group.
    pub keys: Vec<Expr>,
    /// The windows, if any.
    pub window: Option<WindowSpec>,
    /// The aggregate calls.
    pub calls: Vec<AggregateCall>,
    /// Types of the output columns: keys, window bounds, calls.
    pub types: Vec<DataType>,
    /// Whether the input can take rows back.
    pub updating_input: bool,
    /// The input's columns that tell its rows apart; asked only of sessions whose rows can go.
    pub identity: Vec<usize>,
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

/// The pane of an aggregate without windows.
const NO_WINDOW: Span = Span { last: 0, first: 0 };

/// The state: panes of one window or of several, or one.
struct Groups {
    panes: Panes<Span, AggregatePane>,
    /// What the next group in any pane has as its birth.
    next_birth: StateCell<u64>,
    /// Says that `Scratch::bounds` is of these panes.
    bounds: Derived<()>,
    /// The window that closed last, as far as it was merged.
    stack: Derived<Stack>,
}
composite_state!(Groups { panes, next_birth, bounds, stack });

impl Groups {
    /// Closes a pane if it has no groups.
    fn close_if_empty(&mut self, span: Span) {
        if let Some(index) = self.panes.find(span)
            && self.panes.at(index).len() == 0
        {
            self.panes.close(index);
        }
    }
}

/// Buffers that live from batch to batch and hold nothing between them.
#[derive(Default)]
struct Scratch {
    /// Rows of the batch in hand that take part, with their hashes and the spans of their windows.
    rows: Vec<u32>,
    hashes: Vec<u64>,
    spans: Vec<Span>,
    /// The slice of time of the last row seen; where to look first.
    slice: Slice,
    /// The earliest close of any window from each row on.
    closes: Vec<i64>,
    overlap: OverlapScratch,
    /// Where windows are merged from several panes.
    merge: Option<MergeScratch>,
    /// Per call, a magnitude that no cell of any pane is above; where windows are merged, and `Groups` says so.
    bounds: Vec<f64>,
    run: run::RunScratch,
    steps: steps::StepScratch,
    /// Rows to compare: old ones and new ones.
    wide: ChangeBatch,
}

/// The operator of an aggregate: that of sessions where it has such windows.
pub fn create(spec: AggregateSpec) -> Result<Box<dyn Operator>> {
    Ok(match spec.window.as_ref().map(|window| window.kind) {
        Some(WindowKind::Session { gap_micros }) => {
            Box::new(session::SessionAggregate::new(spec, gap_micros)?)
        }
        _ => Box::new(Aggregate::new(spec)?),
    })
}

/// The operator.
struct Aggregate {
    spec: AggregateSpec,
    grid: Option<Grid>,
    evaluation: Evaluation,
    state: Groups,
    scratch: Scratch,
}

impl Aggregate {
    /// No groups yet.
    fn new(spec: AggregateSpec) -> Result<Self> {
        let evaluation = Evaluation::new(&spec)?;
        AggregatePane::new(&spec)?;
        let for_panes = spec.clone();
        let make = move || AggregatePane::new(&for_panes).expect("a pane of this plan was made before");
        let grid = spec.window.as_ref().and_then(|window| Grid::new(window.kind, window.grace));
        let merge = MergeScratch::new(&spec, grid.as_ref())?;
        let scratch = Scratch {
            merge,
            wide: ChangeBatch::new(&spec.types),
            overlap: OverlapScratch::new(&spec.types),
            ..Scratch::default()
        };
        let state = Groups {
            panes: Panes::new(Box::new(make)),
            next_birth: StateCell::new(0),
            bounds: Derived::default(),
            stack: Derived::default(),
        };
        Ok(Self { spec, grid, evaluation, state, scratch })
    }

    /// Applies the rows of the batch in hand from position `from` to position `to` of `scratch.rows`.
    fn apply(
        &mut self,
        input: &ChangeBatch,
        (from, to): (usize, usize),
        ascending: bool,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        if from == to {
            return;
        }
        if self.scratch.merge.is_some() {
            return self.apply_sliced(input, (from, to), ascending, out, ctx);
        }
        if self.spec.updating_input || !ascending {
            return self.apply_steps(input, (from, to), steps::Check { windows: false }, out, ctx);
        }
        if let Some(grid) = self.grid.filter(Grid::overlaps) {
            return self.apply_overlapping(&grid, input, (from, to), out, ctx);
        }
        let mut at = from;
        while at < to {
            let next = self.run_end(at, to);
            self.apply_run(input, (at, next), out, ctx);
            at = next;
        }
    }

    /// Where the run of rows of one pane ends that begins at position `at`.
    fn run_end(&self, at: usize, to: usize) -> usize {
        match self.scratch.spans.get(at..to) {
            Some([first, rest @ ..]) => {
                rest.iter().position(|span| span != first).map_or(to, |length| at + 1 + length)
            }
            _ => to,
        }
    }

    fn apply_run(
        &mut self,
        input: &ChangeBatch,
        (from, to): (usize, usize),
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        let span = self.scratch.spans.get(from).copied().unwrap_or(NO_WINDOW);
        let given = Given { evaluation: &self.evaluation, input };
        let index = self.state.panes.find_or_open(span);
        if run::is_safe(self.state.panes.at(index), &given, to - from) {
            return self.add_run(input, (from, to), index, out);
        }
        self.apply_steps(input, (from, to), steps::Check { windows: false }, out, ctx);
        self.state.close_if_empty(span);
    }

    /// Applies a run that is safe to the pane at `index`, which is its own.
    fn add_run(
        &mut self,
        input: &ChangeBatch,
        (from, to): (usize, usize),
        index: usize,
        out: &mut ChangeBatch,
    ) {
        let given = Given { evaluation: &self.evaluation, input };
        let Scratch { rows, hashes, spans, run, wide, .. } = &mut self.scratch;
        let span = spans.get(from).copied().unwrap_or(NO_WINDOW);
        let bounds = self.grid.map(|grid| grid.bounds(span.last));
        let pane = self.state.panes.at(index);
        pane.keys.continue_from(*self.state.next_birth.get());
        let work = run::Run { spec: &self.spec, given, bounds, rows: &rows[from..to] };
        work.apply(pane, &hashes[from..to], run, wide, out);
        self.state.next_birth.set(pane.keys.next_birth());
    }

    fn apply_steps(
        &mut self,
        input: &ChangeBatch,
        range: (usize, usize),
        check: steps::Check,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        let given = Given { evaluation: &self.evaluation, input };
        let grid = self.grid.as_ref();
        let mut work = steps::Steps { spec: &self.spec, grid, check, given, state: &mut self.state };
        work.apply(&mut self.scratch, range, out, ctx);
    }

    /// Shows what is final at the end of the input, without windows.
    fn finish(&mut self, out: &mut ChangeBatch, ctx: &Context<'_>) {
        let Some(&(seq, Watermark::END)) = ctx.time.advances.last() else { return };
        if !self.spec.is_final {
            return;
        }
        if self.state.panes.is_empty() && self.spec.row_of_nothing && self.spec.is_global() {
            let index = self.state.panes.find_or_open(NO_WINDOW);
            self.state.panes.at(index).insert_global();
        }
        if !self.state.panes.is_empty() {
            let groups = &mut self.scratch.steps.groups;
            let pane = self.state.panes.at(0);
            pane.keys.in_order(groups);
            pane.emit_groups(None, seq, groups, out);
            self.state.panes.close(0);
        }
    }
}

impl Operator for Aggregate {
    fn process(&mut self, input: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()> {
        self.evaluation.take_rows(input, &mut self.scratch.rows, ctx);
        let given = Given { evaluation: &self.evaluation, input };
        let Scratch { rows, hashes, spans, slice, .. } = &mut self.scratch;
        if let Some(grid) = &self.grid {
            let times = RowTimes::new(given.times(), input);
            if !times.in_stretches(grid, (rows, &input.seqs), slice, ctx.own, spans) {
                place_rows(input, times, rows, spans, ctx, |time| Some(slice.move_to(grid, time)?.span));
                leave_late(grid, ctx.own, input, rows, spans, ctx.late);
            }
        }
        if ctx.is_called_off() {
            return Ok(());
        }
        given.hash(rows, ctx.selected, hashes);
        let ascending = ctx.selected.is_some() || ascend(&input.seqs, rows);
        debug_assert!(!ascending || ascend(&input.seqs, rows), "each row of a share is a step");
        match self.grid {
            Some(grid) => self.process_windows(&grid, input, ascending, out, ctx),
            None => {
                let all = (0, self.scratch.rows.len());
                self.apply(input, all, ascending, out, ctx);
                self.finish(out, ctx);
            }
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
        self.state.panes.iter().map(|(_, pane)| pane.len()).sum()
    }
}

/// Whether each of these rows is a step of its own.
fn ascend(seqs: &[Seq], rows: &[u32]) -> bool {
    // Without a way out of the loop it takes several rows at a time.
    let all_ascend = seqs.windows(2).fold(true, |ascend, pair| ascend & (pair[0] < pair[1]));
    all_ascend || rows.windows(2).all(|pair| seqs[pair[0] as usize] < seqs[pair[1] as usize])
}

/// The error of a call whose result has no room in its type.
fn out_of_range(call: &AggregateCall) -> RecordError {
    let name = velostream_sql::explain::aggregate_name(call.function);
    RecordError::new(format!("{name} is out of range of {}", call.data_type))
}
