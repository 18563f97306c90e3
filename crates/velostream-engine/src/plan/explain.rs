//! The physical plan as text, and its fingerprint.

use super::{Input, JoinPlan, Origin, PhysicalPlan};
use crate::operators::aggregate::AggregateSpec;
use crate::operators::join::JoinSpec;
use velostream_sql::explain::{
    aggregate_name, duration, expression, join_condition, join_method, window_kind,
};
use velostream_sql::plan::{Expr, JoinKind, LogicalPlan, Side};
use velostream_sql::types::Schema;

/// The names of some columns.
pub(super) fn names(schema: &Schema, positions: &[usize]) -> String {
    let name = |&position: &usize| schema.fields[position].name.to_string();
    positions.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The line of a filter, a projection or both.
pub(super) fn map_line(
    predicate: Option<&Expr>,
    items: Option<&Vec<Expr>>,
    input: &Schema,
    output: &Schema,
) -> String {
    let filter = predicate.map(|predicate| format!("Filter {}", expression(predicate, input)));
    let project = items.map(|items| {
        let item = |(item, field): (&Expr, &velostream_sql::types::Field)| {
            let shown = expression(item, input);
            if *shown == *field.name { shown } else { format!("{shown} AS {}", field.name) }
        };
        let items: Vec<String> = items.iter().zip(&output.fields).map(item).collect();
        format!("Project {}", items.join(", "))
    });
    project.into_iter().chain(filter).collect::<Vec<_>>().join(" after ")
}

/// The line of an aggregate: keys, windows, calls, mode and state.
pub(super) fn aggregate_line(spec: &AggregateSpec, input: &Schema, output: &Schema) -> String {
    let mut text = "Aggregate".to_owned();
    if !spec.keys.is_empty() {
        let keys: Vec<String> = spec.keys.iter().map(|key| expression(key, input)).collect();
        text += &format!(" by {}", keys.join(", "));
    }
    if let Some(window) = &spec.window {
        text += &format!(", window {}, grace {}", window_kind(window.kind), duration(window.grace));
        if let Some(time) = &window.time {
            text += &format!(" on {}", expression(time, input));
        }
    }
    let first = output.fields.len() - spec.calls.len();
    let call = |(call, field): (&velostream_sql::plan::AggregateCall, &velostream_sql::types::Field)| {
        let argument = call.argument.as_ref().map_or("*".to_owned(), |argument| expression(argument, input));
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let filter = call.filter.as_ref();
        let filter = filter.map_or(String::new(), |e| format!(" FILTER ({})", expression(e, input)));
        format!("{}({distinct}{argument}){filter} AS {}", aggregate_name(call.function), field.name)
    };
    let calls: Vec<String> = spec.calls.iter().zip(&output.fields[first..]).map(call).collect();
    if !calls.is_empty() {
        text += &format!(": {}", calls.join(", "));
    }
    text += match (spec.is_final, &spec.window) {
        (true, Some(_)) => "; final when the watermark passes the window's end and grace",
        (true, None) => "; final at the end of input",
        (false, _) if spec.before => "; changes with old rows",
        (false, _) => "; changes",
    };
    text += if spec.updating_input { "; takes rows back" } else { "; rows only come" };
    text
}

/// The line of a join: its kind and condition, what is kept of its sides and for how long.
pub(super) fn join_line(
    spec: &JoinSpec,
    method: &JoinPlan,
    (left, right): (&Schema, &Schema),
    logical: &LogicalPlan,
) -> String {
    let LogicalPlan::Join { kind, method: declared, keys, residual, .. } = logical else {
        unreachable!("called for a join");
    };
    let condition = join_condition(left, right, keys, residual.as_ref());
    let text = format!("{}{} on {condition}", kind.name(), join_method(*declared));
    text + &match method {
        JoinPlan::Lookup { .. } => "; keeps the table's rows".to_owned(),
        JoinPlan::Interval { bounds, is_final } => {
            let shows = match (spec.kind, is_final) {
                (JoinKind::Inner, _) => "",
                (_, true) => "; rows without a match when none can come",
                (_, false) => "; rows without a match at once",
            };
            let [left, right] = [Side::Left, Side::Right].map(|side| bounds.keep(side).max(0));
            let others = if left == right {
                String::new()
            } else {
                format!(", those of the right {}", duration(right))
            };
            format!("; keeps rows until the watermark is {} past them{others}{shows}", duration(left))
        }
        JoinPlan::Kept if !spec.left.updating && !spec.right.updating => {
            "; keeps all rows of both streams for ever: WITHIN would bound them".to_owned()
        }
        JoinPlan::Kept => "; keeps the rows of both sides".to_owned(),
    }
}

/// The lines of a plan.
pub(super) fn explain(plan: &PhysicalPlan) -> Vec<String> {
    let mode = if plan.updating { "updating" } else { "append-only" };
    let journal = if plan.journal.is_any() { "; batches run under a savepoint" } else { "" };
    let key = &plan.schema.primary_key;
    let key = if key.is_empty() { String::new() } else { format!("; key {}", names(&plan.schema, key)) };
    let mut lines = vec![format!("Output {mode}{key}{journal}")];
    if let Some(root) = plan.nodes.len().checked_sub(1) {
        push_lines(plan, Input::Node(root), 1, &mut lines);
    }
    lines
}

/// Appends the line of a node and those of its inputs below it.
fn push_lines(plan: &PhysicalPlan, input: Input, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match input {
        Input::Node(at) => {
            let node = &plan.nodes[at];
            lines.push(format!("{indent}{}", node.line));
            node.inputs.iter().for_each(|&(input, _)| push_lines(plan, input, depth + 1, lines));
        }
        Input::Origin(Origin::Source(source)) => {
            lines.push(format!("{indent}Source {}", plan.sources[source].relation.name));
        }
        Input::Origin(Origin::Values(values)) => {
            lines.push(format!("{indent}Values of {} rows", plan.values[values].rows.len()));
        }
    }
}

/// A number that two plans share only if they keep the same state: FNV-1a over all that says what they do.
pub(super) fn fingerprint(plan: &PhysicalPlan, logical: &LogicalPlan) -> u64 {
    let mut text = explain(plan).join("\n");
    text += &velostream_sql::explain::explain(logical).join("\n");
    for node in &plan.nodes {
        text += &format!("{:?}", node.types);
    }
    for source in &plan.sources {
        text += &format!("{:?}", source.types);
    }
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}
