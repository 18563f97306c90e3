//! [`BlockReader`]: how one receiver reads blocks of its query's files.

use super::blocks::{Block, Blocks, Claim, Decoding};
use super::door::Door;
use super::file::{Decoder, FileSource};
use crate::error::Result;
use crate::ingest::Decoded;
use crate::partition::event::Envelope;
use crate::partition::poison::guarded;
use crate::partition::share::Places;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;
use velostream_engine::batch::{Op, Seq};
use velostream_engine::router::Router;

/// Bytes read behind a block's end, where its last record ends.
const TAIL_BYTES: usize = 4 << 10;

/// A file as one receiver reads it.
pub struct BlockFeed {
    input: usize,
    source: FileSource,
    door: Door,
    /// Tells rows apart; none where any receiver may take them.
    router: Option<Router>,
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
    /// Bytes of a block.
    pub block_bytes: usize,
    /// The query, for dead letters.
    pub query: String,
    /// The clock at the start, which is the arrival of every record.
    pub now_ms: i64,
}

/// One receiver's way to read blocks, with decoders of its own.
pub struct BlockReader {
    setup: BlockReaderSetup,
    feeds: Vec<BlockFeed>,
    buffer: Vec<u8>,
}

impl BlockFeed {
    /// Of an input whose records pass `door`.
    pub fn new(input: usize, source: FileSource, door: Door, router: Option<Router>) -> Self {
        let decoded = Decoded::new(&door.relation.schema.fields);
        Self { input, source, door, router, opened: None, decoded }
    }

    /// The file and a decoder that knows its head.
    fn open(&mut self, buffer: &mut [u8]) -> Result<()> {
        if self.opened.is_some() {
            return Ok(());
        }
        let mut file = self.source.open_file()?;
        let mut decoder = self.source.decoder(&self.door.relation.schema.fields)?;
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

    /// Decodes the records that begin in the block; gives where the first begins, where the first behind it, and whether
    /// the file ends.
    fn decode(&mut self, claim: &Claim, buffer: &mut [u8]) -> Result<(u64, u64, bool)> {
        self.open(buffer)?;
        self.decoded.clear();
        let Some((file, decoder)) = &mut self.opened else { unreachable!("just opened") };
        let unreadable = |error: std::io::Error| self.source.unreadable(&error);
        let limit = claim.limit;
        // A line that ends with the byte before the block makes a record begin at its start.
        let from = claim.start.unwrap_or(claim.begin.saturating_sub(1));
        file.seek(SeekFrom::Start(from)).map_err(unreadable)?;
        let length = fill(file, buffer).map_err(unreadable)?;
        let skipped = match claim.start {
            Some(_) => Some(0),
            None => first_record(&buffer[..length], |byte| decoder.stands_between(byte)),
        };
        let start = skipped.map_or(limit, |skipped| from + skipped as u64);
        let Some(skipped) = skipped.filter(|_| start < limit) else { return Ok((limit, limit, false)) };
        let mut first;
        let decoder = if start == 0 {
            first = self.source.decoder(&self.door.relation.schema.fields)?;
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
        Ok((start, end.unwrap_or(u64::MAX), ended))
    }
}

impl BlockReader {
    /// Over the files of `setup.blocks`, in their order.
    pub fn new(setup: BlockReaderSetup, feeds: Vec<BlockFeed>) -> Self {
        let buffer = vec![0; setup.block_bytes + TAIL_BYTES];
        Self { setup, feeds, buffer }
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

    /// Decodes a block.
    pub fn decode(&mut self, claim: &Claim) -> Decoding {
        guarded(|| self.read(claim)).and_then(|block| block)
    }

    fn read(&mut self, claim: &Claim) -> Decoding {
        let Self { setup, feeds, buffer } = self;
        let feed = &mut feeds[claim.file];
        let (start, end, is_last) = feed.decode(claim, buffer)?;
        let BlockFeed { door, decoded, .. } = feed;
        door.restart();
        let rows = decoded.take_rows(door.fresh());
        let to = (Some(setup.query.as_str()), setup.now_ms);
        let (envelope, letters) = door.admit(rows, decoded.bad.drain(..), Op::Insert, &mut Seq(0), to);
        let envelope = envelope.map(|envelope| Envelope { input: feed.input, ..envelope });
        let places =
            envelope.as_ref().filter(|_| setup.receivers > 1).map(|envelope| match &mut feed.router {
                None => Places::One(setup.place),
                Some(router) => Places::by(router, envelope, setup.receivers),
            });
        Ok(Block { start, end, is_last, envelope, places, letters })
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
