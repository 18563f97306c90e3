//! Which rows come too late for OVER: those older than the watermark that stands before their step, less the grace.

use crate::batch::ChangeBatch;
use crate::operators::Context;
use crate::time::Watermark;

/// Fills `rows` with the rows that are in time, and reports the others.
pub(super) fn judge(input: &ChangeBatch, grace: i64, ctx: &mut Context<'_>, rows: &mut Vec<u32>) {
    let mut standing = ctx.own.before;
    let mut moves = ctx.own.advances.iter().peekable();
    for (row, (&seq, &time)) in input.seqs.iter().zip(&input.event_times).enumerate() {
        while let Some(&(_, watermark)) = moves.next_if(|&&(at, _)| at < seq) {
            standing = watermark;
        }
        if time < horizon(standing, grace) {
            ctx.late.push((seq, standing.0.saturating_sub(time)));
        } else {
            rows.push(row as u32);
        }
    }
}

/// The time before which no row can come any more.
pub(super) fn horizon(standing: Watermark, grace: i64) -> i64 {
    standing.delayed(grace).0
}
