//! The query's own window, from whichever of its spellings.

use super::call::Call;
use super::scope::Scope;
use super::{Binder, Bound};
use crate::ast::{Duration, WindowClause, WindowShape};
use crate::catalog::Relation;
use crate::diagnostic::{Diagnostic, ErrorCode};
use crate::expr::same;
use crate::plan::{Expr, ExprKind, JoinMethod, Literal, LogicalPlan, RelationRef, Side, Window, WindowKind};
use crate::types::DataType;
use sqlparser::ast as syntax;
use std::sync::Arc;

/// The windows that GROUP BY takes.
const WINDOW_KEYS: [&str; 3] = ["TUMBLE", "HOP", "SESSION"];

/// How many windows a record may be in.
const WINDOWS_PER_RECORD_MAX: i64 = 100_000;

/// Whether two windows are the same.
pub(super) fn same_window(left: &Window, right: &Window) -> bool {
    let same_time = match (&left.time, &right.time) {
        (Some(left), Some(right)) => same(left, right),
        (None, None) => true,
        _ => false,
    };
    left.kind == right.kind && same_time
}

/// Whether TUMBLE, HOP or SESSION is the name of a window of this kind.
pub(super) fn names_kind(name: &str, kind: WindowKind) -> bool {
    match kind {
        WindowKind::Tumbling { .. } => name == "TUMBLE",
        WindowKind::Hopping { .. } => name == "HOP",
        WindowKind::Session { .. } => name == "SESSION",
        WindowKind::Cumulating { .. } => false,
    }
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
    /// The window of WINDOW or FROM.
    pub(super) fn window_clause(
        &mut self,
        clause: &WindowClause,
        input: &LogicalPlan,
        scope: &mut Scope,
    ) -> Bound<Window> {
        let offset_micros = clause.offset.map_or(0, |offset| offset.micros);
        let kind = self.window_kind(clause.shape, offset_micros)?;
        let time = match &clause.time {
            Some(time) => self.window_time(time, input, scope)?,
            None => None,
        };
        Ok(Window { kind, time, grace_micros: clause.grace.map(|grace| grace.micros) })
    }

    /// The kind of a window, whose lengths must make sense.
    fn window_kind(&mut self, shape: WindowShape, offset_micros: i64) -> Bound<WindowKind> {
        let (size, step) = match shape {
            WindowShape::Tumbling { size } | WindowShape::Session { gap: size } => (size, size),
            WindowShape::Hopping { size, advance } => (size, advance),
            WindowShape::Cumulating { size, step } => (size, step),
        };
        if size.micros == 0 {
            return Err(self.error(ErrorCode::Type, size.span, "a window must not be empty"));
        }
        if step.micros == 0 {
            return Err(self.error(ErrorCode::Type, step.span, "windows must advance"));
        }
        if step.micros > size.micros {
            let message = "windows must not be further apart than they are long";
            return Err(self.error(ErrorCode::Type, step.span, message));
        }
        if size.micros / step.micros > WINDOWS_PER_RECORD_MAX {
            let message = format!("a record would be in more than {WINDOWS_PER_RECORD_MAX} windows");
            return Err(self.error(ErrorCode::Limit, step.span, message));
        }
        let (size_micros, step_micros) = (size.micros, step.micros);
        Ok(match shape {
            WindowShape::Tumbling { .. } => WindowKind::Tumbling { size_micros, offset_micros },
            WindowShape::Hopping { .. } => {
                WindowKind::Hopping { size_micros, advance_micros: step_micros, offset_micros }
            }
            WindowShape::Session { .. } => WindowKind::Session { gap_micros: size_micros },
            WindowShape::Cumulating { .. } if size_micros % step_micros != 0 => {
                let message = "the size of a cumulating window must be a multiple of its step";
                return Err(self.error(ErrorCode::Type, size.span, message));
            }
            WindowShape::Cumulating { .. } => {
                WindowKind::Cumulating { size_micros, step_micros, offset_micros }
            }
        })
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

    /// The TUMBLE, HOP or SESSION of a GROUP BY, and the other keys.
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
            if name == "CUMULATE" {
                let error = crate::parse::unsupported(self.span(key), "CUMULATE in GROUP BY");
                return Err(self.report(error.with_hint("FROM TABLE(CUMULATE(...))")));
            }
            if !WINDOW_KEYS.contains(&name.as_str()) {
                others.push(key);
                continue;
            }
            let call = self.open_call(key, function)?;
            if window.is_some() {
                return Err(self.error(ErrorCode::Type, call.span, "a query has one window"));
            }
            window = Some(self.window_of_call(&name, &call, Some(input), scope)?);
        }
        Ok((window, others))
    }

    /// `TUMBLE(column, size)`, `HOP(column, slide, size)` or `SESSION(column, gap)`; `name` says which. Without the
    /// input, the column is the own window's if it is its time.
    pub(super) fn window_of_call(
        &mut self,
        name: &str,
        call: &Call<'_>,
        input: Option<&LogicalPlan>,
        scope: &mut Scope,
    ) -> Bound<Window> {
        use syntax::FunctionArgExpr::Expr as Argument;
        let (time, lengths) = match call.arguments.as_slice() {
            [Argument(time), Argument(slide), Argument(size)] if name == "HOP" => (time, [slide, size]),
            [Argument(time), Argument(size)] if name != "HOP" => (time, [size, size]),
            _ => {
                let intervals = if name == "HOP" { "two intervals, slide and size" } else { "an interval" };
                let message = format!("{} takes a column and {intervals}", call.name.to_uppercase());
                return Err(self.error(ErrorCode::Type, call.span, message));
            }
        };
        let time = match input {
            Some(input) => self.window_time(time, input, scope),
            None => self.expr(time, scope).map(|time| own_time(as_timestamp(time), scope)),
        };
        let lengths = lengths.map(|length| self.expr(length, scope).and_then(|length| self.fixed(&length)));
        let (time, [step, size]) = (time?, lengths);
        let (step, size) = (step?, size?);
        let shape = match name {
            "HOP" => WindowShape::Hopping { size, advance: step },
            "SESSION" => WindowShape::Session { gap: size },
            _ => WindowShape::Tumbling { size },
        };
        Ok(Window { kind: self.window_kind(shape, 0)?, time, grace_micros: None })
    }

    /// A constant interval's length.
    fn fixed(&mut self, expr: &Expr) -> Bound<Duration> {
        let micros = match &expr.kind {
            ExprKind::Literal(Literal::Interval(interval)) => crate::interval::fixed_micros(*interval),
            _ => None,
        };
        match micros {
            Some(micros) if micros > 0 => Ok(Duration { micros, span: expr.span }),
            _ => {
                let message = "the length of a window is a constant, positive interval without months";
                Err(self.error(ErrorCode::Type, expr.span, message))
            }
        }
    }

    /// The keys of a SESSION's PARTITION BY are those of the GROUP BY: sessions are of the groups' keys.
    pub(super) fn check_partition(
        &mut self,
        clause: &WindowClause,
        keys: &[Expr],
        scope: &mut Scope,
    ) -> Bound<()> {
        if clause.partition.is_empty() {
            return Ok(());
        }
        scope.clause = "PARTITION BY";
        let partition = self.exprs(&clause.partition, scope)?;
        let holds = |keys: &[Expr], key: &Expr| keys.iter().any(|known| same(known, key));
        if partition.iter().all(|key| holds(keys, key)) && keys.iter().all(|key| holds(&partition, key)) {
            return Ok(());
        }
        let error = crate::parse::unsupported(clause.span, "PARTITION BY other keys than those of GROUP BY");
        Err(self.report(error.with_hint("GROUP BY the same columns, window_start, window_end")))
    }
}

/// The time that a call in SELECT names: `None` where it is the event time and the own window's is too.
fn own_time(time: Expr, scope: &Scope) -> Option<Expr> {
    let by_event_time = scope.window.as_ref().is_some_and(|window| window.time.is_none());
    let is_event_time = match time.kind {
        ExprKind::RowTime => true,
        ExprKind::Column(column) => scope.event_time == Some(column),
        _ => false,
    };
    (!by_event_time || !is_event_time).then_some(time)
}
