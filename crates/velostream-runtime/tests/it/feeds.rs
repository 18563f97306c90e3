//! Rows that the partitions take from feeds themselves.

use crate::blocks::{Cell, block};
use crate::harness::{Harness, each, show};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use velostream_runtime::{
    Admission, ChangeBatch, EngineOptions, Error, ErrorCode, Feed, Pull, RelationId, Rows,
};

const COUNTS: [usize; 6] = [0, 1, 2, 3, 4, 8];
const KEYS: [&str; 5] = ["a", "b", "c", "d", "a key that is long"];
const SOURCES: &str = "CREATE STREAM s (k STRING, x INT CHECK (x <> 13), ts BIGINT, WATERMARK FOR ts AS ts);
    CREATE STREAM r (k STRING, x INT CHECK (x <> 13), ts BIGINT, WATERMARK FOR ts AS ts);
    CREATE TABLE names (k STRING PRIMARY KEY, name STRING)";
const QUERIES: [&str; 10] = [
    "SELECT k, x, ts FROM s WHERE x > -90",
    "SELECT k, COUNT(*) AS n, SUM(x) AS total FROM s GROUP BY k EMIT CHANGES",
    "SELECT k, window_start, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 50 MILLISECONDS) GROUP BY k EMIT FINAL",
    "SELECT k, window_start, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 50 MILLISECONDS) GROUP BY k EMIT CHANGES",
    "SELECT k, x, SUM(x) OVER (PARTITION BY k ORDER BY ts ROWS 3 PRECEDING) AS y FROM s",
    "SELECT COUNT(*) AS n, SUM(x) AS total FROM s EMIT CHANGES",
    "SELECT s.k, s.x, names.name FROM s LEFT JOIN names ON s.k = names.k",
    "SELECT k, 12 / x AS share FROM s",
    "SELECT k, SUM(12 / x) AS shares FROM s GROUP BY k EMIT CHANGES",
    "SELECT DISTINCT k, x FROM s",
];

/// A key by its number, a value, a time in milliseconds.
type Record = (Option<usize>, Option<i32>, Option<i64>);

/// Gives these blocks, one at each call, and false with the last or, as half of them do, behind it.
struct Given {
    blocks: std::vec::IntoIter<Vec<Record>>,
    tells_late: bool,
}

impl Feed for Given {
    fn next(&mut self, rows: &mut Rows) -> Result<bool, Error> {
        let Some(block) = self.blocks.next() else { return Ok(false) };
        assert!(rows.is_empty(), "nothing is there before");
        block.into_iter().try_for_each(|(k, x, ts)| rows.push((k.map(|k| KEYS[k]), x, ts)))?;
        Ok(self.tells_late || self.blocks.len() > 0)
    }
}

fn feeds(of: &[Vec<Vec<Record>>]) -> Vec<Box<dyn Feed>> {
    let feed = |(at, blocks): (usize, &Vec<Vec<Record>>)| -> Box<dyn Feed> {
        Box::new(Given { blocks: blocks.clone().into_iter(), tells_late: at % 2 == 0 })
    };
    of.iter().enumerate().map(feed).collect()
}

/// The blocks dealt round.
fn in_turn(of: &[Vec<Vec<Record>>]) -> Vec<Vec<Record>> {
    let longest = of.iter().map(Vec::len).max().unwrap_or_default();
    (0..longest).flat_map(|at| of.iter().filter_map(move |blocks| blocks.get(at).cloned())).collect()
}

fn row_block(records: &[Record]) -> Vec<u8> {
    let column = |cell: &dyn Fn(&Record) -> Cell| records.iter().map(cell).collect::<Vec<_>>();
    block(&[
        column(&|record| record.0.map_or(Cell::Null, |k| Cell::Text(KEYS[k]))),
        column(&|record| record.1.map_or(Cell::Null, |x| Cell::Number(f64::from(x)))),
        column(&|record| record.2.map_or(Cell::Null, Cell::Integer)),
    ])
}

