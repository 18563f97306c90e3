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
        Condvar, MutexGuard,
        atomic::{AtomicBool, AtomicUsize},
    },
    thread::{Builder, JoinHandle},
};

#[cfg(not(any(feature = "explore", feature = "trouble")))]
pub use std::sync::Mutex;

#[cfg(all(feature = "trouble", not(feature = "explore")))]
pub use counted::Mutex;

/// The standard library's lock, counting who takes it: the tests show where none is taken.
#[cfg(all(feature = "trouble", not(feature = "explore")))]
pub mod counted {
    use super::MutexGuard;
    use std::cell::Cell;
    use std::sync::LockResult;

    thread_local! {
        static LOCKS: Cell<u64> = const { Cell::new(0) };
    }

    /// How many locks this thread has taken.
    #[must_use]
    pub fn locks_taken() -> u64 {
        LOCKS.get()
    }

    /// As [`std::sync::Mutex`].
    #[derive(Debug, Default)]
    pub struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            LOCKS.set(LOCKS.get() + 1);
            self.0.lock()
        }
    }
}
