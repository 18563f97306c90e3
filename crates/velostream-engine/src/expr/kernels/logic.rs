//! Three-valued logic, tests for NULL and truth, and the masks of branches.

use crate::column::Column;
use crate::expr::compile::Taken;
use crate::expr::kernel::{Args, Kernel, Native};

/// NOT.
pub(in crate::expr) fn not() -> Kernel {
    Kernel::unary(|value: u8| value ^ 1)
}

/// AND: FALSE if one side is, else NULL if one side is.
pub(in crate::expr) fn and() -> Kernel {
    Kernel::with_nulls(|args, out| {
        let (a, b) = (args.values::<u8>(0), args.values::<u8>(1));
        decide(
            args,
            out,
            |row| a[row] & b[row],
            |row, known_a, known_b| (known_a & known_b) | (known_a & (a[row] ^ 1)) | (known_b & (b[row] ^ 1)),
        );
    })
}

/// OR: TRUE if one side is, else NULL if one side is.
pub(in crate::expr) fn or() -> Kernel {
    Kernel::with_nulls(|args, out| {
        let (a, b) = (args.values::<u8>(0), args.values::<u8>(1));
        decide(
            args,
            out,
            |row| a[row] | b[row],
            |row, known_a, known_b| (known_a & known_b) | (known_a & a[row]) | (known_b & b[row]),
        );
    })
}

/// Writes a connective. Where an operand is NULL its value counts as the one that does not decide, which
/// its validity masks out of `known`; the value of a known row is decided by a known operand.
fn decide(
    args: &Args<'_>,
    out: &mut Column,
    both: impl Fn(usize) -> u8,
    known: impl Fn(usize, u8, u8) -> u8,
) {
    let (mask_a, mask_b) = (args.mask(0), args.mask(1));
    if mask_a.is_none() && mask_b.is_none() {
        return u8::fill(out, (0..args.rows).map(both));
    }
    let valid = |mask: Option<&[u8]>, row: usize| mask.map_or(1, |mask| mask[row]);
    let known_row = |row: usize| known(row, valid(mask_a, row), valid(mask_b, row));
    out.validity.extend_mask(0, (0..args.rows).map(known_row));
    u8::fill(out, (0..args.rows).map(both));
}

/// IS NULL, or IS NOT NULL.
pub(in crate::expr) fn is_null(negated: bool) -> Kernel {
    Kernel::with_nulls(move |args, out| match args.mask(0) {
        None => u8::fill(out, std::iter::repeat_n(u8::from(negated), args.rows)),
        Some(mask) => u8::fill(out, mask.iter().map(|&valid| valid ^ u8::from(!negated))),
    })
}

/// IS TRUE, IS FALSE and their negations.
pub(in crate::expr) fn is_truth(value: bool, negated: bool) -> Kernel {
    let (flip, negated) = (u8::from(!value), u8::from(negated));
    Kernel::with_nulls(move |args, out| {
        let values = args.values::<u8>(0);
        match args.mask(0) {
            None => u8::fill(out, values.iter().map(|&value| value ^ flip ^ negated)),
            Some(mask) => {
                let tests =
                    values.iter().zip(mask).map(|(&value, &valid)| ((value ^ flip) & valid) ^ negated);
                u8::fill(out, tests);
            }
        }
    })
}

/// 1 for the rows of a branch: those of the enclosing one (input 1) whose condition (input 0) is as `taken`
/// says.
pub(in crate::expr) fn mask(taken: Taken, nested: bool) -> Kernel {
    Kernel::with_nulls(move |args, out| {
        let valid = args.mask(0);
        let parent = if nested { Some(args.values::<u8>(1)) } else { None };
        let valid_at = |row: usize| valid.map_or(1, |mask| mask[row]);
        let within = |row: usize| parent.map_or(1, |parent| parent[row]);
        if taken == Taken::IfNull {
            return u8::fill(out, (0..args.rows).map(|row| (valid_at(row) ^ 1) & within(row)));
        }
        let condition = args.values::<u8>(0);
        let test = |row: usize| match taken {
            Taken::UnlessTrue => (condition[row] & valid_at(row)) ^ 1,
            Taken::UnlessFalse => ((condition[row] ^ 1) & valid_at(row)) ^ 1,
            Taken::IfTrue | Taken::IfNull => condition[row] & valid_at(row),
        };
        u8::fill(out, (0..args.rows).map(|row| test(row) & within(row)));
    })
}
