//! Text and byte values: a 16-byte view per row, short values inline, long ones in the column's own heap.
//!
//! The layout is that of Neumann and Freitag, "Umbra: A Disk-Based System with In-Memory Performance"
//! (CIDR 2020): comparing two views settles most inequalities without touching the heap.

use super::spread::spread;
use std::ops::Range;

/// Longest value, in bytes, that a view holds itself.
pub const INLINE_MAX: usize = 12;

/// The mask of the first n bytes at n.
const FIRST_BYTES: [u128; INLINE_MAX + 1] = {
    let mut masks = [0; INLINE_MAX + 1];
    let mut length = 1;
    while length <= INLINE_MAX {
        masks[length] = masks[length - 1] << 8 | 0xff;
        length += 1;
    }
    masks
};

/// A value's length with its bytes (at most 12, zero-padded) or its first four bytes and heap offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(8))]
pub struct TextView {
    length: u32,
    bytes: [u8; 12],
}

impl TextView {
    /// Reads the value in pieces of fixed size that overlap: a copy of unknown length would be a call.
    #[inline]
    fn inline(value: &[u8]) -> Self {
        let length = value.len();
        let (mut low, mut high) = (0, 0);
        if let (Some(first), Some(last)) = (value.first_chunk(), value.last_chunk()) {
            low = u64::from_le_bytes(*first);
            high = (u64::from(u32::from_le_bytes(*last)) >> (8 * (INLINE_MAX - length))) as u32;
        } else if let (Some(first), Some(last)) = (value.first_chunk(), value.last_chunk()) {
            low = u64::from(u32::from_le_bytes(*first))
                | u64::from(u32::from_le_bytes(*last)) << (8 * (length - 4));
        } else {
            for (at, &byte) in value.iter().enumerate() {
                low |= u64::from(byte) << (8 * at);
            }
        }
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&low.to_le_bytes());
        bytes[8..].copy_from_slice(&high.to_le_bytes());
        Self { length: length as u32, bytes }
    }

    /// The first `length` bytes, at most 12.
    #[inline]
    fn first_of(piece: &[u8; 16], length: usize) -> Self {
        let value = u128::from_le_bytes(*piece) & FIRST_BYTES[length];
        let mut bytes = [0; 12];
        bytes.copy_from_slice(&value.to_le_bytes()[..12]);
        Self { length: length as u32, bytes }
    }

    fn outlined(prefix: [u8; 4], length: u32, offset: u64) -> Self {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&prefix);
        bytes[4..].copy_from_slice(&offset.to_le_bytes());
        Self { length, bytes }
    }

    /// Length in bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether it is the empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the view holds the whole value.
    #[must_use]
    #[inline]
    pub fn is_inline(&self) -> bool {
        self.len() <= INLINE_MAX
    }

    /// Equal for two values exactly if these are; `None` where the view does not hold the whole value.
    #[must_use]
    #[inline]
    pub fn key(&self) -> Option<u128> {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..].copy_from_slice(&self.bytes);
        self.is_inline().then(|| u128::from_le_bytes(bytes))
    }

    fn offset(&self) -> usize {
        let mut offset = [0; 8];
        offset.copy_from_slice(&self.bytes[4..]);
        u64::from_le_bytes(offset) as usize
    }
}

/// Appends a value to a heap, one that is not long in two pieces of fixed size that overlap, as [`TextView::inline`]
/// reads them.
#[inline]
fn append(heap: &mut Vec<u8>, value: &[u8]) {
    let begin = heap.len();
    match (value.first_chunk::<16>(), value.last_chunk::<16>()) {
        (Some(first), Some(last)) if value.len() <= 32 => {
            heap.extend_from_slice(first);
            heap.truncate(begin + value.len() - 16);
            heap.extend_from_slice(last);
        }
        (None, None) => {
            let (Some(first), Some(last)) = (value.first_chunk::<8>(), value.last_chunk::<8>()) else {
                return heap.extend_from_slice(value);
            };
            heap.extend_from_slice(first);
            heap.truncate(begin + value.len() - 8);
            heap.extend_from_slice(last);
        }
        _ => heap.extend_from_slice(value),
    }
}

/// A column of texts or byte strings.
#[derive(Debug, Clone, Default)]
pub struct TextColumn {
    views: Vec<TextView>,
    heap: Vec<u8>,
    /// Whether `set` has run since the last clear, so that heap offsets no longer ascend with the rows.
    disordered: bool,
}

impl PartialEq for TextColumn {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|row| self.get(row) == other.get(row))
    }
}

