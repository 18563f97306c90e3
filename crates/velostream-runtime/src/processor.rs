//! [`Processor`]: one query, synchronously, with state of its own.

mod records;

use crate::api::RelationInfo;
use crate::engine::info;
use crate::error::{Error, Result};
use crate::ingest::rows;
use crate::kernel::{Kernel, KernelOptions};
use crate::source::door::Door;
use crate::source::file::compile_format;
use crate::time_use::reads_event_time;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Op, Seq};
use velostream_engine::error::{Reject, Rejects};
use velostream_engine::time::Watermark;
use velostream_engine::value::TimestampFormat;
use velostream_sql::catalog::Relation;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::plan::LogicalPlan;
use velostream_sql::statement::CreateSource;
use velostream_sql::types::Schema;

/// What a rollback of a door puts back.
type DoorMark = (Watermark, u64);

/// What a rollback of everything puts back: each door, the number that was next, whether the input had ended.
struct Mark {
    doors: Vec<DoorMark>,
    next: Seq,
    ended: bool,
}

/// A relation that is fed, with the way in.
struct Source {
    door: Door,
    timestamp_format: Option<TimestampFormat>,
    /// Rows as decoded, and as admitted; reused.
    raw: ChangeBatch,
    batch: Batch,
    /// Whether a record that fails must be taken back by a savepoint.
    is_journaled: bool,
}

impl Source {
    /// `is_journaled` is whether operators may have changed for a record that fails.
    fn new(create: &CreateSource, is_journaled: bool) -> Result<Self> {
        let format = create.options.get("timestamp_format");
        let door = Door::new(create)?;
        Ok(Self {
            timestamp_format: format.map(compile_format).transpose()?,
            raw: door.empty(),
            batch: Batch { changes: door.empty(), ..Batch::default() },
            is_journaled: is_journaled || door.table.is_some(),
            door,
        })
    }
}

/// A query that answers each call with its changes. Nothing of a call that fails remains.
pub struct Processor {
    infos: Vec<RelationInfo>,
    sources: Vec<Source>,
    kernel: Kernel,
    reads_clock: bool,
    next: Seq,
    /// From `begin` on, what a rollback goes back to.
    begun: Option<Mark>,
    ended: bool,
    rejects: Rejects,
}

impl Processor {
    /// A processor whose sources are declared so.
    pub(crate) fn new(
        plan: &LogicalPlan,
        declared: impl Fn(&Relation) -> Option<CreateSource>,
        options: &KernelOptions,
    ) -> Result<Self> {
        let kernel = Kernel::new(plan, options)?;
        let mut sources = Vec::with_capacity(kernel.inputs().len());
        for (at, input) in kernel.inputs().iter().enumerate() {
            let message = format!("{} is not a source of records", input.name);
            let create = declared(input).ok_or_else(|| Error::new(ErrorCode::Internal, message))?;
            sources.push(Source::new(&create, kernel.is_journaled(at))?);
        }
        let feeds_table = sources.iter().any(|source| source.door.table.is_some());
        let own_times = sources.iter().all(|source| source.door.relation.event_time.is_some());
        Ok(Self {
            reads_clock: (feeds_table || !own_times) && reads_event_time(plan),
            infos: sources.iter().map(|source| info(&source.door.relation)).collect(),
            sources,
            kernel,
            next: Seq(1),
            begun: None,
            ended: false,
            rejects: Rejects::default(),
        })
    }

    /// The relations to be fed, in the order of their positions.
    #[must_use]
    pub fn sources(&self) -> &[RelationInfo] {
        &self.infos
    }

