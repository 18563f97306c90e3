//! IN over a list of constants.

use crate::expr::kernel::{Kernel, Native};
use crate::value::{canonical_double_bits, interval_micros};
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use std::hash::Hash;
use std::sync::Arc;
use velostream_sql::plan::{Interval, Literal};
use velostream_sql::types::DataType;

/// The candidates of an IN list as keys under which equal values are equal.
type Candidates<K> = HashSet<K, FixedState>;

/// `e [NOT] IN (constants)`; NULL where `e` is not found and a constant is NULL.
pub(in crate::expr) fn in_constants(data_type: DataType, list: &[Literal], negated: bool) -> Option<Kernel> {
    let holds_null = list.contains(&Literal::Null);
    let kernel = match data_type {
        DataType::Boolean => natives(list, holds_null, negated, |value: u8| value),
        DataType::Int | DataType::Date => natives(list, holds_null, negated, |value: i32| value),
        DataType::BigInt | DataType::Time | DataType::Timestamp => {
            natives(list, holds_null, negated, |value: i64| value)
        }
        DataType::Double => natives(list, holds_null, negated, |value: f64| canonical_double_bits(value)),
        DataType::Decimal { .. } => natives(list, holds_null, negated, |value: i128| value),
        DataType::Interval => natives(list, holds_null, negated, |value: Interval| interval_micros(value)),
        DataType::String | DataType::Bytes => texts(list, holds_null, negated),
        DataType::Null => return None,
    };
    Some(kernel)
}

/// A literal as the native value of its column type.
trait FromLiteral: Native {
    fn from_literal(literal: &Literal) -> Option<Self>;
}

macro_rules! from_literal {
    ($($native:ty: $($pattern:pat => $value:expr),+;)*) => {
        $(impl FromLiteral for $native {
            fn from_literal(literal: &Literal) -> Option<Self> {
                match literal {
                    $($pattern => Some($value),)+
                    _ => None,
                }
            }
        })*
    };
}

from_literal! {
    u8: Literal::Boolean(value) => u8::from(*value);
    i32: Literal::Int(value) | Literal::Date(value) => *value;
    i64: Literal::BigInt(value) | Literal::Time(value) | Literal::Timestamp(value) => *value;
    f64: Literal::Double(value) => *value;
    i128: Literal::Decimal(value) => *value;
    Interval: Literal::Interval(value) => *value;
}

/// Shorter lists are searched in a row.
const HASHED_MIN: usize = 9;

fn natives<T: FromLiteral, K: Hash + Eq + Copy + Send + 'static>(
    list: &[Literal],
    holds_null: bool,
    negated: bool,
    key: impl Fn(T) -> K + Send + Copy + 'static,
) -> Kernel {
    let keys: Vec<K> = list.iter().filter_map(T::from_literal).map(key).collect();
    if keys.len() < HASHED_MIN {
        membership(holds_null, negated, move |args, row| {
            let value = key(args.values::<T>(0)[row]);
            keys.contains(&value)
        })
    } else {
        let keys: Candidates<K> = keys.into_iter().collect();
        membership(holds_null, negated, move |args, row| keys.contains(&key(args.values::<T>(0)[row])))
    }
}

fn texts(list: &[Literal], holds_null: bool, negated: bool) -> Kernel {
    let keys: Candidates<Arc<[u8]>> = list
        .iter()
        .filter_map(|literal| match literal {
            Literal::String(text) => Some(Arc::from(text.as_bytes())),
            Literal::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        })
        .collect();
    membership(holds_null, negated, move |args, row| keys.contains(args.text(0).get(row)))
}

fn membership(
    holds_null: bool,
    negated: bool,
    contains: impl Fn(&crate::expr::kernel::Args<'_>, usize) -> bool + Send + 'static,
) -> Kernel {
    let negated = u8::from(negated);
    Kernel::strict(move |args, out| {
        u8::fill(out, (0..args.rows).map(|row| u8::from(contains(args, row)) ^ negated));
        if holds_null {
            let out_values = u8::vector(&mut out.values);
            for (row, &value) in out_values.iter().enumerate() {
                if value == negated {
                    out.validity.set(args.rows, row, false);
                }
            }
        }
    })
}
