//! Where changes go: the bounded queue that a caller pulls from, and the layout in which they leave.

pub mod memory;
mod repeats;
pub mod rows;
