//! Places of errors in texts with tabs, several lines and characters of several bytes.

use crate::bind;
use velostream_sql::bind::{BindOptions, Params};

fn render(sql: &str) -> String {
    let errors = bind(sql, &Params::default(), BindOptions::default()).expect_err("an error");
    errors.0.iter().map(|error| error.render(sql)).collect::<Vec<_>>().join("\n")
}

#[test]
fn lines_and_wide_characters_are_counted() {
    let wanted = "error[UNKNOWN_NAME]: no column \"größ\" in trades
 --> 3:15
  |
3 |   'äöü' AS x, größ
  |               ^^^^";
    assert_eq!(render("SELECT symbol,\n  price,\n  'äöü' AS x, größ\nFROM trades"), wanted);
}

#[test]
fn tabs_and_carriage_returns_keep_the_caret_in_place() {
    let wanted = "error[UNKNOWN_NAME]: no column \"symbl\" in trades
 --> 2:2
  |
2 | \tsymbl FROM trades
  | \t^^^^^ did you mean symbol?";
    assert_eq!(render("SELECT\r\n\tsymbl FROM trades"), wanted);
}

#[test]
fn the_end_of_a_text_has_a_place() {
    let wanted = "error[PARSE]: expected an expression, found the end
 --> 1:32
  |
1 | SELECT symbol FROM trades WHERE
  |                                ^";
    assert_eq!(render("SELECT symbol FROM trades WHERE"), wanted);
}

#[test]
fn every_statement_keeps_its_own_text() {
    let text = "SELECT 'ä' ;\n -- between\n SHOW TABLES; /* x */ SELECT 2 -- end";
    let statements = velostream_sql::parse::parse(text).expect("three statements");
    let texts: Vec<&str> = statements.iter().map(|statement| statement.text.as_ref()).collect();
    assert_eq!(texts, ["SELECT 'ä'", "SHOW TABLES", "SELECT 2"]);
}
