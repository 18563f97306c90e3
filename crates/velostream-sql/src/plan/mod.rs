//! The typed logical plan: relational nodes over typed expressions. Positions, not names, refer to columns.

mod expression;

pub use expression::{BinaryOp, Expr, ExprKind, Interval, Literal};

use crate::catalog::{AggregateFunction, Relation};
use crate::types::{DataType, Schema};
use std::sync::Arc;

/// When a query's rows come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EmitMode {
    /// The net change of each record.
    Changes,
    /// Each row once, when it can no longer change.
    Final,
}

/// One aggregate call.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateCall {
    /// Which aggregate.
    pub function: AggregateFunction,
    /// Its argument over the aggregate's input; `None` for COUNT(*).
    pub argument: Option<Expr>,
    /// DISTINCT.
    pub distinct: bool,
    /// FILTER (WHERE e).
    pub filter: Option<Expr>,
    /// The type of its result.
    pub data_type: DataType,
    /// Whether its result can be NULL.
    pub nullable: bool,
}

/// One OVER call: what it computes for each row from rows of its partition, ordered by event time and sequence.
///
/// Arguments, filters and defaults are plain columns of the node's input: the binder computes them below.
#[derive(Debug, Clone, PartialEq)]
pub struct OverCall {
    /// What it computes.
    pub function: OverFunction,
    /// Of which rows.
    pub frame: Frame,
    /// The type of its result.
    pub data_type: DataType,
    /// Whether its result can be NULL.
    pub nullable: bool,
}

impl OverCall {
    /// A call that costs nothing, fails for nothing and revises nothing. OVER holds it where nothing reads its
    /// calls: which rows come too late for it is the same whatever is read.
    #[must_use]
    pub(crate) fn count_of_one() -> Self {
        let (data_type, nullable) = (DataType::BigInt, false);
        let function = AggregateFunction::CountRows;
        let count =
            AggregateCall { function, argument: None, distinct: false, filter: None, data_type, nullable };
        let function = OverFunction::Aggregate(count);
        Self { function, frame: Frame::Rows { preceding: 0 }, data_type, nullable }
    }
}

/// The OVER calls of one PARTITION BY.
#[derive(Debug, Clone, PartialEq)]
pub struct OverPartition {
    /// Plain columns of the input that make the partitions; none means one partition.
    pub keys: Vec<Expr>,
    /// The calls.
    pub calls: Vec<OverCall>,
}

impl OverPartition {
    /// The columns that keys and calls read.
    pub fn columns(&self) -> impl Iterator<Item = &Expr> {
        self.keys.iter().chain(self.calls.iter().flat_map(|call| call.function.columns()))
    }

    /// The same with another expression for each that it reads.
    #[must_use]
    pub fn map(self, mut f: impl FnMut(Expr) -> Expr) -> Self {
        let keys = self.keys.into_iter().map(&mut f).collect();
        let mut map = |call: OverCall| OverCall { function: call.function.map(&mut f), ..call };
        Self { keys, calls: self.calls.into_iter().map(&mut map).collect() }
    }
}

/// What an OVER call computes. ROW_NUMBER is COUNT(*) over all rows up to the own; LAST_VALUE is its argument.
#[derive(Debug, Clone, PartialEq)]
pub enum OverFunction {
    /// An aggregate of the frame's rows.
    Aggregate(AggregateCall),
    /// FIRST_VALUE: the argument at the frame's first row.
    First(Expr),
    /// LAG: the argument some rows before, whatever the frame.
    Lag {
        /// The argument.
        argument: Expr,
        /// How many rows before, at least 1.
        offset: u32,
        /// The value where there are not so many rows, of the row itself; NULL when missing.
        default: Option<Expr>,
    },
}

impl OverFunction {
    /// The columns that the call reads.
    pub fn columns(&self) -> impl Iterator<Item = &Expr> {
        let columns = match self {
            Self::Aggregate(call) => [call.argument.as_ref(), call.filter.as_ref()],
            Self::First(argument) => [Some(argument), None],
            Self::Lag { argument, default, .. } => [Some(argument), default.as_ref()],
        };
        columns.into_iter().flatten()
    }

    /// The call with another expression for each that it reads.
    #[must_use]
    pub fn map(self, mut f: impl FnMut(Expr) -> Expr) -> Self {
        match self {
            Self::Aggregate(call) => Self::Aggregate(AggregateCall {
                argument: call.argument.map(&mut f),
                filter: call.filter.map(&mut f),
                ..call
            }),
            Self::First(argument) => Self::First(f(argument)),
            Self::Lag { argument, offset, default } => {
                Self::Lag { argument: f(argument), offset, default: default.map(f) }
            }
        }
    }
}

