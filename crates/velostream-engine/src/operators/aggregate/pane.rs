//! The state of one window, or of all groups where there are no windows.

use super::AggregateSpec;
use crate::batch::{ChangeBatch, Op, Seq};
use crate::column::{Column, Values};
use crate::error::Result;
use crate::functions::aggregate::{Aggregate, create};
use crate::state::{Derived, GroupColumns, GroupId, KeyTable, Pane, composite_state};

/// Groups with their keys and, per aggregate, a column indexed by group.
pub(super) struct AggregatePane {
    pub(super) keys: KeyTable,
    /// Rows in each group; kept where rows can go.
    pub(super) rows: Option<GroupColumns<i64>>,
    /// The event time of the record that last changed each group; kept where it is shown later.
    pub(super) times: Option<GroupColumns<i64>>,
    pub(super) calls: Vec<Box<dyn Aggregate>>,
    /// Groups that every column has room for; some that are to come are among them.
    room: Derived<usize>,
    /// Scratch of a step: per group, its place among the touched ones and 1; 0 for the others.
    pub(super) touched: Vec<u32>,
}
composite_state!(AggregatePane { keys, rows, times, calls, room });

/// Most groups for which columns grow ahead of them: filling their cells is the work of the record that grows them.
const GROUPS_AHEAD_MAX: usize = 128;

/// How many groups columns have room for that hold so many: an eighth more at most. However the groups came, it is
/// the same.
fn room_for(groups: usize) -> usize {
    groups.next_multiple_of((groups.next_power_of_two() / 16).clamp(1, GROUPS_AHEAD_MAX))
}

impl AggregatePane {
    pub(super) fn new(spec: &AggregateSpec) -> Result<Self> {
        let calls = spec.calls.iter().map(|call| create(call, spec.updating_input));
        Ok(Self {
            keys: KeyTable::new(&spec.types[..spec.keys.len()]),
            rows: spec.updating_input.then(GroupColumns::default),
            times: spec.keeps_times().then(GroupColumns::default),
            calls: calls.collect::<Result<_>>()?,
            room: Derived::default(),
            touched: Vec::new(),
        })
    }

    /// Groups.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Makes room in every column for the groups there are.
    #[inline]
    pub(super) fn grow(&mut self) {
        let groups = self.keys.capacity();
        if self.room.get().is_none_or(|&room| room < groups) {
            self.grow_columns(room_for(groups));
        }
    }

    fn grow_columns(&mut self, groups: usize) {
        self.rows.iter_mut().chain(&mut self.times).for_each(|column| column.grow(groups));
        self.calls.iter_mut().for_each(|call| call.grow(groups));
        self.room.keep(groups, 0);
    }

    /// Makes the one group of an aggregate without keys, with no rows.
    pub(super) fn insert_global(&mut self) {
        let none: &[Column] = &[];
        self.keys.insert(&none, 0, 0);
        self.grow();
    }

    /// Takes a group out.
    pub(super) fn remove(&mut self, group: GroupId) {
        self.keys.remove(group);
        self.calls.iter_mut().for_each(|call| call.reset(group));
    }

    /// Appends the values of the groups' rows, without marks.
    pub(super) fn emit_values(&self, window: Option<(i64, i64)>, groups: &[GroupId], out: &mut ChangeBatch) {
        let keys = self.emit_keys(window, groups, out);
        for (call, column) in self.calls.iter().zip(&mut out.columns[keys..]) {
            call.emit(groups, column);
        }
    }

    /// Appends keys and window bounds of the groups' rows; gives the number of columns that took.
    pub(super) fn emit_keys(
        &self,
        window: Option<(i64, i64)>,
        groups: &[GroupId],
        out: &mut ChangeBatch,
    ) -> usize {
        let keys = self.keys.columns().len();
        for (column, key) in out.columns.iter_mut().zip(self.keys.columns()) {
            column.extend_selected(key, groups);
        }
        let Some((start, end)) = window else { return keys };
        for (column, bound) in out.columns[keys..].iter_mut().zip([start, end]) {
            repeat(column, bound, groups.len());
        }
        keys + 2
    }

    /// The event time kept for a group.
    pub(super) fn time(&self, group: GroupId) -> Option<i64> {
        self.times.as_ref().map(|times| times.values()[group as usize])
    }

    /// Appends the groups' rows as inserts.
    pub(super) fn emit_groups(
        &self,
        window: Option<(i64, i64)>,
        seq: Seq,
        groups: &[GroupId],
        out: &mut ChangeBatch,
    ) {
        self.emit_values(window, groups, out);
        let rows = out.len() + groups.len();
        out.ops.resize(rows, Op::Insert);
        out.seqs.resize(rows, seq);
        match window {
            Some((_, end)) => out.event_times.resize(rows, end - 1),
            None => out.event_times.extend(groups.iter().map(|&group| self.time(group).unwrap_or(0))),
        }
    }
}

/// Buffers of one pane's going into another: its groups, their hashes, and the groups they go into.
#[derive(Default)]
pub(super) struct AbsorbScratch {
    from: Vec<GroupId>,
    hashes: Vec<u64>,
    into: Vec<GroupId>,
    fresh: Vec<u8>,
}

impl AggregatePane {
    /// Adds the groups of another pane; each has the earlier of its births.
    pub(super) fn absorb(&mut self, other: &Self, scratch: &mut AbsorbScratch) {
        let AbsorbScratch { from, hashes, into, fresh } = scratch;
        other.keys.in_order(from);
        hashes.clear();
        hashes.extend(from.iter().map(|&group| other.keys.hash(group)));
        into.clear();
        fresh.clear();
        if self.keys.find_or_insert(&other.keys.columns(), hashes, from, into, fresh) {
            self.grow();
        }
        for ((&from, &into), &fresh) in from.iter().zip(into.iter()).zip(fresh.iter()) {
            let birth = other.keys.birth(from);
            if fresh != 0 || birth < self.keys.birth(into) {
                self.keys.set_birth(into, birth);
            }
        }
        for (call, other) in self.calls.iter_mut().zip(&other.calls) {
            let fits = call.absorb(&**other, from, into);
            debug_assert!(fits, "each row was added only where its windows have room");
        }
    }
}

impl Pane for AggregatePane {
    fn clear(&mut self) {
        self.keys.clear();
        self.rows.iter_mut().chain(&mut self.times).for_each(GroupColumns::clear);
        self.calls.iter_mut().for_each(|call| call.clear());
        self.room.take();
    }

    fn restored(&mut self) {
        self.grow();
    }
}

/// Appends `count` times the same TIMESTAMP.
fn repeat(column: &mut Column, value: i64, count: usize) {
    let Values::I64(values) = &mut column.values else {
        unreachable!("window bounds are TIMESTAMPs");
    };
    let before = values.len();
    values.resize(before + count, value);
    column.validity.extend_valid(before, count);
}
