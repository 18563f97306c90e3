//! [`ReceiverSetup`]: what a receiver is made of.

use super::ToNextStage;
use crate::api::OnError;
use crate::catalog::PipelineId;
use crate::kernel::Kernel;
use crate::metrics::PartitionMetrics;
use crate::partition::answer::Answer;
use crate::partition::barrier::Reader;
use crate::partition::inlet::Intake;
use crate::shared::Shared;
use crate::sink::changes::ChangeSink;
use crate::sink::memory::OutputQueue;
use crate::source::table::TableStore;
use crate::sync::AtomicBool;
use std::sync::Arc;
use velostream_sql::catalog::Relation;
use velostream_sql::types::Schema;

/// What a receiver is made of.
pub struct ReceiverSetup {
    /// Which partition.
    pub partition: usize,
    /// The pipeline's number.
    pub id: PipelineId,
    /// The query's id or name, for letters.
    pub query: String,
    /// The plan; none where others run it, whose changes come merged and are given on.
    pub plan: Option<Kernel>,
    /// The answer's columns.
    pub schema: Arc<Schema>,
    /// Where the input comes from.
    pub inlet: Box<dyn Intake>,
    /// Who reads the changes from the start.
    pub readers: Vec<Reader>,
    /// Whether others share the plan, so that its answer is elsewhere.
    pub is_share: bool,
    /// Where the answer is put together, if this is one of those that give their part of it.
    pub answer: Option<Arc<Answer>>,
    /// The stage whose receivers read the changes, if the plan is cut and this is one of its first.
    pub next_stage: Option<ToNextStage>,
    /// Where the rows were made from records, if the plan is cut and this is one of its second.
    pub first_stage: Option<FirstStage>,
    /// Whether readers are told of each move of time, and not only how far it came.
    pub tells_time: bool,
    /// Whether all that comes in comes from files, so that its numbers are those of the files.
    pub finite: bool,
    /// Where the caller reads, if it does.
    pub output: Option<Arc<OutputQueue>>,
    /// Who takes the changes on the receiver's own thread, before anybody else; nobody else then sees them.
    pub sink: Option<Box<dyn ChangeSink>>,
    /// The rows of the table that the query maintains, if it does.
    pub table: Option<TableStore>,
    /// Whether other queries and the caller may still ask after the end: so with derived relations.
    pub serves: bool,
    /// What happens to rejected records.
    pub on_error: OnError,
    /// Letters, wake, size.
    pub shared: Arc<Shared>,
    /// Counters.
    pub metrics: Arc<PartitionMetrics>,
    /// Set when the input has ended or failed and all of it is given out.
    pub finished: Arc<AtomicBool>,
}

/// What a receiver of the second stage tells of records that it leaves out.
pub struct FirstStage {
    /// The stream that they are of.
    pub stream: Arc<Relation>,
    /// The names of all relations that the plan reads.
    pub inputs: String,
}
