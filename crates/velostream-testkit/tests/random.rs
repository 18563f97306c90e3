//! Random scripts against recomputation from scratch: after every record the change log is exactly the net
//! difference of the answers before and after it, however the records are cut into batches and wherever the
//! state moves into a fresh processor.

use proptest::prelude::*;
use std::collections::BTreeMap;
use velostream_engine::functions::registry::registry;
use velostream_sql::types::DataType;
use velostream_testkit::golden::{CoreDoor, GoldenCatalog, Outcome, Word, show};

/// What a record of the table holds: `k` and `i`.
type Row = (Option<u8>, Option<i32>);
type Rows = BTreeMap<u8, Row>;

/// An answer: its rows as texts, in order.
type Answer = Vec<String>;

/// A query with the answer that its definition gives over the table's rows.
struct Case {
    sql: &'static str,
    answer: fn(&Rows) -> Answer,
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(u8, Row),
    Delete(u8),
}

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, k STRING, i INT)";

const CASES: [Case; 6] = [
    Case {
        sql: "SELECT k, COUNT(*) AS n, COUNT(i) AS c, SUM(i) AS s, MIN(i) AS lo, MAX(i) AS hi, \
              COUNT(DISTINCT i) AS d, COUNT(*) FILTER (WHERE i > 0) AS p FROM t GROUP BY k",
        answer: |rows| groups(rows).into_iter().map(|(k, values)| all_aggregates(k, &values)).collect(),
    },
    Case {
        sql: "SELECT s, COUNT(*) AS n FROM (SELECT k, SUM(i) AS s FROM t GROUP BY k) AS g GROUP BY s",
        answer: |rows| {
            let mut counts: BTreeMap<Option<i64>, i64> = BTreeMap::new();
            for values in groups(rows).into_values() {
                *counts.entry(sum(&values)).or_default() += 1;
            }
            counts.into_iter().map(|(s, n)| format!("{} {n}", word(s))).collect()
        },
    },
    Case {
        sql: "SELECT k FROM t WHERE i > 0",
        answer: |rows| {
            let kept = rows.values().filter(|(_, i)| i.is_some_and(|i| i > 0));
            kept.map(|(k, _)| key(*k)).collect()
        },
    },
    Case {
        sql: "SELECT k, MAX(i) AS hi FROM t GROUP BY k HAVING COUNT(*) > 1",
        answer: |rows| {
            let large = groups(rows).into_iter().filter(|(_, values)| values.len() > 1);
            large.map(|(k, values)| format!("{} {}", key(k), word(known(&values).max()))).collect()
        },
    },
    Case {
        sql: "SELECT MAX(n) AS most, MIN(hi) AS least FROM \
              (SELECT k, COUNT(*) AS n, MAX(i) AS hi FROM t GROUP BY k) AS g",
        answer: |rows| {
            let groups = groups(rows);
            let most = groups.values().map(Vec::len).max();
            let least = groups.values().filter_map(|values| known(values).max()).min();
            vec![format!("{} {}", word(most), word(least))]
        },
    },
    Case {
        sql: "SELECT DISTINCT i FROM t",
        answer: |rows| {
            let mut distinct: Vec<Option<i32>> = rows.values().map(|(_, i)| *i).collect();
            distinct.sort_unstable();
            distinct.dedup();
            distinct.into_iter().map(word).collect()
        },
    },
];

fn groups(rows: &Rows) -> BTreeMap<Option<u8>, Vec<Option<i32>>> {
    let mut groups: BTreeMap<Option<u8>, Vec<Option<i32>>> = BTreeMap::new();
    for (k, i) in rows.values() {
        groups.entry(*k).or_default().push(*i);
    }
    groups
}

fn known(values: &[Option<i32>]) -> impl Iterator<Item = i32> {
    values.iter().copied().flatten()
}

fn sum(values: &[Option<i32>]) -> Option<i64> {
    known(values).map(i64::from).reduce(|left, right| left + right)
}

fn all_aggregates(k: Option<u8>, values: &[Option<i32>]) -> String {
    let mut distinct: Vec<i32> = known(values).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let (count, positive) = (known(values).count(), known(values).filter(|i| *i > 0).count());
    let (least, most) = (word(known(values).min()), word(known(values).max()));
    let total = word(sum(values));
    format!("{} {} {count} {total} {least} {most} {} {positive}", key(k), values.len(), distinct.len())
}

