//! The aggregates: one file each.
//!
//! An aggregate keeps plain columns indexed by group number and updates them in one loop per batch. It takes
//! back exactly what it was given. To add one is to touch this folder and the enum of `velostream_sql`.

mod avg;
mod cells;
mod count;
mod distinct;
mod first_number;
mod min_max;
mod sliding;
mod sum;

pub use cells::largest_magnitude;
pub use min_max::is_below;

use crate::batch::Seq;
use crate::column::{Column, Values};
use crate::error::{EngineError, Result};
use crate::state::{GroupId, State};
use std::any::Any;
use velostream_sql::catalog::AggregateFunction;
use velostream_sql::plan::AggregateCall;
use velostream_sql::types::DataType;

/// The rows of a batch that an aggregate is given.
#[derive(Debug, Clone, Copy)]
pub struct CallRows<'a> {
    /// The argument, one value per row of the batch; `None` for COUNT(*).
    pub values: Option<&'a Column>,
    /// Per row of the batch, 1 where it counts (FILTER is TRUE and the argument not NULL); `None` if all do.
    pub mask: Option<&'a [u8]>,
    /// Rows of the batch, ascending.
    pub rows: &'a [u32],
    /// The group of each of `rows`.
    pub groups: &'a [GroupId],
    /// The sequence number of each row of the batch; empty where no call asks for it.
    pub seqs: &'a [Seq],
    /// 1 for each of `rows` that made its group; empty where that is not known.
    pub fresh: &'a [u8],
}

impl<'a> CallRows<'a> {
    /// Rows that all count, of which neither numbers are asked nor which of them made their groups.
    pub fn all(values: Option<&'a Column>, rows: &'a [u32], groups: &'a [GroupId]) -> Self {
        Self { values, mask: None, rows, groups, seqs: &[], fresh: &[] }
    }

    /// Calls `f` with row and group of each row that counts.
    #[inline]
    pub fn each(&self, mut f: impl FnMut(usize, usize)) {
        let groups = &self.groups[..self.rows.len()];
        let pairs = self.rows.iter().enumerate().map(|(index, &row)| (row as usize, groups[index] as usize));
        match self.mask {
            None => pairs.for_each(|(row, group)| f(row, group)),
            Some(mask) => pairs.for_each(|(row, group)| {
                if mask[row] != 0 {
                    f(row, group);
                }
            }),
        }
    }

    /// Calls `f` with row, group and whether the row counts, for every row.
    #[inline]
    pub fn each_marked(&self, mut f: impl FnMut(usize, usize, bool)) {
        let groups = &self.groups[..self.rows.len()];
        let pairs = self.rows.iter().enumerate().map(|(index, &row)| (row as usize, groups[index] as usize));
        match self.mask {
            None => pairs.for_each(|(row, group)| f(row, group, true)),
            Some(mask) => pairs.for_each(|(row, group)| f(row, group, mask[row] != 0)),
        }
    }
}

/// Where a call finds what it is given of rows in columns.
#[derive(Debug, Clone, Copy)]
pub struct CallColumns<'a> {
    /// The argument; `None` for COUNT(*).
    pub values: Option<&'a Column>,
    /// FILTER, BOOLEAN.
    pub filter: Option<&'a Column>,
}

impl CallColumns<'_> {
    /// Whether every row counts.
    #[must_use]
    #[inline]
    pub fn count_all(&self) -> bool {
        self.filter.is_none() && self.values.is_none_or(|values| values.validity.mask().is_none())
    }

    /// Whether a row counts: its FILTER is TRUE and its argument not NULL.
    #[must_use]
    #[inline]
    pub fn counts(&self, row: usize) -> bool {
        let valid = self.values.is_none_or(|values| values.validity.is_valid(row));
        valid
            && self.filter.is_none_or(|filter| match &filter.values {
                Values::Bool(truth) => truth[row] != 0 && filter.validity.is_valid(row),
                _ => unreachable!("the binder makes filters BOOLEAN"),
            })
    }
}

