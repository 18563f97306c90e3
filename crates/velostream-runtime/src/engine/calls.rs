//! Queries and what is known of them, relations, processors, metrics, closing.

use super::Engine;
use super::pipelines::{Sinks, Start};
use crate::api::*;
use crate::catalog::What;
use crate::error::{Error, Result};
use crate::kernel::{self, KernelOptions};
use crate::metrics::text::{self, Latencies};
use crate::pipeline::{Pipeline, Purpose};
use crate::processor::Processor;
use crate::sink::changes::ChangeSink;
use crate::sink::ndjson::Lines;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use velostream_engine::batch::ChangeBatch;
use velostream_engine::time::Watermark;
use velostream_sql::bind::{BindOptions, Params, bind_query};
use velostream_sql::catalog::Relation;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::plan::LogicalPlan;
use velostream_sql::statement::BoundQuery;

impl Engine {
    fn bind_one(&self, sql: &str, params: &Params, options: &BindOptions) -> Result<BoundQuery> {
        let functions = velostream_engine::functions::registry::registry();
        bind_query(sql, &self.catalog, functions, params, options)
            .map_err(|diagnostics| Error::of_text(diagnostics, sql))
    }

    /// Starts a continuous query.
    pub fn query(
        &mut self,
        sql: &str,
        params: &Params,
        options: &QueryOptions,
        now_ms: i64,
    ) -> Result<QueryId> {
        self.start_query(sql, params, options, None, now_ms)
    }

    /// Starts a continuous query whose changes are taken on the threads that compute them, each behind the state that
    /// it comes from and without a queue. `sinks` makes who takes them, by place: one at place 0, or with
    /// [`QueryOptions::order_by_key`] one per partition where the query has several. Each is dropped behind its last
    /// changes; what is left to [`Self::pull`] is to say that the query has ended, or failed. Where a query fails, other
    /// partitions' sinks may have taken changes of later records.
    pub fn query_into(
        &mut self,
        sql: &str,
        params: &Params,
        options: &QueryOptions,
        sinks: impl FnMut(usize) -> Box<dyn ChangeSink> + 'static,
        now_ms: i64,
    ) -> Result<QueryId> {
        self.start_query(sql, params, options, Some(Box::new(sinks)), now_ms)
    }

    fn start_query(
        &mut self,
        sql: &str,
        params: &Params,
        options: &QueryOptions,
        sinks: Option<Sinks>,
        now_ms: i64,
    ) -> Result<QueryId> {
        self.open()?;
        self.now_ms = now_ms;
        let query = self.bind_one(sql, params, &BindOptions::default())?;
        let start = Start {
            plan: &query.plan,
            sql: sql.into(),
            reads: query.reads.clone(),
            purpose: Purpose::Query,
            keeps_rows: false,
            options,
            sinks,
            now_ms,
        };
        self.start(start).map(QueryId)
    }

    fn open_query(&self, query: QueryId) -> Result<&Pipeline> {
        let pipeline = self.pipelines.get(&query.0).filter(|pipeline| pipeline.purpose == Purpose::Query);
        pipeline.ok_or_else(|| Error::new(ErrorCode::Closed, "the query is closed"))
    }

    /// What is known of a query that is not closed.
    pub fn query_info(&self, query: QueryId) -> Result<QueryInfo> {
        let pipeline = self.open_query(query)?;
        let schema = Arc::clone(&pipeline.schema);
        Ok(QueryInfo { id: pipeline.name.clone(), sql: pipeline.sql.to_string(), schema })
    }

    /// Appends up to `max_rows` changes of a query to `out`, and one more rather than cut an update in two. An
    /// error is the query's failure, told once.
    pub fn pull(&mut self, query: QueryId, max_rows: usize, out: &mut ChangeBatch) -> Result<Pull> {
        let output = self.open_query(query)?.output.clone();
        let output = output.ok_or_else(|| Error::new(ErrorCode::Internal, "a query without output"))?;
        let found = output.pull(max_rows, out)?;
        if self.runs_inline() {
            self.pump(self.now_ms);
            if found == Pull::Empty {
                return output.pull(max_rows, out);
            }
        }
        Ok(found)
    }

