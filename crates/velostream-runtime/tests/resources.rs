//! What queries use of the machine, counted: a query that nobody reads holds no more than its limits, and one that has
//! gone has left no thread, no open file and no byte behind.

#[path = "it/harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "it/wakes.rs"]
mod wakes;

use harness::Harness;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use velostream_runtime::{Admission, EngineOptions, Feed, QueryId, QueryOptions, Rows};

static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, counting what is in use by all threads.
struct Counting;

// SAFETY: every call goes unchanged to the system's allocator, which keeps the contract; counting allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE_BYTES.fetch_add(size as i64 - layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What is counted is the whole process's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn live_bytes() -> i64 {
    LIVE_BYTES.load(Ordering::Relaxed)
}

/// How many entries a folder of the system's has; none on systems without it.
fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Threads and open files.
fn threads_and_files() -> (usize, usize) {
    (entries("/proc/self/task"), entries("/proc/self/fd"))
}

const DEFINITIONS: &str = "CREATE STREAM s (k INT, v INT, text STRING);
    CREATE STREAM passed AS SELECT k, v, text FROM s WHERE v >= 0;
    CREATE TABLE names (k INT PRIMARY KEY, name STRING);
    INSERT INTO names VALUES (0, 'a'), (1, 'b'), (2, 'c'), (3, 'a'), (4, 'b'), (5, 'c'), (6, 'a')";

/// Queries that nobody reads: every record is a change of each.
const UNREAD: [&str; 5] = [
    "SELECT k, v, text FROM s",
    "SELECT k, COUNT(*) AS n, MAX(text) AS text FROM s GROUP BY k EMIT CHANGES",
    "SELECT k, SUM(v) OVER (PARTITION BY k ROWS 5 PRECEDING) AS sum, text FROM s EMIT CHANGES",
    "SELECT k, text FROM passed WHERE v < 1000000",
    "SELECT name, SUM(v) AS sum, MAX(text) AS text FROM s JOIN names ON s.k = names.k GROUP BY name EMIT CHANGES",
];
const ROWS: usize = 50;
const MAILBOX_BYTES: usize = 64 << 10;
const OUTPUT_BYTES: usize = 32 << 10;
/// Attempts to insert: some hundred times what the limits hold.
const ATTEMPTS: usize = 20_000;
/// All mailboxes and queues of a query, filled, with the batches in its receivers' hands.
const HELD_BYTES_MAX: i64 = 1 << 20;
/// The same of two stages of three receivers, with nine lanes between them: up to 1.4 MB were seen.
const STAGES_HELD_BYTES_MAX: i64 = 2 << 20;
/// A record in columns, its text alone.
const RECORD_BYTES_MIN: usize = 70;

