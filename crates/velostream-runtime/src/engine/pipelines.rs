//! Starting, pumping and ending queries.

use super::Engine;
use super::sharing::Common;
use super::ways::Ways;
use crate::api::{OnError, QueryOptions};
use crate::catalog::{PipelineId, What};
use crate::error::{Error, Result};
use crate::kernel::{self, Kernel, KernelOptions};
use crate::partition::merge::Merger;
use crate::partition::receiver::PartitionReceiver;
use crate::pipeline::{Pipeline, Purpose};
use crate::sink::changes::ChangeSink;
use crate::sink::memory::OutputQueue;
use crate::source::table::TableStore;
use crate::sync::Builder;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use velostream_engine::batch::{ChangeBatch, Op};
use velostream_sql::catalog::RelationId;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::plan::{LogicalPlan, RelationRef};
use velostream_sql::shares::Order;

/// A query to be started.
pub(super) struct Start<'a> {
    pub plan: &'a LogicalPlan,
    pub sql: Arc<str>,
    pub reads: Vec<RelationId>,
    pub purpose: Purpose,
    /// Whether it maintains a table, whose rows it keeps.
    pub keeps_rows: bool,
    pub options: &'a QueryOptions,
    /// Makes who takes the changes where they are computed, by place.
    pub sinks: Option<Sinks>,
    pub now_ms: i64,
}

/// Makes a sink for each place at which a query's changes come out.
pub(super) type Sinks = Box<dyn FnMut(usize) -> Box<dyn ChangeSink>>;

impl Engine {
    /// The plan over what its sources really are: derived streams over files are computed by each reader.
    pub(super) fn expanded(&self, plan: &LogicalPlan) -> LogicalPlan {
        kernel::with_sources(plan.clone(), &|relation: &RelationRef| match &self
            .catalog
            .get(relation.0.id)?
            .what
        {
            What::Derived(derived) if derived.pipeline.is_none() => Some(self.expanded(&derived.plan)),
            _ => None,
        })
    }

    /// Whether a plan's rows come, at the far end, from files and feeds alone, so that they end by themselves.
    pub(super) fn is_finite(&self, plan: &LogicalPlan) -> bool {
        kernel::sources_of(plan).iter().all(|relation| {
            self.catalog.self_read(relation.id).is_some()
                || match self.catalog.get(relation.id).map(|entry| &entry.what) {
                    Some(What::Derived(derived)) => self.is_finite(&derived.plan),
                    _ => false,
                }
        })
    }

    /// Starts a query; nothing is left behind when it cannot be.
    pub(super) fn start(&mut self, start: Start<'_>) -> Result<PipelineId> {
        let on_error = on_error(start.options.on_error.as_deref())?;
        let name = self.free_name(start.options.name.as_deref())?;
        let plan = self.expanded(start.plan);
        let before = start.options.before || matches!(start.purpose, Purpose::Derived(_));
        let snapshot = start.purpose == Purpose::Ask;
        let kernel = Kernel::new(&plan, &KernelOptions { snapshot, ..self.kernel_options(before) })?;
        let sharing = self.sharing(&plan, start.purpose, start.options.order_by_key);
        let inline = self.is_inline(start.purpose);
        let ways = self.ways(&kernel, sharing.as_ref(), !inline)?;
        let wake = self.shared.wake.clone();
        let output = match start.purpose {
            Purpose::Derived(_) => None,
            Purpose::Insert(_) => Some(Arc::new(OutputQueue::new(usize::MAX, usize::MAX, wake))),
            Purpose::Query | Purpose::Ask => {
                Some(Arc::new(OutputQueue::new(self.options.output_rows, self.options.output_bytes, wake)))
            }
        };
        let schema = Arc::clone(kernel.schema());
        let serves = matches!(start.purpose, Purpose::Derived(_));
        let id = self.next_pipeline;
        let inputs = kernel.inputs().iter().map(|relation| relation.id).collect();
        let finite = self.is_finite(&plan);
        let common =
            Common { id, query: name.clone(), finite, serves, on_error, before, now_ms: start.now_ms };
        let mut receivers = self.receivers(kernel, sharing.as_ref(), &ways, &common)?;
        let (metrics, mailboxes) = (receivers.metrics(), std::mem::take(&mut receivers.mailboxes));
        if let Some(mut sinks) = start.sinks {
            receivers.set_sinks(sharing.as_ref().is_some_and(|sharing| sharing.by_key), &mut sinks);
        }
        let answer = receivers.answer();
        answer.output = output.clone();
        answer.table = start.keeps_rows.then(|| TableStore::new(&schema));
        let pipeline = Pipeline {
            id,
            name,
            sql: Arc::clone(&start.sql),
            purpose: start.purpose,
            inputs,
            reads: start.reads,
            schema: Arc::clone(&schema),
            mailboxes,
            ways: ways.count(),
            from_engine: None,
            paced: false,
            output,
            metrics,
            answer: Arc::clone(&answer.metrics),
            finished: Arc::clone(&answer.finished),
            finite,
            inline: None,
            threads: Vec::new(),
            readers: Vec::new(),
            blocks: None,
            feeds: Vec::new(),
        };
        self.launch(pipeline, receivers.into_threads(), ways, start.now_ms)
    }

    /// Whether a query's receiver runs on the calling thread.
    fn is_inline(&self, purpose: Purpose) -> bool {
        self.options.partitions == 0 || matches!(purpose, Purpose::Insert(_) | Purpose::Ask)
    }

