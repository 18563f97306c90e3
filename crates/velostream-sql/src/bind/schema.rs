//! Schemas of plan nodes: names of columns, and what each node does to key, window and updating.

use crate::parse::BETWEEN_SYMMETRIC;
use crate::plan::{
    AggregateCall, EmitMode, Expr, ExprKind, JoinKind, JoinMethod, LogicalPlan, Window, WindowKind,
};
use crate::types::{DataType, Field, Schema};
use sqlparser::ast as syntax;
use std::collections::HashSet;
use std::sync::Arc;

/// What an expression without a type, such as `a + 1`, is called.
const UNNAMED: &str = "?column?";

/// The name of an item without alias: its column's or its function's; PostgreSQL's rules for the rest.
pub(super) fn item_name(ast: &syntax::Expr, expr: Option<&Expr>, fields: &[Field]) -> Arc<str> {
    use syntax::Expr as E;
    if let (E::Identifier(_) | E::CompoundIdentifier(_), Some(ExprKind::Column(position))) =
        (ast, expr.map(|expr| &expr.kind))
        && let Some(field) = fields.get(*position)
    {
        return Arc::clone(&field.name);
    }
    match ast {
        E::Identifier(ident) => window_name(&ident.value),
        E::CompoundIdentifier(parts) => parts.last().map_or(UNNAMED.into(), |part| window_name(&part.value)),
        E::Nested(inner) => item_name(inner, expr, fields),
        E::Function(function) if function.name.to_string() == BETWEEN_SYMMETRIC => UNNAMED.into(),
        E::Function(function) => {
            function.name.0.last().map_or(UNNAMED.into(), |part| part.to_string().to_ascii_lowercase().into())
        }
        E::Cast { expr: operand, data_type, .. } => match &*item_name(operand, None, fields) {
            UNNAMED => data_type.to_string().to_ascii_lowercase().into(),
            name => name.into(),
        },
        E::Case { .. } => "case".into(),
        E::Extract { .. } => "extract".into(),
        E::Ceil { .. } => "ceil".into(),
        E::Floor { .. } => "floor".into(),
        E::Position { .. } => "position".into(),
        E::Substring { .. } => "substring".into(),
        E::Trim { .. } => "trim".into(),
        E::Overlay { .. } => "overlay".into(),
        _ => UNNAMED.into(),
    }
}

/// WINDOWSTART and WINDOWEND are other spellings of the columns' names.
fn window_name(spelling: &str) -> Arc<str> {
    match spelling.to_ascii_uppercase().as_str() {
        "WINDOWSTART" | "WINDOW_START" => "window_start".into(),
        "WINDOWEND" | "WINDOW_END" => "window_end".into(),
        _ => spelling.into(),
    }
}

/// The names with `_1`, `_2` behind those that were used before.
pub(super) fn unique(names: Vec<Arc<str>>) -> Vec<Arc<str>> {
    let wanted: HashSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let mut used = HashSet::new();
    let mut unique = Vec::with_capacity(names.len());
    for name in names {
        let mut chosen = Arc::clone(&name);
        let mut number = 0;
        while number > 0 && taken(&wanted, &chosen, &name) || !used.insert(chosen.to_ascii_lowercase()) {
            number += 1;
            chosen = format!("{name}_{number}").into();
        }
        unique.push(chosen);
    }
    unique
}

/// Whether a made name is one that another item has.
fn taken(wanted: &HashSet<String>, chosen: &str, name: &str) -> bool {
    !chosen.eq_ignore_ascii_case(name) && wanted.contains(&chosen.to_ascii_lowercase())
}

fn fields(names: Vec<Arc<str>>, items: &[Expr]) -> Vec<Field> {
    let pairs = names.into_iter().zip(items);
    pairs.map(|(name, item)| Field::new(name, item.data_type, item.nullable)).collect()
}