fn records() -> String {
    let text = "a text that is too long for a view ".repeat(2);
    (0..ROWS).map(|k| format!(r#"{{"k":{},"v":1,"text":"{text}"}}"#, k % 7)).collect()
}

/// Inserts so often, without reading; how many batches were taken, and the most that was held meanwhile.
fn push(t: &mut Harness, attempts: usize) -> (usize, i64) {
    let (id, records) = (t.engine.relation("s").expect("it exists").id, records());
    let (mut taken, mut most) = (0, 0);
    for _ in 0..attempts {
        let admission = t.engine.insert_json(id, records.as_bytes(), true, 0).expect("well-formed");
        taken += usize::from(admission == Admission::Accepted);
        most = most.max(live_bytes());
        t.engine.woken();
        std::thread::yield_now();
    }
    (taken, most)
}

#[test]
fn a_query_that_nobody_reads_makes_inserts_wait_and_memory_stays_flat() {
    let _alone = alone();
    for (partitions, sql) in [0, 1, 3].into_iter().flat_map(|count| UNREAD.map(|sql| (count, sql))) {
        let before = live_bytes();
        let mut t = Harness::new(EngineOptions {
            partitions,
            mailbox_bytes: MAILBOX_BYTES,
            output_bytes: OUTPUT_BYTES,
            ..EngineOptions::default()
        });
        t.exec(DEFINITIONS);
        let query = t.query(sql);
        let (taken, most) = push(&mut t, ATTEMPTS);
        let what =
            format!("{sql}, partitions {partitions}: {taken} batches, {} bytes at most", most - before);
        println!("{what}");
        let limit =
            if partitions > 1 && sql.contains("JOIN") { STAGES_HELD_BYTES_MAX } else { HELD_BYTES_MAX };
        assert!(taken > 0 && taken * ROWS * RECORD_BYTES_MIN < limit as usize, "{what}");
        assert!(most - before < limit, "{what}");
        let mut lines = Vec::new();
        t.end();
        while t.pull(query, &mut lines) {
            t.wait();
        }
        assert_eq!(lines.len(), taken * ROWS, "all that was taken is given out, {what}");
    }
}

const CYCLES: usize = 10_000;
/// Cycles until buffers have their size and threads their stacks.
const WARM_UP: usize = 1000;
/// What may stay, as buffers grow by chance: less than seven bytes a cycle, so nothing of any cycle.
const REMAINS_BYTES_MAX: i64 = 64 << 10;

fn cycle(t: &mut Harness, at: usize) {
    let name = Some("comes and goes".to_owned());
    let options = QueryOptions { name, order_by_key: at.is_multiple_of(3), ..QueryOptions::default() };
    let sql = match at % 5 {
        0 => UNREAD[1],
        2 => UNREAD[4],
        // The first of them has ended.
        4 => "SELECT k FROM first UNION ALL SELECT v FROM s",
        _ => "SELECT k, 1 / v AS share FROM passed WHERE k > 1",
    };
    let query: QueryId = t.query_with(sql, &options);
    t.insert("s", r#"{"k":1,"v":0,"text":"x"}{"k":2,"v":0,"text":"y"}"#);
    t.engine.close_query(query);
}

/// Threads, files and bytes after some cycles, with everything accepted processed.
fn counted(t: &mut Harness) -> ((usize, usize), i64) {
    t.flush();
    t.engine.take_new_dead_letters();
    (threads_and_files(), live_bytes())
}

#[test]
fn ten_thousand_queries_leave_no_thread_no_file_and_no_byte_behind() {
    let _alone = alone();
    for partitions in [0, 1, 3] {
        let options = EngineOptions { partitions, dead_letter_capacity: 10, ..EngineOptions::default() };
        // Mailboxes keep the room that they once needed, so they are small.
        let mut t = Harness::new(EngineOptions { mailbox_batches: 4, ..options });
        t.exec(DEFINITIONS);
        t.exec("CREATE STREAM first AS SELECT k FROM s LIMIT 1");
        (0..WARM_UP).for_each(|at| cycle(&mut t, at));
        let (handles, bytes) = counted(&mut t);
        (0..CYCLES).for_each(|at| cycle(&mut t, at));
        let (handles_after, bytes_after) = counted(&mut t);
        assert_eq!(handles_after, handles, "threads and files, partitions {partitions}");
        let remains = bytes_after - bytes;
        println!("partitions {partitions}: {remains} bytes remain");
        assert!(remains <= REMAINS_BYTES_MAX, "{remains} bytes remain, partitions {partitions}");
    }
}

/// A whole engine: relations, queries over them, over a file and over feeds, records, questions.
fn life(partitions: usize, path: &str) {
    let mut t = Harness::new(EngineOptions { partitions, ..EngineOptions::default() });
    t.exec(DEFINITIONS);
    t.exec("CREATE TABLE totals AS SELECT k, SUM(v) AS v FROM passed GROUP BY k");
    for sql in UNREAD {
        t.query(sql);
    }
    t.query(&format!("SELECT * FROM '{path}'"));
    t.exec("CREATE STREAM endless (k INT)");
    let endless = || -> Box<dyn Feed> { Box::new(|rows: &mut Rows| rows.push((1,)).map(|()| true)) };
    let id = t.engine.relation("endless").expect("it exists").id;
    t.engine.feed(id, vec![endless(), endless()]).expect("it takes feeds");
    t.query("SELECT k FROM endless");
    t.insert("s", &records());
    assert_eq!(t.all("SELECT v FROM totals WHERE k = 6"), ["7"]);
    t.engine.close();
}

#[test]
fn engines_leave_no_thread_no_file_and_no_byte_behind() {
    let _alone = alone();
    let path = std::env::temp_dir().join(format!("velostream-resources-{}.csv", std::process::id()));
    std::fs::write(&path, "a,b\n".to_owned() + &"1,2\n".repeat(50_000)).expect("the file is written");
    let name = path.to_str().expect("it is text");
    for partitions in [0, 1, 3] {
        (0..10).for_each(|_| life(partitions, name));
        let (handles, bytes) = (threads_and_files(), live_bytes());
        (0..200).for_each(|_| life(partitions, name));
        assert_eq!(threads_and_files(), handles, "threads and files, partitions {partitions}");
        let remains = live_bytes() - bytes;
        assert!(remains <= REMAINS_BYTES_MAX, "{remains} bytes remain, partitions {partitions}");
    }
    std::fs::remove_file(&path).expect("the file is there");
}
