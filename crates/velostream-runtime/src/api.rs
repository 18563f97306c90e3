//! The types of the engine's calls.

use crate::error::Error;
use std::sync::Arc;
use velostream_engine::batch::ChangeBatch;
use velostream_sql::catalog::RelationId;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::types::Schema;

/// How an engine runs. The defaults are those of the public surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// Partition threads per query; with 0 it runs on the calling thread.
    pub partitions: usize,
    /// Batches that a mailbox holds.
    pub mailbox_batches: usize,
    /// Bytes that a mailbox holds.
    pub mailbox_bytes: usize,
    /// Bytes of a file that a receiver reads at a time, at least 1.
    pub file_block_bytes: usize,
    /// State of all queries together, bytes.
    pub memory_limit: u64,
    /// Dead letters kept; beyond it the oldest is dropped and counted.
    pub dead_letter_capacity: usize,
    /// Seed of RANDOM() and UUID().
    pub seed: u64,
    /// Rows of undelivered changes a query holds before it waits.
    pub output_rows: usize,
    /// Bytes of undelivered changes a query holds before it waits.
    pub output_bytes: usize,
    /// Grace of windows that declare none.
    pub default_grace_micros: i64,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            partitions: 1,
            mailbox_batches: 1000,
            file_block_bytes: 128 << 10,
            mailbox_bytes: 8 << 20,
            memory_limit: 4 << 30,
            dead_letter_capacity: 1000,
            seed: 0,
            output_rows: 8192,
            output_bytes: 1 << 20,
            default_grace_micros: 0,
        }
    }
}

/// Called when something that a caller may be waiting for has changed, from any thread; calls are coalesced
/// until [`crate::Engine::woken`].
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// What [`crate::Engine::exec`] leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecOutcome {
    /// All is done.
    Done,
    /// Done when the ticket is.
    Wait(Ticket),
}

/// Something that is under way; asked for with [`crate::Engine::poll`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What a ticket gives when it is ready.
#[derive(Debug, Clone, PartialEq)]
pub enum TicketValue {
    /// Nothing but that it is done.
    Done,
    /// Rows, all inserts.
    Rows(Arc<Schema>, ChangeBatch),
}

/// A running query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(pub u64);

/// What happens to a record that a query rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// It goes to the dead letters.
    #[default]
    DeadLetter,
    /// The query ends with the error.
    Stop,
}

/// How a query runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryOptions {
    /// Whether updates come with the row before them.
    pub before: bool,
    /// Whether only the order of each key's changes matters; those of different keys come as receivers give them.
    pub order_by_key: bool,
    /// `dead_letter` (default), `stop` or `null`.
    pub on_error: Option<String>,
    /// A name for SHOW QUERIES and TERMINATE.
    pub name: Option<String>,
}

/// What is known of a query from its start.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryInfo {
    /// Its id or name.
    pub id: String,
    /// Its text.
    pub sql: String,
    /// Its columns, key, and whether rows are updated.
    pub schema: Arc<Schema>,
}

/// What [`crate::Engine::pull`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Rows were appended; there may be more.
    Rows,
    /// Nothing now.
    Empty,
    /// Nothing any more.
    Ended,
}

/// Whether rows were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// All of the call's rows are in the mailboxes.
    Accepted,
    /// None were taken: a mailbox is full. Try again after a wake.
    Full,
}

/// A relation that takes inserts.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationInfo {
    /// Its number.
    pub id: RelationId,
    /// Its name as declared.
    pub name: String,
    /// Its columns and key.
    pub schema: Arc<Schema>,
    /// Whether records are inserted into it directly.
    pub is_source: bool,
    /// Whether it is a table, so that keys can be deleted.
    pub is_table: bool,
    /// Position of the event-time column, where one was declared.
    pub event_time: Option<usize>,
}

/// The content of a dead letter.
#[derive(Debug, Clone, PartialEq)]
pub enum DeadRecord {
    /// One row.
    Row(Arc<Schema>, ChangeBatch),
    /// The bytes that could not be read.
    Bytes(Vec<u8>),
}

/// A record that could not be processed.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// The relation it was for.
    pub relation: String,
    /// The query that rejected it; `None` when it did not get that far.
    pub query: Option<String>,
    /// The receiver that met it: alone of all fields it depends on how the work is shared.
    pub partition: usize,
    /// Its number within the relation, from 0; for bytes, that of the record that would have come; 0 for a row of the
    /// answer, which belongs to no record.
    pub offset: u64,
    /// RECORD, CONSTRAINT or PARSE.
    pub code: ErrorCode,
    /// Why.
    pub message: String,
    /// Its content.
    pub record: DeadRecord,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
}

/// A record that a query left out because it came too late.
#[derive(Debug, Clone, PartialEq)]
pub struct LateRecord {
    /// The relation.
    pub relation: String,
    /// The query.
    pub query: String,
    /// Columns of the relation.
    pub schema: Arc<Schema>,
    /// One row.
    pub row: ChangeBatch,
    /// How far the watermark was past it, milliseconds.
    pub late_by_ms: f64,
}

/// Latency of a batch from its acceptance to its changes, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LatencyMetrics {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Largest.
    pub max: f64,
}

/// Counters of one partition, which has a receiver in each stage of the query's plan: what comes in is counted by the
/// first, what goes out by the last, and the rest by both.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PartitionMetricsSnapshot {
    /// Which partition.
    pub partition: usize,
    /// Records received.
    pub records_in: u64,
    /// Batches received.
    pub batches_in: u64,
    /// Changes given out.
    pub changes_out: u64,
    /// Records left out as late.
    pub late: u64,
    /// Records rejected.
    pub dead_letters: u64,
    /// Time spent processing.
    pub busy_ms: f64,
    /// Batches waiting for the first stage.
    pub mailbox_batches: u64,
    /// Bytes waiting for the first stage.
    pub mailbox_bytes: u64,
    /// State held.
    pub state_bytes: u64,
    /// Groups held.
    pub groups: u64,
    /// Latency.
    pub latency_us: LatencyMetrics,
}

/// Counters of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryMetrics {
    /// Its id or name.
    pub id: String,
    /// Its text.
    pub sql: String,
    /// Its watermark, microseconds since the epoch.
    pub watermark_micros: Option<i64>,
    /// Undelivered rows.
    pub output_rows: u64,
    /// Per partition.
    pub partitions: Vec<PartitionMetricsSnapshot>,
}

/// Counters of one relation.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationMetrics {
    /// Its name.
    pub name: String,
    /// Records accepted; of a file or feeds, by all queries that read them.
    pub records_in: u64,
    /// Its watermark, microseconds since the epoch; of a file or feeds, of the query that came furthest.
    pub watermark_micros: Option<i64>,
}

/// Counters of an engine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EngineMetrics {
    /// Running queries.
    pub queries: Vec<QueryMetrics>,
    /// Relations.
    pub relations: Vec<RelationMetrics>,
    /// State of all queries and source tables.
    pub state_bytes: u64,
    /// Dead letters so far.
    pub dead_letters_total: u64,
    /// Those among them that are no longer kept.
    pub dead_letters_dropped: u64,
    /// Late records that went before anybody took them.
    pub late_dropped: u64,
}

/// What a ticket gives, or why not.
pub type TicketResult = Result<TicketValue, Error>;
