//! Sums that pass their range and come back, among records that fail elsewhere: whatever the batches, exactly those that
//! fail leave no trace.

use super::harness::*;
use proptest::prelude::*;
use velostream_sql::plan::Literal;

const CREATE: &str = "CREATE STREAM s (k STRING, b BIGINT, m DECIMAL(38, 0), d DOUBLE, ts TIMESTAMP, \
     WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)";

/// What is summed and what may fail above it.
const SELECTS: [&str; 5] = [
    "SUM(b) AS s, COUNT(*) + 1 AS n",
    "SUM(m) AS s, AVG(m) AS a, 6 / (COUNT(*) - 3) AS n",
    "SUM(d) AS s, AVG(d) AS a, COUNT(*) + 1 AS n",
    "SUM(DISTINCT b) AS s, 6 / (COUNT(*) - 2) AS n",
    "SUM(b) AS s, SUM(m) AS m, COUNT(*) AS n",
];

const WINDOWS: [&str; 4] = [
    "",
    "WINDOW TUMBLING (SIZE 10 SECONDS)",
    "WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 4 SECONDS)",
    "WINDOW SESSION (3 SECONDS)",
];

fn any_record() -> impl Strategy<Value = Record> {
    let near = |most: f64| prop::sample::select(vec![most, -most, most / 2.0, 5.0, -1.0]);
    let b = prop::sample::select(vec![i64::MAX, i64::MIN, i64::MAX / 2, 5, -1]);
    let most = 10_i128.pow(38) - 1;
    let m = prop::sample::select(vec![most, -most, most / 2, 5, -1]);
    (0..2_usize, b, m, near(f64::MAX), 0..8_i64).prop_map(|(k, b, m, d, at)| {
        let k = text(["x", "y"][k]);
        record(vec![k, big(b), Literal::Decimal(m), double(d), time(100 + at)])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn batches_change_nothing(
        records in prop::collection::vec(any_record(), 1..14),
        select in 0..SELECTS.len(),
        window in 0..WINDOWS.len(),
        (is_having, is_final) in any::<(bool, bool)>(),
    ) {
        let having = if is_having { "HAVING COUNT(*) % 3 < 5" } else { "" };
        let emit = if is_final { "EMIT FINAL" } else { "EMIT CHANGES" };
        let sql = format!("SELECT k, {} FROM s {} GROUP BY k {having} {emit}", SELECTS[select], WINDOWS[window]);
        let query = query(CREATE, &sql);
        let expected = run_in(&query, &records, 1, false);
        for size in [2, 3, 5, 100] {
            prop_assert_eq!(&run_in(&query, &records, size, false), &expected, "{} in batches of {}", sql, size);
        }
    }

    #[test]
    fn batches_change_nothing_of_frames(records in prop::collection::vec(any_record(), 1..14), rows in 1..4_usize) {
        let sql = format!(
            "SELECT k, SUM(b) OVER w AS s, SUM(m) OVER w AS m, 6 / (COUNT(*) OVER w - 2) AS n FROM s \
             WINDOW w AS (PARTITION BY k ORDER BY ts ROWS {rows} PRECEDING) EMIT CHANGES"
        );
        let query = query(CREATE, &sql);
        let expected = run_in(&query, &records, 1, false);
        for size in [2, 3, 5, 100] {
            prop_assert_eq!(&run_in(&query, &records, size, false), &expected, "{} in batches of {}", sql, size);
        }
    }
}
