//! Golden files: SQL, timed input and expected changes as plain text that reads as a specification.
//!
//! `docs/golden.md` describes the format. [`parse()`] reads a file and [`check_texts`] binds all of its SQL, and
//! [`run()`] runs it against `QueryProcessor` under every batch size and with a snapshot and restore in the middle.

mod catalog;
mod door;
mod parse;
mod rewrite;
mod run;
mod texts;
mod value;

pub use catalog::{GoldenCatalog, is_table, sources_of};
pub use door::{CoreDoor, DoorError};
pub use parse::{
    Expectation, Expected, FormatError, GoldenFile, Item, ItemKind, Word, is_data_statement, parse,
};
pub use rewrite::rewrite;
pub use run::{BATCH_SIZES, Configuration, Found, Outcome, run};
pub use texts::{Failure, check_texts, columns_of, key_of};
pub use value::{ValueError, literal, same, show};
