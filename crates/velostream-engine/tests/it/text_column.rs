use velostream_engine::column::TextColumn;

/// Short values are read in pieces that overlap, by length: every length around their borders.
#[test]
fn values_of_every_length_are_kept_and_told_apart() {
    let letters = b"abcdefghijklmnopqrst";
    let values: Vec<_> = (0..letters.len()).map(|length| &letters[..length]).collect();
    let mut column = TextColumn::default();
    values.iter().for_each(|value| column.push(value));
    let mut others = TextColumn::default();
    values.iter().for_each(|value| {
        let mut other = value.to_vec();
        other.iter_mut().rev().take(1).for_each(|last| *last = 0xff);
        others.push(&other);
    });
    let copy = column.clone();
    for (row, value) in values.iter().enumerate() {
        assert_eq!(column.get(row), *value);
        assert!((0..values.len()).all(|other| column.equals(row, &copy, other) == (row == other)));
        assert_eq!(column.equals(row, &others, row), value.is_empty());
    }
}
