//! [`NativeEngine`]: the handle of an engine.

use crate::convert::{
    NativeColumn, NativeNdjsonOptions, NativeOptions, NativeParam, NativeQueryOptions, NativeRelation,
    NativeResult, columns, params, query_result, relation,
};
use crate::error::{closed, to_js};
use crate::held::Held;
use crate::metrics::{NativeDeadLetter, NativeLateRecord, NativeMetrics};
use crate::processor::NativeProcessor;
use crate::reported::Reported;
use napi::Env;
use napi::bindgen_prelude::{BufferSlice, Function, ObjectFinalize};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use std::collections::HashMap;
use std::sync::Arc;
use std::task::Poll;
use velostream_runtime::sink::ndjson::Lines;
use velostream_runtime::{
    Admission, Engine, ExecOutcome, Pull, QueryId, RelationId, Schema, Ticket, TicketValue, Waker,
};

/// `pull` gives this when there is nothing now.
const EMPTY: f64 = 0.0;
/// `pull` gives this when there is nothing any more.
const ENDED: f64 = -1.0;

/// A running engine. Times are milliseconds since the epoch.
#[napi(custom_finalize)]
pub struct NativeEngine {
    engine: Option<Engine>,
    held: Held,
    reported: Reported,
    /// Columns of the queries that are open.
    schemas: HashMap<u64, Arc<Schema>>,
    /// Of those that are read as NDJSON.
    lines: HashMap<u64, Lines>,
}

/// A query that was started.
#[napi(object)]
pub struct NativeQuery {
    /// For the other calls.
    pub handle: f64,
    pub result: NativeResult,
}

/// What a ticket gave.
#[napi(object)]
pub struct NativeOutcome {
    /// Columns of the rows that `reread` gives; missing where the ticket gives no rows.
    pub columns: Option<Vec<NativeColumn>>,
}

fn admission(outcome: Result<Admission, velostream_runtime::Error>) -> napi::Result<bool> {
    Ok(outcome.map_err(to_js)? == Admission::Accepted)
}

impl NativeEngine {
    fn engine(&mut self) -> napi::Result<&mut Engine> {
        self.engine.as_mut().ok_or_else(|| closed("engine"))
    }

    fn engine_ref(&self) -> napi::Result<&Engine> {
        self.engine.as_ref().ok_or_else(|| closed("engine"))
    }
}

#[napi]
impl NativeEngine {
    /// Starts an engine. `wake` is called, some time after, when something waited for has changed; it does
    /// not keep the process alive and must not throw.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: NativeOptions, wake: Function<'_, (), ()>) -> napi::Result<Self> {
        let wake = wake.build_threadsafe_function::<()>().weak::<true>().build()?;
        let waker: Waker = Arc::new(move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
        let engine = Engine::new(options.into(), waker).map_err(to_js)?;
        Ok(Self {
            engine: Some(engine),
            held: Held::default(),
            reported: Reported::default(),
            schemas: HashMap::new(),
            lines: HashMap::new(),
        })
    }

    /// Takes notice of a wake.
    #[napi(catch_unwind)]
    pub fn woken(&mut self, env: Env) -> napi::Result<()> {
        let engine = self.engine()?;
        engine.woken();
        let bytes = engine.state_bytes();
        self.reported.set(env, bytes);
        Ok(())
    }

    /// Runs statements; gives a ticket where there is something to wait for.
    #[napi(catch_unwind)]
    pub fn exec(&mut self, sql: String, given: Vec<NativeParam>, now_ms: f64) -> napi::Result<Option<f64>> {
        let params = params(given)?;
        match self.engine()?.exec(&sql, &params, now_ms as i64).map_err(to_js)? {
            ExecOutcome::Done => Ok(None),
            ExecOutcome::Wait(ticket) => Ok(Some(ticket.0 as f64)),
        }
    }

    /// Starts a continuous query.
    #[napi(catch_unwind)]
    pub fn query(
        &mut self,
        sql: String,
        given: Vec<NativeParam>,
        options: NativeQueryOptions,
        now_ms: f64,
    ) -> napi::Result<NativeQuery> {
        let params = params(given)?;
        let engine = self.engine()?;
        let query = engine.query(&sql, &params, &options.into(), now_ms as i64).map_err(to_js)?;
        let info = engine.query_info(query).map_err(to_js)?;
        self.schemas.insert(query.0, Arc::clone(&info.schema));
        Ok(NativeQuery { handle: query.0 as f64, result: query_result(info) })
    }

