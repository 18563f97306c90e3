//! [`NativeProcessor`]: the handle of a synchronous processor.

use crate::bound::Slot;
use crate::convert::{NativeRelation, NativeResult, relation, result};
use crate::error::to_js;
use crate::held::Held;
use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, BufferSlice, Function, ObjectFinalize};
use napi_derive::napi;
use std::rc::Rc;
use std::sync::Arc;
use velostream_runtime::{ChangeBatch, Processor, Schema};

/// A processor and its changes on their way out.
pub struct Running {
    /// The processor.
    pub processor: Processor,
    schema: Arc<Schema>,
    held: Held,
}

impl Running {
    /// Runs `call` with an empty batch and writes what it appended; see [`Held::write`].
    fn changes(
        &mut self,
        out: &mut [u8],
        call: impl FnOnce(&mut Processor, &[u8], &mut ChangeBatch) -> napi::Result<()>,
    ) -> napi::Result<usize> {
        call(&mut self.processor, out, self.held.empty(&self.schema))?;
        Ok(self.held.write(out))
    }

    /// Applies the row block in the first `length` bytes of `memory` to source number `source` and writes the
    /// changes over it.
    pub fn process(
        &mut self,
        source: usize,
        memory: &mut [u8],
        length: usize,
        now_ms: f64,
    ) -> napi::Result<usize> {
        self.changes(memory, |processor, memory, out| {
            let block = memory.get(..length).unwrap_or(memory);
            processor.process_rows(source, block, now_ms as i64, out).map_err(to_js)
        })
    }
}

/// A synchronous processor. The calls that give changes write them as a block to `memory` and give its length:
/// 0 for no changes, more than `memory` has where `reread` is due.
#[napi(custom_finalize)]
pub struct NativeProcessor {
    slot: Rc<Slot>,
}

impl NativeProcessor {
    /// The handle of `processor`.
    pub fn new(processor: Processor) -> Self {
        let schema = Arc::clone(processor.schema());
        let slot = Slot::default();
        *slot.running.borrow_mut() = Some(Running { processor, schema, held: Held::default() });
        Self { slot: Rc::new(slot) }
    }

    fn changes(
        &self,
        env: Env,
        memory: &mut [u8],
        call: impl FnOnce(&mut Running, &mut [u8]) -> napi::Result<usize>,
    ) -> napi::Result<f64> {
        let length = self.slot.with(|running| call(running, memory))?;
        self.slot.report(env);
        Ok(length as f64)
    }
}

#[napi]
impl NativeProcessor {
    /// The relations to be fed; their positions here are the `source` of the other calls.
    #[napi(catch_unwind)]
    pub fn sources(&self) -> napi::Result<Vec<NativeRelation>> {
        self.slot.with(|running| Ok(running.processor.sources().iter().map(relation).collect()))
    }

    /// What its changes look like.
    #[napi(catch_unwind)]
    pub fn result(&self) -> napi::Result<NativeResult> {
        self.slot.with(|running| Ok(result(String::new(), &running.schema)))
    }

    /// Whether the clock that calls give makes a difference.
    #[napi(catch_unwind)]
    pub fn reads_clock(&self) -> napi::Result<bool> {
        self.slot.with(|running| Ok(running.processor.reads_clock()))
    }

    /// Gives `bound` other memory, of at least `bytes` bytes.
    #[napi(catch_unwind)]
    pub fn renew_memory(&self, env: Env, bytes: u32) -> napi::Result<ArrayBuffer<'static>> {
        self.slot.renew_memory(env, bytes as usize)
    }

    /// The function that applies the row block of one row in the memory of `renewMemory`, and writes the changes
    /// over it; see `bound.rs`.
    #[napi(catch_unwind, ts_return_type = "(nowMs?: number) => void")]
    pub fn bound(&self, env: Env) -> napi::Result<Function<'static, f64, ()>> {
        self.slot.function(env)
    }

    /// Applies the row block in the first `length` bytes of `memory`.
    #[napi(catch_unwind)]
    pub fn process(
        &self,
        env: Env,
        source: u32,
        mut memory: BufferSlice<'_>,
        length: u32,
        now_ms: f64,
    ) -> napi::Result<f64> {
        self.changes(env, &mut memory, |running, memory| {
            running.process(source as usize, memory, length as usize, now_ms)
        })
    }

    /// As `process`, for tombstones: only key columns of the block count.
    #[napi(catch_unwind)]
    pub fn delete(
        &self,
        env: Env,
        source: u32,
        mut memory: BufferSlice<'_>,
        length: u32,
        now_ms: f64,
    ) -> napi::Result<f64> {
        self.changes(env, &mut memory, |running, memory| {
            running.changes(memory, |processor, memory, out| {
                let block = memory.get(..length as usize).unwrap_or(memory);
                processor.delete_rows(source as usize, block, now_ms as i64, out).map_err(to_js)
            })
        })
    }

    /// Moves time to `millis` since the epoch.
    #[napi(catch_unwind)]
    pub fn advance_time(&self, env: Env, millis: f64, mut memory: BufferSlice<'_>) -> napi::Result<f64> {
        let micros = (millis * 1e3).round() as i64;
        self.changes(env, &mut memory, |running, memory| {
            running.changes(memory, |processor, _, out| processor.advance_time(micros, out).map_err(to_js))
        })
    }

    /// Ends the input.
    #[napi(catch_unwind)]
    pub fn end(&self, env: Env, mut memory: BufferSlice<'_>) -> napi::Result<f64> {
        self.changes(env, &mut memory, |running, memory| {
            running.changes(memory, |processor, _, out| processor.end(out).map_err(to_js))
        })
    }

    /// Writes the changes of the last call again.
    #[napi(catch_unwind)]
    pub fn reread(&self, mut memory: BufferSlice<'_>) -> napi::Result<f64> {
        self.slot.with(|running| Ok(running.held.write(&mut memory) as f64))
    }

    /// Starts what `rollback` takes back.
    #[napi(catch_unwind)]
    pub fn begin(&self) -> napi::Result<()> {
        self.slot.with(|running| running.processor.begin().map_err(to_js))
    }

    /// Keeps what came since `begin`.
    #[napi(catch_unwind)]
    pub fn commit(&self) -> napi::Result<()> {
        self.slot.with(|running| running.processor.commit().map_err(to_js))
    }

    /// Takes back what came since `begin`.
    #[napi(catch_unwind)]
    pub fn rollback(&self) -> napi::Result<()> {
        self.slot.with(|running| running.processor.rollback().map_err(to_js))
    }

    /// Frees the state; every later call fails.
    #[napi(catch_unwind)]
    pub fn close(&self, env: Env) {
        self.slot.close(env);
    }
}

impl ObjectFinalize for NativeProcessor {
    fn finalize(self, env: Env) -> napi::Result<()> {
        self.slot.close(env);
        Ok(())
    }
}
