//! What threads wait for each other with: the standard library's, or with the feature `explore` those of a schedule
//! explorer, under which the tests in `tests/explore.rs` run the engine in thousands of interleavings.

#[cfg(feature = "explore")]
pub use shuttle::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize},
    },
    thread::{Builder, JoinHandle},
};
#[cfg(not(feature = "explore"))]
pub use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize},
    },
    thread::{Builder, JoinHandle},
};
