//! What each OVER call needs: where it reads, which state it has, and its results for rows that come in order.

use super::Segment;
use super::frames::SlidFrame;
use crate::batch::ChangeBatch;
use crate::column::Column;
use crate::error::{EngineError, Result};
use crate::functions::aggregate::{
    Aggregate, CallColumns, Slides, create, create_sliding, is_below, is_fallible,
};
use crate::state::{RowQueues, RowStore};
use velostream_sql::catalog::AggregateFunction;
use velostream_sql::plan::{Expr, ExprKind, Frame, OverCall, OverFunction};
use velostream_sql::types::DataType;

/// A result that follows from the row before and the row itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    Min,
    Max,
    First,
}

impl Fold {
    /// Whether row `row` of the argument takes the place of the result so far.
    pub(super) fn takes(
        self,
        previous: Option<(&Column, usize)>,
        columns: &CallColumns<'_>,
        row: usize,
    ) -> bool {
        let argument = columns.values.expect("a fold has an argument");
        match (self, previous) {
            (Self::First, previous) => previous.is_none(),
            _ if !columns.counts(row) => false,
            (_, None) => true,
            (_, Some((result, at))) if result.is_null(at) => true,
            (Self::Min, Some((result, at))) => is_below(argument, row, result, at),
            (Self::Max, Some((result, at))) => is_below(result, at, argument, row),
        }
    }
}

/// How a call is computed. Numbers are positions in the state's vectors.
#[derive(Debug, Clone, Copy)]
pub(super) enum Computation {
    /// An aggregate of a frame that slides.
    Slide { aggregate: usize, frame: usize },
    /// An aggregate of all rows so far.
    Run { aggregate: usize },
    /// The best or first value of all rows so far.
    Fold { fold: usize, kind: Fold },
    /// The value at the first row of a frame that slides.
    First { frame: usize },
    /// The value some rows before.
    Lag { offset: usize, default: Option<usize> },
}

/// A call with the places that it reads.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) computation: Computation,
    /// Positions in the input.
    argument: Option<usize>,
    filter: Option<usize>,
    /// Positions in what is kept of each row; missing where nothing is.
    kept_argument: Option<usize>,
    kept_filter: Option<usize>,
    pub(super) fallible: bool,
    pub(super) spec: OverCall,
}

impl Call {
    /// What the call is given of the input's rows.
    pub(super) fn given<'a>(&self, input: &'a ChangeBatch) -> CallColumns<'a> {
        let column = |at: Option<usize>| at.map(|at| &input.columns[at]);
        CallColumns { values: column(self.argument), filter: column(self.filter) }
    }

    /// What the call is given of kept rows, by slot.
    pub(super) fn kept<'a>(&self, rows: &'a RowQueues) -> CallColumns<'a> {
        let column = |at: Option<usize>| at.map(|at| &rows.columns()[at]);
        CallColumns { values: column(self.kept_argument), filter: column(self.kept_filter) }
    }
}

/// The calls of one PARTITION BY, what is kept of each row for them, and their empty state.
pub(super) struct Calls {
    pub(super) calls: Vec<Call>,
    /// The frames that slide, each once.
    pub(super) frames: Vec<Frame>,
    /// Positions of the input's columns that are kept of each row.
    pub(super) kept: Vec<usize>,
    pub(super) aggregates: Vec<Box<dyn Aggregate>>,
    pub(super) folds: Vec<RowStore>,
}

/// The position of a plain column.
pub(super) fn position(expr: &Expr) -> Result<usize> {
    match expr.kind {
        ExprKind::Column(position) => Ok(position),
        _ => Err(EngineError::Unsupported("an OVER call reads plain columns".into())),
    }
}

impl Calls {
    /// `revises` says whether rows can come before others.
    pub(super) fn new(calls: &[OverCall], revises: bool) -> Result<Self> {
        let (frames, kept) = (Vec::new(), Vec::new());
        let mut made = Self { calls: Vec::new(), frames, kept, aggregates: Vec::new(), folds: Vec::new() };
        for call in calls {
            made.add(call, revises)?;
        }
        Ok(made)
    }

    fn frame(&mut self, frame: Frame) -> usize {
        self.frames.iter().position(|&known| known == frame).unwrap_or_else(|| {
            self.frames.push(frame);
            self.frames.len() - 1
        })
    }

    /// Where a column of the input stands among what is kept.
    fn keep(&mut self, column: Option<usize>) -> Option<usize> {
        let column = column?;
        Some(self.kept.iter().position(|&known| known == column).unwrap_or_else(|| {
            self.kept.push(column);
            self.kept.len() - 1
        }))
    }

    fn fold(&mut self, kind: Fold, data_type: DataType) -> Computation {
        self.folds.push(RowStore::new(&[data_type]));
        Computation::Fold { fold: self.folds.len() - 1, kind }
    }

