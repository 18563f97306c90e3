//! Feeds: rows of a relation that the receivers of a query take themselves, block by block, as they read a file.
//!
//! [`Feed`] is what a program gives, [`Rows`] what it fills; [`rounds`] says which feed's block comes next.

pub mod rounds;
mod row;
mod rows;

pub use row::{Cell, Row};
pub use rows::Rows;

use crate::error::Error;

/// Rows of one relation that partitions take themselves, some at a time; given by [`crate::Engine::feed`].
///
/// A closure `FnMut(&mut Rows) -> Result<bool, Error> + Send` is one too.
///
/// # Contract
/// * *One at a time.* `next` is called by one thread at a time, though not always by the same; several feeds are called
///   by several threads at once.
/// * *The call.* Meanwhile its partition does nothing else, and a query that is closed waits for it. So it must not take
///   for ever: a feed that has no rows for the moment returns true without any, after a while.
/// * *Blocks.* What one call appends is a block: at most [`Rows::MAX`] rows, some four thousand are good. With several feeds
///   the blocks say in which order the rows stand; more than that does not depend on them.
pub trait Feed: Send {
    /// Appends the next rows to `rows`, which is empty and has the relation's columns. False says that they were the
    /// last. An error ends the query behind the rows before it, as a panic does, with the code INTERNAL.
    fn next(&mut self, rows: &mut Rows) -> Result<bool, Error>;
}

impl<F: FnMut(&mut Rows) -> Result<bool, Error> + Send> Feed for F {
    fn next(&mut self, rows: &mut Rows) -> Result<bool, Error> {
        self(rows)
    }
}
