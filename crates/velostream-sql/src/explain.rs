//! A plan as lines of text: a tree of nodes with their expressions, keys and modes.

use crate::catalog::AggregateFunction;
use crate::plan::{
    AggregateCall, Expr, ExprKind, Frame, Interval, JoinMethod, Literal, LogicalPlan, OverCall, OverFunction,
    OverPartition, Window, WindowKind,
};
use crate::types::{DataType, Schema};
use std::fmt::Write;

/// An aggregate's name.
#[must_use]
pub fn aggregate_name(function: AggregateFunction) -> &'static str {
    match function {
        AggregateFunction::CountRows | AggregateFunction::Count => "COUNT",
        AggregateFunction::Sum => "SUM",
        AggregateFunction::Avg => "AVG",
        AggregateFunction::Min => "MIN",
        AggregateFunction::Max => "MAX",
        AggregateFunction::FirstNumber => "FIRST_NUMBER",
    }
}

/// The lines of a plan, its root first, inputs indented below.
#[must_use]
pub fn explain(plan: &LogicalPlan) -> Vec<String> {
    let mut lines = Vec::new();
    push_lines(plan, 0, &mut lines);
    lines
}

fn push_lines(plan: &LogicalPlan, depth: usize, lines: &mut Vec<String>) {
    lines.push(format!("{}{}{}", "  ".repeat(depth), describe(plan), traits(plan.schema())));
    plan.inputs().into_iter().for_each(|input| push_lines(input, depth + 1, lines));
}

fn describe(plan: &LogicalPlan) -> String {
    match plan {
        LogicalPlan::Source { relation, .. } => format!("Source {}", relation.0.name),
        LogicalPlan::Values { rows, schema } => {
            let row = |row: &Vec<Expr>| format!("({})", list(row, schema));
            format!("Values {}", rows.iter().map(row).collect::<Vec<_>>().join(", "))
        }
        LogicalPlan::Filter { input, predicate, .. } => {
            format!("Filter {}", expression(predicate, input.schema()))
        }
        LogicalPlan::Project { input, items, schema } => {
            let item = |(item, field): (&Expr, &crate::types::Field)| {
                let shown = expression(item, input.schema());
                if *shown == *field.name { shown } else { format!("{shown} AS {}", field.name) }
            };
            let items: Vec<String> = items.iter().zip(&schema.fields).map(item).collect();
            format!("Project {}", items.join(", "))
        }
        LogicalPlan::Aggregate { input, keys, window, calls, .. } => {
            aggregate(input.schema(), keys, window.as_ref(), calls)
        }
        LogicalPlan::Join { left, right, kind, method, keys, residual, .. } => {
            let condition = join_condition(left.schema(), right.schema(), keys, residual.as_ref());
            format!("{}{} on {condition}", kind.name(), join_method(*method))
        }
        LogicalPlan::Union { .. } => "Union".to_owned(),
        LogicalPlan::Over { input, partitions, .. } => format!("Over {}", over(partitions, input.schema())),
        LogicalPlan::Check { input, checks, .. } => {
            let shown: Vec<String> =
                checks.iter().map(|(check, _)| expression(check, input.schema())).collect();
            format!("Check {}", shown.join(", "))
        }
        LogicalPlan::Limit { count, .. } => format!("Limit {count}"),
        LogicalPlan::Final { .. } => "Final".to_owned(),
    }
}

/// ` within 1 second`, ` by lookup` or nothing.
#[must_use]
pub fn join_method(method: JoinMethod) -> String {
    match method {
        JoinMethod::Interval { before_micros, after_micros, .. } if before_micros == after_micros => {
            format!(" within {}", duration(after_micros))
        }
        JoinMethod::Interval { before_micros, after_micros, .. } => {
            format!(" within ({}, {})", duration(before_micros), duration(after_micros))
        }
        JoinMethod::Lookup { .. } => " by lookup".to_owned(),
        JoinMethod::Kept => String::new(),
    }
}

/// The keys and the rest of a join's condition.
#[must_use]
pub fn join_condition(
    left: &Schema,
    right: &Schema,
    keys: &[(Expr, Expr)],
    residual: Option<&Expr>,
) -> String {
    let equal =
        |(one, other): &(Expr, Expr)| format!("{} = {}", expression(one, left), expression(other, right));
    let mut conditions: Vec<String> = keys.iter().map(equal).collect();
    let both = Schema::append_only(left.fields.iter().chain(&right.fields).cloned().collect());
    conditions.extend(residual.map(|residual| expression(residual, &both)));
    if conditions.is_empty() { "TRUE".to_owned() } else { conditions.join(" AND ") }
}

