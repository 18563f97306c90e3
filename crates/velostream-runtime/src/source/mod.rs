//! Sources: the door where records get their time, the rows of source tables, files, and what is read
//! in blocks.

pub mod block_reader;
pub mod blocks;
pub mod door;
pub mod file;
pub mod ranges;
pub mod reader;
pub mod reads;
mod stdin;
pub mod table;
mod together;