    /// A name for a query: the one asked for, or one that is free.
    fn free_name(&self, wanted: Option<&str>) -> Result<String> {
        let Some(wanted) = wanted else { return Ok(format!("query_{}", self.next_pipeline)) };
        if self.pipelines.values().any(|pipeline| pipeline.name == wanted) {
            return Err(Error::new(ErrorCode::Exists, format!("a query named {wanted} is running")));
        }
        Ok(wanted.to_owned())
    }

    /// Connects a pipeline to its inputs and lets its receivers run.
    fn launch(
        &mut self,
        mut pipeline: Pipeline,
        receivers: Vec<PartitionReceiver>,
        ways: Ways,
        now_ms: i64,
    ) -> Result<PipelineId> {
        let id = pipeline.id;
        let inline = self.is_inline(pipeline.purpose);
        if inline {
            ways.of_threads().for_each(|mailbox| mailbox.wake_caller());
        }
        // Before anything leads to the pipeline, so that one without its threads goes without a trace.
        for receiver in receivers {
            if inline {
                pipeline.inline = Some(Box::new(receiver));
                continue;
            }
            let thread = Builder::new().name(format!("velostream-{}", pipeline.name));
            let started = thread.spawn(move || receiver.run());
            pipeline.threads.push(started.map_err(|error| {
                Error::new(ErrorCode::Limit, format!("no thread can be started: {error}"))
            })?);
        }
        self.connect(&mut pipeline, ways, now_ms)?;
        if let Some(receiver) = &mut pipeline.inline {
            receiver.begin();
        }
        self.next_pipeline += 1;
        self.pipelines.insert(id, pipeline);
        self.set_pace();
        self.pump(now_ms);
        Ok(id)
    }

    /// The pipeline that maintains a derived relation.
    pub(super) fn pipeline_of(&self, relation: RelationId) -> Result<&Pipeline> {
        let entry = self.catalog.get(relation);
        let id = entry.and_then(|entry| match &entry.what {
            What::Derived(derived) => derived.pipeline,
            _ => None,
        });
        let pipeline = id.and_then(|id| self.pipelines.get(&id));
        pipeline.ok_or_else(|| Error::new(ErrorCode::State, "the relation's query has been terminated"))
    }

    /// Runs what runs on the calling thread until nothing is left to do or there is no room.
    pub(super) fn pump(&mut self, now_ms: i64) {
        loop {
            let mut worked = false;
            let targets = self.targets_with_room();
            for pipeline in self.pipelines.values_mut() {
                if let Purpose::Insert(target) = pipeline.purpose
                    && !targets.contains(&target)
                {
                    continue;
                }
                if let Some(receiver) = &mut pipeline.inline {
                    worked |= receiver.pump();
                }
            }
            worked |= self.take_inserts(now_ms);
            if !worked {
                return;
            }
        }
    }

    /// The targets of INSERT SELECTs that take rows now.
    fn targets_with_room(&self) -> BTreeSet<RelationId> {
        let targets = self.pipelines.values().filter_map(|pipeline| match pipeline.purpose {
            Purpose::Insert(target) => Some(target),
            _ => None,
        });
        targets.filter(|&target| self.has_room(target)).collect()
    }

    /// Lets the rows of INSERT SELECTs enter their targets: of one target in the order of the records that
    /// caused them.
    fn take_inserts(&mut self, now_ms: i64) -> bool {
        let mut rows: BTreeMap<RelationId, Vec<ChangeBatch>> = Default::default();
        for pipeline in self.pipelines.values() {
            let (Purpose::Insert(target), Some(output)) = (pipeline.purpose, &pipeline.output) else {
                continue;
            };
            let mut changes = ChangeBatch::default();
            while matches!(output.pull(usize::MAX, &mut changes), Ok(crate::api::Pull::Rows)) {}
            if !changes.is_empty() {
                rows.entry(target).or_default().push(changes);
            }
        }
        let worked = !rows.is_empty();
        for (target, parts) in rows {
            let mut merged = ChangeBatch::like(&parts[0]);
            let lanes: Vec<_> = parts.iter().map(|part| vec![part]).collect();
            let order = Merger::default().order(&lanes, Order::ByRecord);
            merged.extend_picked(&parts.iter().collect::<Vec<_>>(), &order);
            self.accept(target, merged, Op::Insert, now_ms);
        }
        worked
    }

    /// Ends a query and waits for its threads.
    pub(super) fn remove(&mut self, id: PipelineId) {
        let Some(pipeline) = self.pipelines.remove(&id) else { return };
        self.forget_reader(&pipeline.inputs, id);
        drop(pipeline);
        self.set_pace();
        self.shared.wake.wake();
    }

    /// Takes a pipeline off the sources that it reads.
    pub(super) fn forget_reader(&mut self, inputs: &[RelationId], id: PipelineId) {
        for &input in inputs {
            if let Some(source) = self.catalog.source_mut(input) {
                source.readers.retain(|&(reader, _)| reader != id);
            }
        }
    }

    /// Whether a pipeline has given out all of its input.
    pub(super) fn is_finished(&self, id: PipelineId) -> bool {
        self.pipelines.get(&id).is_none_or(|pipeline| pipeline.finished.load(Ordering::Acquire))
    }
}

/// The policy of an option's text.
fn on_error(text: Option<&str>) -> Result<OnError> {
    match text.unwrap_or("dead_letter").to_ascii_lowercase().as_str() {
        "dead_letter" => Ok(OnError::DeadLetter),
        "stop" => Ok(OnError::Stop),
        "null" => Err(Error::new(ErrorCode::Unsupported, "on_error = 'null' is not supported yet")),
        other => {
            let message = format!("on_error is 'dead_letter' or 'stop', not '{other}'");
            Err(Error::new(ErrorCode::Argument, message))
        }
    }
}
