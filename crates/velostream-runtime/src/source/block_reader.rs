//! [`BlockReader`]: how one receiver reads blocks of its query's files and feeds.

use super::blocks::{Block, Blocks, Claim, Decoding, Extent, Piece};
use super::door::Door;
use super::file::{Decoder, FileSource};
use super::ranges::Range;
use crate::error::Result;
use crate::ingest::{BadRecord, Decoded};
use crate::partition::event::Envelope;
use crate::partition::poison::guarded;
use crate::partition::share::{Places, Share};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_engine::router::Router;
use velostream_sql::types::Field;

/// Bytes read behind a block's end, where its last record ends.
const TAIL_BYTES: usize = 4 << 10;

/// An input as one receiver reads it.
pub struct BlockInput {
    input: usize,
    door: Door,
    /// Tells rows apart; none where any receiver may take them.
    router: Option<Router>,
    /// The file, if it is one.
    file: Option<BlockFile>,
}

/// A file as one receiver reads it.
pub struct BlockFile {
    source: FileSource,
    fields: Vec<Field>,
    opened: Option<(File, Decoder)>,
    decoded: Decoded,
}

/// Which of the receivers reads, and for whom.
pub struct BlockReaderSetup {
    /// What they read together.
    pub blocks: Arc<Blocks>,
    /// Which receiver.
    pub place: u16,
    /// Of how many.
    pub receivers: u16,
    /// Bytes of a file's block.
    pub block_bytes: usize,
    /// The query, for dead letters.
    pub query: String,
    /// The clock at the start, which is the arrival of every record.
    pub now_ms: i64,
}

/// One receiver's way to read blocks, with decoders of its own.
pub struct BlockReader {
    setup: BlockReaderSetup,
    inputs: Vec<BlockInput>,
    buffer: Vec<u8>,
}

impl BlockInput {
    /// Of an input whose records pass `door`; they come from `file`, or from feeds.
    pub fn new(input: usize, door: Door, router: Option<Router>, file: Option<BlockFile>) -> Self {
        Self { input, door, router, file }
    }

    /// The rows of a block, and where they stood in a file.
    fn take(&mut self, piece: &Piece, buffer: &mut [u8]) -> Result<(ChangeBatch, Vec<BadRecord>, Extent)> {
        let fresh = self.door.fresh();
        match piece {
            Piece::Turn(turn) => Ok((turn.take(fresh)?, Vec::new(), Extent::default())),
            Piece::Range(range) => {
                let file = self.file.as_mut().expect("only a file is cut into ranges");
                let extent = file.decode(range, buffer)?;
                let rows = file.decoded.take_rows(fresh);
                Ok((rows, std::mem::take(&mut file.decoded.bad), extent))
            }
        }
    }
}

impl BlockFile {
    /// One that nothing has been read of.
    pub fn new(source: FileSource, fields: &[Field]) -> Self {
        Self { source, fields: fields.to_vec(), opened: None, decoded: Decoded::new(fields) }
    }

    /// The file and a decoder that knows its head.
    fn open(&mut self, buffer: &mut [u8]) -> Result<()> {
        if self.opened.is_some() {
            return Ok(());
        }
        let mut file = self.source.open_file()?;
        let mut decoder = self.source.decoder(&self.fields)?;
        while decoder.awaits_header() {
            let length = fill(&mut file, buffer).map_err(|error| self.source.unreadable(&error))?;
            decoder.push(&buffer[..length], length == 0, &mut self.decoded);
            if length == 0 {
                break;
            }
        }
        self.opened = Some((file, decoder));
        Ok(())
    }

    /// Decodes the records that begin in the range.
    fn decode(&mut self, range: &Range, buffer: &mut [u8]) -> Result<Extent> {
        self.open(buffer)?;
        self.decoded.clear();
        let Some((file, decoder)) = &mut self.opened else { unreachable!("just opened") };
        let unreadable = |error: std::io::Error| self.source.unreadable(&error);
        let limit = range.limit;
        // A line that ends with the byte before the block makes a record begin at its start.
        let from = range.start.unwrap_or(range.begin.saturating_sub(1));
        file.seek(SeekFrom::Start(from)).map_err(unreadable)?;
        let length = fill(file, buffer).map_err(unreadable)?;
        let skipped = match range.start {
            Some(_) => Some(0),
            None => first_record(&buffer[..length], |byte| decoder.stands_between(byte)),
        };
        let start = skipped.map_or(limit, |skipped| from + skipped as u64);
        let Some(skipped) = skipped.filter(|_| start < limit) else {
            return Ok(Extent { start: limit, end: limit, is_last: false });
        };
        let mut first;
        let decoder = if start == 0 {
            first = self.source.decoder(&self.fields)?;
            &mut first
        } else {
            decoder.resume_at(start);
            decoder
        };
        let mut end = decoder.push_until(&buffer[skipped..length], length == 0, limit, &mut self.decoded);
        let mut ended = length == 0;
        while end.is_none() && !ended {
            let length = fill(file, buffer).map_err(unreadable)?;
            ended = length == 0;
            end = decoder.push_until(&buffer[..length], ended, limit, &mut self.decoded);
        }
        Ok(Extent { start, end: end.unwrap_or(u64::MAX), is_last: ended })
    }
}

impl BlockReader {
    /// Over the inputs of `setup.blocks`, in their order.
    pub fn new(setup: BlockReaderSetup, inputs: Vec<BlockInput>) -> Self {
        let buffer = vec![0; setup.block_bytes + TAIL_BYTES];
        Self { setup, inputs, buffer }
    }

    /// Reads a block or gives out what has been read, if either can be done now.
    pub fn work(&mut self) -> bool {
        let blocks = Arc::clone(&self.setup.blocks);
        let Some(claim) = blocks.claim() else { return blocks.go_on(self) };
        let decoding = self.decode(&claim);
        blocks.hand_in(&claim, decoding, self);
        true
    }

    /// Reads for a receiver that runs its plan alone, until all is read or nobody takes it.
    pub fn help(mut self) {
        while self.work() || self.setup.blocks.wait() {}
    }

    /// Nobody takes any more.
    pub fn close(&self) {
        self.setup.blocks.close();
    }

    /// Decodes a block.
    pub fn decode(&mut self, claim: &Claim) -> Decoding {
        guarded(|| self.read(claim)).and_then(|block| block)
    }

    fn read(&mut self, claim: &Claim) -> Decoding {
        let Self { setup, inputs, buffer } = self;
        let source = &mut inputs[claim.source];
        let (rows, bad, extent) = source.take(&claim.piece, buffer)?;
        let BlockInput { input, door, router, .. } = source;
        door.restart();
        let to = (Some(setup.query.as_str()), setup.now_ms);
        let (envelope, letters) = door.admit(rows, bad, Op::Insert, &mut Seq(0), to);
        let rows = envelope.map(|envelope| {
            let whole = Envelope { input: *input, ..envelope };
            let places = match router {
                _ if setup.receivers == 1 => Places::One(0),
                None => Places::One(setup.place),
                Some(router) => Places::by(router, &whole, setup.receivers),
            };
            Share { whole, places }
        });
        Ok(Block { extent, rows, letters })
    }
}

/// Where a record seems to begin: behind the first line end and what stands between records.
fn first_record(bytes: &[u8], stands_between: impl Fn(u8) -> bool) -> Option<usize> {
    let line_end = memchr::memchr(b'\n', bytes)?;
    let more = bytes[line_end + 1..].iter().take_while(|&&byte| stands_between(byte)).count();
    Some(line_end + 1 + more)
}

/// Fills the buffer from the file; less only where the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
