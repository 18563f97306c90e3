//! Partitions: a receiver with its processor and state, fed by a bounded mailbox.
//!
//! A mailbox has one sender and one receiver; what a receiver gives out goes to the mailboxes of its readers
//! and to its own output queue. Pipelines never form a cycle, so a full mailbox only ever waits for somebody
//! further down.

pub mod mailbox;
pub mod merge;
pub mod poison;
pub mod receiver;
