//! Joins: which of their conditions are keys, bounds of time or the rest, and how the sides meet.

use super::from::{CommonTables, Input};
use super::query::{filter, project};
use super::scope::{Merged, Scope};
use super::window::event_time_column;
use super::{Binder, Bound, Reported, balanced, names, schema};
use crate::ast::{Join, JoinCondition, Name, Union, Within};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::expr::{for_each_column, map_columns};
use crate::plan::{BinaryOp, EmitMode, Expr, ExprKind, JoinKind, JoinMethod, Literal, LogicalPlan, Side};
use crate::types::{DataType, Schema};
use sqlparser::ast as syntax;
use std::sync::Arc;

/// The conditions of a join, sorted.
#[derive(Default)]
struct Conditions {
    /// Over the left side and over the right one.
    keys: Vec<(Expr, Expr)>,
    /// Over the left side alone, where that may be applied below the join; so for the right one.
    left: Vec<Expr>,
    right: Vec<Expr>,
    /// How far the right row's time may be from the left one's: least and most, microseconds.
    least: Option<i64>,
    most: Option<i64>,
    /// The bounds as conditions, for when only one side is bounded.
    bounds: Vec<Expr>,
    residual: Vec<Expr>,
}

/// The sides of a join under construction.
struct Sides<'p> {
    left: &'p LogicalPlan,
    right: &'p LogicalPlan,
    kind: JoinKind,
}

impl Sides<'_> {
    fn width(&self) -> usize {
        self.left.schema().fields.len()
    }

    /// The side of which an expression over both reads columns, if of one only.
    fn side_of(&self, expr: &Expr) -> Option<Side> {
        let (mut left, mut right) = (false, false);
        for_each_column(expr, &mut |column| {
            left |= column < self.width();
            right |= column >= self.width();
        });
        match (left, right) {
            (true, false) => Some(Side::Left),
            (false, true) => Some(Side::Right),
            _ => None,
        }
    }

    /// Whether an expression over both reads a column of the right one.
    fn reads_right(&self, expr: &Expr) -> bool {
        let mut reads = false;
        for_each_column(expr, &mut |column| reads |= column >= self.width());
        reads
    }

    /// An expression over the right side's columns at their own positions.
    fn over_right(&self, expr: Expr) -> Expr {
        map_columns(expr, &mut |column| column - self.width())
    }
}

