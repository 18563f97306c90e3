//! The engine's threads in thousands of interleavings, chosen by a schedule explorer: nothing is lost or doubled,
//! nothing waits for ever, and the answer is the same in each.
//!
//! Runs with the feature `explore`, under which the engine's locks, signals and threads are the explorer's.
//! `EXPLORE_SEED` and `EXPLORE_SCHEDULES` choose the schedules; a failing one is printed, to be replayed by
//! `shuttle::replay`.

#[path = "it/harness.rs"]
#[allow(dead_code)]
mod harness;

mod wakes {
    use shuttle::sync::Mutex;
    use shuttle::sync::mpsc::{Receiver, Sender, channel};
    use velostream_runtime::Waker;

    pub struct Wakes(Receiver<()>);

    impl Wakes {
        pub fn new() -> (Waker, Self) {
            let (sender, wakes): (Sender<()>, _) = channel();
            let sender = Mutex::new(sender);
            let waker = std::sync::Arc::new(move || {
                drop(sender.lock().map(|sender| sender.send(())));
            });
            (waker, Self(wakes))
        }

        pub fn wait(&self) {
            self.0.recv().expect("the engine is there");
        }
    }
}

use harness::Harness;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};
use std::path::Path;
use std::sync::LazyLock;
use velostream_runtime::{Admission, EngineOptions, FAULTY, Feed, QueryId, QueryOptions, Rows};

const DEFAULT_SEED: u64 = 20_261_129;
/// Per test; half of them at random, half with few changes of thread where these matter most (Burckhardt et al.,
/// "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", 2010).
const DEFAULT_SCHEDULES: u64 = 10_000;
/// Changes of thread that a bug may need.
const DEPTH: usize = 4;

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn explore(story: impl Fn() + Send + Sync + Copy + 'static) {
    let (seed, schedules) =
        (setting("EXPLORE_SEED", DEFAULT_SEED), setting("EXPLORE_SCHEDULES", DEFAULT_SCHEDULES) as usize);
    println!("EXPLORE_SEED={seed} EXPLORE_SCHEDULES={schedules}");
    let config = || {
        let mut config = Config::new();
        config.stack_size = 1 << 20;
        config
    };
    let at_random = RandomScheduler::new_from_seed(seed, schedules / 2);
    let ran = Runner::new(at_random, config()).run(story);
    let few_changes = PctScheduler::new_from_seed(seed, DEPTH, schedules - schedules / 2);
    let ran = ran + Runner::new(few_changes, config()).run(story);
    assert_eq!(ran, schedules);
}

/// Room for one batch and for one row: everybody waits for everybody.
fn narrow(partitions: usize) -> Harness {
    let options =
        EngineOptions { partitions, mailbox_batches: 1, output_rows: 1, ..EngineOptions::default() };
    Harness::new(options)
}

const BATCHES: [&str; 3] = [
    r#"{"k":"a","x":1}{"k":"b","x":2}{"k":"c","x":3}"#,
    r#"{"k":"d","x":4}"#,
    r#"{"k":"b","x":5}{"k":"a","x":6}"#,
];

/// Inserts the batches, taking what comes whenever the engine is full, and everything up to the end.
fn run_through(t: &mut Harness, sql: &str) -> Vec<String> {
    let query = t.query(sql);
    let mut lines = Vec::new();
    insert_all(t, query, &BATCHES, &mut lines);
    finish(t, query, &mut lines);
    lines
}

/// Inserts batches, taking what comes whenever the engine is full.
fn insert_all(t: &mut Harness, query: QueryId, batches: &[&str], lines: &mut Vec<String>) {
    let id = t.engine.relation("s").expect("it exists").id;
    for batch in batches {
        while t.engine.insert_json(id, batch.as_bytes(), true, 0).expect("accepted") == Admission::Full {
            t.wait();
            t.pull(query, lines);
        }
    }
}

/// Ends the input and takes everything up to the end.
fn finish(t: &mut Harness, query: QueryId, lines: &mut Vec<String>) {
    t.end();
    while t.pull(query, lines) {
        t.wait();
    }
}

#[test]
fn partitions_give_each_change_once_in_the_order_of_records() {
    explore(|| {
        let mut t = narrow(2);
        t.exec("CREATE STREAM s (k STRING, x INT)");
        let lines = run_through(&mut t, "SELECT k, SUM(x) AS total FROM s GROUP BY k");
        assert_eq!(lines, ["+ a 1", "+ b 2", "+ c 3", "+ d 4", "~ b 7", "~ a 7"]);
    });
}