    /// The same as lines.
    pub fn pull_lines(&mut self, query: QueryId, lines: &mut Lines) -> Result<Pull> {
        lines.fill(|rows_max, changes| self.pull(query, rows_max, changes))
    }

    fn runs_inline(&self) -> bool {
        self.pipelines.values().any(|pipeline| pipeline.inline.is_some())
    }

    /// Says whether somebody takes the query's changes whenever there are any.
    pub fn query_has_reader(&mut self, query: QueryId, reading: bool) {
        if let Ok(Pipeline { output: Some(output), .. }) = self.open_query(query) {
            output.set_drained(reading);
        }
    }

    /// Ends a query and forgets it.
    pub fn close_query(&mut self, query: QueryId) {
        if self.open_query(query).is_ok() {
            self.remove(query.0);
            self.pump(self.now_ms);
        }
    }

    /// Takes a query off its input: what is in its output can still be pulled, then it ends.
    pub(super) fn detach(&mut self, id: crate::catalog::PipelineId) {
        let Some(pipeline) = self.pipelines.get(&id) else { return };
        pipeline.close_mailboxes();
        if let Some(output) = &pipeline.output {
            output.end();
        }
        pipeline.finished.store(true, Ordering::Release);
        let inputs = pipeline.inputs.clone();
        self.forget_reader(&inputs, id);
    }

    /// A relation by name, without regard to case.
    pub fn relation(&self, name: &str) -> Result<RelationInfo> {
        self.open()?;
        Ok(info(&self.catalog.named(name)?.relation))
    }

    /// The plan of a query.
    pub fn explain(&self, sql: &str) -> Result<String> {
        let query = self.bind_one(sql, &Params::default(), &BindOptions::default())?;
        Ok(self.explained(&query.plan)?.join("\n"))
    }

    /// The lines of a plan as it would run: keys, modes, what is kept, what final rows wait for, and, where there are
    /// several partitions, whose the rows are.
    pub(super) fn explained(&self, plan: &LogicalPlan) -> Result<Vec<String>> {
        let plan = self.expanded(plan);
        let mut lines = kernel::explain(&plan, &self.kernel_options(false))?;
        lines.extend(self.explain_sharing(&plan));
        Ok(lines)
    }

    /// Those of a plan that answers once.
    pub(super) fn explained_once(&self, plan: &LogicalPlan) -> Result<Vec<String>> {
        let options = KernelOptions { snapshot: true, ..self.kernel_options(false) };
        kernel::explain(&kernel::once(&self.expanded(plan)), &options)
    }

    /// A synchronous processor over this catalogue's definitions, with state of its own that starts empty.
    pub fn processor(&self, sql: &str, params: &Params, options: &QueryOptions) -> Result<Processor> {
        self.open()?;
        if options.on_error.as_deref() == Some("null") {
            return Err(Error::new(ErrorCode::Unsupported, "on_error = 'null' is not supported yet"));
        }
        let expand = BindOptions { expand: true, ..BindOptions::default() };
        let query = self.bind_one(sql, params, &expand)?;
        let declared = |relation: &Relation| match self.catalog.self_read(relation.id) {
            Some(source) => Some(source.create),
            None => self.catalog.source(relation.id).map(|source| source.create.clone()),
        };
        Processor::new(&query.plan, declared, &self.kernel_options(options.before))
    }

    /// A plan over declared sources alone.
    pub(super) fn down_to_sources(&self, plan: &LogicalPlan) -> LogicalPlan {
        kernel::with_sources(plan.clone(), &|relation| match &self.catalog.get(relation.0.id)?.what {
            What::Derived(derived) => Some(self.down_to_sources(&derived.plan)),
            _ => None,
        })
    }

    /// Counters.
    #[must_use]
    pub fn metrics(&self) -> EngineMetrics {
        let queries = self.pipelines.values().filter(|pipeline| pipeline.purpose != Purpose::Ask);
        let counts = self.shared.dead_letters.counts();
        EngineMetrics {
            queries: queries.map(query_metrics).collect(),
            relations: self.catalog.entries().filter_map(|entry| self.relation_metrics(entry)).collect(),
            state_bytes: self.shared.state_bytes.load(Ordering::Relaxed),
            dead_letters_total: counts.letters,
            dead_letters_dropped: counts.letters_dropped,
            late_dropped: counts.late_dropped,
        }
    }

