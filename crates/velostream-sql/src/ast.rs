//! The syntax tree: what a text says, before any name has a meaning.
//!
//! Statements and the clauses that streaming adds are our own; expressions and type names inside them are
//! sqlparser's. Every statement and query remembers its own stretch of the text, which is kept as the
//! definition of a relation: a tree is never printed and read again.

use crate::diagnostic::Span;
use crate::plan::{EmitMode, JoinKind};
use crate::statement::ShowKind;
use sqlparser::ast as syntax;
use std::sync::Arc;

/// A name as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// Its characters, without quotes.
    pub value: Arc<str>,
    /// Whether it stood in quotes and so means exactly these characters.
    pub quoted: bool,
    /// Its place.
    pub span: Span,
}

/// One statement of a text.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What it asks for.
    pub kind: StatementKind,
    /// Its own text, without the semicolon.
    pub text: Arc<str>,
    /// Its place.
    pub span: Span,
}

/// The statements of the dialect.
#[derive(Debug, Clone)]
pub enum StatementKind {
    /// CREATE STREAM | TABLE, with columns or with a connector to infer them from.
    CreateSource(CreateSource),
    /// CREATE STREAM | TABLE | VIEW | MATERIALIZED VIEW ... AS SELECT.
    CreateAs(CreateAs),
    /// INSERT INTO.
    Insert(Insert),
    /// UPDATE.
    Update(Update),
    /// DELETE FROM.
    Delete {
        /// The table.
        target: Name,
        /// WHERE.
        predicate: Option<syntax::Expr>,
    },
    /// DROP.
    Drop {
        /// What kind of relation the statement names.
        kind: RelationWord,
        /// IF EXISTS.
        if_exists: bool,
        /// The relation.
        name: Name,
    },
    /// TERMINATE.
    Terminate(Name),
    /// SELECT.
    Query(Query),
    /// SHOW.
    Show(ShowKind),
    /// DESCRIBE.
    Describe(Name),
    /// EXPLAIN.
    Explain {
        /// ANALYZE.
        analyze: bool,
        /// The query.
        query: Query,
    },
    /// SET.
    Set {
        /// Key.
        key: Arc<str>,
        /// Value.
        value: Arc<str>,
    },
}

/// The word behind CREATE and DROP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationWord {
    /// STREAM.
    Stream,
    /// TABLE.
    Table,
    /// VIEW.
    View,
    /// MATERIALIZED VIEW.
    MaterializedView,
}

/// What stands between CREATE and the name.
#[derive(Debug, Clone)]
pub struct CreateHead {
    /// OR REPLACE.
    pub or_replace: bool,
    /// STREAM, TABLE, VIEW or MATERIALIZED VIEW.
    pub kind: RelationWord,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// The new relation's name.
    pub name: Name,
}

/// CREATE STREAM | TABLE.
#[derive(Debug, Clone)]
pub struct CreateSource {
    /// Kind and name.
    pub head: CreateHead,
    /// Columns; empty when they are to be inferred.
    pub columns: Vec<ColumnDefinition>,
    /// PRIMARY KEY (a, b) of the table.
    pub primary_key: Vec<Name>,
    /// CHECK conditions, of columns and of the table.
    pub checks: Vec<Check>,
    /// WATERMARK FOR.
    pub watermark: Option<Watermark>,
    /// WITH (...).
    pub options: Vec<WithOption>,
}

/// A declared column.
#[derive(Debug, Clone)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub data_type: syntax::DataType,
    /// The place of the type.
    pub type_span: Span,
    /// NOT NULL.
    pub not_null: bool,
    /// KEY or PRIMARY KEY.
    pub key: Option<KeyWord>,
}

/// How a column was declared to be the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyWord {
    /// PRIMARY KEY rather than KEY.
    pub primary: bool,
    /// Its place.
    pub span: Span,
}

/// CHECK (e).
#[derive(Debug, Clone)]
pub struct Check {
    /// The condition.
    pub condition: syntax::Expr,
    /// Its text, for messages.
    pub text: Arc<str>,
}

/// WATERMARK FOR column AS delayed.
#[derive(Debug, Clone)]
pub struct Watermark {
    /// The event-time column.
    pub column: Name,
    /// The column less a constant interval.
    pub delayed: syntax::Expr,
}

/// key = value in WITH.
#[derive(Debug, Clone)]
pub struct WithOption {
    /// Key, as written.
    pub key: Name,
    /// Value, as text.
    pub value: Arc<str>,
    /// The value's place.
    pub value_span: Span,
}

/// CREATE ... AS SELECT.
#[derive(Debug, Clone)]
pub struct CreateAs {
    /// Kind and name.
    pub head: CreateHead,
    /// CHECK conditions over the result.
    pub checks: Vec<Check>,
    /// WITH (...).
    pub options: Vec<WithOption>,
    /// The SELECT.
    pub query: Query,
}

/// INSERT INTO.
#[derive(Debug, Clone)]
pub struct Insert {
    /// The relation.
    pub target: Name,
    /// Its columns; empty means all, in order.
    pub columns: Vec<Name>,
    /// What is inserted.
    pub source: InsertSource,
}

/// What is inserted.
#[derive(Debug, Clone)]
pub enum InsertSource {
    /// VALUES (...), (...); each row with its place.
    Values(Vec<(Vec<syntax::Expr>, Span)>),
    /// SELECT.
    Query(Box<Query>),
}

