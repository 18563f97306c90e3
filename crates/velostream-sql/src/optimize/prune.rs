//! Leaves out aggregate calls, and columns of projections, that nothing above reads. Whether the rows are updated
//! stays as the binder said: it is a property of the query.

use crate::expr::{for_each_column, map_columns};
use crate::plan::{AggregateCall, Expr, LogicalPlan, OverCall, OverPartition, Window};
use crate::types::{Field, Schema};
use std::sync::Arc;

/// Which columns of a plan are read.
type Read = Vec<bool>;

/// Where each column of a plan went; `None` for one that is left out.
type Moved = Vec<Option<usize>>;

/// The plan, all of whose columns are read, without what nothing in it reads.
pub(super) fn prune(plan: LogicalPlan) -> LogicalPlan {
    let all = vec![true; plan.schema().fields.len()];
    narrow(plan, &all).0
}

fn unmoved(plan: LogicalPlan) -> (LogicalPlan, Moved) {
    let moved = (0..plan.schema().fields.len()).map(Some).collect();
    (plan, moved)
}

fn narrow(plan: LogicalPlan, read: &Read) -> (LogicalPlan, Moved) {
    match plan {
        LogicalPlan::Source { .. } | LogicalPlan::Values { .. } => unmoved(plan),
        LogicalPlan::Filter { input, predicate, .. } => {
            let mut read = read.clone();
            mark(&mut read, [&predicate]);
            let (input, moved) = narrow(*input, &read);
            let predicate = follow(predicate, &moved);
            let schema = Arc::clone(input.schema());
            (LogicalPlan::Filter { input: Box::new(input), predicate, schema }, moved)
        }
        LogicalPlan::Project { input, items, schema } => project(*input, items, &schema, read),
        LogicalPlan::Aggregate { input, keys, window, calls, schema } => {
            aggregate(*input, keys, window, calls, &schema, read)
        }
        LogicalPlan::Join { .. } => join(plan, read),
        LogicalPlan::Union { left, right, .. } => {
            // Both keep the same columns, so that they still meet by position.
            let (left, right) = (Box::new(prune(*left)), Box::new(prune(*right)));
            let schema = Arc::new(crate::bind::union_schema(left.schema(), right.schema()));
            unmoved(LogicalPlan::Union { left, right, schema })
        }
        LogicalPlan::Over { input, columns, partitions, schema } => {
            over(*input, &columns, partitions, &schema, read)
        }
        LogicalPlan::Check { input, checks, .. } => {
            let input = Box::new(prune(*input));
            let schema = Arc::clone(input.schema());
            unmoved(LogicalPlan::Check { input, checks, schema })
        }
        LogicalPlan::Limit { input, count, schema } => {
            let input = Box::new(prune(*input));
            unmoved(LogicalPlan::Limit { input, count, schema })
        }
        LogicalPlan::Final { input, schema } => {
            unmoved(LogicalPlan::Final { input: Box::new(prune(*input)), schema })
        }
    }
}

/// Keeps the items that are read.
fn project(input: LogicalPlan, items: Vec<Expr>, schema: &Schema, read: &Read) -> (LogicalPlan, Moved) {
    let (kept, moved) = keep(schema, |position| read[position]);
    let items: Vec<Expr> =
        items.into_iter().zip(&moved).filter(|(_, moved)| moved.is_some()).map(|(item, _)| item).collect();
    let mut below = vec![false; input.schema().fields.len()];
    mark(&mut below, &items);
    let (input, below) = narrow(input, &below);
    let items = items.into_iter().map(|item| follow(item, &below)).collect();
    (LogicalPlan::Project { input: Box::new(input), items, schema: Arc::new(kept) }, moved)
}

/// Keeps the calls that are read; keys and the window's bounds make the groups and stay.
fn aggregate(
    input: LogicalPlan,
    keys: Vec<Expr>,
    window: Option<Window>,
    calls: Vec<AggregateCall>,
    schema: &Schema,
    read: &Read,
) -> (LogicalPlan, Moved) {
    let first_call = schema.fields.len() - calls.len();
    let (kept, moved) = keep(schema, |position| position < first_call || read[position]);
    let calls: Vec<AggregateCall> = calls
        .into_iter()
        .zip(&moved[first_call..])
        .filter(|(_, moved)| moved.is_some())
        .map(|(call, _)| call)
        .collect();
    let mut below = vec![false; input.schema().fields.len()];
    mark(&mut below, &keys);
    mark(&mut below, window.iter().filter_map(|window| window.time.as_ref()));
    mark(&mut below, calls.iter().flat_map(|call| call.argument.iter().chain(&call.filter)));
    let merges = window.as_ref().is_some_and(Window::is_session);
    if merges {
        // A row that goes from a session is known by its key.
        input.schema().primary_key.iter().for_each(|&column| below[column] = true);
    }
    let (input, below) = narrow(input, &below);
    let over = |expr: Expr| follow(expr, &below);
    let keys = keys.into_iter().map(over).collect();
    let window = window.map(|window| Window { time: window.time.map(over), ..window });
    let calls: Vec<AggregateCall> = calls
        .into_iter()
        .map(|call| AggregateCall {
            argument: call.argument.map(over),
            filter: call.filter.map(over),
            ..call
        })
        .collect();
    let plan = LogicalPlan::Aggregate { input: Box::new(input), keys, window, calls, schema: Arc::new(kept) };
    (plan, moved)
}

