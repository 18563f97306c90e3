//! [`Blocks`]: what the receivers of a query read together, block by block: files and feeds.
//!
//! Whoever has nothing else to do claims the next block, decodes it without regard to the others, and hands it in. Blocks
//! are given out in order: then rows get the numbers, and time moves as far, as if one thread had read all. Where the
//! blocks of an input begin is the matter of its [`Cut`], how rows of several take turns that of [`Together`].

use super::block_reader::BlockReader;
use super::ranges::Range;
use super::reads::Reads;
use super::together::Together;
use crate::api::DeadLetter;
use crate::error::Error;
use crate::feed::rounds::Turn;
use crate::partition::event::Event;
use crate::partition::outlet::Outlet;
use crate::partition::poison::guarded;
use crate::partition::share::Share;
use crate::shared::Shared;
use crate::sync::{Condvar, Mutex, MutexGuard};
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeFrom;
use std::sync::{Arc, PoisonError};
use velostream_engine::batch::Seq;

/// Blocks per thread that may be claimed and not taken.
const AHEAD_PER_THREAD: u64 = 4;
/// Bytes of blocks that may wait at a receiver before more are given out. More would do no good: who is behind has
/// enough to do, and all that lies between it and the others, blocks as well as answers, leaves the caches.
const WAITING_BYTES: usize = 1 << 20;

/// Where the blocks of one input come from.
///
/// # Contract
/// * *Order.* What the blocks hold, in the order of their claims, does not depend on who decodes which of them when: a
///   block that does is found out by `fit` before it is taken.
/// * *End.* After the last block was taken, `is_over` holds.
pub trait Cut: Send {
    /// Whether a block can be claimed.
    fn is_ready(&mut self, progress: &Progress) -> bool;

    /// What the next block to be claimed is; nothing where none can be claimed now.
    fn next(&mut self, progress: &Progress) -> Option<Piece>;

    /// Whether a decoded block is what comes next; called once for each that is, in order.
    fn fit(&mut self, index: u64, extent: &Extent) -> Fit;

    /// Whether the input ends behind what was taken.
    fn is_over(&mut self, progress: &Progress) -> bool;
}

/// How many blocks of an input were claimed, and how many taken, in order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Claimed.
    pub claimed: u64,
    /// Taken: their rows are given out, or in hand until those of other inputs have come.
    pub taken: u64,
}

impl Progress {
    /// Blocks that are claimed and not taken.
    pub fn open(&self) -> u64 {
        self.claimed - self.taken
    }
}

/// What there is to be decoded.
pub enum Piece {
    /// Bytes of a file.
    Range(Range),
    /// The next rows of a feed.
    Turn(Turn),
}

/// Whether a decoded block is what comes next.
pub enum Fit {
    /// It is.
    Next,
    /// Nothing begins in it: a record before it ends behind it.
    Covered,
    /// It began elsewhere than was guessed.
    Again(Piece),
}

/// The inputs of one query that are read so, and how far they are given out.
pub struct Blocks {
    state: Mutex<State>,
    /// Told when more may be claimed, to threads that do nothing else.
    moved: Condvar,
    shared: Arc<Shared>,
    /// Blocks that may be claimed and not taken: of a group's inputs together, and at least one of each.
    ahead: u64,
}

/// An input that is read in blocks.
pub struct CutInput {
    /// Which of the query's.
    pub input: usize,
    /// Where its blocks come from.
    pub cut: Box<dyn Cut>,
    /// To be told of what is given out.
    pub reads: Arc<Reads>,
}

struct State {
    outlet: Outlet,
    /// The number of the next record; none before the inputs' turn has come.
    next: Option<Seq>,
    /// The inputs in hand and those behind them; without any, all is done.
    groups: VecDeque<Group>,
    /// Threads that wait for `moved`.
    idle: usize,
}

/// Inputs whose rows are taken by their event times, or a single one.
struct Group {
    inputs: Vec<InputState>,
    together: Together,
}

struct InputState {
    /// Which of all that are read in blocks.
    source: usize,
    /// Which of the query's.
    input: usize,
    cut: Box<dyn Cut>,
    progress: Progress,
    /// What was handed in and waits for the blocks before it.
    waiting: BTreeMap<u64, Decoding>,
}

/// A block to be decoded.
pub struct Claim {
    /// Of which of the inputs.
    pub source: usize,
    /// Which of its blocks.
    pub index: u64,
    /// What it is.
    pub piece: Piece,
}

/// What became of a claim.
pub type Decoding = Result<Block, Error>;

