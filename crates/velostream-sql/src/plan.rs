//! The typed logical plan: relational nodes over typed expressions. Positions, not names, refer to columns.

use crate::catalog::{AggregateFunction, FunctionId, Relation};
use crate::diagnostic::Span;
use crate::types::{DataType, Schema};
use std::sync::Arc;

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// NULL of any type.
    Null,
    /// BOOLEAN.
    Boolean(bool),
    /// INT.
    Int(i32),
    /// BIGINT.
    BigInt(i64),
    /// DOUBLE.
    Double(f64),
    /// DECIMAL: the digits without point; precision and scale stand in the expression's type.
    Decimal(i128),
    /// STRING.
    String(Arc<str>),
    /// BYTES.
    Bytes(Arc<[u8]>),
    /// DATE, days since the epoch.
    Date(i32),
    /// TIME, microseconds since midnight.
    Time(i64),
    /// TIMESTAMP, microseconds since the epoch.
    Timestamp(i64),
    /// INTERVAL.
    Interval(Interval),
}

/// A length of time in calendar and clock units, kept apart as PostgreSQL does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Interval {
    /// Calendar months.
    pub months: i32,
    /// Calendar days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// An expression with its type.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// The type of its value.
    pub data_type: DataType,
    /// Whether its value can be NULL.
    pub nullable: bool,
    /// Its place in the text.
    pub span: Span,
}

/// What an expression computes. Operands already have the types that the operator takes: the binder
/// inserts the casts.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// The input's column at this position.
    Column(usize),
    /// ROWTIME: the event time of the row, a TIMESTAMP.
    RowTime,
    /// A constant.
    Literal(Literal),
    /// `-e` of a number; overflow is a record error.
    Negate(Box<Expr>),
    /// `NOT e`.
    Not(Box<Expr>),
    /// Two operands. Comparisons and arithmetic have one common type on both sides, save for DECIMAL
    /// arithmetic (each side has its own scale) and date arithmetic (see [`BinaryOp`]).
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `e IS [NOT] NULL`.
    IsNull {
        /// The operand.
        expr: Box<Expr>,
        /// IS NOT NULL.
        negated: bool,
    },
    /// `e IS [NOT] TRUE | FALSE`; `UNKNOWN` is bound as `IS NULL`.
    IsTruth {
        /// The operand, BOOLEAN.
        expr: Box<Expr>,
        /// TRUE or FALSE.
        value: bool,
        /// IS NOT.
        negated: bool,
    },
    /// Searched CASE; also what simple CASE, IF and NULLIF become. Branches after the first that holds
    /// are not evaluated, so they cannot fail.
    Case {
        /// Condition and value of each WHEN.
        branches: Vec<(Expr, Expr)>,
        /// ELSE; NULL when missing.
        otherwise: Option<Box<Expr>>,
    },
    /// COALESCE: the first that is not NULL; later ones are not evaluated for that row.
    Coalesce(Vec<Expr>),
    /// A cast to the expression's own type. `try_cast` gives NULL where the cast fails.
    Cast {
        /// The operand.
        expr: Box<Expr>,
        /// TRY_CAST.
        try_cast: bool,
    },
    /// `e [NOT] IN (list)`, with three-valued logic; all of one type.
    InList {
        /// The operand.
        expr: Box<Expr>,
        /// The candidates.
        list: Vec<Expr>,
        /// NOT IN.
        negated: bool,
    },
    /// `e [NOT] LIKE pattern`, ILIKE where `case_insensitive`.
    Like {
        /// The text.
        expr: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// The escape character; backslash unless given; `None` for ESCAPE ''.
        escape: Option<char>,
        /// ILIKE.
        case_insensitive: bool,
        /// NOT LIKE.
        negated: bool,
    },
    /// A function of the registry.
    Call {
        /// Which.
        function: FunctionId,
        /// Its name, for EXPLAIN.
        name: &'static str,
        /// Arguments, of the types its signature takes.
        arguments: Vec<Expr>,
    },
}

/// Binary operators. AND and OR do not evaluate their right side for rows that the left side decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// Numbers; TIMESTAMP + INTERVAL, DATE + INTERVAL (gives TIMESTAMP), DATE + INT days, INTERVAL + INTERVAL.
    Add,
    /// Numbers; TIMESTAMP - INTERVAL; TIMESTAMP - TIMESTAMP gives INTERVAL only in constant or comparison use.
    Subtract,
    /// Numbers; INTERVAL * INT.
    Multiply,
    /// Numbers; integer division truncates.
    Divide,
    /// Numbers; sign of the dividend.
    Modulo,
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// IS DISTINCT FROM
    Distinct,
    /// IS NOT DISTINCT FROM
    NotDistinct,
    /// AND
    And,
    /// OR
    Or,
    /// `||` of texts
    Concat,
    /// `&` of integers
    BitAnd,
    /// `|` of integers
    BitOr,
    /// `#` of integers
    BitXor,
    /// `<<` of integers
    ShiftLeft,
    /// `>>` of integers
    ShiftRight,
}

impl BinaryOp {
    /// The operator as it is written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Distinct => "IS DISTINCT FROM",
            Self::NotDistinct => "IS NOT DISTINCT FROM",
            Self::And => "AND",
            Self::Or => "OR",
            Self::Concat => "||",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "#",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
        }
    }
}

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