/// The rows of a partition that an OVER call takes: all end at the row itself, in the order of event time and
/// sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// From the partition's first row on.
    Unbounded,
    /// So many rows before it.
    Rows {
        /// How many.
        preceding: u32,
    },
    /// Rows that are at most so much older.
    Range {
        /// Microseconds, not negative.
        micros: i64,
    },
}

/// How an aggregate's rows are cut by time. Durations in microseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The kind and its lengths.
    pub kind: WindowKind,
    /// The time of a row: a TIMESTAMP expression over the input, or `None` for its event time.
    pub time: Option<Expr>,
    /// How long after its end a window still takes records; `None` for the engine's default.
    pub grace_micros: Option<i64>,
}

impl Window {
    /// Whether the windows are sessions, whose bounds change.
    #[must_use]
    pub fn is_session(&self) -> bool {
        matches!(self.kind, WindowKind::Session { .. })
    }
}

/// Kinds of windows. All are aligned to the epoch but for sessions, which each key has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    /// `[n * size + offset, (n + 1) * size + offset)`.
    Tumbling {
        /// Length in microseconds, positive.
        size_micros: i64,
        /// Shift of the alignment in microseconds.
        offset_micros: i64,
    },
    /// `[n * advance + offset, n * advance + offset + size)`: a row is in every one that holds its time.
    Hopping {
        /// Length in microseconds.
        size_micros: i64,
        /// From one start to the next in microseconds, positive and at most the size.
        advance_micros: i64,
        /// Shift of the alignment in microseconds.
        offset_micros: i64,
    },
    /// Rows of one key none of which is further than the gap from the next: `[first, last + gap)`.
    Session {
        /// The longest time between two neighbours in microseconds, positive.
        gap_micros: i64,
    },
    /// `[n * size + offset, n * size + offset + k * step)` for k from 1 to size / step.
    Cumulating {
        /// Length of the longest in microseconds, a multiple of the step.
        size_micros: i64,
        /// From one end to the next in microseconds, positive.
        step_micros: i64,
        /// Shift of the alignment in microseconds.
        offset_micros: i64,
    },
}

/// Which rows of a join stay without a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the left side.
    Left,
    /// Those of the right side.
    Right,
    /// Those of both.
    Full,
}

impl JoinKind {
    /// Whether rows of the left side stay without a match.
    #[must_use]
    pub fn keeps_left(self) -> bool {
        matches!(self, Self::Left | Self::Full)
    }

    /// Whether rows of the right side stay without a match.
    #[must_use]
    pub fn keeps_right(self) -> bool {
        matches!(self, Self::Right | Self::Full)
    }

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inner => "JOIN",
            Self::Left => "LEFT JOIN",
            Self::Right => "RIGHT JOIN",
            Self::Full => "FULL JOIN",
        }
    }
}

/// One of a join's inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The left one.
    Left,
    /// The right one.
    Right,
}

/// How a join's sides meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinMethod {
    /// Rows of two streams whose event times are close: `left - before <= right <= left + after`, microseconds.
    Interval {
        /// How much earlier the right row may be; negative where it must be later.
        before_micros: i64,
        /// How much later; negative where it must be earlier.
        after_micros: i64,
        /// How long after that a row is still taken; `None` for the engine's default.
        grace_micros: Option<i64>,
    },
    /// Each row of the stream meets the table as it stands on its arrival, and is never revised.
    Lookup {
        /// Which side is the stream.
        stream: Side,
    },
    /// Both sides' rows are kept, and changes of either revise the result.
    Kept,
}

