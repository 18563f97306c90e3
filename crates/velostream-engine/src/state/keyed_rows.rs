//! Rows by key: what a join keeps of a side.

use super::{
    GroupColumns, GroupId, KeySource, KeyTable, RowStore, Slots, SnapshotReader, SnapshotWriter, Storable,
    composite_state, hash_rows,
};
use crate::batch::ChangeBatch;
use crate::column::Column;
use crate::error::Result;
use crate::time::EventTime;
use velostream_sql::types::DataType;

/// No row.
const NONE: u32 = u32::MAX;

/// Where a row stands among those of its key, which are linked in order of their coming.
#[derive(Debug, Clone, Copy)]
struct Link {
    group: GroupId,
    previous: u32,
    next: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self { group: NONE, previous: NONE, next: NONE }
    }
}

impl Storable for Link {
    fn store(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        [self.group, self.previous, self.next].iter().try_for_each(|number| number.store(writer))
    }

    fn load(reader: &mut dyn SnapshotReader) -> Result<Self> {
        Ok(Self { group: u32::load(reader)?, previous: u32::load(reader)?, next: u32::load(reader)? })
    }
}

/// The first and the last row of a key.
#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

impl Default for Ends {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

impl Storable for Ends {
    fn store(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.first.store(writer)?;
        self.last.store(writer)
    }

    fn load(reader: &mut dyn SnapshotReader) -> Result<Self> {
        Ok(Self { first: u32::load(reader)?, last: u32::load(reader)? })
    }
}

/// By what a row is found again when it goes: its primary key, or all of it.
struct Identity {
    table: KeyTable,
    /// How often the row stands there; more than once only where no primary key tells rows apart.
    counts: GroupColumns<i64>,
}
composite_state!(Identity { table, counts });

/// Some columns of a batch as a key.
struct Positions<'a> {
    columns: &'a [Column],
    positions: &'a [usize],
}

impl KeySource for Positions<'_> {
    fn key(&self, index: usize) -> &Column {
        &self.columns[self.positions[index]]
    }
}

/// What survives.
struct Kept {
    keys: KeyTable,
    ends: GroupColumns<Ends>,
    rows: RowStore,
    links: GroupColumns<Link>,
    times: GroupColumns<i64>,
    /// How many rows of the other side match; kept where rows without a match are shown.
    matches: Option<GroupColumns<i64>>,
    /// The numbers of rows that are not found again, else those of `identity`.
    slots: Option<Slots>,
    identity: Option<Identity>,
}
composite_state!(Kept { keys, ends, rows, links, times, matches, slots, identity });

/// How rows are kept.
#[derive(Debug, Clone)]
pub struct KeyedRowsSpec {
    /// Types of the columns.
    pub types: Vec<DataType>,
    /// Types of the key.
    pub key_types: Vec<DataType>,
    /// Positions of the columns by which a row that goes is found; `None` where rows only come.
    pub identity: Option<Vec<usize>>,
    /// Whether matches are counted.
    pub counts_matches: bool,
}

/// Rows with a key each, linked per key in order of their coming. A row has a number (slot) while it is there.
pub struct KeyedRows {
    kept: Kept,
    identity: Vec<usize>,
    hash: Vec<u64>,
}

impl KeyedRows {
    /// No rows.
    #[must_use]
    pub fn new(spec: &KeyedRowsSpec) -> Self {
        let identity = spec.identity.as_ref().map(|positions| {
            let types: Vec<DataType> = positions.iter().map(|&position| spec.types[position]).collect();
            Identity { table: KeyTable::new(&types), counts: GroupColumns::default() }
        });
        let kept = Kept {
            keys: KeyTable::new(&spec.key_types),
            ends: GroupColumns::default(),
            rows: RowStore::new(&spec.types),
            links: GroupColumns::default(),
            times: GroupColumns::default(),
            matches: spec.counts_matches.then(GroupColumns::default),
            slots: identity.is_none().then(Slots::default),
            identity,
        };
        Self { kept, identity: spec.identity.clone().unwrap_or_default(), hash: Vec::new() }
    }