/// Inserts each batch when the one before is answered.
fn answers_one_by_one(options: &QueryOptions) -> Vec<String> {
    let mut t = Harness::new(EngineOptions { partitions: 2, mailbox_batches: 2, ..EngineOptions::default() });
    t.exec("CREATE STREAM s (k STRING, x INT)");
    let query = t.query_with("SELECT k, SUM(x) AS total FROM s GROUP BY k", options);
    let mut lines = Vec::new();
    for (batch, answers) in BATCHES.iter().zip([3, 4, 6]) {
        t.insert("s", batch);
        while lines.len() < answers {
            t.wait();
            t.pull(query, &mut lines);
        }
    }
    lines
}

#[test]
fn each_record_is_answered_though_nothing_follows() {
    explore(|| {
        let lines = answers_one_by_one(&QueryOptions::default());
        assert_eq!(lines, ["+ a 1", "+ b 2", "+ c 3", "+ d 4", "~ b 7", "~ a 7"]);
    });
}

#[test]
fn by_key_each_record_is_answered_though_nothing_follows() {
    explore(|| {
        let by_key = QueryOptions { order_by_key: true, ..QueryOptions::default() };
        let mut lines = answers_one_by_one(&by_key);
        lines.sort();
        assert_eq!(lines, ["+ a 1", "+ b 2", "+ c 3", "+ d 4", "~ a 7", "~ b 7"]);
    });
}

#[test]
fn a_chain_gives_each_change_once_in_the_order_of_records() {
    explore(|| {
        let mut t = narrow(2);
        t.exec(
            "CREATE STREAM s (k STRING, x INT);
             CREATE TABLE sums AS SELECT k, SUM(x) AS total FROM s GROUP BY k",
        );
        let lines = run_through(&mut t, "SELECT COUNT(*) AS n, SUM(total) AS all_of FROM sums");
        assert_eq!(lines, ["+ 1 1", "~ 2 3", "~ 3 6", "~ 4 10", "~ 4 15", "~ 4 21"]);
    });
}

#[test]
fn a_flush_is_done_when_everything_before_it_is_out_and_a_question_sees_just_that() {
    explore(|| {
        let mut t =
            Harness::new(EngineOptions { partitions: 2, mailbox_batches: 1, ..EngineOptions::default() });
        t.exec(
            "CREATE STREAM s (k STRING, x INT);
             CREATE TABLE sums AS SELECT k, SUM(x) AS total FROM s GROUP BY k",
        );
        let query = t.query("SELECT k, total FROM sums WHERE total > 1");
        t.insert("s", BATCHES[0]);
        let asked = t.engine.all("SELECT k, total FROM sums", &Default::default(), 0).expect("it is a table");
        t.insert("s", BATCHES[1]);
        t.flush();
        let mut lines = Vec::new();
        t.pull(query, &mut lines);
        assert_eq!(lines, ["+ b 2", "+ c 3", "+ d 4"]);
        let answer = t.finish(asked).expect("it is answered");
        let velostream_runtime::TicketValue::Rows(_, rows) = answer else { panic!("rows") };
        let mut rows = harness::show(&rows);
        rows.sort();
        assert_eq!(rows, ["+ a 1", "+ b 2", "+ c 3"]);
    });
}

#[test]
fn a_query_that_nobody_reads_closes_whatever_waits() {
    explore(|| {
        let mut t = narrow(2);
        t.exec(
            "CREATE STREAM s (k STRING, x INT);
             CREATE STREAM big AS SELECT k, x FROM s WHERE x > 1",
        );
        let grouped = t.query("SELECT k, COUNT(*) AS n FROM s GROUP BY k");
        let chained = t.query("SELECT k, x FROM big");
        let id = t.engine.relation("s").expect("it exists").id;
        for batch in BATCHES {
            if t.engine.insert_json(id, batch.as_bytes(), true, 0).expect("accepted") == Admission::Full {
                break;
            }
        }
        t.engine.close_query(chained);
        t.engine.close_query(grouped);
        t.engine.close();
    });
}

/// Over names of the keys, by which records are grouped in a second stage; a record of `c` fails there.
const BY_NAME: &str =
    "SELECT name, COUNT(*) AS n, SUM(12 / (x - 3)) AS sum FROM s JOIN names ON s.k = names.k GROUP BY name";

