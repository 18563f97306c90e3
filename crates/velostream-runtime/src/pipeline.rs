//! The engine's side of a running query: its mailbox, its output, its threads.

use crate::catalog::PipelineId;
use crate::feed::rounds::Feeds;
use crate::metrics::{PartitionCounters, PartitionMetrics};
use crate::partition::mailbox::Mailbox;
use crate::partition::outlet::Outlet;
use crate::partition::receiver::{PartitionReceiver, PartitionStats};
use crate::sink::memory::OutputQueue;
use crate::source::blocks::Blocks;
use crate::sync::{AtomicBool, JoinHandle};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use velostream_engine::time::Watermark;
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
    Insert(RelationId),
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
    /// The mailboxes of each receiver, one for each way: first of those that read the sources, one for each partition; where
    /// several share the plan, last of the receiver that merges what they give.
    pub mailboxes: Vec<Vec<Arc<Mailbox>>>,
    /// By how many ways something comes in.
    pub ways: usize,
    /// That by which the engine sends what it accepts, if the pipeline reads such a relation.
    pub from_engine: Option<Outlet>,
    /// Whether it, or one that reads it, has several ways in, so that it must hear of all that the engine accepts.
    pub paced: bool,
    /// Its output, where the engine or the caller takes it.
    pub output: Option<Arc<OutputQueue>>,
    /// Counters of each partition.
    pub metrics: Vec<PartitionCounters>,
    /// Those of the receiver that gives the answer.
    pub answer: Arc<PartitionMetrics>,
    /// The input has ended or failed and all of it is given out.
    pub finished: Arc<AtomicBool>,
    /// Whether its input is, at the far end, files and feeds alone.
    pub finite: bool,
    /// The receiver, where it runs on the calling thread.
    pub inline: Option<Box<PartitionReceiver>>,
    /// The receivers' threads.
    pub threads: Vec<JoinHandle<PartitionStats>>,
    /// Threads that read files and feeds; none for standard input, which may never return.
    pub readers: Vec<JoinHandle<()>>,
    /// Files and feeds that the receivers read, and those threads.
    pub blocks: Option<Arc<Blocks>>,
    /// Feeds that it has taken.
    pub feeds: Vec<Arc<Feeds>>,
}

impl Pipeline {
    /// Up to which time all partitions have given their rows; nothing while one knows of none.
    pub fn watermark(&self) -> Option<i64> {
        let answers = self.metrics.iter().filter_map(PartitionCounters::answer);
        let least = answers.map(|metrics| metrics.watermark_micros.load(Ordering::Relaxed)).min()?;
        (least != Watermark::NONE.0).then_some(least)
    }

    /// Whether all of its input is given out.
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// The mailbox by which questions come where the engine sends nothing else, as over files.
    pub fn front(&self) -> Option<&Arc<Mailbox>> {
        self.mailboxes.first()?.first()
    }

    /// Batches and bytes waiting for receiver `place`.
    pub fn depth(&self, place: usize) -> (u64, u64) {
        let each = self.mailboxes[place].iter().map(|mailbox| mailbox.depth());
        each.fold((0, 0), |(batches, bytes), (more, more_bytes)| (batches + more, bytes + more_bytes))
    }

    /// Closes every mailbox, and reads no more.
    pub fn close_mailboxes(&self) {
        self.blocks.iter().for_each(|blocks| blocks.close());
        self.mailboxes.iter().flatten().for_each(|mailbox| mailbox.close());
    }

    /// Ends all waiting of its threads, which then return.
    pub fn stop(&self) {
        self.close_mailboxes();
        if let Some(output) = &self.output {
            output.abandon();
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
        let receivers: Vec<_> = self.threads.drain(..).map(JoinHandle::join).collect();
        let readers: Vec<_> = self.readers.drain(..).map(JoinHandle::join).collect();
        // A panic is caught and reported where it happens; what joins is only the thread's own end.
        drop((receivers, readers));
        self.feeds.iter().for_each(|feeds| feeds.release());
    }
}
