//! What goes through a mailbox.

use super::barrier::Barrier;
use super::interlaced::Interlaced;
use super::offsets::Offsets;
use super::share::Share;
use crate::dead_letter::LeftOut;
use crate::error::Error;
use crate::spares::Spares;
use std::sync::Arc;
use std::time::Instant;
use velostream_engine::batch::{Batch, ChangeBatch, Seq, head, tail};
use velostream_engine::time::{TimeRuns, Watermark};

/// A batch with what the receiver must know of its way.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Which of the receiver's inputs it belongs to.
    pub input: usize,
    /// Rows and time.
    pub batch: Batch,
    /// Which of the relation's records the rows are.
    pub offsets: Offsets,
    /// The clock at acceptance, milliseconds since the epoch.
    pub at_ms: i64,
    /// When it was accepted, for latency.
    pub accepted: Instant,
    /// Up to this number the sender has sent everything.
    pub through: Seq,
    /// Where the rows' buffers go afterwards, to be used again.
    pub home: Option<Arc<Spares>>,
    /// What stands of the rows behind the first ones, where they came by themselves.
    pub appended: Vec<Appended>,
    /// The records that the rows were made from, where a later stage may leave some of them out.
    pub records: Vec<Arc<Envelope>>,
}

/// Of rows that were appended to others: what [`Envelope`] says of its first ones.
#[derive(Debug, Clone)]
pub struct Appended {
    /// The first of them.
    row: usize,
    offsets: Offsets,
    at_ms: i64,
}

impl Envelope {
    /// The rows are done with: their buffers go home, and those of the records with the last rows made from them.
    pub fn recycle(self) {
        self.records.into_iter().filter_map(Arc::into_inner).for_each(Self::recycle);
        if let Some(home) = self.home {
            home.put_batch(self.batch);
        }
    }

    /// The first of the rows that a row came with, and what stands of them.
    fn came_with(&self, row: usize) -> (usize, &Offsets, i64) {
        let behind = self.appended.partition_point(|appended| appended.row <= row);
        match behind.checked_sub(1).map(|at| &self.appended[at]) {
            Some(Appended { row, offsets, at_ms }) => (*row, offsets, *at_ms),
            None => (0, &self.offsets, self.at_ms),
        }
    }

    /// The record behind a row, in its batch: the row itself, unless it was made from a record in an earlier stage.
    pub fn record(&self, row: usize) -> (&Self, usize) {
        if self.records.is_empty() {
            return (self, row);
        }
        let seq = self.batch.changes.seqs[row];
        let find = |records: &'_ Arc<Self>| records.batch.changes.seqs.binary_search(&seq).ok();
        let mut found = self.records.iter().filter_map(|records| Some((&**records, find(records)?)));
        found.next().expect("a row's record comes with it")
    }

    /// The relation's number of a row.
    pub fn offset_of(&self, row: usize) -> u64 {
        let (first, offsets, _) = self.came_with(row);
        offsets.of(row - first, self.batch.changes.seqs[row])
    }

    /// The clock when a row was accepted.
    pub fn at_ms_of(&self, row: usize) -> i64 {
        let (_, _, at_ms) = self.came_with(row);
        at_ms
    }

    /// Takes in the rows of the same input that come next, and their time.
    pub fn append(&mut self, mut next: Self) {
        debug_assert_eq!(self.input, next.input);
        let (row, rows) = (self.batch.changes.len(), next.batch.changes.len());
        self.appended.push(Appended { row, offsets: next.offsets.clone(), at_ms: next.at_ms });
        let further = next.appended.drain(..).map(|more| Appended { row: row + more.row, ..more });
        self.appended.extend(further);
        self.batch.changes.extend_range(&next.batch.changes, 0, rows);
        self.batch.time.advances.append(&mut next.batch.time.advances);
        self.through = next.through;
        next.recycle();
    }

    /// About how many bytes its rows take.
    pub fn bytes(&self) -> usize {
        batch_bytes(&self.batch.changes) + self.records.iter().map(|records| records.bytes()).sum::<usize>()
    }

    /// The number of the first row or move of time; nothing for an envelope without either.
    pub fn head(&self) -> Option<Seq> {
        head(&self.batch.changes, &self.batch.time)
    }

