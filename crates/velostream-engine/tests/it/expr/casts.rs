//! Casts and the text forms of values.

use super::build::*;
use velostream_sql::plan::Literal;
use velostream_sql::types::DataType::{
    self, BigInt, Boolean, Bytes, Date, Double, Int, String, Time, Timestamp,
};

fn decimal(precision: u8, scale: u8) -> DataType {
    DataType::Decimal { precision, scale }
}

/// `CAST(from AS to)`, shown as text, or the error; by way of a column and of a constant.
fn check(from: Literal, from_type: DataType, to: DataType, expected: Result<&str, &str>) {
    let input = batch(&[from_type], &[vec![from.clone()]]);
    for operand in [column(0, from_type), literal(from.clone(), from_type)] {
        let shown = cast(cast(operand, to), String);
        let result = evaluate(&shown, &input).remove(0);
        let expected = match expected {
            Ok(value) => Ok(Literal::String(value.into())),
            Err(message) => Err(message.to_owned()),
        };
        assert_eq!(result, expected, "{from:?} as {to}");
    }
}

fn check_text(from: &str, to: DataType, expected: Result<&str, &str>) {
    check(Literal::String(from.into()), String, to, expected);
}

#[test]
fn texts_become_values() {
    check_text(" 42 ", Int, Ok("42"));
    check_text("+7", BigInt, Ok("7"));
    check_text("1.0", Int, Err("invalid value for INT: \"1.0\""));
    check_text("2147483648", Int, Err("invalid value for INT: \"2147483648\""));
    check_text("", Int, Err("invalid value for INT: \"\""));
    check_text("1e3", Double, Ok("1000"));
    check_text("-inf", Double, Ok("-Infinity"));
    check_text("nan", Double, Ok("NaN"));
    check_text("1e400", Double, Err("invalid value for DOUBLE: \"1e400\""));
    check_text("12.345", decimal(10, 2), Ok("12.35"));
    check_text("-0.005", decimal(10, 2), Ok("-0.01"));
    check_text("1e2", decimal(10, 2), Ok("100.00"));
    check_text("123.4", decimal(4, 2), Err("value out of range for DECIMAL"));
    check_text("1.2.3", decimal(4, 2), Err("invalid value for DECIMAL(4, 2): \"1.2.3\""));
    check_text("YES", Boolean, Ok("true"));
    check_text("maybe", Boolean, Err("invalid value for BOOLEAN: \"maybe\""));
    check_text("2001-01-14", Date, Ok("2001-01-14"));
    check_text("2001-02-29", Date, Err("invalid value for DATE: \"2001-02-29\""));
    check_text("21:55", Time, Ok("21:55:00"));
    check_text("2001-01-14", Timestamp, Ok("2001-01-14 00:00:00+00"));
    check_text("2001-01-14T21:55:01.5+02:00", Timestamp, Ok("2001-01-14 19:55:01.5+00"));
    check_text("\\xCafe", Bytes, Ok("\\xcafe"));
    check_text("ab", Bytes, Ok("\\x6162"));
    check_text("\\x0", Bytes, Err("invalid value for BYTES: \"\\x0\""));
}

#[test]
fn doubles_have_their_shortest_text() {
    let check = |value: f64, expected| check(Literal::Double(value), Double, String, Ok(expected));
    check(1.0, "1");
    check(0.1, "0.1");
    check(-2.5, "-2.5");
    check(1e20, "1e+20");
    check(1e15, "1e+15");
    check(123_456_789_012_345.0, "123456789012345");
    check(1.234e-5, "1.234e-05");
    check(0.0001, "0.0001");
    check(1.5e300, "1.5e+300");
    check(-0.0, "-0");
    check(f64::INFINITY, "Infinity");
    check(5e-324, "5e-324");
}

#[test]
fn numbers_become_other_numbers() {
    check(Literal::Double(2.5), Double, Int, Ok("2"));
    check(Literal::Double(3.5), Double, Int, Ok("4"));
    check(Literal::Double(-2.5), Double, BigInt, Ok("-2"));
    check(Literal::Double(2_147_483_647.5), Double, Int, Err("value out of range for INT"));
    check(Literal::Double(f64::NAN), Double, Int, Err("value out of range for INT"));
    check(Literal::Double(9.3e18), Double, BigInt, Err("value out of range for BIGINT"));
    check(Literal::Double(0.1 + 0.2), Double, decimal(38, 17), Ok("0.30000000000000000"));
    check(Literal::Double(f64::INFINITY), Double, decimal(10, 2), Err("value out of range for DECIMAL"));
    check(Literal::Decimal(250), decimal(10, 2), Int, Ok("3"));
    check(Literal::Decimal(-250), decimal(10, 2), Int, Ok("-3"));
    check(Literal::Decimal(12_345), decimal(10, 3), decimal(10, 1), Ok("12.3"));
    check(Literal::Decimal(12_345), decimal(10, 3), decimal(3, 2), Err("value out of range for DECIMAL"));
    check(Literal::Decimal(1), decimal(38, 1), Double, Ok("0.1"));
    check(
        Literal::Decimal(i128::from(i64::MAX) * 1_000),
        decimal(38, 3),
        Double,
        Ok("9.223372036854776e+18"),
    );
    check(Literal::BigInt(1 << 40), BigInt, Int, Err("value out of range for INT"));
    check(Literal::Int(7), Int, decimal(3, 2), Ok("7.00"));
    check(Literal::Int(70), Int, decimal(3, 2), Err("value out of range for DECIMAL"));
    check(Literal::Boolean(true), Boolean, Int, Ok("1"));
    check(Literal::Int(-3), Int, Boolean, Ok("true"));
}

#[test]
fn times_become_dates_and_back() {
    check(Literal::Date(-1), Date, Timestamp, Ok("1969-12-31 00:00:00+00"));
    check(Literal::Timestamp(-1), Timestamp, Date, Ok("1969-12-31"));
    check(Literal::Timestamp(-1), Timestamp, Time, Ok("23:59:59.999999"));
}

#[test]
fn null_and_unknown_casts() {
    assert_eq!(constant(&cast(null(Double), Int)), Ok(Literal::Null));
    assert_eq!(constant(&try_cast(text("x"), Date)), Ok(Literal::Null));
    let refused = velostream_engine::expr::Program::compile(&[cast(boolean(true), Date)]);
    assert_eq!(refused.err().map(|e| e.to_string()), Some("cast from BOOLEAN to DATE".into()));
}
