//! Parameters, options and the functions that callers use.

use crate::catalog::{TestCatalog, TestFunctions};
use crate::outcome;
use velostream_sql::bind::{BindOptions, Params, bind_query};
use velostream_sql::interval::parse_duration;
use velostream_sql::plan::Literal;
use velostream_sql::time::{parse_date, parse_time, parse_timestamp};
use velostream_sql::types::DataType;

fn check(sql: &str, params: &Params, options: BindOptions, expected: &[&str]) {
    let found = outcome(sql, params, options);
    let found: Vec<&str> = found.iter().map(|line| line.trim()).collect();
    assert_eq!(found, expected, "{sql}");
}

fn text(value: &str) -> (Literal, DataType) {
    (Literal::String(value.into()), DataType::String)
}

fn int(value: i32) -> (Literal, DataType) {
    (Literal::Int(value), DataType::Int)
}

#[test]
fn positional_parameters_are_constants() {
    let params = Params::Positional(vec![text("A"), int(5)]);
    let wanted = [
        "changes (price DOUBLE)",
        "Project price",
        "Filter ((symbol = 'A') AND (price > 5.0))",
        "Source trades",
    ];
    for placeholders in ["symbol = ? AND price > ?", "symbol = $1 AND price > $2"] {
        let sql = format!("SELECT price FROM trades WHERE {placeholders}");
        check(&sql, &params, BindOptions::default(), &wanted);
    }
}

#[test]
fn question_marks_count_in_the_order_of_the_text() {
    let params = Params::Positional(vec![int(1), int(2), int(3)]);
    let sql = "SELECT ? AS a, ? AS b FROM plain WHERE a = ?";
    let wanted = [
        "changes (a INT NOT NULL, b INT NOT NULL)",
        "Project 1 AS a, 2 AS b",
        "Filter (a = 3)",
        "Source plain",
    ];
    check(sql, &params, BindOptions::default(), &wanted);
}

#[test]
fn named_parameters_have_two_spellings() {
    let params = Params::Named(vec![("s".to_owned(), text("A")), ("since".to_owned(), text("2024-01-01"))]);
    let sql = "SELECT symbol FROM trades WHERE symbol = :s AND ts >= $since";
    let wanted = [
        "changes (symbol STRING NOT NULL)",
        "Project symbol",
        "Filter ((symbol = 'A') AND (ts >= TIMESTAMP '2024-01-01T00:00:00Z'))",
        "Source trades",
    ];
    check(sql, &params, BindOptions::default(), &wanted);
}

#[test]
fn missing_and_unused_parameters_are_errors() {
    let one = Params::Positional(vec![int(1)]);
    let named = Params::Named(vec![("symbol".to_owned(), text("A"))]);
    let none = Params::default();
    let cases: [(&str, &Params, &str); 6] = [
        ("SELECT ?, ?", &one, "ARGUMENT 1:11 parameter 2 is missing: 1 given"),
        ("SELECT 1", &one, "ARGUMENT 0:0 parameter 1 is not used"),
        ("SELECT :symbl", &named, "ARGUMENT 1:8 parameter :symbl is missing (did you mean symbol?)"),
        ("SELECT 1", &named, "ARGUMENT 0:0 parameter symbol is not used"),
        ("SELECT :a", &none, "ARGUMENT 1:8 parameter :a is missing: the parameters have no names"),
        ("SELECT ?", &named, "ARGUMENT 1:8 parameter 1 is missing: the parameters have names"),
    ];
    for (sql, params, expected) in cases {
        check(sql, params, BindOptions::default(), &[expected]);
    }
    check(
        "CREATE TABLE x AS SELECT a FROM plain WHERE a = ?",
        &one,
        BindOptions::default(),
        &["UNSUPPORTED 1:19 parameters cannot stand in CREATE ... AS, whose text is kept"],
    );
}

#[test]
fn expansion_reaches_the_sources() {
    let options = BindOptions { expand: true, ..BindOptions::default() };
    let wanted = [
        "changes (symbol STRING NOT NULL, n BIGINT NOT NULL)",
        "Filter (n > 1)",
        "Project symbol, n",
        "Final [key symbol, window_start]",
        "Project symbol, window_start, window_end, count AS n [key symbol, window_start] [updating]",
        "Aggregate by symbol window tumbling 1 minutes compute COUNT(*) [key symbol, window_start] [updating]",
        "Source trades",
    ];
    let found = outcome("SELECT symbol, n FROM windowed WHERE n > 1", &Params::default(), options);
    assert!(found.iter().any(|line| line.contains("Final")), "{found:?}");
    assert!(found.last().is_some_and(|line| line.trim() == "Source trades"), "{found:?}");
    assert_eq!(found.len(), wanted.len(), "{found:?}");
}

