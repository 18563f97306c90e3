//! Answers given once: snapshots, flushes, and the tickets for both.

use super::Engine;
use super::pipelines::Start;
use crate::api::{Pull, QueryOptions, Ticket, TicketResult, TicketValue};
use crate::catalog::PipelineId;
use crate::error::{Error, Result};
use crate::kernel::{self, Kernel, KernelOptions};
use crate::partition::barrier::{BarrierKind, Passes};
use crate::pipeline::Purpose;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Poll;
use velostream_engine::batch::{Batch, ChangeBatch, Op};
use velostream_engine::error::Rejects;
use velostream_sql::bind::{BindOptions, Params};
use velostream_sql::catalog::{Relation, RelationId};
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::plan::LogicalPlan;
use velostream_sql::statement::{BoundQuery, Statement};
use velostream_sql::types::Schema;

/// Something under way.
pub(super) enum Job {
    /// The answer is there.
    Ready(TicketResult),
    /// Relations that it reads are still being computed from files.
    Waits { files: Vec<PipelineId>, asked: Box<Asked> },
    /// A pipeline of its own gathers the rows until their end.
    Gather { pipeline: PipelineId, schema: Arc<Schema>, rows: ChangeBatch },
    /// A flush.
    Flush { passes: Arc<Passes>, files: Vec<PipelineId> },
}

/// A query that is asked for once.
pub(super) struct Asked {
    plan: LogicalPlan,
    text: Arc<str>,
    reads: Vec<RelationId>,
    options: QueryOptions,
    now_ms: i64,
}

