//! MIN and MAX over frames that slide: queues of the values that can still become the best.

use super::min_max::ColumnCountKey;
use super::{Aggregate, CallRows};
use crate::column::Column;
use crate::state::{GroupId, GroupQueues, TextKey, composite_state};
use std::any::Any;
use velostream_sql::types::DataType;

/// Per group the values that no later one beats, the best in front: each value enters and leaves once, so a row
/// costs constant time on average. A value that is taken back is the oldest: it stands in front or is beaten.
struct Best<K> {
    queues: GroupQueues<K>,
    largest: bool,
}

composite_state!(impl<K: ColumnCountKey> Best<K> { queues });

impl<K: ColumnCountKey> Best<K> {
    fn enter(&mut self, group: GroupId, value: K) {
        let largest = self.largest;
        let beats = |other: &K| if largest { value > *other } else { value < *other };
        while self.queues.queue(group).back().is_some_and(beats) {
            self.queues.pop_back(group);
        }
        self.queues.push_back(group, value);
    }
}

impl<K: ColumnCountKey + 'static> Aggregate for Best<K> {
    fn grow(&mut self, groups: usize) {
        self.queues.grow(groups);
    }

    fn reset(&mut self, group: GroupId) {
        debug_assert!(self.queues.queue(group).is_empty(), "a group that goes has given all rows back");
    }

    fn clear(&mut self) {
        self.queues.clear();
    }

    fn add(&mut self, input: &CallRows<'_>) -> bool {
        let values = input.values.expect("the aggregate has an argument");
        input.each(|row, group| self.enter(group as u32, K::read(values, row)));
        true
    }

    fn add_running(&mut self, input: &CallRows<'_>, out: &mut Column) {
        let values = input.values.expect("the aggregate has an argument");
        input.each_marked(|row, group, counts| {
            if counts {
                self.enter(group as u32, K::read(values, row));
            }
            self.emit(&[group as u32], out);
        });
    }

    fn retract(&mut self, input: &CallRows<'_>) -> bool {
        let values = input.values.expect("the aggregate has an argument");
        input.each(|row, group| {
            let group = group as u32;
            if self.queues.queue(group).front().is_some_and(|best| *best == K::read(values, row)) {
                self.queues.pop_front(group);
            }
        });
        true
    }

    fn merge(&mut self, _from: GroupId, _into: GroupId) -> bool {
        unreachable!("frames that slide are never merged: sessions keep their extremes by counts")
    }

    fn absorb(&mut self, _other: &dyn Aggregate, _from: &[GroupId], _into: &[GroupId]) -> bool {
        unreachable!("frames that slide are never merged: windows keep their extremes otherwise")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn emit(&self, groups: &[GroupId], out: &mut Column) {
        for &group in groups {
            match self.queues.queue(group).front() {
                Some(best) => best.push(out),
                None => out.push_null(),
            }
        }
    }
}

fn best<K: ColumnCountKey + 'static>(largest: bool) -> Box<dyn Aggregate> {
    Box::new(Best::<K> { queues: GroupQueues::default(), largest })
}

/// The state of MIN, or MAX where `largest`; `None` where the type has no order.
pub(super) fn create(argument: DataType, largest: bool) -> Option<Box<dyn Aggregate>> {
    Some(match argument {
        DataType::Null | DataType::Interval => return None,
        DataType::Decimal { .. } => best::<i128>(largest),
        DataType::String | DataType::Bytes => best::<TextKey>(largest),
        _ => best::<i64>(largest),
    })
}
