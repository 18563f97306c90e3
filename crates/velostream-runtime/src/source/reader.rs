//! A thread that reads the files and feeds of one pipeline: decodes, numbers, sends.
//!
//! Of a file the order is the file's, of feeds that of their turns. Of several, those of tables come first, each whole; then those of streams,
//! together by their records' event times where all declare one, else one after the other.

use super::blocks::Blocks;
use super::door::Door;
use super::file::{Decoder, FileSource, io};
use crate::catalog::Origin;
use crate::error::Result;
use crate::feed::rounds::Rounds;
use crate::ingest::{BadRecord, Decoded};
use crate::partition::event::{Envelope, Event};
use crate::partition::outlet::Outlet;
use crate::partition::poison::guarded;
use crate::shared::Shared;
use crate::sync::{Builder, JoinHandle};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_engine::column::Values;
use velostream_engine::time::EventTime;
use velostream_sql::types::DataType;

/// Batches of files whose rows alternate that are sent together: all are of rows of one chunk of each.
const BATCHES_TOGETHER_MAX: usize = 256;

/// Bytes asked for at a time; one chunk's records are at most one batch.
const CHUNK_BYTES: usize = 64 << 10;

/// A file, or a relation's feeds, that is one of a pipeline's inputs.
pub struct Input {
    /// Which input.
    pub input: usize,
    /// Where its records come from.
    pub origin: Origin,
    /// The door that its records pass, with no record so far.
    pub door: Door,
}

/// What a reader needs beside its files.
pub struct ReaderSetup {
    /// Where the batches go.
    pub outlet: Outlet,
    /// Dead letters.
    pub shared: Arc<Shared>,
    /// The query that reads, for dead letters.
    pub query: String,
    /// The next record's number.
    pub next: Seq,
    /// The clock at the start, which is the arrival of every record.
    pub now_ms: i64,
    /// What the receivers read themselves, behind these.
    pub then: Option<Arc<Blocks>>,
}

impl ReaderSetup {
    /// Whether nobody takes any more.
    fn is_over(&self) -> bool {
        self.outlet.mailboxes().iter().any(|mailbox| mailbox.is_closed())
    }
}

/// Starts reading. The thread ends behind the last file, or soon after its mailbox is closed.
pub fn spawn(files: Vec<Input>, setup: ReaderSetup) -> Result<JoinHandle<()>> {
    let readings: Vec<Reading> = files.into_iter().map(Reading::open).collect::<Result<_>>()?;
    let query = setup.query.clone();
    start(&query, (readings, setup), |(readings, mut setup)| {
        let read = guarded(|| read(readings, &mut setup));
        if let Err(error) = read.and_then(|read| read) {
            setup.outlet.tell(|| Event::Failed(Box::new(error.clone())));
        }
    })
}

/// Starts a thread that reads for a query.
pub fn start<T: Send + 'static>(query: &str, what: T, read: fn(T)) -> Result<JoinHandle<()>> {
    let thread = Builder::new().name(format!("velostream-read-{query}"));
    let started = thread.spawn(move || read(what));
    started.map_err(|error| io(format!("no thread can be started: {error}")))
}

/// An input being read.
struct Reading {
    input: usize,
    door: Door,
    content: Content,
    decoded: Decoded,
    /// Rows of `decoded` that are sent already.
    sent: usize,
    ended: bool,
}

/// Where an input's records come from.
enum Content {
    File { source: FileSource, bytes: Box<dyn Read + Send>, decoder: Decoder },
    Feeds(Rounds),
}

impl Content {
    /// Decodes the next chunk, or takes a feed's next rows; whether there are no more.
    fn read(&mut self, chunk: &mut [u8], decoded: &mut Decoded) -> Result<bool> {
        let (source, bytes, decoder) = match self {
            Self::File { source, bytes, decoder } => (source, bytes, decoder),
            Self::Feeds(turns) => return turns.read(decoded),
        };
        let length = loop {
            match bytes.read(chunk) {
                Ok(length) => break length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(source.unreadable(&error)),
            }
        };
        decoder.push(&chunk[..length], length == 0, decoded);
        Ok(length == 0)
    }
}

impl Reading {
    fn open(Input { input, origin, door }: Input) -> Result<Self> {
        let fields = &door.relation.schema.fields;
        let content = match origin {
            Origin::File(source) => {
                Content::File { bytes: source.open()?, decoder: source.decoder(fields)?, source }
            }
            Origin::Feeds(feeds) => Content::Feeds(Rounds::new(feeds)),
        };
        let decoded = Decoded::new(fields);
        Ok(Self { input, door, content, decoded, sent: 0, ended: false })
    }

    /// Decodes the next chunk.
    fn read(&mut self, chunk: &mut [u8]) -> Result<()> {
        self.ended = self.content.read(chunk, &mut self.decoded)?;
        Ok(())
    }

