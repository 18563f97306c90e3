//! [`Reported`]: what JavaScript's collector knows of a handle's state.
//!
//! A handle is a few bytes to the collector, whatever it holds; told of the rest, it collects handles that nobody
//! has closed before memory runs out.

use napi::Env;
use std::cell::Cell;

/// Bytes of state that the collector was told of.
#[derive(Default)]
pub struct Reported(Cell<i64>);

impl Reported {
    /// Tells the collector that the handle holds so many bytes now.
    pub fn set(&self, env: Env, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let change = bytes - self.0.replace(bytes);
        if change != 0 {
            // A collector that was not told only collects later.
            drop(env.adjust_external_memory(change));
        }
    }
}
