//! The call that is made per record: a JavaScript function bound to one processor and to memory that both sides
//! read and write, so that nothing is converted on its way.
//!
//! napi's own wrappers look up a `Uint8Array` and note who borrows it, at each call: more than a record costs.
//! Here the memory belongs to Rust. JavaScript sees it as an `ArrayBuffer`, and whatever becomes of that (it may be
//! transferred or collected) the memory stays until the processor has gone as well.
//!
//! The function takes a row block of one row at the beginning of the memory, the position of its source in the
//! last word of the header, and writes the change block over it. Where there is no room for that, the first word
//! says so and the second gives the bytes needed: `NativeProcessor::reread` gives the changes again.
#![allow(unsafe_code)]

use crate::error::{closed, panicked};
use crate::processor::Running;
use crate::reported::Reported;
use napi::bindgen_prelude::{ArrayBuffer, FromNapiValue, Function};
use napi::{Env, JsError, check_status, sys};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

/// In place of the number of rows: the changes do not fit.
const NO_ROOM: u32 = u32::MAX;
/// Calls between two reports of the state's size.
const REPORT_CALLS: u32 = 4096;

/// A processor, shared by its handle and its function; both on the thread of one JavaScript environment.
#[derive(Default)]
pub struct Slot {
    /// `None` once closed, or after a panic, which leaves the state in doubt.
    pub running: RefCell<Option<Running>>,
    memory: RefCell<Option<Rc<Memory>>>,
    calls: Cell<u32>,
    reported: Reported,
}

/// Bytes that Rust owns and JavaScript sees.
struct Memory(Box<[Cell<u64>]>);

impl Slot {
    /// Runs `call` with the processor. A panic in it closes the processor.
    pub fn with<R>(&self, call: impl FnOnce(&mut Running) -> napi::Result<R>) -> napi::Result<R> {
        let mut slot = self.running.try_borrow_mut().map_err(|_| closed("processor"))?;
        let running = slot.as_mut().ok_or_else(|| closed("processor"))?;
        let outcome = catch_unwind(AssertUnwindSafe(|| call(running)));
        outcome.unwrap_or_else(|panic| {
            // What a panic left half done is not even dropped.
            std::mem::forget(slot.take());
            Err(panicked(panic.as_ref()))
        })
    }

    /// Tells the collector how much state the handle holds.
    pub fn report(&self, env: Env) {
        let running = self.running.borrow();
        let bytes = running.as_ref().map_or(0, |running| running.processor.state_bytes());
        self.reported.set(env, bytes as u64);
    }

    /// Frees the state and the memory; every later call fails.
    pub fn close(&self, env: Env) {
        *self.running.borrow_mut() = None;
        *self.memory.borrow_mut() = None;
        self.report(env);
    }

