//! Texts that come again within a block: each then crosses once, and is made a string once.

use velostream_engine::column::TextView;

/// Most different texts: their numbers, and how many they are, take a byte.
const DIFFERENT_MAX: usize = 255;
/// Places for them, a power of two of which at most half are taken.
const SLOTS: usize = 512;
/// From here on a byte per row and an end per text take no more room than an end per row, if on average each
/// text comes twice.
const ROWS_MIN: usize = 16;

/// Which rows of a column have the same text; the buffers are reused from column to column.
#[derive(Debug)]
pub struct Repeats {
    /// By hash, one more than the number of the text there; 0 where none is.
    slots: [u8; SLOTS],
    keys: Vec<u128>,
    firsts: Vec<u32>,
    numbers: Vec<u8>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { slots: [0; SLOTS], keys: Vec::new(), firsts: Vec::new(), numbers: Vec::new() }
    }
}

impl Repeats {
    /// Numbers the different texts of a column's rows, NULLs as empty ones; `mask` is 0 where a row is NULL. False
    /// where that does not pay: for long texts, for many different ones, for few rows.
    pub(super) fn find(&mut self, views: &[TextView], mask: Option<&[u8]>) -> bool {
        if views.len() < ROWS_MIN {
            return false;
        }
        self.slots.fill(0);
        self.keys.clear();
        self.firsts.clear();
        self.numbers.clear();
        for (row, view) in views.iter().enumerate() {
            let is_null = mask.is_some_and(|mask| mask[row] == 0);
            let Some(key) = (if is_null { TextView::default().key() } else { view.key() }) else {
                return false;
            };
            let Some(number) = self.number(key, row) else {
                return false;
            };
            self.numbers.push(number);
        }
        self.firsts.len() * 2 <= views.len()
    }

    /// The number of the text with this key, a new one if need be; `None` for one too many.
    #[inline]
    fn number(&mut self, key: u128, row: usize) -> Option<u8> {
        let mut slot = slot_of(key);
        loop {
            match self.slots[slot] {
                0 if self.keys.len() == DIFFERENT_MAX => return None,
                0 => {
                    let number = self.keys.len() as u8;
                    self.slots[slot] = number + 1;
                    self.keys.push(key);
                    self.firsts.push(row as u32);
                    return Some(number);
                }
                taken if self.keys[usize::from(taken) - 1] == key => return Some(taken - 1),
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }

    /// Per different text, the row where it first comes.
    pub(super) fn firsts(&self) -> &[u32] {
        &self.firsts
    }

    /// Per row, its text's number.
    pub(super) fn numbers(&self) -> &[u8] {
        &self.numbers
    }
}

/// Multiplicative hashing by 2^64 over the golden ratio (Knuth, "The Art of Computer Programming", 6.4).
#[inline]
fn slot_of(key: u128) -> usize {
    let folded = (key as u64).rotate_left(29) ^ (key >> 64) as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOTS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::Repeats;
    use velostream_engine::column::TextColumn;

    fn column(texts: impl IntoIterator<Item = String>) -> TextColumn {
        let mut column = TextColumn::default();
        texts.into_iter().for_each(|text| column.push(text.as_bytes()));
        column
    }

    #[test]
    fn equal_texts_share_a_number_and_nulls_are_empty() {
        let texts = column((0..600).map(|row| format!("SYM{}", row % 255)));
        let mut repeats = Repeats::default();
        assert!(repeats.find(texts.views(), None));
        assert!((0..600).all(|row| usize::from(repeats.numbers()[row]) == row % 255));
        assert_eq!(repeats.firsts(), (0..255).collect::<Vec<u32>>());

        let mask: Vec<u8> = (0..600).map(|row| u8::from(row % 4 == 0)).collect();
        assert!(repeats.find(texts.views(), Some(&mask)));
        assert_eq!(repeats.numbers()[..5], [0, 1, 1, 1, 2]);
        assert_eq!(repeats.firsts()[..3], [0, 1, 4]);
    }

    #[test]
    fn what_does_not_pay_stays_plain() {
        let mut repeats = Repeats::default();
        let few = column((0..15).map(|_| "a".to_owned()));
        let different = column((0..100).map(|row| (row % 51).to_string()));
        let many = column((0..1024).map(|row| (row % 256).to_string()));
        let long = column((0..100).map(|_| "thirteen chars".to_owned()));
        assert!(!repeats.find(few.views(), None));
        assert!(!repeats.find(different.views(), None));
        assert!(!repeats.find(many.views(), None));
        assert!(!repeats.find(long.views(), None));
    }
}