    fn add(&mut self, call: &OverCall, revises: bool) -> Result<()> {
        let is_unbounded = call.frame == Frame::Unbounded;
        let aggregate = self.aggregates.len();
        let (computation, argument, filter, fallible) = match &call.function {
            OverFunction::Aggregate(of) => {
                let best = match of.function {
                    AggregateFunction::Min => Some(Fold::Min),
                    AggregateFunction::Max => Some(Fold::Max),
                    _ => None,
                };
                let computation = match (is_unbounded, best) {
                    (false, _) => {
                        self.aggregates.push(create_sliding(of)?);
                        Computation::Slide { aggregate, frame: self.frame(call.frame) }
                    }
                    (true, Some(kind)) => self.fold(kind, call.data_type),
                    (true, None) => {
                        self.aggregates.push(create(of, revises)?);
                        Computation::Run { aggregate }
                    }
                };
                (computation, of.argument.as_ref(), of.filter.as_ref(), is_fallible(of))
            }
            OverFunction::First(argument) if is_unbounded => {
                (self.fold(Fold::First, call.data_type), Some(argument), None, false)
            }
            OverFunction::First(argument) => {
                (Computation::First { frame: self.frame(call.frame) }, Some(argument), None, false)
            }
            OverFunction::Lag { argument, offset, default } => {
                let default = default.as_ref().map(position).transpose()?;
                if revises {
                    self.keep(default);
                }
                (Computation::Lag { offset: *offset as usize, default }, Some(argument), None, false)
            }
        };
        let argument = argument.map(position).transpose()?;
        let filter = filter.map(position).transpose()?;
        let runs = matches!(computation, Computation::Run { .. } | Computation::Fold { .. });
        let keeps = revises || !runs;
        let kept_argument = if keeps { self.keep(argument) } else { None };
        let kept_filter = if keeps { self.keep(filter) } else { None };
        let spec = call.clone();
        self.calls.push(Call { computation, argument, filter, kept_argument, kept_filter, fallible, spec });
        Ok(())
    }
}

/// What the calls' results are computed from for rows that come in order.
pub(super) struct Run<'a> {
    pub(super) input: &'a ChangeBatch,
    pub(super) rows: &'a RowQueues,
    pub(super) segment: Segment<'a>,
    pub(super) frames: &'a [SlidFrame],
}

impl Run<'_> {
    /// Appends the results of a call for each row; false where a sum is lost for good.
    pub(super) fn compute(
        &self,
        call: &Call,
        aggregates: &mut [Box<dyn Aggregate>],
        folds: &mut [RowStore],
        out: &mut Column,
    ) -> bool {
        let given = call.given(self.input);
        let Segment { rows, groups, .. } = self.segment;
        match call.computation {
            Computation::Slide { aggregate, frame } => {
                let SlidFrame { gone, ends, .. } = &self.frames[frame];
                let kept = call.kept(self.rows);
                return aggregates[aggregate].slide(&Slides { given, rows, groups, kept, gone, ends }, out);
            }
            Computation::Run { aggregate } => {
                let steps = Slides { given, rows, groups, kept: given, gone: &[], ends: &[] };
                return aggregates[aggregate].slide(&steps, out);
            }
            Computation::Fold { fold, kind } => self.fold(kind, &given, &mut folds[fold], out),
            Computation::First { frame } => {
                let argument = call.kept(self.rows).values.expect("FIRST_VALUE has an argument");
                out.extend_selected(argument, &self.frames[frame].firsts);
            }
            Computation::Lag { offset, default } => self.lag(call, offset, default, out),
        }
        true
    }

    fn fold(&self, kind: Fold, given: &CallColumns<'_>, results: &mut RowStore, out: &mut Column) {
        let argument = given.values.expect("a fold has an argument");
        let Segment { rows, groups, fresh, .. } = self.segment;
        for (step, (&row, &group)) in rows.iter().zip(groups).enumerate() {
            let previous = (fresh[step] == 0).then(|| (&results.columns()[0], group as usize));
            if kind.takes(previous, given, row as usize) {
                results.set(group, |_| argument, row as usize);
            }
            out.push_from(&results.columns()[0], group as usize);
        }
    }

    fn lag(&self, call: &Call, offset: usize, default: Option<usize>, out: &mut Column) {
        let argument = call.kept(self.rows).values.expect("LAG has an argument");
        let Segment { rows, groups, places, .. } = self.segment;
        for (step, (&row, &group)) in rows.iter().zip(groups).enumerate() {
            let before = (places[step] as usize).checked_sub(offset);
            match (before.map(|at| self.rows.order(group)[at].1), default) {
                (Some(slot), _) => out.push_from(argument, slot as usize),
                (None, Some(default)) => out.push_from(&self.input.columns[default], row as usize),
                (None, None) => out.push_null(),
            }
        }
    }
}
