//! What comes in: rows, JSON bytes, keys to delete, time and ends.

use super::Engine;
use crate::api::Admission;
use crate::catalog::{Origin, PipelineId, Source};
use crate::error::{Error, Result};
use crate::ingest::json::JsonDecoder;
use crate::ingest::{BadRecord, SourceFormat, rows};
use crate::partition::event::{Envelope, Event};
use crate::partition::outlet::Outlet;
use crate::pipeline::Purpose;
use std::sync::atomic::Ordering;
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_engine::time::Watermark;
use velostream_sql::catalog::RelationId;
use velostream_sql::diagnostic::ErrorCode;

/// Marks the end of a message whose last record is complete.
pub const COMPLETE: u32 = 1 << 31;

impl Engine {
    /// Accepts a row block. `Full` means that nothing was taken; an error, which names row and column, too.
    pub fn insert_rows(&mut self, relation: RelationId, block: &[u8], now_ms: i64) -> Result<Admission> {
        self.block(relation, block, Op::Insert, now_ms)
    }

    /// Deletes the rows with the keys of a row block from a source table; only key columns count.
    pub fn delete_rows(&mut self, relation: RelationId, block: &[u8], now_ms: i64) -> Result<Admission> {
        let source = self.open_source(relation)?;
        if source.door.table.is_none() {
            let message =
                format!("{} is a stream: its records cannot be deleted", source.create.relation.name);
            return Err(Error::new(ErrorCode::Unsupported, message));
        }
        if source.create.relation.schema.primary_key.is_empty() {
            let message = format!("{} has no primary key: use DELETE", source.create.relation.name);
            return Err(Error::new(ErrorCode::Unsupported, message));
        }
        self.block(relation, block, Op::Delete, now_ms)
    }

    fn block(&mut self, relation: RelationId, block: &[u8], op: Op, now_ms: i64) -> Result<Admission> {
        self.now_ms = now_ms;
        self.open_source(relation)?;
        if !self.has_room(relation) {
            return Ok(Admission::Full);
        }
        self.table_has_memory(relation)?;
        let source = self.open_source(relation)?;
        let schema = &source.create.relation.schema;
        let mut taken = source.door.fresh();
        let keys = (op == Op::Delete).then_some(schema.primary_key.as_slice());
        let format = source.timestamp_format.as_ref();
        rows::decode(block, &schema.fields, format, keys, &mut taken.columns)
            .map_err(|error| Error { relation: Some(source.create.relation.name.to_string()), ..error })?;
        self.accept(relation, taken, op, now_ms);
        self.pump(now_ms);
        Ok(Admission::Accepted)
    }

    /// Accepts JSON bytes: NDJSON, concatenated objects or one array. Chunks may end anywhere unless `end`.
    pub fn insert_json(
        &mut self,
        relation: RelationId,
        bytes: &[u8],
        end: bool,
        now_ms: i64,
    ) -> Result<Admission> {
        self.accept_json(relation, std::iter::once((bytes, end)), now_ms)
    }

    /// Accepts several messages, as one call for each would. `ends` has where each of them ends in `bytes`, with
    /// [`COMPLETE`] where its last record is complete.
    pub fn insert_json_messages(
        &mut self,
        relation: RelationId,
        bytes: &[u8],
        ends: &[u32],
        now_ms: i64,
    ) -> Result<Admission> {
        let mut begin = 0;
        let message = |&end: &u32| {
            let to = ((end & !COMPLETE) as usize).min(bytes.len());
            let message = &bytes[begin.min(to)..to];
            begin = to;
            (message, end & COMPLETE != 0)
        };
        self.accept_json(relation, ends.iter().map(message), now_ms)
    }

    fn accept_json<'a>(
        &mut self,
        relation: RelationId,
        messages: impl Iterator<Item = (&'a [u8], bool)>,
        now_ms: i64,
    ) -> Result<Admission> {
        self.now_ms = now_ms;
        self.open_source(relation)?;
        if !self.has_room(relation) {
            return Ok(Admission::Full);
        }
        self.table_has_memory(relation)?;
        self.take_json(relation, messages, now_ms);
        self.pump(now_ms);
        Ok(Admission::Accepted)
    }

