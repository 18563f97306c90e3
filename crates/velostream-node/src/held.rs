//! [`Held`]: changes on their way out, kept until the facade has memory for them.

use std::sync::Arc;
use velostream_runtime::{ChangeBatch, Schema, encode_changes};

/// One batch of changes, whose buffers live as long as the handle.
#[derive(Default)]
pub struct Held {
    /// The changes, all of `schema`'s columns.
    pub changes: ChangeBatch,
    types_of: Option<Arc<Schema>>,
}

impl Held {
    /// An empty batch with the columns of `schema`; buffers are reused while the schema stays the same.
    pub fn empty(&mut self, schema: &Arc<Schema>) -> &mut ChangeBatch {
        let same = self.types_of.as_ref().is_some_and(|last| Arc::ptr_eq(last, schema));
        if same {
            self.changes.clear();
        } else {
            self.put(schema, empty_batch(schema));
        }
        &mut self.changes
    }

    /// Keeps `changes` instead.
    pub fn put(&mut self, schema: &Arc<Schema>, changes: ChangeBatch) {
        self.changes = changes;
        self.types_of = Some(Arc::clone(schema));
    }

    /// Writes the changes as a block and gives its length; where that is more than `out` has, nothing was
    /// written. No changes have length 0.
    pub fn write(&self, out: &mut [u8]) -> f64 {
        match &self.types_of {
            Some(schema) if !self.changes.is_empty() => match encode_changes(&self.changes, schema, out) {
                Ok(length) | Err(length) => length as f64,
            },
            _ => 0.0,
        }
    }
}

/// An empty batch with the columns of `schema`.
pub fn empty_batch(schema: &Schema) -> ChangeBatch {
    let types = schema.fields.iter().map(|field| field.data_type).collect::<Vec<_>>();
    ChangeBatch::new(&types)
}

/// A block of its own for a few changes.
pub fn block_of(changes: &ChangeBatch, schema: &Schema) -> Vec<u8> {
    let needed = match encode_changes(changes, schema, &mut []) {
        Ok(length) | Err(length) => length,
    };
    let mut block = vec![0; needed];
    match encode_changes(changes, schema, &mut block) {
        Ok(length) | Err(length) => block.truncate(length),
    }
    block
}
