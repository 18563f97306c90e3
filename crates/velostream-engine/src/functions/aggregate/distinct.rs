//! COUNT, SUM and AVG of DISTINCT values: a value enters with its first row and leaves with its last.

use super::cells::{Cells, Input, Kernel, Physical, push_result};
use super::count::Count;
use super::min_max::ColumnCountKey;
use super::{Aggregate, CallRows, argument_type, avg, same_call, sum};
use crate::column::Column;
use crate::state::{GroupId, OrderedCounts, TextKey, composite_state};
use velostream_sql::catalog::AggregateFunction;
use velostream_sql::plan::AggregateCall;
use velostream_sql::types::DataType;

/// An aggregate over the distinct values of each group.
struct Distinct<C, K: Kernel> {
    seen: OrderedCounts<C>,
    cells: Cells<K>,
    argument: DataType,
}

composite_state!(impl<C: ColumnCountKey, K: Kernel> Distinct<C, K> { seen, cells });

impl<C: ColumnCountKey + 'static, K: Kernel + 'static> Aggregate for Distinct<C, K> {
    fn grow(&mut self, groups: usize) {
        self.cells.grow(groups);
    }

    fn reset(&mut self, group: GroupId) {
        self.seen.remove(group);
        self.cells.reset(group);
    }

    fn clear(&mut self) {
        self.seen.clear();
        self.cells.clear();
    }

    fn is_safe(&mut self, input: &CallRows<'_>) -> bool {
        self.cells.is_safe(input)
    }

    fn has_room(&mut self, largest: f64, rows: usize) -> bool {
        self.cells.has_room(largest, rows)
    }

    fn is_safe_within(&mut self, input: &CallRows<'_>, held: &Column) -> bool {
        self.cells.is_safe_within(input, held)
    }

    fn add(&mut self, input: &CallRows<'_>) -> bool {
        let (_, cells) = self.cells.write(input.groups);
        let view = K::Input::view(input.values);
        let values = input.values.expect("DISTINCT has an argument");
        let mut fits = true;
        input.each(|row, group| {
            if self.seen.add(group as u32, C::read(values, row), 1).0 == 0 {
                fits &= K::add(&mut cells[group], K::Input::get(view, row));
            }
        });
        fits
    }

    fn add_running(&mut self, input: &CallRows<'_>, out: &mut Column) {
        let (kernel, cells) = self.cells.write(input.groups);
        let view = K::Input::view(input.values);
        let values = input.values.expect("DISTINCT has an argument");
        let (results, validity) = K::Output::parts(out);
        input.each_marked(|row, group, counts| {
            if counts && self.seen.add(group as u32, C::read(values, row), 1).0 == 0 {
                let fits = K::add(&mut cells[group], K::Input::get(view, row));
                debug_assert!(fits, "the caller asked whether the rows are safe");
            }
            push_result(results, validity, kernel.result(&cells[group]));
        });
    }

    fn retract(&mut self, input: &CallRows<'_>) -> bool {
        let (_, cells) = self.cells.write(input.groups);
        let view = K::Input::view(input.values);
        let values = input.values.expect("DISTINCT has an argument");
        let mut fits = true;
        input.each(|row, group| {
            if self.seen.add(group as u32, C::read(values, row), -1).1 == 0 {
                fits &= K::retract(&mut cells[group], K::Input::get(view, row));
            }
        });
        fits
    }

    fn merge(&mut self, from: GroupId, into: GroupId) -> bool {
        let entries: Vec<(C, i64)> =
            self.seen.entries(from).map(|(key, count)| (key.clone(), count)).collect();
        self.take_entries(into, entries)
    }

    fn absorb(&mut self, other: &dyn Aggregate, from: &[GroupId], into: &[GroupId]) -> bool {
        let others = &same_call::<Self>(other).seen;
        from.iter().zip(into).all(|(&from, &into)| {
            self.take_entries(into, others.entries(from).map(|(key, count)| (key.clone(), count)))
        })
    }

    fn bounds(&self) -> (f64, f64) {
        self.cells.bounds()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn verify(&self, groups: &[GroupId]) -> bool {
        self.cells.verify(groups)
    }

    fn emit(&self, groups: &[GroupId], out: &mut Column) {
        self.cells.emit(groups, out);
    }
}

impl<C: ColumnCountKey, K: Kernel + 'static> Distinct<C, K> {
    /// Adds values with their counts to a group; false where a sum is lost for good.
    fn take_entries(&mut self, group: GroupId, entries: impl IntoIterator<Item = (C, i64)>) -> bool {
        let mut news = Column::new(self.argument);
        for (key, count) in entries {
            if self.seen.add(group, key.clone(), count).0 == 0 {
                key.push(&mut news);
            }
        }
        let rows: Vec<u32> = (0..news.len() as u32).collect();
        let groups = vec![group; rows.len()];
        self.cells.add(&CallRows::all(Some(&news), &rows, &groups))
    }
}

fn over<C: ColumnCountKey + 'static, K: Kernel + 'static>(
    argument: DataType,
    kernel: K,
) -> Box<dyn Aggregate> {
    Box::new(Distinct::<C, K> { seen: OrderedCounts::default(), cells: Cells::new(kernel), argument })
}

/// The state of a DISTINCT call; `None` where the types do not fit.
pub(super) fn create(call: &AggregateCall) -> Option<Box<dyn Aggregate>> {
    let argument = argument_type(call);
    Some(match (call.function, argument) {
        (_, DataType::Null | DataType::Interval) => return None,
        (AggregateFunction::Count, DataType::String | DataType::Bytes) => over::<TextKey, _>(argument, Count),
        (AggregateFunction::Count, DataType::Decimal { .. }) => over::<i128, _>(argument, Count),
        (AggregateFunction::Count, _) => over::<i64, _>(argument, Count),
        (AggregateFunction::Sum, DataType::Int) => over::<i64, _>(argument, sum::integers::<i32>()),
        (AggregateFunction::Sum, DataType::BigInt) => over::<i64, _>(argument, sum::integers::<i64>()),
        (AggregateFunction::Sum, DataType::Double) => over::<i64, _>(argument, sum::OverDoubles::<false>),
        (AggregateFunction::Sum, DataType::Decimal { .. }) => over::<i128, _>(argument, sum::SumDecimal),
        (AggregateFunction::Avg, DataType::Int) => over::<i64, _>(argument, avg::integers::<i32>()),
        (AggregateFunction::Avg, DataType::BigInt) => over::<i64, _>(argument, avg::integers::<i64>()),
        (AggregateFunction::Avg, DataType::Double) => over::<i64, _>(argument, sum::OverDoubles::<true>),
        (AggregateFunction::Avg, DataType::Decimal { scale, .. }) => {
            over::<i128, _>(argument, avg::decimals(scale, call.data_type))
        }
        _ => return None,
    })
}
