//! [`NativeProcessor`]: the handle of a synchronous processor.
//!
//! Processors stand in a table of their thread, by number. A class method of napi registers a borrow of its
//! object for each call, which costs several times what a record does; so the one call per record,
//! [`process`], is a plain function that names the processor by its number.

use crate::convert::{NativeRelation, NativeResult, relation, result};
use crate::error::{closed, to_js};
use crate::held::Held;
use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use velostream_runtime::{ChangeBatch, Processor, Schema};

/// A processor and its changes on their way out.
struct Running {
    processor: Processor,
    schema: Arc<Schema>,
    held: Held,
}

/// The processors of a thread. Numbers are not used again, so that a closed one stays closed.
#[derive(Default)]
struct Table {
    running: HashMap<u32, Running>,
    next: u32,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

impl Running {
    /// Runs `call` with an empty batch and writes what it appended.
    fn changes(
        &mut self,
        out: &mut [u8],
        call: impl FnOnce(&mut Processor, &[u8], &mut ChangeBatch) -> napi::Result<()>,
    ) -> napi::Result<f64> {
        call(&mut self.processor, out, self.held.empty(&self.schema))?;
        Ok(self.held.close(out))
    }
}

/// Runs `call` with processor number `id`. No call leads back into JavaScript, so the table is free.
fn with<R>(id: u32, call: impl FnOnce(&mut Running) -> napi::Result<R>) -> napi::Result<R> {
    TABLE.with_borrow_mut(|table| match table.running.get_mut(&id) {
        Some(running) => call(running),
        None => Err(closed("processor")),
    })
}

/// Applies the row block in the first `length` bytes of `memory` to source number `source` of the processor and
/// writes the changes over it. Gives the length of the change block: 0 for no changes, more than `memory` has
/// where `reread` is due.
#[napi(catch_unwind)]
pub fn process(
    processor: u32,
    source: u32,
    mut memory: BufferSlice<'_>,
    length: u32,
    now_ms: f64,
) -> napi::Result<f64> {
    with(processor, |running| {
        running.changes(&mut memory, |processor, memory, out| {
            let block = &memory[..length as usize];
            processor.process_rows(source as usize, block, now_ms as i64, out).map_err(to_js)
        })
    })
}

/// A synchronous processor.
#[napi]
pub struct NativeProcessor {
    id: u32,
}

impl NativeProcessor {
    /// The handle of `processor`.
    pub fn new(processor: Processor) -> Self {
        let schema = Arc::clone(processor.schema());
        let running = Running { processor, schema, held: Held::default() };
        let id = TABLE.with_borrow_mut(|table| {
            table.next += 1;
            table.running.insert(table.next, running);
            table.next
        });
        Self { id }
    }
}

#[napi]
impl NativeProcessor {
    /// Its number, for `process`.
    #[napi(getter, catch_unwind)]
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The relations to be fed; their positions here are the `source` of the other calls.
    #[napi(catch_unwind)]
    pub fn sources(&self) -> napi::Result<Vec<NativeRelation>> {
        with(self.id, |running| Ok(running.processor.sources().iter().map(relation).collect()))
    }

    /// What its changes look like.
    #[napi(catch_unwind)]
    pub fn result(&self) -> napi::Result<NativeResult> {
        with(self.id, |running| Ok(result(String::new(), &running.schema)))
    }

    /// As `process`, for tombstones: only key columns of the block count.
    #[napi(catch_unwind)]
    pub fn delete(
        &self,
        source: u32,
        mut memory: BufferSlice<'_>,
        length: u32,
        now_ms: f64,
    ) -> napi::Result<f64> {
        with(self.id, |running| {
            running.changes(&mut memory, |processor, memory, out| {
                let block = &memory[..length as usize];
                processor.delete_rows(source as usize, block, now_ms as i64, out).map_err(to_js)
            })
        })
    }

    /// Moves time to `millis` since the epoch.
    #[napi(catch_unwind)]
    pub fn advance_time(&self, millis: f64, mut memory: BufferSlice<'_>) -> napi::Result<f64> {
        let micros = (millis * 1e3).round() as i64;
        with(self.id, |running| {
            running
                .changes(&mut memory, |processor, _, out| processor.advance_time(micros, out).map_err(to_js))
        })
    }

    /// Ends the input.
    #[napi(catch_unwind)]
    pub fn end(&self, mut memory: BufferSlice<'_>) -> napi::Result<f64> {
        with(self.id, |running| {
            running.changes(&mut memory, |processor, _, out| processor.end(out).map_err(to_js))
        })
    }

    /// Writes the changes of the last call again.
    #[napi(catch_unwind)]
    pub fn reread(&self, mut memory: BufferSlice<'_>) -> napi::Result<f64> {
        with(self.id, |running| Ok(running.held.write(&mut memory)))
    }

    /// Starts what `rollback` takes back.
    #[napi(catch_unwind)]
    pub fn begin(&self) -> napi::Result<()> {
        with(self.id, |running| running.processor.begin().map_err(to_js))
    }

    /// Keeps what came since `begin`.
    #[napi(catch_unwind)]
    pub fn commit(&self) -> napi::Result<()> {
        with(self.id, |running| running.processor.commit().map_err(to_js))
    }

    /// Takes back what came since `begin`.
    #[napi(catch_unwind)]
    pub fn rollback(&self) -> napi::Result<()> {
        with(self.id, |running| running.processor.rollback().map_err(to_js))
    }

    /// Frees the state; every later call fails.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.remove();
    }

    /// At the end of its thread the table may be gone already, and the state with it.
    fn remove(&self) {
        let removed = TABLE.try_with(|table| {
            table.try_borrow_mut().ok().and_then(|mut table| table.running.remove(&self.id))
        });
        drop(removed);
    }
}

impl Drop for NativeProcessor {
    fn drop(&mut self) {
        self.remove();
    }
}