    /// Gives the function new memory of at least `bytes` bytes, as JavaScript sees it.
    pub fn renew_memory(&self, env: Env, bytes: usize) -> napi::Result<ArrayBuffer<'static>> {
        let words = vec![Cell::new(0); bytes.div_ceil(8).max(1)];
        let memory = Rc::new(Memory(words.into_boxed_slice()));
        *self.memory.borrow_mut() = Some(Rc::clone(&memory));
        let data = memory.0.as_ptr().cast_mut().cast();
        let length = memory.0.len() * 8;
        let hint = Rc::into_raw(memory).cast_mut().cast();
        let mut value = ptr::null_mut();
        // SAFETY: `data` has `length` bytes and lives until `release_memory` gives back the reference in `hint`.
        let status = unsafe {
            sys::napi_create_external_arraybuffer(
                env.raw(),
                data,
                length,
                Some(release_memory),
                hint,
                &mut value,
            )
        };
        if status != sys::Status::napi_ok {
            // SAFETY: nobody else took the reference.
            unsafe { release_memory(env.raw(), data, hint) };
        }
        check_status!(status, "memory cannot be shared with JavaScript")?;
        // SAFETY: the value was made in this call.
        unsafe { ArrayBuffer::from_napi_value(env.raw(), value) }
    }

    /// The function that processes the row in the memory.
    pub fn function(self: &Rc<Self>, env: Env) -> napi::Result<Function<'static, f64, ()>> {
        let data = Rc::into_raw(Rc::clone(self)).cast_mut().cast();
        let mut function = ptr::null_mut();
        // SAFETY: `data` lives until `release_slot`, which runs when the function has gone.
        let status = unsafe {
            sys::napi_create_function(env.raw(), ptr::null(), 0, Some(process_one), data, &mut function)
        };
        let status = match status {
            // SAFETY: as above.
            sys::Status::napi_ok => unsafe {
                sys::napi_add_finalizer(
                    env.raw(),
                    function,
                    data,
                    Some(release_slot),
                    ptr::null_mut(),
                    ptr::null_mut(),
                )
            },
            failed => failed,
        };
        if status != sys::Status::napi_ok {
            // SAFETY: no finalizer was added, so nobody else gives the reference back; a function without one is
            // dropped below, before it can be called.
            unsafe { release_slot(env.raw(), data, ptr::null_mut()) };
        }
        check_status!(status, "a function cannot be made")?;
        // SAFETY: the value was made in this call.
        unsafe { Function::from_napi_value(env.raw(), function) }
    }

    /// Processes the row in the memory and writes its changes over it.
    fn process_one(&self, now_ms: f64) -> napi::Result<()> {
        let memory = self.memory.borrow();
        let Some(memory) = memory.as_ref() else { return Err(closed("processor")) };
        // SAFETY: the memory is alive, and this thread, on which alone JavaScript sees it, runs no JavaScript
        // until the slice is gone. Node keeps such a buffer from being handed to another thread.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(memory.0.as_ptr().cast_mut().cast::<u8>(), memory.0.len() * 8)
        };
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let length = (word(4) as usize).saturating_add(word(8) as usize).min(bytes.len());
        let source = word(12) as usize;
        let written = self.with(|running| running.process(source, bytes, length, now_ms))?;
        if written == 0 {
            bytes[..4].fill(0);
        } else if written > bytes.len() {
            bytes[..4].copy_from_slice(&NO_ROOM.to_le_bytes());
            let needed = u32::try_from(written).unwrap_or(u32::MAX);
            bytes[4..8].copy_from_slice(&needed.to_le_bytes());
        }
        Ok(())
    }

    /// Whether it is time to report the state's size.
    fn is_report_due(&self) -> bool {
        let calls = self.calls.get().wrapping_add(1);
        self.calls.set(calls);
        calls.is_multiple_of(REPORT_CALLS)
    }
}

/// The function: takes the clock in milliseconds where the processor reads it.
unsafe extern "C" fn process_one(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let (mut count, mut argument, mut data) = (1, ptr::null_mut(), ptr::null_mut());
    // SAFETY: Node calls with a live environment and its call's information, and the places are there.
    let status =
        unsafe { sys::napi_get_cb_info(env, info, &mut count, &mut argument, ptr::null_mut(), &mut data) };
    debug_assert_eq!(status, sys::Status::napi_ok);
    // SAFETY: `data` is the reference that the function holds while it lives, and it is being called.
    let slot = unsafe { &*data.cast::<Slot>() };
    let mut now_ms = 0.0;
    if count > 0 {
        // SAFETY: the argument was given; one that is no number leaves 0.
        unsafe { sys::napi_get_value_double(env, argument, &mut now_ms) };
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| slot.process_one(now_ms)));
    let outcome = outcome.unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    if let Err(error) = outcome {
        // SAFETY: no exception is pending in a call that begins.
        unsafe { JsError::from(error).throw_into(env) };
    } else if slot.is_report_due() {
        slot.report(Env::from_raw(env));
    }
    ptr::null_mut()
}

/// Gives back the reference that JavaScript's view of the memory held. Runs on the environment's thread.
unsafe extern "C" fn release_memory(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: `hint` came from `Rc::into_raw` of a memory and is given back once.
    drop(unsafe { Rc::from_raw(hint.cast::<Memory>()) });
}

/// Gives back the reference that the function held. Runs on the environment's thread.
unsafe extern "C" fn release_slot(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: `data` came from `Rc::into_raw` of a slot and is given back once.
    drop(unsafe { Rc::from_raw(data.cast::<Slot>()) });
}
