//! How often each value stands in each group, in order of the values.

use super::{GroupId, SnapshotReader, SnapshotWriter, State, Storable, read_length, write_length};
use crate::error::Result;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Bytes of a tree entry besides the text it may own: key, count and the share of its node.
const ENTRY_OVERHEAD: usize = 16;

/// An owned value with a total order.
pub trait CountKey: Ord + Clone + Storable {
    /// A value that none is below.
    fn least() -> Self;
    /// Bytes owned beyond the value itself.
    fn owned_bytes(&self) -> usize {
        0
    }
}

impl CountKey for i64 {
    fn least() -> Self {
        Self::MIN
    }
}

impl CountKey for i128 {
    fn least() -> Self {
        Self::MIN
    }
}

/// A text or byte string, ordered by its bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextKey(pub Box<[u8]>);

impl Storable for TextKey {
    fn store(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.0.store(writer)
    }

    fn load(reader: &mut dyn SnapshotReader) -> Result<Self> {
        Box::load(reader).map(Self)
    }
}

impl CountKey for TextKey {
    fn least() -> Self {
        Self(Box::default())
    }

    fn owned_bytes(&self) -> usize {
        self.0.len()
    }
}

/// A multiset of values per group, with undo.
#[derive(Debug)]
pub struct OrderedCounts<K> {
    counts: BTreeMap<(GroupId, K), i64>,
    /// Entries changed since the outermost savepoint, with their counts before.
    undo: Vec<(GroupId, K, i64)>,
    marks: Vec<usize>,
    /// Bytes that the keys own.
    owned: usize,
}

impl<K> Default for OrderedCounts<K> {
    fn default() -> Self {
        Self { counts: BTreeMap::new(), undo: Vec::new(), marks: Vec::new(), owned: 0 }
    }
}

impl<K: CountKey> OrderedCounts<K> {
    /// Adds `by` to a value's count; gives the count before and after.
    pub fn add(&mut self, group: GroupId, key: K, by: i64) -> (i64, i64) {
        let before = self.put(group, key.clone(), |count| count + by);
        if !self.marks.is_empty() {
            self.undo.push((group, key, before));
        }
        (before, before + by)
    }

    fn put(&mut self, group: GroupId, key: K, count: impl Fn(i64) -> i64) -> i64 {
        let owned = key.owned_bytes();
        let entry = (group, key);
        let before = self.counts.get(&entry).copied().unwrap_or(0);
        let after = count(before);
        if after == 0 {
            if self.counts.remove(&entry).is_some() {
                self.owned -= owned;
            }
        } else if self.counts.insert(entry, after).is_none() {
            self.owned += owned;
        }
        before
    }

    /// How often a value stands in a group.
    #[must_use]
    pub fn count(&self, group: GroupId, key: K) -> i64 {
        self.counts.get(&(group, key)).copied().unwrap_or(0)
    }

    /// The smallest value of a group.
    #[must_use]
    pub fn first(&self, group: GroupId) -> Option<&K> {
        self.range(group).next().map(|((_, key), _)| key)
    }

    /// The largest value of a group.
    #[must_use]
    pub fn last(&self, group: GroupId) -> Option<&K> {
        self.range(group).next_back().map(|((_, key), _)| key)
    }

    fn range(&self, group: GroupId) -> std::collections::btree_map::Range<'_, (GroupId, K), i64> {
        let from = Bound::Included((group, K::least()));
        match group.checked_add(1) {
            Some(next) => self.counts.range((from, Bound::Excluded((next, K::least())))),
            None => self.counts.range((from, Bound::Unbounded)),
        }
    }

    /// The values of a group with their counts, in order.
    pub fn entries(&self, group: GroupId) -> impl Iterator<Item = (&K, i64)> {
        self.range(group).map(|((_, key), &count)| (key, count))
    }

    /// Takes all values of a group out.
    pub fn remove(&mut self, group: GroupId) {
        let entries: Vec<(K, i64)> = self.entries(group).map(|(key, count)| (key.clone(), count)).collect();
        for (key, count) in entries {
            self.add(group, key, -count);
        }
    }

    /// Takes everything out. No savepoint is open.
    pub fn clear(&mut self) {
        debug_assert!(self.marks.is_empty());
        self.counts.clear();
        self.owned = 0;
    }
}

impl<K: CountKey> State for OrderedCounts<K> {
    fn savepoint(&mut self) {
        self.marks.push(self.undo.len());
    }

    fn rollback(&mut self) {
        let mark = self.marks.pop().expect("rollback follows savepoint");
        while self.undo.len() > mark {
            let (group, key, count) = self.undo.pop().expect("the log is longer than its mark");
            self.put(group, key, |_| count);
        }
    }

    fn commit(&mut self) {
        self.marks.pop().expect("commit follows savepoint");
        if self.marks.is_empty() {
            self.undo.clear();
        }
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        write_length(self.counts.len(), writer)?;
        for ((group, key), count) in &self.counts {
            group.store(writer)?;
            key.store(writer)?;
            count.store(writer)?;
        }
        Ok(())
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.clear();
        for _ in 0..read_length(reader)? {
            let (group, key, count) = (u32::load(reader)?, K::load(reader)?, i64::load(reader)?);
            self.put(group, key, |_| count);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let entry = size_of::<(GroupId, K)>() + ENTRY_OVERHEAD;
        self.counts.len() * entry + self.owned + self.undo.capacity() * size_of::<(GroupId, K, i64)>()
    }

    fn release(&mut self) {
        *self = Self::default();
    }
}
