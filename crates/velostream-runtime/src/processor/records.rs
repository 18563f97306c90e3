//! Records as rows of named values into a processor.

use super::{Processor, Source};
use crate::error::{Error, Result};
use crate::record::{self, StreamRecord};
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_sql::diagnostic::ErrorCode;

impl Processor {
    /// Applies records, each to the source that it names, and appends the changes; gives the number of the first,
    /// from which each has the next. Atomic: an error carries the record's index and undoes the whole call.
    /// `now_ms` is the time of records that have none, milliseconds since the epoch.
    pub fn process_records(
        &mut self,
        records: &[StreamRecord],
        now_ms: i64,
        out: &mut ChangeBatch,
    ) -> Result<Seq> {
        self.open()?;
        let first = self.next;
        if self.run_length(records)? == records.len() {
            self.process_run(records, now_ms, out)?;
            return Ok(first);
        }
        let before = out.len();
        let mark = self.savepoint();
        let applied = self.process_runs(records, now_ms, out);
        if applied.is_ok() {
            self.keep();
        } else {
            out.truncate(before);
            self.take_back(mark);
        }
        applied.map(|()| first)
    }

    fn process_runs(&mut self, records: &[StreamRecord], now_ms: i64, out: &mut ChangeBatch) -> Result<()> {
        let mut from = 0;
        let of_call = |error: Error, from: usize| Error {
            index: Some(error.index.unwrap_or(0) + from as u32),
            ..error
        };
        while from < records.len() {
            let length = self.run_length(&records[from..]).map_err(|error| of_call(error, from))?;
            let run = &records[from..from + length];
            self.process_run(run, now_ms, out).map_err(|error| of_call(error, from))?;
            from += length;
        }
        Ok(())
    }

    /// How many records from the front on are of one source.
    fn run_length(&self, records: &[StreamRecord]) -> Result<usize> {
        let Some(first) = records.first() else { return Ok(0) };
        let source = self.source_of(first)?;
        let is_other = |record: &StreamRecord| self.source_of(record) != Ok(source);
        Ok(records.iter().position(is_other).unwrap_or(records.len()))
    }

    fn source_of(&self, record: &StreamRecord) -> Result<usize> {
        let found = match &record.relation {
            Some(name) => self.infos.iter().position(|info| info.name.eq_ignore_ascii_case(name)),
            None if self.infos.len() == 1 => Some(0),
            None => None,
        };
        found.ok_or_else(|| {
            let message = match &record.relation {
                Some(name) => format!("the query reads no source {name}"),
                None => "a record says its relation where a query reads several".to_owned(),
            };
            Error { index: Some(0), ..Error::new(ErrorCode::Argument, message) }
        })
    }

    /// Applies records of one source, or nothing of them.
    fn process_run(&mut self, records: &[StreamRecord], now_ms: i64, out: &mut ChangeBatch) -> Result<()> {
        let Some(first) = records.first() else { return Ok(()) };
        let source = self.source_of(first)?;
        if let Some(index) = records.iter().position(|record| record.op == Op::Delete) {
            let of_record = |error| Error { index: Some(index as u32), ..error };
            self.require_keyed(source).map_err(of_record)?;
        }
        let Source { door, timestamp_format, raw, .. } = &mut self.sources[source];
        raw.clear();
        let now_micros = now_ms.saturating_mul(1000);
        for (index, record) in records.iter().enumerate() {
            record::push(record, &door.relation.schema, timestamp_format.as_ref(), now_micros, raw)
                .map_err(|error| error.at_record(&door.relation.name, index as u32))?;
        }
        self.apply(source, out)
    }
}
