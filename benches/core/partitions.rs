//! An engine with several partitions, its changes taken in Rust where they are computed.
//!
//! From feeds and from a file the partitions take the records themselves. By insertion one thread decodes the row blocks and
//! says whose each row is: that from which all calls of an engine come.

use crate::blocks::block;
use crate::doors::{check, parts};
use crate::lines;
use crate::scenarios::{Row, Scenario, Tally};
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use velostream_runtime::{
    Admission, ChangeBatch, ChangeSink, Changes, Engine, EngineOptions, Error, ErrorCode, Feed, Params, Pull,
    QueryId, QueryOptions, RelationId, Rows, Seq,
};

/// Rows of a feed's block.
pub const BLOCK_ROWS: usize = 4096;

/// How a query's work is shared.
#[derive(Clone, Copy)]
pub struct How {
    /// Among so many.
    pub partitions: usize,
    /// With only each key's changes in order.
    pub by_key: bool,
}

/// Where the records come from.
#[derive(Clone, Copy)]
pub enum Records<'a> {
    /// As many feeds as there are partitions, which give columns made before.
    Feeds,
    /// The same of row structs made before, which the feeds put into columns under the clock.
    Structs,
    /// The calling thread.
    Insertion,
    /// The path of a file.
    File(&'a str),
}

/// One run.
pub fn report(
    scenario: &Scenario,
    records: usize,
    how: How,
    from: Records<'_>,
) -> Result<Vec<String>, String> {
    let input = match from {
        Records::Feeds => Input::Feeds(records, prepared),
        Records::Structs => Input::Feeds(records, structs),
        Records::Insertion => Input::Blocks(blocks(scenario, records)),
        Records::File(path) => Input::File(path),
    };
    let Run { seconds, balance, busy_seconds } = run(scenario, records, how, &input)?;
    let line_ns = if how.partitions > 1 { lines::write_ns() } else { 0.0 };
    Ok(vec![format!(
        r#"{{"seconds":{seconds:.9},"balance":{balance:.4},"busySeconds":{busy_seconds:.9},"lineNanos":{line_ns:.2}}}"#
    )])
}

enum Input<'a> {
    /// So many records by feeds that this makes of blocks.
    Feeds(usize, MakeFeed),
    /// Row blocks of the scenario's only relation.
    Blocks(Vec<Vec<u8>>),
    /// The path of a file with its records.
    File(&'a str),
}

fn blocks(scenario: &Scenario, records: usize) -> Vec<Vec<u8>> {
    let of = |from: usize| parts(scenario, from, records.min(from + BLOCK_ROWS), BLOCK_ROWS);
    (0..records).step_by(BLOCK_ROWS).flat_map(of).map(|(_, rows)| block(&rows)).collect()
}

/// Makes a feed that gives these records of a scenario, block by block, as rows of this relation.
type MakeFeed = fn(&Scenario, &Rows, Vec<Range<usize>>) -> Box<dyn Feed>;

/// Gives rows that were made before, by exchanging the buffers.
struct Prepared(std::vec::IntoIter<Rows>);

impl Feed for Prepared {
    fn next(&mut self, rows: &mut Rows) -> Result<bool, Error> {
        let Some(block) = self.0.as_mut_slice().first_mut() else { return Ok(false) };
        std::mem::swap(rows, block);
        self.0.next();
        Ok(true)
    }
}

