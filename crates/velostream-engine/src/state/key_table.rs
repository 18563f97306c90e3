//! Keys to dense group numbers.

use super::row_hash::{ColumnKey, hash_rows, values_equal};
use super::{
    GroupColumns, RowStore, SnapshotReader, SnapshotWriter, State, StateCell, Storable, read_values,
    write_length,
};
use crate::column::{Column, Values};
use crate::error::{EngineError, Result};
use hashbrown::HashTable;
use velostream_sql::types::DataType;

/// A group's number: dense, used again after the group is gone.
pub type GroupId = u32;

/// The birth of a number that no group has.
const UNBORN: u64 = u64::MAX;

/// The key columns of an input, by position in the key.
pub trait KeySource {
    /// Key column `index`.
    fn key(&self, index: usize) -> &Column;
}

/// Some columns of a batch as a key.
#[derive(Debug, Clone, Copy)]
pub struct KeyColumns<'a> {
    /// The batch's columns.
    pub columns: &'a [Column],
    /// Where the key's stand among them.
    pub positions: &'a [usize],
}

impl KeySource for KeyColumns<'_> {
    #[inline]
    fn key(&self, index: usize) -> &Column {
        &self.columns[self.positions[index]]
    }
}

impl KeySource for &[Column] {
    fn key(&self, index: usize) -> &Column {
        &self[index]
    }
}

/// What happened to a number while a savepoint is open.
#[derive(Debug)]
enum Entry {
    /// Given to a group; whether it was used before.
    Taken { group: GroupId, reused: bool },
    /// Its group went.
    Released(GroupId),
}

/// A hash table from keys to group numbers, the keys in columns indexed by group.
///
/// Numbers released while a savepoint is open are used again only after it ended, so that a rollback finds
/// their keys in place.
#[derive(Debug)]
pub struct KeyTable {
    table: HashTable<GroupId>,
    hashes: Vec<u64>,
    rows: RowStore,
    /// When each group came, in order of coming; `UNBORN` for a free number.
    births: GroupColumns<u64>,
    next_birth: StateCell<u64>,
    free: Vec<GroupId>,
    /// Released under an open savepoint.
    pending: Vec<GroupId>,
    log: Vec<Entry>,
    marks: Vec<usize>,
}

impl KeyTable {
    /// An empty table over keys of these types.
    #[must_use]
    pub fn new(types: &[DataType]) -> Self {
        Self {
            table: HashTable::new(),
            hashes: Vec::new(),
            rows: RowStore::new(types),
            births: GroupColumns::default(),
            next_birth: StateCell::new(0),
            free: Vec::new(),
            pending: Vec::new(),
            log: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// One more than the largest number given so far.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.rows.len()
    }

    /// The key columns, indexed by group.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        self.rows.columns()
    }

    /// When a group came, in order of coming.
    #[must_use]
    pub fn birth(&self, group: GroupId) -> u64 {
        self.births.values()[group as usize]
    }

    /// The birth that the next group gets.
    #[must_use]
    pub fn next_birth(&self) -> u64 {
        *self.next_birth.get()
    }

    /// Gives the groups to come births from `birth` on, which none has yet: so births of several tables are in one
    /// order.
    pub fn continue_from(&mut self, birth: u64) {
        self.next_birth.set(birth);
    }

    /// Gives a group another birth.
    pub fn set_birth(&mut self, group: GroupId, birth: u64) {
        self.births.set(group, birth);
    }

    /// The hash that a group came with.
    #[must_use]
    pub fn hash(&self, group: GroupId) -> u64 {
        self.hashes[group as usize]
    }

    /// All groups in order of their coming.
    pub fn in_order(&self, groups: &mut Vec<GroupId>) {
        let births = self.births.values();
        groups.clear();
        groups.extend(0..births.len() as u32);
        if !births.is_sorted() || births.last() == Some(&UNBORN) {
            groups.retain(|&group| births[group as usize] != UNBORN);
            groups.sort_unstable_by_key(|&group| births[group as usize]);
        }
    }

