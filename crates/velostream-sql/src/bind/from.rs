//! FROM: what stands in it, each part with the name of its columns.

use super::scope::{Merged, Part};
use super::{Binder, Bound, names};
use crate::ast::{Name, Select, TableReference, TableSource, WindowClause};
use crate::catalog::{Relation, RelationKind};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::plan::{LogicalPlan, RelationRef};
use crate::types::Schema;
use std::sync::Arc;

/// What FROM gives.
pub(super) struct Input<'q> {
    /// All relations, joined.
    pub plan: LogicalPlan,
    /// The names of its columns.
    pub parts: Vec<Part>,
    /// What USING has made one.
    pub merged: Vec<Merged>,
    /// TUMBLE in FROM.
    pub window: Option<&'q WindowClause>,
}

/// The names that WITH gives to queries.
pub(super) type CommonTables = [(Name, LogicalPlan)];

impl Binder<'_> {
    /// FROM of a SELECT; without one, a single row without columns.
    pub(super) fn from<'q>(&mut self, select: &'q Select, tables: &CommonTables) -> Bound<Input<'q>> {
        let Some(from) = &select.from else {
            let plan = LogicalPlan::Values { rows: vec![Vec::new()], schema: Arc::new(Schema::default()) };
            return Ok(Input { plan, parts: Vec::new(), merged: Vec::new(), window: None });
        };
        let first = self.part(&from.first, tables)?;
        if from.joins.is_empty() {
            return Ok(first);
        }
        self.joined(first, &from.joins, select.predicate.as_ref(), tables)
    }

    /// One relation of FROM.
    pub(super) fn part<'q>(
        &mut self,
        reference: &'q TableReference,
        tables: &CommonTables,
    ) -> Bound<Input<'q>> {
        let alias = reference.alias.as_ref().map(|alias| Arc::clone(&alias.value));
        let (plan, label, window) = match &reference.source {
            TableSource::Relation(name) => (self.named_table(name, tables)?, Arc::clone(&name.value), None),
            TableSource::Window { input, window } => {
                (self.named_table(input, tables)?, Arc::clone(&input.value), Some(window.as_ref()))
            }
            TableSource::Query(query) => (self.subquery(query, tables)?, "the subquery".into(), None),
            TableSource::File(path) => {
                let relation = self.file(path, reference.span)?;
                (source(relation), format!("'{path}'").into(), None)
            }
        };
        let named = matches!(reference.source, TableSource::Relation(_) | TableSource::Window { .. });
        let qualifier = alias.clone().or_else(|| named.then(|| Arc::clone(&label)));
        let label = match (&reference.source, alias) {
            (TableSource::Query(_), Some(alias)) => alias,
            _ => label,
        };
        let part = Part { qualifier, label, columns: 0..plan.schema().fields.len() };
        Ok(Input { plan, parts: vec![part], merged: Vec::new(), window })
    }

    fn file(&mut self, path: &str, span: Span) -> Bound<Arc<Relation>> {
        match self.catalog.file(path) {
            Ok(relation) => {
                self.files.insert(relation.id);
                Ok(relation)
            }
            Err(message) => Err(self.error(ErrorCode::Io, span, message)),
        }
    }

    fn named_table(&mut self, name: &Name, tables: &CommonTables) -> Bound<LogicalPlan> {
        if let Some((_, plan)) = tables.iter().rev().find(|(known, _)| names(name, &known.value)) {
            return Ok(plan.clone());
        }
        if is_stdin(name) && self.catalog.relation(&name.value).is_none() {
            return self.file("stdin", name.span).map(source);
        }
        let relation = self.relation(name)?;
        self.reads.insert(relation.id);
        let expand = relation.kind == RelationKind::View || self.options.expand && !relation.is_source;
        match &relation.definition {
            Some(definition) if expand => self.expand(&relation, definition, name.span),
            _ => Ok(source(relation)),
        }
    }

    /// Two relations of one FROM need two names.
    pub(super) fn distinct_parts(&mut self, parts: &[Part], right: &Part, span: Span) -> Bound<()> {
        let Some(qualifier) = &right.qualifier else { return Ok(()) };
        let known = parts.iter().filter_map(|part| part.qualifier.as_ref());
        if !known.into_iter().any(|known| known.eq_ignore_ascii_case(qualifier)) {
            return Ok(());
        }
        let error = Diagnostic::new(ErrorCode::Exists, span, format!("{qualifier} stands in FROM twice"));
        Err(self.report(error.with_hint(format!("give one another name: {qualifier} AS other"))))
    }
}

/// The name that stands for standard input where no relation has it.
fn is_stdin(name: &Name) -> bool {
    !name.quoted && name.value.eq_ignore_ascii_case("stdin")
}

/// A relation's rows. A stream's declared KEY does not tell its rows apart.
fn source(relation: Arc<Relation>) -> LogicalPlan {
    let mut schema = Arc::clone(&relation.schema);
    if relation.kind == RelationKind::Stream && relation.is_source && !schema.primary_key.is_empty() {
        schema = Arc::new(Schema { primary_key: Vec::new(), ..Schema::clone(&schema) });
    }
    LogicalPlan::Source { relation: Arc::new(RelationRef(relation)), schema }
}
