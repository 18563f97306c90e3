//! The rows of a table: keyed, or a multiset of rows without key.
//!
//! Takes replacements and tombstones, gives the exact changes with the old rows, and can take back what it
//! did since a savepoint.

use std::collections::{BTreeMap, HashMap};
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_engine::column::{Column, Values};
use velostream_engine::time::EventTime;
use velostream_sql::types::Schema;

/// A row's place in the order of arrival, which is the order in which a table is read.
type Order = u64;

/// A row as it is kept: each column's value in bytes, and its event time.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    values: Box<[u8]>,
    event_time: EventTime,
}

enum Undo {
    Added(Order),
    Removed(Order, Box<[u8]>, Row),
}

/// The rows of one table.
pub struct TableStore {
    types: Vec<velostream_sql::types::DataType>,
    /// Positions of the key's columns; all columns where there is no key.
    key: Vec<usize>,
    unique: bool,
    /// Per key, its rows in order; more than one only in a multiset.
    orders: HashMap<Box<[u8]>, Vec<Order>>,
    rows: BTreeMap<Order, (Box<[u8]>, Row)>,
    next: Order,
    bytes: usize,
    /// What was done since the outermost savepoint.
    undo: Vec<Undo>,
    /// Length of `undo` at each open savepoint.
    marks: Vec<usize>,
}

/// What a row costs beside its bytes: map entries and lengths.
const ROW_OVERHEAD_BYTES: usize = 112;

