//! Random scripts: the same answers with and without threads, and as recomputed from the final rows.

use crate::harness::Harness;
use proptest::prelude::*;
use std::collections::BTreeMap;
use velostream_runtime::EngineOptions;

#[derive(Debug, Clone)]
enum Step {
    Put(u8, i32),
    Delete(u8),
    Add(i32),
    Stream(u8, i32),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6u8, -20..20i32).prop_map(|(k, x)| Step::Put(k, x)),
        2 => (0..6u8).prop_map(Step::Delete),
        1 => (-3..4i32).prop_map(Step::Add),
        4 => (0..6u8, -20..20i32).prop_map(|(k, x)| Step::Stream(k, x)),
        1 => Just(Step::Flush),
    ]
}

/// What one run shows: the changes of three queries and the rows of a derived table.
fn run(partitions: usize, steps: &[Step]) -> Vec<Vec<String>> {
    let mut t = Harness::new(EngineOptions { partitions, mailbox_batches: 3, ..EngineOptions::default() });
    t.exec(
        "CREATE TABLE stock (k INT PRIMARY KEY, x INT);
         CREATE STREAM moves (k INT, x INT);
         CREATE TABLE signs AS SELECT x > 0 AS up, COUNT(*) AS n, SUM(x) AS total FROM stock GROUP BY x > 0;
         CREATE TABLE sums AS SELECT k, SUM(x) AS total FROM moves GROUP BY k;
         CREATE TABLE sizes AS SELECT total, COUNT(*) AS n FROM sums WHERE total <> 0 GROUP BY total",
    );
    let queries = [
        "SELECT up, n, total FROM signs",
        "SELECT total, n FROM sizes",
        "SELECT k, x FROM stock WHERE x > 2",
    ]
    .map(|sql| t.query(sql));
    for step in steps {
        match step {
            Step::Put(k, x) => t.insert("stock", &format!("{{\"k\":{k},\"x\":{x}}}")),
            Step::Delete(k) => t.exec(&format!("DELETE FROM stock WHERE k = {k}")),
            Step::Add(x) => t.exec(&format!("UPDATE stock SET x = x + ({x}) WHERE x < 15")),
            Step::Stream(k, x) => t.insert("moves", &format!("{{\"k\":{k},\"x\":{x}}}")),
            Step::Flush => t.flush(),
        }
    }
    let mut shown: Vec<_> = queries.into_iter().map(|query| t.changes(query)).collect();
    shown.push(t.all("SELECT total, n FROM sizes"));
    shown.push(t.all("SELECT k, x FROM stock"));
    shown
}

/// The last rows that changes leave, by their first `key` columns.
fn last(changes: &[String], key: usize) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for change in changes {
        let (mark, row) = change.split_at(1);
        let words: Vec<_> = row.split_whitespace().collect();
        match mark {
            "-" => drop(rows.remove(&words[..key].join(" "))),
            _ => drop(rows.insert(words[..key].join(" "), words.join(" "))),
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn threads_change_nothing(steps in proptest::collection::vec(step(), 0..60)) {
        let shown = run(0, &steps);
        prop_assert_eq!(&shown, &run(1, &steps));
        let mut stock = BTreeMap::new();
        let mut sums: BTreeMap<u8, i32> = BTreeMap::new();
        for step in &steps {
            match *step {
                Step::Put(k, x) => drop(stock.insert(k, x)),
                Step::Delete(k) => drop(stock.remove(&k)),
                Step::Add(by) => stock.values_mut().filter(|x| **x < 15).for_each(|x| *x += by),
                Step::Stream(k, x) => *sums.entry(k).or_default() += x,
                Step::Flush => {}
            }
        }
        let mut rows: Vec<_> = stock.iter().map(|(k, x)| format!("{k} {x}")).collect();
        let mut answered = shown[4].clone();
        rows.sort();
        answered.sort();
        prop_assert_eq!(rows, answered);
        let high: BTreeMap<_, _> = stock.iter().filter(|&(_, &x)| x > 2).map(|(k, x)| (k.to_string(), format!("{k} {x}"))).collect();
        prop_assert_eq!(last(&shown[2], 1), high);
        let mut sizes: BTreeMap<String, i32> = BTreeMap::new();
        sums.values().filter(|total| **total != 0).for_each(|total| *sizes.entry(total.to_string()).or_default() += 1);
        let sizes: BTreeMap<_, _> = sizes.into_iter().map(|(total, n)| (total.clone(), format!("{total} {n}"))).collect();
        prop_assert_eq!(last(&shown[1], 1), sizes.clone());
        let mut table = shown[3].clone();
        table.sort();
        let mut expected: Vec<_> = sizes.into_values().collect();
        expected.sort();
        prop_assert_eq!(table, expected);
    }
}
