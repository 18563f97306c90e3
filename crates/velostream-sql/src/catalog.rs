//! What the binder asks of its surroundings: which relations and which functions there are.

use crate::statement::SourceOptions;
use crate::types::{DataType, Field, Schema};
use std::sync::Arc;

/// Identifies a relation of a catalogue for as long as the relation exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationId(pub u32);

/// What kind of relation a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelationKind {
    /// An append-only relation.
    Stream,
    /// A relation whose rows are kept.
    Table,
    /// A text that is expanded where it is used.
    View,
}

/// A relation as the binder sees it.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Its number.
    pub id: RelationId,
    /// Its name as declared.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: RelationKind,
    /// Columns, key, updating, window bounds.
    pub schema: Arc<Schema>,
    /// For a view, and for a derived relation that is to be expanded: its SELECT.
    pub definition: Option<Arc<str>>,
    /// For a derived relation: the texts of its CHECK conditions, which its expansion keeps.
    pub checks: Vec<Arc<str>>,
    /// Whether records are inserted into it directly; a derived relation says false.
    pub is_source: bool,
    /// Position of the event-time column, where one was declared.
    pub event_time: Option<usize>,
    /// Whether its rows come in the order of their event times, but for late ones: its watermark has no bound.
    pub in_order: bool,
}

/// The relations that exist. A text that creates some and then reads them is bound against an overlay.
pub trait Catalog {
    /// The relation called `name`, without regard to case.
    fn relation(&self, name: &str) -> Option<Arc<Relation>>;
    /// All names, for suggestions.
    fn relation_names(&self) -> Vec<Arc<str>>;
    /// The relation that stands for a quoted file name or `stdin` in FROM; columns are inferred.
    fn file(&self, path: &str) -> Result<Arc<Relation>, String>;
    /// The columns of a source declared without any, inferred from its first records.
    fn infer(&self, options: &SourceOptions) -> Result<Vec<Field>, String>;
    /// The id that the next new relation gets; an overlay counts on from here.
    fn next_relation_id(&self) -> RelationId;
}

/// A scalar function of the registry, by its position there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FunctionId(pub u32);

/// A scalar function chosen for given argument types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalarSignature {
    /// Which function.
    pub id: FunctionId,
    /// Its main name, upper case.
    pub name: &'static str,
    /// The types its kernel takes, one per argument given; the binder casts to them.
    pub arguments: Vec<DataType>,
    /// What it gives.
    pub returns: DataType,
    /// Whether the result can be NULL although no argument is.
    pub nullable: bool,
    /// Whether a NULL argument always gives NULL.
    pub strict: bool,
    /// Whether it can fail for a record.
    pub fallible: bool,
    /// Whether it depends on more than its arguments (NOW, RANDOM, UUID).
    pub volatile: bool,
}

/// The aggregates of this build. Adding one touches the engine's `functions/aggregate` and this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// COUNT(*): rows.
    CountRows,
    /// COUNT(e): rows whose `e` is not NULL.
    Count,
    /// SUM.
    Sum,
    /// AVG.
    Avg,
    /// MIN.
    Min,
    /// MAX.
    Max,
    /// The sequence number of the group's first record, by which plans that are shared order groups; no SQL names it.
    FirstNumber,
}

/// Why a function does not fit its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FunctionError {
    /// No function has this name.
    Unknown,
    /// The function exists; the message says what it takes, e.g. `LPAD takes (STRING, INT [, STRING])`.
    Mismatch(String),
}

/// The scalar functions that exist.
///
/// Operators and forms of SQL are calls of functions by these names: `^` is POWER(x, y), `@` ABS, `|/` SQRT,
/// `||/` CBRT, `~` REGEXP_LIKE(text, pattern), `^@` STARTS_WITH(text, prefix), EXTRACT(x FROM t)
/// DATE_PART('x', t), POSITION(a IN b) INSTR(b, a), SUBSTRING(a FROM n FOR m) SUBSTRING(a, n, m),
/// TRIM(BOTH x FROM a) TRIM(a, x), with LEADING and TRAILING LTRIM and RTRIM, OVERLAY(a PLACING b FROM n FOR m)
/// OVERLAY(a, b, n, m); CEIL, FLOOR, CURRENT_TIMESTAMP and CURRENT_DATE are called by their names. COALESCE,
/// IFNULL, NVL, NULLIF and IF are no functions of the registry.
pub trait FunctionCatalog {
    /// Chooses the overload of `name` (any case, aliases included) for these argument types.
    /// `DataType::Null` marks a bare NULL and fits everything.
    fn scalar(&self, name: &str, arguments: &[DataType]) -> Result<ScalarSignature, FunctionError>;
    /// All names and aliases, for suggestions and SHOW FUNCTIONS.
    fn scalar_names(&self) -> Vec<&'static str>;
}
