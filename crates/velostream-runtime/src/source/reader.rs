//! A thread that reads the files and feeds of one pipeline: decodes, numbers, sends.
//!
//! Of a file the order is the file's, of feeds that of their turns. Of several, those of tables come first, each whole; then
//! those of streams, together by their records' event times where all declare one, else one after the other.

use super::blocks::Blocks;
use super::door::Door;
use super::file::{Decoder, FileSource, io};
use super::reads::Reads;
use super::together::Together;
use crate::api::DeadLetter;
use crate::catalog::Origin;
use crate::error::Result;
use crate::feed::rounds::Rounds;
use crate::ingest::Decoded;
use crate::partition::event::{Envelope, Event};
use crate::partition::outlet::Outlet;
use crate::partition::poison::guarded;
use crate::shared::Shared;
use crate::sync::{Builder, JoinHandle};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use velostream_engine::batch::{Op, Seq};

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
    /// To be told of what is given out.
    pub reads: Arc<Reads>,
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
    reads: Arc<Reads>,
    content: Content,
    decoded: Decoded,
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
    fn open(Input { input, origin, door, reads }: Input) -> Result<Self> {
        let fields = &door.relation.schema.fields;
        let content = match origin {
            Origin::File(source) => {
                Content::File { bytes: source.open()?, decoder: source.decoder(fields)?, source }
            }
            Origin::Feeds(feeds) => Content::Feeds(Rounds::new(feeds)),
        };
        let decoded = Decoded::new(fields);
        Ok(Self { input, door, reads, content, decoded, ended: false })
    }

    /// Decodes the next chunk and lets its rows in, with numbers from `next` on.
    fn next(&mut self, chunk: &mut [u8], next: &mut Seq, setup: &ReaderSetup) -> Result<Admitted> {
        self.decoded.clear();
        self.ended = self.content.read(chunk, &mut self.decoded)?;
        let rows = self.decoded.take_rows(self.door.fresh());
        let bad = std::mem::take(&mut self.decoded.bad);
        let to = (Some(setup.query.as_str()), setup.now_ms);
        let (envelope, letters) = self.door.admit(rows, bad, Op::Insert, next, to);
        Ok((envelope.map(|envelope| Envelope { input: self.input, ..envelope }), letters))
    }

    fn end(&self, setup: &mut ReaderSetup) {
        let at = setup.next;
        setup.next = Seq(at.0 + 1);
        setup.outlet.tell(|| Event::End(self.input, at));
    }
}

/// Rows that were let in, if any, and letters of those that were not.
type Admitted = (Option<Envelope>, Vec<DeadLetter>);

fn read(readings: Vec<Reading>, setup: &mut ReaderSetup) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let (tables, streams): (Vec<Reading>, Vec<Reading>) =
        readings.into_iter().partition(|reading| reading.door.table.is_some());
    let timed = streams.iter().all(|reading| reading.door.relation.event_time.is_some());
    let (together, single) = if timed && streams.len() > 1 {
        (streams, tables)
    } else {
        (Vec::new(), [tables, streams].into_iter().flatten().collect())
    };
    for reading in single {
        read_single(reading, &mut chunk, setup)?;
    }
    read_together(together, &mut chunk, setup)?;
    if let Some(blocks) = &setup.then {
        blocks.open(setup.next);
    }
    Ok(())
}

fn read_single(mut reading: Reading, chunk: &mut [u8], setup: &mut ReaderSetup) -> Result<()> {
    while !reading.ended && !setup.is_over() {
        let mut next = setup.next;
        let (envelope, letters) = reading.next(chunk, &mut next, setup)?;
        reading.reads.note(next.0 - setup.next.0, reading.door.watermark());
        setup.next = next;
        setup.shared.dead_letters.add(letters);
        if envelope.is_some_and(|envelope| setup.outlet.send_when_room(envelope).is_err()) {
            break;
        }
    }
    if reading.ended {
        reading.end(setup);
    }
    Ok(())
}

fn read_together(mut readings: Vec<Reading>, chunk: &mut [u8], setup: &mut ReaderSetup) -> Result<()> {
    let mut together = Together::new(readings.iter().map(|reading| Arc::clone(&reading.reads)));
    while !together.is_over() && !setup.is_over() {
        let given = match together.needs().map(|at| (at, &mut readings[at])) {
            Some((at, reading)) if reading.ended => {
                together.end(at);
                reading.end(setup);
                None
            }
            Some((at, reading)) => {
                reading.door.restart();
                let (envelope, letters) = reading.next(chunk, &mut Seq(0), setup)?;
                together.put(at, envelope.map(|envelope| setup.outlet.share(envelope)), letters);
                None
            }
            None => together.give(&mut setup.next),
        };
        setup.shared.dead_letters.add(together.take_letters());
        if given.is_some_and(|given| setup.outlet.post_when_room(given).is_err()) {
            break;
        }
    }
    Ok(())
}
