//! Which plans are cut in two stages, by what, and which are not.

use crate::{bind, first_plan};
use velostream_sql::bind::{BindOptions, Params};
use velostream_sql::explain::expression;
use velostream_sql::plan::LogicalPlan;
use velostream_sql::shares::{Route, Shares, shares, stages};
use velostream_sql::types::Schema;

fn plan_of(sql: &str) -> LogicalPlan {
    first_plan(
        bind(sql, &Params::default(), BindOptions::default()).unwrap_or_else(|errors| panic!("{errors}")),
    )
}

fn keys(shares: &Shares, schema: &Schema) -> String {
    let Some((_, Route::Keys(keys))) = shares.routes.first() else { panic!("rows go by keys") };
    keys.iter().map(|key| expression(key, schema)).collect::<Vec<_>>().join(", ")
}

/// The keys of the first source in the first stage and of the second, and the order; `one` where one stage does, `none`
/// where one receiver does it all. The second stage leaves records out, or does not.
fn cut(sql: &str, leaves_out: bool) -> String {
    cut_where(sql, &|_| leaves_out)
}

/// The same where the second stage leaves records out that `leaves_out` says it of.
fn cut_where(sql: &str, leaves_out: &dyn Fn(&LogicalPlan) -> bool) -> String {
    let plan = plan_of(sql);
    if shares(&plan).is_some() {
        return "one".to_owned();
    }
    let Some(stages) = stages(&plan, leaves_out) else { return "none".to_owned() };
    let of_stream = keys(&stages.first, &stages.stream.schema);
    if stages.second.is_one() {
        return format!("{} by {of_stream}, then one", stages.stream.name);
    }
    let of_between = keys(&stages.second, &stages.between.schema);
    format!("{} by {of_stream}, then by {of_between}, {:?}", stages.stream.name, stages.second.order)
}

fn check(sql: &str, expected: &str) {
    for leaves_out in [true, false] {
        assert_eq!(cut(sql, leaves_out), expected, "{sql}\nleaves out: {leaves_out}");
    }
}

#[test]
fn what_a_table_says_of_a_record_may_be_the_key_of_a_second_stage() {
    let joined = "FROM plain JOIN accounts ON plain.a = accounts.id";
    let by_name = "plain by a, then by name";
    check(&format!("SELECT name, COUNT(*) {joined} GROUP BY name"), &format!("{by_name}, ByRecord"));
    check(&format!("SELECT name, SUM(12 / a) {joined} GROUP BY name"), &format!("{by_name}, ByRecord"));
    check(
        &format!("SELECT name, COUNT(*) {joined} GROUP BY name EMIT FINAL"),
        &format!("{by_name}, ByGroup"),
    );
    check(
        &format!("SELECT name, COUNT(*) {joined} WHERE b <> 'x' GROUP BY name HAVING 12 / COUNT(*) > 2"),
        &format!("{by_name}, ByRecord"),
    );
    check(
        "SELECT name, COUNT(*) FROM trades LEFT JOIN accounts ON quantity = id
           WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY name EMIT FINAL",
        "trades by quantity, then by name, ByWindow",
    );
    check(
        "SELECT name, MAX(n) FROM (SELECT name, b, COUNT(*) AS n FROM plain JOIN accounts ON plain.a = accounts.id
           GROUP BY name, b) AS c GROUP BY name",
        &format!("{by_name}, ByRecord"),
    );
    check(
        "SELECT name, SUM(price) OVER (PARTITION BY name ORDER BY ts) AS x
           FROM (SELECT name, price, ts FROM trades JOIN accounts ON quantity = id) AS c EMIT CHANGES",
        "trades by quantity, then by name, ByRecord",
    );
}

