//! MIN and MAX: the best value so far where rows only come, ordered counts where they also go.

use super::cells::{Cells, Input, Kernel, Physical};
use super::{Aggregate, CallRows, same_call};
use crate::column::{Column, Values};
use crate::state::{
    CountKey, GroupId, OrderedCounts, QueueEntry, RowStore, Storable, TextKey, composite_state,
};
use std::marker::PhantomData;
use velostream_sql::types::DataType;

/// A total order in which NaN is largest, as PostgreSQL has it.
pub(super) trait Ordered: Physical {
    /// Whether `self` stands before `other`.
    fn is_below(self, other: Self) -> bool;
}

macro_rules! ordered {
    ($($type:ty),+) => {
        $(impl Ordered for $type {
            #[inline]
            fn is_below(self, other: Self) -> bool {
                self < other
            }
        })+
    };
}
ordered!(u8, i32, i64, i128);

impl Ordered for f64 {
    #[inline]
    fn is_below(self, other: Self) -> bool {
        self < other || (other.is_nan() && !self.is_nan())
    }
}

/// Whether a value stands before another of its type; neither is NULL.
#[must_use]
pub fn is_below(a: &Column, row: usize, b: &Column, other: usize) -> bool {
    match (&a.values, &b.values) {
        (Values::Bool(a), Values::Bool(b)) => a[row].is_below(b[other]),
        (Values::I32(a), Values::I32(b)) => a[row].is_below(b[other]),
        (Values::I64(a), Values::I64(b)) => a[row].is_below(b[other]),
        (Values::F64(a), Values::F64(b)) => a[row].is_below(b[other]),
        (Values::I128(a), Values::I128(b)) => a[row].is_below(b[other]),
        (Values::Text(a), Values::Text(b)) => a.get(row) < b.get(other),
        _ => unreachable!("both are of one type that has an order"),
    }
}

/// The best value of rows that only come; of equal ones the first.
struct Best<T, const LARGEST: bool>(PhantomData<T>);

impl<T, const LARGEST: bool> Kernel for Best<T, LARGEST>
where
    T: Ordered + Input + Storable + Send,
{
    type Input = T;
    type Cell = Option<T>;
    type Output = T;

    #[inline]
    fn add(cell: &mut Option<T>, value: T) -> bool {
        let better = match *cell {
            None => true,
            Some(best) if LARGEST => best.is_below(value),
            Some(best) => value.is_below(best),
        };
        if better {
            *cell = Some(value);
        }
        true
    }

    fn merge(cell: &mut Option<T>, other: &Option<T>) -> bool {
        other.is_none_or(|value| Self::add(cell, value))
    }

    fn retract(_cell: &mut Option<T>, _value: T) -> bool {
        unreachable!("the planner keeps ordered counts for an input that takes rows back")
    }

    #[inline]
    fn result(&self, cell: &Option<T>) -> Option<T> {
        *cell
    }
}

/// The best text of rows that only come.
struct BestText {
    best: RowStore,
    /// One NULL, the value of a new group.
    null: Column,
    largest: bool,
}
composite_state!(BestText { best });

impl BestText {
    fn new(data_type: DataType, largest: bool) -> Self {
        let mut null = Column::new(data_type);
        null.push_null();
        Self { best: RowStore::new(&[data_type]), null, largest }
    }

    fn offer(&mut self, values: &Column, row: usize, group: usize) {
        let best = &self.best.columns()[0];
        let better = match (&best.values, &values.values) {
            (Values::Text(best), Values::Text(values)) => {
                let (old, new) = (best.get(group), values.get(row));
                if self.largest { old < new } else { new < old }
            }
            _ => unreachable!("the planner chose the aggregate by its argument's type"),
        };
        if better || best.is_null(group) {
            self.best.set(group as u32, |_| values, row);
        }
    }
}

impl Aggregate for BestText {
    fn grow(&mut self, groups: usize) {
        while self.best.len() < groups {
            self.best.push(|_| &self.null, 0);
        }
    }