/// Everybody waits for everybody, with the names.
fn narrow_with_names() -> Harness {
    let mut t = narrow(2);
    t.exec(
        "CREATE STREAM s (k STRING, x INT);
         CREATE TABLE names (k STRING PRIMARY KEY, name STRING);
         INSERT INTO names VALUES ('a', 'n'), ('b', 'm'), ('c', 'n'), ('d', 'm')",
    );
    t
}

#[test]
fn two_stages_give_each_change_once_in_the_order_of_records() {
    explore(|| {
        let mut t = narrow_with_names();
        let lines = run_through(&mut t, BY_NAME);
        assert_eq!(lines, ["+ n 1 -6", "+ m 1 -12", "~ m 2 0", "~ m 3 6", "~ n 2 -2"]);
        assert_eq!(t.letters().len(), 1, "of c");
    });
}

#[test]
fn groups_of_groups_show_both_that_a_record_changes_in_the_order_of_one_receiver() {
    let groups = "(SELECT k, COUNT(*) AS n FROM s GROUP BY k) AS c";
    explore(move || {
        for (sql, expected) in [
            (
                format!("SELECT n, COUNT(*) AS keys FROM {groups} GROUP BY n"),
                &["+ 1 1", "~ 1 2", "~ 1 3", "~ 1 4", "~ 1 3", "+ 2 1", "~ 1 2", "~ 2 2"][..],
            ),
            // The second stage is one receiver's.
            (
                format!("SELECT MAX(n) AS top, COUNT(*) AS keys FROM {groups}"),
                &["+ 1 1", "~ 1 2", "~ 1 3", "~ 1 4", "~ 2 4"],
            ),
        ] {
            let mut t = narrow(2);
            t.exec("CREATE STREAM s (k STRING, x INT)");
            assert_eq!(run_through(&mut t, &sql), expected);
        }
    });
}

#[test]
fn two_stages_answer_each_record_though_nothing_follows() {
    explore(|| {
        let mut t = narrow_with_names();
        let query = t.query("SELECT name, SUM(x) AS total FROM s JOIN names ON s.k = names.k GROUP BY name");
        let mut lines = Vec::new();
        for (batch, answers) in BATCHES.iter().zip([3, 4, 6]) {
            insert_all(&mut t, query, &[batch], &mut lines);
            while lines.len() < answers {
                t.wait();
                t.pull(query, &mut lines);
            }
        }
        assert_eq!(lines, ["+ n 1", "+ m 2", "~ n 4", "~ m 6", "~ m 11", "~ n 10"]);
    });
}

#[test]
fn a_query_of_two_stages_that_nobody_reads_closes_whatever_waits() {
    explore(|| {
        let mut t = narrow_with_names();
        let query = t.query(BY_NAME);
        let id = t.engine.relation("s").expect("it exists").id;
        for batch in BATCHES {
            if t.engine.insert_json(id, batch.as_bytes(), true, 0).expect("accepted") == Admission::Full {
                break;
            }
        }
        t.engine.close_query(query);
        t.engine.close();
    });
}

/// What a query that receivers share, and one that has a receiver, give of the records of [`BATCHES`].
const SUMS: [(&str, [&str; 6]); 2] = [
    ("SELECT k, SUM(x) AS total FROM s GROUP BY k", ["+ a 1", "+ b 2", "+ c 3", "+ d 4", "~ b 7", "~ a 7"]),
    ("SELECT SUM(x) AS total FROM s", ["+ 1", "~ 3", "~ 6", "~ 10", "~ 15", "~ 21"]),
];

/// A file of six records, cut into blocks in the midst of them; declared as `s`.
fn file_in_blocks() -> (Harness, String) {
    static PATH: LazyLock<String> = LazyLock::new(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explore.csv");
        std::fs::write(&path, "k,x\na,1\nb,2\nc,3\nd,4\nb,5\na,6\n").expect("it can be written");
        path.to_string_lossy().into_owned()
    });
    let options = EngineOptions {
        partitions: 2,
        mailbox_batches: 1,
        output_rows: 1,
        file_block_bytes: 9,
        ..EngineOptions::default()
    };
    let path = &*PATH;
    (
        Harness::new(options),
        format!("CREATE STREAM s (k STRING, x INT) WITH (connector = 'file', path = '{path}')"),
    )
}

