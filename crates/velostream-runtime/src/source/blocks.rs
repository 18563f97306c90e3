//! [`Blocks`]: files that the receivers of a query read together, block by block.
//!
//! Whoever has nothing else to do claims the next block, decodes it without regard to the others, and hands it in. Blocks
//! are given out in the files' order: then rows get the numbers, and time moves as far, as if one thread had read all.
//! A block's records are those that begin in it. Where the first of them begins is a guess until the block before is
//! decoded; a wrong guess is decoded again, and files that make for many are decoded in order.

use super::block_reader::BlockReader;
use crate::api::DeadLetter;
use crate::error::Error;
use crate::partition::event::{Envelope, Event};
use crate::partition::outlet::Outlet;
use crate::partition::share::Places;
use crate::shared::Shared;
use crate::sync::{Condvar, Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use velostream_engine::batch::Seq;
use velostream_engine::time::Watermark;

/// Blocks per thread that may be claimed and not given out.
const AHEAD_PER_THREAD: u64 = 4;
/// Wrong guesses after which, if they are one in four, blocks are no longer guessed at.
const WRONG_GUESSES_MAX: u64 = 8;

/// The files of one query, each behind the one before, and how far they are given out.
pub struct Blocks {
    state: Mutex<State>,
    /// Told when more may be claimed, to threads that do nothing else.
    moved: Condvar,
    shared: Arc<Shared>,
    ahead: u64,
}

/// By whom files are read, and how.
#[derive(Debug, Clone, Copy)]
pub struct Crew {
    /// Threads that decode.
    pub threads: usize,
    /// Bytes of a block, whose records are a batch.
    pub block_bytes: usize,
}

struct State {
    /// Bytes of a block.
    block_bytes: u64,
    outlet: Outlet,
    /// The number of the next record; none before the files' turn has come.
    next: Option<Seq>,
    /// Per file the input that it is and its bytes at the start.
    files: Vec<(usize, u64)>,
    /// The file in hand; behind the last one, all is done.
    file: usize,
    /// The next block to be claimed, and to be given out.
    claimed: u64,
    given: u64,
    /// Where the first record begins that was not given out.
    position: u64,
    watermark: Watermark,
    /// Records of the file given out.
    offset: u64,
    wrong_guesses: u64,
    /// Threads that wait for `moved`.
    idle: usize,
    /// What was handed in and waits for the blocks before it.
    waiting: BTreeMap<u64, Decoding>,
}

/// A block to be decoded.
pub struct Claim {
    /// Of which file.
    pub file: usize,
    /// Which of its blocks.
    pub index: u64,
    /// Its first byte.
    pub begin: u64,
    /// The first byte behind it.
    pub limit: u64,
    /// Where its first record begins, if that is known.
    pub start: Option<u64>,
}

/// What became of a claim.
pub type Decoding = Result<Block, Error>;

/// A block's records. They are numbered from 0 and time begins with them.
pub struct Block {
    /// Where its first record begins, at least or behind its end if none does.
    pub start: u64,
    /// Where the next block's first record begins, or the file ends.
    pub end: u64,
    /// Whether the file ends in it.
    pub is_last: bool,
    /// The rows; none if no record was let in.
    pub envelope: Option<Envelope>,
    /// Whose each row is; none where there is one receiver.
    pub places: Option<Places>,
    /// Records that were refused.
    pub letters: Vec<DeadLetter>,
}

/// What there is to do for a block that was handed in.
enum Step {
    /// Nothing: it waits for others, or for room.
    Wait,
    /// It began elsewhere than was guessed.
    Again(Claim),
    /// It was given out.
    Given,
}

impl Blocks {
    /// Of these files, by input and size; nothing is read before [`Self::open`].
    pub fn new(files: Vec<(usize, u64)>, crew: Crew, outlet: Outlet, shared: Arc<Shared>) -> Self {
        let state = State {
            block_bytes: crew.block_bytes as u64,
            outlet,
            next: None,
            files,
            file: 0,
            claimed: 0,
            given: 0,
            position: 0,
            watermark: Watermark::NONE,
            offset: 0,
            wrong_guesses: 0,
            idle: 0,
            waiting: BTreeMap::new(),
        };
        let ahead = AHEAD_PER_THREAD * crew.threads as u64;
        Self { state: Mutex::new(state), moved: Condvar::new(), shared, ahead }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the receivers begin; the first record's number is `next`.
    pub fn open(&self, next: Seq) {
        let mut state = self.lock();
        state.next = Some(next);
        // They wait at their mailboxes.
        state.outlet.tell(|| Event::Through(Seq(0)));
        self.moved.notify_all();
    }

    /// Nobody reads any more.
    pub fn close(&self) {
        self.lock().finish();
        self.moved.notify_all();
    }

    /// Waits until a block can be claimed; false once none will be.
    pub fn wait(&self) -> bool {
        let mut state = self.lock();
        state.idle += 1;
        while !state.is_finished() && state.next_start(self.ahead).is_none() {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle -= 1;
        !state.is_finished()
    }

    /// The next block for whoever asks; none while enough are claimed, or all are.
    pub fn claim(&self) -> Option<Claim> {
        self.lock().claim(self.ahead)
    }

    /// Takes in a decoded block and gives out whatever is complete by it. What was guessed wrongly is decoded again.
    pub fn hand_in(&self, claim: &Claim, decoding: Decoding, reader: &mut BlockReader) {
        let mut state = self.lock();
        state.take_in(claim, decoding);
        self.give_out(state, reader);
    }

    /// Gives out what there was no room for; false if there is nothing or still no room.
    pub fn go_on(&self, reader: &mut BlockReader) -> bool {
        let state = self.lock();
        let given = state.given;
        self.give_out(state, reader);
        self.lock().given > given
    }

    fn give_out<'a>(&'a self, mut state: MutexGuard<'a, State>, reader: &mut BlockReader) {
        loop {
            match state.step(&self.shared) {
                Step::Wait => return,
                Step::Given if state.idle > 0 => self.moved.notify_all(),
                Step::Given => {}
                Step::Again(claim) => {
                    drop(state);
                    let decoding = reader.decode(&claim);
                    state = self.lock();
                    state.take_in(&claim, decoding);
                }
            }
        }
    }
}

impl State {
    fn is_finished(&self) -> bool {
        self.file == self.files.len()
    }

    /// Where the next block to be claimed begins, if that is known; nothing where none may be claimed now.
    fn next_start(&self, ahead: u64) -> Option<Option<u64>> {
        let &(_, bytes) = self.files.get(self.file)?;
        self.next?;
        let open = self.claimed - self.given;
        if open == 0 {
            // Behind the bytes that were there at first there may be more by now; the end shows where they are read.
            return Some(Some(self.position));
        }
        let guesses = self.wrong_guesses < WRONG_GUESSES_MAX || self.wrong_guesses * 4 < self.given;
        (guesses && open < ahead && self.claimed * self.block_bytes < bytes).then_some(None)
    }

    fn claim(&mut self, ahead: u64) -> Option<Claim> {
        let start = self.next_start(ahead)?;
        self.claimed += 1;
        Some(self.block(self.claimed - 1, start))
    }

    fn block(&self, index: u64, start: Option<u64>) -> Claim {
        let begin = index * self.block_bytes;
        Claim { file: self.file, index, begin, limit: begin + self.block_bytes, start }
    }

    /// A file may have ended in an earlier block than was to be seen by its size.
    fn take_in(&mut self, claim: &Claim, decoding: Decoding) {
        if claim.file == self.file {
            self.waiting.insert(claim.index, decoding);
        }
    }

    /// Gives out the next block, if it is there.
    fn step(&mut self, shared: &Shared) -> Step {
        let index = self.given;
        if !self.waiting.contains_key(&index) || self.outlet.is_full() {
            return Step::Wait;
        }
        let block = match self.waiting.remove(&index) {
            Some(Ok(block)) => block,
            Some(Err(error)) => {
                self.outlet.tell(|| Event::Failed(Box::new(error.clone())));
                self.finish();
                return Step::Given;
            }
            None => return Step::Wait,
        };
        let claim = self.block(index, Some(self.position));
        if block.start != self.position && self.position < claim.limit {
            self.wrong_guesses += 1;
            return Step::Again(claim);
        }
        self.given += 1;
        if self.position < claim.limit {
            self.give(block, shared);
        }
        Step::Given
    }

    /// The block's rows get their numbers and go to the receivers.
    fn give(&mut self, block: Block, shared: &Shared) {
        let Block { end, is_last, envelope, places, letters, .. } = block;
        let offset = self.offset;
        if !letters.is_empty() {
            let placed =
                letters.into_iter().map(|letter| DeadLetter { offset: offset + letter.offset, ..letter });
            shared.dead_letters.add(placed.collect::<Vec<_>>());
        }
        self.position = end;
        if let (Some(mut envelope), Some(next)) = (envelope, &mut self.next) {
            let count = envelope.batch.changes.len() as u64;
            envelope.rebase(*next, offset, self.watermark);
            self.watermark = envelope.batch.time.after();
            self.offset += count;
            next.0 += count;
            if self.outlet.send_placed(envelope, places).is_err() {
                return self.finish();
            }
        }
        if is_last {
            self.end_file();
        }
    }

    fn end_file(&mut self) {
        let (input, at) = (self.files[self.file].0, self.next.unwrap_or_default());
        self.next = Some(Seq(at.0 + 1));
        self.outlet.tell(|| Event::End(input, at));
        self.file += 1;
        self.waiting.clear();
        (self.claimed, self.given, self.position, self.offset) = (0, 0, 0, 0);
        (self.watermark, self.wrong_guesses) = (Watermark::NONE, 0);
    }

    /// Nobody takes any more, or there is no more to be had.
    fn finish(&mut self) {
        self.file = self.files.len();
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::DeadLetters;
    use crate::partition::mailbox::Mailbox;
    use crate::partition::testing::{envelope, mailbox, silent};
    use crate::source::block_reader::BlockReaderSetup;
    use std::sync::atomic::AtomicU64;
    use velostream_sql::diagnostic::ErrorCode;

    const BLOCK_BYTES: usize = 10;

    /// A file of three blocks, and one of its readers.
    fn file_of_three() -> (Arc<Blocks>, BlockReader, Arc<Mailbox>) {
        let mailbox = mailbox();
        let shared = Shared {
            dead_letters: DeadLetters::new(0),
            wake: silent(),
            state_bytes: AtomicU64::new(0),
            memory_limit: u64::MAX,
        };
        let crew = Crew { threads: 1, block_bytes: BLOCK_BYTES };
        let outlet = Outlet::single(Arc::clone(&mailbox));
        let blocks = Arc::new(Blocks::new(vec![(0, 3 * BLOCK_BYTES as u64)], crew, outlet, Arc::new(shared)));
        let setup = BlockReaderSetup {
            blocks: Arc::clone(&blocks),
            place: 0,
            receivers: 1,
            block_bytes: BLOCK_BYTES,
            query: String::new(),
            now_ms: 0,
        };
        blocks.open(Seq(1));
        (blocks, BlockReader::new(setup, Vec::new()), mailbox)
    }

    /// A block with so many records, whose first begins where the block does.
    fn block(claim: &Claim, records: u64) -> Decoding {
        let seqs: Vec<u64> = (0..records).collect();
        let Event::Batch(envelope) = envelope(0, &seqs, records - 1) else { panic!("a batch") };
        let (start, end) = (claim.begin, claim.limit);
        Ok(Block { start, end, is_last: false, envelope: Some(*envelope), places: None, letters: Vec::new() })
    }

    /// Numbers of rows, and the ends.
    fn events(mailbox: &Mailbox) -> Vec<String> {
        let text = |event| match event {
            Event::Batch(envelope) => {
                format!("{:?}", envelope.batch.changes.seqs.iter().map(|seq| seq.0).collect::<Vec<_>>())
            }
            Event::Failed(error) => error.message,
            Event::Through(_) => "through".to_owned(),
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| mailbox.try_pop()).map(text).collect()
    }

    #[test]
    fn what_cannot_be_read_fails_behind_the_rows_before_it_and_nothing_comes_behind_it() {
        let (blocks, mut reader, mailbox) = file_of_three();
        let claims: Vec<Claim> = std::iter::from_fn(|| blocks.claim()).collect();
        let [first, second, third] = claims.as_slice() else { panic!("three blocks, {}", claims.len()) };
        blocks.hand_in(third, block(third, 2), &mut reader);
        blocks.hand_in(second, Err(Error::new(ErrorCode::Io, "the disk is gone")), &mut reader);
        assert_eq!(events(&mailbox), ["through"]);
        blocks.hand_in(first, block(first, 3), &mut reader);
        assert_eq!(events(&mailbox), ["[1, 2, 3]", "the disk is gone"]);
        assert!(blocks.claim().is_none() && !blocks.wait());
    }
}
