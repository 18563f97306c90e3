//! The query's own window, from whichever of its spellings.

use super::call::Call;
use super::scope::Scope;
use super::{Binder, Bound};
use crate::ast::WindowClause;
use crate::catalog::Relation;
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::expr::same;
use crate::plan::{Expr, ExprKind, JoinMethod, Literal, LogicalPlan, RelationRef, Side, Window, WindowKind};
use crate::types::DataType;
use sqlparser::ast as syntax;
use std::sync::Arc;

/// Whether two windows are the same.
pub(super) fn same_window(left: &Window, right: &Window) -> bool {
    let same_time = match (&left.time, &right.time) {
        (Some(left), Some(right)) => same(left, right),
        (None, None) => true,
        _ => false,
    };
    left.kind == right.kind && same_time
}

/// Whether a column of a plan is the event time of its rows.
pub(super) fn is_event_time(plan: &LogicalPlan, column: usize) -> bool {
    match plan {
        LogicalPlan::Source { relation, .. } => relation.0.event_time == Some(column),
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Check { input, .. }
        | LogicalPlan::Limit { input, .. }
        | LogicalPlan::Final { input, .. } => is_event_time(input, column),
        LogicalPlan::Project { input, items, .. } => match items[column].kind {
            ExprKind::Column(column) => is_event_time(input, column),
            ExprKind::RowTime => true,
            _ => false,
        },
        // A row that meets a table keeps the stream's time; of two streams it has the later one's, which is
        // neither column.
        LogicalPlan::Join { left, right, method: JoinMethod::Lookup { stream }, columns, .. } => {
            let width = left.schema().fields.len();
            match stream {
                Side::Left => columns[column] < width && is_event_time(left, columns[column]),
                Side::Right => columns[column] >= width && is_event_time(right, columns[column] - width),
            }
        }
        LogicalPlan::Union { left, right, .. } => is_event_time(left, column) && is_event_time(right, column),
        LogicalPlan::Over { input, columns, .. } => {
            columns.get(column).is_some_and(|column| is_event_time(input, *column))
        }
        LogicalPlan::Values { .. } | LogicalPlan::Aggregate { .. } | LogicalPlan::Join { .. } => false,
    }
}

/// The relation whose rows, filtered and projected, a plan gives, and where its column comes from there.
fn origin(plan: &mut LogicalPlan, column: Option<usize>) -> Option<(&mut Arc<RelationRef>, Option<usize>)> {
    match plan {
        LogicalPlan::Source { relation, .. } => Some((relation, column)),
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Check { input, .. }
        | LogicalPlan::Limit { input, .. }
        | LogicalPlan::Final { input, .. } => origin(input, column),
        LogicalPlan::Project { input, items, .. } => {
            let column = column.and_then(|column| match items[column].kind {
                ExprKind::Column(column) => Some(column),
                _ => None,
            });
            origin(input, column)
        }
        LogicalPlan::Over { input, columns, .. } => {
            let column = column.and_then(|column| columns.get(column).copied());
            origin(input, column)
        }
        LogicalPlan::Values { .. }
        | LogicalPlan::Aggregate { .. }
        | LogicalPlan::Join { .. }
        | LogicalPlan::Union { .. } => None,
    }
}

/// A DATE as the time that a window takes it for.
fn as_timestamp(expr: Expr) -> Expr {
    if expr.data_type == DataType::Date { super::literal::cast_to(expr, DataType::Timestamp) } else { expr }
}

/// The position of the output column that is its rows' event time.
pub(super) fn event_time_column(plan: &LogicalPlan) -> Option<usize> {
    (0..plan.schema().fields.len()).find(|column| is_event_time(plan, *column))
}

