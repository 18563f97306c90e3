//! Programs over random batches against a row-by-row evaluator, and decimals against 256-bit arithmetic.

use super::build::*;
use ethnum::I256;
use proptest::prelude::*;
use std::cmp::Ordering;
use velostream_engine::batch::ChangeBatch;
use velostream_engine::expr::Program;
use velostream_engine::value::{decimal, parse_int};
use velostream_sql::plan::{BinaryOp, Expr, ExprKind, Literal};
use velostream_sql::types::DataType::{self, Boolean, Double, Int, String};

/// The columns of the random batches.
const TYPES: [DataType; 6] = [Int, Int, Double, Boolean, Boolean, String];

/// The row failed.
struct Failed;

type Value = Result<Literal, Failed>;

fn truth(value: &Literal) -> Option<bool> {
    match value {
        Literal::Boolean(value) => Some(*value),
        _ => None,
    }
}

fn logical(value: Option<bool>) -> Literal {
    value.map_or(Literal::Null, Literal::Boolean)
}

fn compare(a: &Literal, b: &Literal) -> Option<Ordering> {
    match (a, b) {
        (Literal::Int(a), Literal::Int(b)) => Some(a.cmp(b)),
        (Literal::Double(a), Literal::Double(b)) => Some(match (a.is_nan(), b.is_nan()) {
            (false, false) => a.partial_cmp(b)?,
            (nan_a, nan_b) => nan_a.cmp(&nan_b),
        }),
        (Literal::Boolean(a), Literal::Boolean(b)) => Some(a.cmp(b)),
        (Literal::String(a), Literal::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        _ => None,
    }
}

fn arithmetic(op: BinaryOp, a: &Literal, b: &Literal) -> Value {
    match (a, b) {
        (Literal::Int(a), Literal::Int(b)) => {
            let (a, b) = (i64::from(*a), i64::from(*b));
            let exact = match op {
                BinaryOp::Add => Some(a + b),
                BinaryOp::Subtract => Some(a - b),
                BinaryOp::Multiply => Some(a * b),
                BinaryOp::Divide => a.checked_div(b),
                _ => a.checked_rem(b),
            };
            exact.and_then(|value| i32::try_from(value).ok()).map(Literal::Int).ok_or(Failed)
        }
        (Literal::Double(a), Literal::Double(b)) => match op {
            BinaryOp::Add => Ok(Literal::Double(a + b)),
            BinaryOp::Subtract => Ok(Literal::Double(a - b)),
            BinaryOp::Multiply => Ok(Literal::Double(a * b)),
            _ if *b == 0.0 => Err(Failed),
            BinaryOp::Divide => Ok(Literal::Double(a / b)),
            _ => Ok(Literal::Double(a % b)),
        },
        _ => Ok(Literal::Null),
    }
}

fn binary_value(op: BinaryOp, left: &Expr, right: &Expr, row: &[Literal]) -> Value {
    let a = value(left, row)?;
    match (op, truth(&a)) {
        (BinaryOp::And, Some(false)) | (BinaryOp::Or, Some(true)) => return Ok(a),
        _ => {}
    }
    let b = value(right, row)?;
    let ordering = compare(&a, &b);
    let both_null = a == Literal::Null && b == Literal::Null;
    Ok(match op {
        BinaryOp::And => match (truth(&a), truth(&b)) {
            (_, Some(false)) => Literal::Boolean(false),
            (Some(true), Some(true)) => Literal::Boolean(true),
            _ => Literal::Null,
        },
        BinaryOp::Or => match (truth(&a), truth(&b)) {
            (_, Some(true)) => Literal::Boolean(true),
            (Some(false), Some(false)) => Literal::Boolean(false),
            _ => Literal::Null,
        },
        BinaryOp::Equal => logical(ordering.map(Ordering::is_eq)),
        BinaryOp::NotEqual => logical(ordering.map(Ordering::is_ne)),
        BinaryOp::Less => logical(ordering.map(Ordering::is_lt)),
        BinaryOp::LessOrEqual => logical(ordering.map(Ordering::is_le)),
        BinaryOp::Greater => logical(ordering.map(Ordering::is_gt)),
        BinaryOp::GreaterOrEqual => logical(ordering.map(Ordering::is_ge)),
        BinaryOp::Distinct => Literal::Boolean(!(both_null || ordering == Some(Ordering::Equal))),
        BinaryOp::NotDistinct => Literal::Boolean(both_null || ordering == Some(Ordering::Equal)),
        BinaryOp::Concat => match (&a, &b) {
            (Literal::String(a), Literal::String(b)) => Literal::String(format!("{a}{b}").into()),
            _ => Literal::Null,
        },
        _ => return arithmetic(op, &a, &b),
    })
}

fn in_list(operand: &Expr, list: &[Expr], negated: bool, row: &[Literal]) -> Value {
    let operand = value(operand, row)?;
    let candidates = list.iter().map(|candidate| value(candidate, row)).collect::<Result<Vec<_>, _>>()?;
    let found = candidates.iter().any(|candidate| compare(&operand, candidate) == Some(Ordering::Equal));
    let unknown = operand == Literal::Null || candidates.contains(&Literal::Null);
    Ok(if found { Literal::Boolean(!negated) } else { logical((!unknown).then_some(negated)) })
}

/// What an expression means for one row.
fn value(expr: &Expr, row: &[Literal]) -> Value {
    Ok(match &expr.kind {
        ExprKind::Column(position) => row[*position].clone(),
        ExprKind::Literal(literal) => literal.clone(),
        ExprKind::Negate(operand) => match value(operand, row)? {
            Literal::Int(value) => Literal::Int(value.checked_neg().ok_or(Failed)?),
            Literal::Double(value) => Literal::Double(-value),
            _ => Literal::Null,
        },
        ExprKind::Not(operand) => logical(truth(&value(operand, row)?).map(|value| !value)),
        ExprKind::Binary { op, left, right } => return binary_value(*op, left, right, row),
        ExprKind::IsNull { expr, negated } => {
            Literal::Boolean((value(expr, row)? == Literal::Null) != *negated)
        }
        ExprKind::IsTruth { expr, value: wanted, negated } => {
            Literal::Boolean((truth(&value(expr, row)?) == Some(*wanted)) != *negated)
        }
        ExprKind::Case { branches, otherwise } => {
            for (condition, result) in branches {
                if truth(&value(condition, row)?) == Some(true) {
                    return value(result, row);
                }
            }
            return otherwise.as_ref().map_or(Ok(Literal::Null), |otherwise| value(otherwise, row));
        }
        ExprKind::Coalesce(candidates) => {
            for candidate in candidates {
                let candidate = value(candidate, row)?;
                if candidate != Literal::Null {
                    return Ok(candidate);
                }
            }
            Literal::Null
        }
        ExprKind::Cast { expr: operand, try_cast } => match (value(operand, row)?, expr.data_type) {
            (Literal::Int(value), String) => Literal::String(value.to_string().into()),
            (Literal::String(text), Int) => match parse_int(&text) {
                Some(value) => Literal::Int(value),
                None if *try_cast => Literal::Null,
                None => return Err(Failed),
            },
            _ => Literal::Null,
        },
        ExprKind::InList { expr, list, negated } => return in_list(expr, list, *negated, row),
        other => panic!("not generated: {other:?}"),
    })
}

/// A literal of a type; small numbers and the ends, so that things collide.
fn any_literal(data_type: DataType) -> BoxedStrategy<Literal> {
    let values = match data_type {
        Int => prop_oneof![6 => -3..4i32, 1 => Just(i32::MIN), 1 => Just(i32::MAX)]
            .prop_map(Literal::Int)
            .boxed(),
        Double => prop_oneof![
            6 => (-3..4i32).prop_map(|value| f64::from(value) / 2.0),
            1 => Just(f64::NAN),
            1 => Just(f64::INFINITY),
            1 => Just(-0.0)
        ]
        .prop_map(Literal::Double)
        .boxed(),
        Boolean => any::<bool>().prop_map(Literal::Boolean).boxed(),
        _ => prop_oneof!["[a0-9]{0,2}", Just("a text longer than a view".to_owned())]
            .prop_map(|text| Literal::String(text.into()))
            .boxed(),
    };
    prop_oneof![4 => values, 1 => Just(Literal::Null)].boxed()
}

fn leaf(data_type: DataType) -> BoxedStrategy<Expr> {
    let columns: Vec<_> = (0..TYPES.len()).filter(|&position| TYPES[position] == data_type).collect();
    prop_oneof![
        2 => prop::sample::select(columns).prop_map(move |position| column(position, data_type)),
        1 => any_literal(data_type).prop_map(move |value| literal(value, data_type)),
    ]
    .boxed()
}

/// An expression of a type with `depth` levels of operators.
fn any_expr(data_type: DataType, depth: u32) -> BoxedStrategy<Expr> {
    if depth == 0 {
        return leaf(data_type);
    }
    let sub = move |data_type| any_expr(data_type, depth - 1);
    let case =
        (prop::collection::vec((sub(Boolean), sub(data_type)), 1..3), prop::option::of(sub(data_type)));
    let case = case.prop_map(move |(branches, otherwise)| {
        expr(ExprKind::Case { branches, otherwise: otherwise.map(Box::new) }, data_type)
    });
    let coalesce = prop::collection::vec(sub(data_type), 1..4)
        .prop_map(move |candidates| expr(ExprKind::Coalesce(candidates), data_type));
    let operators = match data_type {
        Int | Double => numeric(data_type, depth),
        Boolean => boolean_expr(depth),
        _ => prop_oneof![
            (sub(String), sub(String)).prop_map(|(a, b)| binary(BinaryOp::Concat, a, b, String)),
            sub(Int).prop_map(|operand| cast(operand, String)),
        ]
        .boxed(),
    };
    prop_oneof![1 => leaf(data_type), 1 => case, 1 => coalesce, 4 => operators].boxed()
}

fn numeric(data_type: DataType, depth: u32) -> BoxedStrategy<Expr> {
    use BinaryOp::{Add, Divide, Modulo, Multiply, Subtract};
    let sub = move |data_type| any_expr(data_type, depth - 1);
    let ops = prop::sample::select(vec![Add, Subtract, Multiply, Divide, Modulo]);
    let operation =
        (ops, sub(data_type), sub(data_type)).prop_map(move |(op, a, b)| binary(op, a, b, data_type));
    let negate = sub(data_type).prop_map(move |operand| expr(ExprKind::Negate(Box::new(operand)), data_type));
    if data_type == Double {
        return prop_oneof![4 => operation, 1 => negate].boxed();
    }
    let casts = (sub(String), any::<bool>())
        .prop_map(|(operand, try_cast)| expr(ExprKind::Cast { expr: Box::new(operand), try_cast }, Int));
    prop_oneof![4 => operation, 1 => negate, 1 => casts].boxed()
}

fn boolean_expr(depth: u32) -> BoxedStrategy<Expr> {
    use BinaryOp::{
        And, Distinct, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotDistinct, NotEqual, Or,
    };
    let sub = move |data_type| any_expr(data_type, depth - 1);
    let comparisons =
        vec![Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, Distinct, NotDistinct];
    let types = prop::sample::select(vec![Int, Double, Boolean, String]);
    let comparison = (prop::sample::select(comparisons), types.clone())
        .prop_flat_map(move |(op, of)| (Just(op), sub(of), sub(of)))
        .prop_map(|(op, a, b)| binary(op, a, b, Boolean));
    let connective = (prop::sample::select(vec![And, Or]), sub(Boolean), sub(Boolean))
        .prop_map(|(op, a, b)| binary(op, a, b, Boolean));
    let not = sub(Boolean).prop_map(|operand| expr(ExprKind::Not(Box::new(operand)), Boolean));
    let is_null = (types.clone().prop_flat_map(sub), any::<bool>())
        .prop_map(|(operand, negated)| expr(ExprKind::IsNull { expr: Box::new(operand), negated }, Boolean));
    let is_truth = (sub(Boolean), any::<bool>(), any::<bool>()).prop_map(|(operand, value, negated)| {
        expr(ExprKind::IsTruth { expr: Box::new(operand), value, negated }, Boolean)
    });
    let constants = types.prop_flat_map(move |of| {
        let list = prop::collection::vec(any_literal(of).prop_map(move |value| literal(value, of)), 1..12);
        (sub(of), prop_oneof![list, prop::collection::vec(sub(of), 1..3)], any::<bool>())
    });
    let in_list = constants.prop_map(|(operand, list, negated)| {
        expr(ExprKind::InList { expr: Box::new(operand), list, negated }, Boolean)
    });
    prop_oneof![3 => comparison, 3 => connective, 1 => not, 1 => is_null, 1 => is_truth, 1 => in_list].boxed()
}

fn any_rows() -> impl Strategy<Value = Vec<Vec<Literal>>> {
    let row: Vec<_> = TYPES.into_iter().map(any_literal).collect();
    prop::collection::vec(row, 0..9)
}

/// Equality of literals under which NaN equals itself.
fn same(a: &Literal, b: &Literal) -> bool {
    match (a, b) {
        (Literal::Double(a), Literal::Double(b)) => a == b || a.is_nan() && b.is_nan(),
        _ => a == b,
    }
}

fn one_row(input: &ChangeBatch, row: usize) -> ChangeBatch {
    let mut single = ChangeBatch::new(&TYPES);
    single.push_row(input, row, input.ops[row]);
    single
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Sharing, folding, masks and batching change nothing: each output of a program is what the reference
    /// says, and a row fails exactly if one of the outputs fails for it.
    #[test]
    fn programs_mean_what_the_reference_says(
        rows in any_rows(),
        exprs in (any_expr(Int, 3), any_expr(Boolean, 3), any_expr(Double, 2), any_expr(String, 2)),
    ) {
        let (a, b, c, d) = exprs;
        let outputs = [a.clone(), b, a, c, d];
        let input = batch(&TYPES, &rows);
        let mut program = Program::compile(&outputs).expect("compiles");
        let together = run(&mut program, &input);
        let mut one_by_one = Program::compile(&outputs).expect("compiles");
        for (row, result) in together.iter().enumerate() {
            let expected: Result<Vec<_>, Failed> = outputs.iter().map(|o| value(o, &rows[row])).collect();
            let alone = run(&mut one_by_one, &one_row(&input, row)).remove(0);
            match (result, expected, alone) {
                (Ok(values), Ok(expected), Ok(alone)) => {
                    for ((value, expected), alone) in values.iter().zip(&expected).zip(&alone) {
                        prop_assert!(same(value, expected), "row {row}: {value:?} for {expected:?}");
                        prop_assert!(same(value, alone));
                    }
                }
                (Err(message), Err(Failed), Err(alone)) => prop_assert_eq!(message, &alone),
                (result, expected, _) => {
                    prop_assert!(false, "row {row}: {result:?}, expected success: {}", expected.is_ok());
                }
            }
        }
    }

    /// Sums and products are exact where the scale holds them.
    #[test]
    fn decimal_sums_and_products_are_exact(
        a in any::<i128>().prop_map(|a| a / 10_i128.pow(19)),
        b in any::<i128>().prop_map(|b| b / 10_i128.pow(20)),
        scales in [0..10_u8, 0..10_u8],
    ) {
        let scale = scales[0].max(scales[1]);
        let at = |digits: i128, from: u8, to: u8| I256::from(digits) * I256::from(10).pow(u32::from(to - from));
        let (wide_a, wide_b) = (at(a, scales[0], scale), at(b, scales[1], scale));
        let wide = |value: Option<i128>| value.map(I256::from);
        prop_assert_eq!(wide(decimal::add(a, b, scales, 38, scale)), Some(wide_a + wide_b));
        prop_assert_eq!(wide(decimal::subtract(a, b, scales, 38, scale)), Some(wide_a - wide_b));
        let product = I256::from(a) * I256::from(b);
        let fits = product.abs() < I256::from(10).pow(38);
        prop_assert_eq!(wide(decimal::multiply(a, b, scales, 38, scales[0] + scales[1])), fits.then_some(product));
        if b != 0 {
            prop_assert_eq!(wide(decimal::remainder(a, b, scales, 38, scale)), Some(wide_a % wide_b));
        }
    }

    /// A quotient is within half a unit of the last place, and at the half away from zero.
    #[test]
    fn decimal_quotients_are_rounded_half_up(
        a in -10_i128.pow(18)..10_i128.pow(18),
        b in (1..10_i128.pow(12), any::<bool>()).prop_map(|(b, negative)| if negative { -b } else { b }),
        scales in [0..8_u8, 0..8_u8],
        scale in 0..12_u8,
    ) {
        let quotient = decimal::divide(a, b, scales, 38, scale).expect("fits");
        let ten = I256::from(10);
        let exact = I256::from(a) * ten.pow(u32::from(scale + scales[1]));
        let divisor = I256::from(b) * ten.pow(u32::from(scales[0]));
        let error = exact.abs() - I256::from(quotient).abs() * divisor.abs();
        // Twice the error in units of the divisor lies in [-1, 1): a half was rounded up.
        prop_assert!(error * 2 >= -divisor.abs() && error * 2 < divisor.abs(), "{quotient}");
        prop_assert!(quotient == 0 || (quotient < 0) == ((a < 0) != (b < 0)));
    }

    /// The texts of decimals and doubles read back.
    #[test]
    fn texts_of_numbers_read_back(digits in any::<i128>(), scale in 0..39_u8, bits in any::<u64>()) {
        let digits = digits / 10;
        let mut text = std::string::String::new();
        decimal::format_decimal(digits, scale, &mut text);
        if decimal::fits(digits, 38) {
            prop_assert_eq!(decimal::parse_decimal(&text, 38, scale), Ok(digits));
        }
        let double = f64::from_bits(bits);
        text.clear();
        velostream_engine::value::format_double(double, &mut text);
        let read = velostream_engine::value::parse_double(&text).expect("reads");
        prop_assert!(read == double || read.is_nan() && double.is_nan(), "{text}");
    }

    /// Days and their names correspond, as jiff has them.
    #[test]
    fn the_calendar_is_jiffs(days in -4_371_587..2_932_896_i32) {
        let mut text = std::string::String::new();
        velostream_engine::value::format_date(days, &mut text);
        prop_assert_eq!(velostream_engine::value::parse_date(&text), Some(days), "{}", text);
    }
}
