//! [`StreamExecutionEngine`]: queries that answer each record in the same call.

use super::StreamRecord;
use super::encode::records_of;
use crate::api::{EngineOptions, QueryOptions, RelationInfo};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::processor::Processor;
use std::sync::Arc;
use std::time::SystemTime;
use velostream_engine::batch::{ChangeBatch, Seq};
use velostream_sql::bind::Params;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::types::Schema;

/// A query of one [`StreamExecutionEngine`], which keeps its state.
#[derive(Debug, Clone)]
pub struct StreamingQuery {
    number: usize,
    schema: Arc<Schema>,
}

impl StreamingQuery {
    /// Columns and key of the answer, and whether its rows are updated.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
}

/// A query's state, and room for its changes.
struct Running {
    processor: Processor,
    out: ChangeBatch,
}

/// Takes records one at a time and returns all that each of them changes in a query's answer.
///
/// Synchronous: a call awaits nothing, takes no lock, and allocates what it returns and what the state grows by.
/// Nothing of a call that fails remains.
///
/// ```
/// use velostream_runtime::{Literal, Op, StreamExecutionEngine, StreamRecord};
///
/// let mut engine = StreamExecutionEngine::new()?;
/// engine.define("CREATE STREAM orders (customer STRING, total DOUBLE)")?;
/// let totals = engine.query("SELECT customer, SUM(total) AS total FROM orders GROUP BY customer")?;
///
/// let order = |total: f64| StreamRecord::new().with("customer", "ann").with("total", total);
/// let first = engine.execute_with_record(&totals, &order(2.5))?;
/// let second = engine.execute_with_record(&totals, &order(4.0))?;
/// assert_eq!((first[0].op, second[0].op), (Op::Insert, Op::UpdateAfter));
/// assert_eq!(second[0].get("total"), Some(&Literal::Double(6.5)));
/// # Ok::<(), velostream_runtime::Error>(())
/// ```
pub struct StreamExecutionEngine {
    /// The definitions; no record goes through it.
    catalogue: Engine,
    /// By their numbers; `None` once closed.
    running: Vec<Option<Running>>,
    #[cfg(feature = "async")]
    pub(super) output: Option<super::output::Output>,
}

impl StreamExecutionEngine {
    /// An engine without definitions and without an output channel.
    pub fn new() -> Result<Self> {
        let options = EngineOptions { partitions: 0, ..EngineOptions::default() };
        Ok(Self {
            catalogue: Engine::new(options, Arc::new(|| ()))?,
            running: Vec::new(),
            #[cfg(feature = "async")]
            output: None,
        })
    }

    /// Runs CREATE and DROP statements: streams, tables, views and derived relations.
    pub fn define(&mut self, sql: &str) -> Result<()> {
        self.catalogue.exec(sql, &Params::default(), 0).map(drop)
    }

    /// A query over the definitions, with state of its own that starts empty. Derived relations are expanded down
    /// to their sources, and these alone are fed.
    pub fn query(&mut self, sql: &str) -> Result<StreamingQuery> {
        self.query_with(sql, &Params::default(), &QueryOptions::default())
    }

    /// The same with parameters and options.
    pub fn query_with(
        &mut self,
        sql: &str,
        params: &Params,
        options: &QueryOptions,
    ) -> Result<StreamingQuery> {
        let processor = self.catalogue.processor(sql, params, options)?;
        let schema = Arc::clone(processor.schema());
        let running = Some(Running { processor, out: ChangeBatch::of(&schema) });
        // A closed query's place is taken again; its handle knows its own schema and stays closed.
        let number = self.running.iter().position(Option::is_none).unwrap_or(self.running.len());
        match self.running.get_mut(number) {
            Some(place) => *place = running,
            None => self.running.push(running),
        }
        Ok(StreamingQuery { number, schema })
    }

    /// Forgets a query and its state.
    pub fn close(&mut self, query: &StreamingQuery) {
        if self.running_mut(query).is_ok() {
            self.running[query.number] = None;
        }
    }

    /// The relations that a query's records are for.
    pub fn sources(&self, query: &StreamingQuery) -> Result<&[RelationInfo]> {
        self.running(query).map(|running| running.processor.sources())
    }

    /// Applies one record and returns its net change, in order: all of it, and nothing of another record.
    pub fn execute_with_record(
        &mut self,
        query: &StreamingQuery,
        record: &StreamRecord,
    ) -> Result<Vec<StreamRecord>> {
        self.process_batch(query, std::slice::from_ref(record))
    }