impl Binder<'_> {
    /// WINDOW TUMBLING, or TUMBLE in FROM.
    pub(super) fn window_clause(
        &mut self,
        clause: &WindowClause,
        input: &LogicalPlan,
        scope: &mut Scope,
    ) -> Bound<Window> {
        let size = clause.size;
        if size.micros == 0 {
            return Err(self.error(ErrorCode::Type, size.span, "a window must not be empty"));
        }
        let time = match &clause.time {
            Some(time) => self.window_time(time, input, scope)?,
            None => None,
        };
        let offset_micros = clause.offset.map_or(0, |offset| offset.micros);
        let kind = WindowKind::Tumbling { size_micros: size.micros, offset_micros };
        Ok(Window { kind, time, grace_micros: clause.grace.map(|grace| grace.micros) })
    }

    /// The time of a window: `None` where it is the rows' event time anyway.
    fn window_time(
        &mut self,
        ast: &syntax::Expr,
        input: &LogicalPlan,
        scope: &mut Scope,
    ) -> Bound<Option<Expr>> {
        scope.clause = "WINDOW";
        let expr = self.expr(ast, scope)?;
        match expr.kind {
            ExprKind::RowTime => return Ok(None),
            ExprKind::Column(column) if is_event_time(input, column) => return Ok(None),
            _ => {}
        }
        if expr.data_type == DataType::BigInt {
            let error = Diagnostic::new(
                ErrorCode::Type,
                expr.span,
                "the time of a window is a TIMESTAMP, not BIGINT",
            );
            return Err(self.report(error.with_hint("declare the column as the relation's event time")));
        }
        self.coerce(expr, DataType::Timestamp).map(Some)
    }

    /// A window by a column of a source without event time: of a file in FROM the column becomes the event time
    /// of this query; of a declared relation, whose rows have the time of their arrival, it would be late at once.
    pub(super) fn settle_time(&mut self, window: &mut Window, input: &mut LogicalPlan) -> Bound<()> {
        let Some(time) = &window.time else {
            return Ok(());
        };
        let span = time.span;
        let column = match time.kind {
            ExprKind::Column(column) => Some(column),
            _ => None,
        };
        if column.is_some_and(|column| self.take_as_event_time(column, input)) {
            window.time = None;
            return Ok(());
        }
        let Some((relation, _)) = origin(input, column) else {
            return Ok(());
        };
        if relation.0.event_time.is_some() || !relation.0.is_source {
            return Ok(());
        }
        let message = format!("{} has no event time, which a window by this column needs", relation.0.name);
        let error = Diagnostic::new(ErrorCode::Argument, span, message);
        Err(self.report(error.with_hint("declare it by WATERMARK FOR or WITH (event_time = ...)")))
    }

    /// Makes a column of a file in FROM that has no event time the event time of this query.
    pub(super) fn take_as_event_time(&self, column: usize, input: &mut LogicalPlan) -> bool {
        let Some((relation, Some(column))) = origin(input, Some(column)) else {
            return false;
        };
        if relation.0.event_time.is_some() || !self.files.contains(&relation.0.id) {
            return false;
        }
        let declared = Relation { event_time: Some(column), ..Relation::clone(&relation.0) };
        *relation = Arc::new(RelationRef(Arc::new(declared)));
        true
    }

    /// The TUMBLE of a GROUP BY, and the other keys.
    pub(super) fn window_key<'q>(
        &mut self,
        keys: &'q [syntax::Expr],
        input: &LogicalPlan,
        scope: &mut Scope,
    ) -> Bound<(Option<Window>, Vec<&'q syntax::Expr>)> {
        let mut window = None;
        let mut others = Vec::with_capacity(keys.len());
        for key in keys {
            let syntax::Expr::Function(function) = key else {
                others.push(key);
                continue;
            };
            let name = function.name.to_string().to_ascii_uppercase();
            if matches!(name.as_str(), "HOP" | "SESSION" | "CUMULATE") {
                let span = self.span(key);
                return Err(self.unsupported(span, &name));
            }
            if name != "TUMBLE" {
                others.push(key);
                continue;
            }
            let call = self.open_call(key, function)?;
            if window.is_some() {
                return Err(self.error(ErrorCode::Type, call.span, "a query has one window"));
            }
            window = Some(self.tumble(&call, Some(input), scope)?);
        }
        Ok((window, others))
    }

    /// The window that a TUMBLE_START or TUMBLE_END names.
    pub(super) fn window_of_call(&mut self, call: &Call<'_>, scope: &mut Scope) -> Bound<Window> {
        self.tumble(call, None, scope)
    }

    /// `(column, INTERVAL)`. Without the input, the column is the own window's if it is its time.
    fn tumble(&mut self, call: &Call<'_>, input: Option<&LogicalPlan>, scope: &mut Scope) -> Bound<Window> {
        use syntax::FunctionArgExpr::Expr as Argument;
        let [Argument(time), Argument(size)] = call.arguments.as_slice() else {
            let message = format!("{} takes a column and an interval", call.name.to_uppercase());
            return Err(self.error(ErrorCode::Type, call.span, message));
        };
        let time = match input {
            Some(input) => self.window_time(time, input, scope),
            None => self.expr(time, scope).map(|time| Some(as_timestamp(time))),
        };
        let size = self.expr(size, scope).and_then(|size| self.fixed(&size));
        let (mut time, size_micros) = (time?, size?);
        let own_time = scope.window.as_ref().map(|window| &window.time);
        if let (None, Some(None), Some(expr)) = (input, own_time, &time) {
            let is_time = match expr.kind {
                ExprKind::RowTime => true,
                ExprKind::Column(column) => scope.event_time == Some(column),
                _ => false,
            };
            if is_time {
                time = None;
            }
        }
        let kind = WindowKind::Tumbling { size_micros, offset_micros: 0 };
        Ok(Window { kind, time, grace_micros: None })
    }

    /// A constant interval's length in microseconds.
    fn fixed(&mut self, expr: &Expr) -> Bound<i64> {
        let micros = match &expr.kind {
            ExprKind::Literal(Literal::Interval(interval)) => crate::interval::fixed_micros(*interval),
            _ => None,
        };
        match micros {
            Some(micros) if micros > 0 => Ok(micros),
            _ => Err(self.window_length(expr.span)),
        }
    }

    fn window_length(&mut self, span: Span) -> super::Reported {
        self.error(
            ErrorCode::Type,
            span,
            "the length of a window is a constant, positive interval without months",
        )
    }
}
