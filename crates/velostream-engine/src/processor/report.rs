//! [`Report`]: what went wrong in a run, and to whom it is told.

use crate::batch::Seq;
use crate::error::{RecordError, Reject, Rejects};

/// What went wrong in a run.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Records that failed.
    pub failures: Vec<(Seq, RecordError)>,
    /// Rows that failed when time made them final.
    pub final_failures: Vec<(Seq, RecordError)>,
    /// Records that some window left out.
    pub late: Vec<(Seq, i64)>,
}

/// How much a report held at some point.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReportMark {
    pub failures: usize,
    final_failures: usize,
    late: usize,
}

impl Report {
    pub fn clear(&mut self) {
        self.truncate(ReportMark { failures: 0, final_failures: 0, late: 0 });
    }

    pub fn mark(&self) -> ReportMark {
        ReportMark {
            failures: self.failures.len(),
            final_failures: self.final_failures.len(),
            late: self.late.len(),
        }
    }

    pub fn truncate(&mut self, mark: ReportMark) {
        self.failures.truncate(mark.failures);
        self.final_failures.truncate(mark.final_failures);
        self.late.truncate(mark.late);
    }

    /// Passes on what happened: each failing or late record once, in order of the numbers. `place` says to which of the
    /// sources' rejects it belongs, and its row there.
    pub fn settle(
        &mut self,
        place: impl Fn(Seq) -> Option<(usize, u32)>,
        rejects: &mut [Rejects],
        row_errors: &mut Vec<(Seq, RecordError)>,
    ) {
        if !self.final_failures.is_empty() {
            self.final_failures.sort_by_key(|&(seq, _)| seq);
            row_errors.append(&mut self.final_failures);
        }
        if !self.failures.is_empty() {
            self.failures.sort_by_key(|&(seq, _)| seq);
            self.failures.dedup_by_key(|failure| failure.0);
            for (seq, error) in self.failures.drain(..) {
                match place(seq) {
                    Some((source, row)) => rejects[source].failed.push(Reject { row, error }),
                    None => row_errors.push((seq, error)),
                }
            }
        }
        if !self.late.is_empty() {
            self.late.sort_by_key(|&(seq, _)| seq);
            self.late.dedup_by_key(|late| late.0);
            for (seq, by) in self.late.drain(..) {
                if let Some((source, row)) = place(seq) {
                    rejects[source].late.push((row, by));
                }
            }
        }
    }
}

/// The row of a record in its batch.
pub(super) fn row_of(seqs: &[Seq], seq: Seq) -> Option<u32> {
    let row = seqs.partition_point(|&other| other < seq);
    seqs.get(row).filter(|&&found| found == seq).map(|_| row as u32)
}
