//! [`StreamRecord`]: one row with its names.

use std::sync::Arc;
use velostream_engine::batch::Op;
use velostream_sql::plan::Literal;

/// One record, or one change of an answer, as a row of named values; for edges and tests.
///
/// ```
/// use velostream_runtime::{Literal, StreamRecord};
///
/// let order = StreamRecord::new().with("customer", "ann").with("total", 2.5).at_micros(1_000_000);
/// assert_eq!(order.get("total"), Some(&Literal::Double(2.5)));
/// assert_eq!(order.get("missing"), None);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StreamRecord {
    /// The relation that the record is for; needed where a query reads several. `None` in answers.
    pub relation: Option<Arc<str>>,
    /// In a record `Insert`, or `Delete` for a tombstone, of which only the primary key counts; in an answer what
    /// the row does: comes, goes, or is the old or new half of an update.
    pub op: Op,
    /// Values by name. Columns that are missing are NULL, names that the relation does not have are passed over.
    /// A DECIMAL is its digits at the column's scale, or a whole number, or a text; DATE, TIME and TIMESTAMP may
    /// be texts too.
    pub fields: Vec<(Arc<str>, Literal)>,
    /// Event time, microseconds since the epoch. It counts where the relation declares no column for it; where
    /// both are missing, the record's time is that of the call.
    pub event_time_micros: Option<i64>,
    /// The message's own key, as from a log; not looked at.
    pub key: Option<Arc<[u8]>>,
    /// The message's headers; not looked at.
    pub headers: Vec<(Arc<str>, Arc<[u8]>)>,
    /// The input partition. In an answer that of the record that caused it, 0 where time alone did.
    pub partition: u32,
    /// The number within the input partition. In an answer that of the record that caused it, 0 where time alone
    /// did.
    pub offset: u64,
}

impl Default for StreamRecord {
    fn default() -> Self {
        Self {
            relation: None,
            op: Op::Insert,
            fields: Vec::new(),
            event_time_micros: None,
            key: None,
            headers: Vec::new(),
            partition: 0,
            offset: 0,
        }
    }
}

impl StreamRecord {
    /// A record without values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a value.
    #[must_use]
    pub fn with(mut self, name: impl Into<Arc<str>>, value: impl Into<Literal>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The same for a relation.
    #[must_use]
    pub fn to(mut self, relation: impl Into<Arc<str>>) -> Self {
        self.relation = Some(relation.into());
        self
    }

    /// The same at an event time.
    #[must_use]
    pub fn at_micros(mut self, micros: i64) -> Self {
        self.event_time_micros = Some(micros);
        self
    }

    /// The same as a tombstone: the row of a table with this primary key goes.
    #[must_use]
    pub fn tombstone(mut self) -> Self {
        self.op = Op::Delete;
        self
    }

    /// The value of a name, if it is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Literal> {
        self.fields.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The same, where the values stand in the order of the columns.
    pub(super) fn get_near(&self, name: &str, position: usize) -> Option<&Literal> {
        match self.fields.get(position) {
            Some((own, value)) if own.eq_ignore_ascii_case(name) => Some(value),
            _ => self.get(name),
        }
    }
}
