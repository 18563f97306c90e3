//! [`Processor`]: one query, synchronously, with state of its own.

use crate::api::RelationInfo;
use crate::engine::info;
use crate::error::{Error, Result};
use crate::ingest::rows;
use crate::kernel::{Kernel, KernelOptions};
use crate::source::door::Door;
use crate::source::file::compile_format;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Op, Seq};
use velostream_engine::error::{Reject, Rejects};
use velostream_engine::time::Watermark;
use velostream_engine::value::TimestampFormat;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::plan::LogicalPlan;
use velostream_sql::statement::CreateSource;
use velostream_sql::types::Schema;

/// What a rollback of the door puts back, and the number that was next.
type Mark = ((Watermark, u64), Seq);

/// A query that answers each call with its changes. Nothing of a call that fails remains.
pub struct Processor {
    sources: Vec<RelationInfo>,
    door: Option<Door>,
    timestamp_format: Option<TimestampFormat>,
    kernel: Kernel,
    next: Seq,
    /// From `begin` on, what a rollback goes back to; also whether the input had ended.
    begun: Option<(Mark, bool)>,
    ended: bool,
    rejects: Rejects,
    /// Rows as decoded, and as admitted; reused.
    raw: ChangeBatch,
    batch: Batch,
}

impl Processor {
    pub(crate) fn new(
        plan: &LogicalPlan,
        create: Option<&CreateSource>,
        options: &KernelOptions,
    ) -> Result<Self> {
        let format = create.and_then(|create| create.options.get("timestamp_format"));
        Ok(Self {
            sources: create.map(|create| info(&create.relation)).into_iter().collect(),
            door: create.map(Door::new).transpose()?,
            timestamp_format: format.map(compile_format).transpose()?,
            kernel: Kernel::new(plan, options)?,
            next: Seq(1),
            begun: None,
            ended: false,
            rejects: Rejects::default(),
            raw: ChangeBatch::default(),
            batch: Batch::default(),
        })
    }

    /// The relations to be fed, in the order of their positions.
    #[must_use]
    pub fn sources(&self) -> &[RelationInfo] {
        &self.sources
    }