fn relation(t: &Harness, name: &str) -> RelationId {
    t.engine.relation(name).expect("it exists").id
}

fn feed(t: &mut Harness, name: &str, feeds: Vec<Box<dyn Feed>>) {
    let id = relation(t, name);
    t.engine.feed(id, feeds).expect("it takes feeds");
}

/// All that shows of a query: its changes, the letters of the door and its own without its name, late records.
type Shown = [Vec<String>; 4];

/// Where two differ first.
fn difference(found: &Shown, expected: &Shown) -> Option<String> {
    let names = ["changes", "letters of the door", "letters", "late"];
    let each = names.iter().zip(found).zip(expected).filter(|((_, found), expected)| found != expected);
    each.map(|((name, found), expected)| {
        let at = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
        format!("{name} {at}: {:?} instead of {:?}", found.get(at), expected.get(at))
    })
    .next()
}

fn start(partitions: usize, narrow: bool) -> Harness {
    let mut t = Harness::new(EngineOptions {
        partitions,
        mailbox_batches: if narrow { 1 } else { 1000 },
        output_rows: if narrow { 2 } else { 8192 },
        dead_letter_capacity: 100_000,
        ..EngineOptions::default()
    });
    t.exec(SOURCES);
    t.exec("INSERT INTO names VALUES ('a', 'first'), ('c', 'third')");
    t
}

fn shown(t: &mut Harness, changes: Vec<String>) -> Shown {
    let letters = t.letters().into_iter().map(|letter| letter.replace(" query_1 ", " - "));
    // How those of the door and those of the query stand among each other is a matter of timing.
    let of_door = |letter: &String| letter.contains("CONSTRAINT") || letter.contains("event time");
    let (of_door, of_query) = letters.partition(of_door);
    let late = t.engine.take_late();
    let late = late.iter().map(|late| format!("{} {}", show(&late.row).join(""), late.late_by_ms)).collect();
    [changes, of_door, of_query, late]
}

fn fed(partitions: usize, narrow: bool, sql: &str, of: &[Vec<Vec<Record>>]) -> Shown {
    let mut t = start(partitions, narrow);
    feed(&mut t, "s", feeds(of));
    let query = t.query(sql);
    // Of the table; feeds end by themselves.
    t.end();
    let changes = t.drain(query);
    shown(&mut t, changes)
}