    /// Columns, key, and whether rows are updated.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        self.kernel.schema()
    }

    /// Whether the clock given with a call makes a difference.
    #[must_use]
    pub fn reads_clock(&self) -> bool {
        self.reads_clock
    }

    /// Bytes of state.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        let tables: usize = self.sources.iter().map(|source| source.door.table_bytes()).sum();
        self.kernel.state_bytes() + tables
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
        self.require_keyed(source)?;
        self.block(source, block, Op::Delete, now_ms, out)
    }

    fn require_keyed(&self, source: usize) -> Result<()> {
        if self.infos.get(source).is_some_and(|s| s.is_table && !s.schema.primary_key.is_empty()) {
            return Ok(());
        }
        let message = "only rows of a table with a primary key can be deleted";
        Err(Error::new(ErrorCode::Unsupported, message))
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
        let Some(Source { door, timestamp_format, raw, .. }) = self.sources.get_mut(source) else {
            return Err(Error::new(ErrorCode::Argument, "the processor has no such source"));
        };
        raw.clear();
        let schema = &door.relation.schema;
        let keys = (op == Op::Delete).then_some(schema.primary_key.as_slice());
        rows::decode(block, &schema.fields, timestamp_format.as_ref(), keys, &mut raw.columns)
            .map_err(|error| Error { relation: Some(door.relation.name.to_string()), ..error })?;
        door.stamp(raw, op, now_ms);
        self.apply(source, out)
    }

    fn open(&self) -> Result<()> {
        if self.ended { Err(Error::new(ErrorCode::State, "the processor's input has ended")) } else { Ok(()) }
    }

    /// Applies the decoded rows of a source, with their marks and times, or nothing of them.
    fn apply(&mut self, source: usize, out: &mut ChangeBatch) -> Result<()> {
        let Source { raw, is_journaled, .. } = &self.sources[source];
        let is_whole = !is_journaled && raw.len() == 1;
        let (before, next) = (out.len(), self.next);
        if !is_whole {
            self.kernel.savepoint();
        }
        let mark = self.sources[source].door.savepoint();
        let applied = self.try_apply(source, is_whole, out);
        let door = &mut self.sources[source].door;
        if applied.is_ok() {
            door.commit();
        } else {
            out.truncate(before);
            door.rollback(mark);
            self.next = next;
        }
        match applied {
            _ if is_whole => {}
            Ok(()) => self.kernel.commit(),
            Err(_) => self.kernel.rollback(),
        }
        applied
    }

    fn try_apply(&mut self, source: usize, is_whole: bool, out: &mut ChangeBatch) -> Result<()> {
        let Source { door, raw, batch, .. } = &mut self.sources[source];
        let at = |reject: &Reject, index: u32, door: &Door| {
            Err(Error::from(reject.error.clone()).at_record(&door.relation.name, index))
        };
        self.rejects.clear();
        let first = self.next;
        let refused = &mut self.rejects.failed;
        door.admit_into(raw, &mut self.next, batch, refused);
        if let Some(reject) = refused.first() {
            return at(reject, reject.row, door);
        }
        if is_whole {
            self.kernel.process_whole(source, batch, out, &mut self.rejects)?;
        } else {
            self.kernel.process(source, batch, out, &mut self.rejects)?;
        }
        match self.rejects.failed.first() {
            None => Ok(()),
            Some(reject) => {
                let index = batch.changes.seqs[reject.row as usize].0 - first.0;
                at(reject, index as u32, door)
            }
        }
    }

    /// Opens a savepoint inside whatever is open; `keep` or `take_back` ends it.
    fn savepoint(&mut self) -> Mark {
        self.kernel.savepoint();
        let doors = self.sources.iter_mut().map(|source| source.door.savepoint());
        Mark { doors: doors.collect(), next: self.next, ended: self.ended }
    }

    fn keep(&mut self) {
        self.kernel.commit();
        self.sources.iter_mut().for_each(|source| source.door.commit());
    }

    fn take_back(&mut self, Mark { doors, next, ended }: Mark) {
        self.kernel.rollback();
        for (source, mark) in self.sources.iter_mut().zip(doors) {
            source.door.rollback(mark);
        }
        self.next = next;
        self.ended = ended;
    }

    /// From here on `rollback` takes back every record since the last `commit`. Begun already, it does nothing.
    pub fn begin(&mut self) -> Result<()> {
        if self.begun.is_none() {
            self.begun = Some(self.savepoint());
        }
        Ok(())
    }

    fn take_begun(&mut self, call: &str) -> Result<Mark> {
        let begun = self.begun.take();
        begun.ok_or_else(|| Error::new(ErrorCode::State, format!("{call} without begin")))
    }

    /// Keeps everything so far; `rollback` goes back to here.
    pub fn commit(&mut self) -> Result<()> {
        self.take_begun("commit")?;
        self.keep();
        self.begin()
    }

    /// Goes back to the last `commit`, or to `begin`, in every operator, time and end of input included.
    pub fn rollback(&mut self) -> Result<()> {
        let mark = self.take_begun("rollback")?;
        self.take_back(mark);
        self.begin()
    }

    /// Moves the watermark of every source, one after another in the order of the relations' making.
    pub fn advance_time(&mut self, micros: i64, out: &mut ChangeBatch) -> Result<()> {
        self.open()?;
        self.rejects.clear();
        for input in self.kernel.by_age() {
            let door = &mut self.sources[input].door;
            if let Some(envelope) = door.advance(&mut self.next, Watermark(micros), 0) {
                self.kernel.process(input, &envelope.batch, out, &mut self.rejects)?;
            }
        }
        Ok(())
    }

    /// Ends every source.
    pub fn end(&mut self, out: &mut ChangeBatch) -> Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        self.kernel.end_all(out)
    }
}
