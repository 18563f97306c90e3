//! Changes of several producers, in the order of their sequence numbers.

use velostream_engine::batch::ChangeBatch;

/// One batch with the rows of all `parts`, which each ascend; rows of one number stand in the order of the
/// parts, so that the result depends on nothing but the numbers.
pub fn merge(parts: &[ChangeBatch]) -> ChangeBatch {
    let mut merged = match parts.first() {
        None => return ChangeBatch::default(),
        Some(first) => {
            let types: Vec<_> = first.columns.iter().map(|column| column.data_type).collect();
            ChangeBatch::new(&types)
        }
    };
    let mut next = vec![0; parts.len()];
    loop {
        let candidates = parts.iter().zip(&next).enumerate();
        let heads =
            candidates.filter_map(|(part, (batch, &row))| batch.seqs.get(row).map(|&seq| (seq, part)));
        let Some((seq, part)) = heads.min() else {
            return merged;
        };
        let batch = &parts[part];
        while batch.seqs.get(next[part]) == Some(&seq) {
            merged.push_row(batch, next[part], batch.ops[next[part]]);
            next[part] += 1;
        }
    }
}