impl TextColumn {
    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// The bytes of row `row`.
    #[must_use]
    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        let view = &self.views[row];
        if view.is_inline() {
            &view.bytes[..view.len()]
        } else {
            &self.heap[view.offset()..view.offset() + view.len()]
        }
    }

    /// The text of row `row` of a STRING column.
    #[must_use]
    #[inline]
    pub fn str(&self, row: usize) -> &str {
        std::str::from_utf8(self.get(row)).expect("a STRING column holds UTF-8")
    }

    /// The views; two inline views are equal exactly if their values are.
    #[must_use]
    pub fn views(&self) -> &[TextView] {
        &self.views
    }

    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        if value.len() <= INLINE_MAX {
            self.views.push(TextView::inline(value));
        } else {
            let prefix = [value[0], value[1], value[2], value[3]];
            self.views.push(TextView::outlined(prefix, value.len() as u32, self.heap.len() as u64));
            append(&mut self.heap, value);
        }
    }

    /// Appends `bytes[place]`. Where enough bytes follow a short value, it is read in one piece, whatever its length.
    #[inline]
    pub fn push_part(&mut self, bytes: &[u8], place: Range<usize>) {
        if place.len() <= INLINE_MAX
            && let Some(piece) = bytes.get(place.start..).and_then(<[u8]>::first_chunk)
        {
            self.views.push(TextView::first_of(piece, place.len()));
        } else {
            self.push(&bytes[place]);
        }
    }

    /// Appends row `row` of `other`.
    #[inline]
    pub fn push_from(&mut self, other: &Self, row: usize) {
        let view = other.views[row];
        if view.is_inline() {
            self.views.push(view);
        } else {
            self.push(other.get(row));
        }
    }

    /// Appends rows `from..to` of `other`.
    pub fn extend_range(&mut self, other: &Self, from: usize, to: usize) {
        if other.heap.is_empty() {
            self.views.extend_from_slice(&other.views[from..to]);
            return;
        }
        for row in from..to {
            self.push_from(other, row);
        }
    }

    /// Appends the selected rows of `other`.
    pub fn extend_selected(&mut self, other: &Self, rows: &[u32]) {
        if other.heap.is_empty() {
            self.views.extend(rows.iter().map(|&row| other.views[row as usize]));
            return;
        }
        for &row in rows {
            self.push_from(other, row as usize);
        }
    }

    /// Replaces the value of row `row`. The old long value stays in the heap until the column is cleared.
    pub fn set(&mut self, row: usize, value: &[u8]) {
        self.push(value);
        let view = self.views.swap_remove(self.views.len() - 1);
        self.views[row] = view;
        self.disordered = true;
    }

    /// Whether row `row` equals row `other_row` of `other`.
    #[must_use]
    #[inline]
    pub fn equals(&self, row: usize, other: &Self, other_row: usize) -> bool {
        let (a, b) = (&self.views[row], &other.views[other_row]);
        if a.length != b.length {
            false
        } else if a.is_inline() {
            a.bytes == b.bytes
        } else {
            a.bytes[..4] == b.bytes[..4] && self.get(row) == other.get(other_row)
        }
    }

    /// Appends copies of row 0, which share its bytes, until there are `rows` rows.
    pub fn repeat_first(&mut self, rows: usize) {
        let first = self.views[0];
        self.disordered |= !first.is_inline();
        self.views.resize(self.views.len().max(rows), first);
    }

    /// Moves row `i` to row `rows[i]` of `total`, as [`super::Column::spread`].
    pub(super) fn spread(&mut self, rows: &[u32], total: usize) {
        spread(&mut self.views, rows, total);
        self.disordered = true;
    }

    /// Makes the value empty wherever `mask` is 0.
    pub fn blank(&mut self, mask: &[u8]) {
        for (view, &valid) in self.views.iter_mut().zip(mask) {
            if valid == 0 && !view.is_empty() {
                *view = TextView::default();
            }
        }
    }

    /// Keeps the first `rows` rows; the heap goes when none is left.
    pub fn truncate(&mut self, rows: usize) {
        if rows == 0 {
            self.heap.clear();
            self.disordered = false;
        } else if self.disordered {
            // Earlier rows may lie anywhere in the heap: it stays until the column is cleared.
        } else if let Some(view) =
            self.views.get(rows..).and_then(|gone| gone.iter().find(|v| !v.is_inline()))
        {
            self.heap.truncate(view.offset());
        }
        self.views.truncate(rows);
    }

    /// Bytes held.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.views.capacity() * size_of::<TextView>() + self.heap.capacity()
    }
}