    /// Writes up to `max_rows` changes. Gives the length of the change block (more than `memory` has where
    /// `reread` is due), 0 for nothing now, -1 for nothing any more. Throws the query's failure, once.
    #[napi(catch_unwind)]
    pub fn pull(&mut self, handle: f64, max_rows: u32, mut memory: BufferSlice<'_>) -> napi::Result<f64> {
        let query = QueryId(handle as u64);
        let Some(schema) = self.schemas.get(&query.0) else { return Ok(ENDED) };
        let changes = self.held.empty(schema);
        let engine = self.engine.as_mut().ok_or_else(|| closed("engine"))?;
        Ok(match engine.pull(query, max_rows as usize, changes).map_err(to_js)? {
            Pull::Rows => self.held.write(&mut memory) as f64,
            Pull::Empty => EMPTY,
            Pull::Ended => ENDED,
        })
    }

    /// Writes the changes of the last `pull`, or the rows of the last ticket, again.
    #[napi(catch_unwind)]
    pub fn reread(&mut self, mut memory: BufferSlice<'_>) -> f64 {
        self.held.write(&mut memory) as f64
    }

    /// From here on a query's changes are read by `pull_ndjson`; none have been pulled.
    #[napi(catch_unwind)]
    pub fn read_ndjson(&mut self, handle: f64, options: NativeNdjsonOptions) {
        let query = handle as u64;
        if let Some(schema) = self.schemas.get(&query) {
            self.lines.insert(query, Lines::new(schema, options.into()));
        }
    }