/// UPDATE.
#[derive(Debug, Clone)]
pub struct Update {
    /// The table.
    pub target: Name,
    /// SET column = e, ...
    pub assignments: Vec<(Name, syntax::Expr)>,
    /// WHERE.
    pub predicate: Option<syntax::Expr>,
}

/// A SELECT with what stands around it.
#[derive(Debug, Clone)]
pub struct Query {
    /// WITH name AS (...).
    pub with: Vec<(Name, Query)>,
    /// The SELECT itself.
    pub select: Select,
    /// What UNION adds to it, in order.
    pub unions: Vec<Union>,
    /// LIMIT.
    pub limit: Option<syntax::Expr>,
    /// EMIT, with its place.
    pub emit: Option<(EmitMode, Span)>,
    /// Its own text.
    pub text: Arc<str>,
    /// Its place.
    pub span: Span,
}

/// UNION [ALL] SELECT ...
#[derive(Debug, Clone)]
pub struct Union {
    /// ALL.
    pub all: bool,
    /// The SELECT behind it.
    pub select: Select,
    /// The place of UNION.
    pub span: Span,
}

/// SELECT ... FROM ... and its clauses.
#[derive(Debug, Clone)]
pub struct Select {
    /// DISTINCT, with its place.
    pub distinct: Option<Span>,
    /// What is selected.
    pub items: Vec<SelectItem>,
    /// FROM.
    pub from: Option<From>,
    /// WHERE.
    pub predicate: Option<syntax::Expr>,
    /// GROUP BY.
    pub group_by: Vec<syntax::Expr>,
    /// HAVING.
    pub having: Option<syntax::Expr>,
    /// WINDOW.
    pub window: Option<WindowClause>,
    /// WINDOW name AS (...), for OVER.
    pub named_windows: Vec<(Name, syntax::WindowSpec)>,
}

/// One item of a SELECT.
#[derive(Debug, Clone)]
pub enum SelectItem {
    /// `*`
    Wildcard(Span),
    /// `t.*`
    QualifiedWildcard(Name),
    /// An expression, perhaps with an alias.
    Expression {
        /// The expression.
        expr: Box<syntax::Expr>,
        /// AS.
        alias: Option<Name>,
    },
}

/// FROM.
#[derive(Debug, Clone)]
pub struct From {
    /// The first relation.
    pub first: TableReference,
    /// Those joined to it, in order.
    pub joins: Vec<Join>,
}

/// `[kind] JOIN right [WITHIN ...] [ON e | USING (...)]`
#[derive(Debug, Clone)]
pub struct Join {
    /// Which rows without a match stay; `None` for CROSS JOIN and the comma, whose condition stands in WHERE.
    pub kind: Option<JoinKind>,
    /// The relation on the right.
    pub right: TableReference,
    /// WITHIN.
    pub within: Option<Within>,
    /// ON or USING.
    pub condition: JoinCondition,
    /// Its place, from the kind to the condition.
    pub span: Span,
}

/// What rows must fulfil to match.
#[derive(Debug, Clone)]
pub enum JoinCondition {
    /// Nothing.
    None,
    /// ON.
    On(Box<syntax::Expr>),
    /// USING (a, b): equal columns, which are one in the result.
    Using(Vec<Name>),
}

/// WITHIN d, or WITHIN (before, after), with GRACE PERIOD.
#[derive(Debug, Clone)]
pub struct Within {
    /// How much earlier than the left row the right one may be.
    pub before: Duration,
    /// How much later.
    pub after: Duration,
    /// GRACE PERIOD.
    pub grace: Option<Duration>,
    /// Its place.
    pub span: Span,
}

/// What stands in FROM.
#[derive(Debug, Clone)]
pub struct TableReference {
    /// The rows.
    pub source: TableSource,
    /// The name that qualifies its columns.
    pub alias: Option<Name>,
    /// Its place.
    pub span: Span,
}

/// Where rows come from.
#[derive(Debug, Clone)]
pub enum TableSource {
    /// A relation.
    Relation(Name),
    /// A file name in quotes.
    File(Arc<str>),
    /// A SELECT in parentheses.
    Query(Box<Query>),
    /// TABLE(TUMBLE(TABLE t, DESCRIPTOR(c), d)) and its like.
    Window {
        /// The relation that is windowed.
        input: Name,
        /// The window.
        window: Box<WindowClause>,
    },
}

/// A window as written in a WINDOW clause or a window function.
#[derive(Debug, Clone)]
pub struct WindowClause {
    /// The time column; `None` for the event time.
    pub time: Option<syntax::Expr>,
    /// The kind and its lengths.
    pub shape: WindowShape,
    /// Shift of the alignment.
    pub offset: Option<Duration>,
    /// GRACE PERIOD.
    pub grace: Option<Duration>,
    /// PARTITION BY of SESSION in FROM.
    pub partition: Vec<syntax::Expr>,
    /// Its place.
    pub span: Span,
}

/// Kinds of windows as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowShape {
    /// TUMBLING, TUMBLE.
    Tumbling {
        /// Length.
        size: Duration,
    },
    /// HOPPING, SLIDING, HOP.
    Hopping {
        /// Length.
        size: Duration,
        /// From one start to the next.
        advance: Duration,
    },
    /// SESSION.
    Session {
        /// The longest time between two records of one session.
        gap: Duration,
    },
    /// CUMULATE.
    Cumulating {
        /// The longest window.
        size: Duration,
        /// From one end to the next.
        step: Duration,
    },
}

/// A length of time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration {
    /// Microseconds.
    pub micros: i64,
    /// Its place.
    pub span: Span,
}