    fn take_json<'a>(
        &mut self,
        relation: RelationId,
        messages: impl Iterator<Item = (&'a [u8], bool)>,
        now_ms: i64,
    ) {
        let Some(source) = self.catalog.source_mut(relation) else { return };
        let fields = &source.create.relation.schema.fields;
        let decoder = source.json.get_or_insert_with(|| {
            let timestamp_format = source.timestamp_format.clone();
            JsonDecoder::new(SourceFormat { fields: fields.clone(), timestamp_format, json_text: false })
        });
        messages.for_each(|(bytes, end)| decoder.push(bytes, end, &mut source.decoded));
        let taken = source.decoded.take_rows(source.door.fresh());
        let bad = std::mem::take(&mut source.decoded.bad);
        self.admit(relation, (taken, bad), Op::Insert, now_ms);
    }

    /// A source that takes records.
    pub(super) fn open_source(&mut self, relation: RelationId) -> Result<&mut Source> {
        self.open()?;
        if self.catalog.source(relation).is_none() {
            return Err(match self.catalog.get(relation) {
                Some(entry) => {
                    let message =
                        format!("{} is made by its query and takes no records", entry.relation.name);
                    Error::new(ErrorCode::Unsupported, message)
                }
                None => Error::new(ErrorCode::UnknownName, "the relation does not exist any more"),
            });
        }
        let source = self.catalog.source_mut(relation).expect("it was found");
        let name = &source.create.relation.name;
        if let Some(origin) = &source.origin {
            let from = match origin {
                Origin::File(_) => "is read from a file",
                Origin::Feeds(_) => "has feeds",
            };
            return Err(Error::new(ErrorCode::Unsupported, format!("{name} {from} and takes no records")));
        }
        if source.ended {
            return Err(Error::new(ErrorCode::State, format!("the input of {name} has ended")));
        }
        Ok(source)
    }

    /// Whether every mailbox that rows of a relation would go to has room, INSERT SELECTs followed.
    pub(super) fn has_room(&self, relation: RelationId) -> bool {
        let Some(source) = self.catalog.source(relation) else { return true };
        source.readers.iter().filter_map(|(reader, _)| self.pipelines.get(reader)).all(|pipeline| {
            pipeline.from_engine.as_ref().is_none_or(Outlet::has_room)
                && match pipeline.purpose {
                    Purpose::Insert(target) => self.has_room(target),
                    _ => true,
                }
        })
    }

    /// A table whose rows are past the memory limit takes no more.
    fn table_has_memory(&mut self, relation: RelationId) -> Result<()> {
        let source = self.open_source(relation)?;
        let name = source.create.relation.name.to_string();
        let is_table = source.door.table.is_some();
        let (held, limit) = (self.shared.state_bytes.load(Ordering::Relaxed), self.shared.memory_limit);
        if !is_table || held <= limit {
            return Ok(());
        }
        let message =
            format!("the state of {held} bytes is past the limit of {limit} bytes: {name} takes no rows");
        Err(Error::new(ErrorCode::Limit, message))
    }

    /// Takes rows in: refused ones become dead letters, the others get numbers and go to the readers.
    pub(super) fn accept(&mut self, relation: RelationId, rows: ChangeBatch, op: Op, now_ms: i64) {
        self.admit(relation, (rows, Vec::new()), op, now_ms);
    }

    /// The same, with what could not be decoded between them.
    fn admit(
        &mut self,
        relation: RelationId,
        (rows, bad): (ChangeBatch, Vec<BadRecord>),
        op: Op,
        now_ms: i64,
    ) {
        let Some(source) = self.catalog.source_mut(relation) else { return };
        let held = source.door.table_bytes();
        let mut next = Seq(self.next_seq);
        let (envelope, letters) = source.door.admit(rows, bad, op, &mut next, (None, now_ms));
        self.next_seq = next.0;
        if !letters.is_empty() {
            self.shared.dead_letters.add(letters);
            self.shared.wake.wake();
        }
        let holds = source.door.table_bytes();
        self.count_table(held, holds);
        if let Some(envelope) = envelope {
            self.send(relation, envelope);
        }
    }

