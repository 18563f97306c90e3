//! Feeds: rows of a relation that the receivers of a query take themselves, block by block, as they read a file.
//!
//! [`Feed`] is what a program gives, [`Rows`] what it fills; [`turns`] says which feed's block comes next.

mod row;
mod rows;
pub mod turns;

pub use row::{Cell, Row};
pub use rows::Rows;

use crate::error::Result;

/// Rows of one relation that partitions take themselves, some at a time; given by [`crate::Engine::feed`].
///
/// A closure `FnMut(&mut Rows) -> Result<bool> + Send` is one too.
///
/// # Contract
/// * *One at a time.* `next` is called by one thread at a time, though not always by the same; several feeds are called
///   by several threads at once.
/// * *The call.* It may take its time, as its partition then does nothing else, but not for ever: a query that is closed
///   waits for the call under way. A feed that has no rows for the moment returns true without any, after a while.
/// * *The answer* depends on the rows and, of time, on where blocks end as little as on threads: `next` may append any
///   number of rows up to [`Rows::MAX`]; about a thousand are good.
pub trait Feed: Send {
    /// Appends the next rows to `rows`, which is empty and has the relation's columns. False says that they were the
    /// last. An error ends the query behind the rows before it, as a panic does, with the code INTERNAL.
    fn next(&mut self, rows: &mut Rows) -> Result<bool>;
}

impl<F: FnMut(&mut Rows) -> Result<bool> + Send> Feed for F {
    fn next(&mut self, rows: &mut Rows) -> Result<bool> {
        self(rows)
    }
}
