//! OVER calls, and the step from a SELECT's items to expressions over the columns that the calls give.
//!
//! Items are first bound over the input, with an OVER call standing as a column far beyond the input's. What a
//! call reads is a plain column: the input's, or a helper that a projection below computes. When all items are
//! known, [`Binder::overs`] makes the node of all calls and gives every item its columns.

use super::call::Call;
use super::later;
use super::scope::Scope;
use super::window::is_event_time;
use super::{Binder, Bound, Reported, name_of, names, schema};
use crate::ast::Name;
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::expr::{children, map_columns, same};
use crate::plan::{
    AggregateCall, Expr, ExprKind, Frame, JoinMethod, Literal, LogicalPlan, OverCall, OverFunction,
    OverPartition, Side,
};
use crate::types::{DataType, Field, Schema};
use sqlparser::ast as syntax;
use std::sync::Arc;

/// The first of the positions that stand for OVER calls.
pub(super) const FIRST_OVER: usize = 1 << 26;

/// What stands behind OVER alone, besides the aggregates.
const WINDOW_FUNCTIONS: [&str; 4] = ["ROW_NUMBER", "LAG", "FIRST_VALUE", "LAST_VALUE"];

/// The OVER calls of a query while it is bound.
#[derive(Default)]
pub(super) struct Overs {
    /// The windows that the query names.
    named: Vec<(Name, syntax::WindowSpec)>,
    /// Whether the place is inside one.
    inside: bool,
    /// Expressions over the input that calls read; they stand behind the input's columns.
    helpers: Vec<Expr>,
    /// The PARTITION BYs, each once.
    partitions: Vec<Vec<Expr>>,
    /// The calls, each once, with the PARTITION BY of each.
    calls: Vec<(usize, OverCall)>,
    /// The columns that OVER was ordered by.
    orders: Vec<Expr>,
    /// The place of the first call.
    first: Option<Span>,
}

impl Overs {
    /// Takes the windows that a SELECT names.
    pub(super) fn set_names(&mut self, named: &[(Name, syntax::WindowSpec)]) {
        self.named = named.to_vec();
    }
}

/// What OVER says of the rows of a call.
struct Specification {
    partition: Vec<Expr>,
    frame: Frame,
}

type Items = Vec<(Expr, Arc<str>)>;

/// Whether a plan's rows come in the order of their event times, but for late ones.
pub(super) fn is_in_order(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Source { relation, .. } => relation.0.in_order,
        LogicalPlan::Values { .. } => true,
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Project { input, .. }
        | LogicalPlan::Check { input, .. }
        | LogicalPlan::Limit { input, .. }
        | LogicalPlan::Over { input, .. } => is_in_order(input),
        LogicalPlan::Join { left, right, method: JoinMethod::Lookup { stream }, .. } => match stream {
            Side::Left => is_in_order(left),
            Side::Right => is_in_order(right),
        },
        LogicalPlan::Final { input, .. } => is_in_order(input) || closes_in_order(input),
        _ => false,
    }
}

/// Whether rows that become final do so in the order of their event times.
fn closes_in_order(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate { window, .. } => window.is_some(),
        LogicalPlan::Over { .. } => true,
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Project { input, .. }
        | LogicalPlan::Check { input, .. } => closes_in_order(input),
        _ => false,
    }
}

/// Whether the rows of its frame make a difference to a call; those of the others have their places in the partition.
fn depends_on_frame(call: &Call<'_>) -> bool {
    !["ROW_NUMBER", "LAG"].iter().any(|name| call.name.eq_ignore_ascii_case(name))
}

