//! [`Ranges`]: a file in blocks of so many bytes.
//!
//! A block's records are those that begin in it. Where the first of them begins is a guess until the block before is
//! decoded; a wrong guess is decoded again, and a file that makes for many is decoded in order.

use super::blocks::{Cut, Extent, Fit, Piece, Progress};

/// Wrong guesses after which, if they are one in four, blocks are no longer guessed at.
const WRONG_GUESSES_MAX: u64 = 8;

/// Bytes of a file to be decoded.
pub struct Range {
    /// The first byte.
    pub begin: u64,
    /// The first byte behind it.
    pub limit: u64,
    /// Where its first record begins, if that is known.
    pub start: Option<u64>,
}

/// Where the blocks of one file begin.
pub struct Ranges {
    /// Bytes of a block.
    block_bytes: u64,
    /// Bytes of the file at the start.
    bytes: u64,
    /// Where the first record begins that was not given out.
    position: u64,
    wrong_guesses: u64,
    /// Whether the block was given out in which the file ends.
    ended: bool,
}

impl Ranges {
    /// Of a file of so many bytes.
    pub fn new(bytes: u64, block_bytes: usize) -> Self {
        Self { block_bytes: block_bytes as u64, bytes, position: 0, wrong_guesses: 0, ended: false }
    }

    /// Where the next block to be claimed begins, if that is known; nothing where none may be claimed now.
    fn start(&self, progress: &Progress) -> Option<Option<u64>> {
        let Progress { claimed, taken } = *progress;
        if progress.open() == 0 {
            // Behind the bytes that were there at first there may be more by now; the end shows where they are read.
            return Some(Some(self.position));
        }
        let guesses = self.wrong_guesses < WRONG_GUESSES_MAX || self.wrong_guesses * 4 < taken;
        (guesses && claimed * self.block_bytes < self.bytes).then_some(None)
    }

    fn range(&self, index: u64, start: Option<u64>) -> Range {
        let begin = index * self.block_bytes;
        Range { begin, limit: begin + self.block_bytes, start }
    }
}

impl Cut for Ranges {
    fn is_ready(&mut self, progress: &Progress) -> bool {
        self.start(progress).is_some()
    }

    fn next(&mut self, progress: &Progress) -> Option<Piece> {
        let start = self.start(progress)?;
        Some(Piece::Range(self.range(progress.claimed, start)))
    }

    fn fit(&mut self, index: u64, extent: &Extent) -> Fit {
        let range = self.range(index, Some(self.position));
        if self.position >= range.limit {
            return Fit::Covered;
        }
        if extent.start != self.position {
            self.wrong_guesses += 1;
            return Fit::Again(Piece::Range(range));
        }
        self.position = extent.end;
        self.ended = extent.is_last;
        Fit::Next
    }

    fn is_over(&mut self, _progress: &Progress) -> bool {
        self.ended
    }
}