/// Steps of frames that slide: in each, rows leave a group in the order in which they came, then a row comes.
#[derive(Debug, Clone, Copy)]
pub struct Slides<'a> {
    /// The rows that come.
    pub given: CallColumns<'a>,
    /// The row that comes in each step.
    pub rows: &'a [u32],
    /// The group of each step.
    pub groups: &'a [GroupId],
    /// The rows that leave.
    pub kept: CallColumns<'a>,
    /// The rows that leave, step after step.
    pub gone: &'a [u32],
    /// Per step, where its rows end in `gone`; empty where none leaves in any.
    pub ends: &'a [u32],
}

impl Slides<'_> {
    /// Calls `f` with each step's group, the rows that leave it, and the row that comes.
    #[inline]
    pub fn each(&self, mut f: impl FnMut(GroupId, &[u32], u32)) {
        let mut from = 0;
        for (step, (&row, &group)) in self.rows.iter().zip(self.groups).enumerate() {
            let to = self.ends.get(step).map_or(from, |&end| end as usize);
            f(group, &self.gone[from..to], row);
            from = to;
        }
    }
}

/// One aggregate call's state over all groups of a pane.
///
/// # Contract
/// * *Exact.* After any additions and retractions the result is that of the rows that remain.
/// * *Overflow.* While `is_safe` says true for what is given, every result can be represented. Otherwise the
///   caller has a savepoint open, and rolls back where `add` or `retract` say false, or `verify` after the step.
pub trait Aggregate: State + Send {
    /// Makes room for groups up to this number; new ones have no rows.
    fn grow(&mut self, groups: usize);
    /// Takes all rows of a group out, so that its number can be used again.
    fn reset(&mut self, group: GroupId);
    /// Takes all groups out and keeps the buffers. No savepoint is open.
    fn clear(&mut self);
    /// Whether adding or retracting these rows certainly overflows nothing; cheap and conservative.
    fn is_safe(&mut self, _input: &CallRows<'_>) -> bool {
        true
    }
    /// The same for so many rows whose arguments have no magnitude above `largest` ([`largest_magnitude`]).
    fn has_room(&mut self, _largest: f64, _rows: usize) -> bool {
        true
    }
    /// Whether adding these rows, and taking back any that were added and still stand in the column `held`,
    /// certainly overflows nothing; cheap and conservative.
    fn is_safe_within(&mut self, _input: &CallRows<'_>, _held: &Column) -> bool {
        true
    }
    /// Adds rows; false where a sum is lost for good.
    #[must_use]
    fn add(&mut self, input: &CallRows<'_>) -> bool;
    /// Adds rows that are safe, and appends to `out` for each row the result after it.
    fn add_running(&mut self, input: &CallRows<'_>, out: &mut Column);
    /// Takes rows back; false where a sum is lost for good.
    #[must_use]
    fn retract(&mut self, input: &CallRows<'_>) -> bool;
    /// Adds to group `into` all that group `from` has, which keeps it; false where a sum is lost for good.
    #[must_use]
    fn merge(&mut self, from: GroupId, into: GroupId) -> bool;
    /// Takes steps, and appends to `out` for each the result after it; false where a sum is lost for good, or a
    /// result cannot be represented.
    #[must_use]
    fn slide(&mut self, steps: &Slides<'_>, out: &mut Column) -> bool {
        let mut fits = true;
        steps.each(|group, gone, row| {
            for &slot in gone {
                fits &= self.retract_one(&steps.kept, slot, group);
            }
            fits &= self.add_one(&steps.given, row, group) && self.verify(&[group]);
            self.emit(&[group], out);
        });
        fits
    }
    /// Adds one row, if it counts.
    #[must_use]
    fn add_one(&mut self, columns: &CallColumns<'_>, row: u32, group: GroupId) -> bool {
        let (rows, groups) = ([row], [group]);
        let one = CallRows::all(columns.values, &rows, &groups);
        !columns.counts(row as usize) || self.add(&one)
    }
    /// Takes one row back, if it counts.
    #[must_use]
    fn retract_one(&mut self, columns: &CallColumns<'_>, row: u32, group: GroupId) -> bool {
        let (rows, groups) = ([row], [group]);
        let one = CallRows::all(columns.values, &rows, &groups);
        !columns.counts(row as usize) || self.retract(&one)
    }
    /// Adds to each group of `into` all that the group of `from` has in `other`, which is the state of the same call;
    /// false where a sum is lost for good.
    #[must_use]
    fn absorb(&mut self, other: &dyn Aggregate, from: &[GroupId], into: &[GroupId]) -> bool;
    /// The magnitude that no cell is above, and the one up to which nothing overflows.
    fn bounds(&self) -> (f64, f64) {
        (0.0, f64::INFINITY)
    }
    /// For `absorb`.
    fn as_any(&self) -> &dyn Any;
    /// Whether the results of these groups can be represented.
    fn verify(&self, _groups: &[GroupId]) -> bool {
        true
    }
    /// Appends the results of these groups.
    fn emit(&self, groups: &[GroupId], out: &mut Column);
}

/// Whether adding a row can fail.
#[must_use]
pub fn is_fallible(call: &AggregateCall) -> bool {
    let decimal = matches!(argument_type(call), DataType::Decimal { .. });
    let double = argument_type(call) == DataType::Double;
    match call.function {
        AggregateFunction::Sum => true,
        AggregateFunction::Avg => decimal || double,
        AggregateFunction::CountRows
        | AggregateFunction::Count
        | AggregateFunction::Min
        | AggregateFunction::Max
        | AggregateFunction::FirstNumber => false,
    }
}

/// Whether merging the results of parts gives, to the last bit, what adding their rows in order gives. Sums of
/// doubles depend on the order of their additions, and of equal zeros the first is the least and the largest.
#[must_use]
pub fn merges_exactly(call: &AggregateCall) -> bool {
    argument_type(call) != DataType::Double
        || matches!(call.function, AggregateFunction::CountRows | AggregateFunction::Count)
}

/// The state of another pane's call.
fn same_call<A: Aggregate + 'static>(other: &dyn Aggregate) -> &A {
    other.as_any().downcast_ref().expect("panes of one plan have the same calls")
}

/// Whether every row that comes changes the result: COUNT(*) without FILTER.
#[must_use]
pub fn counts_every_row(call: &AggregateCall) -> bool {
    call.function == AggregateFunction::CountRows && call.filter.is_none()
}

fn argument_type(call: &AggregateCall) -> DataType {
    call.argument.as_ref().map_or(DataType::Null, |argument| argument.data_type)
}

/// The state of a call over frames that slide: rows are taken back in the order in which they came.
pub fn create_sliding(call: &AggregateCall) -> Result<Box<dyn Aggregate>> {
    let largest = match call.function {
        AggregateFunction::Min => false,
        AggregateFunction::Max => true,
        _ => return create(call, true),
    };
    sliding::create(argument_type(call), largest).ok_or_else(|| unsupported(call))
}

/// The state of a call. `updating` says whether rows will be retracted.
pub fn create(call: &AggregateCall, updating: bool) -> Result<Box<dyn Aggregate>> {
    let state = match call.function {
        AggregateFunction::CountRows => Some(count::create()),
        AggregateFunction::Count if call.distinct => distinct::create(call),
        AggregateFunction::Count => Some(count::create()),
        AggregateFunction::Sum | AggregateFunction::Avg if call.distinct => distinct::create(call),
        AggregateFunction::Sum => sum::create(argument_type(call)),
        AggregateFunction::Avg => avg::create(argument_type(call), call.data_type),
        AggregateFunction::Min => min_max::create(argument_type(call), false, updating),
        AggregateFunction::Max => min_max::create(argument_type(call), true, updating),
        AggregateFunction::FirstNumber => Some(first_number::create()),
    };
    state.ok_or_else(|| unsupported(call))
}

fn unsupported(call: &AggregateCall) -> EngineError {
    let name = velostream_sql::explain::aggregate_name(call.function);
    EngineError::Unsupported(format!("{name} over {} is not supported", argument_type(call)))
}
