//! Changes of several producers, in the order of their sequence numbers.

use velostream_engine::batch::{ChangeBatch, Seq};
use velostream_engine::column::Values;
use velostream_sql::shares::Order;

/// Appends the rows of all `parts`, which each ascend, to `merged`, which has the same columns. Rows of one number
/// that come from several parts stand in the given order, else in that of the parts, so that the result depends on
/// nothing but the rows.
pub fn merge(parts: &[&ChangeBatch], order: Order, merged: &mut ChangeBatch) {
    let mut next = vec![0; parts.len()];
    let head = |part: usize, next: &[usize]| parts[part].seqs.get(next[part]).copied();
    while let Some((seq, part)) =
        (0..parts.len()).filter_map(|part| head(part, &next).map(|seq| (seq, part))).min()
    {
        let others = (0..parts.len()).filter(|&other| other != part);
        let limit = others.filter_map(|other| head(other, &next)).min();
        if limit == Some(seq) && order != Order::ByRecord {
            merge_step(parts, order, seq, &mut next, merged);
            continue;
        }
        // The whole run of rows before what the others have, or this number's.
        let rest = &parts[part].seqs[next[part]..];
        let run = match limit {
            None => rest.len(),
            Some(limit) => rest.iter().take_while(|&&other| other < limit.max(Seq(seq.0 + 1))).count(),
        };
        merged.extend_range(parts[part], next[part], next[part] + run);
        next[part] += run;
    }
}

/// Appends the rows of one number: those that go before those that come, each in the given order.
fn merge_step(parts: &[&ChangeBatch], order: Order, seq: Seq, next: &mut [usize], merged: &mut ChangeBatch) {
    let mut rows = Vec::new();
    for (part, next) in next.iter_mut().enumerate() {
        while parts[part].seqs.get(*next) == Some(&seq) {
            let row = *next;
            let comes = parts[part].ops[row].is_addition();
            let window = if order == Order::ByWindow { parts[part].event_times[row] } else { 0 };
            rows.push((comes, window, number(parts[part], row), part, row));
            *next += 1;
        }
    }
    rows.sort_unstable();
    for (_, _, _, part, row) in rows {
        merged.push_row(parts[part], row, parts[part].ops[row]);
    }
}

/// The number in a row's last column.
fn number(batch: &ChangeBatch, row: usize) -> i64 {
    match batch.columns.last().map(|column| &column.values) {
        Some(Values::I64(values)) => values[row],
        _ => 0,
    }
}
