//! Operators over scalars, one line per rule.

use super::build::*;
use velostream_sql::plan::{BinaryOp, Expr, ExprKind, Interval, Literal};
use velostream_sql::types::DataType::{
    self, Boolean, Date, Double, Int, Interval as Span, String, Time, Timestamp,
};

fn show(expr: Expr) -> Result<std::string::String, std::string::String> {
    let shown = if expr.data_type == String { expr } else { cast(expr, String) };
    constant(&shown).map(|value| match value {
        Literal::String(text) => text.to_string(),
        Literal::Null => "NULL".into(),
        other => format!("{other:?}"),
    })
}

fn check(expr: Expr, expected: &str) {
    assert_eq!(show(expr.clone()), Ok(expected.to_owned()), "{expr:?}");
}

fn check_error(expr: Expr, expected: &str) {
    assert_eq!(show(expr.clone()), Err(expected.to_owned()), "{expr:?}");
}

/// A value of a type, by way of its text.
fn value(value: &str, data_type: DataType) -> Expr {
    cast(text(value), data_type)
}

fn decimal(value: &str) -> Expr {
    let digits = value.bytes().filter(u8::is_ascii_digit).count() as u8;
    let scale = value.split_once('.').map_or(0, |(_, fraction)| fraction.len() as u8);
    self::value(value, DataType::Decimal { precision: digits.max(scale + 1), scale })
}

fn dec(precision: u8, scale: u8) -> DataType {
    DataType::Decimal { precision, scale }
}

#[test]
fn integers() {
    let op = |op, a, b| binary(op, int(a), int(b), Int);
    check(op(BinaryOp::Divide, -7, 2), "-3");
    check(op(BinaryOp::Modulo, -7, 2), "-1");
    check(op(BinaryOp::Modulo, i32::MIN, -1), "0");
    check_error(op(BinaryOp::Divide, i32::MIN, -1), "value out of range for INT");
    check_error(op(BinaryOp::Divide, 1, 0), "division by zero");
    check_error(op(BinaryOp::Modulo, 1, 0), "division by zero");
    check_error(op(BinaryOp::Add, i32::MAX, 1), "value out of range for INT");
    check_error(op(BinaryOp::Multiply, 1 << 20, 1 << 20), "value out of range for INT");
    check(op(BinaryOp::BitXor, 6, 3), "5");
    check(op(BinaryOp::ShiftLeft, 1, 4), "16");
    check_error(expr(ExprKind::Negate(Box::new(int(i32::MIN))), Int), "value out of range for INT");
}

#[test]
fn doubles() {
    let op = |op, a, b, data_type| binary(op, double(a), double(b), data_type);
    check_error(op(BinaryOp::Divide, 1.0, 0.0, Double), "division by zero");
    check_error(op(BinaryOp::Multiply, 1e300, 1e300, Double), "value out of range for DOUBLE");
    check(op(BinaryOp::Multiply, f64::INFINITY, 2.0, Double), "Infinity");
    check(op(BinaryOp::Equal, f64::NAN, f64::NAN, Boolean), "true");
    check(op(BinaryOp::Greater, f64::NAN, f64::INFINITY, Boolean), "true");
    check(op(BinaryOp::Less, f64::NAN, 1.0, Boolean), "false");
    check(op(BinaryOp::GreaterOrEqual, 1.0, f64::NAN, Boolean), "false");
    check(op(BinaryOp::Equal, -0.0, 0.0, Boolean), "true");
    let list = (0..12).map(|n| double(f64::from(n) * -0.0)).chain([double(f64::NAN)]).collect();
    let in_list = ExprKind::InList { expr: Box::new(double(f64::NAN)), list, negated: false };
    check(expr(in_list, Boolean), "true");
}

