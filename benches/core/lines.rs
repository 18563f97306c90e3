//! What two cores take to hand cache lines to each other: the state of the machine that scaling depends on most. A virtual
//! machine's cores may share a cache in one minute and not in the next.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

const WORDS: usize = 1 << 15;
const WORDS_PER_LINE: usize = 8;
const ROUNDS: u32 = 200;

/// Nanoseconds that a core takes to write a cache line which the other has read, where many in a row are written.
pub fn write_ns() -> f64 {
    let words: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(WORDS).collect();
    let turn = AtomicU32::new(0);
    let await_turn = |at: u32| {
        while turn.load(Ordering::Acquire) != at {
            std::hint::spin_loop();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                await_turn(2 * round + 1);
                let sum =
                    words.iter().fold(0_u64, |sum, word| sum.wrapping_add(word.load(Ordering::Relaxed)));
                std::hint::black_box(sum);
                turn.store(2 * round + 2, Ordering::Release);
            }
        });
        let mut rounds: Vec<f64> = (0..ROUNDS)
            .map(|round| {
                let begin = Instant::now();
                words.iter().for_each(|word| word.store(u64::from(round), Ordering::Relaxed));
                let nanos = begin.elapsed().as_secs_f64() * 1e9;
                turn.store(2 * round + 1, Ordering::Release);
                await_turn(2 * round + 2);
                nanos
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        rounds[rounds.len() / 2] / (WORDS / WORDS_PER_LINE) as f64
    })
}