impl Engine {
    /// Asks for rows once: SELECT over tables, files or nothing, SHOW, DESCRIBE, EXPLAIN.
    pub fn all(&mut self, sql: &str, params: &Params, now_ms: i64) -> Result<Ticket> {
        self.open()?;
        let options = BindOptions { snapshot: true, ..BindOptions::default() };
        let mut statements = self.bind(sql, params, &options)?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(Error::new(ErrorCode::Argument, "expected one statement that gives rows"));
        };
        let job = match statement {
            Statement::Query(query) => self.ask(&query, now_ms)?,
            statement => match self.describe(&statement)? {
                Some((schema, rows)) => Job::Ready(Ok(TicketValue::Rows(schema, rows))),
                None => {
                    let message = "the statement gives no rows: use exec";
                    return Err(Error::new(ErrorCode::Argument, message));
                }
            },
        };
        Ok(self.ticket(job))
    }

    fn ask(&mut self, query: &BoundQuery, now_ms: i64) -> Result<Job> {
        let plan = kernel::once(&self.expanded(&query.plan));
        let (mut held, mut files) = (true, false);
        for relation in kernel::sources_of(&plan) {
            let is_read = self.catalog.self_read(relation.id).is_some();
            if !is_read && !kernel::is_table(relation) {
                return Err(Error::new(
                    ErrorCode::Unsupported,
                    format!("{} is a stream and keeps no rows", relation.name),
                )
                .with_hint("use query(), or a CREATE TABLE ... AS over it"));
            }
            held &= !is_read && self.catalog.source(relation.id).is_some();
            files |= is_read;
        }
        if held {
            return Ok(Job::Ready(self.run_once(&plan, now_ms)));
        }
        let on_error = (!files).then(|| "stop".to_owned());
        let options = QueryOptions { on_error, ..QueryOptions::default() };
        let (text, reads) = (Arc::clone(&query.text), query.reads.clone());
        let asked = Box::new(Asked { plan, text, reads, options, now_ms });
        let upstream =
            kernel::sources_of(&asked.plan).into_iter().filter_map(|source| self.maintainer(source.id));
        let leading: BTreeSet<PipelineId> = upstream.flat_map(|pipeline| self.ancestors(pipeline)).collect();
        let is_finite = |id: &PipelineId| self.pipelines.get(id).is_some_and(|pipeline| pipeline.finite);
        let files: Vec<PipelineId> = leading.into_iter().filter(is_finite).collect();
        if files.is_empty() { self.gather_from(&asked) } else { Ok(Job::Waits { files, asked }) }
    }

    /// Starts the pipeline that gathers an answer.
    fn gather_from(&mut self, asked: &Asked) -> Result<Job> {
        let pipeline = self.start(Start {
            plan: &asked.plan,
            sql: Arc::clone(&asked.text),
            reads: asked.reads.clone(),
            purpose: Purpose::Ask,
            keeps_rows: false,
            options: &asked.options,
            sinks: None,
            now_ms: asked.now_ms,
        })?;
        let schema = Arc::clone(asked.plan.schema());
        Ok(Job::Gather { pipeline, schema, rows: ChangeBatch::default() })
    }

    /// The answer over rows that the engine itself holds; the first record that fails is the error.
    fn run_once(&self, plan: &LogicalPlan, now_ms: i64) -> TicketResult {
        let options = KernelOptions { snapshot: true, ..self.kernel_options(false) };
        let mut kernel = Kernel::new(plan, &options)?;
        let at = self.last_number();
        let rows = |(input, relation): (usize, &Arc<Relation>)| {
            let rows = self.catalog.source(relation.id)?.door.snapshot(at, now_ms)?;
            (!rows.batch.changes.is_empty()).then_some((input, rows.batch))
        };
        let inputs: Vec<(usize, Batch)> = kernel.inputs().iter().enumerate().filter_map(rows).collect();
        let inputs: Vec<(usize, &Batch)> = inputs.iter().map(|(input, batch)| (*input, batch)).collect();
        let mut out = kernel.empty();
        let mut rejects = Rejects::default();
        match inputs.as_slice() {
            [] => {}
            &[(input, batch)] => kernel.process(input, batch, &mut out, &mut rejects)?,
            inputs => kernel.process_step(inputs, &mut out, &mut rejects)?,
        }
        if let Some(reject) = rejects.failed.into_iter().next() {
            return Err(reject.error.into());
        }
        kernel.end_all(&mut out)?;
        if let Some((_, error)) = kernel.take_row_errors().into_iter().next() {
            return Err(error.into());
        }
        debug_assert!(out.ops.iter().all(|&op| op == Op::Insert), "an answer given once is not revised");
        Ok(TicketValue::Rows(Arc::clone(kernel.schema()), out))
    }

    /// Ready when everything accepted so far is processed and sits in output queues or was pulled, and files
    /// are read to their end.
    pub fn flush(&mut self) -> Ticket {
        let (passes, pass) = Passes::new(self.shared.wake.clone());
        self.send_barrier(None, &BarrierKind::Flush(pass));
        let files = self.pipelines.values().filter(|pipeline| pipeline.finite).map(|pipeline| pipeline.id);
        let job = Job::Flush { passes, files: files.collect() };
        self.ticket(job)
    }

    /// Whether a ticket is ready. Ready is said once.
    pub fn poll(&mut self, ticket: Ticket) -> Poll<TicketResult> {
        self.pump(self.now_ms);
        let Some(job) = self.jobs.remove(&ticket) else {
            return Poll::Ready(Err(Error::new(ErrorCode::State, "the ticket is unknown or was used")));
        };
        if self.closed {
            return Poll::Ready(Err(Error::new(ErrorCode::Closed, "the engine is closed")));
        }
        match self.proceed(job) {
            Ok(result) => Poll::Ready(result),
            Err(job) => {
                self.jobs.insert(ticket, job);
                Poll::Pending
            }
        }
    }

    /// The result of a job, or the job as it stands.
    fn proceed(&mut self, job: Job) -> std::result::Result<TicketResult, Job> {
        match job {
            Job::Ready(result) => Ok(result),
            Job::Flush { passes, files } => {
                if passes.is_passed() && files.iter().all(|&id| self.is_finished(id)) {
                    Ok(Ok(TicketValue::Done))
                } else {
                    Err(Job::Flush { passes, files })
                }
            }
            Job::Waits { files, asked } => {
                if !files.iter().all(|&id| self.is_finished(id)) {
                    return Err(Job::Waits { files, asked });
                }
                match self.gather_from(&asked) {
                    Ok(job) => self.proceed(job),
                    Err(error) => Ok(Err(error)),
                }
            }
            Job::Gather { pipeline, schema, rows } => self.gather(pipeline, schema, rows),
        }
    }

    fn gather(
        &mut self,
        pipeline: PipelineId,
        schema: Arc<Schema>,
        mut rows: ChangeBatch,
    ) -> std::result::Result<TicketResult, Job> {
        loop {
            let output = self.pipelines.get(&pipeline).and_then(|pipeline| pipeline.output.clone());
            let Some(output) = output else {
                return Ok(Err(Error::new(ErrorCode::Closed, "the query was ended")));
            };
            match output.pull(usize::MAX, &mut rows) {
                Ok(Pull::Rows) => self.pump(self.now_ms),
                Ok(Pull::Empty) => return Err(Job::Gather { pipeline, schema, rows }),
                Ok(Pull::Ended) => {
                    self.remove(pipeline);
                    if rows.columns.is_empty() {
                        rows = empty(&schema);
                    }
                    return Ok(Ok(TicketValue::Rows(schema, rows)));
                }
                Err(error) => {
                    self.remove(pipeline);
                    return Ok(Err(error));
                }
            }
        }
    }
}

/// An empty batch of a schema's columns.
pub(super) fn empty(schema: &Schema) -> ChangeBatch {
    ChangeBatch::new(&schema.fields.iter().map(|field| field.data_type).collect::<Vec<_>>())
}
