//! Queries of every kind, random histories of records for them, and all that a query gives for one: whatever the
//! partitions, the batches and the threads' timing.

use crate::harness::{Harness, show};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use velostream_runtime::sink::rows::block_of;
use velostream_runtime::{
    Admission, ChangeBatch, ChangeSink, Changes, DeadLetter, DeadRecord, EngineOptions, Error, LateRecord,
    Params, Pull, QueryId, QueryOptions, RelationId,
};

pub const SOURCES: &str = "CREATE STREAM s (k STRING, j INT, v INT, t TIMESTAMP, CHECK (j < 3),
       WATERMARK FOR t AS t - INTERVAL '3' SECOND) WITH (timestamp_format = '%s');
     CREATE STREAM r (k STRING, j INT, v INT, t TIMESTAMP,
       WATERMARK FOR t AS t - INTERVAL '3' SECOND) WITH (timestamp_format = '%s');
     CREATE TABLE names (k STRING PRIMARY KEY, name STRING)";

/// Queries that as many receivers answer as there are partitions.
pub const SHARED: &[&str] = &[
    "SELECT k, v * 2 AS w FROM s WHERE v > 3",
    "SELECT k, COUNT(*) AS n, SUM(v) AS sum FROM s GROUP BY k EMIT CHANGES",
    "SELECT k, j, MIN(v) AS low FROM s WHERE v > 1 GROUP BY k, j EMIT CHANGES",
    "SELECT v % 3 AS m, COUNT(*) AS n FROM s GROUP BY v % 3 HAVING COUNT(*) > 2 EMIT CHANGES",
    "SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT FINAL",
    "SELECT n, k FROM (SELECT k, COUNT(*) AS n FROM s GROUP BY k) AS c WHERE n > 1 EMIT FINAL",
    "SELECT k, window_start, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k EMIT FINAL",
    "SELECT COUNT(*) AS n FROM s WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 4 SECONDS) GROUP BY k EMIT FINAL",
    "SELECT k, window_end, SUM(v) AS n FROM s WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 4 SECONDS) GROUP BY k EMIT CHANGES",
    "SELECT k, window_start, window_end, COUNT(*) AS n FROM s WINDOW SESSION (2 SECONDS) GROUP BY k EMIT CHANGES",
    "SELECT k, 12 / (COUNT(*) - 2) AS x FROM s WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY k EMIT FINAL",
    "SELECT k, CAST(CASE WHEN COUNT(*) > 4 THEN '1' ELSE k END AS INT) AS x FROM s WINDOW TUMBLING (SIZE 20 SECONDS) GROUP BY k EMIT FINAL",
    "SELECT DISTINCT k, j FROM s",
    "SELECT k, SUM(v) OVER (PARTITION BY k ORDER BY t ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS sum FROM s EMIT CHANGES",
    "SELECT s.k, s.v, names.name FROM s LEFT JOIN names ON s.k = names.k",
    "SELECT s.k, s.v, r.v AS w FROM s JOIN r WITHIN 2 SECONDS ON s.k = r.k",
    "SELECT s.k, COUNT(*) AS n FROM s JOIN r WITHIN 2 SECONDS ON s.k = r.k AND s.j = r.j WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY s.k EMIT FINAL",
    "SELECT s.k, r.j, SUM(s.v - r.v) AS sum FROM s JOIN r WITHIN 2 SECONDS ON s.k = r.k GROUP BY s.k, r.j EMIT FINAL",
    "SELECT a.k, COUNT(*) AS n FROM s a JOIN s b WITHIN 1 SECOND ON a.k = b.k AND a.v < b.v GROUP BY a.k EMIT CHANGES",
    "SELECT names.k, s.j, COUNT(*) AS n FROM s JOIN names ON s.k = names.k GROUP BY names.k, s.j EMIT FINAL",
    "SELECT k, COUNT(*) AS n, MAX(total) AS top FROM (SELECT k, j, SUM(v) AS total FROM s GROUP BY k, j) AS c GROUP BY k EMIT CHANGES",
    "SELECT k, MIN(n) AS low FROM (SELECT k, j, window_start, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY k, j) AS c WHERE n > 1 GROUP BY k EMIT CHANGES",
    "SELECT k, COUNT(*) AS n, SUM(x) AS sum FROM (SELECT k, v - LAG(v) OVER (PARTITION BY k ORDER BY t) AS x FROM s) AS c GROUP BY k EMIT CHANGES",
    "SELECT a.k, COUNT(*) AS n FROM (SELECT DISTINCT k, j FROM s) AS a GROUP BY a.k HAVING 12 / COUNT(*) > 4 EMIT CHANGES",
    "SELECT k, 12 / v AS share FROM s",
    "SELECT k, SUM(12 / v) AS shares FROM s GROUP BY k EMIT CHANGES",
    "SELECT 12 / v AS share, COUNT(*) AS n FROM s GROUP BY 12 / v EMIT CHANGES",
];

