//! [`Processor`]: one query, synchronously, with state of its own.

use crate::api::RelationInfo;
use crate::error::{Error, Result};
use std::sync::Arc;
use velostream_engine::batch::ChangeBatch;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::types::Schema;

/// A query that answers each call with its changes.
pub struct Processor {
    sources: Vec<RelationInfo>,
    schema: Arc<Schema>,
}

fn not_yet<T>() -> Result<T> {
    Err(Error::new(ErrorCode::Unsupported, "this call is not supported yet"))
}

impl Processor {
    /// The relations to be fed, in the order of their positions.
    #[must_use]
    pub fn sources(&self) -> &[RelationInfo] {
        &self.sources
    }

    /// Columns, key, and whether rows are updated.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Applies a row block of source number `source` and appends the changes. Atomic: an error carries the
    /// record's index and undoes the whole call.
    pub fn process_rows(
        &mut self,
        _source: usize,
        _block: &[u8],
        _now_ms: i64,
        _out: &mut ChangeBatch,
    ) -> Result<()> {
        not_yet()
    }

    /// Deletes rows by key from a source table.
    pub fn delete_rows(
        &mut self,
        _source: usize,
        _block: &[u8],
        _now_ms: i64,
        _out: &mut ChangeBatch,
    ) -> Result<()> {
        not_yet()
    }

    /// Starts what `rollback` takes back.
    pub fn begin(&mut self) -> Result<()> {
        not_yet()
    }

    /// Keeps what came since `begin`.
    pub fn commit(&mut self) -> Result<()> {
        not_yet()
    }

    /// Takes back what came since `begin`.
    pub fn rollback(&mut self) -> Result<()> {
        not_yet()
    }

    /// Moves the watermark of every source.
    pub fn advance_time(&mut self, _micros: i64, _out: &mut ChangeBatch) -> Result<()> {
        not_yet()
    }

    /// Ends every source.
    pub fn end(&mut self, _out: &mut ChangeBatch) -> Result<()> {
        not_yet()
    }
}
