//! Trouble on demand, for the tests: threads that dawdle wherever others may overtake them, and receivers that panic.
//! Without the feature `trouble` both are empty.

#[cfg(feature = "trouble")]
pub use on_demand::{FAULTY, dawdle, dawdle_from, strike};

/// Where another thread may overtake this one.
#[cfg(not(feature = "trouble"))]
#[inline(always)]
pub fn dawdle() {}

/// Where a receiver may panic.
#[cfg(not(feature = "trouble"))]
#[inline(always)]
pub fn strike(_query: &str, _receiver: impl std::fmt::Display, _batches: u64) {}

#[cfg(feature = "trouble")]
mod on_demand {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// A query of this name panics at its first batch. With the number of a receiver, or `answer` for the one that
    /// merges, behind it only that one does; with a second number only when it has had so many batches.
    pub const FAULTY: &str = "faulty";

    /// The delays' seed; without one there are none.
    static SEED: AtomicU64 = AtomicU64::new(0);
    /// Threads that have dawdled, so that each has delays of its own.
    static THREADS: AtomicU64 = AtomicU64::new(0);
    /// Longest sleep.
    const SLEEP_MICROS_MAX: u64 = 120;

    thread_local! {
        /// The seed that this thread's numbers come from, and their state.
        static NUMBERS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    }

    /// From here on every thread of the process dawdles at random; with 0 none does.
    pub fn dawdle_from(seed: u64) {
        SEED.store(seed, Ordering::Release);
    }

    /// Numbers that look random: xorshift, Marsaglia 2003.
    fn next(seed: u64) -> u64 {
        let (own, mut state) = NUMBERS.get();
        if own != seed || state == 0 {
            let thread = THREADS.fetch_add(1, Ordering::Relaxed) + 1;
            state = seed ^ thread.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        NUMBERS.set((seed, state));
        state >> 16
    }

    /// Where another thread may overtake this one: goes on, lets others go first, or sleeps.
    pub fn dawdle() {
        let seed = SEED.load(Ordering::Acquire);
        if seed == 0 {
            return;
        }
        let number = next(seed);
        match number % 8 {
            0 => std::thread::sleep(Duration::from_micros((number >> 3) % SLEEP_MICROS_MAX)),
            1 | 2 => std::thread::yield_now(),
            _ => {}
        }
    }

    /// Panics in the receiver that is to.
    pub fn strike(query: &str, receiver: impl std::fmt::Display, batches: u64) {
        let Some(rest) = query.strip_prefix(FAULTY) else { return };
        let mut words = rest.split_whitespace();
        let is_meant = words.next().is_none_or(|word| word == receiver.to_string());
        let is_due = words.next().is_none_or(|word| word == batches.to_string());
        if is_meant && is_due {
            // Without the hooks of a panic: a schedule explorer takes them for the end of its test.
            std::panic::resume_unwind(Box::new("an operator has lost its state"));
        }
    }
}
