//! [`Pick`]: rows out of several columns, or batches, in any order.

use super::{Column, Values};
use crate::batch::ChangeBatch;

/// A row of one of several parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Pick {
    /// Which part.
    pub part: u32,
    /// Which of its rows.
    pub row: u32,
}

impl Pick {
    fn of<T: Copy>(self, parts: &[&[T]]) -> T {
        parts[self.part as usize][self.row as usize]
    }
}

impl Column {
    /// Appends the picked rows of `parts`, columns of the same physical type.
    pub fn extend_picked(&mut self, parts: &[&Self], picks: &[Pick]) {
        let before = self.len();
        macro_rules! gather {
            ($out:expr, $kind:ident) => {{
                let slices = slices(parts, |values| match values {
                    Values::$kind(values) => Some(values.as_slice()),
                    _ => None,
                });
                $out.extend(picks.iter().map(|pick| pick.of(&slices)))
            }};
        }
        match &mut self.values {
            Values::Bool(out) => gather!(out, Bool),
            Values::I32(out) => gather!(out, I32),
            Values::I64(out) => gather!(out, I64),
            Values::F64(out) => gather!(out, F64),
            Values::I128(out) => gather!(out, I128),
            Values::Interval(out) => gather!(out, Interval),
            Values::Text(out) => {
                for pick in picks {
                    if let Values::Text(from) = &parts[pick.part as usize].values {
                        out.push_from(from, pick.row as usize);
                    }
                }
            }
        }
        let is_valid = |pick: &Pick| u8::from(parts[pick.part as usize].validity.is_valid(pick.row as usize));
        if parts.iter().all(|part| part.validity.mask().is_none()) {
            self.validity.extend_valid(before, picks.len());
        } else {
            self.validity.extend_mask(before, picks.iter().map(is_valid));
        }
    }
}

/// The values of each part.
fn slices<'a, T>(parts: &[&'a Column], values: impl Fn(&'a Values) -> Option<&'a [T]>) -> Vec<&'a [T]> {
    let each = parts.iter().map(|part| values(&part.values));
    each.collect::<Option<_>>().expect("columns of one field have one physical type")
}

impl ChangeBatch {
    /// Appends the picked rows of `parts`, which have the same types.
    pub fn extend_picked(&mut self, parts: &[&Self], picks: &[Pick]) {
        for (at, column) in self.columns.iter_mut().enumerate() {
            let columns: Vec<&Column> = parts.iter().map(|part| &part.columns[at]).collect();
            column.extend_picked(&columns, picks);
        }
        let ops: Vec<_> = parts.iter().map(|part| part.ops.as_slice()).collect();
        let seqs: Vec<_> = parts.iter().map(|part| part.seqs.as_slice()).collect();
        let times: Vec<_> = parts.iter().map(|part| part.event_times.as_slice()).collect();
        self.ops.extend(picks.iter().map(|pick| pick.of(&ops)));
        self.seqs.extend(picks.iter().map(|pick| pick.of(&seqs)));
        self.event_times.extend(picks.iter().map(|pick| pick.of(&times)));
    }
}
