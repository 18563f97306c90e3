//! CREATE and DROP: new relations, their columns, keys, time and checks.

use super::options::Of;
use super::over::is_in_order;
use super::scope::Scope;
use super::window::event_time_column;
use super::{Binder, Bound, Reported, names, schema};
use crate::ast::{self, CreateHead, Name, RelationWord};
use crate::catalog::{Relation, RelationId, RelationKind};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::plan::{BinaryOp, EmitMode, Expr, ExprKind, Interval, Literal, LogicalPlan};
use crate::statement::{CreateDerived, CreateSource, CreateView, SourceOptions, Statement};
use crate::types::{DataType, Field, Schema};
use std::sync::Arc;

/// Whether a new relation may have a name.
enum Place {
    /// It exists, and that is fine.
    Exists,
    /// It may, after one of the name is dropped.
    Free(Option<RelationId>),
}

impl Binder<'_> {
    /// Whether the name is free.
    fn place(&mut self, head: &CreateHead) -> Bound<Place> {
        let Some(existing) = self.catalog.relation(&head.name.value) else {
            return Ok(Place::Free(None));
        };
        if head.if_not_exists {
            return Ok(Place::Exists);
        }
        if head.or_replace {
            return Ok(Place::Free(Some(existing.id)));
        }
        let message = format!("{} {} already exists", kind_name(existing.kind), existing.name);
        let error = Diagnostic::new(ErrorCode::Exists, head.name.span, message);
        Err(self.report(error.with_hint("use OR REPLACE or IF NOT EXISTS")))
    }

    /// CREATE STREAM | TABLE with columns.
    pub(super) fn create_source(&mut self, create: &ast::CreateSource) -> Bound<Statement> {
        let Place::Free(replaces) = self.place(&create.head)? else {
            return Ok(Statement::Nothing);
        };
        let options = self.options(&create.options, Of::Source);
        let declared = self.declared_fields(create);
        let (options, declared) = (options?, declared?);
        let fields = if create.columns.is_empty() { self.inferred(create, &options)? } else { declared };
        let primary_key = self.declared_key(create, &fields)?;
        let table = create.head.kind == RelationWord::Table;
        let mut schema = Schema { primary_key, updating: table, ..Schema::append_only(fields) };
        if table {
            for position in &schema.primary_key {
                schema.fields[*position].nullable = false;
            }
        }
        let schema = Arc::new(schema);
        let event_time = self.event_time(create, &options, &schema);
        let bound_micros = self.watermark(create, &schema);
        let checks = self.checks(&create.checks, &schema, &create.head.name);
        let (event_time, bound_micros, checks) = (event_time?, bound_micros?, checks?);
        let relation = Arc::new(Relation {
            id: self.catalog.take_id(),
            name: Arc::clone(&create.head.name.value),
            kind: if table { RelationKind::Table } else { RelationKind::Stream },
            schema,
            definition: None,
            checks: Vec::new(),
            is_source: true,
            event_time,
            in_order: bound_micros == 0,
        });
        self.catalog.add(Arc::clone(&relation));
        Ok(Statement::CreateSource(CreateSource { relation, replaces, checks, bound_micros, options }))
    }

    fn declared_fields(&mut self, create: &ast::CreateSource) -> Bound<Vec<Field>> {
        let mut fields: Vec<Field> = Vec::with_capacity(create.columns.len());
        let mut failed = false;
        for column in &create.columns {
            let name = &column.name;
            if fields.iter().any(|field| field.name.eq_ignore_ascii_case(&name.value)) {
                let message = format!("column {} stands here twice", name.value);
                self.error(ErrorCode::Exists, name.span, message);
                failed = true;
            }
            match self.data_type(&column.data_type, column.type_span) {
                Ok(DataType::Interval) => {
                    self.error(ErrorCode::Type, column.type_span, "a column cannot be an INTERVAL");
                    failed = true;
                }
                Ok(data_type) => {
                    fields.push(Field::new(Arc::clone(&name.value), data_type, !column.not_null))
                }
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(fields) }
    }

    /// The columns of a source that declares none.
    fn inferred(&mut self, create: &ast::CreateSource, options: &SourceOptions) -> Bound<Vec<Field>> {
        let name = &create.head.name;
        if options.get("connector").is_none_or(|connector| !connector.eq_ignore_ascii_case("file")) {
            let message = format!("{} has no columns", name.value);
            let error = Diagnostic::new(ErrorCode::Argument, name.span, message);
            return Err(self.report(error.with_hint("only connector = 'file' can infer them")));
        }
        match self.catalog.infer(options) {
            Ok(fields) => Ok(fields),
            Err(message) => Err(self.error(ErrorCode::Io, name.span, message)),
        }
    }

    fn position(&mut self, name: &Name, fields: &[Field], of: &str) -> Bound<usize> {
        match fields.iter().position(|field| names(name, &field.name)) {
            Some(position) => Ok(position),
            None => {
                let message = format!("no column \"{}\" in {of}", name.value);
                Err(self.unknown(name, message, fields.iter().map(|field| field.name.as_ref())))
            }
        }
    }

    /// The positions of the key's columns, declared at the columns or behind them.
    fn declared_key(&mut self, create: &ast::CreateSource, fields: &[Field]) -> Bound<Vec<usize>> {
        let table = create.head.kind == RelationWord::Table;
        let at_columns: Vec<(usize, ast::KeyWord)> = create
            .columns
            .iter()
            .enumerate()
            .filter_map(|(position, column)| column.key.map(|key| (position, key)))
            .collect();
        if let Some((_, key)) = at_columns.iter().find(|(_, key)| key.primary && !table) {
            let error = Diagnostic::new(ErrorCode::Unsupported, key.span, "a STREAM has no PRIMARY KEY");
            return Err(self.report(error.with_hint("use KEY, or CREATE TABLE")));
        }
        let primary = at_columns.iter().filter(|(_, key)| key.primary);
        if let Some((_, key)) = primary.clone().nth(1) {
            let error = Diagnostic::new(ErrorCode::Parse, key.span, "a table has one PRIMARY KEY");
            return Err(self.report(error.with_hint("use PRIMARY KEY (a, b) behind the columns")));
        }
        let Some(first) = create.primary_key.first() else {
            return Ok(at_columns.into_iter().map(|(position, _)| position).collect());
        };
        if !table || !at_columns.is_empty() {
            let message = if table { "a table has one PRIMARY KEY" } else { "a STREAM has no PRIMARY KEY" };
            return Err(self.error(ErrorCode::Parse, first.span, message));
        }
        let mut key = Vec::with_capacity(create.primary_key.len());
        for name in &create.primary_key {
            let position = self.position(name, fields, &create.head.name.value)?;
            if key.contains(&position) {
                let message = format!("column {} stands here twice", name.value);
                return Err(self.error(ErrorCode::Exists, name.span, message));
            }
            key.push(position);
        }
        Ok(key)
    }

    /// The event-time column, from WATERMARK or from the option.
    fn event_time(
        &mut self,
        create: &ast::CreateSource,
        options: &SourceOptions,
        schema: &Schema,
    ) -> Bound<Option<usize>> {
        let of = Arc::clone(&create.head.name.value);
        let by_watermark = match &create.watermark {
            Some(watermark) => {
                Some((self.position(&watermark.column, &schema.fields, &of)?, watermark.column.span))
            }
            None => None,
        };
        let by_option = match options.get("event_time") {
            Some(column) => {
                let written = create.options.iter().find(|option| names(&option.key, "event_time"));
                let span = written.map_or(create.head.name.span, |option| option.value_span);
                let name = Name { value: column.into(), quoted: false, span };
                Some((self.position(&name, &schema.fields, &of)?, span))
            }
            None => None,
        };
        if let (Some((first, _)), Some((second, span))) = (by_watermark, by_option)
            && first != second
        {
            let message = "WATERMARK and event_time name different columns";
            return Err(self.error(ErrorCode::Argument, span, message));
        }
        let Some((position, span)) = by_watermark.or(by_option) else {
            return Ok(None);
        };
        match schema.fields[position].data_type {
            DataType::Timestamp | DataType::BigInt => Ok(Some(position)),
            other => {
                let name = &schema.fields[position].name;
                let message = format!("event time {name} must be TIMESTAMP or BIGINT, not {other}");
                Err(self.error(ErrorCode::Type, span, message))
            }
        }
    }

    /// How far the watermark stays behind: `column - INTERVAL ...`, or the column itself.
    fn watermark(&mut self, create: &ast::CreateSource, schema: &Arc<Schema>) -> Bound<i64> {
        let Some(watermark) = &create.watermark else {
            return Ok(0);
        };
        let Ok(column) = self.position(&watermark.column, &schema.fields, &create.head.name.value) else {
            return Err(Reported);
        };
        if let Some(bound) = plain_delay(&watermark.delayed, &watermark.column) {
            return Ok(bound);
        }
        let mut scope = Scope::of_relation(Arc::clone(schema), &create.head.name.value);
        scope.clause = "WATERMARK";
        let delayed = self.expr(&watermark.delayed, &mut scope)?;
        let bound = match &delayed.kind {
            ExprKind::Binary { op: BinaryOp::Subtract, left, right }
                if left.kind == ExprKind::Column(column) =>
            {
                constant_interval(right)
            }
            _ => None,
        };
        let bound = bound.and_then(crate::interval::fixed_micros).filter(|micros| *micros >= 0);
        bound.ok_or_else(|| {
            let name = &watermark.column.value;
            let message =
                format!("the watermark of {name} is {name} less a constant interval without months");
            self.error(ErrorCode::Type, delayed.span, message)
        })
    }

    fn checks(
        &mut self,
        checks: &[ast::Check],
        schema: &Arc<Schema>,
        name: &Name,
    ) -> Bound<Vec<(Expr, Arc<str>)>> {
        let mut bound = Vec::with_capacity(checks.len());
        let mut failed = false;
        for check in checks {
            let mut scope = Scope::of_relation(Arc::clone(schema), &name.value);
            scope.clause = "CHECK";
            match self.condition(&check.condition, &mut scope) {
                Ok(condition) => bound.push((condition, Arc::clone(&check.text))),
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(bound) }
    }

    /// CREATE ... AS SELECT.
    pub(super) fn create_as(&mut self, create: &ast::CreateAs) -> Bound<Statement> {
        let Place::Free(replaces) = self.place(&create.head)? else {
            return Ok(Statement::Nothing);
        };
        let name = &create.head.name;
        let (view, stream) =
            (create.head.kind == RelationWord::View, create.head.kind == RelationWord::Stream);
        let options = self.options(&create.options, Of::Derived);
        let marks = self.parameters.used_count();
        let query = self.query(&create.query, stream);
        let (options, mut query) = (options?, query?);
        if self.parameters.used_count() != marks {
            let message = "parameters cannot stand in CREATE ... AS, whose text is kept";
            return Err(self.error(ErrorCode::Unsupported, create.query.span, message));
        }
        if stream && let Some(operator) = schema::updating_operator(&query.plan) {
            let message = format!("a STREAM takes rows that are only appended, but {operator} updates them");
            let error = Diagnostic::new(ErrorCode::Updating, name.span, message);
            return Err(self.report(error.with_hint("use CREATE TABLE, or add EMIT FINAL")));
        }
        let schema = Arc::clone(query.plan.schema());
        let checks = self.checks(&create.checks, &schema, name)?;
        if !checks.is_empty() && query.emit == EmitMode::Final {
            let message = "CHECK over FINAL rows, whose records cannot be rejected any more,";
            return Err(self.unsupported(name.span, message));
        }
        query.plan = checked(query.plan, checks);
        if replaces.is_some_and(|replaced| query.reads.contains(&replaced)) {
            let message = format!("{} cannot be read by what replaces it", name.value);
            return Err(self.error(ErrorCode::Argument, name.span, message));
        }
        let relation = Arc::new(Relation {
            id: self.catalog.take_id(),
            name: Arc::clone(&name.value),
            kind: match create.head.kind {
                RelationWord::Stream => RelationKind::Stream,
                RelationWord::View => RelationKind::View,
                RelationWord::Table | RelationWord::MaterializedView => RelationKind::Table,
            },
            schema: Arc::clone(&schema),
            definition: Some(Arc::clone(&create.query.text)),
            checks: create.checks.iter().map(|check| Arc::clone(&check.text)).collect(),
            is_source: false,
            event_time: event_time_column(&query.plan),
            in_order: is_in_order(&query.plan),
        });
        self.catalog.add(Arc::clone(&relation));
        Ok(if view {
            Statement::CreateView(CreateView { relation, replaces, reads: query.reads, schema })
        } else {
            Statement::CreateDerived(CreateDerived { relation, replaces, query, options })
        })
    }

    /// The plan of a derived relation with its CHECKs, which are kept as text.
    pub(super) fn with_checks(&mut self, plan: LogicalPlan, relation: &Relation) -> Bound<LogicalPlan> {
        let span = Span::default();
        let mut checks = Vec::with_capacity(relation.checks.len());
        for text in &relation.checks {
            let Ok(condition) = crate::parse::parse_condition(text) else {
                let message = format!("the CHECK {text} of {} cannot be read", relation.name);
                return Err(self.error(ErrorCode::Internal, span, message));
            };
            checks.push(ast::Check { condition, text: Arc::clone(text) });
        }
        let name = Name { value: Arc::clone(&relation.name), quoted: false, span };
        let checks = self.checks(&checks, &Arc::clone(plan.schema()), &name)?;
        Ok(checked(plan, checks))
    }

    /// DROP.
    pub(super) fn drop(&mut self, kind: RelationWord, if_exists: bool, name: &Name) -> Bound<Statement> {
        if if_exists && self.catalog.relation(&name.value).is_none() {
            return Ok(Statement::Nothing);
        }
        let target = self.relation(name)?;
        let is_kind = match kind {
            RelationWord::Stream => target.kind == RelationKind::Stream,
            RelationWord::Table => target.kind == RelationKind::Table,
            RelationWord::MaterializedView => target.kind == RelationKind::Table && !target.is_source,
            RelationWord::View => target.kind == RelationKind::View,
        };
        if !is_kind {
            let is = kind_name(target.kind);
            let message = format!("{} is a {is}", target.name);
            let error = Diagnostic::new(ErrorCode::UnknownName, name.span, message);
            return Err(self.report(error.with_hint(format!("use DROP {}", is.to_ascii_uppercase()))));
        }
        self.catalog.hide(&target.name);
        Ok(Statement::Drop { target })
    }
}

/// A relation's kind in a sentence.
pub(super) fn kind_name(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Stream => "stream",
        RelationKind::Table => "table",
        RelationKind::View => "view",
    }
}

