//! Counters, dead letters and late records as JavaScript sees them.

use crate::convert::{NativeColumn, columns};
use crate::error::code;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use velostream_runtime::sink::rows::block_of;
use velostream_runtime::{
    DeadLetter, DeadRecord, EngineMetrics, LateRecord, LatencyMetrics, PartitionMetricsSnapshot, QueryMetrics,
};

/// Latency in microseconds.
#[napi(object)]
pub struct NativeLatency {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl From<LatencyMetrics> for NativeLatency {
    fn from(from: LatencyMetrics) -> Self {
        Self { p50: from.p50, p99: from.p99, p999: from.p999, max: from.max }
    }
}

/// Counters of one receiver.
#[napi(object)]
pub struct NativePartitionMetrics {
    pub partition: u32,
    pub records_in: f64,
    pub batches_in: f64,
    pub changes_out: f64,
    pub late: f64,
    pub dead_letters: f64,
    pub busy_ms: f64,
    pub mailbox_batches: f64,
    pub mailbox_bytes: f64,
    pub state_bytes: f64,
    pub groups: f64,
    pub latency_us: NativeLatency,
}

impl From<PartitionMetricsSnapshot> for NativePartitionMetrics {
    fn from(from: PartitionMetricsSnapshot) -> Self {
        Self {
            partition: from.partition as u32,
            records_in: from.records_in as f64,
            batches_in: from.batches_in as f64,
            changes_out: from.changes_out as f64,
            late: from.late as f64,
            dead_letters: from.dead_letters as f64,
            busy_ms: from.busy_ms,
            mailbox_batches: from.mailbox_batches as f64,
            mailbox_bytes: from.mailbox_bytes as f64,
            state_bytes: from.state_bytes as f64,
            groups: from.groups as f64,
            latency_us: from.latency_us.into(),
        }
    }
}

/// Counters of one query.
#[napi(object)]
pub struct NativeQueryMetrics {
    pub id: String,
    pub sql: String,
    /// Milliseconds since the epoch.
    pub watermark: Option<f64>,
    pub output_rows: f64,
    pub partitions: Vec<NativePartitionMetrics>,
}

impl From<QueryMetrics> for NativeQueryMetrics {
    fn from(from: QueryMetrics) -> Self {
        Self {
            id: from.id,
            sql: from.sql,
            watermark: from.watermark_micros.map(millis),
            output_rows: from.output_rows as f64,
            partitions: from.partitions.into_iter().map(Into::into).collect(),
        }
    }
}

/// Counters of one relation.
#[napi(object)]
pub struct NativeRelationMetrics {
    pub name: String,
    pub records_in: f64,
    /// Milliseconds since the epoch.
    pub watermark: Option<f64>,
}

/// Counters of an engine.
#[napi(object)]
pub struct NativeMetrics {
    pub queries: Vec<NativeQueryMetrics>,
    pub relations: Vec<NativeRelationMetrics>,
    pub state_bytes: f64,
    pub dead_letters_total: f64,
    pub dead_letters_dropped: f64,
    pub late_dropped: f64,
}

impl From<EngineMetrics> for NativeMetrics {
    fn from(from: EngineMetrics) -> Self {
        let relations = from.relations.into_iter().map(|relation| NativeRelationMetrics {
            name: relation.name,
            records_in: relation.records_in as f64,
            watermark: relation.watermark_micros.map(millis),
        });
        Self {
            queries: from.queries.into_iter().map(Into::into).collect(),
            relations: relations.collect(),
            state_bytes: from.state_bytes as f64,
            dead_letters_total: from.dead_letters_total as f64,
            dead_letters_dropped: from.dead_letters_dropped as f64,
            late_dropped: from.late_dropped as f64,
        }
    }
}

fn millis(micros: i64) -> f64 {
    micros as f64 / 1e3
}

/// A record that could not be processed: `bytes`, or a change block of one row of `columns`.
#[napi(object)]
pub struct NativeDeadLetter {
    pub relation: String,
    pub query: Option<String>,
    pub partition: u32,
    pub offset: f64,
    pub code: String,
    pub message: String,
    pub at: f64,
    pub columns: Vec<NativeColumn>,
    pub bytes: Uint8Array,
}

impl From<DeadLetter> for NativeDeadLetter {
    fn from(from: DeadLetter) -> Self {
        let (columns, bytes) = match from.record {
            DeadRecord::Row(schema, row) => (columns(&schema), block_of(&row)),
            DeadRecord::Bytes(bytes) => (Vec::new(), bytes),
        };
        Self {
            relation: from.relation,
            query: from.query,
            partition: from.partition as u32,
            offset: from.offset as f64,
            code: code(from.code),
            message: from.message,
            at: from.at_ms as f64,
            columns,
            bytes: bytes.into(),
        }
    }
}

/// A record that a query left out because it came too late: a change block of one row of `columns`.
#[napi(object)]
pub struct NativeLateRecord {
    pub relation: String,
    pub query: String,
    pub late_by_ms: f64,
    pub columns: Vec<NativeColumn>,
    pub bytes: Uint8Array,
}

impl From<LateRecord> for NativeLateRecord {
    fn from(from: LateRecord) -> Self {
        Self {
            columns: columns(&from.schema),
            bytes: block_of(&from.row).into(),
            relation: from.relation,
            query: from.query,
            late_by_ms: from.late_by_ms,
        }
    }
}