#[test]
fn a_first_stage_that_keeps_something_of_records_is_cut_off_where_the_second_leaves_none_out() {
    let over =
        "SELECT a, MAX(x) FROM (SELECT a, LAG(a) OVER (PARTITION BY b) AS x FROM plain) AS c GROUP BY a";
    assert_eq!(cut(over, false), "plain by b, then by a, ByRecord");
    assert_eq!(cut(over, true), "none", "what the second stage rejects would be left in the first");
    let distinct = "SELECT name, COUNT(*) FROM (SELECT DISTINCT a, name FROM plain JOIN accounts ON plain.a = accounts.id)
         AS c GROUP BY name";
    check(distinct, "plain by a, then by name, ByRecord");
    for leaves_out in [true, false] {
        let stages = stages(&plan_of(distinct), &|_| leaves_out).expect("it is cut");
        let is_below = matches!(stages.first.plan, LogicalPlan::Aggregate { .. });
        assert_eq!(is_below, !leaves_out, "DISTINCT is in the first stage where it may be");
    }
}

#[test]
fn groups_of_groups_have_a_second_stage_that_leaves_none_out_and_shows_its_groups_alone() {
    let totals = "(SELECT symbol, SUM(quantity) AS total FROM trades GROUP BY symbol) AS c";
    let of_totals = format!("SELECT total, COUNT(*) FROM {totals} WHERE total > 3 GROUP BY total");
    assert_eq!(cut(&of_totals, false), "trades by symbol, then by sum, ByGroup");
    assert_eq!(cut(&of_totals, true), "none", "what the second stage rejects would be left in the first");
    let of_panes = |window: &str| {
        let panes = format!(
            "(SELECT symbol, window_start, COUNT(*) AS n FROM trades WINDOW {window} GROUP BY symbol)"
        );
        format!("SELECT n, COUNT(*) FROM {panes} AS c GROUP BY n")
    };
    assert_eq!(cut(&of_panes("TUMBLING (SIZE 1 MINUTE)"), false), "trades by symbol, then by count, ByGroup");
    assert_eq!(
        cut(&format!("SELECT DISTINCT total FROM {totals}"), false),
        "trades by symbol, then by sum, ByGroup"
    );
    check(
        "SELECT a, COUNT(*) FROM (SELECT a, n, COUNT(*) AS m FROM (SELECT a, b, COUNT(*) AS n FROM plain GROUP BY a, b) AS c
           GROUP BY a, n HAVING COUNT(*) < 3) AS d GROUP BY a",
        "one",
    );
}

#[test]
fn groups_whose_order_only_one_receiver_knows_have_it_behind_the_others() {
    let totals = "(SELECT symbol, SUM(quantity) AS total FROM trades GROUP BY symbol) AS c";
    let of_panes = |window: &str| {
        let panes = format!(
            "(SELECT symbol, window_start, COUNT(*) AS n FROM trades WINDOW {window} GROUP BY symbol)"
        );
        format!("SELECT n, COUNT(*) FROM {panes} AS c GROUP BY n")
    };
    for sql in [
        &of_panes("HOPPING (SIZE 2 MINUTES, ADVANCE BY 1 MINUTE)"),
        &of_panes("SESSION (1 MINUTE)"),
        &format!("SELECT COUNT(*), MAX(total) FROM {totals}"),
        // Two groups that cancel each other, a group that goes for what is shown of it, and the first that is left.
        &format!("SELECT COUNT(*) FROM {totals} GROUP BY total"),
        &format!("SELECT total, COUNT(*) FROM {totals} GROUP BY total HAVING COUNT(*) < 3"),
        &format!("SELECT total, COUNT(*) FROM {totals} GROUP BY total EMIT FINAL"),
        &format!(
            "SELECT n, COUNT(*) FROM (SELECT total, COUNT(*) AS n FROM {totals} GROUP BY total) AS d GROUP BY n"
        ),
    ] {
        assert_eq!(cut(sql, false), "trades by symbol, then one", "{sql}");
        assert_eq!(cut(sql, true), "none", "{sql}");
    }
    check("SELECT COUNT(*) FROM (SELECT LAG(a) OVER (PARTITION BY b) AS x FROM plain) AS c", "none");
}

