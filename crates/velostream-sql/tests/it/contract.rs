//! What every plan keeps to: positions that exist, types that fit, schemas that follow from the nodes.

use velostream_sql::expr::children;
use velostream_sql::plan::{BinaryOp, EmitMode, Expr, ExprKind, LogicalPlan, Window};
use velostream_sql::statement::BoundQuery;
use velostream_sql::types::{DataType, Field, Schema};

/// Checks a query: its root is FINAL exactly if it is, and then append-only.
pub fn check_query(query: &BoundQuery) {
    let is_final = matches!(query.plan, LogicalPlan::Final { .. });
    if query.emit == EmitMode::Final {
        assert!(is_final && !query.plan.schema().updating);
    }
    check_plan(&query.plan);
}

/// Checks a plan from its root down.
pub fn check_plan(plan: &LogicalPlan) {
    let schema = plan.schema();
    for field in &schema.fields {
        assert!(!matches!(field.data_type, DataType::Null | DataType::Interval), "{field:?}");
    }
    assert!(schema.primary_key.iter().all(|position| *position < schema.fields.len()));
    match plan {
        LogicalPlan::Source { relation, schema } => assert_eq!(relation.0.schema.fields, schema.fields),
        LogicalPlan::Values { rows, schema } => {
            assert!(rows.iter().all(|row| row.len() == schema.fields.len()));
        }
        LogicalPlan::Filter { input, predicate, schema } => {
            assert_eq!(schema, input.schema());
            check_expr(predicate, input.schema());
            assert_eq!(predicate.data_type, DataType::Boolean);
            check_plan(input);
        }
        LogicalPlan::Project { input, items, schema } => {
            assert_eq!(items.len(), schema.fields.len());
            for (item, field) in items.iter().zip(&schema.fields) {
                check_expr(item, input.schema());
                assert_eq!((item.data_type, item.nullable), (field.data_type, field.nullable), "{item:?}");
            }
            assert_eq!(schema.updating, input.schema().updating);
            check_plan(input);
        }
        LogicalPlan::Aggregate { input, keys, window, calls, schema } => {
            let bounds = if window.is_some() { 2 } else { 0 };
            assert_eq!(keys.len() + bounds + calls.len(), schema.fields.len());
            for (key, field) in keys.iter().zip(&schema.fields) {
                check_expr(key, input.schema());
                assert_eq!((key.data_type, key.nullable), (field.data_type, field.nullable));
            }
            for (call, field) in calls.iter().zip(&schema.fields[keys.len() + bounds..]) {
                call.argument.iter().chain(&call.filter).for_each(|expr| check_expr(expr, input.schema()));
                assert_eq!((call.data_type, call.nullable), (field.data_type, field.nullable));
            }
            let time = window.iter().filter_map(|window| window.time.as_ref());
            time.for_each(|time| {
                check_expr(time, input.schema());
                assert_eq!(time.data_type, DataType::Timestamp);
            });
            let moves = window.as_ref().is_some_and(Window::is_session);
            // Calls that nothing reads are left out; the binder knew them.
            assert!(schema.updating || !(input.schema().updating || !calls.is_empty() || moves));
            check_plan(input);
        }
        LogicalPlan::Join { left, right, kind, keys, residual, columns, schema, .. } => {
            for (one, other) in keys {
                check_expr(one, left.schema());
                check_expr(other, right.schema());
                assert_eq!(one.data_type, other.data_type);
            }
            let both: Vec<Field> =
                left.schema().fields.iter().chain(&right.schema().fields).cloned().collect();
            let both = Schema::append_only(both);
            residual.iter().for_each(|residual| {
                check_expr(residual, &both);
                assert_eq!(residual.data_type, DataType::Boolean);
            });
            assert_eq!(columns.len(), schema.fields.len());
            for (&column, field) in columns.iter().zip(&schema.fields) {
                let is_left = column < left.schema().fields.len();
                let may_miss = if is_left { kind.keeps_right() } else { kind.keeps_left() };
                let of_side = &both.fields[column];
                assert_eq!(field.data_type, of_side.data_type);
                assert_eq!(field.nullable, of_side.nullable || may_miss, "{field:?}");
            }
            check_plan(left);
            check_plan(right);
        }
        LogicalPlan::Union { left, right, schema } => {
            for side in [left, right] {
                let types = |schema: &Schema| -> Vec<DataType> {
                    schema.fields.iter().map(|field| field.data_type).collect()
                };
                assert_eq!(types(side.schema()), types(schema));
                check_plan(side);
            }
            assert_eq!(schema.updating, left.schema().updating || right.schema().updating);
        }
        LogicalPlan::Over { input, columns, partitions, schema } => {
            let calls: usize = partitions.iter().map(|partition| partition.calls.len()).sum();
            assert_eq!(columns.len() + calls, schema.fields.len());
            let read = partitions.iter().flat_map(|partition| partition.columns());
            for expr in read {
                assert!(matches!(expr.kind, ExprKind::Column(_)), "the binder computes what calls read");
                check_expr(expr, input.schema());
            }
            let of_input = |column: &usize| &input.schema().fields[*column].data_type;
            assert!(
                columns.iter().map(of_input).eq(schema
                    .fields
                    .iter()
                    .map(|f| &f.data_type)
                    .take(columns.len()))
            );
            assert!(!input.schema().updating, "OVER reads rows that are only appended");
            check_plan(input);
        }
        LogicalPlan::Check { input, checks, schema } => {
            assert_eq!(schema, input.schema());
            for (check, _) in checks {
                check_expr(check, input.schema());
                assert_eq!(check.data_type, DataType::Boolean);
            }
            check_plan(input);
        }
        LogicalPlan::Limit { input, schema, .. } => {
            assert_eq!(schema, input.schema());
            check_plan(input);
        }
        LogicalPlan::Final { input, schema } => {
            assert_eq!(schema.fields, input.schema().fields);
            assert!(!schema.updating);
            check_plan(input);
        }
    }
}