#[test]
fn decimals() {
    let op = |op, a, b, data_type| binary(op, decimal(a), decimal(b), data_type);
    check(op(BinaryOp::Add, "1.25", "2.5", dec(4, 2)), "3.75");
    check(op(BinaryOp::Subtract, "1.25", "2.5", dec(4, 2)), "-1.25");
    check(op(BinaryOp::Multiply, "1.25", "-2.5", dec(5, 3)), "-3.125");
    check(op(BinaryOp::Divide, "1", "3", dec(7, 6)), "0.333333");
    check(op(BinaryOp::Divide, "2", "3", dec(7, 6)), "0.666667");
    check(op(BinaryOp::Divide, "-2", "3", dec(7, 6)), "-0.666667");
    check(op(BinaryOp::Divide, "1", "8", dec(7, 2)), "0.13");
    check(op(BinaryOp::Modulo, "-7.5", "2", dec(3, 1)), "-1.5");
    check_error(op(BinaryOp::Divide, "1", "0", dec(7, 6)), "division by zero");
    let nines = "9".repeat(38);
    check_error(op(BinaryOp::Add, &nines, "1", dec(38, 0)), "value out of range for DECIMAL");
    check_error(op(BinaryOp::Multiply, &nines, "10", dec(38, 0)), "value out of range for DECIMAL");
    check(op(BinaryOp::Divide, &nines, &nines, dec(38, 37)), &format!("1.{}", "0".repeat(37)));
    let small = format!("0.{}1", "0".repeat(36));
    check(op(BinaryOp::Divide, &small, &small, dec(38, 6)), "1.000000");
    check(op(BinaryOp::Multiply, &small, &small, dec(38, 38)), &format!("0.{}", "0".repeat(38)));
}

#[test]
fn times_and_intervals() {
    let time = |text| value(text, Timestamp);
    let span = |months, days, micros| literal(Literal::Interval(Interval { months, days, micros }), Span);
    let add = |a, b, data_type| binary(BinaryOp::Add, a, b, data_type);
    let subtract = |a, b, data_type| binary(BinaryOp::Subtract, a, b, data_type);
    check(add(time("2001-01-31 10:00"), span(1, 0, 0), Timestamp), "2001-02-28 10:00:00+00");
    check(add(time("2000-01-31"), span(1, 0, 0), Timestamp), "2000-02-29 00:00:00+00");
    check(add(time("2001-01-31"), span(1, 1, 1_500_000), Timestamp), "2001-03-01 00:00:01.5+00");
    check(subtract(time("2001-03-31"), span(1, 0, 0), Timestamp), "2001-02-28 00:00:00+00");
    check(add(value("2001-01-01", Date), span(0, 0, 3_600_000_000), Timestamp), "2001-01-01 01:00:00+00");
    check(add(value("2001-01-01", Date), int(31), Date), "2001-02-01");
    check(subtract(value("2001-01-01", Date), int(1), Date), "2000-12-31");
    check(subtract(value("2001-02-01", Date), value("2001-01-01", Date), Int), "31");
    check(subtract(time("2001-01-03 01:00"), time("2001-01-01"), Span), "2 days 01:00:00");
    check(subtract(time("2001-01-01"), time("2001-01-03 01:00"), Span), "-2 days -01:00:00");
    check(add(value("23:00", Time), span(0, 0, 7_200_000_000), Time), "01:00:00");
    check(subtract(value("01:00", Time), span(0, 0, 7_200_000_000), Time), "23:00:00");
    check(binary(BinaryOp::Multiply, span(1, 2, 3_000_000), int(2), Span), "2 mons 4 days 00:00:06");
    check(binary(BinaryOp::Equal, span(1, 0, 0), span(0, 30, 0), Boolean), "true");
    check(binary(BinaryOp::Greater, span(0, 1, 0), span(0, 0, 3_600_000_000), Boolean), "true");
    let end = literal(Literal::Timestamp(i64::MAX), Timestamp);
    check_error(add(end, span(0, 0, 1), Timestamp), "value out of range for TIMESTAMP");
}

