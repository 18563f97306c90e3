//! Queries: texts over every operator, with gaps that are filled at random.

use super::Random;

/// The sources, all of the columns `id, k, g, v, ts`: two streams and two tables.
pub const RELATIONS: [&str; 4] = ["s", "r", "a", "b"];

/// The sources, and relations derived from them, some with constraints on what they maintain.
pub const DEFINITIONS: [&str; 10] = [
    "CREATE STREAM s (id BIGINT, k STRING, g BIGINT, v BIGINT, ts TIMESTAMP, CHECK (v < 90), \
        WATERMARK FOR ts AS ts - INTERVAL '3' SECOND)",
    "CREATE STREAM r (id BIGINT, k STRING, g BIGINT, v BIGINT, ts TIMESTAMP, \
        WATERMARK FOR ts AS ts - INTERVAL '3' SECOND)",
    "CREATE TABLE a (id BIGINT PRIMARY KEY, k STRING, g BIGINT, v BIGINT, ts TIMESTAMP, CHECK (v < 90), \
        WATERMARK FOR ts AS ts - INTERVAL '3' SECOND)",
    "CREATE TABLE b (id BIGINT PRIMARY KEY, k STRING, g BIGINT, v BIGINT, ts TIMESTAMP, \
        WATERMARK FOR ts AS ts - INTERVAL '3' SECOND)",
    "CREATE TABLE balances (CHECK (total >= -2)) AS SELECT k, SUM(v) AS total FROM s GROUP BY k",
    "CREATE TABLE stock (CHECK (n < 4)) AS SELECT k, COUNT(*) AS n FROM a GROUP BY k",
    "CREATE TABLE newest (CHECK (v <> 4)) AS SELECT id, v FROM b WHERE g < 2",
    "CREATE STREAM per_ten AS SELECT k, window_start AS ts, SUM(v) AS v FROM s \
        WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 SECOND) GROUP BY k",
    "CREATE TABLE filling AS SELECT k, window_start, COUNT(*) AS n FROM s \
        WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS) GROUP BY k EMIT CHANGES",
    "CREATE VIEW inverse AS SELECT id, k, g, 12 / v AS v, ts FROM s",
];

/// Queries with gaps: `{in}` a source, `{x}` and `{y}` values some of which fail, `{by}` grouping columns, `{agg}`
/// aggregates, `{having}`, `{window}`, `{join}` a kind of join, `{frame}`, `{emit}`.
pub const TEMPLATES: [&str; 50] = [
    "SELECT id, {x} AS x FROM {in}",
    "SELECT * FROM a",
    "SELECT id, k FROM {in} WHERE {x} > 1",
    "SELECT id, {x} AS x FROM {in} LIMIT 4",
    "SELECT COUNT(*) AS n, {agg} FROM {in}",
    "SELECT COUNT(*) AS n, {agg} FROM {in} EMIT FINAL",
    "SELECT {by}, {agg} FROM {in} GROUP BY {by}{having}",
    "SELECT {by}, {agg} FROM {in} GROUP BY {by}{having} EMIT FINAL",
    "SELECT k, {agg}, {x} AS x FROM {in} GROUP BY k, {x}",
    "SELECT k, 12 / SUM(v) AS share, {agg} FROM {in} GROUP BY k",
    "SELECT DISTINCT k, {x} AS x FROM {in}",
    "SELECT DISTINCT g FROM {in} WHERE {x} > 0",
    "SELECT n, COUNT(*) AS groups, SUM({y}) AS sum FROM (SELECT k, COUNT(*) AS n, SUM(v) AS v FROM {in} GROUP BY k) q \
        GROUP BY n",
    "SELECT MAX(c) AS hi, MIN(c) AS lo FROM (SELECT g, {agg} FROM {in} GROUP BY g) q",
    "SELECT {by}, window_start, {agg} FROM {in} WINDOW {window} GROUP BY {by}{having} EMIT {emit}",
    "SELECT window_start, window_end, {agg} FROM {in} WINDOW {window} EMIT {emit}",
    "SELECT k, window_start, 12 / SUM(v) AS share FROM {in} WINDOW {window} GROUP BY k EMIT {emit}",
    "SELECT k, window_start, {agg} FROM inverse WINDOW {window} GROUP BY k EMIT {emit}",
    "SELECT window_start, window_end, {agg} FROM TABLE(CUMULATE(TABLE {in}, DESCRIPTOR(ts), INTERVAL '5' SECOND, \
        INTERVAL '20' SECOND)) GROUP BY window_start, window_end EMIT {emit}",
    "SELECT SUM(v) AS total FROM per_ten WINDOW TUMBLING (SIZE 20 SECONDS) EMIT {emit}",
    "SELECT k, 12 / v AS x FROM per_ten",
    "SELECT n, COUNT(*) AS c, SUM(12 / (n - 3)) AS x FROM filling GROUP BY n",
    "SELECT l.id, m.id AS other, l.v + m.v AS x FROM s l {join} r m WITHIN 4 SECONDS ON l.k = m.k",
    "SELECT l.id, m.id AS other FROM s l {join} r m WITHIN 4 SECONDS ON l.k = m.k AND 12 / (l.v + m.v) > 0 EMIT FINAL",
    "SELECT l.k, COUNT(*) AS n, SUM(12 / (l.v - m.v)) AS x FROM s l JOIN r m WITHIN 4 SECONDS ON l.k = m.k \
        GROUP BY l.k",
    "SELECT l.k, window_start, COUNT(*) AS n, SUM(12 / (l.v - m.v)) AS x FROM s l JOIN r m WITHIN 4 SECONDS \
        ON l.k = m.k WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY l.k EMIT {emit}",
    "SELECT l.id, m.v FROM s l {join} a m ON l.g = m.id",
    "SELECT l.id, 12 / (l.v - m.v) AS x FROM s l JOIN a m ON l.g = m.id",
    "SELECT l.id, m.id AS other, l.v AS x FROM s l JOIN r m ON l.k = m.k AND l.v < m.v",
    "SELECT a.id, b.v FROM a {join} b ON a.id = b.id",
    "SELECT a.id, b.id AS other, 12 / (a.v - b.v) AS x FROM a JOIN b ON a.k = b.k",
    "SELECT a.g, COUNT(*) AS n, SUM({y}) AS x FROM (SELECT a.g, b.v FROM a {join} b ON a.g = b.id) a GROUP BY a.g",
    "SELECT x.k, x.n, y.total FROM (SELECT k, COUNT(*) AS n FROM a GROUP BY k) x \
        {join} (SELECT k, SUM({y}) AS total FROM b GROUP BY k) y ON x.k = y.k",
    "SELECT id, SUM({y}) OVER (PARTITION BY k ORDER BY ts {frame}) AS x FROM s",
    "SELECT id, 12 / SUM(v) OVER (PARTITION BY k ORDER BY ts {frame}) AS x FROM s",
    "SELECT id, MIN(v) OVER (PARTITION BY g ORDER BY ts) AS lo, COUNT(DISTINCT v) OVER (ORDER BY ts) AS kinds FROM s WHERE {x} > 0",
    "SELECT id, v - LAG({y}) OVER (PARTITION BY k ORDER BY ts) AS step, FIRST_VALUE(v) OVER (ORDER BY ts) AS f FROM s",
    "SELECT k, MAX(x) AS most FROM (SELECT k, SUM({y}) OVER (PARTITION BY k ORDER BY ts {frame}) AS x FROM s) q \
        GROUP BY k",
    "SELECT id, {x} AS x FROM s UNION ALL SELECT id, v FROM {in}",
    "SELECT k, v FROM {in} UNION SELECT k, {x} FROM r",
    "SELECT k, COUNT(*) AS n FROM (SELECT k, v FROM a UNION ALL SELECT k, {x} FROM s) q GROUP BY k",
    "SELECT k, total FROM balances",
    "SELECT stock.k, stock.n, total FROM stock {join} balances ON stock.k = balances.k",
    "SELECT COUNT(*) AS n, SUM(12 / v) AS x FROM newest",
    "SELECT id, {x} AS x FROM a EMIT FINAL",
    "SELECT a.id, b.v FROM a {join} b ON a.id = b.id EMIT FINAL",
    "SELECT id, SUM({y}) OVER (PARTITION BY k ORDER BY ts {frame}) AS x FROM s EMIT FINAL",
    "SELECT id, v - LAG(v) OVER (PARTITION BY k ORDER BY ts) AS step FROM s WHERE {x} > 0 EMIT FINAL",
    "SELECT DISTINCT k, {x} AS x FROM {in} EMIT FINAL",
    "SELECT k, window_start, {agg} FROM (SELECT k, g, v, id, ts FROM s UNION ALL SELECT k, g, v, id, ts FROM r) q \
        WINDOW {window} GROUP BY k EMIT {emit}",
];