/// Keeps the columns that are read; the sides also those of the condition.
fn join(plan: LogicalPlan, read: &Read) -> (LogicalPlan, Moved) {
    let LogicalPlan::Join { left, right, kind, method, keys, residual, columns, schema } = plan else {
        unreachable!("called for a join");
    };
    let (kept, moved) = keep(&schema, |position| read[position]);
    let columns: Vec<usize> = columns
        .into_iter()
        .zip(&moved)
        .filter(|(_, moved)| moved.is_some())
        .map(|(column, _)| column)
        .collect();
    let width = left.schema().fields.len();
    let mut both = vec![false; width + right.schema().fields.len()];
    columns.iter().for_each(|&column| both[column] = true);
    mark(&mut both, &residual);
    let mut right_read = both.split_off(width);
    mark(&mut both, keys.iter().map(|(left, _)| left));
    mark(&mut right_read, keys.iter().map(|(_, right)| right));
    let (left, left_moved) = narrow(*left, &both);
    let (right, right_moved) = narrow(*right, &right_read);
    let new_width = left.schema().fields.len();
    let place = |column: usize| {
        let moved = match column.checked_sub(width) {
            None => left_moved[column],
            Some(column) => right_moved[column].map(|column| column + new_width),
        };
        moved.expect("a column that is read is kept")
    };
    let keys = keys.into_iter().map(|(left, right)| (follow(left, &left_moved), follow(right, &right_moved)));
    let plan = LogicalPlan::Join {
        keys: keys.collect(),
        residual: residual.map(|residual| map_columns(residual, &mut |column| place(column))),
        columns: columns.into_iter().map(place).collect(),
        left: Box::new(left),
        right: Box::new(right),
        kind,
        method,
        schema: Arc::new(kept),
    };
    (plan, moved)
}

/// Keeps the columns and calls that are read.
fn over(
    input: LogicalPlan,
    columns: &[usize],
    mut partitions: Vec<OverPartition>,
    schema: &Schema,
    read: &Read,
) -> (LogicalPlan, Moved) {
    let (mut kept, moved) = keep(schema, |position| read[position]);
    let is_kept = |position: usize| moved[position].is_some();
    let mut position = columns.len();
    for partition in &mut partitions {
        partition.calls.retain(|_| {
            position += 1;
            is_kept(position - 1)
        });
    }
    partitions.retain(|partition| !partition.calls.is_empty());
    if partitions.is_empty() {
        let count = OverCall::count_of_one();
        kept.fields.push(Field::new("count", count.data_type, count.nullable));
        partitions.push(OverPartition { keys: Vec::new(), calls: vec![count] });
    }
    let columns: Vec<usize> = (0..columns.len()).filter(|at| is_kept(*at)).map(|at| columns[at]).collect();
    let mut below = vec![false; input.schema().fields.len()];
    columns.iter().for_each(|column| below[*column] = true);
    mark(&mut below, partitions.iter().flat_map(OverPartition::columns));
    let (input, below) = narrow(input, &below);
    let columns: Vec<usize> = columns.into_iter().map(|column| below[column].expect("it is read")).collect();
    let (input, schema) = (Box::new(input), Arc::new(kept));
    let partitions =
        partitions.into_iter().map(|partition| partition.map(|expr| follow(expr, &below))).collect();
    (LogicalPlan::Over { input, columns, partitions, schema }, moved)
}

/// The schema of the columns that are kept, and where each went. A key that is not kept whole is none.
fn keep(schema: &Schema, is_kept: impl Fn(usize) -> bool) -> (Schema, Moved) {
    let mut moved = Moved::with_capacity(schema.fields.len());
    let mut fields = Vec::new();
    for (position, field) in schema.fields.iter().enumerate() {
        let kept = is_kept(position);
        moved.push(kept.then_some(fields.len()));
        if kept {
            fields.push(field.clone());
        }
    }
    let primary_key = schema.primary_key.iter().map(|position| moved[*position]).collect::<Option<_>>();
    let kept = Schema {
        fields,
        primary_key: primary_key.unwrap_or_default(),
        window: schema.window.and_then(|(start, end)| Some((moved[start]?, moved[end]?))),
        ..schema.clone()
    };
    (kept, moved)
}

fn mark<'e>(read: &mut Read, exprs: impl IntoIterator<Item = &'e Expr>) {
    for expr in exprs {
        for_each_column(expr, &mut |column| read[column] = true);
    }
}

fn follow(expr: Expr, moved: &Moved) -> Expr {
    map_columns(expr, &mut |column| moved[column].expect("a column that is read is kept"))
}
