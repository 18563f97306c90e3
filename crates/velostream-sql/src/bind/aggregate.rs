//! Aggregate calls, and the step from expressions over the input to expressions over the groups.
//!
//! SELECT and HAVING are first bound over the input, with an aggregate call standing as a column far beyond
//! the input's. When all calls and keys are known, [`over_groups`] turns each part that is a key, a call or a
//! window bound into its column of the aggregate; a column that is left over is not grouped.

use super::call::Call;
use super::over::FIRST_OVER;
use super::scope::{Scope, WINDOW_END, WINDOW_START};
use super::{Binder, Bound, types};
use crate::catalog::AggregateFunction;
use crate::diagnostic::{ErrorCode, Span};
use crate::expr::{for_each_column, same, try_map_children};
use crate::plan::{AggregateCall, Expr, ExprKind};
use crate::types::DataType;
use sqlparser::ast as syntax;

/// The first of the positions that stand for aggregate calls.
const FIRST_CALL: usize = 1 << 24;

/// The aggregates of this build.
pub const NAMES: [&str; 5] = ["COUNT", "SUM", "AVG", "MIN", "MAX"];

/// Whether a name, in capitals, is one of them.
pub(super) fn is_aggregate(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The aggregate calls of a query while it is bound.
#[derive(Default)]
pub(super) struct Aggregates {
    /// Whether they may stand at this place.
    pub allowed: bool,
    /// Whether the place is inside one.
    pub inside: bool,
    /// Whether the query has keys, so that a group is never empty.
    pub grouped: bool,
    /// The calls so far, each once.
    pub calls: Vec<AggregateCall>,
}

impl Aggregates {
    /// The column that stands for a call, shared with an equal one.
    fn placeholder(&mut self, call: AggregateCall) -> usize {
        let known = self.calls.iter().position(|known| same_call(known, &call));
        FIRST_CALL
            + known.unwrap_or_else(|| {
                self.calls.push(call);
                self.calls.len() - 1
            })
    }
}

fn same_call(left: &AggregateCall, right: &AggregateCall) -> bool {
    let same_optional = |left: &Option<Expr>, right: &Option<Expr>| match (left, right) {
        (Some(left), Some(right)) => same(left, right),
        (None, None) => true,
        _ => false,
    };
    left.function == right.function
        && left.distinct == right.distinct
        && same_optional(&left.argument, &right.argument)
        && same_optional(&left.filter, &right.filter)
}

impl Binder<'_> {
    /// An aggregate call in SELECT or HAVING.
    pub(super) fn aggregate_call(&mut self, name: &str, call: &Call<'_>, scope: &mut Scope) -> Bound<Expr> {
        if scope.aggregates.inside {
            return Err(self.error(
                ErrorCode::Type,
                call.span,
                "an aggregate cannot stand inside an aggregate",
            ));
        }
        if !scope.aggregates.allowed {
            let message = format!("an aggregate cannot stand in {}", scope.clause);
            return Err(self.error(ErrorCode::Type, call.span, message));
        }
        scope.aggregates.inside = true;
        let argument = self.aggregate_argument(name, call, scope);
        let filter = call.filter.map(|filter| {
            let filter = self.expr(filter, scope)?;
            self.boolean_operand(filter, "FILTER")
        });
        scope.aggregates.inside = false;
        let (argument, filter) = (argument?, filter.transpose()?);
        for expr in argument.iter().chain(&filter) {
            self.check_over_input(expr, call.span, "an aggregate")?;
        }
        let aggregate = self.resolve(name, call, argument, filter, scope.aggregates.grouped)?;
        let (data_type, nullable) = (aggregate.data_type, aggregate.nullable);
        let kind = ExprKind::Column(scope.aggregates.placeholder(aggregate));
        Ok(Expr { kind, data_type, nullable, span: call.span })
    }

    /// The argument, `None` for `*`.
    pub(super) fn aggregate_argument(
        &mut self,
        name: &str,
        call: &Call<'_>,
        scope: &mut Scope,
    ) -> Bound<Option<Expr>> {
        use syntax::FunctionArgExpr as Argument;
        match call.arguments.as_slice() {
            [Argument::Wildcard] if name == "COUNT" && !call.distinct => Ok(None),
            [] if name == "COUNT" && !call.distinct => Ok(None),
            [Argument::Expr(argument)] => {
                let argument = self.expr(argument, scope)?;
                Ok(Some(self.typed(argument)))
            }
            [_, _, ..] if name == "COUNT" && call.distinct => {
                Err(self.unsupported(call.span, "COUNT(DISTINCT ...) of several columns"))
            }
            _ => {
                let takes = if name == "COUNT" { "one argument or *" } else { "one argument" };
                Err(self.error(ErrorCode::Type, call.span, format!("{name} takes {takes}")))
            }
        }
    }

    /// The call of an aggregate over these; `grouped` is whether there is always a row.
    pub(super) fn resolve(
        &mut self,
        name: &str,
        call: &Call<'_>,
        argument: Option<Expr>,
        filter: Option<Expr>,
        grouped: bool,
    ) -> Bound<AggregateCall> {
        let distinct = call.distinct;
        let Some(argument) = argument.filter(|argument| distinct || name != "COUNT" || !is_value(argument))
        else {
            let function = AggregateFunction::CountRows;
            let data_type = DataType::BigInt;
            return Ok(AggregateCall {
                function,
                argument: None,
                distinct,
                filter,
                data_type,
                nullable: false,
            });
        };
        let of = argument.data_type;
        let orderable = !matches!(of, DataType::Boolean | DataType::Bytes | DataType::Interval);
        let (function, data_type) = match name {
            "COUNT" if of != DataType::Interval => (AggregateFunction::Count, Some(DataType::BigInt)),
            "SUM" => (AggregateFunction::Sum, types::sum(of)),
            "AVG" => (AggregateFunction::Avg, types::average(of)),
            "MIN" => (AggregateFunction::Min, orderable.then_some(of)),
            "MAX" => (AggregateFunction::Max, orderable.then_some(of)),
            _ => (AggregateFunction::Count, None),
        };
        let Some(data_type) = data_type else {
            let message = format!("{name} does not take {of}");
            return Err(self.error(ErrorCode::Type, argument.span, message));
        };
        let counts = function == AggregateFunction::Count;
        let extreme = matches!(function, AggregateFunction::Min | AggregateFunction::Max);
        Ok(AggregateCall {
            function,
            nullable: !counts && (argument.nullable || filter.is_some() || !grouped),
            argument: Some(argument),
            distinct: distinct && !extreme,
            filter,
            data_type,
        })
    }

    /// Refuses calls and window bounds, which come through aliases too, where only the input can be read.
    pub(super) fn check_over_input(&mut self, expr: &Expr, span: Span, place: &str) -> Bound<()> {
        let (mut call, mut bound, mut over) = (false, false, false);
        for_each_column(expr, &mut |position| {
            call |= (FIRST_CALL..WINDOW_START).contains(&position);
            bound |= (WINDOW_START..FIRST_OVER).contains(&position);
            over |= position >= FIRST_OVER;
        });
        if over {
            let message = format!("OVER cannot stand inside {place}");
            return Err(self.error(ErrorCode::Type, span, message));
        }
        if call {
            let message = format!("an aggregate cannot stand inside {place}");
            return Err(self.error(ErrorCode::Type, span, message));
        }
        if bound {
            let message = format!("a bound of the query's own window inside {place}");
            return Err(self.unsupported(span, &message));
        }
        Ok(())
    }

    /// Turns an expression over the input and its placeholders into one over the aggregate's columns: keys,
    /// then the window's bounds, then calls.
    pub(super) fn over_groups(&mut self, expr: Expr, keys: &[Expr], scope: &Scope) -> Bound<Expr> {
        let first_bound = keys.len();
        let first_call = first_bound + if scope.window.is_some() { 2 } else { 0 };
        if let Some(key) = keys.iter().position(|key| same(key, &expr)) {
            return Ok(Expr { kind: ExprKind::Column(key), ..expr });
        }
        let position = match expr.kind {
            ExprKind::Column(WINDOW_START) => Some(first_bound),
            ExprKind::Column(WINDOW_END) => Some(first_bound + 1),
            ExprKind::Column(position) if position >= FIRST_CALL => Some(first_call + position - FIRST_CALL),
            ExprKind::Column(position) => {
                let name = &scope.schema.fields[position].name;
                let message = format!("column \"{name}\" must stand in GROUP BY or inside an aggregate");
                return Err(self.error(ErrorCode::Type, expr.span, message));
            }
            ExprKind::RowTime => {
                let message = "ROWTIME must stand in GROUP BY or inside an aggregate";
                return Err(self.error(ErrorCode::Type, expr.span, message));
            }
            ExprKind::Call { function, name, .. } if self.volatile.contains(&function) => {
                return Err(self.refuse_volatile(name, expr.span));
            }
            _ => None,
        };
        match position {
            Some(position) => Ok(Expr { kind: ExprKind::Column(position), ..expr }),
            None => try_map_children(expr, &mut |operand| self.over_groups(operand, keys, scope)),
        }
    }
}

/// Whether an expression is a constant that is not NULL, so that counting it counts rows.
fn is_value(expr: &Expr) -> bool {
    super::coerce::is_constant(expr) && !expr.nullable
}
