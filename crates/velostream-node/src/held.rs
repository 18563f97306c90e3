//! [`Held`]: changes on their way out, kept until the facade has memory for them.

use std::sync::Arc;
use velostream_runtime::sink::rows::encode;
use velostream_runtime::{ChangeBatch, Schema};

/// One batch of changes and its block; the buffers live as long as the handle.
#[derive(Default)]
pub struct Held {
    changes: ChangeBatch,
    block: Vec<u8>,
    /// The block's texts while it is made.
    heap: Vec<u8>,
    /// Whose columns `changes` has.
    schema: Option<Arc<Schema>>,
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
        self.block.clear();
        &mut self.changes
    }

    /// Makes a block of the batch that `empty` gave, and writes it as `write` does.
    pub fn close(&mut self, out: &mut [u8]) -> f64 {
        if !self.changes.is_empty() {
            encode(&self.changes, 0, self.changes.len(), &mut self.block, &mut self.heap);
        }
        self.write(out)
    }

    /// Keeps these rows instead.
    pub fn put(&mut self, rows: &ChangeBatch) {
        self.block = block_of(rows);
    }

    /// Writes the block and gives its length; where that is more than `out` has, nothing is written. No
    /// changes have length 0.
    pub fn write(&self, out: &mut [u8]) -> f64 {
        if let Some(out) = out.get_mut(..self.block.len()) {
            out.copy_from_slice(&self.block);
        }
        self.block.len() as f64
    }
}

/// The block of some rows; empty for none.
pub fn block_of(rows: &ChangeBatch) -> Vec<u8> {
    let mut block = Vec::new();
    if !rows.is_empty() {
        encode(rows, 0, rows.len(), &mut block, &mut Vec::new());
    }
    block
}