    /// Rows; equal ones without primary key count once.
    #[must_use]
    pub fn len(&self) -> usize {
        match (&self.kept.identity, &self.kept.slots) {
            (Some(identity), _) => identity.table.len(),
            (None, Some(slots)) => slots.len(),
            (None, None) => 0,
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The columns, indexed by slot.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        self.kept.rows.columns()
    }

    /// A row's event time.
    #[must_use]
    #[inline]
    pub fn time(&self, slot: u32) -> EventTime {
        self.kept.times.values()[slot as usize]
    }

    /// How often a row stands there.
    #[must_use]
    #[inline]
    pub fn count(&self, slot: u32) -> i64 {
        self.kept.identity.as_ref().map_or(1, |identity| identity.counts.values()[slot as usize])
    }

    /// How many rows of the other side match a row.
    #[must_use]
    pub fn matches(&self, slot: u32) -> i64 {
        self.kept.matches.as_ref().map_or(0, |matches| matches.values()[slot as usize])
    }

    /// Notes how many rows of the other side match a row.
    pub fn set_matches(&mut self, slot: u32, count: i64) {
        if let Some(matches) = &mut self.kept.matches {
            matches.set(slot, count);
        }
    }

    /// Adds to the matches of a row; gives their number before and after.
    pub fn add_matches(&mut self, slot: u32, by: i64) -> (i64, i64) {
        let Some(matches) = &mut self.kept.matches else { return (0, 0) };
        let before = matches.values()[slot as usize];
        matches.set(slot, before + by);
        (before, before + by)
    }

    /// Calls `f` with the slots of the rows whose key is that of row `row`, in order of their coming.
    #[inline]
    pub fn for_each_of_key(&self, keys: &impl KeySource, hash: u64, row: usize, mut f: impl FnMut(u32)) {
        let Some(group) = self.kept.keys.find(keys, hash, row) else { return };
        let mut slot = self.kept.ends.values()[group as usize].first;
        let links = self.kept.links.values();
        while slot != NONE {
            f(slot);
            slot = links[slot as usize].next;
        }
    }

    /// Adds row `row` of `input`, whose key and its hash are given; its slot.
    pub fn add(&mut self, keys: &impl KeySource, hash: u64, input: &ChangeBatch, row: usize) -> u32 {
        let (slot, is_new) = self.number(input, row);
        if !is_new {
            return slot;
        }
        let kept = &mut self.kept;
        if slot as usize == kept.rows.len() {
            kept.rows.push(|index| &input.columns[index], row);
            kept.links.grow(kept.rows.len());
            kept.times.grow(kept.rows.len());
            kept.matches.iter_mut().for_each(|matches| matches.grow(kept.rows.len()));
        } else {
            kept.rows.set(slot, |index| &input.columns[index], row);
        }
        kept.times.set(slot, input.event_times[row]);
        self.link(keys, hash, row, slot);
        slot
    }

    /// The number of a row that comes; whether it is new.
    fn number(&mut self, input: &ChangeBatch, row: usize) -> (u32, bool) {
        let Kept { identity, slots, .. } = &mut self.kept;
        let Some(Identity { table, counts }) = identity else {
            let slots = slots.as_mut().expect("rows that are not found again have numbers of their own");
            return (slots.take(), true);
        };
        let keys = Positions { columns: &input.columns, positions: &self.identity };
        hash_rows(self.identity.len(), |index| keys.key(index), &[row as u32], &mut self.hash);
        let found = table.find(&keys, self.hash[0], row);
        let slot = found.unwrap_or_else(|| table.insert(&keys, self.hash[0], row));
        counts.grow(table.capacity());
        let count = if found.is_some() { counts.values()[slot as usize] + 1 } else { 1 };
        counts.set(slot, count);
        (slot, found.is_none())
    }

    fn link(&mut self, keys: &impl KeySource, hash: u64, row: usize, slot: u32) {
        let kept = &mut self.kept;
        let group = match kept.keys.find(keys, hash, row) {
            Some(group) => group,
            None => {
                let group = kept.keys.insert(keys, hash, row);
                kept.ends.grow(kept.keys.capacity());
                kept.ends.set(group, Ends::default());
                group
            }
        };
        let Ends { first, last } = kept.ends.values()[group as usize];
        kept.links.set(slot, Link { group, previous: last, next: NONE });
        if last == NONE {
            kept.ends.set(group, Ends { first: slot, last: slot });
        } else {
            let before = kept.links.values()[last as usize];
            kept.links.set(last, Link { next: slot, ..before });
            kept.ends.set(group, Ends { first, last: slot });
        }
    }

    /// The slot of a row that is equal, in its identity, to row `row` of `input`.
    #[must_use]
    pub fn find(&mut self, input: &ChangeBatch, row: usize) -> Option<u32> {
        let identity = self.kept.identity.as_ref()?;
        let keys = Positions { columns: &input.columns, positions: &self.identity };
        hash_rows(self.identity.len(), |index| keys.key(index), &[row as u32], &mut self.hash);
        identity.table.find(&keys, self.hash[0], row)
    }

    /// Puts row `row` of `input` in the place of one with the same key and identity.
    pub fn replace(&mut self, slot: u32, input: &ChangeBatch, row: usize) {
        self.kept.rows.set(slot, |index| &input.columns[index], row);
        self.kept.times.set(slot, input.event_times[row]);
    }

    /// Takes a row out; of equal rows one.
    pub fn remove(&mut self, slot: u32) {
        let kept = &mut self.kept;
        if let Some(Identity { table, counts }) = &mut kept.identity {
            let left = counts.values()[slot as usize] - 1;
            counts.set(slot, left);
            if left > 0 {
                return;
            }
            table.remove(slot);
        }
        let Link { group, previous, next } = kept.links.values()[slot as usize];
        let mut ends = kept.ends.values()[group as usize];
        if previous == NONE {
            ends.first = next;
        } else {
            let link = kept.links.values()[previous as usize];
            kept.links.set(previous, Link { next, ..link });
        }
        if next == NONE {
            ends.last = previous;
        } else {
            let link = kept.links.values()[next as usize];
            kept.links.set(next, Link { previous, ..link });
        }
        kept.ends.set(group, ends);
        if ends.first == NONE {
            kept.keys.remove(group);
        }
        if let Some(slots) = &mut kept.slots {
            slots.put_back(slot);
        }
    }
}

composite_state!(KeyedRows { kept });
