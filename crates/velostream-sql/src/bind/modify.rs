//! INSERT, UPDATE and DELETE.

use super::create::kind_name;
use super::scope::Scope;
use super::{Binder, Bound, Reported, names, schema};
use crate::ast::{Insert, InsertSource, Name, Query, Update};
use crate::catalog::{Relation, RelationKind};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::plan::{Expr, ExprKind, Literal, LogicalPlan};
use crate::statement::{BoundQuery, Statement};
use crate::types::Schema;
use sqlparser::ast as syntax;
use std::sync::Arc;

/// The rows of an INSERT VALUES.
type ValueRows = [(Vec<syntax::Expr>, Span)];

impl Binder<'_> {
    /// INSERT INTO a source.
    pub(super) fn insert(&mut self, insert: &Insert) -> Bound<Statement> {
        let target = self.relation(&insert.target)?;
        if !target.is_source {
            let kind = kind_name(target.kind);
            let message = format!("{kind} {} is derived and takes no INSERT", target.name);
            return Err(self.error(ErrorCode::Unsupported, insert.target.span, message));
        }
        let columns = self.target_columns(insert, &target)?;
        match &insert.source {
            InsertSource::Values(rows) => {
                let rows = self.value_rows(rows, &columns, &target)?;
                Ok(Statement::InsertValues { target, rows })
            }
            InsertSource::Query(query) => {
                let query = self.insert_query(query, &columns, &target)?;
                Ok(Statement::InsertSelect { target, query })
            }
        }
    }

    /// The target's columns that the values are for, in the values' order.
    fn target_columns(&mut self, insert: &Insert, target: &Relation) -> Bound<Vec<usize>> {
        let fields = &target.schema.fields;
        if insert.columns.is_empty() {
            return Ok((0..fields.len()).collect());
        }
        let mut columns = Vec::with_capacity(insert.columns.len());
        for name in &insert.columns {
            let position = self.target_column(name, target)?;
            if columns.contains(&position) {
                let message = format!("column {} stands here twice", name.value);
                return Err(self.error(ErrorCode::Exists, name.span, message));
            }
            columns.push(position);
        }
        Ok(columns)
    }

    fn target_column(&mut self, name: &Name, target: &Relation) -> Bound<usize> {
        let fields = &target.schema.fields;
        match fields.iter().position(|field| names(name, &field.name)) {
            Some(position) => Ok(position),
            None => {
                let message = format!("no column \"{}\" in {}", name.value, target.name);
                Err(self.unknown(name, message, fields.iter().map(|field| field.name.as_ref())))
            }
        }
    }

    fn value_rows(
        &mut self,
        rows: &ValueRows,
        columns: &[usize],
        target: &Relation,
    ) -> Bound<Vec<Vec<Expr>>> {
        let mut bound = Vec::with_capacity(rows.len());
        let mut failed = false;
        for (values, span) in rows {
            match self.value_row(values, *span, columns, target) {
                Ok(row) => bound.push(row),
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(bound) }
    }

    fn value_row(
        &mut self,
        values: &[syntax::Expr],
        span: Span,
        columns: &[usize],
        target: &Relation,
    ) -> Bound<Vec<Expr>> {
        if values.len() != columns.len() {
            let message = format!("{} values for {} columns", values.len(), columns.len());
            return Err(self.error(ErrorCode::Type, span, message));
        }
        let mut scope = Scope::empty();
        scope.clause = "VALUES";
        let mut row = nulls(&target.schema, span);
        let mut failed = false;
        for (value, column) in values.iter().zip(columns) {
            let field = &target.schema.fields[*column];
            let value = self.expr(value, &mut scope);
            match value.and_then(|value| self.assign(value, field.data_type, &field.name)) {
                Ok(value) => row[*column] = value,
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(row) }
    }

    /// The SELECT of an INSERT, its columns brought to the target's order and types.
    fn insert_query(&mut self, query: &Query, columns: &[usize], target: &Relation) -> Bound<BoundQuery> {
        let mut bound = self.query(query, true)?;
        let given = Arc::clone(bound.plan.schema());
        if given.fields.len() != columns.len() {
            let message = format!("{} selected columns for {} columns", given.fields.len(), columns.len());
            return Err(self.error(ErrorCode::Type, query.span, message));
        }
        if let Some(operator) = schema::updating_operator(&bound.plan) {
            let message = format!("INSERT takes rows that are only appended, but {operator} updates them");
            let error = Diagnostic::new(ErrorCode::Updating, query.span, message);
            return Err(self.report(error.with_hint("add EMIT FINAL, or use CREATE TABLE ... AS")));
        }
        let mut items = nulls(&target.schema, query.span);
        let mut failed = false;
        for (position, column) in columns.iter().enumerate() {
            let (from, to) = (&given.fields[position], &target.schema.fields[*column]);
            let value = Expr {
                kind: ExprKind::Column(position),
                data_type: from.data_type,
                nullable: from.nullable,
                span: query.span,
            };
            match self.assign(value, to.data_type, &to.name) {
                Ok(value) => items[*column] = value,
                Err(Reported) => failed = true,
            }
        }
        if failed {
            return Err(Reported);
        }
        bound.plan = crate::optimize::optimize(under_final(bound.plan, items, &target.schema));
        Ok(bound)
    }

    /// UPDATE of a source table.
    pub(super) fn update(&mut self, update: &Update) -> Bound<Statement> {
        let target = self.changeable(&update.target, "UPDATE")?;
        let mut scope = Scope::of_relation(Arc::clone(&target.schema), &target.name);
        let mut items: Vec<Expr> =
            (0..target.schema.fields.len()).map(|position| scope.column(position, Span::default())).collect();
        let mut assigned = Vec::with_capacity(update.assignments.len());
        let mut failed = false;
        scope.clause = "SET";
        for (name, value) in &update.assignments {
            match self.assignment(name, value, &target, &mut scope) {
                Ok((position, _)) if assigned.contains(&position) => {
                    let message = format!("column {} stands here twice", name.value);
                    self.error(ErrorCode::Exists, name.span, message);
                    failed = true;
                }
                Ok((position, value)) => {
                    assigned.push(position);
                    items[position] = value;
                }
                Err(Reported) => failed = true,
            }
        }
        let predicate = self.where_clause(update.predicate.as_ref(), &mut scope)?;
        if failed { Err(Reported) } else { Ok(Statement::Update { target, items, predicate }) }
    }

    fn assignment(
        &mut self,
        name: &Name,
        value: &syntax::Expr,
        target: &Relation,
        scope: &mut Scope,
    ) -> Bound<(usize, Expr)> {
        let position = self.target_column(name, target);
        let value = self.expr(value, scope);
        let (position, value) = (position?, value?);
        let field = &target.schema.fields[position];
        if target.schema.primary_key.contains(&position) {
            let message = format!("UPDATE of the key column {}", field.name);
            let error = crate::parse::unsupported(name.span, &message);
            return Err(self.report(error.with_hint("DELETE the row and INSERT another")));
        }
        Ok((position, self.assign(value, field.data_type, &field.name)?))
    }

    /// DELETE from a source table.
    pub(super) fn delete(&mut self, target: &Name, predicate: Option<&syntax::Expr>) -> Bound<Statement> {
        let target = self.changeable(target, "DELETE")?;
        let mut scope = Scope::of_relation(Arc::clone(&target.schema), &target.name);
        let predicate = self.where_clause(predicate, &mut scope)?;
        Ok(Statement::Delete { target, predicate })
    }

    fn where_clause(&mut self, predicate: Option<&syntax::Expr>, scope: &mut Scope) -> Bound<Option<Expr>> {
        scope.clause = "WHERE";
        predicate.map(|predicate| self.condition(predicate, scope)).transpose()
    }

    /// A source table, whose rows can be changed.
    fn changeable(&mut self, name: &Name, statement: &str) -> Bound<Arc<Relation>> {
        let target = self.relation(name)?;
        if target.kind == RelationKind::Table && target.is_source {
            return Ok(target);
        }
        let what = match target.kind {
            RelationKind::Table => "a derived table",
            RelationKind::Stream => "a stream",
            RelationKind::View => "a view",
        };
        let message = format!("{statement} of {what}");
        Err(self.unsupported(name.span, &message))
    }
}

/// A NULL for every column.
fn nulls(schema: &Schema, span: Span) -> Vec<Expr> {
    let null =
        |field: &crate::types::Field| super::expression::constant(Literal::Null, field.data_type, span);
    schema.fields.iter().map(null).collect()
}

/// A projection of a query's result; FINAL stays the root.
fn under_final(plan: LogicalPlan, items: Vec<Expr>, target: &Schema) -> LogicalPlan {
    let in_place = |item: (usize, &Expr)| matches!(item.1.kind, ExprKind::Column(column) if column == item.0);
    if items.len() == plan.schema().fields.len() && items.iter().enumerate().all(in_place) {
        return plan;
    }
    let names = target.fields.iter().map(|field| Arc::clone(&field.name)).collect();
    match plan {
        LogicalPlan::Final { input, .. } => {
            let schema = Arc::new(schema::project(input.schema(), names, &items));
            let finished = Arc::new(Schema { updating: false, ..Schema::clone(&schema) });
            let input = Box::new(LogicalPlan::Project { input, items, schema });
            LogicalPlan::Final { input, schema: finished }
        }
        plan => {
            let schema = Arc::new(schema::project(plan.schema(), names, &items));
            LogicalPlan::Project { input: Box::new(plan), items, schema }
        }
    }
}
