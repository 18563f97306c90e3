//! [`Engine`]: the calls.

use crate::api::*;
use crate::error::{Error, Result};
use crate::processor::Processor;
use std::task::Poll;
use velostream_engine::batch::ChangeBatch;
use velostream_sql::catalog::RelationId;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::plan::Literal;
use velostream_sql::types::DataType;

/// Values for the parameters of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Params {
    /// For `?` in order and for `$1`, `$2`.
    Positional(Vec<(Literal, DataType)>),
    /// For `:name` and `$name`.
    Named(Vec<(String, (Literal, DataType))>),
}

/// A running engine. All calls are made from one thread, and none of them waits for another thread.
pub struct Engine {
    options: EngineOptions,
    waker: Waker,
}

fn not_yet<T>() -> Result<T> {
    Err(Error::new(ErrorCode::Unsupported, "this call is not supported yet"))
}

impl Engine {
    /// A new engine, which refuses options that it cannot run with.
    pub fn new(options: EngineOptions, waker: Waker) -> Result<Self> {
        if options.partitions > 1 {
            return Err(Error::new(ErrorCode::Unsupported, "more than one partition is not supported yet"));
        }
        Ok(Self { options, waker })
    }

    /// Runs one or several statements but SELECT, all bound before the first runs.
    pub fn exec(&mut self, _sql: &str, _params: &Params, _now_ms: i64) -> Result<ExecOutcome> {
        (self.waker)();
        not_yet()
    }

    /// Starts a continuous query.
    pub fn query(
        &mut self,
        _sql: &str,
        _params: &Params,
        _options: &QueryOptions,
        _now_ms: i64,
    ) -> Result<QueryId> {
        not_yet()
    }

    /// What is known of a query that is not closed.
    pub fn query_info(&self, _query: QueryId) -> Result<QueryInfo> {
        not_yet()
    }

    /// Appends up to `max_rows` changes of a query to `out` (more, so as not to cut an update in two). An error is
    /// the query's failure, told once.
    pub fn pull(&mut self, _query: QueryId, _max_rows: usize, _out: &mut ChangeBatch) -> Result<Pull> {
        not_yet()
    }

    /// Says whether somebody reads the query's changes.
    pub fn query_has_reader(&mut self, _query: QueryId, _reading: bool) {}

    /// Ends a query and forgets it.
    pub fn close_query(&mut self, _query: QueryId) {}

    /// Asks for rows once: SELECT over tables, finite files or nothing, SHOW, DESCRIBE, EXPLAIN.
    pub fn all(&mut self, _sql: &str, _params: &Params, _now_ms: i64) -> Result<Ticket> {
        not_yet()
    }

    /// Whether a ticket is ready. Ready is said once.
    pub fn poll(&mut self, _ticket: Ticket) -> Poll<TicketResult> {
        Poll::Ready(not_yet())
    }

    /// A relation by name, without regard to case.
    pub fn relation(&self, _name: &str) -> Result<RelationInfo> {
        not_yet()
    }

    /// Accepts a row block.
    pub fn insert_rows(&mut self, _relation: RelationId, _block: &[u8], _now_ms: i64) -> Result<Admission> {
        not_yet()
    }

    /// Deletes the rows with the keys of a row block from a source table; only key columns count.
    pub fn delete_rows(&mut self, _relation: RelationId, _block: &[u8], _now_ms: i64) -> Result<Admission> {
        not_yet()
    }

    /// Accepts JSON bytes: NDJSON, concatenated objects or one array. Chunks may end anywhere unless `end`.
    pub fn insert_json(
        &mut self,
        _relation: RelationId,
        _bytes: &[u8],
        _end: bool,
        _now_ms: i64,
    ) -> Result<Admission> {
        not_yet()
    }

    /// Moves the watermark of one relation or of all.
    pub fn advance_time(
        &mut self,
        _relation: Option<RelationId>,
        _micros: i64,
        _now_ms: i64,
    ) -> Result<Admission> {
        not_yet()
    }

    /// Declares end of input on one relation or on all.
    pub fn end(&mut self, _relation: Option<RelationId>) -> Result<Admission> {
        not_yet()
    }

    /// Ready when everything accepted so far is processed and sits in output queues or was pulled, and finite
    /// files are read to their end.
    pub fn flush(&mut self) -> Ticket {
        Ticket(self.options.seed)
    }

    /// The plan of a query.
    pub fn explain(&self, _sql: &str) -> Result<String> {
        not_yet()
    }

    /// A synchronous processor over this catalogue's definitions, with state of its own.
    pub fn processor(&self, _sql: &str, _params: &Params, _options: &QueryOptions) -> Result<Processor> {
        not_yet()
    }

    /// Counters.
    #[must_use]
    pub fn metrics(&self) -> EngineMetrics {
        EngineMetrics::default()
    }

    /// Dead letters kept, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        Vec::new()
    }

    /// Dead letters since the last call.
    pub fn take_new_dead_letters(&mut self) -> Vec<DeadLetter> {
        Vec::new()
    }

    /// Late records since the last call.
    pub fn take_late(&mut self) -> Vec<LateRecord> {
        Vec::new()
    }

    /// Takes notice of a wake: the next change wakes again.
    pub fn woken(&self) {}

    /// Ends all queries and joins their threads.
    pub fn close(&mut self) {}
}
