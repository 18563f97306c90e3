//! [`Held`]: changes on their way out, kept until the facade has memory for them.

use std::sync::Arc;
use velostream_runtime::sink::rows::{Repeats, bytes_max, encode};
use velostream_runtime::{ChangeBatch, Schema};

/// One batch of changes; its buffers live as long as the handle.
#[derive(Default)]
pub struct Held {
    changes: ChangeBatch,
    /// Whose columns `changes` has.
    schema: Option<Arc<Schema>>,
    repeats: Repeats,
}

impl Held {
    /// An empty batch with the columns of `schema`; buffers are reused while the schema stays the same.
    pub fn empty(&mut self, schema: &Arc<Schema>) -> &mut ChangeBatch {
        let same = self.schema.as_ref().is_some_and(|last| Arc::ptr_eq(last, schema));
        if same {
            self.changes.clear();
        } else {
            let types = schema.fields.iter().map(|field| field.data_type).collect::<Vec<_>>();
            self.changes = ChangeBatch::new(&types);
            self.schema = Some(Arc::clone(schema));
        }
        &mut self.changes
    }

    /// Keeps these rows instead.
    pub fn put(&mut self, rows: ChangeBatch) {
        self.changes = rows;
        self.schema = None;
    }

    /// Writes the change block and gives its length, 0 for no changes; where `out` is too small, more bytes than
    /// it has, which are enough.
    pub fn write(&mut self, out: &mut [u8]) -> usize {
        let rows = self.changes.len();
        if rows == 0 {
            return 0;
        }
        encode(&self.changes, 0, rows, &mut self.repeats, out)
            .unwrap_or_else(|| bytes_max(&self.changes, 0, rows).max(out.len() + 1))
    }
}