fn inserted(sql: &str, of: &[Vec<Vec<Record>>]) -> Shown {
    let mut t = start(0, false);
    let query = t.query(sql);
    let (id, mut changes) = (relation(&t, "s"), Vec::new());
    for records in in_turn(of) {
        let block = row_block(&records);
        while t.engine.insert_rows(id, &block, t.now_ms).expect("it fits") == Admission::Full {
            t.pull(query, &mut changes);
        }
    }
    t.end();
    changes.extend(t.drain(query));
    shown(&mut t, changes)
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let key = prop_oneof![9 => (0..KEYS.len()).prop_map(Some), 1 => Just(None)];
    let value = prop_oneof![20 => (-20..20_i32).prop_map(Some), 1 => Just(Some(13)), 1 => Just(None)];
    let time = prop_oneof![30 => (1000..1400_i64).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((key, value, time), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    /// Whoever takes which block of which feed when changes nothing: rows, their order, time, letters, late records are
    /// those of the same rows inserted in the order of the feeds' turns.
    #[test]
    fn feeds_give_what_insertions_give(
        of in prop::collection::vec(prop::collection::vec(records(), 0..14), 1..5),
        partitions in prop::sample::select(COUNTS.to_vec()),
        narrow in any::<bool>(),
        sql in prop::sample::select(QUERIES.to_vec()),
    ) {
        prop_assert_eq!(difference(&fed(partitions, narrow, sql, &of), &inserted(sql, &of)), None);
    }
}

/// Records of which some are late, some refused.
fn block_of(from: usize, rows: usize) -> Vec<Record> {
    let record = |at: usize| {
        let time = (at as i64 * 3) - (at as i64 * 7919) % 150;
        (Some(at % KEYS.len()), Some((at % 37) as i32 - 5), Some(10_000 + time))
    };
    (from..from + rows).map(record).collect()
}

#[test]
fn feeds_of_unequal_lengths_give_the_same_at_every_number_of_partitions() {
    let long = (0..60).map(|at| block_of(at * 100, 1 + at * 7 % 90)).collect::<Vec<_>>();
    let short = (0..9).map(|at| block_of(at * 160, 150)).collect::<Vec<_>>();
    let single = vec![block_of(0, 1), Vec::new(), block_of(50, 1), block_of(90, 2000)];
    for of in [vec![long.clone()], vec![short.clone(), long.clone()], vec![single, long, short]] {
        for sql in QUERIES {
            let expected = inserted(sql, &of);
            assert!(!expected[0].is_empty() && !expected[1].is_empty());
            for partitions in COUNTS {
                let found = fed(partitions, partitions % 2 == 0, sql, &of);
                let what = format!("{sql}, partitions {partitions}, feeds {}", of.len());
                assert_eq!(difference(&found, &expected), None, "{what}");
            }
        }
    }
}

#[test]
fn two_relations_with_feeds_are_taken_by_event_time() {
    let sql = "SELECT s.k, s.x, r.x AS y FROM s JOIN r WITHIN 20 MILLISECONDS ON s.k = r.k";
    let of = |first: usize| (0..20).map(|at| block_of(first + at * 40, 40)).collect::<Vec<_>>();
    let run = |partitions: usize| {
        let mut t = start(partitions, partitions == 3);
        feed(&mut t, "s", feeds(&[of(0), of(5)]));
        feed(&mut t, "r", feeds(&[of(3)]));
        let query = t.query(sql);
        t.drain(query)
    };
    let expected = run(0);
    assert!(expected.len() > 100, "{}", expected.len());
    for partitions in COUNTS {
        assert!(run(partitions) == expected, "partitions {partitions}");
    }
}

/// Rows of these times, then what the call behind the last of them gives.
fn timed(
    blocks: &[&[i64]],
    mut behind: impl FnMut() -> Result<bool, Error> + Send + 'static,
) -> Box<dyn Feed> {
    let mut blocks = blocks.iter().map(|block| block.to_vec()).collect::<Vec<_>>().into_iter();
    Box::new(move |rows: &mut Rows| {
        let Some(block) = blocks.next() else { return behind() };
        block.into_iter().try_for_each(|ts| rows.push((Some("a"), Some(1), Some(ts))))?;
        Ok(true)
    })
}

const BOTH: &str = "SELECT 's' AS name, ts FROM s UNION ALL SELECT 'r', ts FROM r";

#[test]
fn a_relation_without_which_nothing_can_be_given_is_called_before_others_are_again() {
    for partitions in [0, 1] {
        let mut t = start(partitions, false);
        let (seen, is_seen) = std::sync::mpsc::channel();
        let waits = move || {
            is_seen.recv_timeout(std::time::Duration::from_secs(10)).expect("the rows before come out first");
            Ok(false)
        };
        feed(&mut t, "s", vec![timed(&[&[1000, 2000]], waits)]);
        feed(&mut t, "r", vec![timed(&[&[1500], &[1600]], || Ok(false))]);
        let (query, mut lines) = (t.query(BOTH), Vec::new());
        while t.pull(query, &mut lines) && lines.len() < 4 {
            t.wait();
        }
        assert_eq!(lines, ["+ s 1000", "+ r 1500", "+ r 1600", "+ s 2000"], "partitions {partitions}");
        seen.send(()).expect("the feed waits");
        assert_eq!(t.drain(query), Vec::<String>::new());
    }
}

#[test]
fn a_feed_that_fails_among_others_ends_its_query_behind_the_rows_before() {
    for partitions in COUNTS {
        let mut t = start(partitions, partitions % 2 == 0);
        let dies = || Err(Error::new(ErrorCode::Io, "the line is dead"));
        feed(&mut t, "s", vec![timed(&[&[1000, 3000], &[4000]], dies)]);
        feed(&mut t, "r", vec![timed(&[&[1500], &[3500, 4500], &[6000]], || Ok(false))]);
        let query = t.query(BOTH);
        let (lines, error) = failed(&mut t, query);
        let expected = ["+ s 1000", "+ r 1500", "+ s 3000", "+ r 3500", "+ s 4000"];
        assert_eq!(lines, expected, "partitions {partitions}");
        assert_eq!((error.code, error.relation.as_deref()), (ErrorCode::Io, Some("s")));
    }
}

#[test]
fn a_feed_and_a_file_are_taken_by_event_time() {
    let path = std::env::temp_dir().join(format!("velostream-{}-with-feed.csv", std::process::id()));
    let line = |at: usize| format!("{},{},{}\n", KEYS[at % 5], at, 10_000 + at * 3 / 2 - at % 4);
    std::fs::write(&path, (0..1_000).map(line).collect::<String>()).expect("it can be written");
    let run = |partitions: usize| {
        let mut t = start(partitions, partitions == 3);
        t.exec(&format!(
            "CREATE STREAM f (k STRING, x INT, ts BIGINT, WATERMARK FOR ts AS ts)
               WITH (connector = 'file', path = '{}', header = 'false')",
            path.display()
        ));
        let blocks = (0..20).map(|at| block_of(at * 40, 40)).collect::<Vec<_>>();
        feed(&mut t, "s", feeds(&[blocks]));
        let query = t.query("SELECT s.k, s.x, f.x AS y FROM s JOIN f WITHIN 20 MILLISECONDS ON s.k = f.k");
        t.drain(query)
    };
    let expected = run(0);
    assert!(expected.len() > 500, "{}", expected.len());
    for partitions in COUNTS {
        assert!(run(partitions) == expected, "partitions {partitions}");
    }
    std::fs::remove_file(path).expect("it is there");
}

#[test]
fn what_the_relation_forbids_becomes_letters_with_the_numbers_of_the_records_before() {
    each(|t| {
        t.exec("CREATE STREAM c (k STRING NOT NULL, x INT CHECK (x <> 13))");
        let blocks = |of: Vec<Vec<(Option<&'static str>, i32)>>| -> Box<dyn Feed> {
            let mut of = of.into_iter();
            Box::new(move |rows: &mut Rows| {
                let Some(block) = of.next() else { return Ok(false) };
                block.into_iter().try_for_each(|row| rows.push(row))?;
                Ok(true)
            })
        };
        let first = blocks(vec![vec![(Some("a"), 1), (None, 2), (Some("b"), 3)], vec![(Some("c"), 13)]]);
        let second = blocks(vec![vec![(Some("d"), 13)], vec![(None, 13)], vec![(Some("e"), 4)]]);
        feed(t, "c", vec![first, second]);
        let query = t.query("SELECT k, x FROM c");
        assert_eq!(t.drain(query), ["+ a 1", "+ b 3", "+ e 4"]);
        let null = "query_1 CONSTRAINT: k must not be NULL";
        let check = "query_1 CONSTRAINT: CHECK (x <> 13) is violated";
        assert_eq!(
            t.letters(),
            [format!("c#1 {null}"), format!("c#2 {check}"), format!("c#2 {check}"), format!("c#2 {null}"),]
        );
    });
}

/// Counts calls and gives one row in each, until `last` says what the end is.
fn counting(
    calls: &Arc<AtomicUsize>,
    rows_each: usize,
    last: impl Fn(usize) -> Option<Result<bool, Error>> + Send + 'static,
) -> Box<dyn Feed> {
    let calls = Arc::clone(calls);
    Box::new(move |rows: &mut Rows| {
        let call = calls.fetch_add(1, Ordering::AcqRel);
        if let Some(end) = last(call) {
            return end;
        }
        (0..rows_each).try_for_each(|at| rows.push((call as i32, at as i32)))?;
        Ok(true)
    })
}

/// What a query gave before its end, and the error that ended it.
fn failed(t: &mut Harness, query: velostream_runtime::QueryId) -> (Vec<String>, Error) {
    let mut lines = Vec::new();
    loop {
        let mut out = ChangeBatch::default();
        match t.engine.pull(query, 1_000, &mut out) {
            Ok(Pull::Rows) => lines.extend(show(&out)),
            Ok(Pull::Empty) => t.wait(),
            Ok(Pull::Ended) => panic!("it ends without an error"),
            Err(error) => return (lines, error),
        }
    }
}

#[test]
fn a_feed_that_fails_ends_its_query_behind_the_rows_before() {
    for partitions in COUNTS {
        let mut t = start(partitions, false);
        t.exec(
            "CREATE STREAM f (call INT, at INT); CREATE STREAM p (call INT, at INT); CREATE STREAM w (v INT)",
        );
        let sound = t.query("SELECT v FROM w");
        let calls = Arc::new(AtomicUsize::new(0));
        let gone = |call| (call == 20).then(|| Err(Error::new(ErrorCode::Io, "the line is dead")));
        let panics = |call| (call == 20).then(|| panic!("row {call} is gone"));
        for (name, feed_it, code, message) in [
            ("f", counting(&calls, 2, gone), ErrorCode::Io, "the line is dead"),
            (
                "p",
                counting(&calls, 2, panics),
                ErrorCode::Internal,
                "a feed of p has panicked: row 20 is gone",
            ),
        ] {
            calls.store(0, Ordering::Release);
            feed(&mut t, name, vec![feed_it]);
            let query = t.query(&format!("SELECT call, at FROM {name}"));
            let (lines, error) = failed(&mut t, query);
            let expected: Vec<_> =
                (0..20).flat_map(|call| [format!("+ {call} 0"), format!("+ {call} 1")]).collect();
            assert_eq!(lines, expected, "{name}, partitions {partitions}");
            assert_eq!((error.code, error.message.as_str()), (code, message), "partitions {partitions}");
            assert_eq!(error.relation.as_deref(), Some(name));
            assert_eq!(calls.load(Ordering::Acquire), 21, "it is not called again");
            t.engine.close_query(query);
        }
        t.insert("w", r#"{"v":1}"#);
        assert_eq!(t.changes(sound), ["+ 1"], "another query goes on");
    }
}

#[test]
fn columns_that_are_not_the_relations_end_the_query() {
    each(|t| {
        t.exec("CREATE STREAM s (a INT, b INT); CREATE STREAM other (a INT, b STRING)");
        let other = t.engine.relation("other").expect("it exists").schema;
        let uneven: Box<dyn Feed> = Box::new(|rows: &mut Rows| {
            rows.columns_mut()[1].push_null();
            Ok(true)
        });
        let strange: Box<dyn Feed> = Box::new(move |rows: &mut Rows| {
            *rows = Rows::new(&other);
            Ok(true)
        });
        for (given, message) in
            [(uneven, "column b has 1 rows of 0"), (strange, "column b is INT, not STRING")]
        {
            feed(t, "s", vec![given]);
            let query = t.query("SELECT a FROM s");
            let (_, error) = failed(t, query);
            assert_eq!((error.code, error.message.as_str()), (ErrorCode::Type, message));
            t.engine.close_query(query);
        }
    });
}

/// Mailboxes, blocks that are open and outputs hold so many blocks for each partition.
const BLOCKS_HELD_MAX: usize = 12;

#[test]
fn feeds_wait_for_a_slow_reader() {
    for partitions in COUNTS {
        for sql in ["SELECT call, at FROM f", "SELECT COUNT(*) AS n FROM f EMIT CHANGES"] {
            let options =
                EngineOptions { partitions, mailbox_batches: 1, output_rows: 3, ..EngineOptions::default() };
            let mut t = Harness::new(options);
            t.exec("CREATE STREAM f (call INT, at INT)");
            let calls: Vec<_> = (0..3).map(|_| Arc::new(AtomicUsize::new(0))).collect();
            let ends = |call| (call == 200).then_some(Ok(false));
            feed(&mut t, "f", calls.iter().map(|calls| counting(calls, 5, ends)).collect());
            let query = t.query(sql);
            let mut rows = 0;
            loop {
                let mut out = ChangeBatch::default();
                match t.engine.pull(query, 1, &mut out).expect("it runs") {
                    Pull::Rows => rows += out.len(),
                    Pull::Empty => t.wait(),
                    Pull::Ended => break,
                }
                let called: usize = calls.iter().map(|calls| calls.load(Ordering::Acquire)).sum();
                let held = called - called.min(rows / 5);
                assert!(
                    held <= BLOCKS_HELD_MAX * partitions.max(1),
                    "{held} blocks, partitions {partitions}"
                );
            }
            assert_eq!(rows, 3 * 200 * 5);
        }
    }
}

#[test]
fn an_engine_that_is_closed_amid_its_feeds_leaves_nothing_behind() {
    for partitions in COUNTS {
        for rows_each in [0, 1, 1000] {
            let options =
                EngineOptions { partitions, mailbox_batches: 1, output_rows: 1, ..EngineOptions::default() };
            let (mut t, waker) = Harness::with_waker(options);
            t.exec("CREATE STREAM f (call INT, at INT); CREATE STREAM g (call INT, at INT)");
            let calls = Arc::new(AtomicUsize::new(0));
            for name in ["f", "g"] {
                feed(
                    &mut t,
                    name,
                    vec![counting(&calls, rows_each, |_| None), counting(&calls, 1, |_| None)],
                );
            }
            let query = t.query("SELECT call FROM f WHERE at < 5");
            t.query("SELECT COUNT(*) AS n FROM g EMIT FINAL");
            while t.engine.pull(query, 1, &mut ChangeBatch::default()).expect("it runs") == Pull::Empty {
                t.wait();
            }
            t.engine.close();
            drop(t);
            assert_eq!(Arc::strong_count(&calls), 1, "a feed is left, partitions {partitions}");
            assert_eq!(
                Arc::strong_count(&waker),
                1,
                "something of the engine is left, partitions {partitions}"
            );
        }
    }
}

#[test]
fn a_query_that_is_ended_takes_no_more() {
    for partitions in COUNTS {
        let mut t = Harness::new(EngineOptions { partitions, ..EngineOptions::default() });
        t.exec("CREATE STREAM f (call INT, at INT)");
        let calls = Arc::new(AtomicUsize::new(0));
        feed(&mut t, "f", vec![counting(&calls, 0, |_| None), counting(&calls, 0, |_| None)]);
        let query = t.query("SELECT call FROM f");
        t.exec("TERMINATE query_1");
        assert_eq!(t.drain(query), Vec::<String>::new());
        t.engine.close_query(query);
        assert_eq!(Arc::strong_count(&calls), 1, "it has let go of its feeds");
        calls.store(0, Ordering::Release);
        feed(&mut t, "f", vec![counting(&calls, 1, |call| (call > 0).then_some(Ok(false)))]);
        let query = t.query("SELECT call FROM f");
        assert_eq!(t.drain(query), ["+ 0"]);
    }
}

fn none() -> Vec<Box<dyn Feed>> {
    vec![Box::new(|_: &mut Rows| Ok(false))]
}

fn refused(t: &mut Harness, name: &str, feeds: Vec<Box<dyn Feed>>) -> (ErrorCode, String) {
    let id = relation(t, name);
    let error = t.engine.feed(id, feeds).expect_err("it is refused");
    (error.code, error.message)
}

#[test]
fn a_relation_has_feeds_or_insertions_and_feeds_have_one_reader() {
    each(|t| {
        t.exec("CREATE STREAM s (v INT); CREATE STREAM inserted (v INT); CREATE STREAM target (v INT)");
        t.exec("INSERT INTO inserted VALUES (1); INSERT INTO target SELECT v FROM inserted");
        t.exec("CREATE STREAM derived AS SELECT v FROM s");
        let text = |code, message: &str| (code, message.to_owned());
        assert_eq!(refused(t, "s", none()), text(ErrorCode::InUse, "s is used by derived"));
        assert_eq!(
            refused(t, "inserted", none()),
            text(ErrorCode::State, "inserted has taken records by insertion")
        );
        assert_eq!(refused(t, "target", none()), text(ErrorCode::InUse, "target is used by query_1"));
        assert_eq!(
            refused(t, "derived", none()),
            text(ErrorCode::Unsupported, "derived is made by its query and takes no records")
        );
        t.exec("DROP STREAM derived");
        assert_eq!(refused(t, "s", Vec::new()), text(ErrorCode::Argument, "no feeds for s"));
        feed(t, "s", none());
        for sql in ["INSERT INTO s VALUES (1)", "INSERT INTO s SELECT v FROM inserted"] {
            let error = t.try_exec(sql).expect_err("it has feeds");
            assert_eq!(
                (error.code, error.message.as_str()),
                (ErrorCode::Unsupported, "s has feeds and takes no records")
            );
        }
        feed(t, "s", none());
        let query = t.query("SELECT v FROM s");
        let second = t.try_all("SELECT v FROM s").expect_err("they are taken");
        assert_eq!(second.code, ErrorCode::InUse);
        assert!(second.hint.is_some() && second.message.starts_with("the feeds of s are taken by query_"));
        assert_eq!(t.drain(query), Vec::<String>::new());
        feed(t, "s", vec![Box::new(|rows: &mut Rows| rows.push((7,)).map(|()| false))]);
        assert_eq!(t.all("SELECT v FROM s"), ["7"], "asked once, with other feeds");
    });
}

#[test]
fn a_table_made_of_feeds_answers_when_they_have_ended() {
    each(|t| {
        t.exec("CREATE STREAM f (call INT, at INT); CREATE TABLE k (call INT PRIMARY KEY, at INT)");
        let calls: Vec<_> = (0..3).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let ends = |call| (call == 100).then_some(Ok(false));
        feed(t, "f", calls[..2].iter().map(|calls| counting(calls, 3, ends)).collect());
        t.exec("CREATE STREAM passed AS SELECT call, at FROM f WHERE at > 0");
        t.exec("CREATE TABLE sums AS SELECT at, COUNT(*) AS n FROM passed GROUP BY at");
        assert_eq!(t.all("SELECT at, n FROM sums"), ["1 200", "2 200"]);
        feed(t, "k", vec![counting(&calls[2], 3, ends)]);
        assert_eq!(
            t.all("SELECT COUNT(*) AS n, SUM(at) AS at FROM k"),
            ["100 200"],
            "the last row of each key"
        );
    });
}

#[test]
fn what_is_taken_from_feeds_counts_for_their_relations() {
    let of = [vec![block_of(0, 100), block_of(200, 100)], vec![block_of(100, 100)]];
    let records = of.iter().flatten().flatten();
    let accepted = records.filter(|(_, x, _)| *x != Some(13)).count() as u64;
    for partitions in COUNTS {
        let mut t = start(partitions, false);
        feed(&mut t, "s", feeds(&of));
        feed(&mut t, "r", vec![timed(&[&[9_000, 9_500], &[]], || Ok(false))]);
        let query = t.query(BOTH);
        assert_eq!(t.drain(query).len() as u64, accepted + 2);
        let metrics = t.engine.metrics();
        let counts = |name: &str| {
            let found = metrics.relations.iter().find(|relation| relation.name == name);
            found.map(|relation| (relation.records_in, relation.watermark_micros)).expect("it exists")
        };
        let latest = of.iter().flatten().flatten().filter_map(|record| record.2).max();
        assert_eq!(counts("s"), (accepted, latest.map(|ms| ms * 1000)), "partitions {partitions}");
        assert_eq!(counts("r"), (2, Some(9_500_000)));
    }
}