fn aggregate(input: &Schema, keys: &[Expr], window: Option<&Window>, calls: &[AggregateCall]) -> String {
    let mut text = "Aggregate".to_owned();
    if !keys.is_empty() {
        let _ = write!(text, " by {}", list(keys, input));
    }
    if let Some(window) = window {
        let _ = write!(text, " window {}", window_kind(window.kind));
        if let Some(time) = &window.time {
            let _ = write!(text, " on {}", expression(time, input));
        }
        if let Some(grace) = window.grace_micros {
            let _ = write!(text, " grace {}", duration(grace));
        }
    }
    let calls: Vec<String> = calls.iter().map(|call| aggregate_call(call, input)).collect();
    if !calls.is_empty() {
        let _ = write!(text, " compute {}", calls.join(", "));
    }
    text
}

/// A kind of windows with its lengths.
#[must_use]
pub fn window_kind(kind: WindowKind) -> String {
    let (text, offset_micros) = match kind {
        WindowKind::Tumbling { size_micros, offset_micros } => {
            (format!("tumbling {}", duration(size_micros)), offset_micros)
        }
        WindowKind::Hopping { size_micros, advance_micros, offset_micros } => {
            (format!("hopping {} by {}", duration(size_micros), duration(advance_micros)), offset_micros)
        }
        WindowKind::Session { gap_micros } => (format!("session {}", duration(gap_micros)), 0),
        WindowKind::Cumulating { size_micros, step_micros, offset_micros } => {
            (format!("cumulating {} by {}", duration(size_micros), duration(step_micros)), offset_micros)
        }
    };
    if offset_micros == 0 { text } else { format!("{text} offset {}", duration(offset_micros)) }
}

fn aggregate_call(call: &AggregateCall, input: &Schema) -> String {
    let argument = call.argument.as_ref().map_or("*".to_owned(), |argument| expression(argument, input));
    let distinct = if call.distinct { "DISTINCT " } else { "" };
    let mut text = format!("{}({distinct}{argument})", aggregate_name(call.function));
    if let Some(filter) = &call.filter {
        let _ = write!(text, " FILTER ({})", expression(filter, input));
    }
    text
}

/// OVER calls by their partitions.
#[must_use]
pub fn over(partitions: &[OverPartition], input: &Schema) -> String {
    let one = |OverPartition { keys, calls }: &OverPartition| {
        let calls: Vec<String> = calls.iter().map(|call| over_call(call, input)).collect();
        let by = if keys.is_empty() { String::new() } else { format!("by {} ", list(keys, input)) };
        format!("{by}compute {}", calls.join(", "))
    };
    partitions.iter().map(one).collect::<Vec<_>>().join(", and ")
}

/// An OVER call with its frame.
fn over_call(call: &OverCall, input: &Schema) -> String {
    let mut text = match &call.function {
        OverFunction::Aggregate(call) => aggregate_call(call, input),
        OverFunction::First(argument) => format!("FIRST_VALUE({})", expression(argument, input)),
        OverFunction::Lag { argument, offset, default } => {
            let default = default.iter().map(|default| format!(", {}", expression(default, input)));
            return format!("LAG({}, {offset}{})", expression(argument, input), default.collect::<String>());
        }
    };
    match call.frame {
        Frame::Unbounded => text.push_str(" ROWS UNBOUNDED PRECEDING"),
        Frame::Rows { preceding } => {
            let _ = write!(text, " ROWS {preceding} PRECEDING");
        }
        Frame::Range { micros } => {
            let _ = write!(text, " RANGE {} PRECEDING", duration(micros));
        }
    }
    text
}

/// What an OVER function is called.
#[must_use]
pub fn over_name(function: &OverFunction) -> &'static str {
    match function {
        OverFunction::Aggregate(call) => aggregate_name(call.function),
        OverFunction::First(_) => "FIRST_VALUE",
        OverFunction::Lag { .. } => "LAG",
    }
}

/// ` [key a, b] [updating]`
fn traits(schema: &Schema) -> String {
    let mut text = String::new();
    if !schema.primary_key.is_empty() {
        let names = schema.primary_key.iter().map(|position| schema.fields[*position].name.as_ref());
        let _ = write!(text, " [key {}]", names.collect::<Vec<_>>().join(", "));
    }
    if schema.single_row {
        text.push_str(" [one row]");
    }
    if schema.updating {
        text.push_str(" [updating]");
    }
    text
}

fn list(exprs: &[Expr], input: &Schema) -> String {
    exprs.iter().map(|expr| expression(expr, input)).collect::<Vec<_>>().join(", ")
}