    fn reset(&mut self, group: GroupId) {
        self.best.set(group, |_| &self.null, 0);
    }

    fn clear(&mut self) {
        self.best.clear();
    }

    fn add(&mut self, input: &CallRows<'_>) -> bool {
        let values = input.values.expect("the aggregate has an argument");
        input.each(|row, group| self.offer(values, row, group));
        true
    }

    fn add_running(&mut self, input: &CallRows<'_>, out: &mut Column) {
        let values = input.values.expect("the aggregate has an argument");
        input.each_marked(|row, group, counts| {
            if counts {
                self.offer(values, row, group);
            }
            out.push_from(&self.best.columns()[0], group);
        });
    }

    fn retract(&mut self, _input: &CallRows<'_>) -> bool {
        unreachable!("the planner keeps ordered counts for an input that takes rows back")
    }

    fn merge(&mut self, from: GroupId, into: GroupId) -> bool {
        if !self.best.columns()[0].is_null(from as usize) {
            let mut value = Column::new(self.null.data_type);
            value.push_from(&self.best.columns()[0], from as usize);
            self.offer(&value, 0, into as usize);
        }
        true
    }

    fn absorb(&mut self, other: &dyn Aggregate, from: &[GroupId], into: &[GroupId]) -> bool {
        let others = &same_call::<Self>(other).best.columns()[0];
        for (&from, &into) in from.iter().zip(into) {
            if !others.is_null(from as usize) {
                self.offer(others, from as usize, into as usize);
            }
        }
        true
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn emit(&self, groups: &[GroupId], out: &mut Column) {
        out.extend_selected(&self.best.columns()[0], groups);
    }
}

/// A value as the key of ordered counts, and back.
pub(super) trait ColumnCountKey: CountKey + QueueEntry + Send {
    /// The value of a row, which is not NULL.
    fn read(column: &Column, row: usize) -> Self;
    /// Appends the value to a column of the type it came from.
    fn push(&self, column: &mut Column);
}

/// A double's bits such that integers order as the doubles do, NaN last; its own inverse but for zeros.
fn ordered_bits(value: f64) -> i64 {
    let bits = if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() } as i64;
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

fn from_ordered_bits(bits: i64) -> f64 {
    f64::from_bits(if bits < 0 { bits ^ i64::MAX } else { bits } as u64)
}

impl ColumnCountKey for i64 {
    fn read(column: &Column, row: usize) -> Self {
        match &column.values {
            Values::Bool(v) => Self::from(v[row]),
            Values::I32(v) => Self::from(v[row]),
            Values::I64(v) => v[row],
            Values::F64(v) => ordered_bits(v[row]),
            _ => unreachable!("the planner chose the key by the argument's type"),
        }
    }

    fn push(&self, column: &mut Column) {
        let rows = column.len();
        match &mut column.values {
            Values::Bool(v) => v.push(*self as u8),
            Values::I32(v) => v.push(*self as i32),
            Values::I64(v) => v.push(*self),
            Values::F64(v) => v.push(from_ordered_bits(*self)),
            _ => unreachable!("the planner chose the key by the argument's type"),
        }
        column.validity.push(rows, true);
    }
}

impl ColumnCountKey for i128 {
    fn read(column: &Column, row: usize) -> Self {
        Self::values(column)[row]
    }

    fn push(&self, column: &mut Column) {
        let (values, validity) = Self::parts(column);
        validity.push(values.len(), true);
        values.push(*self);
    }
}

impl ColumnCountKey for TextKey {
    fn read(column: &Column, row: usize) -> Self {
        match &column.values {
            Values::Text(v) => Self(v.get(row).into()),
            _ => unreachable!("the planner chose the key by the argument's type"),
        }
    }