#[test]
fn three_valued_logic() {
    let (yes, no, unknown) = (|| boolean(true), || boolean(false), || null(Boolean));
    let and = |a, b| binary(BinaryOp::And, a, b, Boolean);
    let or = |a, b| binary(BinaryOp::Or, a, b, Boolean);
    check(and(no(), unknown()), "false");
    check(and(unknown(), no()), "false");
    check(and(yes(), unknown()), "NULL");
    check(or(unknown(), yes()), "true");
    check(or(unknown(), no()), "NULL");
    check(expr(ExprKind::Not(Box::new(unknown())), Boolean), "NULL");
    check(and(null(DataType::Null), no()), "false");
    check(binary(BinaryOp::Equal, int(1), null(DataType::Null), Boolean), "NULL");
    check(binary(BinaryOp::Distinct, int(1), null(DataType::Null), Boolean), "true");
    check(binary(BinaryOp::NotDistinct, null(Int), null(Int), Boolean), "true");
    check(binary(BinaryOp::NotDistinct, null(DataType::Null), null(DataType::Null), Boolean), "true");
    let is = |operand, value, negated| {
        expr(ExprKind::IsTruth { expr: Box::new(operand), value, negated }, Boolean)
    };
    check(is(unknown(), true, false), "false");
    check(is(unknown(), true, true), "true");
    check(is(no(), false, false), "true");
    let in_list = |operand: Expr, list: Vec<Expr>, negated| {
        expr(ExprKind::InList { expr: Box::new(operand), list, negated }, Boolean)
    };
    check(in_list(int(1), vec![int(1), null(Int)], false), "true");
    check(in_list(int(2), vec![int(1), null(Int)], false), "NULL");
    check(in_list(int(2), vec![int(1), null(DataType::Null)], true), "NULL");
    check(in_list(int(2), vec![int(1), int(3)], true), "true");
    check(in_list(text("a long enough text"), vec![text("b"), text("a long enough text")], false), "true");
}

#[test]
fn texts() {
    let compare = |op, a, b| binary(op, text(a), text(b), Boolean);
    check(compare(BinaryOp::Less, "Z", "a"), "true");
    check(compare(BinaryOp::Less, "z", "é"), "true");
    check(compare(BinaryOp::Equal, "a text of some length", "a text of some length"), "true");
    check(compare(BinaryOp::NotEqual, "a text of some length", "a text of some lengtH"), "true");
    check(compare(BinaryOp::GreaterOrEqual, "ab", "abc"), "false");
    check(binary(BinaryOp::Concat, text("a"), text("bcdefghijklmnop"), String), "abcdefghijklmnop");
    check(binary(BinaryOp::Concat, text("a"), null(String), String), "NULL");
}

#[test]
fn like() {
    let like = |value: &str, pattern: &str, escape, case_insensitive| {
        let (value, pattern) = (Box::new(text(value)), Box::new(text(pattern)));
        expr(ExprKind::Like { expr: value, pattern, escape, case_insensitive, negated: false }, Boolean)
    };
    for (value, pattern, expected) in [
        ("abc", "abc", "true"),
        ("abc", "a%", "true"),
        ("abc", "%c", "true"),
        ("abc", "%b%", "true"),
        ("abc", "a_c", "true"),
        ("aéc", "a_c", "true"),
        ("abc", "_", "false"),
        ("", "%", "true"),
        ("", "_%", "false"),
        ("a%c", "a\\%c", "true"),
        ("abc", "a\\%c", "false"),
        ("abcabd", "a%b_", "true"),
        ("mississippi", "m%iss%ip%i", "true"),
        ("mississippi", "m%iss%ix%i", "false"),
        ("aab", "%ab", "true"),
    ] {
        check(like(value, pattern, Some('\\'), false), expected);
    }
    check(like("a%", "a!%", Some('!'), false), "true");
    check(like("a\\b", "a\\b", None, false), "true");
    check(like("ÀBC", "àb_", Some('\\'), true), "true");
    check_error(like("a", "a\\", Some('\\'), false), "LIKE pattern must not end with its escape character");
}