/// An expression over the columns of `input` as text.
#[must_use]
pub fn expression(expr: &Expr, input: &Schema) -> String {
    let show = |expr: &Expr| expression(expr, input);
    let not = |negated: bool| if negated { "NOT " } else { "" };
    match &expr.kind {
        ExprKind::Column(position) => {
            input.fields.get(*position).map_or_else(|| format!("#{position}"), |field| field.name.to_string())
        }
        ExprKind::RowTime => "ROWTIME".to_owned(),
        ExprKind::Literal(value) => literal(value, expr.data_type),
        ExprKind::Negate(operand) => format!("-{}", show(operand)),
        ExprKind::Not(operand) => format!("NOT {}", show(operand)),
        ExprKind::Binary { op, left, right } => format!("({} {} {})", show(left), op.symbol(), show(right)),
        ExprKind::IsNull { expr, negated } => format!("({} IS {}NULL)", show(expr), not(*negated)),
        ExprKind::IsTruth { expr, value, negated } => {
            let value = if *value { "TRUE" } else { "FALSE" };
            format!("({} IS {}{value})", show(expr), not(*negated))
        }
        ExprKind::Case { branches, otherwise } => {
            let mut text = "CASE".to_owned();
            for (condition, value) in branches {
                let _ = write!(text, " WHEN {} THEN {}", show(condition), show(value));
            }
            if let Some(otherwise) = otherwise {
                let _ = write!(text, " ELSE {}", show(otherwise));
            }
            text + " END"
        }
        ExprKind::Coalesce(operands) => format!("COALESCE({})", list(operands, input)),
        ExprKind::Cast { expr: operand, try_cast } => {
            let name = if *try_cast { "TRY_CAST" } else { "CAST" };
            format!("{name}({} AS {})", show(operand), expr.data_type)
        }
        ExprKind::InList { expr, list: candidates, negated } => {
            format!("({} {}IN ({}))", show(expr), not(*negated), list(candidates, input))
        }
        ExprKind::Like { expr, pattern, escape, case_insensitive, negated } => {
            let like = if *case_insensitive { "ILIKE" } else { "LIKE" };
            let escape = match escape {
                Some('\\') => String::new(),
                Some(escape) => format!(" ESCAPE '{escape}'"),
                None => " ESCAPE ''".to_owned(),
            };
            format!("({} {}{like} {}{escape})", show(expr), not(*negated), show(pattern))
        }
        ExprKind::Call { name, arguments, .. } => format!("{name}({})", list(arguments, input)),
    }
}

/// A constant as SQL writes it; its type stands with it where it is not plain.
fn literal(value: &Literal, data_type: DataType) -> String {
    match value {
        Literal::Null => "NULL".to_owned(),
        Literal::Boolean(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
        Literal::Int(value) => value.to_string(),
        Literal::BigInt(value) => value.to_string(),
        Literal::Double(value) => format!("{value:?}"),
        Literal::Decimal(digits) => decimal(*digits, data_type),
        Literal::String(text) => format!("'{}'", text.replace('\'', "''")),
        Literal::Bytes(bytes) => {
            let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            format!("X'{hex}'")
        }
        Literal::Date(_) | Literal::Time(_) | Literal::Timestamp(_) => crate::time::show(value),
        Literal::Interval(value) => interval(*value),
    }
}

fn decimal(digits: i128, data_type: DataType) -> String {
    let DataType::Decimal { scale, .. } = data_type else {
        return digits.to_string();
    };
    let (sign, scale) = (if digits < 0 { "-" } else { "" }, usize::from(scale));
    let digits = format!("{:0>width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn interval(value: Interval) -> String {
    let mut parts = Vec::new();
    for (count, unit) in [(value.months, "month"), (value.days, "day")] {
        if count != 0 {
            parts.push(counted(i64::from(count), unit));
        }
    }
    if value.micros != 0 || parts.is_empty() {
        parts.push(duration(value.micros));
    }
    format!("INTERVAL '{}'", parts.join(" "))
}

/// `1 day`, `2 days`
fn counted(count: i64, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

/// Microseconds in the largest unit that divides them.
#[must_use]
pub fn duration(micros: i64) -> String {
    let units: [(i64, &str); 4] =
        [(86_400_000_000, "day"), (3_600_000_000, "hour"), (60_000_000, "minute"), (1_000_000, "second")];
    match units.iter().find(|(size, _)| micros % size == 0 && micros != 0) {
        Some((size, unit)) => counted(micros / size, unit),
        None if micros % 1_000 == 0 => format!("{} ms", micros / 1_000),
        None => format!("{micros} us"),
    }
}