/// The plan with its rows checked.
fn checked(plan: LogicalPlan, checks: Vec<(Expr, Arc<str>)>) -> LogicalPlan {
    if checks.is_empty() {
        return plan;
    }
    let schema = Arc::clone(plan.schema());
    LogicalPlan::Check { input: Box::new(plan), checks, schema }
}

/// The delay in the forms that need no types: `c` and `c - INTERVAL ...`, which a BIGINT column has too.
fn plain_delay(delayed: &sqlparser::ast::Expr, column: &Name) -> Option<i64> {
    use sqlparser::ast::{BinaryOperator, Expr as E};
    let is_column = |expr: &E| matches!(expr, E::Identifier(ident) if names(column, &ident.value) || names(&super::name_of(ident), &column.value));
    match delayed {
        E::Nested(inner) => plain_delay(inner, column),
        E::Identifier(_) if is_column(delayed) => Some(0),
        E::BinaryOp { left, op: BinaryOperator::Minus, right } if is_column(left) => match right.as_ref() {
            E::Interval(literal) => crate::interval::literal(literal)
                .and_then(crate::interval::fixed_micros)
                .filter(|micros| *micros >= 0),
            _ => None,
        },
        _ => None,
    }
}

fn constant_interval(expr: &Expr) -> Option<Interval> {
    match expr.kind {
        ExprKind::Literal(Literal::Interval(interval)) => Some(interval),
        _ => None,
    }
}
