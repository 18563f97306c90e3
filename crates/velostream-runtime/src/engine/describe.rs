//! Statements that tell about the catalogue: SHOW, DESCRIBE, EXPLAIN.

use super::Engine;
use super::ask::empty;
use crate::error::{Error, Result};
use crate::pipeline::Purpose;
use std::sync::Arc;
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_sql::catalog::{FunctionCatalog, RelationKind};
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::plan::Literal;
use velostream_sql::statement::{ShowKind, Statement};
use velostream_sql::types::{DataType, Field, Schema};

/// Rows of texts and truth values.
type Answer = (Arc<Schema>, ChangeBatch);

fn text(value: &str) -> Literal {
    Literal::String(value.into())
}

fn answer(columns: &[(&str, DataType)], rows: impl IntoIterator<Item = Vec<Literal>>) -> Answer {
    let fields = columns.iter().map(|(name, data_type)| Field::new(*name, *data_type, true)).collect();
    let schema = Arc::new(Schema::append_only(fields));
    let mut batch = empty(&schema);
    for row in rows {
        for (column, value) in batch.columns.iter_mut().zip(&row) {
            column.push_literal(value);
        }
        batch.push_mark(Op::Insert, Seq(0), 0);
    }
    (schema, batch)
}

impl Engine {
    /// The rows of a statement that tells something; `None` for one that does something.
    pub(super) fn describe(&self, statement: &Statement) -> Result<Option<Answer>> {
        use DataType::{Boolean, String as Text};
        Ok(Some(match statement {
            Statement::Show(kind) => self.show(*kind),
            Statement::Describe(relation) => {
                let schema = &relation.schema;
                let row = |(position, field): (usize, &Field)| {
                    vec![
                        text(&field.name),
                        text(&field.data_type.to_string()),
                        Literal::Boolean(field.nullable),
                        Literal::Boolean(schema.primary_key.contains(&position)),
                    ]
                };
                let columns = [("name", Text), ("type", Text), ("nullable", Boolean), ("key", Boolean)];
                answer(&columns, schema.fields.iter().enumerate().map(row))
            }
            Statement::Explain { analyze: true, .. } => {
                return Err(Error::new(ErrorCode::Unsupported, "EXPLAIN ANALYZE is not supported yet"));
            }
            Statement::Explain { query, .. } => {
                let lines = self.explained(&query.plan).or_else(|_| self.explained_once(&query.plan))?;
                answer(&[("plan", Text)], lines.iter().map(|line| vec![text(line)]))
            }
            _ => return Ok(None),
        }))
    }

    fn show(&self, kind: ShowKind) -> Answer {
        use DataType::String as Text;
        match kind {
            ShowKind::Streams => self.show_relations(RelationKind::Stream),
            ShowKind::Tables => self.show_relations(RelationKind::Table),
            ShowKind::Views => self.show_relations(RelationKind::View),
            ShowKind::Queries => {
                let shown = self.pipelines.values().filter(|pipeline| pipeline.purpose != Purpose::Ask);
                let rows = shown.map(|pipeline| {
                    let state = if pipeline.is_finished() { "ended" } else { "running" };
                    vec![text(&pipeline.name), text(state), text(&pipeline.sql)]
                });
                answer(&[("id", Text), ("state", Text), ("sql", Text)], rows)
            }
            ShowKind::Functions => {
                let mut names = velostream_engine::functions::registry::registry().scalar_names();
                names.extend(["AVG", "COUNT", "MAX", "MIN", "SUM"]);
                names.sort_unstable();
                answer(&[("name", Text)], names.into_iter().map(|name| vec![text(name)]))
            }
        }
    }

    fn show_relations(&self, kind: RelationKind) -> Answer {
        use DataType::String as Text;
        let entries = self.catalog.entries().filter(|entry| entry.relation.kind == kind);
        let rows = entries.map(|entry| {
            let definition = entry.relation.definition.as_deref();
            let definition = definition.map_or(Literal::Null, text);
            vec![text(&entry.relation.name), text(Self::kind_name(kind)), definition]
        });
        answer(&[("name", Text), ("kind", Text), ("definition", Text)], rows)
    }
}