    /// Columns, key, and whether rows are updated.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        self.kernel.schema()
    }

    /// Bytes of state.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.kernel.state_bytes() + self.door.as_ref().map_or(0, Door::table_bytes)
    }

    /// Applies a row block of source number `source` and appends the changes. Atomic: an error carries the
    /// record's index and undoes the whole call.
    pub fn process_rows(
        &mut self,
        source: usize,
        block: &[u8],
        now_ms: i64,
        out: &mut ChangeBatch,
    ) -> Result<()> {
        self.block(source, block, Op::Insert, now_ms, out)
    }

    /// Deletes rows by key from a source table.
    pub fn delete_rows(
        &mut self,
        source: usize,
        block: &[u8],
        now_ms: i64,
        out: &mut ChangeBatch,
    ) -> Result<()> {
        let keyed = self.sources.get(source).is_some_and(|s| s.is_table && !s.schema.primary_key.is_empty());
        if !keyed {
            let message = "only rows of a table with a primary key can be deleted";
            return Err(Error::new(ErrorCode::Unsupported, message));
        }
        self.block(source, block, Op::Delete, now_ms, out)
    }

    fn block(
        &mut self,
        source: usize,
        block: &[u8],
        op: Op,
        now_ms: i64,
        out: &mut ChangeBatch,
    ) -> Result<()> {
        self.open()?;
        let (Some(info), Some(door)) = (self.sources.get(source), &self.door) else {
            return Err(Error::new(ErrorCode::Argument, "the processor has no such source"));
        };
        if self.raw.columns.is_empty() {
            self.raw = door.empty();
            self.batch.changes = door.empty();
        }
        self.raw.clear();
        let keys = (op == Op::Delete).then_some(info.schema.primary_key.as_slice());
        let format = self.timestamp_format.as_ref();
        rows::decode(block, &info.schema.fields, format, keys, &mut self.raw.columns)
            .map_err(|error| Error { relation: Some(info.name.clone()), ..error })?;
        self.apply(op, now_ms, out)
    }

    fn open(&self) -> Result<()> {
        if self.ended { Err(Error::new(ErrorCode::State, "the processor's input has ended")) } else { Ok(()) }
    }

    /// Applies decoded rows, or nothing of them.
    fn apply(&mut self, op: Op, now_ms: i64, out: &mut ChangeBatch) -> Result<()> {
        let before = out.len();
        let mark = self.savepoint();
        match self.try_apply(op, now_ms, out) {
            Ok(()) => {
                self.kernel.commit();
                self.door.iter_mut().for_each(Door::commit);
                Ok(())
            }
            Err(error) => {
                out.truncate(before);
                self.kernel.rollback();
                self.rollback_door(mark);
                Err(error)
            }
        }
    }

    fn savepoint(&mut self) -> Mark {
        self.kernel.savepoint();
        (self.door.as_mut().map_or((Watermark::NONE, 0), Door::savepoint), self.next)
    }

    fn rollback_door(&mut self, (door, next): Mark) {
        self.door.iter_mut().for_each(|own| own.rollback(door));
        self.next = next;
    }

    fn try_apply(&mut self, op: Op, now_ms: i64, out: &mut ChangeBatch) -> Result<()> {
        let Some(door) = &mut self.door else { return Ok(()) };
        let at = |reject: &Reject, index: u32, door: &Door| {
            Err(Error::from(reject.error.clone()).at_record(&door.relation.name, index))
        };
        self.rejects.clear();
        let first = self.next;
        let refused = &mut self.rejects.failed;
        door.admit_into(&mut self.raw, op, &mut self.next, now_ms, &mut self.batch, refused);
        if let Some(reject) = refused.first() {
            return at(reject, reject.row, door);
        }
        self.kernel.process(&self.batch, out, &mut self.rejects)?;
        match self.rejects.failed.first() {
            None => Ok(()),
            Some(reject) => {
                let index = self.batch.changes.seqs[reject.row as usize].0 - first.0;
                at(reject, index as u32, door)
            }
        }
    }

    /// From here on `rollback` takes back every record since the last `commit`. Begun already, it does nothing.
    pub fn begin(&mut self) -> Result<()> {
        if self.begun.is_none() {
            let ended = self.ended;
            self.begun = Some((self.savepoint(), ended));
        }
        Ok(())
    }

    fn take_begun(&mut self, call: &str) -> Result<(Mark, bool)> {
        let begun = self.begun.take();
        begun.ok_or_else(|| Error::new(ErrorCode::State, format!("{call} without begin")))
    }

    /// Keeps everything so far; `rollback` goes back to here.
    pub fn commit(&mut self) -> Result<()> {
        self.take_begun("commit")?;
        self.kernel.commit();
        self.door.iter_mut().for_each(Door::commit);
        self.begin()
    }

    /// Goes back to the last `commit`, or to `begin`, in every operator, time and end of input included.
    pub fn rollback(&mut self) -> Result<()> {
        let (mark, ended) = self.take_begun("rollback")?;
        self.kernel.rollback();
        self.rollback_door(mark);
        self.ended = ended;
        self.begin()
    }

    /// Moves the watermark of every source.
    pub fn advance_time(&mut self, micros: i64, out: &mut ChangeBatch) -> Result<()> {
        self.open()?;
        let Some(door) = &mut self.door else { return Ok(()) };
        let Some(envelope) = door.advance(&mut self.next, Watermark(micros), 0) else { return Ok(()) };
        self.rejects = Rejects::default();
        self.kernel.process(&envelope.batch, out, &mut self.rejects)
    }

    /// Ends every source.
    pub fn end(&mut self, out: &mut ChangeBatch) -> Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        self.kernel.end(out)
    }
}
