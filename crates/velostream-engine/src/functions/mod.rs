//! The functions of SQL, each in one place: signature, documentation, kernel and examples.

pub mod registry;
