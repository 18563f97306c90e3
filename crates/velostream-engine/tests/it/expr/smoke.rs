//! What the simplest statements need.

use super::build::*;
use velostream_engine::expr::Program;
use velostream_sql::plan::{BinaryOp, ExprKind, Literal};
use velostream_sql::types::DataType::{BigInt, Boolean, Double, Int, String, Timestamp};

#[test]
fn a_predicate_over_a_column() {
    let input =
        batch(&[Double], &[vec![Literal::Double(100.0)], vec![Literal::Double(100.5)], vec![Literal::Null]]);
    let predicate = binary(BinaryOp::Greater, column(0, Double), double(100.0), Boolean);
    let expected = [Literal::Boolean(false), Literal::Boolean(true), Literal::Null];
    assert_eq!(evaluate(&predicate, &input), expected.map(Ok));
}

#[test]
fn columns_row_time_and_constants_are_outputs() {
    let input = batch(&[Int], &[vec![Literal::Int(7)], vec![Literal::Int(8)]]);
    let outputs =
        [column(0, Int), expr(ExprKind::RowTime, Timestamp), text("a text longer than a view"), text("a")];
    let mut program = Program::compile(&outputs).expect("compiles");
    assert_eq!(program.as_column(0), Some(0));
    assert!(program.is_infallible());
    for rows in [2, 1, 0, 2] {
        let mut input = input.clone();
        input.truncate(rows);
        let expected: Vec<_> = (0..rows)
            .map(|row| {
                Ok(vec![
                    Literal::Int(7 + row as i32),
                    Literal::Timestamp(row as i64),
                    Literal::String("a text longer than a view".into()),
                    Literal::String("a".into()),
                ])
            })
            .collect();
        assert_eq!(run(&mut program, &input), expected);
    }
}

#[test]
fn a_failing_row_leaves_the_others_alone() {
    let rows = [(6, 3), (1, 0), (i64::MIN, -1)];
    let rows: Vec<_> = rows.map(|(a, b)| vec![Literal::BigInt(a), Literal::BigInt(b)]).into();
    let quotient = binary(BinaryOp::Divide, column(0, BigInt), column(1, BigInt), BigInt);
    let results = evaluate(&quotient, &batch(&[BigInt, BigInt], &rows));
    assert_eq!(
        results,
        [Ok(Literal::BigInt(2)), Err("division by zero".into()), Err("value out of range for BIGINT".into())]
    );
}

#[test]
fn rows_that_do_not_take_a_branch_cannot_fail_there() {
    let rows: Vec<_> = [2, 0].map(|value| vec![Literal::Int(value)]).into();
    let input = batch(&[Int], &rows);
    let quotient = || binary(BinaryOp::Divide, int(10), column(0, Int), Int);
    let nonzero = || binary(BinaryOp::NotEqual, column(0, Int), int(0), Boolean);
    let case = expr(
        ExprKind::Case { branches: vec![(nonzero(), quotient())], otherwise: Some(Box::new(int(-1))) },
        Int,
    );
    assert_eq!(evaluate(&case, &input), [Ok(Literal::Int(5)), Ok(Literal::Int(-1))]);
    let large = binary(BinaryOp::Greater, quotient(), int(4), Boolean);
    let both = binary(BinaryOp::And, nonzero(), large, Boolean);
    assert_eq!(evaluate(&both, &input), [Ok(Literal::Boolean(true)), Ok(Literal::Boolean(false))]);
    let never = binary(BinaryOp::Divide, int(1), int(0), Int);
    let coalesced = expr(ExprKind::Coalesce(vec![column(0, Int), never]), Int);
    assert_eq!(evaluate(&coalesced, &input), [Ok(Literal::Int(2)), Ok(Literal::Int(0))]);
}

#[test]
fn equal_parts_are_computed_once_and_constants_not_at_all() {
    let sum = || binary(BinaryOp::Add, column(0, Int), binary(BinaryOp::Add, int(1), int(2), Int), Int);
    let program = Program::compile(&[sum(), sum()]).expect("compiles");
    assert_eq!(program.instruction_count(), 1);
}

#[test]
fn a_failing_cast_is_an_error_and_try_cast_is_null() {
    let input = batch(&[String], &[vec![Literal::String(" 12 ".into())], vec![Literal::String("x".into())]]);
    let strict = evaluate(&cast(column(0, String), Int), &input);
    assert_eq!(strict, [Ok(Literal::Int(12)), Err("invalid value for INT: \"x\"".into())]);
    assert_eq!(
        evaluate(&try_cast(column(0, String), Int), &input),
        [Ok(Literal::Int(12)), Ok(Literal::Null)]
    );
}