impl TableStore {
    /// An empty table.
    pub fn new(schema: &Schema) -> Self {
        let types = schema.fields.iter().map(|field| field.data_type).collect::<Vec<_>>();
        let unique = schema.has_key();
        let key = if unique { schema.primary_key.clone() } else { (0..types.len()).collect() };
        Self {
            types,
            key,
            unique,
            orders: HashMap::new(),
            rows: BTreeMap::new(),
            next: 0,
            bytes: 0,
            undo: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// From here on `rollback` takes back; savepoints nest.
    pub fn savepoint(&mut self) {
        self.marks.push(self.undo.len());
    }

    /// Keeps what was done since the innermost savepoint.
    pub fn commit(&mut self) {
        self.marks.pop();
        if self.marks.is_empty() {
            self.undo.clear();
        }
    }

    /// Takes back what was done since the innermost savepoint.
    pub fn rollback(&mut self) {
        let mark = self.marks.pop().unwrap_or(0);
        while self.undo.len() > mark {
            match self.undo.pop() {
                Some(Undo::Added(order)) => drop(self.take(order)),
                Some(Undo::Removed(order, key, row)) => self.put(order, key, row),
                None => return,
            }
        }
    }

    fn put(&mut self, order: Order, key: Box<[u8]>, row: Row) {
        self.bytes += key.len() * 2 + row.values.len() + ROW_OVERHEAD_BYTES;
        let orders = self.orders.entry(key.clone()).or_default();
        let at = orders.partition_point(|&other| other < order);
        orders.insert(at, order);
        self.rows.insert(order, (key, row));
    }

    fn take(&mut self, order: Order) -> Option<(Box<[u8]>, Row)> {
        let (key, row) = self.rows.remove(&order)?;
        if let Some(orders) = self.orders.get_mut(&key) {
            orders.retain(|&other| other != order);
            if orders.is_empty() {
                self.orders.remove(&key);
            }
        }
        self.bytes -= key.len() * 2 + row.values.len() + ROW_OVERHEAD_BYTES;
        Some((key, row))
    }

    fn add(&mut self, order: Order, key: Box<[u8]>, row: Row) {
        if !self.marks.is_empty() {
            self.undo.push(Undo::Added(order));
        }
        self.put(order, key, row);
    }

    fn remove(&mut self, order: Order) -> Option<Row> {
        let (key, row) = self.take(order)?;
        if !self.marks.is_empty() {
            self.undo.push(Undo::Removed(order, key, row.clone()));
        }
        Some(row)
    }

    /// Applies rows, each under its mark, and appends what they change to `out`: an addition replaces the row
    /// with its key, a deletion takes it out (of a multiset: one equal row), an update-before is passed over.
    pub fn apply(&mut self, given: &ChangeBatch, out: &mut ChangeBatch) {
        let mut key = Vec::new();
        let mut values = Vec::new();
        for row in 0..given.len() {
            let op = given.ops[row];
            if op == Op::UpdateBefore && self.unique {
                continue;
            }
            key.clear();
            self.key.iter().for_each(|&column| store(&given.columns[column], row, &mut key));
            let known = self.orders.get(key.as_slice()).and_then(|orders| orders.first()).copied();
            let (seq, time) = (given.seqs[row], given.event_times[row]);
            if !op.is_addition() {
                if let Some(old) = known.and_then(|order| self.remove(order)) {
                    self.push(out, &old, Op::Delete, seq);
                }
                continue;
            }
            values.clear();
            given.columns.iter().for_each(|column| store(column, row, &mut values));
            let new = Row { values: values.as_slice().into(), event_time: time };
            match known.filter(|_| self.unique) {
                Some(order) => self.replace(order, key.as_slice().into(), new, seq, out),
                None => {
                    self.push(out, &new, Op::Insert, seq);
                    let order = self.next;
                    self.next += 1;
                    self.add(order, key.as_slice().into(), new);
                }
            }
        }
    }

    fn replace(&mut self, order: Order, key: Box<[u8]>, new: Row, seq: Seq, out: &mut ChangeBatch) {
        let old = self.remove(order).expect("a known key has a row");
        if old.values != new.values {
            self.push(out, &old, Op::UpdateBefore, seq);
            self.push(out, &new, Op::UpdateAfter, seq);
        }
        self.add(order, key, new);
    }

    fn push(&self, out: &mut ChangeBatch, row: &Row, op: Op, seq: Seq) {
        let mut bytes: &[u8] = &row.values;
        out.columns.iter_mut().for_each(|column| load(column, &mut bytes));
        out.push_mark(op, seq, row.event_time);
    }

    /// All rows in order of arrival, as inserts of one step.
    pub fn rows(&self, seq: Seq) -> ChangeBatch {
        let mut out = ChangeBatch::new(&self.types);
        for (_, row) in self.rows.values() {
            self.push(&mut out, row, Op::Insert, seq);
        }
        out
    }

    /// An empty batch of the table's columns.
    pub fn empty(&self) -> ChangeBatch {
        ChangeBatch::new(&self.types)
    }
}

/// Appends a value: a byte for NULL or not, then a fixed width or a length and bytes. Equal values have equal
/// bytes: doubles are brought to one zero and one NaN.
fn store(column: &Column, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        out.push(0);
        return;
    }
    out.push(1);
    match &column.values {
        Values::Bool(values) => out.push(values[row]),
        Values::I32(values) => out.extend_from_slice(&values[row].to_le_bytes()),
        Values::I64(values) => out.extend_from_slice(&values[row].to_le_bytes()),
        Values::F64(values) => {
            let value = values[row];
            let value = if value == 0.0 {
                0.0
            } else if value.is_nan() {
                f64::NAN
            } else {
                value
            };
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        Values::I128(values) => out.extend_from_slice(&values[row].to_le_bytes()),
        Values::Text(values) => {
            let bytes = values.get(row);
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        }
        Values::Interval(_) => unreachable!("no column of a relation is an INTERVAL"),
    }
}

/// Takes one value from the front of what `store` wrote.
fn load(column: &mut Column, bytes: &mut &[u8]) {
    fn fixed<const WIDTH: usize>(bytes: &mut &[u8]) -> [u8; WIDTH] {
        let (value, rest) = bytes.split_first_chunk().expect("a stored row has all its columns");
        *bytes = rest;
        *value
    }
    if fixed::<1>(bytes) == [0] {
        column.push_null();
        return;
    }
    let rows = column.len();
    match &mut column.values {
        Values::Bool(values) => values.push(fixed::<1>(bytes)[0]),
        Values::I32(values) => values.push(i32::from_le_bytes(fixed(bytes))),
        Values::I64(values) => values.push(i64::from_le_bytes(fixed(bytes))),
        Values::F64(values) => values.push(f64::from_bits(u64::from_le_bytes(fixed(bytes)))),
        Values::I128(values) => values.push(i128::from_le_bytes(fixed(bytes))),
        Values::Text(values) => {
            let length = u32::from_le_bytes(fixed(bytes)) as usize;
            let (value, rest) = bytes.split_at(length);
            values.push(value);
            *bytes = rest;
        }
        Values::Interval(_) => unreachable!("no column of a relation is an INTERVAL"),
    }
    column.validity.push(rows, true);
}