    /// The number of the last row or move of time.
    pub fn tail(&self) -> Option<Seq> {
        tail(&self.batch.changes, &self.batch.time)
    }

    /// Rows that were numbered from 0, in a time that begins with them, become those behind the first `offset` records,
    /// of numbers from `next` on, which find `watermark` standing.
    pub fn rebase(&mut self, next: Seq, offset: u64, watermark: Watermark) {
        let Batch { changes, time } = &mut self.batch;
        changes.seqs.iter_mut().for_each(|seq| seq.0 += next.0);
        time.before = watermark;
        time.advances.retain(|&(_, to)| to > watermark);
        time.advances.iter_mut().for_each(|(seq, _)| seq.0 += next.0);
        self.offsets = Offsets::Numbered { before: offset, first: next };
        self.through.0 += next.0;
    }

    /// Takes out what is numbered below `bound`; what is left stays.
    pub fn split_before(&mut self, bound: Seq) -> Self {
        let (changes, time) = (&mut self.batch.changes, &mut self.batch.time);
        let rows = changes.seqs.partition_point(|&seq| seq < bound);
        let moves = time.advances.partition_point(|&(seq, _)| seq < bound);
        let (mut head, mut rest) = (ChangeBatch::like(changes), ChangeBatch::like(changes));
        head.extend_range(changes, 0, rows);
        rest.extend_range(changes, rows, changes.len());
        *changes = rest;
        let moved: Vec<_> = time.advances.drain(..moves).collect();
        let before = time.before;
        time.before = moved.last().map_or(before, |&(_, watermark)| watermark);
        let head = Batch { changes: head, time: TimeRuns { before, advances: moved } };
        let rest = self.offsets.behind(rows);
        let offsets = std::mem::replace(&mut self.offsets, rest);
        let (input, at_ms, accepted) = (self.input, self.at_ms, self.accepted);
        let through = Seq(bound.0 - 1);
        debug_assert!(self.appended.is_empty(), "what is gathered is applied at once");
        let (appended, records) = (Vec::new(), self.records.clone());
        Self { input, batch: head, offsets, at_ms, accepted, through, home: None, appended, records }
    }
}

/// Rows, or news of the way.
#[derive(Debug)]
pub enum Event {
    /// Rows, or only time.
    Batch(Box<Envelope>),
    /// The same for all receivers of a pipeline, of which each takes its own rows.
    Share(Arc<Share>),
    /// Rows of several inputs whose numbers take turns, of which each receiver takes its own.
    Interlaced(Arc<Interlaced>),
    /// Records of the next batch, or of the end, that a receiver which shares a plan has left out.
    LeftOut(Box<LeftOut>),
    /// What several inputs begin with, all of one number.
    Beginning(Vec<Envelope>),
    /// Up to this number the sender has sent everything.
    Through(Seq),
    /// Comes once by every way that leads from the engine to the receiver, behind everything accepted before it.
    Barrier(Barrier),
    /// An input ends behind this number: what is open becomes final.
    End(usize, Seq),
    /// The input has failed, and with it all that reads it.
    Failed(Box<Error>),
    /// A receiver that shares a plan has failed at this number.
    ShareFailed(Seq, Box<Error>),
}

impl Event {
    /// Whether nobody waits for it who would not wait for the next one as well.
    pub(super) fn can_wait(&self) -> bool {
        matches!(
            self,
            Self::Batch(_) | Self::Share(_) | Self::Interlaced(_) | Self::LeftOut(_) | Self::Through(_)
        )
    }

    /// How much of a mailbox's capacity it takes; nothing where it is no batch.
    pub(super) fn batch_bytes(&self) -> Option<usize> {
        match self {
            Self::Batch(envelope) => Some(envelope.bytes()),
            Self::Share(share) => Some(share.whole.bytes()),
            Self::Interlaced(rows) => Some(rows.bytes()),
            Self::LeftOut(left_out) => Some(left_out.bytes()),
            _ => None,
        }
    }
}

/// About how many bytes a batch's rows take.
pub fn batch_bytes(changes: &ChangeBatch) -> usize {
    changes.columns.iter().map(velostream_engine::column::Column::capacity_bytes).sum::<usize>()
        + changes.len() * (size_of::<Seq>() + size_of::<i64>() + 1)
}