/// The schema of a projection. A key is kept where every column of it is shown as it is; where the start of a
/// window is in the key alone, the end is enough.
pub(crate) fn project(input: &Schema, names: Vec<Arc<str>>, items: &[Expr]) -> Schema {
    let shown = |column: usize| {
        items.iter().position(|item| matches!(item.kind, ExprKind::Column(at) if at == column))
    };
    let key_column = |column: &usize| {
        shown(*column).or_else(|| match input.window {
            Some((start, end)) if *column == start && !input.primary_key.contains(&end) => shown(end),
            _ => None,
        })
    };
    Schema {
        fields: fields(names, items),
        primary_key: input.primary_key.iter().map(key_column).collect::<Option<_>>().unwrap_or_default(),
        updating: input.updating,
        window: input.window.and_then(|(start, end)| Some((shown(start)?, shown(end)?))),
        single_row: input.single_row,
    }
}

/// The schema of an aggregate: keys, the window's bounds, calls.
pub(crate) fn aggregate(
    input: &Schema,
    keys: &[Expr],
    window: Option<&Window>,
    calls: &[AggregateCall],
) -> Schema {
    let key_name = |(index, key): (usize, &Expr)| match key.kind {
        ExprKind::Column(column) => Arc::clone(&input.fields[column].name),
        _ => format!("key_{}", index + 1).into(),
    };
    let mut names: Vec<Arc<str>> = keys.iter().enumerate().map(key_name).collect();
    let mut types: Vec<(DataType, bool)> = keys.iter().map(|key| (key.data_type, key.nullable)).collect();
    let mut primary_key: Vec<usize> = (0..keys.len()).collect();
    let mut bounds = None;
    if let Some(window) = window {
        let (start, end) = (keys.len(), keys.len() + 1);
        bounds = Some((start, end));
        primary_key.extend(match window.kind {
            WindowKind::Tumbling { .. } | WindowKind::Hopping { .. } => start..=start,
            WindowKind::Cumulating { .. } => end..=end,
            WindowKind::Session { .. } => start..=end,
        });
        for name in ["window_start", "window_end"] {
            names.push(name.into());
            types.push((DataType::Timestamp, false));
        }
    }
    for call in calls {
        names.push(crate::explain::aggregate_name(call.function).to_ascii_lowercase().into());
        types.push((call.data_type, call.nullable));
    }
    let named = unique(names).into_iter().zip(types);
    Schema {
        fields: named.map(|(name, (data_type, nullable))| Field::new(name, data_type, nullable)).collect(),
        single_row: primary_key.is_empty(),
        primary_key,
        updating: input.updating || !calls.is_empty() || window.is_some_and(Window::is_session),
        window: bounds,
    }
}

/// The columns of two inputs, one behind the other, without any other property.
pub(super) fn side_by_side(left: &Schema, right: &Schema) -> Schema {
    Schema::append_only(left.fields.iter().chain(&right.fields).cloned().collect())
}

/// The schema of a join, all columns of both sides.
///
/// Its rows are told apart by the keys of both sides; by one side's alone where each of its rows has one match at
/// most, because the join's keys hold the other side's primary key.
pub(crate) fn join(
    left: &Schema,
    right: &Schema,
    kind: JoinKind,
    method: JoinMethod,
    keys: &[(Expr, Expr)],
) -> Schema {
    let nullable =
        |field: &Field, is_kept: bool| Field { nullable: field.nullable || is_kept, ..field.clone() };
    let left_fields = left.fields.iter().map(|field| nullable(field, kind.keeps_right()));
    let right_fields = right.fields.iter().map(|field| nullable(field, kind.keeps_left()));
    let fields = left_fields.chain(right_fields).collect();
    let updating = match method {
        JoinMethod::Lookup { .. } => return Schema::append_only(fields),
        JoinMethod::Interval { .. } => kind != JoinKind::Inner,
        JoinMethod::Kept => left.updating || right.updating || kind != JoinKind::Inner,
    };
    let width = left.fields.len();
    let left_key = || left.primary_key.iter().copied();
    let right_key = || right.primary_key.iter().map(|position| position + width);
    let unique_right = right.has_key() && holds_key(right, keys.iter().map(|(_, right)| right));
    let unique_left = left.has_key() && holds_key(left, keys.iter().map(|(left, _)| left));
    let (primary_key, single_row) = if unique_right && !kind.keeps_right() && left.has_key() {
        (left_key().collect(), left.single_row)
    } else if unique_left && !kind.keeps_left() && right.has_key() {
        (right_key().collect(), right.single_row)
    } else if left.has_key() && right.has_key() {
        (
            left_key().chain(right_key()).collect(),
            left.single_row && right.single_row && kind != JoinKind::Full,
        )
    } else {
        (Vec::new(), false)
    };
    let right_window = right.window.map(|(start, end)| (start + width, end + width));
    let window = left.window.or(right_window);
    Schema { fields, primary_key, updating, window, single_row }
}

