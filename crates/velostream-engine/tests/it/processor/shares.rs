//! The rows of a batch shared out among processors: together they do what one does with all of them.

use super::harness::*;
use super::properties::{stream, stream_rows};
use proptest::prelude::*;
use velostream_engine::batch::Selected;
use velostream_engine::plan::SourceId;
use velostream_engine::router::{Router, Shares};

/// Queries over the columns of random rows: expressions that are computed for all rows of a batch and such that are
/// computed for a share's own; that fail, are NULL or constant; as keys, arguments, filters and the windows' time.
const QUERIES: [&str; 14] = [
    "SELECT k, COUNT(*) AS n, SUM(b / a) AS q, SUM(d * a) AS p FROM s GROUP BY k",
    "SELECT k, SUM(b) FILTER (WHERE 10 / a > 2) AS f, SUM(a + g) AS h FROM s GROUP BY k",
    "SELECT UPPER(k) AS u, COUNT(*) AS n, MAX(k || '!') AS t, MIN(b / a) AS q FROM s GROUP BY UPPER(k)",
    "SELECT g, COUNT(*) FILTER (WHERE k LIKE '%y%') AS l, SUM(CAST(CAST(a AS STRING) || '0' AS INT)) AS c,
     SUM(CASE WHEN a > 2 THEN CAST(k AS INT) ELSE 1 END) AS f FROM s GROUP BY g",
    "SELECT k, SUM(m * m) AS e, AVG(m / a) FILTER (WHERE m > 1) AS w FROM s GROUP BY k",
    "SELECT b / a AS q, COUNT(*) AS n, MAX(UPPER(k)) AS u FROM s GROUP BY b / a",
    "SELECT k, g, SUM(1) AS one, MAX('a constant that no view holds') AS c, MIN(LOWER(k)) AS l FROM s GROUP BY k, g",
    "SELECT COALESCE(k, 'none') AS k, SUM(CASE WHEN a > 0 THEN b / a ELSE LENGTH(k) END) AS c,
     COUNT(LOWER(k)) AS l FROM s GROUP BY COALESCE(k, 'none')",
    "SELECT k, window_start, SUM(b / a) AS q, MAX(SUBSTRING(k, 2)) AS t FROM s
     WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k",
    "SELECT k, window_start, SUM(b / a) AS q, COUNT(*) AS n FROM s
     WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 4 SECONDS) GROUP BY k",
    "SELECT LOWER(k) AS l, window_start, SUM(b / a) AS q, MAX(k || '!') AS t, COUNT(*) FILTER (WHERE k LIKE 'x%') AS f
     FROM s WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 4 SECONDS) GROUP BY LOWER(k)",
    "SELECT g, window_start, SUM(m * m) AS e, AVG(d * a) AS p 
     FROM TABLE(CUMULATE(TABLE s, DESCRIPTOR(ts), INTERVAL '3' SECOND, INTERVAL '12' SECOND))
     GROUP BY g, window_start, window_end",
    "SELECT g, window_start, COUNT(*) AS n, SUM(m * m) AS e FROM s
     WINDOW TUMBLING (ts + INTERVAL '1' SECOND * LENGTH(k), INTERVAL '10' SECOND) GROUP BY g",
    "SELECT UPPER(k) AS u, window_start, window_end, SUM(b / a) AS q FROM s WINDOW SESSION (3 SECONDS) GROUP BY UPPER(k)",
];

/// How the rows of the batches are shared out.
#[derive(Debug, Clone, Copy)]
struct Sharing {
    count: u16,
    /// Whether the hashes of their keys go with them.
    hashed: bool,
    batch_rows: usize,
}