/// Checks an expression over the columns of `input`.
pub fn check_expr(expr: &Expr, input: &Schema) {
    for operand in children(expr) {
        check_expr(operand, input);
    }
    match &expr.kind {
        ExprKind::Column(position) => {
            let field = input.fields.get(*position).expect("a column of the input");
            assert_eq!((expr.data_type, expr.nullable), (field.data_type, field.nullable));
        }
        ExprKind::Binary { op, left, right } => check_binary(*op, left.data_type, right.data_type),
        ExprKind::Case { branches, otherwise } => {
            assert!(branches.iter().all(|(condition, _)| condition.data_type == DataType::Boolean));
            let values = branches.iter().map(|(_, value)| value).chain(otherwise.as_deref());
            assert!(values.into_iter().all(|value| value.data_type == expr.data_type), "{expr:?}");
        }
        ExprKind::Coalesce(operands) => {
            assert!(operands.iter().all(|operand| operand.data_type == expr.data_type), "{expr:?}");
        }
        ExprKind::InList { expr: operand, list, .. } => {
            assert!(list.iter().all(|candidate| candidate.data_type == operand.data_type), "{expr:?}");
        }
        ExprKind::Not(operand) | ExprKind::IsTruth { expr: operand, .. } => {
            assert_eq!(operand.data_type, DataType::Boolean);
        }
        ExprKind::Like { expr: text, pattern, .. } => {
            assert_eq!((text.data_type, pattern.data_type), (DataType::String, DataType::String));
        }
        ExprKind::Literal(_) | ExprKind::IsNull { .. } | ExprKind::Cast { .. } => {
            assert_ne!(expr.data_type, DataType::Null, "{expr:?}");
        }
        ExprKind::RowTime | ExprKind::Negate(_) | ExprKind::Call { .. } => {}
    }
}

fn check_binary(op: BinaryOp, left: DataType, right: DataType) {
    use DataType as T;
    let is_arithmetic = matches!(
        op,
        BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo
    );
    let fits = match (left, right) {
        (left, right) if left == right => left != T::Null,
        (T::Decimal { .. }, T::Decimal { .. }) => is_arithmetic,
        (T::Timestamp | T::Date, T::Interval) => matches!(op, BinaryOp::Add | BinaryOp::Subtract),
        (T::Date, T::Int) => matches!(op, BinaryOp::Add | BinaryOp::Subtract),
        (T::Interval, T::Int) => op == BinaryOp::Multiply,
        _ => false,
    };
    assert!(fits, "{left} {} {right}", op.symbol());
}
