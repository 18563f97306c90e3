//! The kernels of operators, by kind.

pub(super) mod arithmetic;
pub(super) mod cast;
mod cast_text;
pub(super) mod compare;
pub(super) mod like;
pub(super) mod list;
pub(super) mod logic;
pub(super) mod select;
mod time_arithmetic;
