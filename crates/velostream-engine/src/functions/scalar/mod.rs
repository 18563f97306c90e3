//! The scalar functions by group. To add one, add it to its group's file.

mod common;
mod math;
mod number;
mod regex;
mod text;
mod text_parts;
mod time;
mod time_text;

use crate::functions::overload::Function;

/// All functions, in the order of the reference.
pub(super) fn functions() -> Vec<Function> {
    let groups = [
        number::functions(),
        math::functions(),
        common::functions(),
        text::functions(),
        text_parts::functions(),
        regex::functions(),
        time::functions(),
        time_text::functions(),
    ];
    groups.into_iter().flatten().collect()
}