#[test]
fn expansion_keeps_checks() {
    let options = BindOptions { expand: true, ..BindOptions::default() };
    let wanted = [
        "changes (balance DECIMAL(38, 2))",
        "Project balance [updating]",
        "Filter (symbol = 'A') [key symbol] [updating]",
        "Check (balance >= 0.00) [key symbol] [updating]",
        "Project symbol, sum AS balance [key symbol] [updating]",
        "Aggregate by symbol compute SUM(amount) [key symbol] [updating]",
        "Source trades",
    ];
    check("SELECT balance FROM balances WHERE symbol = 'A'", &Params::default(), options, &wanted);
}

#[test]
fn a_snapshot_is_not_final_and_may_be_limited() {
    let options = BindOptions { snapshot: true, ..BindOptions::default() };
    let found = outcome("SELECT * FROM accounts LIMIT 2", &Params::default(), options);
    assert_eq!(found[1].trim(), "Limit 2 [key id] [updating]");
    let sql = "SELECT COUNT(*) AS n FROM trades WINDOW TUMBLING (SIZE 1 MINUTE)";
    assert!(outcome(sql, &Params::default(), options)[0].starts_with("changes"));
}

#[test]
fn bind_query_takes_one_select() {
    let bind = |sql: &str| {
        bind_query(sql, &TestCatalog::new(), &TestFunctions, &Params::default(), &BindOptions::default())
    };
    assert!(bind("SELECT 1;").is_ok());
    for sql in ["", "SHOW TABLES", "SELECT 1; SELECT 2", "DROP TABLE accounts"] {
        let errors = bind(sql).expect_err(sql);
        assert_eq!(errors.0[0].message, "expected one SELECT");
    }
}

#[test]
fn the_examples_of_the_reference_are_bound() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql.md");
    let reference = std::fs::read_to_string(path).expect("the reference");
    let blocks: Vec<&str> =
        reference.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 1, "the reference has examples");
    for block in blocks {
        if let Err(errors) = crate::bind(block, &Params::default(), BindOptions::default()) {
            panic!("{block}\n{errors}");
        }
    }
}

#[test]
fn an_error_renders_with_a_caret_line() {
    let sql = "SELECT symbl, COUNT(*) FROM trades GROUP BY symbol";
    let errors =
        bind_query(sql, &TestCatalog::new(), &TestFunctions, &Params::default(), &BindOptions::default())
            .expect_err("symbl is unknown");
    let wanted = "error[UNKNOWN_NAME]: no column \"symbl\" in trades
 --> 1:8
  |
1 | SELECT symbl, COUNT(*) FROM trades GROUP BY symbol
  |        ^^^^^ did you mean symbol?";
    assert_eq!(errors.0[0].render(sql), wanted);
}

#[test]
fn durations_and_times_are_read() {
    let durations = [
        ("7 days", Some(604_800_000_000)),
        ("500ms", Some(500_000)),
        ("1.5 s", Some(1_500_000)),
        ("1h 30m", Some(5_400_000_000)),
        ("01:30:00", Some(5_400_000_000)),
        ("1 month", None),
        ("-1 s", None),
        ("5", None),
        ("", None),
        ("fast", None),
    ];
    for (text, micros) in durations {
        assert_eq!(parse_duration(text), micros, "{text}");
    }
    let timestamps = [
        ("1970-01-01", Some(0)),
        ("1970-01-02 00:00", Some(86_400_000_000)),
        ("1970-01-01T00:00:01.5Z", Some(1_500_000)),
        ("1970-01-01 01:00:00+01:00", Some(0)),
        ("9999-12-31", Some(253_402_214_400_000_000)),
        ("9999-12-31T23:59:59.999999Z", Some(253_402_300_799_999_999)),
        ("9999-12-31 23:30:00-00:30", Some(253_402_300_800_000_000)),
        ("1970-13-01", None),
        ("yesterday", None),
    ];
    for (text, micros) in timestamps {
        assert_eq!(parse_timestamp(text), micros, "{text}");
    }
    assert_eq!(parse_date("1970-02-01"), Some(31));
    assert_eq!(parse_date("1969-12-31"), Some(-1));
    assert_eq!(parse_time("01:00:00.25"), Some(3_600_250_000));
}
