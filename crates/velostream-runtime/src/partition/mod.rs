//! Partitions: a receiver with its processor and state, fed by bounded mailboxes.
//!
//! A receiver has a mailbox for each way by which something comes: from the engine, from a reader of files, from
//! each relation that another pipeline maintains. What comes is taken in order of its numbers ([`inlet`]). A mailbox has
//! one sender and one receiver; what a receiver gives out goes to the mailboxes of its readers and to its own output
//! queue. Pipelines never form a cycle, so a full mailbox only ever waits for somebody further down.
//!
//! Where a plan can be shared, several receivers run it: the sender hashes the keys of each row ([`outlet`]), each takes
//! its own ([`share`]), and one more receiver, which has neither plan nor thread, merges what they give ([`gather`],
//! [`answer`]). Between the stages of a plan each receiver of the first does both for those of the second.

pub mod answer;
pub mod barrier;
pub mod event;
pub mod gather;
pub mod inlet;
pub mod interlaced;
pub mod mailbox;
pub mod merge;
pub mod offsets;
pub mod outlet;
pub mod poison;
pub mod receiver;
pub mod share;
#[cfg(test)]
pub mod testing;
