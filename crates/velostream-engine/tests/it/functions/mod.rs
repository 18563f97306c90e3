//! Every example of every scalar function, and the reference page that is printed from them.

use crate::expr::build::{batch, cast, evaluate, expr, literal};
use std::path::Path;
use velostream_engine::functions::registry::registry;
use velostream_engine::functions::{Example, Expected};
use velostream_sql::catalog::{FunctionCatalog, FunctionError};
use velostream_sql::plan::{Expr, ExprKind};
use velostream_sql::types::DataType;

/// The call of an example with `arguments`, as the binder would make it.
fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let types: Vec<_> = arguments.iter().map(|argument| argument.data_type).collect();
    let signature =
        registry().scalar(name, &types).unwrap_or_else(|error| panic!("{name}{types:?}: {error:?}"));
    let arguments = arguments.into_iter().zip(&signature.arguments);
    let arguments = arguments.map(|(argument, &to)| cast(argument, to)).collect();
    expr(ExprKind::Call { function: signature.id, name: signature.name, arguments }, signature.returns)
}

fn check(name: &str, example: &Example) {
    let types: Vec<_> = example.arguments.iter().map(|sample| sample.data_type).collect();
    let values: Vec<_> = example.arguments.iter().map(|sample| sample.literal.clone()).collect();
    let constants = example.arguments.iter().map(|sample| literal(sample.literal.clone(), sample.data_type));
    let over_constants = call(name, constants.collect());
    let columns =
        types.iter().enumerate().map(|(index, &data_type)| expr(ExprKind::Column(index), data_type));
    let over_columns = call(name, columns.collect());
    // A failing and a NULL row beside it must not disturb it.
    let nulls = vec![velostream_sql::plan::Literal::Null; types.len()];
    let input = batch(&types, &[values.clone(), nulls, values]);
    for (call, typed) in [(over_constants, true), (over_columns, !types.contains(&DataType::Null))] {
        if !typed {
            continue;
        }
        let results = evaluate(&call, &input);
        for result in [&results[0], &results[2]] {
            match &example.expected {
                Expected::Value(sample) => {
                    assert_eq!(result.as_ref(), Ok(&sample.literal), "{name}: {example:?}");
                    assert_eq!(call.data_type, sample.data_type, "{name}: {example:?}");
                }
                Expected::Null => {
                    assert_eq!(result, &Ok(velostream_sql::plan::Literal::Null), "{name}: {example:?}");
                }
                Expected::Error(message) => assert_eq!(result, &Err(message.clone()), "{name}: {example:?}"),
            }
        }
    }
}

#[test]
fn examples_hold() {
    for (name, examples) in registry().examples() {
        assert!(!examples.is_empty(), "{name} has an example");
        for example in examples {
            check(name, example);
        }
    }
}

/// `UPDATE_EXPECT=1` writes the page.
#[test]
fn the_reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/functions.md");
    let page = registry().reference();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/functions.md is out of date: run this test with UPDATE_EXPECT=1");
}

#[test]
fn overloads_are_chosen_by_type() {
    let returns = |name: &str, types: &[DataType]| registry().scalar(name, types).map(|s| s.returns);
    assert_eq!(returns("abs", &[DataType::BigInt]), Ok(DataType::BigInt));
    assert_eq!(returns("Abs", &[DataType::Null]), Ok(DataType::Int));
    assert_eq!(returns("sqrt", &[DataType::Decimal { precision: 9, scale: 2 }]), Ok(DataType::Double));
    assert_eq!(returns("mod", &[DataType::Int, DataType::BigInt]), Ok(DataType::BigInt));
    assert_eq!(returns("ucase", &[DataType::String]), Ok(DataType::String));
    assert_eq!(returns("no_such", &[]), Err(FunctionError::Unknown));
    let mismatch = returns("length", &[DataType::Int]);
    let message = "LENGTH is LENGTH(text STRING) or LENGTH(bytes BYTES)";
    assert_eq!(mismatch, Err(FunctionError::Mismatch(message.into())));
}