    /// The next changes as lines, some thousand of them or 256 KiB: no bytes for nothing now, null for nothing any
    /// more. Throws the query's failure, once.
    #[napi(catch_unwind)]
    pub fn pull_ndjson<'env>(
        &mut self,
        env: &'env Env,
        handle: f64,
    ) -> napi::Result<Option<BufferSlice<'env>>> {
        let query = QueryId(handle as u64);
        let Some(lines) = self.lines.get_mut(&query.0) else { return Ok(None) };
        let engine = self.engine.as_mut().ok_or_else(|| closed("engine"))?;
        if engine.pull_lines(query, lines).map_err(to_js)? == Pull::Ended {
            return Ok(None);
        }
        BufferSlice::copy_from(env, lines.bytes()).map(Some)
    }

    /// Says whether somebody reads a query's changes.
    #[napi(catch_unwind)]
    pub fn query_has_reader(&mut self, handle: f64, reading: bool) -> napi::Result<()> {
        self.engine()?.query_has_reader(QueryId(handle as u64), reading);
        Ok(())
    }

    /// Ends a query.
    #[napi(catch_unwind)]
    pub fn close_query(&mut self, handle: f64) {
        self.schemas.remove(&(handle as u64));
        self.lines.remove(&(handle as u64));
        if let Some(engine) = &mut self.engine {
            engine.close_query(QueryId(handle as u64));
        }
    }

    /// Asks for rows once; gives a ticket.
    #[napi(catch_unwind)]
    pub fn all(&mut self, sql: String, given: Vec<NativeParam>, now_ms: f64) -> napi::Result<f64> {
        let params = params(given)?;
        let ticket = self.engine()?.all(&sql, &params, now_ms as i64).map_err(to_js)?;
        Ok(ticket.0 as f64)
    }

    /// What a ticket gives, once it is ready; its rows are for `reread`, before any other call.
    #[napi(catch_unwind)]
    pub fn poll(&mut self, ticket: f64) -> napi::Result<Option<NativeOutcome>> {
        match self.engine()?.poll(Ticket(ticket as u64)) {
            Poll::Pending => Ok(None),
            Poll::Ready(outcome) => match outcome.map_err(to_js)? {
                TicketValue::Done => Ok(Some(NativeOutcome { columns: None })),
                TicketValue::Rows(schema, rows) => {
                    self.held.put(rows);
                    Ok(Some(NativeOutcome { columns: Some(columns(&schema)) }))
                }
            },
        }
    }

    /// A relation by name.
    #[napi(catch_unwind)]
    pub fn relation(&self, name: String) -> napi::Result<NativeRelation> {
        self.engine_ref()?.relation(&name).map(|info| relation(&info)).map_err(to_js)
    }

    /// Accepts the row block; false where there is no room.
    #[napi(catch_unwind)]
    pub fn insert_rows(&mut self, relation: u32, block: &[u8], now_ms: f64) -> napi::Result<bool> {
        admission(self.engine()?.insert_rows(RelationId(relation), block, now_ms as i64))
    }

    /// Deletes the rows with the keys of the row block; false where there is no room.
    #[napi(catch_unwind)]
    pub fn delete_rows(&mut self, relation: u32, block: &[u8], now_ms: f64) -> napi::Result<bool> {
        admission(self.engine()?.delete_rows(RelationId(relation), block, now_ms as i64))
    }

    /// Accepts JSON bytes; false where there is no room.
    #[napi(catch_unwind)]
    pub fn insert_json(&mut self, relation: u32, bytes: &[u8], end: bool, now_ms: f64) -> napi::Result<bool> {
        admission(self.engine()?.insert_json(RelationId(relation), bytes, end, now_ms as i64))
    }

    /// Accepts JSON messages one after the other; `ends` has where each ends, with the highest bit set where its last
    /// record is complete. False where there is no room.
    #[napi(catch_unwind)]
    pub fn insert_json_messages(
        &mut self,
        relation: u32,
        bytes: &[u8],
        ends: &[u32],
        now_ms: f64,
    ) -> napi::Result<bool> {
        admission(self.engine()?.insert_json_messages(RelationId(relation), bytes, ends, now_ms as i64))
    }

    /// Moves the watermark of one relation, or of all; false where there is no room.
    #[napi(catch_unwind)]
    pub fn advance_time(&mut self, relation: Option<u32>, millis: f64, now_ms: f64) -> napi::Result<bool> {
        let micros = (millis * 1e3).round() as i64;
        admission(self.engine()?.advance_time(relation.map(RelationId), micros, now_ms as i64))
    }

    /// Ends the input of one relation, or of all; false where there is no room.
    #[napi(catch_unwind)]
    pub fn end(&mut self, relation: Option<u32>) -> napi::Result<bool> {
        admission(self.engine()?.end(relation.map(RelationId)))
    }

    /// A ticket for when everything accepted so far is processed.
    #[napi(catch_unwind)]
    pub fn flush(&mut self) -> napi::Result<f64> {
        Ok(self.engine()?.flush().0 as f64)
    }

    /// Binds statements and runs none.
    #[napi(catch_unwind)]
    pub fn check(&self, sql: String) -> napi::Result<()> {
        self.engine_ref()?.check(&sql, &velostream_runtime::Params::default()).map_err(to_js)
    }

    /// The plan of a query.
    #[napi(catch_unwind)]
    pub fn explain(&self, sql: String) -> napi::Result<String> {
        self.engine_ref()?.explain(&sql).map_err(to_js)
    }

    /// A synchronous processor.
    #[napi(catch_unwind)]
    pub fn processor(
        &self,
        sql: String,
        given: Vec<NativeParam>,
        options: NativeQueryOptions,
    ) -> napi::Result<NativeProcessor> {
        let params = params(given)?;
        let processor = self.engine_ref()?.processor(&sql, &params, &options.into()).map_err(to_js)?;
        Ok(NativeProcessor::new(processor))
    }

    /// Counters.
    #[napi(catch_unwind)]
    pub fn metrics(&self) -> napi::Result<NativeMetrics> {
        Ok(self.engine_ref()?.metrics().into())
    }

    /// The counters as OpenMetrics text.
    #[napi(catch_unwind)]
    pub fn metrics_text(&self) -> napi::Result<String> {
        Ok(self.engine_ref()?.metrics_text())
    }

    /// Dead letters kept, oldest first.
    #[napi(catch_unwind)]
    pub fn dead_letters(&self) -> napi::Result<Vec<NativeDeadLetter>> {
        Ok(self.engine_ref()?.dead_letters().into_iter().map(Into::into).collect())
    }

    /// Dead letters since the last call.
    #[napi(catch_unwind)]
    pub fn take_new_dead_letters(&mut self) -> napi::Result<Vec<NativeDeadLetter>> {
        Ok(self.engine()?.take_new_dead_letters().into_iter().map(Into::into).collect())
    }

    /// Late records since the last call.
    #[napi(catch_unwind)]
    pub fn take_late(&mut self) -> napi::Result<Vec<NativeLateRecord>> {
        Ok(self.engine()?.take_late().into_iter().map(Into::into).collect())
    }

    /// Ends all queries and joins their threads; every later call fails.
    #[napi(catch_unwind)]
    pub fn close(&mut self, env: Env) {
        self.schemas.clear();
        self.lines.clear();
        self.held = Held::default();
        if let Some(mut engine) = self.engine.take() {
            engine.close();
        }
        self.reported.set(env, 0);
    }
}

impl ObjectFinalize for NativeEngine {
    fn finalize(mut self, env: Env) -> napi::Result<()> {
        self.close(env);
        Ok(())
    }
}