impl Binder<'_> {
    /// A call with OVER.
    pub(super) fn over_call(
        &mut self,
        ast: &syntax::Expr,
        function: &syntax::Function,
        window: &syntax::WindowType,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        let call = self.call_parts(ast, function)?;
        let name = call.name.to_ascii_uppercase();
        self.check_over_name(&name, &call)?;
        let misplaced = match scope.clause {
            _ if scope.overs.inside => Some("inside OVER".to_owned()),
            _ if scope.aggregates.inside => Some("inside an aggregate".to_owned()),
            "SELECT" => None,
            clause => Some(format!("in {clause}")),
        };
        if let Some(place) = misplaced {
            let message = format!("OVER cannot stand {place}");
            let error = Diagnostic::new(ErrorCode::Type, call.span, message);
            return Err(self.report(error.with_hint("compute it in a subquery")));
        }
        scope.overs.first.get_or_insert(call.span);
        scope.overs.inside = true;
        let aggregates_allowed = std::mem::replace(&mut scope.aggregates.allowed, false);
        let clause = std::mem::replace(&mut scope.clause, "OVER");
        let specification = self.specification(window, &call, scope);
        let bound = match (name.as_str(), specification) {
            (_, Err(reported)) => Err(reported),
            ("ROW_NUMBER" | "LAG" | "FIRST_VALUE" | "LAST_VALUE", Ok(specification)) => {
                self.row_call(&name, &call, specification, scope)
            }
            (_, Ok(specification)) => self.aggregate_over(&name, &call, specification, scope),
        };
        scope.clause = clause;
        scope.aggregates.allowed = aggregates_allowed;
        scope.overs.inside = false;
        bound
    }

    /// Refuses names that no OVER call has.
    fn check_over_name(&mut self, name: &str, call: &Call<'_>) -> Bound<()> {
        if super::aggregate::is_aggregate(name) {
            return Ok(());
        }
        if WINDOW_FUNCTIONS.contains(&name) {
            if !call.distinct && call.filter.is_none() {
                return Ok(());
            }
            let message = format!("{name} is not an aggregate");
            return Err(self.error(ErrorCode::Type, call.name_span, message));
        }
        if later::has(later::AGGREGATES, name) || later::has(later::WINDOW_FUNCTIONS, name) {
            return Err(self.unsupported(call.name_span, &format!("{name} OVER")));
        }
        let message = format!("{name} cannot stand before OVER");
        Err(self.error(ErrorCode::Type, call.name_span, message))
    }

    /// PARTITION BY, ORDER BY and the frame, those of a named window included.
    fn specification(
        &mut self,
        window: &syntax::WindowType,
        call: &Call<'_>,
        scope: &mut Scope,
    ) -> Bound<Specification> {
        let mut spec = match window {
            syntax::WindowType::WindowSpec(spec) => spec.clone(),
            syntax::WindowType::NamedWindow(name) => self.named_window(&name_of(name), scope)?,
        };
        if let Some(name) = spec.window_name.take() {
            let base = self.named_window(&name_of(&name), scope)?;
            let twice = !spec.partition_by.is_empty()
                || !spec.order_by.is_empty() && !base.order_by.is_empty()
                || spec.window_frame.is_some() && base.window_frame.is_some();
            if twice {
                let message = format!("OVER says again what the window {name} says");
                return Err(self.error(ErrorCode::Type, call.span, message));
            }
            spec.partition_by = base.partition_by;
            spec.order_by.extend(base.order_by);
            spec.window_frame = spec.window_frame.or(base.window_frame);
        }
        self.order(&spec.order_by, scope)?;
        let mut partition: Vec<Expr> = Vec::with_capacity(spec.partition_by.len());
        for key in self.exprs(&spec.partition_by, scope)? {
            let key = self.over_column(key, scope)?;
            if !partition.iter().any(|known| same(known, &key)) {
                partition.push(key);
            }
        }
        let frame = match &spec.window_frame {
            Some(frame) => self.frame(frame, call.span, scope)?,
            None if spec.order_by.is_empty() && depends_on_frame(call) => {
                let message = "OVER without ORDER BY, which is over the whole partition, is not supported";
                let error = Diagnostic::new(ErrorCode::Unsupported, call.span, message);
                let hint = "add ORDER BY the time column for values up to each row, or use GROUP BY";
                return Err(self.report(error.with_hint(hint)));
            }
            None => Frame::Unbounded,
        };
        Ok(Specification { partition, frame })
    }

    /// The window of a name. Its own base is resolved with it.
    fn named_window(&mut self, name: &Name, scope: &Scope) -> Bound<syntax::WindowSpec> {
        let named = &scope.overs.named;
        let Some((_, spec)) = named.iter().find(|(known, _)| names(name, &known.value)) else {
            let message = format!("no window \"{}\" in this query", name.value);
            let known: Vec<Arc<str>> = named.iter().map(|(known, _)| Arc::clone(&known.value)).collect();
            return Err(self.unknown(name, message, known.iter().map(AsRef::as_ref)));
        };
        if spec.window_name.is_some() {
            return Err(self.unsupported(name.span, "a named window over another"));
        }
        Ok(spec.clone())
    }

    /// ORDER BY inside OVER: the event time, ascending. Which column that is, is checked when FROM is settled.
    fn order(&mut self, order_by: &[syntax::OrderByExpr], scope: &mut Scope) -> Bound<()> {
        let Some((first, others)) = order_by.split_first() else {
            return Ok(());
        };
        if first.options.sort != Some(syntax::OrderBySort::Asc) && first.options.sort.is_some() {
            let span = self.span(&first.expr);
            return Err(self.unordered(span, "OVER is ordered by event time, ascending"));
        }
        if let Some(other) = others.first() {
            let span = self.span(&other.expr);
            return Err(self.unordered(span, "OVER is ordered by event time alone; ties follow the sequence"));
        }
        let expr = self.expr(&first.expr, scope)?;
        match expr.kind {
            ExprKind::RowTime => {}
            ExprKind::Column(column) if column < scope.schema.fields.len() => scope.overs.orders.push(expr),
            _ => return Err(self.unordered(expr.span, "OVER is ordered by event time")),
        }
        Ok(())
    }

    fn unordered(&mut self, span: Span, message: &str) -> Reported {
        let error = Diagnostic::new(ErrorCode::Unsupported, span, message);
        self.report(error.with_hint("ORDER BY the declared time column or ROWTIME"))
    }

    fn frame(&mut self, frame: &syntax::WindowFrame, span: Span, scope: &mut Scope) -> Bound<Frame> {
        use syntax::{WindowFrameBound as Bound, WindowFrameUnits as Units};
        if !matches!(frame.end_bound, None | Some(Bound::CurrentRow)) {
            return Err(self.unsupported(span, "a frame that does not end at CURRENT ROW"));
        }
        match (frame.units, &frame.start_bound) {
            (Units::Groups, _) => Err(self.unsupported(span, "GROUPS in a frame")),
            (_, Bound::Following(_)) => Err(self.unsupported(span, "a frame that begins at FOLLOWING")),
            (_, Bound::Preceding(None)) => Ok(Frame::Unbounded),
            (Units::Rows, Bound::CurrentRow) => Ok(Frame::Rows { preceding: 0 }),
            (Units::Range, Bound::CurrentRow) => Ok(Frame::Range { micros: 0 }),
            (Units::Rows, Bound::Preceding(Some(count))) => {
                let count = self.expr(count, scope)?;
                let preceding = self.row_count(&count, "ROWS takes")?;
                Ok(Frame::Rows { preceding })
            }
            (Units::Range, Bound::Preceding(Some(length))) => {
                let length = self.expr(length, scope)?;
                let micros = match &length.kind {
                    ExprKind::Literal(Literal::Interval(length)) => crate::interval::fixed_micros(*length),
                    _ => None,
                };
                match micros.filter(|micros| *micros >= 0) {
                    Some(micros) => Ok(Frame::Range { micros }),
                    None => {
                        let message = "RANGE takes a constant interval without months";
                        Err(self.error(ErrorCode::Type, length.span, message))
                    }
                }
            }
        }
    }

    /// A constant number of rows; `what` begins the message.
    fn row_count(&mut self, expr: &Expr, what: &str) -> Bound<u32> {
        let count = match expr.kind {
            ExprKind::Literal(Literal::Int(count)) => u32::try_from(count).ok(),
            ExprKind::Literal(Literal::BigInt(count)) => u32::try_from(count).ok(),
            _ => None,
        };
        count.ok_or_else(|| {
            let message = format!("{what} a constant number of rows that is not negative");
            self.error(ErrorCode::Type, expr.span, message)
        })
    }

    /// ROW_NUMBER, LAG, FIRST_VALUE, LAST_VALUE.
    fn row_call(
        &mut self,
        name: &str,
        call: &Call<'_>,
        specification: Specification,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        let mut arguments = self.arguments(call, scope)?;
        let takes = match (name, arguments.len()) {
            ("ROW_NUMBER", 0) | ("FIRST_VALUE" | "LAST_VALUE", 1) | ("LAG", 1..=3) => None,
            ("ROW_NUMBER", _) => Some("no argument"),
            ("LAG", _) => Some("an expression, a number of rows and a default"),
            _ => Some("one argument"),
        };
        if let Some(takes) = takes {
            return Err(self.error(ErrorCode::Type, call.span, format!("{name} takes {takes}")));
        }
        match name {
            "ROW_NUMBER" => {
                let count = self.resolve("COUNT", call, None, None, true)?;
                let specification = Specification { frame: Frame::Unbounded, ..specification };
                Ok(Self::over_result(OverFunction::Aggregate(count), specification, call.span, scope))
            }
            "LAG" => self.lag(arguments, call, specification, scope),
            _ => {
                let argument = arguments.pop().expect("one argument");
                let argument = self.column_value(argument)?;
                if name == "LAST_VALUE" {
                    return Ok(argument);
                }
                let function = OverFunction::First(self.over_column(argument, scope)?);
                Ok(Self::over_result(function, specification, call.span, scope))
            }
        }
    }

    fn lag(
        &mut self,
        mut arguments: Vec<Expr>,
        call: &Call<'_>,
        specification: Specification,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        let offset = match arguments.get(1) {
            Some(offset) => self.row_count(&offset.clone(), "LAG goes back by")?,
            None => 1,
        };
        if arguments.len() > 1 {
            arguments.remove(1);
        }
        self.unify(&mut arguments, "LAG gives")?;
        let default = if arguments.len() > 1 { arguments.pop() } else { None };
        let argument = arguments.pop().expect("LAG has an argument");
        let argument = self.column_value(argument)?;
        if offset == 0 {
            return Ok(argument);
        }
        let argument = self.over_column(argument, scope)?;
        let default = default.map(|default| self.over_column(default, scope)).transpose()?;
        let specification = Specification { frame: Frame::Unbounded, ..specification };
        let function = OverFunction::Lag { argument, offset, default };
        Ok(Self::over_result(function, specification, call.span, scope))
    }

    fn aggregate_over(
        &mut self,
        name: &str,
        call: &Call<'_>,
        specification: Specification,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        let argument = self.aggregate_argument(name, call, scope);
        let filter = call.filter.map(|filter| {
            let filter = self.expr(filter, scope)?;
            self.boolean_operand(filter, "FILTER")
        });
        let (argument, filter) = (argument?, filter.transpose()?);
        let resolved = self.resolve(name, call, argument, filter, true)?;
        let AggregateCall { argument, filter, .. } = resolved;
        let argument = argument.map(|argument| self.over_column(argument, scope)).transpose()?;
        let filter = filter.map(|filter| self.over_column(filter, scope)).transpose()?;
        let function = OverFunction::Aggregate(AggregateCall { argument, filter, ..resolved });
        Ok(Self::over_result(function, specification, call.span, scope))
    }

    /// The column that gives an expression over the input: its own, or a helper's.
    fn over_column(&mut self, expr: Expr, scope: &mut Scope) -> Bound<Expr> {
        let expr = self.column_value(expr)?;
        self.check_over_input(&expr, expr.span, "OVER")?;
        let width = scope.schema.fields.len();
        if matches!(expr.kind, ExprKind::Column(_)) {
            return Ok(expr);
        }
        let helpers = &mut scope.overs.helpers;
        let known = helpers.iter().position(|known| same(known, &expr));
        let (data_type, nullable, span) = (expr.data_type, expr.nullable, expr.span);
        let index = known.unwrap_or_else(|| {
            helpers.push(expr);
            helpers.len() - 1
        });
        Ok(Expr { kind: ExprKind::Column(width + index), data_type, nullable, span })
    }

    /// The column that stands for a call, shared with an equal one.
    fn over_result(
        function: OverFunction,
        specification: Specification,
        span: Span,
        scope: &mut Scope,
    ) -> Expr {
        let Specification { partition, frame } = specification;
        let (data_type, nullable) = match &function {
            OverFunction::Aggregate(call) => (call.data_type, call.nullable),
            OverFunction::First(argument) => (argument.data_type, argument.nullable),
            OverFunction::Lag { argument, default, .. } => {
                let default_is_null = default.as_ref().is_none_or(|default| default.nullable);
                (argument.data_type, argument.nullable || default_is_null)
            }
        };
        let overs = &mut scope.overs;
        let same_keys = |known: &Vec<Expr>| {
            known.len() == partition.len() && known.iter().zip(&partition).all(|(a, b)| same(a, b))
        };
        let place = overs.partitions.iter().position(same_keys).unwrap_or_else(|| {
            overs.partitions.push(partition);
            overs.partitions.len() - 1
        });
        let call = OverCall { function, frame, data_type, nullable };
        let same_call = |(at, known): &(usize, OverCall)| *at == place && is_same_call(known, &call);
        let index = overs.calls.iter().position(same_call).unwrap_or_else(|| {
            overs.calls.push((place, call));
            overs.calls.len() - 1
        });
        Expr { kind: ExprKind::Column(FIRST_OVER + index), data_type, nullable, span }
    }

    /// Refuses OVER beside groups.
    pub(super) fn check_overs(&mut self, scope: &Scope, aggregated: bool) -> Bound<()> {
        match scope.overs.first {
            Some(span) if aggregated => {
                let error = crate::parse::unsupported(span, "OVER beside GROUP BY or aggregates");
                Err(self.report(error.with_hint("group in a subquery or a derived stream")))
            }
            _ => Ok(()),
        }
    }

    /// The nodes of the calls over the input, and the items over their columns.
    pub(super) fn overs(
        &mut self,
        mut input: LogicalPlan,
        items: Items,
        scope: Scope,
    ) -> Bound<(LogicalPlan, Items)> {
        let Some(span) = scope.overs.first else {
            return Ok((input, items));
        };
        self.settle_orders(&scope.overs.orders, &mut input)?;
        if !self.options.snapshot
            && let Some(operator) = schema::updating_operator(&input)
        {
            let message = format!("OVER needs rows that are only appended, but {operator} updates them");
            return Err(self.error(ErrorCode::Updating, span, message));
        }
        let Overs { helpers, mut partitions, mut calls, .. } = scope.overs;
        if calls.is_empty() {
            // LAST_VALUE is its argument, but late rows are left out all the same.
            partitions = vec![Vec::new()];
            calls.push((0, OverCall::count_of_one()));
        }
        let width = input.schema().fields.len();
        let input = with_helpers(input, helpers);
        let mut places = vec![0; calls.len()];
        let mut next = input.schema().fields.len();
        let mut by_keys: Vec<OverPartition> = Vec::with_capacity(partitions.len());
        for (at, keys) in partitions.into_iter().enumerate() {
            let own = calls.iter().zip(&mut places).filter(|((of, _), _)| *of == at);
            let own = own.map(|((_, call), place)| {
                *place = next;
                next += 1;
                call.clone()
            });
            by_keys.push(OverPartition { calls: own.collect(), keys });
        }
        let plan = over(input, by_keys);
        let place = |column: usize| match column.checked_sub(FIRST_OVER) {
            Some(index) => places[index],
            None => {
                debug_assert!(column < width, "items read the input and calls");
                column
            }
        };
        let items: Items =
            items.into_iter().map(|(item, name)| (map_columns(item, &mut { place }), name)).collect();
        if plan.schema().updating {
            for (item, _) in &items {
                self.refuse_volatile_calls(item)?;
            }
        }
        Ok((plan, items))
    }

    /// Checks that OVER is ordered by event time; a column of a file in FROM becomes it.
    fn settle_orders(&mut self, orders: &[Expr], input: &mut LogicalPlan) -> Bound<()> {
        for order in orders {
            let ExprKind::Column(column) = order.kind else { continue };
            let is_window_end = input.schema().window.is_some_and(|(_, end)| end == column);
            if !is_window_end && !is_event_time(input, column) && !self.take_as_event_time(column, input) {
                let name = &input.schema().fields[column].name;
                let message = format!("OVER is ordered by event time, and {name} is not");
                return Err(self.unordered(order.span, &message));
            }
        }
        Ok(())
    }

    fn refuse_volatile_calls(&mut self, expr: &Expr) -> Bound<()> {
        if let ExprKind::Call { function, name, .. } = &expr.kind
            && self.volatile.contains(function)
        {
            return Err(self.refuse_volatile(name, expr.span));
        }
        children(expr).into_iter().try_for_each(|operand| self.refuse_volatile_calls(operand))
    }
}