fn key(k: Option<u8>) -> String {
    k.map_or("NULL".to_owned(), |k| format!("key{k}"))
}

fn word(value: Option<impl ToString>) -> String {
    value.map_or("NULL".to_owned(), |value| value.to_string())
}

fn bare(text: String) -> Word {
    Word { text, quoted: false }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = (prop::option::of(0..3_u8), prop::option::of(-2..3_i32));
    let step = prop_oneof![
        4 => (0..6_u8, row).prop_map(|(id, row)| Step::Upsert(id, row)),
        1 => (0..6_u8).prop_map(Step::Delete),
    ];
    prop::collection::vec(step, 1..60)
}

/// Takes what is equal out of both lists.
fn without_common(mut left: Answer, right: &Answer) -> Answer {
    for row in right {
        if let Some(at) = left.iter().position(|other| other == row) {
            left.remove(at);
        }
    }
    left.sort_unstable();
    left
}

/// Checks one record's changes against the answers before and after it.
fn check_net(caused: &[Outcome], types: &[DataType], before: &Answer, after: &Answer) -> Result<(), String> {
    let (went, came) = (without_common(before.clone(), after), without_common(after.clone(), before));
    let (mut deleted, mut added, mut updated_count) = (Answer::new(), Answer::new(), 0);
    for outcome in caused {
        let Outcome::Change(mark, row) = outcome else { return Err(format!("{outcome:?}")) };
        let values: Vec<String> =
            row.iter().zip(types).map(|(value, &data_type)| show(value, data_type)).collect();
        updated_count += usize::from(*mark == '~');
        if *mark == '-' { &mut deleted } else { &mut added }.push(values.join(" "));
    }
    added.sort_unstable();
    let exact = added == came
        && without_common(deleted.clone(), &went).is_empty()
        && deleted.len() + updated_count == went.len();
    if exact { Ok(()) } else { Err(format!("{before:?} to {after:?} by -{deleted:?} +{added:?}")) }
}

fn run(case: &Case, steps: &[Step], batch_rows: usize, restore_at: usize) -> Result<(), String> {
    let mut catalog = GoldenCatalog::default();
    catalog
        .bind(TABLE, registry())
        .expect("the table binds")
        .into_iter()
        .for_each(|each| catalog.define(each));
    let query = catalog.query(case.sql, registry(), false).map_err(|errors| errors.to_string())?;
    let types: Vec<DataType> = query.plan.schema().fields.iter().map(|field| field.data_type).collect();
    let declared = catalog.source("t").expect("the table is defined");
    let mut door = CoreDoor::new(&query, &[declared]).map_err(|error| error.to_string())?;
    let mut rows = Rows::new();
    let mut before = Answer::new();
    for (number, chunk) in steps.chunks(batch_rows).enumerate() {
        if number == restore_at {
            door.move_state().map_err(|error| error.to_string())?;
        }
        for step in chunk {
            match step {
                Step::Upsert(id, (k, i)) => {
                    let words = [bare(id.to_string()), bare(key(*k)), bare(word(*i))];
                    door.push("t", &words, false).map_err(|error| error.to_string())?;
                }
                Step::Delete(id) => {
                    door.push("t", &[bare(id.to_string())], true).map_err(|error| error.to_string())?
                }
            }
        }
        let caused = door.process().map_err(|error| error.to_string())?;
        for (row, step) in chunk.iter().enumerate() {
            match step {
                Step::Upsert(id, row) => rows.insert(*id, *row),
                Step::Delete(id) => rows.remove(id),
            };
            let shown_yet = !before.is_empty() || !rows.is_empty();
            let after = if shown_yet { (case.answer)(&rows) } else { Answer::new() };
            let own: Vec<Outcome> = caused
                .iter()
                .filter(|(record, _)| *record == row)
                .map(|(_, outcome)| outcome.clone())
                .collect();
            check_net(&own, &types, &before, &after)?;
            before = after;
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_change_log_is_the_difference_of_recomputed_answers(
        steps in steps(),
        batch_rows in 1..20_usize,
        restore_at in 0..10_usize,
    ) {
        for case in &CASES {
            let verdict = run(case, &steps, batch_rows, restore_at);
            prop_assert!(verdict.is_ok(), "{}: {}", case.sql, verdict.expect_err("it failed"));
        }
    }
}