    /// Makes sure that a row is there, unless the file has ended.
    fn fill(&mut self, chunk: &mut [u8], setup: &mut ReaderSetup) -> Result<()> {
        while self.is_empty() {
            if !self.decoded.bad.is_empty() {
                self.send(self.decoded.rows, setup);
            }
            if self.ended || setup.is_over() {
                break;
            }
            self.decoded.clear();
            self.sent = 0;
            self.read(chunk)?;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.sent == self.decoded.rows
    }

    /// The event time of a row; a row without one comes at once, to be refused.
    fn time(&self, row: usize) -> EventTime {
        let Some(position) = self.door.relation.event_time else { return EventTime::MIN };
        let column = &self.decoded.columns[position];
        let factor = if column.data_type == DataType::BigInt { 1_000 } else { 1 };
        match &column.values {
            Values::I64(values) if column.validity.is_valid(row) => values[row].saturating_mul(factor),
            _ => EventTime::MIN,
        }
    }

    /// Sends the rows up to `end`; false when nobody takes them any more.
    fn send(&mut self, end: usize, setup: &mut ReaderSetup) -> bool {
        self.admit(end, setup).is_none_or(|envelope| setup.outlet.send_when_room(envelope).is_ok())
    }

    /// Lets the rows up to `end` in.
    fn admit(&mut self, end: usize, setup: &mut ReaderSetup) -> Option<Envelope> {
        let mut rows = self.door.fresh();
        let first = self.sent;
        let bad_before = self.decoded.bad.partition_point(|bad| bad.row <= end);
        let bad: Vec<BadRecord> = self.decoded.bad.drain(..bad_before).collect();
        let bad = bad.into_iter().map(|bad| BadRecord { row: bad.row - first, ..bad });
        if first == 0 && end == self.decoded.rows {
            std::mem::swap(&mut rows.columns, &mut self.decoded.columns);
            self.decoded.rows = 0;
        } else {
            copy(&self.decoded, first, end, &mut rows);
            self.sent = end;
        }
        let to = (Some(setup.query.as_str()), setup.now_ms);
        let (envelope, letters) = self.door.admit(rows, bad, Op::Insert, &mut setup.next, to);
        setup.shared.dead_letters.add(letters);
        Some(Envelope { input: self.input, ..envelope? })
    }

    fn end(&self, setup: &mut ReaderSetup) {
        let at = setup.next;
        setup.next = Seq(at.0 + 1);
        setup.outlet.tell(|| Event::End(self.input, at));
    }
}

fn copy(decoded: &Decoded, from: usize, to: usize, rows: &mut ChangeBatch) {
    for (column, source) in rows.columns.iter_mut().zip(&decoded.columns) {
        column.extend_range(source, from, to);
    }
}

fn read(readings: Vec<Reading>, setup: &mut ReaderSetup) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let (tables, streams): (Vec<Reading>, Vec<Reading>) =
        readings.into_iter().partition(|reading| reading.door.table.is_some());
    let timed = streams.iter().all(|reading| reading.door.relation.event_time.is_some());
    let (together, single) = if timed {
        (streams, tables)
    } else {
        (Vec::new(), [tables, streams].into_iter().flatten().collect())
    };
    for mut reading in single {
        loop {
            reading.fill(&mut chunk, setup)?;
            if reading.is_empty() {
                break;
            }
            if !reading.send(reading.decoded.rows, setup) {
                return Ok(());
            }
        }
        reading.end(setup);
    }
    read_together(together, &mut chunk, setup)?;
    if let Some(blocks) = &setup.then {
        blocks.open(setup.next);
    }
    Ok(())
}

/// Always sends the rows of the file whose next row is the earliest, as long as they are; what is in hand together.
fn read_together(mut readings: Vec<Reading>, chunk: &mut [u8], setup: &mut ReaderSetup) -> Result<()> {
    let mut in_hand = Vec::new();
    loop {
        if in_hand.len() == BATCHES_TOGETHER_MAX || readings.iter().any(Reading::is_empty) {
            if setup.outlet.send_all_when_room(std::mem::take(&mut in_hand)).is_err() {
                return Ok(());
            }
            for reading in &mut readings {
                reading.fill(chunk, setup)?;
            }
            let (open, ended): (Vec<Reading>, Vec<Reading>) =
                readings.into_iter().partition(|reading| !reading.is_empty());
            ended.iter().for_each(|reading| reading.end(setup));
            readings = open;
        }
        let heads = readings.iter().enumerate().map(|(at, reading)| (reading.time(reading.sent), at));
        let Some((_, first)) = heads.clone().min() else { return Ok(()) };
        let next = heads.filter(|&(_, at)| at != first).min();
        let reading = &mut readings[first];
        let comes_before = |row: usize| next.is_none_or(|next| (reading.time(row), first) < next);
        let end = (reading.sent + 1..reading.decoded.rows).find(|&row| !comes_before(row));
        let end = end.unwrap_or(reading.decoded.rows);
        in_hand.extend(reading.admit(end, setup));
    }
}
