//! Expressions with their types.

use crate::catalog::FunctionId;
use crate::diagnostic::Span;
use crate::types::DataType;
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

macro_rules! literal_from {
    ($($from:ty => $variant:ident),*) => {
        $(impl From<$from> for Literal {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}
literal_from!(bool => Boolean, i32 => Int, i64 => BigInt, f64 => Double, &str => String, String => String);

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