    /// The same counters in the OpenMetrics text format, version 1.0.0, with the latencies as a histogram. It is
    /// served as `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use velostream_runtime::{Engine, EngineOptions, Params};
    ///
    /// let mut engine = Engine::new(EngineOptions::default(), Arc::new(|| ()))?;
    /// engine.exec("CREATE STREAM orders (id BIGINT)", &Params::default(), 0)?;
    /// let orders = engine.relation("orders")?.id;
    /// engine.insert_json(orders, br#"{"id": 1} {"id": 2}"#, true, 0)?;
    /// let text = engine.metrics_text();
    /// assert!(text.contains("\nvelostream_relation_records_total{relation=\"orders\"} 2\n"));
    /// assert!(text.ends_with("\n# EOF\n"));
    /// # Ok::<(), velostream_runtime::Error>(())
    /// ```
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let shown = self.pipelines.values().filter(|pipeline| pipeline.purpose != Purpose::Ask);
        let latencies = shown.flat_map(|pipeline| {
            let each = pipeline.metrics.iter().enumerate();
            each.map(|(partition, metrics)| Latencies {
                query: pipeline.name.clone(),
                partition,
                distribution: metrics.latency().distribution(),
            })
        });
        text::write(&self.metrics(), &latencies.collect::<Vec<_>>())
    }

    fn relation_metrics(&self, entry: &crate::catalog::Entry) -> Option<RelationMetrics> {
        let name = entry.relation.name.to_string();
        match &entry.what {
            What::Source(source) => {
                let watermark = source.door.watermark().max(source.reads.watermark());
                let records_in = source.door.offset + source.reads.records();
                let known = watermark != Watermark::NONE && watermark != Watermark::END;
                let watermark_micros = known.then_some(watermark.0);
                Some(RelationMetrics { name, records_in, watermark_micros })
            }
            What::Derived(derived) => {
                let pipeline = self.pipelines.get(&derived.pipeline?)?;
                let records_in = pipeline.answer.changes_out.load(Ordering::Relaxed);
                Some(RelationMetrics { name, records_in, watermark_micros: pipeline.watermark() })
            }
            What::View => None,
        }
    }

    /// Bytes of state of all queries and tables.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.shared.state_bytes.load(Ordering::Relaxed)
    }

    /// Dead letters kept, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.shared.dead_letters.all()
    }

    /// Dead letters since the last call.
    pub fn take_new_dead_letters(&mut self) -> Vec<DeadLetter> {
        self.shared.dead_letters.take_new()
    }

    /// Late records since the last call.
    pub fn take_late(&mut self) -> Vec<LateRecord> {
        self.shared.dead_letters.take_late()
    }

    /// Takes notice of a wake: the next change wakes again. Does what runs on the calling thread.
    pub fn woken(&mut self) {
        self.shared.wake.clear();
        self.pump(self.now_ms);
    }

    /// Ends all queries and joins their threads. Idempotent.
    pub fn close(&mut self) {
        self.closed = true;
        self.pipelines.values().for_each(Pipeline::stop);
        self.pipelines.clear();
        self.shared.wake.wake();
    }
}

/// What callers see of a relation.
pub(crate) fn info(relation: &Relation) -> RelationInfo {
    RelationInfo {
        id: relation.id,
        name: relation.name.to_string(),
        schema: Arc::clone(&relation.schema),
        is_source: relation.is_source,
        is_table: kernel::is_table(relation),
        event_time: relation.event_time,
    }
}

fn query_metrics(pipeline: &Pipeline) -> QueryMetrics {
    QueryMetrics {
        id: pipeline.name.clone(),
        sql: pipeline.sql.to_string(),
        watermark_micros: pipeline.watermark(),
        output_rows: pipeline.output.as_ref().map_or(0, |output| output.rows() as u64),
        partitions: pipeline
            .metrics
            .iter()
            .enumerate()
            .map(|(place, metrics)| metrics.snapshot(place, pipeline.depth(place)))
            .collect(),
    }
}