#[test]
fn the_blocks_of_a_file_come_once_and_in_order_to_all_receivers_and_to_one() {
    for (sql, expected) in SUMS {
        explore(move || {
            let (mut t, declaration) = file_in_blocks();
            t.exec(&declaration);
            let query = t.query(sql);
            assert_eq!(t.drain(query), expected);
        });
    }
}

/// Two files with times, in blocks of about two records; declared as `a` and `b`.
fn timed_files() -> (Harness, String) {
    static DECLARATIONS: LazyLock<String> = LazyLock::new(|| {
        let files = [("a", "k,t\nx,1\ny,3\nx,4\ny,6\n"), ("b", "k,t\ny,2\nx,3\nx,5\n")];
        let declare = |(name, content): (&str, &str)| {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("explore-{name}.csv"));
            std::fs::write(&path, content).expect("it can be written");
            format!(
                "CREATE STREAM {name} (k STRING, t BIGINT, WATERMARK FOR t AS t)
                   WITH (connector = 'file', path = '{}');",
                path.display()
            )
        };
        files.map(declare).concat()
    });
    let options = EngineOptions {
        partitions: 2,
        mailbox_batches: 1,
        output_rows: 1,
        file_block_bytes: 8,
        ..EngineOptions::default()
    };
    (Harness::new(options), DECLARATIONS.clone())
}

#[test]
fn the_blocks_of_files_by_event_time_come_once_and_in_order_to_all_receivers_and_to_one() {
    let shared = (
        "SELECT a.k, a.t, b.t AS u FROM a JOIN b WITHIN 1 MILLISECOND ON a.k = b.k",
        &["+ y 3 2", "+ x 4 3", "+ x 4 5"][..],
    );
    let single = (
        "SELECT COUNT(*) AS n, SUM(t) AS t FROM (SELECT t FROM a UNION ALL SELECT t * 10 FROM b) AS u",
        &["+ 1 1", "~ 2 21", "~ 3 24", "~ 4 54", "~ 5 58", "~ 6 108", "~ 7 114"][..],
    );
    for (sql, expected) in [shared, single] {
        explore(move || {
            let (mut t, declarations) = timed_files();
            t.exec(&declarations);
            let query = t.query(sql);
            assert_eq!(t.drain(query), expected);
        });
    }
}

#[test]
fn a_query_over_a_file_closes_while_its_blocks_are_read() {
    explore(|| {
        let (mut t, declaration) = file_in_blocks();
        t.exec(&declaration);
        let grouped = t.query("SELECT k, COUNT(*) AS n FROM s GROUP BY k");
        let single = t.query("SELECT k, x FROM s LIMIT 1");
        let mut lines = Vec::new();
        t.pull(single, &mut lines);
        t.engine.close_query(grouped);
        t.engine.close();
    });
}