/// A block's records. They are numbered from 0 and time begins with them.
pub struct Block {
    /// Where they stood in a file.
    pub extent: Extent,
    /// The rows, and whose each is; none if no record was let in.
    pub rows: Option<Share>,
    /// Records that were refused.
    pub letters: Vec<DeadLetter>,
}

/// Where the records of a file's block stood.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extent {
    /// Where the first record begins, at least or behind the block's end if none does.
    pub start: u64,
    /// Where the next block's first record begins, or the file ends.
    pub end: u64,
    /// Whether the file ends in it.
    pub is_last: bool,
}

/// What came of going on with what was handed in.
enum Step {
    /// Nothing: it waits for others, or for room.
    Wait,
    /// It began elsewhere than was guessed.
    Again(Claim),
    /// Rows were given out, a block was taken, or an input has ended.
    Given,
}

impl Blocks {
    /// Of these inputs, each group behind the one before, decoded by so many threads; nothing is read before [`Self::open`].
    pub fn new(groups: Vec<Vec<CutInput>>, threads: usize, outlet: Outlet, shared: Arc<Shared>) -> Self {
        let mut sources = 0..;
        let groups = groups.into_iter().map(|inputs| Group::new(inputs, &mut sources)).collect();
        let state = State { outlet, next: None, groups, idle: 0 };
        let ahead = AHEAD_PER_THREAD * threads as u64;
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
        while !state.groups.is_empty() && !state.is_ready(self.ahead) {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle -= 1;
        !state.groups.is_empty()
    }

    /// The next block for whoever asks; none while enough are claimed, or all are.
    pub fn claim(&self) -> Option<Claim> {
        self.lock().claim(self.ahead)
    }

    /// Takes in a decoded block and gives out whatever is complete by it. What was guessed wrongly is decoded again.
    pub fn hand_in(&self, claim: &Claim, decoding: Decoding, reader: &mut BlockReader) {
        let mut state = self.lock();
        state.take_in(claim, decoding);
        if state.idle > 0 {
            self.moved.notify_all();
        }
        self.give_out(state, reader);
    }

    /// Gives out what there was no room for; false if there is nothing or still no room.
    pub fn go_on(&self, reader: &mut BlockReader) -> bool {
        self.give_out(self.lock(), reader)
    }

    /// Whether it did anything.
    fn give_out<'a>(&'a self, mut state: MutexGuard<'a, State>, reader: &mut BlockReader) -> bool {
        let mut has_given = false;
        loop {
            match state.guarded_step(&self.shared) {
                Step::Wait => return has_given,
                Step::Given => {
                    has_given = true;
                    if state.idle > 0 {
                        self.moved.notify_all();
                    }
                }
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

impl Group {
    fn new(inputs: Vec<CutInput>, sources: &mut RangeFrom<usize>) -> Self {
        let together = Together::new(inputs.iter().map(|input| Arc::clone(&input.reads)));
        let state = |(CutInput { input, cut, .. }, source)| InputState {
            source,
            input,
            cut,
            progress: Progress::default(),
            waiting: BTreeMap::new(),
        };
        Self { inputs: inputs.into_iter().zip(sources).map(state).collect(), together }
    }

    /// Of those of which a block may be claimed the input that has the fewest, of equal ones that without which nothing can be
    /// given. Each has its share of `ahead`.
    fn claimable(&mut self, ahead: u64) -> Option<&mut InputState> {
        let (most, needed) = (ahead.div_ceil(self.inputs.len() as u64), self.together.needs());
        let inputs = self.inputs.iter_mut().enumerate();
        let ready = inputs.filter_map(|(at, input)| input.is_ready(most).then_some((at, input)));
        let (_, first) = ready.min_by_key(|(at, input)| (input.progress.open(), Some(*at) != needed))?;
        Some(first)
    }
}

impl InputState {
    fn is_ready(&mut self, most: u64) -> bool {
        let Self { cut, progress, .. } = self;
        progress.open() < most && !cut.is_over(progress) && cut.is_ready(progress)
    }

    fn claim(&mut self) -> Option<Claim> {
        let piece = self.cut.next(&self.progress)?;
        self.progress.claimed += 1;
        Some(Claim { source: self.source, index: self.progress.claimed - 1, piece })
    }

    fn is_over(&mut self) -> bool {
        self.cut.is_over(&self.progress)
    }
}

impl State {
    fn claimable(&mut self, ahead: u64) -> Option<&mut InputState> {
        self.next?;
        self.groups.front_mut()?.claimable(ahead)
    }

    fn is_ready(&mut self, ahead: u64) -> bool {
        self.claimable(ahead).is_some()
    }

    fn claim(&mut self, ahead: u64) -> Option<Claim> {
        self.claimable(ahead)?.claim()
    }

    /// A file may have ended in an earlier block than was to be seen by its size.
    fn take_in(&mut self, claim: &Claim, decoding: Decoding) {
        let Some(group) = self.groups.front_mut() else { return };
        if let Some(input) = group.inputs.iter_mut().find(|input| input.source == claim.source) {
            input.waiting.insert(claim.index, decoding);
        }
    }

    /// Whatever happens in it, others do not wait for blocks that never come.
    fn guarded_step(&mut self, shared: &Shared) -> Step {
        let stepped = guarded(|| self.step(shared));
        stepped.unwrap_or_else(|error| self.fail(error))
    }

    /// Gives out what comes next, if it is there.
    fn step(&mut self, shared: &Shared) -> Step {
        let Some(group) = self.groups.front_mut() else { return Step::Wait };
        match group.together.needs() {
            Some(at) if group.inputs[at].is_over() => self.end(at),
            Some(at) => self.fit(at, shared),
            None if self.outlet.is_behind(WAITING_BYTES) => Step::Wait,
            None => self.give(shared),
        }
    }

    /// Lets an input of the group in hand go on with its next block.
    fn fit(&mut self, at: usize, shared: &Shared) -> Step {
        let Some(Group { inputs, together }) = self.groups.front_mut() else { return Step::Wait };
        let InputState { source, cut, progress, waiting, .. } = &mut inputs[at];
        let index = progress.taken;
        let block = match waiting.remove(&index) {
            Some(Ok(block)) => block,
            Some(Err(error)) => return self.fail(error),
            None => return Step::Wait,
        };
        match cut.fit(index, &block.extent) {
            Fit::Again(piece) => return Step::Again(Claim { source: *source, index, piece }),
            Fit::Covered => {}
            Fit::Next => together.put(at, block.rows, block.letters),
        }
        progress.taken += 1;
        shared.dead_letters.add(together.take_letters());
        Step::Given
    }

    /// The rows that come next get their numbers and go to the receivers.
    fn give(&mut self, shared: &Shared) -> Step {
        let Self { outlet, next: Some(next), groups, .. } = self else { return Step::Wait };
        let Some(Group { together, .. }) = groups.front_mut() else { return Step::Wait };
        let Some(given) = together.give(next) else { return Step::Wait };
        shared.dead_letters.add(together.take_letters());
        if outlet.post(given).is_err() {
            self.finish();
        }
        Step::Given
    }

    /// An input of the group in hand ends.
    fn end(&mut self, at: usize) -> Step {
        let Some(Group { inputs, together }) = self.groups.front_mut() else { return Step::Wait };
        let InputState { input, waiting, .. } = &mut inputs[at];
        let input = *input;
        waiting.clear();
        together.end(at);
        if together.is_over() {
            self.groups.pop_front();
        }
        let at = self.next.unwrap_or_default();
        self.next = Some(Seq(at.0 + 1));
        self.outlet.tell(|| Event::End(input, at));
        Step::Given
    }

    /// The query fails behind what was given.
    fn fail(&mut self, error: Error) -> Step {
        self.outlet.tell(|| Event::Failed(Box::new(error.clone())));
        self.finish();
        Step::Given
    }

    /// Nobody takes any more, or there is no more to be had.
    fn finish(&mut self) {
        self.groups.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::DeadLetters;
    use crate::partition::mailbox::Mailbox;
    use crate::partition::share::Places;
    use crate::partition::testing::{envelope, mailbox, silent};
    use crate::source::block_reader::BlockReaderSetup;
    use crate::source::ranges::Ranges;
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
        let outlet = Outlet::single(Arc::clone(&mailbox));
        let cut = Box::new(Ranges::new(3 * BLOCK_BYTES as u64, BLOCK_BYTES));
        let blocks = Blocks::new(
            vec![vec![CutInput { input: 0, cut, reads: Arc::default() }]],
            1,
            outlet,
            Arc::new(shared),
        );
        let blocks = Arc::new(blocks);
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
        let Event::Batch(whole) = envelope(0, &seqs, records - 1) else { panic!("a batch") };
        let Piece::Range(range) = &claim.piece else { panic!("of a file") };
        let extent = Extent { start: range.begin, end: range.limit, is_last: false };
        let rows = Share { whole: *whole, places: Places::One(0) };
        Ok(Block { extent, rows: Some(rows), letters: Vec::new() })
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