    /// Notes that a source table has grown or shrunk.
    pub(super) fn count_table(&mut self, held: usize, holds: usize) {
        let (held, holds) = (held as u64, holds as u64);
        if holds >= held {
            self.shared.state_bytes.fetch_add(holds - held, Ordering::Relaxed);
        } else {
            self.shared.state_bytes.fetch_sub(held - holds, Ordering::Relaxed);
        }
    }

    /// Puts a batch in the mailbox of every reader of a source.
    pub(super) fn send(&mut self, relation: RelationId, envelope: Envelope) {
        let Self { catalog, pipelines, .. } = self;
        let Some(source) = catalog.source(relation) else { return };
        if let Some((last, readers)) = source.readers.split_last() {
            let mut send = |&(reader, input): &(PipelineId, usize), envelope: Envelope| {
                let pipeline = pipelines.get_mut(&reader);
                if let Some(outlet) = pipeline.and_then(|pipeline| pipeline.from_engine.as_mut()) {
                    outlet.send(Envelope { input, ..envelope });
                }
            };
            readers.iter().for_each(|reader| send(reader, envelope.clone()));
            send(last, envelope);
        }
        self.pace(relation);
    }

    /// The relations that a call for one or for all means.
    fn sources(&mut self, relation: Option<RelationId>) -> Result<Vec<RelationId>> {
        if let Some(relation) = relation {
            self.open_source(relation)?;
            return Ok(vec![relation]);
        }
        self.open()?;
        let ids: Vec<_> = self.catalog.entries().map(|entry| entry.relation.id).collect();
        Ok(ids
            .into_iter()
            .filter(|&id| self.catalog.source(id).is_some_and(|s| s.origin.is_none() && !s.ended))
            .collect())
    }

    /// Moves the watermark of one relation or of all; backwards does nothing.
    pub fn advance_time(
        &mut self,
        relation: Option<RelationId>,
        micros: i64,
        now_ms: i64,
    ) -> Result<Admission> {
        let sources = self.sources(relation)?;
        if !sources.iter().all(|&source| self.has_room(source)) {
            return Ok(Admission::Full);
        }
        for id in sources {
            let mut next = Seq(self.next_seq);
            let source = self.catalog.source_mut(id);
            let moved = source.and_then(|source| source.door.advance(&mut next, Watermark(micros), now_ms));
            self.next_seq = next.0;
            if let Some(envelope) = moved {
                self.send(id, envelope);
            }
            self.pump(now_ms);
        }
        Ok(Admission::Accepted)
    }

    /// Declares end of input on one relation or on all: what is open becomes final.
    pub fn end(&mut self, relation: Option<RelationId>) -> Result<Admission> {
        let now_ms = self.now_ms;
        let mut left = self.sources(relation)?;
        // What is fed by an INSERT SELECT ends after what that reads.
        while !left.is_empty() {
            let fed_later = |id: RelationId, left: &[RelationId]| {
                self.pipelines.values().any(|pipeline| {
                    pipeline.purpose == Purpose::Insert(id)
                        && pipeline.inputs.iter().any(|input| left.contains(input))
                })
            };
            let at = left.iter().position(|&id| !fed_later(id, &left)).unwrap_or(0);
            self.end_source(left.remove(at), now_ms);
        }
        Ok(Admission::Accepted)
    }

    fn end_source(&mut self, id: RelationId, now_ms: i64) {
        // The rest of a JSON text that was never finished is a bad record.
        if self.catalog.source(id).is_some_and(|source| source.json.is_some()) {
            self.take_json(id, std::iter::once((b"".as_slice(), true)), now_ms);
        }
        let Some(source) = self.catalog.source_mut(id) else { return };
        source.ended = true;
        let readers = std::mem::take(&mut source.readers);
        // What the end makes final has a number of its own, so that it comes behind every record.
        let at = self.take_numbers(1);
        for (reader, input) in readers {
            if let Some(outlet) =
                self.pipelines.get(&reader).and_then(|pipeline| pipeline.from_engine.as_ref())
            {
                outlet.tell(|| Event::End(input, at));
            }
        }
        self.pace(id);
        self.pump(now_ms);
    }
}