/// Queries that as many receivers answer as there are partitions, in each of two stages.
pub const STAGED: &[&str] = &[
    "SELECT name, COUNT(*) AS n, AVG(s.v) AS mean FROM s JOIN names ON s.k = names.k GROUP BY name EMIT CHANGES",
    "SELECT name, COUNT(*) AS n FROM s LEFT JOIN names ON s.k = names.k GROUP BY name HAVING COUNT(*) > 1 EMIT FINAL",
    "SELECT name, s.j, SUM(12 / s.v) AS x FROM s JOIN names ON s.k = names.k GROUP BY name, s.j EMIT CHANGES",
    "SELECT name, SUM(12 / (x - 3)) AS x FROM (SELECT name, 12 / v AS x FROM s JOIN names ON s.k = names.k) AS c GROUP BY name EMIT CHANGES",
    "SELECT name, MAX(CAST(CASE WHEN x = 1 THEN 'one' ELSE '2' END AS INT)) AS x FROM (SELECT name, 12 / v AS x FROM s JOIN names ON s.k = names.k) AS c GROUP BY name EMIT CHANGES",
    "SELECT name, window_start, SUM(12 / s.v) AS n FROM s JOIN names ON s.k = names.k WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY name EMIT FINAL",
    "SELECT name, 12 / (COUNT(*) - 2) AS x FROM s JOIN names ON s.k = names.k WINDOW TUMBLING (SIZE 3 SECONDS) GROUP BY name EMIT FINAL",
    "SELECT name, window_start, window_end, COUNT(*) AS n FROM s LEFT JOIN names ON s.k = names.k WINDOW SESSION (1 SECOND) GROUP BY name EMIT CHANGES",
    "SELECT name, SUM(v) OVER (PARTITION BY name ORDER BY t ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS sum FROM (SELECT name, v, t FROM s JOIN names ON s.k = names.k WHERE v > 2) AS c EMIT CHANGES",
    "SELECT name, MAX(n) AS top FROM (SELECT name, s.j, COUNT(*) AS n FROM s JOIN names ON s.k = names.k GROUP BY name, s.j) AS c GROUP BY name EMIT CHANGES",
    "SELECT name, COUNT(*) AS n FROM (SELECT DISTINCT s.k, s.j, name FROM s LEFT JOIN names ON s.k = names.k) AS c GROUP BY name EMIT CHANGES",
    "SELECT name, SUM(LENGTH(k)) AS sum FROM (SELECT DISTINCT s.k, name FROM s LEFT JOIN names ON s.k = names.k) AS c GROUP BY name EMIT CHANGES",
    "SELECT total, COUNT(*) AS n FROM (SELECT k, j, SUM(v) AS total FROM s GROUP BY k, j) AS c GROUP BY total EMIT CHANGES",
    "SELECT n, COUNT(*) AS groups, MIN(k) AS low, MAX(j) AS high FROM (SELECT k, j, COUNT(*) AS n FROM s GROUP BY k, j) AS c GROUP BY n EMIT CHANGES",
    "SELECT m, COUNT(*) AS n, MAX(x) AS x FROM (SELECT k, MAX(v) % 3 AS m, SUM(12 / v) AS x FROM s GROUP BY k, j HAVING COUNT(*) <> 2) AS c WHERE m > 0 GROUP BY m EMIT CHANGES",
    "SELECT n, COUNT(*) AS panes, MAX(window_start) AS last FROM (SELECT k, window_start, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 2 SECONDS) GROUP BY k) AS c GROUP BY n EMIT CHANGES",
    "SELECT total % 5 AS m, COUNT(*) AS n, MIN(12 / (total - 30)) AS low, COUNT(*) FILTER (WHERE 12 / (j - 3) < -6) AS few FROM (SELECT k, j, SUM(v) AS total FROM s GROUP BY k, j) AS c GROUP BY total % 5 EMIT CHANGES",
    "SELECT 12 / (x - 1) AS m, COUNT(*) AS n FROM (SELECT DISTINCT k, 12 / v AS x FROM s) AS c GROUP BY 12 / (x - 1) EMIT CHANGES",
    "SELECT DISTINCT n FROM (SELECT k, j, COUNT(*) AS n FROM s GROUP BY k, j) AS c EMIT CHANGES",
    "SELECT name, n, COUNT(*) AS keys FROM (SELECT name, s.k, COUNT(*) AS n FROM s JOIN names ON s.k = names.k GROUP BY name, s.k) AS c GROUP BY name, n EMIT CHANGES",
];

