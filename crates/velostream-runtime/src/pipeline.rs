//! The engine's side of a running query: its mailbox, its output, its threads.

use crate::catalog::PipelineId;
use crate::metrics::PartitionMetrics;
use crate::partition::mailbox::Mailbox;
use crate::partition::receiver::{PartitionReceiver, PartitionStats};
use crate::sink::memory::OutputQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use velostream_sql::catalog::RelationId;
use velostream_sql::types::Schema;

/// What a query is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The caller reads its changes.
    Query,
    /// It maintains a relation.
    Derived(RelationId),
    /// INSERT SELECT: its rows enter a relation.
    Feed(RelationId),
    /// It reads a file once for a caller that waits for all rows.
    Ask,
}

/// A running query.
pub struct Pipeline {
    /// Its number.
    pub id: PipelineId,
    /// Its id or name as shown.
    pub name: String,
    /// Its text.
    pub sql: Arc<str>,
    /// What it is for.
    pub purpose: Purpose,
    /// The relations that its batches come from, in the order of the receiver's inputs.
    pub inputs: Vec<RelationId>,
    /// Relations that its text names.
    pub reads: Vec<RelationId>,
    /// Columns and key.
    pub schema: Arc<Schema>,
    /// Its mailboxes, one for each way.
    pub mailboxes: Vec<Arc<Mailbox>>,
    /// That by which the engine sends what it accepts, if the pipeline reads such a relation.
    pub from_engine: Option<Arc<Mailbox>>,
    /// Whether it, or one that reads it, has several ways in, so that it must hear of all that the engine accepts.
    pub paced: bool,
    /// Its output, where the engine or the caller takes it.
    pub output: Option<Arc<OutputQueue>>,
    /// Counters.
    pub metrics: Arc<PartitionMetrics>,
    /// The input has ended or failed and all of it is given out.
    pub finished: Arc<AtomicBool>,
    /// Whether its input is, at the far end, files alone.
    pub finite: bool,
    /// The receiver, where it runs on the calling thread.
    pub inline: Option<Box<PartitionReceiver>>,
    /// The receiver's thread.
    pub thread: Option<JoinHandle<PartitionStats>>,
    /// The file reader's thread; none for standard input, which may never return.
    pub reader: Option<JoinHandle<()>>,
}

impl Pipeline {
    /// Whether all of its input is given out.
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Batches and bytes waiting for it.
    pub fn depth(&self) -> (u64, u64) {
        let each = self.mailboxes.iter().map(|mailbox| mailbox.depth());
        each.fold((0, 0), |(batches, bytes), (more, more_bytes)| (batches + more, bytes + more_bytes))
    }

    /// Ends all waiting of its threads, which then return.
    pub fn stop(&self) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.close());
        if let Some(output) = &self.output {
            output.abandon();
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
        let receiver = self.thread.take().map(JoinHandle::join);
        let reader = self.reader.take().map(JoinHandle::join);
        // A panic is caught and reported where it happens; what joins is only the thread's own end.
        drop((receiver, reader));
    }
}