/// Three feeds of the records of [`BATCHES`], one of which has none; `s` takes them.
fn fed() -> Harness {
    let mut t = narrow(2);
    t.exec("CREATE STREAM s (k STRING, x INT)");
    let feed = |blocks: &'static [&'static [(&'static str, i32)]]| -> Box<dyn Feed> {
        let mut blocks = blocks.iter();
        Box::new(move |rows: &mut Rows| {
            let Some(block) = blocks.next() else { return Ok(false) };
            block.iter().try_for_each(|&row| rows.push(row))?;
            Ok(true)
        })
    };
    let feeds = vec![
        feed(&[&[("a", 1), ("b", 2)], &[], &[("b", 5)]]),
        feed(&[]),
        feed(&[&[("c", 3)], &[("d", 4)], &[("a", 6)]]),
    ];
    let id = t.engine.relation("s").expect("it exists").id;
    t.engine.feed(id, feeds).expect("it takes feeds");
    t
}

#[test]
fn the_blocks_of_feeds_come_once_and_in_turn_to_all_receivers_and_to_one() {
    for (sql, expected) in SUMS {
        explore(move || {
            let mut t = fed();
            let query = t.query(sql);
            assert_eq!(t.drain(query), expected);
        });
    }
}

#[test]
fn a_query_over_feeds_closes_while_they_are_taken() {
    explore(|| {
        let mut t = fed();
        let grouped = t.query("SELECT k, COUNT(*) AS n FROM s GROUP BY k");
        let mut lines = Vec::new();
        t.pull(grouped, &mut lines);
        t.engine.close_query(grouped);
        t.engine.close();
    });
}

#[test]
fn a_join_of_two_senders_takes_both_halves_of_each_record_together() {
    explore(|| {
        let mut t = narrow(1);
        t.exec(
            "CREATE STREAM s (k STRING, x INT);
             CREATE TABLE sums AS SELECT k, SUM(x) AS total FROM s GROUP BY k;
             CREATE STREAM big AS SELECT k, x FROM s WHERE x > 1",
        );
        let lines = run_through(&mut t, "SELECT big.k, big.x, total FROM big JOIN sums ON big.k = sums.k");
        assert_eq!(lines, ["+ b 2 2", "+ c 3 3", "+ d 4 4", "+ b 5 7", "+ a 6 7"]);
    });
}

#[test]
fn a_join_of_what_the_engine_and_a_receiver_send_gives_each_pair_once() {
    explore(|| {
        let mut t = narrow(1);
        t.exec(
            "CREATE STREAM s (k STRING, x INT);
             CREATE TABLE names (k STRING PRIMARY KEY, name STRING);
             CREATE STREAM big AS SELECT k, x FROM s WHERE x > 1",
        );
        t.insert("names", r#"{"k":"a","name":"n"}{"k":"b","name":"m"}"#);
        let lines = run_through(&mut t, "SELECT x, name FROM big JOIN names ON big.k = names.k");
        assert_eq!(lines, ["+ 2 m", "+ 5 m", "+ 6 n"]);
    });
}

#[test]
fn who_subscribes_in_the_middle_gets_the_rows_there_and_every_change_behind() {
    explore(|| {
        let mut t = narrow(2);
        t.exec(
            "CREATE STREAM s (k STRING, x INT);
             CREATE TABLE sums AS SELECT k, SUM(x) AS total FROM s GROUP BY k",
        );
        t.insert("s", BATCHES[0]);
        let query = t.query("SELECT k, total FROM sums");
        let mut lines = Vec::new();
        insert_all(&mut t, query, &BATCHES[1..], &mut lines);
        finish(&mut t, query, &mut lines);
        lines[..3].sort();
        assert_eq!(lines, ["+ a 1", "+ b 2", "+ c 3", "+ d 4", "~ b 7", "~ a 7"]);
    });
}

#[test]
fn by_key_each_key_has_its_changes_once_and_in_order() {
    explore(|| {
        let mut t = narrow(2);
        t.exec("CREATE STREAM s (k STRING, x INT)");
        let by_key = QueryOptions { order_by_key: true, ..QueryOptions::default() };
        let query = t.query_with("SELECT k, 12 / (SUM(x) - 4) AS x FROM s GROUP BY k", &by_key);
        let mut lines = Vec::new();
        insert_all(&mut t, query, &BATCHES, &mut lines);
        finish(&mut t, query, &mut lines);
        lines.sort_by_key(|line| line.chars().nth(2));
        assert_eq!(lines, ["+ a -4", "~ a 4", "+ b -6", "~ b 4", "+ c -12"]);
        assert_eq!(t.letters().len(), 1, "of d");
    });
}

#[test]
fn a_receiver_that_panics_ends_its_query_alone_whenever_that_is_closed() {
    explore(|| {
        let mut t = narrow(2);
        t.exec("CREATE STREAM s (k STRING, x INT)");
        let name = Some(format!("{FAULTY} 1 1"));
        let sql = "SELECT k, SUM(x) AS total FROM s GROUP BY k";
        let faulty = t.query_with(sql, &QueryOptions { name, ..QueryOptions::default() });
        let sound = t.query("SELECT x FROM s WHERE x > 1");
        let (mut lines, mut of_faulty) = (Vec::new(), Vec::new());
        let id = t.engine.relation("s").expect("it exists").id;
        for batch in BATCHES {
            while t.engine.insert_json(id, batch.as_bytes(), true, 0).expect("accepted") == Admission::Full {
                t.wait();
                t.pull(sound, &mut lines);
                t.pull(faulty, &mut of_faulty);
            }
        }
        // It may have panicked or not.
        t.engine.close_query(faulty);
        let whole = ["+ a 1", "+ b 2", "+ c 3"];
        let error = of_faulty.iter().find(|line| line.starts_with("INTERNAL"));
        let shown = of_faulty.iter().take_while(|line| Some(*line) != error).collect::<Vec<_>>();
        assert!(shown.len() <= whole.len() && shown.iter().zip(whole).all(|(one, other)| *one == other));
        finish(&mut t, sound, &mut lines);
        assert_eq!(lines, ["+ 2", "+ 3", "+ 4", "+ 5", "+ 6"]);
        t.engine.close();
    });
}