const VALUES: [&str; 6] =
    ["v", "v + g", "12 / v", "v % (v - 1)", "CASE WHEN g = 1 THEN 12 / v ELSE v END", "COALESCE(v, id)"];
const AGGREGATES: [&str; 10] = [
    "COUNT(v)",
    "SUM(v)",
    "AVG(v)",
    "MIN(v)",
    "MAX(k)",
    "COUNT(DISTINCT v)",
    "SUM(12 / v)",
    "MAX(12 / (v - 1))",
    "SUM(DISTINCT v)",
    "COUNT(*) FILTER (WHERE v > 1)",
];

/// The text of a template with its gaps filled.
pub fn random_query(template: &str, random: &mut Random) -> String {
    let mut sql = template.to_owned();
    let by = *random.pick(&["k", "g", "k, g"]);
    let gaps: [(&str, String); 9] = [
        ("{in}", (*random.pick(&["s", "s", "a"])).to_owned()),
        ("{x}", (*random.pick(&VALUES)).to_owned()),
        ("{y}", (*random.pick(&["v", "12 / v", "12 / (v - 1)"])).to_owned()),
        ("{by}", by.to_owned()),
        ("{agg}", aggregates(random)),
        ("{having}", (*random.pick(&["", "", " HAVING COUNT(*) > 1", " HAVING 12 / SUM(v) > 0"])).to_owned()),
        ("{window}", window(random)),
        ("{join}", (*random.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])).to_owned()),
        (
            "{frame}",
            (*random.pick(&[
                "",
                "ROWS 2 PRECEDING",
                "ROWS BETWEEN 3 PRECEDING AND CURRENT ROW",
                "RANGE INTERVAL '4' SECOND PRECEDING",
            ]))
            .to_owned(),
        ),
    ];
    for (gap, text) in &gaps {
        sql = sql.replace(gap, text);
    }
    sql.replace("{emit}", random.pick::<&str>(&["CHANGES", "FINAL"]))
}

/// One to three aggregates, the first of them called `c`.
fn aggregates(random: &mut Random) -> String {
    let count = 1 + random.below(3);
    let each = (0..count).map(|index| {
        let name = ["c", "d", "e"][index];
        format!("{} AS {name}", random.pick(&AGGREGATES))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn window(random: &mut Random) -> String {
    let grace = random.below(3);
    match random.below(3) {
        0 => format!("TUMBLING (SIZE 10 SECONDS, GRACE PERIOD {grace} SECONDS)"),
        1 => format!("HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS, GRACE PERIOD {grace} SECONDS)"),
        _ => "SESSION (3 SECONDS)".to_owned(),
    }
}
