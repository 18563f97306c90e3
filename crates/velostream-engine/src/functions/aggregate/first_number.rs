//! The sequence number of a group's first record: what groups of several receivers are put in order by.

use super::cells::Physical;
use super::{Aggregate, CallRows, same_call};
use crate::column::Column;
use crate::state::{GroupColumns, GroupId, composite_state};
use std::any::Any;

/// Per group its first number and 1; 0 before its first row.
struct FirstNumber {
    numbers: GroupColumns<u64>,
}

composite_state!(FirstNumber { numbers });

/// One of so many rows that make a group is seldom enough to be looked for.
const FEW: usize = 8;

/// Takes in a number, 0 being none.
#[inline]
fn offer(first: &mut u64, number: u64) {
    if *first == 0 || number != 0 && number < *first {
        *first = number;
    }
}

impl FirstNumber {
    /// Notes the numbers of the rows that made their groups: in most runs there are none.
    fn note_fresh(&mut self, input: &CallRows<'_>) {
        // Without a way out of the loop it takes many rows at a time.
        let made: u32 = input.fresh.iter().map(|&fresh| u32::from(fresh != 0)).sum();
        if made == 0 {
            return;
        }
        let numbers = self.numbers.write(input.groups);
        let rows = input.rows.iter().zip(input.groups).zip(input.fresh);
        let rows = rows.map(|((&row, &group), &fresh)| (row as usize, group as usize, fresh != 0));
        if made as usize * FEW < input.rows.len() {
            return rows
                .filter(|row| row.2)
                .for_each(|(row, group, _)| numbers[group] = input.seqs[row].0 + 1);
        }
        // Without branches: in new windows most rows make a group, but which ones is hard to guess.
        for (row, group, fresh) in rows {
            let (number, seq) = (&mut numbers[group], input.seqs[row]);
            *number = if fresh { seq.0 + 1 } else { *number };
        }
    }
}

impl Aggregate for FirstNumber {
    fn grow(&mut self, groups: usize) {
        self.numbers.grow(groups);
    }

    fn reset(&mut self, group: GroupId) {
        self.numbers.set(group, 0);
    }

    fn clear(&mut self) {
        self.numbers.clear();
    }

    fn add(&mut self, input: &CallRows<'_>) -> bool {
        if !input.fresh.is_empty() {
            self.note_fresh(input);
            return true;
        }
        let numbers = self.numbers.write(input.groups);
        // Rows come in the order of their numbers, so that those of a group which has one are not looked at.
        input.each(|row, group| {
            if numbers[group] == 0 {
                numbers[group] = input.seqs[row].0 + 1;
            }
        });
        true
    }

    fn add_running(&mut self, input: &CallRows<'_>, out: &mut Column) {
        for at in 0..input.rows.len() {
            let (rows, groups) = (&input.rows[at..=at], &input.groups[at..=at]);
            let one = CallRows { rows, groups, fresh: &[], ..*input };
            let fits = self.add(&one);
            debug_assert!(fits, "numbers never overflow");
            self.emit(one.groups, out);
        }
    }

    /// Whichever row goes, the group is as old as it was.
    fn retract(&mut self, _input: &CallRows<'_>) -> bool {
        true
    }

    fn merge(&mut self, from: GroupId, into: GroupId) -> bool {
        let number = self.numbers.values()[from as usize];
        offer(&mut self.numbers.write(&[into])[into as usize], number);
        true
    }

    fn absorb(&mut self, other: &dyn Aggregate, from: &[GroupId], into: &[GroupId]) -> bool {
        let others = same_call::<Self>(other).numbers.values();
        let numbers = self.numbers.write(into);
        for (&from, &into) in from.iter().zip(into) {
            offer(&mut numbers[into as usize], others[from as usize]);
        }
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn emit(&self, groups: &[GroupId], out: &mut Column) {
        let (values, validity) = i64::parts(out);
        validity.extend_valid(values.len(), groups.len());
        let numbers = self.numbers.values();
        values.extend(groups.iter().map(|&group| numbers[group as usize] as i64 - 1));
    }
}

/// The state of the call.
pub(super) fn create() -> Box<dyn Aggregate> {
    Box::new(FirstNumber { numbers: GroupColumns::default() })
}
