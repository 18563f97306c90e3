//! CASE and COALESCE: a choice per row between two columns of one type.

use crate::column::{Column, Values};
use crate::expr::kernel::{Args, Kernel, Native, text_out};

/// Input 1 where input 0 is TRUE, else input 2.
pub(in crate::expr) fn select() -> Kernel {
    Kernel::with_nulls(|args, out| {
        let condition = args.values::<u8>(0);
        match args.mask(0) {
            None => choose(args, out, 1, 2, |row| condition[row] != 0),
            Some(mask) => choose(args, out, 1, 2, |row| condition[row] & mask[row] != 0),
        }
    })
}

/// Input 0 where it is not NULL, else input 1.
pub(in crate::expr) fn coalesce() -> Kernel {
    Kernel::with_nulls(|args, out| match args.mask(0) {
        None => choose(args, out, 0, 1, |_| true),
        Some(mask) => choose(args, out, 0, 1, |row| mask[row] != 0),
    })
}

/// Writes, per row, the value and validity of input `first` if `takes_first`, else of input `second`.
fn choose(
    args: &Args<'_>,
    out: &mut Column,
    first: usize,
    second: usize,
    takes_first: impl Fn(usize) -> bool + Copy,
) {
    let (mask_a, mask_b) = (args.mask(first), args.mask(second));
    if mask_a.is_some() || mask_b.is_some() {
        let valid = |row: usize| {
            let mask = if takes_first(row) { mask_a } else { mask_b };
            mask.map_or(1, |mask| mask[row])
        };
        out.validity.extend_mask(0, (0..args.rows).map(valid));
    }
    match &args.column(first).values {
        Values::Bool(_) => choose_native::<u8>(args, out, first, second, takes_first),
        Values::I32(_) => choose_native::<i32>(args, out, first, second, takes_first),
        Values::I64(_) => choose_native::<i64>(args, out, first, second, takes_first),
        Values::F64(_) => choose_native::<f64>(args, out, first, second, takes_first),
        Values::I128(_) => choose_native::<i128>(args, out, first, second, takes_first),
        Values::Interval(_) => {
            choose_native::<velostream_sql::plan::Interval>(args, out, first, second, takes_first);
        }
        Values::Text(a) => {
            let (b, out) = (args.text(second), text_out(out));
            out.truncate(0);
            for row in 0..args.rows {
                out.push_from(if takes_first(row) { a } else { b }, row);
            }
        }
    }
}

fn choose_native<T: Native>(
    args: &Args<'_>,
    out: &mut Column,
    first: usize,
    second: usize,
    takes_first: impl Fn(usize) -> bool,
) {
    let (a, b) = (args.values::<T>(first), args.values::<T>(second));
    T::fill(out, (0..args.rows).map(|row| if takes_first(row) { a[row] } else { b[row] }));
}