/// Queries whose second stage one receiver does, whatever the number of partitions.
pub const INTO_ONE: &[&str] = &[
    "SELECT k, COUNT(*) AS n FROM (SELECT k, j, SUM(v) AS total FROM s GROUP BY k, j) AS c WHERE total > 9 GROUP BY k EMIT FINAL",
    "SELECT total, COUNT(*) AS n FROM (SELECT k, j, SUM(v) AS total FROM s GROUP BY k, j) AS c GROUP BY total HAVING COUNT(*) < 3 EMIT CHANGES",
    "SELECT COUNT(*) AS n, MAX(total) AS top FROM (SELECT k, j, SUM(v) AS total FROM s GROUP BY k, j) AS c EMIT CHANGES",
    "SELECT MAX(12 / (total - 30)) AS top, COUNT(*) AS n FROM (SELECT k, j, SUM(v) AS total FROM s GROUP BY k, j) AS c EMIT CHANGES",
    "SELECT COUNT(*) AS n FROM (SELECT k, j, SUM(12 / v) AS total FROM s GROUP BY k, j) AS c GROUP BY total EMIT CHANGES",
    "SELECT n, COUNT(*) AS panes FROM (SELECT k, window_start, COUNT(*) AS n FROM s WINDOW HOPPING (SIZE 4 SECONDS, ADVANCE BY 1 SECOND) GROUP BY k) AS c GROUP BY n EMIT CHANGES",
    "SELECT n, COUNT(*) AS sessions, MAX(window_end) AS last FROM (SELECT k, window_start, window_end, COUNT(*) AS n FROM s WINDOW SESSION (2 SECONDS) GROUP BY k) AS c GROUP BY n EMIT CHANGES",
    "SELECT m, COUNT(*) AS n FROM (SELECT n, COUNT(*) AS m FROM (SELECT k, j, COUNT(*) AS n FROM s GROUP BY k, j) AS c GROUP BY n) AS d WHERE m < 4 GROUP BY m EMIT CHANGES",
    "SELECT MIN(n) AS low, COUNT(*) AS names FROM (SELECT name, COUNT(*) AS n FROM (SELECT DISTINCT s.k, s.j, name FROM s JOIN names ON s.k = names.k) AS c GROUP BY name) AS d EMIT CHANGES",
];

/// Queries that one receiver answers whatever the number of partitions.
pub const SINGLE: &[&str] = &[
    "SELECT k, window_start, window_end, COUNT(*) AS n FROM s WINDOW SESSION (2 SECONDS) GROUP BY k EMIT FINAL",
    "SELECT s.k, s.v, r.v AS w FROM s LEFT JOIN r WITHIN 2 SECONDS ON s.k = r.k AND s.j = r.j EMIT FINAL",
    "SELECT COUNT(*) AS n FROM s EMIT CHANGES",
    "SELECT total, SUM(top) AS n FROM (SELECT k, j, SUM(v) AS total, MAX(v) AS top FROM s GROUP BY k, j) AS c GROUP BY total EMIT CHANGES",
    "SELECT j, SUM(x) AS sum FROM (SELECT j, v - LAG(v) OVER (PARTITION BY k ORDER BY t) AS x FROM s) AS c GROUP BY j EMIT CHANGES",
    "SELECT k, v FROM s LIMIT 9",
    "SELECT name, COUNT(*) AS n, SUM(12 / (LENGTH(name) - 2)) AS x FROM names GROUP BY name",
    "SELECT k, v FROM s WHERE v > 5 UNION ALL SELECT k, 12 / v FROM r",
    "SELECT k FROM s UNION SELECT name FROM names",
    "SELECT COUNT(name) AS n FROM s LEFT JOIN names ON s.k = names.k EMIT CHANGES",
    "SELECT k, SUM(v) OVER (ORDER BY t RANGE INTERVAL '4' SECOND PRECEDING) AS sum FROM s EMIT FINAL",
];

