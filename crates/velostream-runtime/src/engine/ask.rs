//! Answers given once: snapshots, flushes, and the tickets for both.

use super::Engine;
use super::pipelines::Start;
use crate::api::{Pull, QueryOptions, Ticket, TicketResult, TicketValue};
use crate::catalog::PipelineId;
use crate::error::{Error, Result};
use crate::kernel::{self, Kernel, KernelOptions};
use crate::partition::mailbox::{Barrier, Event, RowsRequest};
use crate::pipeline::Purpose;
use std::sync::Arc;
use std::task::Poll;
use velostream_engine::batch::{Batch, ChangeBatch, Op};
use velostream_engine::error::Rejects;
use velostream_sql::bind::{BindOptions, Params};
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::plan::LogicalPlan;
use velostream_sql::statement::{BoundQuery, Statement};
use velostream_sql::types::Schema;

/// Something under way.
pub(super) enum Job {
    /// The answer is there.
    Ready(TicketResult),
    /// A derived table's rows are asked for; the plan runs over them when they come. First the table's pipeline
    /// must have read its file, if it reads one.
    Table { upstream: PipelineId, request: Option<Arc<RowsRequest>>, kernel: Box<Kernel> },
    /// A pipeline reads a file; its rows are collected until its end.
    File { pipeline: PipelineId, schema: Arc<Schema>, rows: ChangeBatch },
    /// A flush.
    Flush { barrier: Arc<Barrier>, files: Vec<PipelineId> },
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
        let Some(relation) = kernel::source_of(&plan).map(Arc::clone) else {
            return Ok(Job::Ready(self.run_once(&plan, None)));
        };
        if self.catalog.file_of(relation.id).is_some() {
            return self.ask_file(&plan, query, now_ms);
        }
        if !kernel::is_table(&relation) {
            return Err(Error::new(
                ErrorCode::Unsupported,
                format!("{} is a stream and keeps no rows", relation.name),
            )
            .with_hint("use query(), or a CREATE TABLE ... AS over it"));
        }
        if let Some(source) = self.catalog.source(relation.id) {
            let rows = source.door.snapshot(self.last_number(), now_ms);
            return Ok(Job::Ready(self.run_once(&plan, rows.map(|rows| rows.batch))));
        }
        let upstream = self.pipeline_of(relation.id)?.id;
        Ok(Job::Table { upstream, request: None, kernel: Box::new(self.kernel_once(&plan)?) })
    }

    fn kernel_once(&self, plan: &LogicalPlan) -> Result<Kernel> {
        Kernel::new(plan, &KernelOptions { snapshot: true, ..self.kernel_options(false) })
    }

    fn run_once(&self, plan: &LogicalPlan, rows: Option<Batch>) -> TicketResult {
        run(&mut self.kernel_once(plan)?, rows)
    }

    fn ask_file(&mut self, plan: &LogicalPlan, query: &BoundQuery, now_ms: i64) -> Result<Job> {
        let options = QueryOptions::default();
        let start = Start {
            plan,
            sql: Arc::clone(&query.text),
            reads: query.reads.clone(),
            purpose: Purpose::Ask,
            keeps_rows: false,
            options: &options,
            now_ms,
        };
        let pipeline = self.start(start)?;
        Ok(Job::File { pipeline, schema: Arc::clone(plan.schema()), rows: ChangeBatch::default() })
    }

    /// Ready when everything accepted so far is processed and sits in output queues or was pulled, and files
    /// are read to their end.
    pub fn flush(&mut self) -> Ticket {
        let (barrier, pass) = Barrier::new(self.shared.wake.clone());
        for pipeline in self.pipelines.values() {
            let fed_here = pipeline.input.is_some_and(|input| self.catalog.source(input).is_some());
            if fed_here && !pipeline.finite {
                drop(pipeline.mailbox.push(Event::Flush(pass.again())));
            }
        }
        drop(pass);
        let files = self.pipelines.values().filter(|pipeline| pipeline.finite).map(|pipeline| pipeline.id);
        let job = Job::Flush { barrier, files: files.collect() };
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
            Job::Flush { barrier, files } => {
                if barrier.is_passed() && files.iter().all(|&id| self.is_finished(id)) {
                    Ok(Ok(TicketValue::Done))
                } else {
                    Err(Job::Flush { barrier, files })
                }
            }
            Job::Table { upstream, request, kernel } => self.proceed_table(upstream, request, kernel),
            Job::File { pipeline, schema, rows } => self.proceed_file(pipeline, schema, rows),
        }
    }

    fn proceed_table(
        &mut self,
        upstream: PipelineId,
        request: Option<Arc<RowsRequest>>,
        mut kernel: Box<Kernel>,
    ) -> std::result::Result<TicketResult, Job> {
        let Some(pipeline) = self.pipelines.get(&upstream) else {
            return Ok(Err(Error::new(ErrorCode::State, "the table was dropped")));
        };
        let Some(request) = request else {
            if pipeline.finite && !pipeline.is_finished() {
                return Err(Job::Table { upstream, request: None, kernel });
            }
            let request = Arc::new(RowsRequest::default());
            self.ask_rows(upstream, &request);
            self.pump(self.now_ms);
            return self.proceed_table(upstream, Some(request), kernel);
        };
        match request.take() {
            None => Err(Job::Table { upstream, request: Some(request), kernel }),
            Some(Err(error)) => Ok(Err(error)),
            Some(Ok(rows)) => Ok(run(&mut kernel, Some(Batch { changes: rows, ..Batch::default() }))),
        }
    }

    /// Sends the question behind everything that was accepted, through every pipeline between the source and
    /// the table.
    fn ask_rows(&self, table: PipelineId, request: &Arc<RowsRequest>) {
        let mut way = Vec::new();
        let mut next = self.pipelines.get(&table);
        while let Some(pipeline) = next {
            way.push(pipeline);
            next = pipeline.input.and_then(|input| self.pipeline_of(input).ok());
        }
        let Some((first, rest)) = way.split_last() else { return };
        let mut event = Event::Rows(Arc::clone(request));
        for pipeline in rest {
            event = Event::Forward(Arc::clone(&pipeline.mailbox), Box::new(event));
        }
        // Nested from the table outwards: the first pipeline of the way passes the rest on.
        drop(first.mailbox.push(event));
    }

    fn proceed_file(
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
                Ok(Pull::Empty) => return Err(Job::File { pipeline, schema, rows }),
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

/// The answer over these rows; the first record that fails is the error.
fn run(kernel: &mut Kernel, rows: Option<Batch>) -> TicketResult {
    let mut out = kernel.empty();
    let mut rejects = Rejects::default();
    if let Some(rows) = rows.filter(|rows| !rows.changes.is_empty()) {
        kernel.process(&rows, &mut out, &mut rejects)?;
    }
    if let Some(reject) = rejects.failed.into_iter().next() {
        return Err(reject.error.into());
    }
    kernel.end(&mut out)?;
    if let Some(error) = kernel.take_row_errors().into_iter().next() {
        return Err(error.into());
    }
    debug_assert!(out.ops.iter().all(|&op| op == Op::Insert), "an answer given once is not revised");
    Ok(TicketValue::Rows(Arc::clone(kernel.schema()), out))
}
