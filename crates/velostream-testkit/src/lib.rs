//! What the tests of the other crates share: the golden files' format and their runner.
//!
//! Not published. [`golden`] reads the files of `__test__/golden` and runs them against the engine; [`session`]
//! runs a query over columns that the caller makes; [`scripts`] makes random queries and histories.
#![forbid(unsafe_code)]

pub mod golden;
pub mod scripts;
pub mod session;