/// Puts row structs into columns. They are kept until the process ends: to free them is no part of the run.
struct Structs(std::slice::Iter<'static, Vec<Row>>);

impl Feed for Structs {
    fn next(&mut self, rows: &mut Rows) -> Result<bool, Error> {
        let Some(block) = self.0.next() else { return Ok(false) };
        block.iter().for_each(|row| row.append(rows.columns_mut()));
        Ok(true)
    }
}

fn prepared(scenario: &Scenario, rows: &Rows, blocks: Vec<Range<usize>>) -> Box<dyn Feed> {
    let block = |records: Range<usize>| {
        let mut block = rows.clone();
        records.for_each(|at| (scenario.row)(at).append(block.columns_mut()));
        block
    };
    Box::new(Prepared(blocks.into_iter().map(block).collect::<Vec<_>>().into_iter()))
}

fn structs(scenario: &Scenario, _: &Rows, blocks: Vec<Range<usize>>) -> Box<dyn Feed> {
    let block = |records: Range<usize>| records.map(scenario.row).collect();
    let blocks: Vec<Vec<Row>> = blocks.into_iter().map(block).collect();
    Box::new(Structs(blocks.leak().iter()))
}

/// The records of a relation in blocks, dealt round to so many feeds: whatever their number, the order is that of the
/// records.
fn feeds(
    scenario: &Scenario,
    (records, make): (usize, MakeFeed),
    rows: &Rows,
    count: usize,
) -> Vec<Box<dyn Feed>> {
    let block = |from: usize| from..records.min(from + BLOCK_ROWS);
    let blocks = |place: usize| (place * BLOCK_ROWS..records).step_by(count * BLOCK_ROWS).map(block);
    (0..count).map(|place| make(scenario, rows, blocks(place).collect())).collect()
}

struct Run {
    seconds: f64,
    /// The mean share of the rows divided by the largest: 1 where all partitions have as many.
    balance: f64,
    /// What the partitions worked, together.
    busy_seconds: f64,
}

fn run(scenario: &Scenario, records: usize, how: How, input: &Input<'_>) -> Result<Run, String> {
    let partitions = how.partitions;
    let mut session = Running::start(partitions)?;
    session.define(scenario, partitions, input)?;
    let options = QueryOptions { order_by_key: how.by_key, ..QueryOptions::default() };
    let (tally, seconds) = session.answer(scenario, &options, input)?;
    check(scenario, records, &tally, &format!("{partitions} partitions"))?;
    let metrics = session.engine.metrics();
    let shares = &metrics.queries.first().ok_or("the query has no metrics")?.partitions;
    let largest = shares.iter().map(|share| share.records_in).max().unwrap_or_default();
    let total: u64 = shares.iter().map(|share| share.records_in).sum();
    if shares.len() != partitions || total != records as u64 {
        return Err(format!("{} partitions have {total} records of {records}", shares.len()));
    }
    let busy_seconds = shares.iter().map(|share| share.busy_ms).sum::<f64>() / 1000.0;
    Ok(Run { seconds, balance: total as f64 / partitions as f64 / largest.max(1) as f64, busy_seconds })
}

/// An engine with one query.
struct Running {
    engine: Engine,
    wakes: Receiver<()>,
}

/// Tallies what comes out at one place, and says so when nothing more does.
struct TallySink {
    take: fn(&ChangeBatch, &mut Tally),
    tally: Tally,
    last: Seq,
    all: Sender<Tally>,
}

impl ChangeSink for TallySink {
    fn take(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        let batches = changes.batches();
        let are_in_order = match batches {
            [only] => only.seqs.iter().all(|&seq| self.follows(seq)),
            _ => changes.order().all(|(part, row)| self.follows(batches[part].seqs[row])),
        };
        if !are_in_order {
            return Err(Error::new(ErrorCode::Internal, "the changes are not in order"));
        }
        batches.iter().for_each(|batch| (self.take)(batch, &mut self.tally));
        Ok(())
    }
}

impl TallySink {
    #[inline]
    fn follows(&mut self, seq: Seq) -> bool {
        seq >= std::mem::replace(&mut self.last, seq)
    }
}

impl Drop for TallySink {
    fn drop(&mut self) {
        // Nobody hears of it where the run has failed.
        let _ = self.all.send(self.tally);
    }
}

fn text(error: velostream_runtime::Error) -> String {
    error.to_string()
}

impl Running {
    fn start(partitions: usize) -> Result<Self, String> {
        let (sender, wakes): (Sender<()>, _) = channel();
        let sender = Mutex::new(sender);
        let waker = Arc::new(move || drop(sender.lock().map(|sender| sender.send(()))));
        let options = EngineOptions { partitions, ..EngineOptions::default() };
        let engine = Engine::new(options, waker).map_err(text)?;
        Ok(Self { engine, wakes })
    }

    fn define(&mut self, scenario: &Scenario, partitions: usize, input: &Input<'_>) -> Result<(), String> {
        let [definition] = scenario.definitions else { return Err("needs one relation".to_owned()) };
        let sql = match input {
            Input::Feeds(..) | Input::Blocks(_) => (*definition).to_owned(),
            Input::File(path) => {
                let options = scenario.file_options;
                format!("{definition} WITH (connector = 'file', path = '{path}', {options})")
            }
        };
        self.engine.exec(&sql, &Params::default(), 0).map_err(text)?;
        if let &Input::Feeds(records, make) = input {
            let relation = self.engine.relation(scenario.relations[0]).map_err(text)?;
            let feeds = feeds(scenario, (records, make), &Rows::new(&relation.schema), partitions);
            self.engine.feed(relation.id, feeds).map_err(text)?;
        }
        Ok(())
    }

    /// Feeds everything and takes all changes; the seconds that it took.
    fn answer(
        &mut self,
        scenario: &Scenario,
        options: &QueryOptions,
        input: &Input<'_>,
    ) -> Result<(Tally, f64), String> {
        let (all, tallies) = channel();
        let take = scenario.take;
        let sinks = move |_: usize| -> Box<dyn ChangeSink> {
            Box::new(TallySink { take, tally: Tally::default(), last: Seq(0), all: all.clone() })
        };
        let mut started = Instant::now();
        let query =
            self.engine.query_into(scenario.sql, &Params::default(), options, sinks, 0).map_err(text)?;
        if let Input::Blocks(blocks) = input {
            let relation = self.engine.relation(scenario.relations[0]).map_err(text)?.id;
            // A file and feeds are read as soon as the query is there; rows come when it is.
            started = Instant::now();
            blocks.iter().try_for_each(|block| self.insert(relation, block))?;
            self.engine.end(None).map_err(text)?;
        }
        self.finish(query)?;
        let mut total = Tally::default();
        tallies.into_iter().for_each(|tally| total.merge(&tally));
        Ok((total, started.elapsed().as_secs_f64()))
    }

    fn insert(&mut self, relation: RelationId, block: &[u8]) -> Result<(), String> {
        while self.engine.insert_rows(relation, block, 0).map_err(text)? == Admission::Full {
            self.wait();
        }
        Ok(())
    }

    /// Until the query has ended.
    fn finish(&mut self, query: QueryId) -> Result<(), String> {
        while self.engine.pull(query, 1, &mut ChangeBatch::default()).map_err(text)? != Pull::Ended {
            self.wait();
        }
        Ok(())
    }

    /// Until something has changed.
    fn wait(&mut self) {
        self.wakes.recv().expect("the engine holds the sender");
        self.engine.woken();
    }
}
