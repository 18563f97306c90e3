//! [`Offsets`]: which of its relation's records a row is.

use std::sync::Arc;
use velostream_engine::batch::Seq;

/// How the rows of a batch count among the records of their relation.
#[derive(Debug, Clone)]
pub enum Offsets {
    /// The rows are all that came behind so many records.
    Rows(u64),
    /// They are some of those that are numbered one by one from `first` on, behind so many records.
    Numbered { before: u64, first: Seq },
    /// They are some of those with these numbers, behind so many records.
    Listed { before: u64, seqs: Arc<[Seq]> },
}

impl Offsets {
    /// Of row `row`, whose number is `seq`.
    pub fn of(&self, row: usize, seq: Seq) -> u64 {
        match self {
            Self::Rows(before) => before + row as u64,
            Self::Numbered { before, first } => before + (seq.0 - first.0),
            Self::Listed { before, seqs } => before + seqs.partition_point(|&other| other < seq) as u64,
        }
    }

    /// Of the rows behind the first `rows`.
    pub fn behind(&self, rows: usize) -> Self {
        match self {
            Self::Rows(before) => Self::Rows(before + rows as u64),
            other => other.clone(),
        }
    }
}