/// The logs of one processor and of those that share the rows, each in order of the records.
fn logs(query: &Query, records: &[Record], how: Sharing) -> [Vec<String>; 2] {
    let keys = query.plan.selects(SourceId(0)).expect("the plan groups the source's rows at once");
    let (mut router, mut shares) = (Router::new(keys).unwrap(), Shares::default());
    let mut whole = Run::new(query);
    let mut parts: Vec<Run<'_>> = (0..how.count).map(|_| Run::new(query)).collect();
    for chunk in records.chunks(how.batch_rows) {
        let batch = whole.batch(chunk);
        whole.try_feed(&batch).unwrap();
        router.route(&batch.changes, how.count, &mut shares);
        for (share, part) in (0..).zip(&mut parts) {
            let Selected { rows, hashes } = shares.rows(share);
            part.feed_selected(&batch, Selected { rows, hashes: hashes.filter(|_| how.hashed) });
        }
    }
    whole.end();
    parts.iter_mut().for_each(Run::end);
    let mut together: Vec<String> = parts.into_iter().flat_map(|part| part.log).collect();
    let number = |line: &String| line.split(' ').next().and_then(|seq| seq.parse().ok()).unwrap_or(u64::MAX);
    together.sort_by_key(number);
    [whole.log, together]
}

/// Rows of one number that time made final stand in the order of their groups, which one share does not know.
fn without_order(mut log: Vec<String>) -> Vec<String> {
    log.sort();
    log
}

fn check(rows: Vec<Vec<velostream_sql::plan::Literal>>, how: Sharing) {
    let records: Vec<Record> = rows.into_iter().map(record).collect();
    for sql in QUERIES {
        let [whole, together] = logs(&query(&stream(), &format!("{sql} EMIT CHANGES")), &records, how);
        assert_eq!(whole, together, "{sql} {how:?}");
        let [whole, together] = logs(&query(&stream(), &format!("{sql} EMIT FINAL")), &records, how);
        assert_eq!(without_order(whole), without_order(together), "{sql} {how:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shares_together_do_what_one_processor_does(
        rows in stream_rows(),
        count in 1..4u16,
        hashed in any::<bool>(),
        batch_rows in prop::sample::select(vec![1, 7, 100]),
    ) {
        check(rows, Sharing { count, hashed, batch_rows });
    }
}

#[test]
fn a_row_of_another_share_does_not_fail_here() {
    let query = query(
        "CREATE STREAM s (k STRING, a INT)",
        "SELECT k, SUM(CAST(k AS INT) / a) AS q FROM s GROUP BY k",
    );
    let records = [("12", 3), ("no number", 1), ("12", 0), ("12", 4)];
    let mut run = Run::new(&query);
    let batch = run.batch(&records.map(|(k, a)| record(vec![text(k), int(a)])));
    run.feed_selected(&batch, Selected { rows: &[0, 3], hashes: None });
    assert_eq!(run.log, ["1 + 12 4", "4 ~ 12 7"]);
    run.feed_selected(&batch, Selected { rows: &[], hashes: None });
    assert_eq!(run.log.len(), 2);
}

#[test]
fn batches_are_shared_out_to_the_last_row() {
    let query = query("CREATE STREAM s (a INT)", "SELECT a, COUNT(*) AS n FROM s GROUP BY a");
    let keys = query.plan.selects(SourceId(0)).expect("the plan groups the source's rows at once");
    let (mut router, mut shares) = (Router::new(keys).unwrap(), Shares::default());
    for rows in [0_usize, 1, 2000, 500] {
        let records: Vec<Record> = (0..rows as i32).map(|a| record(vec![int(a)])).collect();
        let batch = Run::new(&query).batch(&records);
        for count in 1..6 {
            router.route(&batch.changes, count, &mut shares);
            let mut all: Vec<u32> = Vec::new();
            for (share, half) in (0..count).flat_map(|share| [(share, 0..rows / 2), (share, rows / 2..rows)])
            {
                let Selected { rows: own, hashes } = shares.rows(share).within(&half);
                assert!(own.is_sorted() && hashes.is_some_and(|hashes| hashes.len() == own.len()));
                assert!(own.iter().all(|&row| half.contains(&(row as usize))));
                all.extend(own);
            }
            all.sort_unstable();
            assert!(all.into_iter().eq(0..rows as u32), "{rows} rows, {count} shares");
        }
    }
}