    /// Finds the groups of `rows`, whose hashes are `hashes`, and appends them to `groups`; makes those that
    /// are missing and appends to `fresh` 1 for the rows that made one, else 0. Gives whether any was made.
    pub fn find_or_insert(
        &mut self,
        keys: &impl KeySource,
        hashes: &[u64],
        rows: &[u32],
        groups: &mut Vec<GroupId>,
        fresh: &mut Vec<u8>,
    ) -> bool {
        let single = self.rows.columns().len() == 1;
        let dense = single
            && self.rows.columns()[0].validity.mask().is_none()
            && keys.key(0).validity.mask().is_none();
        macro_rules! probe {
            ($variant:ident, $given:expr) => {
                self.probe(keys, hashes, rows, groups, fresh, |stored, row, group| {
                    match &stored.columns()[0].values {
                        Values::$variant(stored) => $given.same(row, stored, group as usize),
                        _ => unreachable!("keys keep their type"),
                    }
                })
            };
        }
        if dense {
            match &keys.key(0).values {
                Values::Text(given) => return probe!(Text, given),
                Values::I32(given) => return probe!(I32, given),
                Values::I64(given) => return probe!(I64, given),
                _ => {}
            }
        }
        self.probe(keys, hashes, rows, groups, fresh, |stored, row, group| {
            let columns = stored.columns().iter().enumerate();
            columns
                .into_iter()
                .all(|(index, stored)| values_equal(keys.key(index), row, stored, group as usize))
        })
    }

    fn probe(
        &mut self,
        keys: &impl KeySource,
        hashes: &[u64],
        rows: &[u32],
        groups: &mut Vec<GroupId>,
        fresh: &mut Vec<u8>,
        same: impl Fn(&RowStore, usize, GroupId) -> bool,
    ) -> bool {
        let before = *self.next_birth.get();
        groups.reserve(rows.len());
        fresh.reserve(rows.len());
        for (&row, &hash) in rows.iter().zip(hashes) {
            let row = row as usize;
            let found = self
                .table
                .find(hash, |&group| self.hashes[group as usize] == hash && same(&self.rows, row, group));
            match found {
                Some(&group) => {
                    groups.push(group);
                    fresh.push(0);
                }
                None => {
                    groups.push(self.insert(keys, hash, row));
                    fresh.push(1);
                }
            }
        }
        *self.next_birth.get() != before
    }

    /// The group of row `row`, whose hash is `hash`, if there is one.
    #[must_use]
    pub fn find(&self, keys: &impl KeySource, hash: u64, row: usize) -> Option<GroupId> {
        let same = |group: GroupId| {
            let columns = self.rows.columns().iter().enumerate();
            columns
                .into_iter()
                .all(|(index, stored)| values_equal(keys.key(index), row, stored, group as usize))
        };
        self.table.find(hash, |&group| self.hashes[group as usize] == hash && same(group)).copied()
    }

    /// Makes a group of a key that has none.
    pub fn insert(&mut self, keys: &impl KeySource, hash: u64, row: usize) -> GroupId {
        let reused = self.free.pop();
        let birth = *self.next_birth.get();
        self.next_birth.set(birth + 1);
        let group = match reused {
            Some(group) => {
                self.rows.set(group, |index| keys.key(index), row);
                self.hashes[group as usize] = hash;
                self.births.set(group, birth);
                group
            }
            None => {
                let group = u32::try_from(self.rows.len()).expect("groups are limited by memory");
                self.rows.push(|index| keys.key(index), row);
                self.hashes.push(hash);
                self.births.push(birth);
                group
            }
        };
        self.enter(group, hash);
        if !self.marks.is_empty() {
            self.log.push(Entry::Taken { group, reused: reused.is_some() });
        }
        group
    }