#[test]
fn what_may_fail_for_a_row_is_computed_by_a_first_stage_that_keeps_records() {
    let divides = |plan: &LogicalPlan| {
        let mut found = false;
        plan.for_each(&mut |node| found |= format!("{node:?}").contains("Divide"));
        found
    };
    let totals = "(SELECT symbol, SUM(quantity) AS total FROM trades GROUP BY symbol) AS c";
    let by_share = format!("SELECT 12 / total AS share, COUNT(*) FROM {totals} GROUP BY 12 / total");
    assert_eq!(cut_where(&by_share, &divides), "trades by symbol, then by (12 / sum), ByGroup");
    let least = format!("SELECT total, MIN(12 / total) FROM {totals} GROUP BY total");
    assert_eq!(cut_where(&least, &divides), "trades by symbol, then by sum, ByGroup");
    let share_of_count = format!("SELECT total, 12 / COUNT(*) FROM {totals} GROUP BY total");
    assert_eq!(cut_where(&share_of_count, &divides), "none", "it may fail for a group");
    for sql in [
        format!("SELECT MAX(12 / total) FROM {totals}"),
        format!("SELECT 12 / total AS share, COUNT(*) FROM {totals} GROUP BY 12 / total HAVING COUNT(*) < 3"),
    ] {
        assert_eq!(cut_where(&sql, &divides), "trades by symbol, then one", "{sql}");
    }
    let joined = "SELECT name, MAX(12 / a) FROM plain JOIN accounts ON plain.a = accounts.id GROUP BY name";
    let stages = stages(&plan_of(joined), &divides).expect("it is cut");
    assert!(
        divides(&stages.second.plan) && stages.leaves_out,
        "the second stage may fail for what the first forgets"
    );
}

#[test]
fn one_receiver_stays_where_a_number_may_have_several_rows_or_rows_are_taken_back() {
    check(
        "SELECT t.quantity, COUNT(*) FROM trades t JOIN ticks k WITHIN 1 SECOND ON t.symbol = k.symbol GROUP BY t.quantity",
        "none",
    );
    // Of a table without a key, or by a part of it, a row may have several matches.
    check("SELECT name, COUNT(*) FROM plain JOIN parts ON plain.a = parts.id GROUP BY name", "none");
    check("SELECT bag.b, COUNT(*) FROM plain JOIN bag ON plain.a = bag.a GROUP BY bag.b", "none");
    // Others may have given several rows one number.
    check("SELECT name, COUNT(*) FROM windowed JOIN accounts ON n = id GROUP BY name", "none");
    // Rows out of order revise those behind them.
    check(
        "SELECT x, COUNT(*) FROM (SELECT LAG(quantity) OVER (PARTITION BY symbol ORDER BY ts) AS x FROM trades) AS c GROUP BY x",
        "none",
    );
}

#[test]
fn one_receiver_stays_where_a_second_stage_could_not_be_shared() {
    let joined = "FROM plain JOIN accounts ON plain.a = accounts.id";
    check(&format!("SELECT COUNT(*) {joined}"), "none");
    check(&format!("SELECT name {joined} LIMIT 3"), "none");
    check(
        "SELECT name, COUNT(*) FROM trades JOIN accounts ON quantity = id WINDOW SESSION (1 MINUTE) GROUP BY name EMIT FINAL",
        "none",
    );
    check(
        "SELECT x.name, COUNT(*) FROM plain JOIN accounts y ON plain.a = y.id JOIN accounts x ON y.name = x.name GROUP BY x.name",
        "none",
    );
}

#[test]
fn one_stage_is_enough_where_the_keys_are_among_those_of_the_first() {
    let joined = "FROM plain JOIN accounts ON plain.a = accounts.id";
    check(&format!("SELECT id, COUNT(*) {joined} GROUP BY id"), "one");
    check("SELECT b, COUNT(*) FROM (SELECT DISTINCT a, b FROM plain) AS c GROUP BY b", "one");
}