/// Queries over what other queries maintain, with those.
pub const CHAINED: &[(&str, &str)] = &[
    (
        "CREATE TABLE sizes AS SELECT n, COUNT(*) AS keys FROM (SELECT k, j, COUNT(*) AS n FROM s GROUP BY k, j) AS c GROUP BY n",
        "SELECT keys, COUNT(*) AS n, MAX(n) AS top, SUM(12 / (n - 9)) AS x FROM sizes GROUP BY keys EMIT CHANGES",
    ),
    (
        "CREATE TABLE sums AS SELECT k, SUM(12 / v) AS total FROM s GROUP BY k",
        "SELECT total % 5 AS m, COUNT(*) AS n FROM sums GROUP BY total % 5 EMIT CHANGES",
    ),
    (
        "CREATE STREAM big AS SELECT k, j, v, t FROM s WHERE v > 4",
        "SELECT big.k, big.v, r.v AS w FROM big JOIN r WITHIN 2 SECONDS ON big.k = r.k",
    ),
    (
        "CREATE TABLE counts AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;
         CREATE TABLE tops AS SELECT k, MAX(v) AS top FROM s WHERE v > 2 GROUP BY k",
        "SELECT c.k, c.n, 12 / (t.top - 4) AS x FROM counts c FULL JOIN tops t ON c.k = t.k",
    ),
    (
        "CREATE TABLE few (CHECK (n < 9)) AS SELECT k, j, COUNT(*) AS n FROM s GROUP BY k, j",
        "SELECT k, SUM(n) AS n FROM few GROUP BY k EMIT CHANGES",
    ),
    (
        "CREATE STREAM per_five AS SELECT k, window_start AS t, SUM(v) AS v FROM s
         WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY k EMIT FINAL",
        "SELECT window_start, COUNT(*) AS n, SUM(12 / (v - 9)) AS x FROM per_five WINDOW TUMBLING (SIZE 20 SECONDS) EMIT FINAL",
    ),
    (
        "CREATE STREAM copied (k STRING, v INT, CHECK (v < 8));
         INSERT INTO copied SELECT k, v FROM s WHERE v > 2; INSERT INTO copied SELECT k, v FROM r",
        "SELECT k, COUNT(*) AS n, SUM(12 / (v - 3)) AS x FROM copied GROUP BY k EMIT CHANGES",
    ),
    (
        "CREATE STREAM o (k STRING, j INT, v INT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '0' SECOND);
         INSERT INTO o SELECT k, j, v, t FROM s",
        "SELECT j, COUNT(*) AS n, MAX(x) AS top FROM (SELECT j, 12 / (v - LAG(v) OVER (PARTITION BY k ORDER BY t)) AS x FROM o) AS c GROUP BY j EMIT CHANGES",
    ),
    (
        "CREATE TABLE per_name AS SELECT name, COUNT(*) AS n, SUM(12 / s.v) AS x FROM s JOIN names ON s.k = names.k GROUP BY name",
        "SELECT n % 3 AS m, COUNT(*) AS n, SUM(x) AS x FROM per_name GROUP BY n % 3 EMIT CHANGES",
    ),
    (
        "CREATE STREAM per_three AS SELECT name, window_start AS t, COUNT(*) AS n FROM s JOIN names ON s.k = names.k
         WINDOW TUMBLING (SIZE 3 SECONDS) GROUP BY name EMIT FINAL",
        "SELECT window_start, SUM(12 / (n - 2)) AS n FROM per_three WINDOW TUMBLING (SIZE 20 SECONDS) EMIT FINAL",
    ),
    (
        "CREATE VIEW inverse AS SELECT k, 12 / v AS x, t FROM s",
        "SELECT k, SUM(x) AS x FROM inverse GROUP BY k",
    ),
];

