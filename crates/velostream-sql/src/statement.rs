//! Bound statements: what a script asks for, with every name resolved and every expression typed.

use crate::catalog::{Relation, RelationId};
use crate::plan::{EmitMode, Expr, LogicalPlan};
use crate::types::Schema;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A statement, ready to run.
#[derive(Debug, Clone)]
pub enum Statement {
    /// CREATE STREAM | TABLE with columns.
    CreateSource(CreateSource),
    /// CREATE STREAM | TABLE | MATERIALIZED VIEW ... AS SELECT.
    CreateDerived(CreateDerived),
    /// CREATE VIEW ... AS SELECT: a text that is expanded where used.
    CreateView(CreateView),
    /// INSERT INTO ... VALUES.
    InsertValues {
        /// The relation.
        target: Arc<Relation>,
        /// One constant expression per column of the target, cast to its type; missing ones are NULL.
        rows: Vec<Vec<Expr>>,
    },
    /// INSERT INTO ... SELECT: a continuous query that feeds `target`.
    InsertSelect {
        /// The relation.
        target: Arc<Relation>,
        /// A query whose columns are the target's, in order and type.
        query: BoundQuery,
    },
    /// UPDATE.
    Update {
        /// A source table.
        target: Arc<Relation>,
        /// One expression per column over the old row: the assigned or the column itself.
        items: Vec<Expr>,
        /// WHERE.
        predicate: Option<Expr>,
    },
    /// DELETE.
    Delete {
        /// A source table.
        target: Arc<Relation>,
        /// WHERE.
        predicate: Option<Expr>,
    },
    /// DROP of a relation that exists; IF EXISTS of one that does not is bound to nothing.
    Drop {
        /// The relation.
        target: Arc<Relation>,
    },
    /// TERMINATE: ends a query by its id or name.
    Terminate {
        /// As written.
        query: Arc<str>,
    },
    /// SELECT.
    Query(BoundQuery),
    /// SHOW.
    Show(ShowKind),
    /// DESCRIBE.
    Describe(Arc<Relation>),
    /// EXPLAIN [ANALYZE].
    Explain {
        /// The query.
        query: BoundQuery,
        /// ANALYZE.
        analyze: bool,
    },
    /// SET 'key' = 'value'.
    Set {
        /// Key.
        key: Arc<str>,
        /// Value.
        value: Arc<str>,
    },
    /// A statement that has nothing to do (IF NOT EXISTS of an existing, IF EXISTS of a missing relation).
    Nothing,
}

/// What SHOW lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowKind {
    /// SHOW STREAMS.
    Streams,
    /// SHOW TABLES.
    Tables,
    /// SHOW VIEWS.
    Views,
    /// SHOW QUERIES.
    Queries,
    /// SHOW FUNCTIONS.
    Functions,
}

/// A SELECT with its emit mode. The plan's root is [`LogicalPlan::Final`] exactly if `emit` is FINAL.
#[derive(Debug, Clone)]
pub struct BoundQuery {
    /// Its text.
    pub text: Arc<str>,
    /// The optimised plan.
    pub plan: LogicalPlan,
    /// The mode, default applied.
    pub emit: EmitMode,
    /// Every relation that the text names, and those that expanded views and relations name in turn.
    pub reads: Vec<RelationId>,
}

/// CREATE STREAM | TABLE with columns.
#[derive(Debug, Clone)]
pub struct CreateSource {
    /// The relation, with the id it is to have.
    pub relation: Arc<Relation>,
    /// OR REPLACE: a relation of this name that is dropped first.
    pub replaces: Option<RelationId>,
    /// Conditions a record must not violate (FALSE violates, NULL does not), each with its text.
    pub checks: Vec<(Expr, Arc<str>)>,
    /// How far the watermark stays behind the largest event time, microseconds.
    pub bound_micros: i64,
    /// Connector and format.
    pub options: SourceOptions,
}

/// Where a source's records come from and how they are written; keys are lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceOptions(pub BTreeMap<String, String>);

impl SourceOptions {
    /// The value of an option.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// CREATE ... AS SELECT.
#[derive(Debug, Clone)]
pub struct CreateDerived {
    /// The relation, with the id it is to have.
    pub relation: Arc<Relation>,
    /// OR REPLACE.
    pub replaces: Option<RelationId>,
    /// The query that maintains it; its CHECKs are the plan's root.
    pub query: BoundQuery,
    /// WITH options, keys lower case.
    pub options: SourceOptions,
}

/// CREATE VIEW.
#[derive(Debug, Clone)]
pub struct CreateView {
    /// The relation; its definition is the SELECT's text.
    pub relation: Arc<Relation>,
    /// OR REPLACE.
    pub replaces: Option<RelationId>,
    /// Relations that the text reads.
    pub reads: Vec<RelationId>,
    /// Output columns.
    pub schema: Arc<Schema>,
}
