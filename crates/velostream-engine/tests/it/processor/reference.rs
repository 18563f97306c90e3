//! Aggregates recomputed from scratch over rows, as plainly as possible.

use super::harness::show_literal;
use std::cmp::Ordering;
use velostream_sql::plan::Literal;

/// The columns that random relations have, and their SQL types.
pub const COLUMNS: [(&str, &str); 8] = [
    ("id", "INT"),
    ("k", "STRING"),
    ("g", "INT"),
    ("a", "INT"),
    ("b", "BIGINT"),
    ("d", "DOUBLE"),
    ("m", "DECIMAL(8, 2)"),
    ("ts", "TIMESTAMP"),
];

/// A row of those columns.
pub type Row = Vec<Literal>;

/// One aggregate call: function, column, DISTINCT, FILTER (WHERE a > 0).
#[derive(Debug, Clone)]
pub struct Call {
    pub function: &'static str,
    pub column: usize,
    pub distinct: bool,
    pub filter: bool,
}

impl Call {
    pub fn sql(&self) -> String {
        let argument = if self.function == "COUNT(*)" {
            return if self.filter { "COUNT(*) FILTER (WHERE a > 0)".into() } else { "COUNT(*)".into() };
        } else {
            COLUMNS[self.column].0
        };
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let filter = if self.filter { " FILTER (WHERE a > 0)" } else { "" };
        format!("{}({distinct}{argument}){filter}", self.function)
    }

    /// The result over some rows, as text.
    pub fn result(&self, rows: &[&Row]) -> String {
        let counts = |row: &&&Row| !self.filter || matches!(row[3], Literal::Int(a) if a > 0);
        let rows: Vec<&&Row> = rows.iter().filter(counts).collect();
        if self.function == "COUNT(*)" {
            return rows.len().to_string();
        }
        let mut values: Vec<Literal> =
            rows.iter().map(|row| row[self.column].clone()).filter(|value| *value != Literal::Null).collect();
        if self.distinct {
            let mut seen: Vec<Literal> = Vec::new();
            values.retain(|value| {
                let new = !seen.contains(value);
                seen.push(value.clone());
                new
            });
        }
        match self.function {
            "COUNT" => values.len().to_string(),
            _ if values.is_empty() => "NULL".to_owned(),
            "MIN" => show_literal(values.iter().min_by(|x, y| compare(x, y)).unwrap()),
            "MAX" => show_literal(values.iter().max_by(|x, y| compare(x, y)).unwrap()),
            "SUM" => show_literal(&sum(&values)),
            "AVG" => average(&values),
            other => panic!("no reference for {other}"),
        }
    }
}

fn compare(x: &Literal, y: &Literal) -> Ordering {
    match (x, y) {
        (Literal::Int(x), Literal::Int(y)) => x.cmp(y),
        (Literal::BigInt(x), Literal::BigInt(y)) => x.cmp(y),
        (Literal::Timestamp(x), Literal::Timestamp(y)) => x.cmp(y),
        (Literal::Decimal(x), Literal::Decimal(y)) => x.cmp(y),
        (Literal::Double(x), Literal::Double(y)) => x.partial_cmp(y).unwrap(),
        (Literal::String(x), Literal::String(y)) => x.cmp(y),
        _ => panic!("no order of {x:?} and {y:?}"),
    }
}

fn sum(values: &[Literal]) -> Literal {
    let exact = values.iter().map(|value| match value {
        Literal::Int(value) => i128::from(*value),
        Literal::BigInt(value) => i128::from(*value),
        Literal::Decimal(value) => *value,
        _ => 0,
    });
    match values[0] {
        Literal::Double(_) => Literal::Double(values.iter().map(as_double).sum()),
        Literal::Decimal(_) => Literal::Decimal(exact.sum()),
        _ => Literal::BigInt(exact.sum::<i128>() as i64),
    }
}

fn as_double(value: &Literal) -> f64 {
    match value {
        Literal::Double(value) => *value,
        other => panic!("not a double: {other:?}"),
    }
}

fn average(values: &[Literal]) -> String {
    let count = values.len() as i128;
    match sum(values) {
        Literal::Double(sum) => format!("{:?}", sum / count as f64),
        Literal::Decimal(sum) => {
            let doubled = (sum * 2_000_000).abs() + count;
            (sum.signum() * (doubled / (2 * count))).to_string()
        }
        Literal::BigInt(sum) => format!("{:?}", sum as f64 / count as f64),
        other => panic!("no average of {other:?}"),
    }
}

/// Groups in order of their first rows: key, rows.
pub fn groups<'a>(rows: &'a [Row], keys: &[usize]) -> Vec<(Vec<String>, Vec<&'a Row>)> {
    let mut groups: Vec<(Vec<String>, Vec<&Row>)> = Vec::new();
    for row in rows {
        let key: Vec<String> = keys.iter().map(|&key| show_literal(&row[key])).collect();
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, members)) => members.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    groups
}