    /// Applies records and returns what they would return one by one. Atomic: an error carries the record's index
    /// and undoes the whole call.
    ///
    /// ```
    /// use velostream_runtime::{StreamExecutionEngine, StreamRecord};
    ///
    /// let mut engine = StreamExecutionEngine::new()?;
    /// engine.define("CREATE STREAM pairs (a INT, b INT)")?;
    /// let ratios = engine.query("SELECT a / b AS ratio FROM pairs")?;
    /// let pair = |a: i32, b: i32| StreamRecord::new().with("a", a).with("b", b);
    ///
    /// assert_eq!(engine.process_batch(&ratios, &[pair(6, 3), pair(8, 2)])?.len(), 2);
    /// let error = engine.process_batch(&ratios, &[pair(6, 3), pair(1, 0)]).unwrap_err();
    /// assert_eq!((error.message.as_str(), error.index), ("division by zero", Some(1)));
    /// # Ok::<(), velostream_runtime::Error>(())
    /// ```
    pub fn process_batch(
        &mut self,
        query: &StreamingQuery,
        records: &[StreamRecord],
    ) -> Result<Vec<StreamRecord>> {
        let Running { processor, out } = self.running_mut(query)?;
        out.clear();
        let now_ms = if processor.reads_clock() { now_ms() } else { 0 };
        let first = processor.process_records(records, now_ms, out)?;
        let origin = |seq: Seq| {
            let record = seq.0.checked_sub(first.0).and_then(|index| records.get(index as usize));
            record.map_or((0, 0), |record| (record.partition, record.offset))
        };
        Ok(records_of(out, &query.schema, origin))
    }

    /// Moves the event time of a query's sources, microseconds since the epoch; returns what becomes final.
    pub fn advance_time(&mut self, query: &StreamingQuery, micros: i64) -> Result<Vec<StreamRecord>> {
        self.by_time(query, |processor, out| processor.advance_time(micros, out))
    }

    /// Ends a query's sources; returns what becomes final.
    pub fn end(&mut self, query: &StreamingQuery) -> Result<Vec<StreamRecord>> {
        self.by_time(query, Processor::end)
    }

    fn by_time(
        &mut self,
        query: &StreamingQuery,
        call: impl FnOnce(&mut Processor, &mut ChangeBatch) -> Result<()>,
    ) -> Result<Vec<StreamRecord>> {
        let Running { processor, out } = self.running_mut(query)?;
        out.clear();
        call(processor, out)?;
        Ok(records_of(out, &query.schema, |_| (0, 0)))
    }

    /// From here on [`Self::rollback`] takes back every record of the query since the last [`Self::commit`], in
    /// every operator, time and end of input included. Begun already, it does nothing.
    ///
    /// ```
    /// use velostream_runtime::{Literal, StreamExecutionEngine, StreamRecord};
    ///
    /// let mut engine = StreamExecutionEngine::new()?;
    /// engine.define("CREATE STREAM s (x BIGINT)")?;
    /// let sums = engine.query("SELECT SUM(x) AS total FROM s")?;
    /// let x = |x: i64| StreamRecord::new().with("x", x);
    ///
    /// engine.begin(&sums)?;
    /// engine.execute_with_record(&sums, &x(1))?;
    /// engine.commit(&sums)?;
    /// engine.process_batch(&sums, &[x(10), x(20)])?;
    /// engine.rollback(&sums)?;
    /// let results = engine.execute_with_record(&sums, &x(5))?;
    /// assert_eq!(results[0].get("total"), Some(&Literal::BigInt(6)));
    /// # Ok::<(), velostream_runtime::Error>(())
    /// ```
    pub fn begin(&mut self, query: &StreamingQuery) -> Result<()> {
        self.running_mut(query)?.processor.begin()
    }

    /// Keeps everything of the query so far; [`Self::rollback`] goes back to here.
    pub fn commit(&mut self, query: &StreamingQuery) -> Result<()> {
        self.running_mut(query)?.processor.commit()
    }

    /// Goes back to the last [`Self::commit`], or to [`Self::begin`].
    pub fn rollback(&mut self, query: &StreamingQuery) -> Result<()> {
        self.running_mut(query)?.processor.rollback()
    }

    /// Bytes of state of a query.
    pub fn state_bytes(&self, query: &StreamingQuery) -> Result<usize> {
        self.running(query).map(|running| running.processor.state_bytes())
    }

    fn running(&self, query: &StreamingQuery) -> Result<&Running> {
        let running = self.running.get(query.number).and_then(Option::as_ref);
        running.filter(|running| is_of(running, query)).ok_or_else(closed)
    }

    fn running_mut(&mut self, query: &StreamingQuery) -> Result<&mut Running> {
        let running = self.running.get_mut(query.number).and_then(Option::as_mut);
        running.filter(|running| is_of(running, query)).ok_or_else(closed)
    }
}

/// Whether a query with the number is this one, and not another engine's.
fn is_of(running: &Running, query: &StreamingQuery) -> bool {
    Arc::ptr_eq(running.processor.schema(), &query.schema)
}

#[cold]
fn closed() -> Error {
    Error::new(ErrorCode::Closed, "the query is closed, or of another engine")
}

fn now_ms() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
