//! [`NativeProcessor`]: the handle of a synchronous processor.

use crate::convert::{NativeRelation, NativeResult, relation, result};
use crate::error::{closed, to_js};
use crate::held::Held;
use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use std::sync::Arc;
use velostream_runtime::{ChangeBatch, Processor, Schema};

/// A synchronous processor.
#[napi]
pub struct NativeProcessor {
    processor: Option<Processor>,
    schema: Arc<Schema>,
    held: Held,
}

impl NativeProcessor {
    /// The handle of `processor`.
    pub fn new(processor: Processor) -> Self {
        let schema = Arc::clone(processor.schema());
        Self { processor: Some(processor), schema, held: Held::default() }
    }

    fn processor(&mut self) -> napi::Result<&mut Processor> {
        self.processor.as_mut().ok_or_else(|| closed("processor"))
    }

    /// Runs `call` with an empty batch and writes what it appended.
    fn changes(
        &mut self,
        out: &mut [u8],
        call: impl FnOnce(&mut Processor, &[u8], &mut ChangeBatch) -> napi::Result<()>,
    ) -> napi::Result<f64> {
        let processor = self.processor.as_mut().ok_or_else(|| closed("processor"))?;
        call(processor, out, self.held.empty(&self.schema))?;
        Ok(self.held.close(out))
    }
}

#[napi]
impl NativeProcessor {
    /// The relations to be fed; their positions here are the `source` of the other calls.
    #[napi(catch_unwind)]
    pub fn sources(&mut self) -> napi::Result<Vec<NativeRelation>> {
        Ok(self.processor()?.sources().iter().map(relation).collect())
    }

    /// What its changes look like.
    #[napi(catch_unwind)]
    pub fn result(&self) -> NativeResult {
        result(String::new(), &self.schema)
    }

    /// Applies the row block in the first `length` bytes of `memory` and writes the changes over it. Gives
    /// the length of the change block: 0 for no changes, more than `memory` has where `reread` is due.
    #[napi(catch_unwind)]
    pub fn process(
        &mut self,
        source: u32,
        mut memory: BufferSlice<'_>,
        length: u32,
        now_ms: f64,
    ) -> napi::Result<f64> {
        self.changes(&mut memory, |processor, memory, out| {
            processor
                .process_rows(source as usize, &memory[..length as usize], now_ms as i64, out)
                .map_err(to_js)
        })
    }

    /// The same for tombstones: only key columns of the block count.
    #[napi(catch_unwind)]
    pub fn delete(
        &mut self,
        source: u32,
        mut memory: BufferSlice<'_>,
        length: u32,
        now_ms: f64,
    ) -> napi::Result<f64> {
        self.changes(&mut memory, |processor, memory, out| {
            processor
                .delete_rows(source as usize, &memory[..length as usize], now_ms as i64, out)
                .map_err(to_js)
        })
    }

    /// Moves time to `millis` since the epoch.
    #[napi(catch_unwind)]
    pub fn advance_time(&mut self, millis: f64, mut memory: BufferSlice<'_>) -> napi::Result<f64> {
        self.changes(&mut memory, |processor, _, out| {
            processor.advance_time((millis * 1e3).round() as i64, out).map_err(to_js)
        })
    }

    /// Ends the input.
    #[napi(catch_unwind)]
    pub fn end(&mut self, mut memory: BufferSlice<'_>) -> napi::Result<f64> {
        self.changes(&mut memory, |processor, _, out| processor.end(out).map_err(to_js))
    }

    /// Writes the changes of the last call again.
    #[napi(catch_unwind)]
    pub fn reread(&self, mut memory: BufferSlice<'_>) -> f64 {
        self.held.write(&mut memory)
    }

    /// Starts what `rollback` takes back.
    #[napi(catch_unwind)]
    pub fn begin(&mut self) -> napi::Result<()> {
        self.processor()?.begin().map_err(to_js)
    }

    /// Keeps what came since `begin`.
    #[napi(catch_unwind)]
    pub fn commit(&mut self) -> napi::Result<()> {
        self.processor()?.commit().map_err(to_js)
    }

    /// Takes back what came since `begin`.
    #[napi(catch_unwind)]
    pub fn rollback(&mut self) -> napi::Result<()> {
        self.processor()?.rollback().map_err(to_js)
    }

    /// Frees the state; every later call fails.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.processor = None;
        self.held = Held::default();
    }
}