impl Binder<'_> {
    /// The first relation of FROM and all that are joined to it.
    pub(super) fn joined<'q>(
        &mut self,
        first: Input<'q>,
        joins: &'q [Join],
        predicate: Option<&syntax::Expr>,
        tables: &CommonTables,
    ) -> Bound<Input<'q>> {
        let mut input = first;
        for join in joins {
            let right = self.part(&join.right, tables)?;
            if let Some(window) = input.window.or(right.window) {
                return Err(self.unsupported(window.span, "a window function in FROM with a join"));
            }
            input = self.join(input, right, join, predicate)?;
        }
        Ok(input)
    }

    fn join<'q>(
        &mut self,
        input: Input<'q>,
        right: Input<'q>,
        join: &Join,
        predicate: Option<&syntax::Expr>,
    ) -> Bound<Input<'q>> {
        let input = self.settled(input);
        let width = input.plan.schema().fields.len();
        let mut part = right.parts.into_iter().next().expect("a relation is one part");
        self.distinct_parts(&input.parts, &part, join.right.span)?;
        part.columns = width..width + right.plan.schema().fields.len();
        let mut parts = input.parts;
        parts.push(part);
        let kind = join.kind.unwrap_or(JoinKind::Inner);
        let sides = Sides { left: &input.plan, right: &right.plan, kind };
        let both = schema::side_by_side(input.plan.schema(), right.plan.schema());
        let mut scope = Scope::new(Arc::new(both), parts);
        scope.merged = input.merged;
        scope.clause = "ON";
        let conditions = match &join.condition {
            JoinCondition::On(condition) => vec![self.condition(condition, &mut scope)?],
            JoinCondition::Using(columns) => self.using(columns, &sides, &mut scope)?,
            JoinCondition::None => self.in_where(predicate, &sides, &mut scope),
        };
        let mut sorted = Conditions::default();
        for condition in conditions.into_iter().flat_map(conjuncts) {
            sort(condition, &sides, &mut sorted);
        }
        let method = self.method(&sides, &mut sorted, join)?;
        let Scope { parts, mut merged, .. } = scope;
        let plan = build(input.plan, right.plan, kind, method, sorted);
        for merged in &mut merged {
            if let ExprKind::Column(column) = merged.expr.kind {
                merged.expr.nullable = plan.schema().fields[column].nullable;
            }
        }
        Ok(Input { plan, parts, merged, window: None })
    }

    /// Where only final rows are shown, an outer join of streams gives the next join its rows when they are final, so
    /// that they are rows of a stream.
    fn settled<'q>(&self, input: Input<'q>) -> Input<'q> {
        match &input.plan {
            LogicalPlan::Join { method: JoinMethod::Interval { .. }, schema, .. }
                if self.is_final && schema.updating =>
            {
                Input { plan: schema::finalise(input.plan, EmitMode::Final), ..input }
            }
            _ => input,
        }
    }

    /// What of WHERE joins the sides of a comma or a CROSS JOIN; WHERE itself stays as it is.
    fn in_where(
        &mut self,
        predicate: Option<&syntax::Expr>,
        sides: &Sides<'_>,
        scope: &mut Scope,
    ) -> Vec<Expr> {
        let mut found = Vec::new();
        let mut conditions: Vec<&syntax::Expr> = predicate.into_iter().collect();
        while let Some(condition) = conditions.pop() {
            match condition {
                syntax::Expr::BinaryOp { left, op: syntax::BinaryOperator::And, right } => {
                    conditions.extend([right.as_ref(), left.as_ref()]);
                }
                syntax::Expr::Nested(inner) => conditions.push(inner),
                condition => {
                    // One that names what comes later does not belong here; WHERE itself reports what is wrong.
                    let errors = self.errors.len();
                    let bound = self.condition(condition, scope);
                    self.errors.truncate(errors);
                    found.extend(bound.into_iter().filter(|bound| sides.reads_right(bound)));
                }
            }
        }
        found
    }

    /// USING: an equality for each column, which is one column from here on.
    fn using(&mut self, columns: &[Name], sides: &Sides<'_>, scope: &mut Scope) -> Bound<Vec<Expr>> {
        let mut equal = Vec::with_capacity(columns.len());
        for name in columns {
            let left = self.using_column(name, 0..sides.width(), scope)?;
            let right = self.using_column(name, sides.width()..scope.schema.fields.len(), scope)?;
            let mut operands = vec![left.clone(), right.clone()];
            self.unify(&mut operands, "USING compares")?;
            let mut operands = operands.into_iter();
            let (Some(one), Some(other)) = (operands.next(), operands.next()) else { return Err(Reported) };
            let nullable = one.nullable || other.nullable;
            let value = match sides.kind {
                JoinKind::Right => right.clone(),
                JoinKind::Full => Expr {
                    kind: ExprKind::Coalesce(vec![one.clone(), other.clone()]),
                    data_type: one.data_type,
                    nullable,
                    span: name.span,
                },
                JoinKind::Inner | JoinKind::Left => left.clone(),
            };
            let (ExprKind::Column(left), ExprKind::Column(right)) = (&left.kind, &right.kind) else {
                return Err(self.unsupported(name.span, "USING of a column that is merged already"));
            };
            scope.merged.push(Merged {
                name: Arc::clone(&scope.schema.fields[*left].name),
                expr: value,
                columns: [*left, *right],
            });
            let kind = ExprKind::Binary { op: BinaryOp::Equal, left: Box::new(one), right: Box::new(other) };
            equal.push(Expr { kind, data_type: DataType::Boolean, nullable, span: name.span });
        }
        Ok(equal)
    }

    fn using_column(&mut self, name: &Name, range: std::ops::Range<usize>, scope: &Scope) -> Bound<Expr> {
        let fields = &scope.schema.fields;
        let mut found = range.filter(|&position| names(name, &fields[position].name));
        match (found.next(), found.next()) {
            (Some(position), None) => Ok(scope.column(position, name.span)),
            (None, _) => {
                let message = format!("no column \"{}\" on both sides of the join", name.value);
                Err(self.error(ErrorCode::UnknownName, name.span, message))
            }
            (Some(_), Some(_)) => {
                let message = format!("column \"{}\" is ambiguous", name.value);
                Err(self.error(ErrorCode::UnknownName, name.span, message))
            }
        }
    }

    /// How the sides meet; bounds that say nothing to it go back to the conditions.
    fn method(&mut self, sides: &Sides<'_>, conditions: &mut Conditions, join: &Join) -> Bound<JoinMethod> {
        let updating = (sides.left.schema().updating, sides.right.schema().updating);
        if updating == (false, false)
            && let Some(method) = self.bounds_of_time(conditions, join.within.as_ref())?
        {
            return Ok(method);
        }
        conditions.residual.append(&mut conditions.bounds);
        if let Some(within) = &join.within {
            let of_outer = |plan: &LogicalPlan| {
                matches!(plan, LogicalPlan::Join { method: JoinMethod::Interval { .. }, .. })
            };
            let hint = if of_outer(sides.left) {
                "an outer join of streams takes rows back: with EMIT FINAL it is a stream"
            } else {
                "a stream meets a table as it stands on arrival"
            };
            let error = Diagnostic::new(ErrorCode::Type, within.span, "WITHIN bounds a join of two streams");
            return Err(self.report(error.with_hint(hint)));
        }
        let stream = match updating {
            (false, true) => Side::Left,
            (true, false) => Side::Right,
            (true, true) => return Ok(JoinMethod::Kept),
            (false, false) => {
                let condition = conditions.residual.first();
                if conditions.keys.is_empty() {
                    let span = condition.map_or(join.span, |condition| condition.span);
                    return Err(self.unsupported(span, "a join of two streams without an equality or WITHIN"));
                }
                return Ok(JoinMethod::Kept);
            }
        };
        let keeps_table = match stream {
            Side::Left => sides.kind.keeps_right(),
            Side::Right => sides.kind.keeps_left(),
        };
        if keeps_table {
            let what =
                format!("{} that keeps the table's rows, which the stream only looks up,", sides.kind.name());
            let error = crate::parse::unsupported(join.span, &what);
            return Err(self.report(error.with_hint("make the stream a table: CREATE TABLE ... AS SELECT")));
        }
        Ok(JoinMethod::Lookup { stream })
    }

    /// Between streams: the bounds of WITHIN or of the condition.
    fn bounds_of_time(
        &mut self,
        conditions: &mut Conditions,
        within: Option<&Within>,
    ) -> Bound<Option<JoinMethod>> {
        let found = match (conditions.least, conditions.most) {
            (Some(least), Some(most)) => Some((least, most)),
            _ => None,
        };
        let (least, most) = match (within, found) {
            (None, None) => return Ok(None),
            (None, Some(found)) => found,
            (Some(within), found) => {
                let (least, most) = (-within.before.micros, within.after.micros);
                found.map_or((least, most), |(other_least, other_most)| {
                    (least.max(other_least), most.min(other_most))
                })
            }
        };
        if found.is_some() {
            conditions.bounds.clear();
        }
        conditions.residual.append(&mut conditions.bounds);
        Ok(Some(JoinMethod::Interval {
            before_micros: least.saturating_neg(),
            after_micros: most,
            grace_micros: within.and_then(|within| within.grace).map(|grace| grace.micros),
        }))
    }

    /// UNION [ALL] of two SELECTs: columns by position, each of the common type.
    pub(super) fn union(
        &mut self,
        left: LogicalPlan,
        right: LogicalPlan,
        union: &Union,
    ) -> Bound<LogicalPlan> {
        let counts = (left.schema().fields.len(), right.schema().fields.len());
        if counts.0 != counts.1 {
            let message = format!("UNION of {} columns with {}", counts.0, counts.1);
            return Err(self.error(ErrorCode::Type, union.span, message));
        }
        let (mut left_items, mut right_items) = (Vec::new(), Vec::new());
        for (one, other) in columns(left.schema(), union.span).zip(columns(right.schema(), union.span)) {
            let mut pair = vec![one, other];
            self.unify(&mut pair, "UNION meets")?;
            right_items.extend(pair.pop());
            left_items.extend(pair.pop());
        }
        let fields: Vec<Arc<str>> =
            left.schema().fields.iter().map(|field| Arc::clone(&field.name)).collect();
        let named = |items: Vec<Expr>| items.into_iter().zip(fields.iter().cloned()).collect();
        let (left, right) = (project(left, named(left_items)), project(right, named(right_items)));
        let schema = Arc::new(schema::union(left.schema(), right.schema()));
        let plan = LogicalPlan::Union { left: Box::new(left), right: Box::new(right), schema };
        Ok(if union.all { plan } else { schema::distinct(plan) })
    }
}

