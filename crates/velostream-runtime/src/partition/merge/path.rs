//! Two lists in order become one, several parts of it at a time.
//!
//! Which list goes on is as good as random, so nothing branches on it. But without a branch to guess by, every step waits for the
//! comparison of the step before. So the result is cut into parts of equal length that take turns. Where they begin in both
//! lists a binary search finds: Odeh, Green, Mwassi, Shmueli and Birk, "Merge Path: Parallel Merging Made Simple"
//! (IPDPSW 2012), who give each part to a core.

/// Parts that take turns: enough to fill the time of a comparison, and few enough for the registers.
const PARTS: usize = 3;
/// Fewer steps than these are not worth the turns.
const STEPS_MIN: usize = 8;

/// One part of the result: from each list, the rows between a place and an end.
struct Part {
    at: [usize; 2],
    end: [usize; 2],
}

/// Calls `put` with each place of the result, whether its row is one of the second list, and which row of its list. The lists
/// have so many rows, whose keys ascend; of equal keys those of the first list come first. The calls come in no order.
pub fn merge<K: PartialOrd>(
    rows: [usize; 2],
    first: impl Fn(usize) -> K,
    second: impl Fn(usize) -> K,
    mut put: impl FnMut(usize, bool, usize),
) {
    let takes_second = |one: usize, other: usize| second(other) < first(one);
    let all = rows[0] + rows[1];
    let cut = |part: usize| cut(rows, all * part / PARTS, takes_second);
    let mut parts: [Part; PARTS] = std::array::from_fn(|part| Part { at: cut(part), end: cut(part + 1) });
    loop {
        let steps = parts.iter().map(Part::sure_steps).min().unwrap_or_default();
        if steps < STEPS_MIN {
            break;
        }
        for _ in 0..steps {
            parts.iter_mut().for_each(|part| part.step(takes_second, &mut put));
        }
    }
    parts.iter_mut().for_each(|part| part.finish(takes_second, &mut put));
}

/// How many rows of each list are among the first `count` of the result.
fn cut(rows: [usize; 2], count: usize, takes_second: impl Fn(usize, usize) -> bool) -> [usize; 2] {
    let (mut least, mut most) = (count.saturating_sub(rows[1]), count.min(rows[0]));
    while least < most {
        let middle = usize::midpoint(least, most);
        if takes_second(middle, count - middle - 1) {
            most = middle;
        } else {
            least = middle + 1;
        }
    }
    [least, count - least]
}

impl Part {
    /// Steps for which both lists have rows, whichever are taken.
    fn sure_steps(&self) -> usize {
        (self.end[0] - self.at[0]).min(self.end[1] - self.at[1])
    }

    #[inline(always)]
    fn step(
        &mut self,
        takes_second: impl Fn(usize, usize) -> bool,
        put: &mut impl FnMut(usize, bool, usize),
    ) {
        let [one, other] = self.at;
        let is_second = takes_second(one, other);
        put(one + other, is_second, if is_second { other } else { one });
        self.at = [one + usize::from(!is_second), other + usize::from(is_second)];
    }

    fn finish(
        &mut self,
        takes_second: impl Fn(usize, usize) -> bool,
        put: &mut impl FnMut(usize, bool, usize),
    ) {
        while self.sure_steps() > 0 {
            self.step(&takes_second, put);
        }
        let [one, other] = self.at;
        (one..self.end[0]).for_each(|row| put(row + other, false, row));
        (other..self.end[1]).for_each(|row| put(self.end[0] + row, true, row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_what_a_stable_sort_gives(
            mut first in prop::collection::vec(0..40u64, 0..90),
            mut second in prop::collection::vec(0..40u64, 0..90),
            apart in prop::sample::select(vec![0, 20, 60]),
        ) {
            first.sort_unstable();
            second.iter_mut().for_each(|key| *key += apart);
            second.sort_unstable();
            let mut expected: Vec<(u64, bool, usize)> =
                first.iter().enumerate().map(|(row, &key)| (key, false, row)).collect();
            expected.extend(second.iter().enumerate().map(|(row, &key)| (key, true, row)));
            expected.sort_by_key(|&(key, ..)| key);
            let mut merged = vec![None; expected.len()];
            merge([first.len(), second.len()], |row| first[row], |row| second[row], |to, is_second, row| {
                let key = if is_second { second[row] } else { first[row] };
                assert_eq!(merged[to].replace((key, is_second, row)), None);
            });
            prop_assert_eq!(merged, expected.into_iter().map(Some).collect::<Vec<_>>());
        }
    }
}
