//! Changes into records.

use super::StreamRecord;
use velostream_engine::batch::{ChangeBatch, Seq};
use velostream_sql::types::Schema;

/// The rows of `changes` as records; `origin` gives partition and offset of the record with a number.
pub fn records_of(
    changes: &ChangeBatch,
    schema: &Schema,
    origin: impl Fn(Seq) -> (u32, u64),
) -> Vec<StreamRecord> {
    let mut records = Vec::with_capacity(changes.len());
    for row in 0..changes.len() {
        let mut fields = Vec::with_capacity(schema.fields.len());
        let each = schema.fields.iter().zip(&changes.columns);
        fields.extend(each.map(|(field, column)| (field.name.clone(), column.literal(row))));
        let (partition, offset) = origin(changes.seqs[row]);
        records.push(StreamRecord {
            op: changes.ops[row],
            fields,
            event_time_micros: Some(changes.event_times[row]),
            partition,
            offset,
            ..StreamRecord::default()
        });
    }
    records
}