/// All columns of a schema as expressions.
fn columns(schema: &Schema, span: Span) -> impl Iterator<Item = Expr> {
    schema.fields.iter().enumerate().map(move |(position, field)| Expr {
        kind: ExprKind::Column(position),
        data_type: field.data_type,
        nullable: field.nullable,
        span,
    })
}

/// The conditions that AND joins.
fn conjuncts(condition: Expr) -> Vec<Expr> {
    let mut found = Vec::new();
    let mut open = vec![condition];
    while let Some(condition) = open.pop() {
        match condition.kind {
            ExprKind::Binary { op: BinaryOp::And, left, right } => open.extend([*right, *left]),
            _ => found.push(condition),
        }
    }
    found
}

/// Puts a condition where it belongs.
fn sort(condition: Expr, sides: &Sides<'_>, into: &mut Conditions) {
    if let ExprKind::Binary { op: BinaryOp::Equal, left, right } = &condition.kind {
        let (one, other) = (Expr::clone(left), Expr::clone(right));
        match (sides.side_of(left), sides.side_of(right)) {
            (Some(Side::Left), Some(Side::Right)) => return into.keys.push((one, sides.over_right(other))),
            (Some(Side::Right), Some(Side::Left)) => return into.keys.push((other, sides.over_right(one))),
            _ => {}
        }
    }
    if let Some((op, micros)) = time_bound(&condition, sides) {
        let least = into.least.map_or(micros, |known| known.max(micros));
        let most = into.most.map_or(micros, |known| known.min(micros));
        match op {
            BinaryOp::GreaterOrEqual => into.least = Some(least),
            BinaryOp::LessOrEqual => into.most = Some(most),
            _ => unreachable!("bounds are brought to <= and >="),
        }
        return into.bounds.push(condition);
    }
    match sides.side_of(&condition) {
        Some(Side::Left) if !sides.kind.keeps_left() => into.left.push(condition),
        Some(Side::Right) if !sides.kind.keeps_right() => into.right.push(sides.over_right(condition)),
        _ => into.residual.push(condition),
    }
}