/// Whether a side's keys of a join hold its whole primary key.
pub(crate) fn holds_key<'e>(schema: &Schema, keys: impl Iterator<Item = &'e Expr> + Clone) -> bool {
    let is_key = |position: &usize| keys.clone().any(|key| key.kind == ExprKind::Column(*position));
    schema.primary_key.iter().all(is_key)
}

/// The schema of the rows of two inputs with the same types.
pub(crate) fn union(left: &Schema, right: &Schema) -> Schema {
    let field =
        |(left, right): (&Field, &Field)| Field { nullable: left.nullable || right.nullable, ..left.clone() };
    Schema {
        updating: left.updating || right.updating,
        ..Schema::append_only(left.fields.iter().zip(&right.fields).map(field).collect())
    }
}

/// DISTINCT: a group for every row.
pub(super) fn distinct(input: LogicalPlan) -> LogicalPlan {
    let schema = input.schema();
    let keys: Vec<Expr> = schema
        .fields
        .iter()
        .enumerate()
        .map(|(position, field)| Expr {
            kind: ExprKind::Column(position),
            data_type: field.data_type,
            nullable: field.nullable,
            span: crate::diagnostic::Span::default(),
        })
        .collect();
    let schema = Arc::new(Schema { primary_key: (0..keys.len()).collect(), ..Schema::clone(schema) });
    LogicalPlan::Aggregate { input: Box::new(input), keys, window: None, calls: Vec::new(), schema }
}

/// The plan as FINAL, if that is the mode.
pub(super) fn finalise(plan: LogicalPlan, mode: EmitMode) -> LogicalPlan {
    if mode == EmitMode::Changes {
        return plan;
    }
    let schema = Arc::new(Schema { updating: false, ..Schema::clone(plan.schema()) });
    LogicalPlan::Final { input: Box::new(plan), schema }
}

/// What makes a plan's rows updating, for messages.
pub(crate) fn updating_operator(plan: &LogicalPlan) -> Option<String> {
    if !plan.schema().updating {
        return None;
    }
    match plan {
        LogicalPlan::Source { relation, .. } => Some(format!("table {}", relation.0.name)),
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Project { input, .. }
        | LogicalPlan::Check { input, .. }
        | LogicalPlan::Limit { input, .. }
        | LogicalPlan::Final { input, .. } => updating_operator(input),
        LogicalPlan::Aggregate { window: Some(window), .. } if window.is_session() => {
            Some("SESSION".to_owned())
        }
        LogicalPlan::Aggregate { input, calls, keys, .. } => match calls.first() {
            None => updating_operator(input),
            Some(_) if !keys.is_empty() => Some("GROUP BY".to_owned()),
            Some(call) => Some(crate::explain::aggregate_name(call.function).to_owned()),
        },
        LogicalPlan::Join { left, right, kind, .. } => updating_operator(left)
            .or_else(|| updating_operator(right))
            .or_else(|| Some(kind.name().to_owned())),
        LogicalPlan::Union { left, right, .. } => {
            updating_operator(left).or_else(|| updating_operator(right))
        }
        LogicalPlan::Over { input, .. } => {
            let disorder = || "OVER over rows that can come out of order".to_owned();
            Some(updating_operator(input).unwrap_or_else(disorder))
        }
        LogicalPlan::Values { .. } => None,
    }
}
