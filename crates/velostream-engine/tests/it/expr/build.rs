//! Short ways to write expressions and batches.

use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_engine::expr::{Program, RowErrors};
use velostream_sql::diagnostic::Span;
use velostream_sql::plan::{BinaryOp, Expr, ExprKind, Literal};
use velostream_sql::types::DataType;

pub fn expr(kind: ExprKind, data_type: DataType) -> Expr {
    Expr { kind, data_type, nullable: true, span: Span::default() }
}

pub fn column(position: usize, data_type: DataType) -> Expr {
    expr(ExprKind::Column(position), data_type)
}

pub fn literal(literal: Literal, data_type: DataType) -> Expr {
    expr(ExprKind::Literal(literal), data_type)
}

pub fn int(value: i32) -> Expr {
    literal(Literal::Int(value), DataType::Int)
}

pub fn double(value: f64) -> Expr {
    literal(Literal::Double(value), DataType::Double)
}

pub fn boolean(value: bool) -> Expr {
    literal(Literal::Boolean(value), DataType::Boolean)
}

pub fn text(value: &str) -> Expr {
    literal(Literal::String(value.into()), DataType::String)
}

pub fn null(data_type: DataType) -> Expr {
    literal(Literal::Null, data_type)
}

pub fn binary(op: BinaryOp, left: Expr, right: Expr, data_type: DataType) -> Expr {
    expr(ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }, data_type)
}

pub fn cast(operand: Expr, data_type: DataType) -> Expr {
    expr(ExprKind::Cast { expr: Box::new(operand), try_cast: false }, data_type)
}

pub fn try_cast(operand: Expr, data_type: DataType) -> Expr {
    expr(ExprKind::Cast { expr: Box::new(operand), try_cast: true }, data_type)
}

/// A batch of insertions; row `i` has sequence number and event time `i`.
pub fn batch(types: &[DataType], rows: &[Vec<Literal>]) -> ChangeBatch {
    let mut batch = ChangeBatch::new(types);
    for (row, values) in rows.iter().enumerate() {
        for (column, value) in batch.columns.iter_mut().zip(values) {
            column.push_literal(value);
        }
        batch.push_mark(Op::Insert, Seq(row as u64), row as i64);
    }
    batch
}

/// One expression over a batch: per row its value, or the message of its error.
pub fn evaluate(expr: &Expr, input: &ChangeBatch) -> Vec<Result<Literal, String>> {
    let mut program = Program::compile(std::slice::from_ref(expr)).expect("compiles");
    run(&mut program, input).into_iter().map(|row| row.map(|mut values| values.remove(0))).collect()
}

/// All outputs of a program over a batch.
pub fn run(program: &mut Program, input: &ChangeBatch) -> Vec<Result<Vec<Literal>, String>> {
    let mut errors = RowErrors::new();
    program.evaluate(input, &mut errors);
    assert!(errors.windows(2).all(|pair| pair[0].0 < pair[1].0), "errors ascend, one per row");
    assert!(errors.is_empty() || !program.is_infallible());
    let outputs = 0..program.output_count();
    for output in outputs.clone() {
        assert_eq!(program.output(output, input).len(), input.len(), "one value per row");
    }
    (0..input.len())
        .map(|row| match errors.iter().find(|(failed, _)| *failed as usize == row) {
            Some((_, error)) => Err(error.to_string()),
            None => Ok(outputs.clone().map(|output| program.output(output, input).literal(row)).collect()),
        })
        .collect()
}

/// An expression without columns.
pub fn constant(expr: &Expr) -> Result<Literal, String> {
    evaluate(expr, &batch(&[], &[vec![]])).remove(0)
}