    fn enter(&mut self, group: GroupId, hash: u64) {
        let hashes = &self.hashes;
        self.table.insert_unique(hash, group, |&other| hashes[other as usize]);
    }

    fn leave(&mut self, group: GroupId) {
        let hash = self.hashes[group as usize];
        let entry = self.table.find_entry(hash, |&other| other == group);
        entry.expect("the group is in the table").remove();
    }

    /// Takes a group out; its number is used again.
    pub fn remove(&mut self, group: GroupId) {
        self.leave(group);
        self.births.set(group, UNBORN);
        if self.marks.is_empty() {
            self.free.push(group);
        } else {
            self.pending.push(group);
            self.log.push(Entry::Released(group));
        }
    }

    /// Takes all groups out and keeps the buffers. No savepoint is open.
    pub fn clear(&mut self) {
        debug_assert!(self.marks.is_empty());
        self.table.clear();
        self.hashes.clear();
        self.rows.clear();
        self.births.clear();
        self.next_birth.set(0);
        self.free.clear();
    }

    /// Whether every number that is not free has a birth, and every free one none.
    fn is_consistent(&self) -> bool {
        let births = self.births.values();
        let unborn = births.iter().filter(|&&birth| birth == UNBORN).count();
        births.len() == self.rows.len()
            && unborn == self.free.len()
            && self.free.iter().all(|&group| births.get(group as usize) == Some(&UNBORN))
    }
}

impl State for KeyTable {
    fn savepoint(&mut self) {
        self.rows.savepoint();
        self.births.savepoint();
        self.next_birth.savepoint();
        self.marks.push(self.log.len());
    }

    fn rollback(&mut self) {
        let mark = self.marks.pop().expect("rollback follows savepoint");
        while self.log.len() > mark {
            match self.log.pop().expect("the log is longer than its mark") {
                Entry::Taken { group, reused } => {
                    self.leave(group);
                    if reused {
                        self.free.push(group);
                    } else {
                        self.hashes.pop();
                    }
                }
                Entry::Released(group) => {
                    self.pending.pop();
                    self.enter(group, self.hashes[group as usize]);
                }
            }
        }
        self.rows.rollback();
        self.births.rollback();
        self.next_birth.rollback();
    }

    fn commit(&mut self) {
        self.marks.pop().expect("commit follows savepoint");
        self.rows.commit();
        self.births.commit();
        self.next_birth.commit();
        if self.marks.is_empty() {
            self.log.clear();
            if !self.pending.is_empty() {
                self.free.append(&mut self.pending);
            }
        }
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.rows.snapshot(writer)?;
        self.births.snapshot(writer)?;
        self.next_birth.snapshot(writer)?;
        write_length(self.free.len(), writer)?;
        self.free.iter().try_for_each(|group| group.store(writer))
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.clear();
        self.rows.restore(reader)?;
        self.births.restore(reader)?;
        self.next_birth.restore(reader)?;
        self.free = read_values(reader)?;
        if !self.is_consistent() {
            return Err(EngineError::Snapshot("the groups are damaged".into()));
        }
        let all: Vec<u32> = (0..self.rows.len() as u32).collect();
        let mut hashes = Vec::new();
        let columns = self.rows.columns();
        hash_rows(columns.len(), |index| &columns[index], &all, &mut hashes);
        self.hashes = hashes;
        for group in all {
            if self.birth(group) != UNBORN {
                self.enter(group, self.hashes[group as usize]);
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.table.capacity() * 5
            + self.hashes.capacity() * 8
            + self.rows.bytes()
            + self.births.bytes()
            + (self.free.capacity() + self.pending.capacity()) * 4
            + self.log.capacity() * size_of::<Entry>()
    }

    fn release(&mut self) {
        self.table = HashTable::new();
        self.hashes = Vec::new();
        self.rows.release();
        self.births.release();
        self.next_birth.set(0);
        self.free = Vec::new();
        self.pending = Vec::new();
        self.log = Vec::new();
    }
}
