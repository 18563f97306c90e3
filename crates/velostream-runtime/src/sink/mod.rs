//! Where changes go: the bounded queue that a caller pulls from, and the layouts in which they leave.

pub mod changes;
mod json;
pub mod memory;
pub mod ndjson;
mod repeats;
pub mod rows;