    fn push(&self, column: &mut Column) {
        let rows = column.len();
        match &mut column.values {
            Values::Text(v) => v.push(&self.0),
            _ => unreachable!("the planner chose the key by the argument's type"),
        }
        column.validity.push(rows, true);
    }
}

/// The best of all values that are there.
struct Counted<K> {
    counts: OrderedCounts<K>,
    largest: bool,
}

composite_state!(impl<K: ColumnCountKey> Counted<K> { counts });

impl<K: ColumnCountKey> Counted<K> {
    fn count(&mut self, input: &CallRows<'_>, by: i64) {
        let values = input.values.expect("the aggregate has an argument");
        input.each(|row, group| {
            self.counts.add(group as u32, K::read(values, row), by);
        });
    }

    fn push(&self, group: GroupId, out: &mut Column) {
        let best = if self.largest { self.counts.last(group) } else { self.counts.first(group) };
        match best {
            Some(key) => key.push(out),
            None => out.push_null(),
        }
    }
}

impl<K: ColumnCountKey + 'static> Aggregate for Counted<K> {
    fn grow(&mut self, _groups: usize) {}

    fn reset(&mut self, group: GroupId) {
        self.counts.remove(group);
    }

    fn clear(&mut self) {
        self.counts.clear();
    }

    fn add(&mut self, input: &CallRows<'_>) -> bool {
        self.count(input, 1);
        true
    }

    fn add_running(&mut self, input: &CallRows<'_>, out: &mut Column) {
        let values = input.values.expect("the aggregate has an argument");
        input.each_marked(|row, group, counts| {
            if counts {
                self.counts.add(group as u32, K::read(values, row), 1);
            }
            self.push(group as u32, out);
        });
    }

    fn retract(&mut self, input: &CallRows<'_>) -> bool {
        self.count(input, -1);
        true
    }

    fn merge(&mut self, from: GroupId, into: GroupId) -> bool {
        let entries: Vec<(K, i64)> =
            self.counts.entries(from).map(|(key, count)| (key.clone(), count)).collect();
        for (key, count) in entries {
            self.counts.add(into, key, count);
        }
        true
    }

    fn absorb(&mut self, other: &dyn Aggregate, from: &[GroupId], into: &[GroupId]) -> bool {
        let others = &same_call::<Self>(other).counts;
        for (&from, &into) in from.iter().zip(into) {
            for (key, count) in others.entries(from) {
                self.counts.add(into, key.clone(), count);
            }
        }
        true
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn emit(&self, groups: &[GroupId], out: &mut Column) {
        groups.iter().for_each(|&group| self.push(group, out));
    }
}

fn counted<K: ColumnCountKey + 'static>(largest: bool) -> Box<dyn Aggregate> {
    Box::new(Counted::<K> { counts: OrderedCounts::default(), largest })
}

fn best<T>(largest: bool) -> Box<dyn Aggregate>
where
    T: Ordered + Input + Storable + Send + 'static,
{
    if largest {
        Box::new(Cells::new(Best::<T, true>(PhantomData)))
    } else {
        Box::new(Cells::new(Best::<T, false>(PhantomData)))
    }
}

/// The state of MIN, or MAX where `largest`; `None` where the type has no order.
pub(super) fn create(argument: DataType, largest: bool, updating: bool) -> Option<Box<dyn Aggregate>> {
    Some(match argument {
        DataType::Decimal { .. } if updating => counted::<i128>(largest),
        DataType::String | DataType::Bytes if updating => counted::<TextKey>(largest),
        DataType::Null | DataType::Interval => return None,
        _ if updating => counted::<i64>(largest),
        DataType::Boolean => best::<u8>(largest),
        DataType::Int | DataType::Date => best::<i32>(largest),
        DataType::BigInt | DataType::Time | DataType::Timestamp => best::<i64>(largest),
        DataType::Double => best::<f64>(largest),
        DataType::Decimal { .. } => best::<i128>(largest),
        DataType::String | DataType::Bytes => Box::new(BestText::new(argument, largest)),
    })
}