fn is_same_call(left: &OverCall, right: &OverCall) -> bool {
    let same_columns = left.function.columns().count() == right.function.columns().count()
        && left.function.columns().zip(right.function.columns()).all(|(left, right)| same(left, right));
    let same_function = match (&left.function, &right.function) {
        (OverFunction::Aggregate(left), OverFunction::Aggregate(right)) => {
            left.function == right.function
                && left.distinct == right.distinct
                && left.argument.is_some() == right.argument.is_some()
        }
        (OverFunction::First(_), OverFunction::First(_)) => true,
        (OverFunction::Lag { offset: left, .. }, OverFunction::Lag { offset: right, .. }) => left == right,
        _ => false,
    };
    same_function && same_columns && left.frame == right.frame
}

/// The input with the helpers behind its columns.
fn with_helpers(input: LogicalPlan, helpers: Vec<Expr>) -> LogicalPlan {
    if helpers.is_empty() {
        return input;
    }
    let fields = &input.schema().fields;
    let column = |(position, field): (usize, &Field)| Expr {
        kind: ExprKind::Column(position),
        data_type: field.data_type,
        nullable: field.nullable,
        span: Span::default(),
    };
    let mut items: Vec<Expr> = fields.iter().enumerate().map(column).collect();
    let mut names: Vec<Arc<str>> = fields.iter().map(|field| Arc::clone(&field.name)).collect();
    names.extend((1..=helpers.len()).map(|number| Arc::from(format!("over_{number}"))));
    items.extend(helpers);
    let schema = schema::project(input.schema(), schema::unique(names), &items);
    LogicalPlan::Project { input: Box::new(input), items, schema: Arc::new(schema) }
}

/// The calls over an input, all of whose columns are shown.
fn over(input: LogicalPlan, partitions: Vec<OverPartition>) -> LogicalPlan {
    let below = input.schema();
    let columns: Vec<usize> = (0..below.fields.len()).collect();
    let calls = || partitions.iter().flat_map(|partition| &partition.calls);
    let mut names: Vec<Arc<str>> = below.fields.iter().map(|field| Arc::clone(&field.name)).collect();
    names.extend(calls().map(|call| crate::explain::over_name(&call.function).to_ascii_lowercase().into()));
    let mut types: Vec<(DataType, bool)> =
        below.fields.iter().map(|field| (field.data_type, field.nullable)).collect();
    types.extend(calls().map(|call| (call.data_type, call.nullable)));
    let named = schema::unique(names).into_iter().zip(types);
    let fields = named.map(|(name, (data_type, nullable))| Field::new(name, data_type, nullable)).collect();
    let updating = below.updating || !is_in_order(&input);
    let schema = Arc::new(Schema { fields, updating, ..Schema::clone(below) });
    LogicalPlan::Over { input: Box::new(input), columns, partitions, schema }
}
