//! The nodes of a running plan: one folder or file per operator.

pub mod aggregate;
pub mod check;
pub mod join;
pub mod limit;
pub mod map;
pub mod net;
pub mod over;
pub mod table;
pub mod union;

use crate::batch::{ChangeBatch, Selected, Seq};
use crate::error::{RecordError, Result};
use crate::state::State;
use crate::time::TimeRuns;

/// What a step of an operator may use besides its input.
pub struct Context<'a> {
    /// How time moves over this batch: the smallest watermark of all inputs (already delayed by what upstream
    /// operators hold back). What it passes is final.
    pub time: &'a TimeRuns,
    /// How the watermark of the rows' own input partition moves over this batch: what lateness is judged by.
    /// Never behind `time`, and the same where one source alone feeds the operator. A joint judges the rows of
    /// each input by [`Arriving::own`].
    pub own: &'a TimeRuns,
    /// Rows that failed: their sequence numbers and why, one per failing row at most, in any order. An
    /// operator leaves a failing row out of its output and state; if an operator with state stands
    /// upstream, the processor rolls the batch back and runs it again record by record.
    pub failures: &'a mut Vec<(Seq, RecordError)>,
    /// Whether the input's rows come in the step of the record that caused them, so that a failing row takes
    /// its whole step with it. Rows that time made final stand each for itself.
    pub on_record: bool,
    /// Whether the batch is one record that is to happen whole or not at all: if it fails, neither is its time.
    pub is_whole: bool,
    /// Records left out because they came too late, and by how many microseconds.
    pub late: &'a mut Vec<(Seq, i64)>,
    /// The rows of the input that count, if not all do: the others are of no concern. Only where the plan says that the
    /// operator can (`PhysicalPlan::selects`).
    pub selected: Option<Selected<'a>>,
}

impl Context<'_> {
    /// Whether nothing more may be applied: the batch's one record has failed.
    #[inline]
    #[must_use]
    pub fn is_called_off(&self) -> bool {
        self.is_whole && !self.failures.is_empty()
    }
}

/// Takes the rows that fail out of `rows`; where they come in the step of a record (`on_record`), all of the step.
fn take_out_failing(
    failing: impl Iterator<Item = u32>,
    input: &ChangeBatch,
    on_record: bool,
    rows: &mut Vec<u32>,
) {
    if on_record {
        let mut steps: Vec<Seq> = failing.map(|row| input.seqs[row as usize]).collect();
        steps.sort_unstable();
        rows.retain(|&row| steps.binary_search(&input.seqs[row as usize]).is_err());
    } else {
        let mut failing: Vec<u32> = failing.collect();
        failing.sort_unstable();
        rows.retain(|row| failing.binary_search(row).is_err());
    }
}

/// What every node of a running plan shows of itself besides its work.
pub trait Stateful: Send {
    /// Everything that survives `process`; nothing for a stateless operator.
    fn state(&self) -> Option<&dyn State> {
        None
    }
    /// The same, to be changed.
    fn state_mut(&mut self) -> Option<&mut dyn State> {
        None
    }
    /// The number behind which nothing comes any more, whatever the input; `None` while something may.
    fn finished_at(&self) -> Option<Seq> {
        None
    }
    /// Groups or rows kept, for metrics.
    fn groups(&self) -> usize {
        0
    }
}

/// A node with one input.
///
/// # Contract
/// * *Order.* Rows of `input` come in ascending sequence number; rows of one number form one step, and an
///   input batch never ends inside a step. Output keeps that order. Checked in debug builds.
/// * *Batch invariance.* `process(a ++ b)` appends what `process(a)` then `process(b)` would. Proved by the
///   golden matrix.
/// * *Net.* The changes of one step, applied to the answer before it, give the answer after it; no row is
///   inserted and deleted in one step; order within a step: deletes, then updates and inserts, each by window
///   and by the group's first record.
/// * *Time.* Called for every batch of a source below it even when it has no rows, since `ctx.time` may still
///   move. Rows of a step are applied before what the step's watermark closes; a row is late by the watermark
///   of its own input partition standing before its step.
/// * *Whole.* With `ctx.is_whole`, which comes only to the first operators with state on a record's way, a record that
///   fails here moves no time here either.
/// * *State.* All state lives in `state::` containers reached by `state`: that is what makes undo, snapshot
///   and limits work. A field that survives `process` and is neither configuration, scratch nor a
///   container breaks it.
pub trait Operator: Stateful {
    /// Applies a batch and appends its changes to `out`.
    fn process(&mut self, input: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()>;
    /// The same for an input that nobody reads any more: its columns may become those of `out`, which has the same
    /// number of rows then. The caller clears what is left.
    fn take(&mut self, input: &mut ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()> {
        self.process(input, out, ctx)
    }
}

/// One input of a [`Joint`].
#[derive(Debug, Clone, Copy)]
pub struct Arriving<'a> {
    /// Its rows.
    pub rows: &'a ChangeBatch,
    /// How the watermark of its own input partition moves.
    pub own: &'a TimeRuns,
}

/// A node with two inputs, under the contract of [`Operator`], with this in place of *Net*:
///
/// * *Steps.* Changes of one sequence number are one step, whichever inputs they come from. The output may hold
///   rows of a step that cancel each other: the node's driver leaves its net difference ([`net::Net`]).
pub trait Joint: Stateful {
    /// Applies a batch of each input, which may have no rows, and appends the changes to `out`.
    fn process(
        &mut self,
        left: Arriving<'_>,
        right: Arriving<'_>,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) -> Result<()>;
}
