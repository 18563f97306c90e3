//! Hashing and comparing rows by value, as GROUP BY does: NULLs are equal, so are NaNs, and both zeros.

use crate::column::{Column, TextColumn, Values};
use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hasher};

/// The seed is fixed: hashes must not differ between runs, since state is compared byte by byte.
const HASHER: FixedState = FixedState::with_seed(0x5eed_0f57_12ea_3117);
/// What a NULL hashes as.
const NULL_HASH: u64 = 0x6e75_6c6c;

/// A double's bits with one NaN and one zero.
#[inline]
fn normal_bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

/// Hashes the values at `rows` of the columns that `column` gives for `0..count` into `hashes`.
pub fn hash_rows<'a>(
    count: usize,
    column: impl Fn(usize) -> &'a Column,
    rows: &[u32],
    hashes: &mut Vec<u64>,
) {
    hashes.clear();
    hashes.resize(rows.len(), 0);
    for index in 0..count {
        hash_column(&HASHER, column(index), rows, hashes);
    }
}

fn hash_column(state: &FixedState, column: &Column, rows: &[u32], hashes: &mut [u64]) {
    let rows = &rows[..hashes.len()];
    macro_rules! mix {
        ($v:ident, |$row:ident, $hasher:ident| $write:expr) => {{
            let _ = &$v;
            for (index, hash) in hashes.iter_mut().enumerate() {
                let $row = rows[index] as usize;
                let mut $hasher = state.build_hasher();
                $hasher.write_u64(*hash);
                if column.validity.is_valid($row) {
                    $write;
                } else {
                    $hasher.write_u64(NULL_HASH);
                }
                *hash = $hasher.finish();
            }
        }};
    }
    match &column.values {
        Values::Bool(v) => mix!(v, |row, hasher| hasher.write_u64(u64::from(v[row]))),
        Values::I32(v) => mix!(v, |row, hasher| hasher.write_u64(v[row] as u64)),
        Values::I64(v) => mix!(v, |row, hasher| hasher.write_u64(v[row] as u64)),
        Values::F64(v) => mix!(v, |row, hasher| hasher.write_u64(normal_bits(v[row]))),
        Values::I128(v) => mix!(v, |row, hasher| hasher.write_u128(v[row] as u128)),
        Values::Text(v) => mix!(v, |row, hasher| match v.views()[row].key() {
            Some(key) => hasher.write_u128(key),
            None => hasher.write(v.get(row)),
        }),
        Values::Interval(v) => mix!(v, |row, hasher| {
            hasher.write_i32(v[row].months);
            hasher.write_i32(v[row].days);
            hasher.write_i64(v[row].micros);
        }),
    }
}

/// A column type whose values can be compared in a loop without asking for the type.
pub trait ColumnKey {
    /// Whether value `row` equals value `other_row` of `other`; neither is NULL.
    fn same(&self, row: usize, other: &Self, other_row: usize) -> bool;
}

macro_rules! plain_key {
    ($($type:ty),+) => {
        $(impl ColumnKey for Vec<$type> {
            #[inline]
            fn same(&self, row: usize, other: &Self, other_row: usize) -> bool {
                self[row] == other[other_row]
            }
        })+
    };
}
plain_key!(u8, i32, i64, i128, velostream_sql::plan::Interval);

impl ColumnKey for Vec<f64> {
    #[inline]
    fn same(&self, row: usize, other: &Self, other_row: usize) -> bool {
        normal_bits(self[row]) == normal_bits(other[other_row])
    }
}

impl ColumnKey for TextColumn {
    #[inline]
    fn same(&self, row: usize, other: &Self, other_row: usize) -> bool {
        let (mine, theirs) = (&self.views()[row], &other.views()[other_row]);
        if mine.is_inline() { mine == theirs } else { self.get(row) == other.get(other_row) }
    }
}

/// Whether two values of one type are the same, NULL being the same as NULL.
#[must_use]
#[inline]
pub fn values_equal(a: &Column, row: usize, b: &Column, other: usize) -> bool {
    match (a.validity.is_valid(row), b.validity.is_valid(other)) {
        (true, true) => {}
        (left, right) => return left == right,
    }
    match (&a.values, &b.values) {
        (Values::Bool(a), Values::Bool(b)) => a.same(row, b, other),
        (Values::I32(a), Values::I32(b)) => a.same(row, b, other),
        (Values::I64(a), Values::I64(b)) => a.same(row, b, other),
        (Values::F64(a), Values::F64(b)) => a.same(row, b, other),
        (Values::I128(a), Values::I128(b)) => a.same(row, b, other),
        (Values::Text(a), Values::Text(b)) => a.same(row, b, other),
        (Values::Interval(a), Values::Interval(b)) => a.same(row, b, other),
        _ => unreachable!("columns of one field have one physical type"),
    }
}

/// Whether two rows are the same.
#[must_use]
pub fn rows_equal(a: &[Column], row: usize, b: &[Column], other: usize) -> bool {
    a.iter().zip(b).all(|(a, b)| values_equal(a, row, b, other))
}