/// A relational node. `schema` is that of its output.
#[derive(Debug, Clone, PartialEq)]
pub enum LogicalPlan {
    /// A relation's changes, all of its columns.
    Source {
        /// The relation.
        relation: Arc<RelationRef>,
        /// Its schema.
        schema: Arc<Schema>,
    },
    /// Constant rows: one step.
    Values {
        /// The rows, constant expressions.
        rows: Vec<Vec<Expr>>,
        /// Their schema.
        schema: Arc<Schema>,
    },
    /// Keeps rows whose predicate is TRUE.
    Filter {
        /// Input.
        input: Box<LogicalPlan>,
        /// BOOLEAN over the input.
        predicate: Expr,
        /// Output schema: the input's.
        schema: Arc<Schema>,
    },
    /// Computes each output column.
    Project {
        /// Input.
        input: Box<LogicalPlan>,
        /// One expression per output column, over the input.
        items: Vec<Expr>,
        /// Output schema.
        schema: Arc<Schema>,
    },
    /// Groups. Output columns: keys, then `window_start` and `window_end` when windowed, then calls.
    Aggregate {
        /// Input.
        input: Box<LogicalPlan>,
        /// Group keys over the input; none means one group.
        keys: Vec<Expr>,
        /// The window.
        window: Option<Window>,
        /// The aggregate calls; may be empty (DISTINCT).
        calls: Vec<AggregateCall>,
        /// Output schema.
        schema: Arc<Schema>,
    },
    /// Pairs of rows that match.
    Join {
        /// Left input.
        left: Box<LogicalPlan>,
        /// Right input.
        right: Box<LogicalPlan>,
        /// Which rows stay without a match.
        kind: JoinKind,
        /// How the sides meet.
        method: JoinMethod,
        /// Expressions over the left and over the right input that must be equal; NULL equals nothing.
        keys: Vec<(Expr, Expr)>,
        /// What must be TRUE besides, over the left input's columns and behind them the right one's.
        residual: Option<Expr>,
        /// Which of the left input's columns, and behind them the right one's, are the output's.
        columns: Vec<usize>,
        /// Output schema.
        schema: Arc<Schema>,
    },
    /// The rows of both inputs, which have the same types.
    Union {
        /// First input.
        left: Box<LogicalPlan>,
        /// Second input.
        right: Box<LogicalPlan>,
        /// Output schema: the first one's names.
        schema: Arc<Schema>,
    },
    /// Computes OVER calls for each row of an append-only input. Output columns: some of the input's, then calls.
    /// Updating unless the input comes in the order of its event times.
    Over {
        /// Input.
        input: Box<LogicalPlan>,
        /// Positions of the input's columns that are shown.
        columns: Vec<usize>,
        /// The calls, by their PARTITION BY.
        partitions: Vec<OverPartition>,
        /// Output schema.
        schema: Arc<Schema>,
    },
    /// CHECKs on the rows of a derived relation. A record whose step leaves a row for which a condition is
    /// FALSE is rejected as a CONSTRAINT error; NULL passes.
    Check {
        /// Input.
        input: Box<LogicalPlan>,
        /// Conditions over the input, each with its text.
        checks: Vec<(Expr, Arc<str>)>,
        /// Output schema: the input's.
        schema: Arc<Schema>,
    },
    /// The first `count` rows of an append-only input.
    Limit {
        /// Input.
        input: Box<LogicalPlan>,
        /// How many.
        count: u64,
        /// Output schema: the input's.
        schema: Arc<Schema>,
    },
    /// Rows of `input` once they can no longer change; the root of every EMIT FINAL query, and of a
    /// derived relation that is FINAL where it is expanded.
    Final {
        /// Input.
        input: Box<LogicalPlan>,
        /// Output schema: the input's, append-only.
        schema: Arc<Schema>,
    },
}

/// A relation as a plan refers to it.
#[derive(Debug, Clone)]
pub struct RelationRef(pub Arc<Relation>);

impl PartialEq for RelationRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl LogicalPlan {
    /// The schema of the node's output.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        match self {
            Self::Source { schema, .. }
            | Self::Values { schema, .. }
            | Self::Filter { schema, .. }
            | Self::Project { schema, .. }
            | Self::Aggregate { schema, .. }
            | Self::Join { schema, .. }
            | Self::Union { schema, .. }
            | Self::Over { schema, .. }
            | Self::Check { schema, .. }
            | Self::Limit { schema, .. }
            | Self::Final { schema, .. } => schema,
        }
    }

    /// The node's inputs, left to right.
    #[must_use]
    pub fn inputs(&self) -> Vec<&Self> {
        match self {
            Self::Source { .. } | Self::Values { .. } => Vec::new(),
            Self::Filter { input, .. }
            | Self::Project { input, .. }
            | Self::Aggregate { input, .. }
            | Self::Over { input, .. }
            | Self::Check { input, .. }
            | Self::Limit { input, .. }
            | Self::Final { input, .. } => vec![input],
            Self::Join { left, right, .. } | Self::Union { left, right, .. } => vec![left, right],
        }
    }

    /// The node over other inputs of the same schemas.
    #[must_use]
    pub fn map_inputs(mut self, f: &mut impl FnMut(Self) -> Self) -> Self {
        let mut map = |input: &mut Box<Self>| {
            let nothing = Self::Values { rows: Vec::new(), schema: Arc::default() };
            **input = f(std::mem::replace(&mut **input, nothing));
        };
        match &mut self {
            Self::Source { .. } | Self::Values { .. } => {}
            Self::Filter { input, .. }
            | Self::Project { input, .. }
            | Self::Aggregate { input, .. }
            | Self::Over { input, .. }
            | Self::Check { input, .. }
            | Self::Limit { input, .. }
            | Self::Final { input, .. } => map(input),
            Self::Join { left, right, .. } | Self::Union { left, right, .. } => {
                map(left);
                map(right);
            }
        }
        self
    }

    /// Calls `f` with the node and all below it, from the top down, left to right.
    pub fn for_each<'p>(&'p self, f: &mut impl FnMut(&'p Self)) {
        f(self);
        for input in self.inputs() {
            input.for_each(f);
        }
    }
}