/// `right time - left time >= micros`, or `<=`, if a condition says that.
fn time_bound(condition: &Expr, sides: &Sides<'_>) -> Option<(BinaryOp, i64)> {
    let ExprKind::Binary { op, left, right } = &condition.kind else { return None };
    let ((one, one_shift), (other, other_shift)) = (shifted_time(left, sides)?, shifted_time(right, sides)?);
    // one + one_shift OP other + other_shift
    let (op, micros) = match (one, other) {
        (Side::Left, Side::Right) => (turned(*op), one_shift.checked_sub(other_shift)?),
        (Side::Right, Side::Left) => (*op, other_shift.checked_sub(one_shift)?),
        _ => return None,
    };
    Some(match op {
        BinaryOp::GreaterOrEqual | BinaryOp::LessOrEqual => (op, micros),
        BinaryOp::Greater => (BinaryOp::GreaterOrEqual, micros.checked_add(1)?),
        BinaryOp::Less => (BinaryOp::LessOrEqual, micros.checked_sub(1)?),
        _ => return None,
    })
}

/// The comparison with its sides exchanged.
fn turned(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessOrEqual => BinaryOp::GreaterOrEqual,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterOrEqual => BinaryOp::LessOrEqual,
        op => op,
    }
}

/// The event time of a side plus so many microseconds, if an expression is that.
fn shifted_time(expr: &Expr, sides: &Sides<'_>) -> Option<(Side, i64)> {
    match &expr.kind {
        ExprKind::Column(column) => {
            let width = sides.width();
            let (side, plan, own) = if *column < width {
                (Side::Left, sides.left, *column)
            } else {
                (Side::Right, sides.right, *column - width)
            };
            (event_time_column(plan) == Some(own)).then_some((side, 0))
        }
        ExprKind::Binary { op: op @ (BinaryOp::Add | BinaryOp::Subtract), left, right } => {
            let (side, shift) = shifted_time(left, sides)?;
            let micros = constant_micros(right, left.data_type)?;
            let micros = if *op == BinaryOp::Subtract { micros.checked_neg()? } else { micros };
            Some((side, shift.checked_add(micros)?))
        }
        _ => None,
    }
}

/// The length of a constant that is added to a time of this type.
fn constant_micros(expr: &Expr, time: DataType) -> Option<i64> {
    let ExprKind::Literal(value) = &expr.kind else { return None };
    match (value, time) {
        (Literal::Interval(interval), DataType::Timestamp) => crate::interval::fixed_micros(*interval),
        (Literal::BigInt(millis), DataType::BigInt) => millis.checked_mul(1_000),
        (Literal::Int(millis), DataType::BigInt) => i64::from(*millis).checked_mul(1_000),
        _ => None,
    }
}

fn build(
    left: LogicalPlan,
    right: LogicalPlan,
    kind: JoinKind,
    method: JoinMethod,
    conditions: Conditions,
) -> LogicalPlan {
    let Conditions { keys, left: on_left, right: on_right, residual, .. } = conditions;
    let all = |conditions: Vec<Expr>| (!conditions.is_empty()).then(|| balanced(BinaryOp::And, conditions));
    let (left, right) = (filter(left, all(on_left)), filter(right, all(on_right)));
    let schema = schema::join(left.schema(), right.schema(), kind, method, &keys);
    LogicalPlan::Join {
        columns: (0..schema.fields.len()).collect(),
        schema: Arc::new(schema),
        left: Box::new(left),
        right: Box::new(right),
        kind,
        method,
        keys,
        residual: all(residual),
    }
}