/// Numbers that look random, the same in each run: xorshift, Marsaglia 2003.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// How a history of records is given in, and to how many receivers.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub partitions: usize,
    pub batch: usize,
    pub output_rows: usize,
    pub mailbox_batches: usize,
    /// Whether only each key's order matters.
    pub by_key: bool,
    /// Whether changes are taken where they are computed, or pulled.
    pub sinks: bool,
}

/// Changes that sinks have taken.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<ChangeBatch>>);

impl ChangeSink for Taken {
    fn take(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        let mut taken = self.0.lock().expect("no sink has panicked");
        if taken.columns.is_empty() {
            *taken = ChangeBatch::like(changes.batches()[0]);
        }
        changes.append_to(&mut taken);
        Ok(())
    }
}

/// One record after the other to one receiver.
pub const PLAIN: Way =
    Way { partitions: 1, batch: 1, output_rows: 1000, mailbox_batches: 1000, by_key: false, sinks: false };

pub enum Step {
    Record(String),
    /// Of the other stream.
    Other(String),
    Name(String),
    Advance(i64),
}

fn record(random: &mut Random, second: i64) -> String {
    let time = second - random.below(6) as i64;
    let (k, v) = (random.below(6), random.below(10));
    let j = if random.below(40) == 0 { 3 } else { random.below(3) };
    format!(r#"{{"k":"k{k}","j":{j},"v":{v},"t":"{time}"}}"#)
}

fn name(random: &mut Random) -> Step {
    Step::Name(format!(r#"{{"k":"k{}","name":"n{}"}}"#, random.below(6), random.below(100)))
}

/// Records of all relations and moves of time, in turns, so that batches stay small.
pub fn mixed(random: &mut Random, length: usize) -> Vec<Step> {
    let mut second = 100;
    let mut step = |_| match random.below(60) {
        0 => name(random),
        1 => {
            second += random.below(8) as i64;
            Step::Advance(second * 1_000_000)
        }
        kind => {
            second += random.below(3) as i64;
            let record = record(random, second);
            if kind < 4 { Step::Other(record) } else { Step::Record(record) }
        }
    };
    (0..length).map(&mut step).collect()
}

/// First everything else, then records of one stream, so that batches can be of any size.
pub fn long(random: &mut Random, length: usize) -> Vec<Step> {
    let names: Vec<Step> = (0..6).map(|_| name(random)).collect();
    let others = (0..length / 20).map(|at| Step::Other(record(random, 100 + 20 * at as i64)));
    let others: Vec<Step> = others.collect();
    let records = (0..length).map(|at| Step::Record(record(random, 100 + at as i64)));
    names.into_iter().chain(others).chain(records).collect()
}

/// All that a query has given for a history.
#[derive(Debug, Default)]
pub struct Found {
    /// Its changes as JavaScript gets them.
    pub bytes: Vec<u8>,
    pub lines: Vec<String>,
    pub receivers: usize,
    /// Dead letters by relation and query: in what order those of different ones come is a matter of timing.
    pub letters: BTreeMap<(String, Option<String>), Vec<String>>,
    /// The same of late records.
    pub late: BTreeMap<(String, Option<String>), Vec<String>>,
    /// Letters, late records and changes, as the receivers have counted them.
    pub counted: (u64, u64, u64),
}

struct Run {
    t: Harness,
    query: QueryId,
    /// Whether the query has not ended.
    runs: bool,
    found: ChangeBatch,
    error: Option<String>,
}

impl Run {
    fn pull(&mut self) {
        while self.runs {
            let mut out = ChangeBatch::default();
            match self.t.engine.pull(self.query, 1_000, &mut out) {
                Ok(Pull::Rows) if self.found.columns.is_empty() => self.found = out,
                Ok(Pull::Rows) => self.found.extend_range(&out, 0, out.len()),
                Ok(Pull::Empty) => return,
                Ok(Pull::Ended) => self.runs = false,
                Err(error) => {
                    self.error = Some(error.to_string());
                    self.runs = false;
                }
            }
        }
    }

    /// Gives something in, taking changes out while there is no room.
    fn give(&mut self, accept: &dyn Fn(&mut Harness) -> Admission) {
        loop {
            let admission = accept(&mut self.t);
            let before = self.found.len();
            self.pull();
            match admission {
                Admission::Accepted => return,
                Admission::Full if self.found.len() == before => self.t.wait(),
                Admission::Full => {}
            }
        }
    }

    fn insert(&mut self, id: RelationId, records: &str) {
        self.give(&|t| t.engine.insert_json(id, records.as_bytes(), true, 0).expect("accepted"));
    }

    fn give_all(&mut self, history: &[Step], batch: usize) {
        let [s, r, names] =
            ["s", "r", "names"].map(|name| self.t.engine.relation(name).expect("it exists").id);
        let mut records = String::new();
        let mut count = 0;
        for step in history {
            if let Step::Record(record) = step {
                records += record;
                count += 1;
                if count < batch {
                    continue;
                }
            }
            if count > 0 {
                self.insert(s, &std::mem::take(&mut records));
                count = 0;
            }
            match step {
                Step::Record(_) => {}
                Step::Other(record) => self.insert(r, record),
                Step::Name(name) => self.insert(names, name),
                Step::Advance(micros) => {
                    self.give(&|t| t.engine.advance_time(Some(s), *micros, 0).expect("accepted"));
                }
            }
        }
        if count > 0 {
            self.insert(s, &records);
        }
    }
}

/// Everything of a letter but the partition, which tells how the work was shared.
fn letter(letter: &DeadLetter) -> String {
    let record = match &letter.record {
        DeadRecord::Row(_, row) => show(row).join(""),
        DeadRecord::Bytes(bytes) => format!("{bytes:?}"),
    };
    let DeadLetter { relation, query, offset, code, message, at_ms, .. } = letter;
    format!("{relation}#{offset} {query:?} {} {message} {record} {at_ms}", code.as_str())
}

fn late(late: &LateRecord) -> String {
    format!("{} {} {} {}", late.relation, late.query, show(&late.row).join(""), late.late_by_ms)
}

/// What a query over these definitions gives for a history.
pub fn run(definitions: &str, sql: &str, on_error: &str, history: &[Step], way: Way) -> Found {
    let Way { partitions, output_rows, mailbox_batches, .. } = way;
    let mut t = Harness::new(EngineOptions {
        partitions,
        output_rows,
        mailbox_batches,
        dead_letter_capacity: 100_000,
        ..EngineOptions::default()
    });
    t.exec(SOURCES);
    t.exec(definitions);
    t.insert("names", r#"{"k":"k1","name":"first"}"#);
    let on_error = Some(on_error.to_owned());
    let options = QueryOptions { on_error, order_by_key: way.by_key, ..QueryOptions::default() };
    let taken = Taken::default();
    let query = if way.sinks {
        let sinks = taken.clone();
        let started = t.engine.query_into(
            sql,
            &Params::default(),
            &options,
            move |_| Box::new(sinks.clone()),
            t.now_ms,
        );
        started.unwrap_or_else(|error| panic!("{error}\n{sql}"))
    } else {
        t.query_with(sql, &options)
    };
    let mut run = Run { t, query, runs: true, found: ChangeBatch::default(), error: None };
    run.give_all(history, way.batch);
    run.t.end();
    loop {
        run.pull();
        if !run.runs {
            break;
        }
        run.t.wait();
    }
    if way.sinks {
        assert!(run.found.is_empty(), "{sql}: what sinks take is not pulled");
        run.found = std::mem::take(&mut *taken.0.lock().expect("no sink has panicked"));
    }
    // What it reads may have gone on behind its end.
    run.t.flush();
    let metrics = run.t.engine.metrics();
    let partitions = &metrics.queries.last().expect("it is there").partitions;
    let count = |of: fn(&_) -> u64| partitions.iter().map(of).sum();
    let mut letters: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for one in run.t.engine.dead_letters() {
        letters.entry((one.relation.clone(), one.query.clone())).or_default().push(letter(&one));
    }
    let mut lates: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for one in run.t.engine.take_late() {
        lates.entry((one.relation.clone(), Some(one.query.clone()))).or_default().push(late(&one));
    }
    Found {
        bytes: block_of(&run.found),
        lines: show(&run.found).into_iter().chain(run.error).collect(),
        receivers: partitions.len(),
        letters,
        late: lates,
        counted: (count(|each| each.dead_letters), count(|each| each.late), count(|each| each.changes_out)),
    }
}
