//! `Union`: the rows of both inputs, by sequence number; of one number the first input's before the second's.
//!
//! Stateless. A change of either answer is the same change of the answer of both.

use crate::batch::ChangeBatch;
use crate::error::Result;
use crate::operators::{Arriving, Context, Joint, Stateful};

/// The operator.
pub struct Union;

impl Joint for Union {
    fn process(
        &mut self,
        left: Arriving<'_>,
        right: Arriving<'_>,
        out: &mut ChangeBatch,
        _ctx: &mut Context<'_>,
    ) -> Result<()> {
        let (left, right) = (left.rows, right.rows);
        let (mut from_left, mut from_right) = (0, 0);
        while from_left < left.len() || from_right < right.len() {
            let next = right.seqs.get(from_right).copied();
            let to = next.map_or(left.len(), |seq| left.seqs.partition_point(|&other| other <= seq));
            out.extend_range(left, from_left, to);
            from_left = to;
            let next = left.seqs.get(from_left).copied();
            let to = next.map_or(right.len(), |seq| right.seqs.partition_point(|&other| other < seq));
            out.extend_range(right, from_right, to);
            from_right = to;
        }
        Ok(())
    }
}

impl Stateful for Union {}
