//! [`Interlaced`]: rows of several inputs whose numbers take turns, on the way to all receivers, of which each takes its own.
//!
//! The rows stand in the blocks that they were decoded in; their numbers, which depend on the other inputs, beside them.

use super::event::Envelope;
use super::offsets::Offsets;
use super::share::Share;
use std::ops::Range;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Seq};
use velostream_engine::time::TimeRuns;

/// Rows of several inputs, or of one whose numbers another may have been between.
#[derive(Debug)]
pub struct Interlaced {
    strands: Vec<Strand>,
    through: Seq,
}

/// Rows of one input.
#[derive(Debug)]
pub struct Strand {
    /// What they are rows of, numbered from 0.
    pub block: Arc<Share>,
    /// Which of them.
    pub rows: Range<usize>,
    /// Their numbers, ascending.
    pub seqs: Arc<[Seq]>,
    /// How they move the input's time.
    pub time: TimeRuns,
    /// Records of the input before them.
    pub before: u64,
}

impl Interlaced {
    /// Of these strands, none of them empty.
    pub fn new(strands: Vec<Strand>) -> Self {
        let through = strands.iter().filter_map(|strand| strand.seqs.last()).max();
        Self { through: through.copied().unwrap_or_default(), strands }
    }

    /// The last number.
    pub fn through(&self) -> Seq {
        self.through
    }

    /// The rows of receiver `place`, one batch of each input.
    pub fn take(self: Arc<Self>, place: u16) -> Vec<Envelope> {
        let of = |strand: &Strand| strand.part(0..strand.rows.len(), place, self.through);
        let parts = self.strands.iter().map(of).collect();
        self.recycle();
        parts
    }

    /// The same, with a batch for each run of rows that no other input's row comes between; none that says nothing.
    pub fn runs(self: Arc<Self>, place: u16) -> Vec<Envelope> {
        let (mut at, mut runs) = (vec![0; self.strands.len()], Vec::new());
        loop {
            let heads = self.strands.iter().zip(&at).enumerate();
            let heads = heads.filter_map(|(which, (strand, &at))| Some((*strand.seqs.get(at)?, which)));
            let Some((first, which)) = heads.min() else { break };
            let strand = &self.strands[which];
            let left = strand.seqs[at[which]..].iter().zip(first.0..);
            let count = left.take_while(|&(seq, expected)| seq.0 == expected).count();
            let rows = at[which]..at[which] + count;
            at[which] = rows.end;
            runs.push(strand.part(rows, place, Seq(first.0 + count as u64 - 1)));
        }
        self.recycle();
        let (runs, silent): (Vec<Envelope>, _) = runs.into_iter().partition(|run| run.head().is_some());
        silent.into_iter().for_each(Envelope::recycle);
        runs
    }

    /// About how many bytes its rows take.
    pub fn bytes(&self) -> usize {
        self.strands.iter().map(Strand::bytes).sum()
    }

    /// One receiver is done with it; with the last one the blocks' buffers go home.
    fn recycle(self: Arc<Self>) {
        let Some(Self { strands, .. }) = Arc::into_inner(self) else { return };
        strands.into_iter().for_each(|strand| strand.block.recycle());
    }
}

impl Strand {
    /// Those of its rows that are receiver `place`'s, of which `range` says which are meant, with the time of all.
    fn part(&self, range: Range<usize>, place: u16, through: Seq) -> Envelope {
        let Self { block, rows, seqs, time, before } = self;
        let whole = &block.whole;
        let spare = whole.home.as_ref().and_then(|home| home.take());
        let mut changes = spare.unwrap_or_else(|| ChangeBatch::like(&whole.batch.changes));
        let standing = rows.start + range.start..rows.start + range.end;
        block.copy(standing, place, &mut changes);
        changes.seqs.iter_mut().for_each(|seq| *seq = seqs[seq.0 as usize - rows.start]);
        let time = match &seqs[range] {
            [first, .., last] => time.within(*first..=*last),
            own => time.within(own[0]..=own[0]),
        };
        Envelope {
            input: whole.input,
            batch: Batch { changes, time },
            offsets: Offsets::Listed { before: *before, seqs: Arc::clone(seqs) },
            at_ms: whole.at_ms,
            accepted: whole.accepted,
            through,
            home: whole.home.clone(),
            appended: Vec::new(),
            records: Vec::new(),
        }
    }

    fn bytes(&self) -> usize {
        let all = self.block.whole.batch.changes.len().max(1);
        self.block.whole.bytes() * self.rows.len() / all + size_of_val(&*self.seqs)
    }
}
