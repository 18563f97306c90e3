//! Queries in SQL, records as lines of text, changes as lines of text.

use std::cell::Cell;
use std::fmt::Write;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Op, Selected, Seq};
use velostream_engine::column::Column;
use velostream_engine::error::{Rejects, Result};
use velostream_engine::functions::registry::registry;
use velostream_engine::limits::Limits;
use velostream_engine::plan::{PhysicalPlan, PlanOptions, SourceId};
use velostream_engine::processor::QueryProcessor;
use velostream_engine::source::{SourceGate, SourceSpec};
use velostream_engine::state::SliceReader;
use velostream_engine::time::Watermark;
use velostream_sql::bind::{BindOptions, Params, bind_script};
use velostream_sql::catalog::{Catalog, Relation, RelationId};
use velostream_sql::plan::Literal;
use velostream_sql::statement::{CreateSource, SourceOptions, Statement};
use velostream_sql::types::{DataType, Field};

/// One record: `None` in `row` marks a NULL; a tombstone has only its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub op: Op,
    pub row: Vec<Literal>,
    /// ROWTIME, microseconds.
    pub time: i64,
}

/// A record that comes.
pub fn record(row: Vec<Literal>) -> Record {
    Record { op: Op::Insert, row, time: 0 }
}

/// A record that goes.
pub fn tombstone(row: Vec<Literal>) -> Record {
    Record { op: Op::Delete, row, time: 0 }
}

struct Relations {
    relations: Vec<Arc<Relation>>,
    next: Cell<u32>,
}

impl Catalog for Relations {
    fn relation(&self, name: &str) -> Option<Arc<Relation>> {
        self.relations.iter().find(|relation| relation.name.eq_ignore_ascii_case(name)).map(Arc::clone)
    }

    fn relation_names(&self) -> Vec<Arc<str>> {
        self.relations.iter().map(|relation| Arc::clone(&relation.name)).collect()
    }

    fn file(&self, path: &str) -> std::result::Result<Arc<Relation>, String> {
        Err(format!("no file {path}"))
    }

    fn infer(&self, _options: &SourceOptions) -> std::result::Result<Vec<Field>, String> {
        Err("nothing to infer from".to_owned())
    }

    fn next_relation_id(&self) -> RelationId {
        self.next.set(self.next.get() + 1);
        RelationId(self.next.get())
    }
}

/// A source and a query over it.
pub struct Query {
    pub source: CreateSource,
    pub plan: PhysicalPlan,
}

/// Binds `create`, one source, and `select` over it.
pub fn query_with(create: &str, select: &str, options: PlanOptions) -> Query {
    let text = format!("{create}; {select}");
    let empty = Relations { relations: Vec::new(), next: Cell::new(0) };
    let bind = BindOptions { expand: true, snapshot: options.snapshot };
    let bound = bind_script(&text, &empty, registry(), &Params::default(), &bind);
    let mut statements = bound.unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    let Some(Statement::Query(query)) = statements.pop() else { panic!("no query: {text}") };
    let Statement::CreateSource(source) = statements.remove(0) else { panic!("no source: {text}") };
    let plan = PhysicalPlan::build(&query.plan, options).unwrap_or_else(|error| panic!("{text}\n{error}"));
    Query { source, plan }
}

/// The same with default options.
pub fn query(create: &str, select: &str) -> Query {
    query_with(create, select, PlanOptions::default())
}

/// A processor with its source's door.
pub struct Run<'a> {
    pub query: &'a Query,
    pub gate: SourceGate,
    pub processor: QueryProcessor,
    pub next: Seq,
    pub out: ChangeBatch,
    pub rejects: Rejects,
    /// Lines of everything that happened.
    pub log: Vec<String>,
}

impl<'a> Run<'a> {
    pub fn new(query: &'a Query) -> Self {
        let spec = SourceSpec {
            schema: Arc::clone(&query.source.relation.schema),
            checks: query.source.checks.clone(),
            event_time: query.source.relation.event_time,
            bound_micros: query.source.bound_micros,
        };
        Self {
            query,
            gate: SourceGate::new(spec).unwrap(),
            processor: QueryProcessor::new(&query.plan, &Limits::default()).unwrap(),
            next: Seq(1),
            out: ChangeBatch::new(&query.plan.output_types()),
            rejects: Rejects::default(),
            log: Vec::new(),
        }
    }

    /// The batch of some records, numbered.
    pub fn batch(&mut self, records: &[Record]) -> Batch {
        let types: Vec<DataType> =
            self.query.source.relation.schema.fields.iter().map(|field| field.data_type).collect();
        let mut raw = ChangeBatch::new(&types);
        for record in records {
            for (column, value) in raw.columns.iter_mut().zip(&record.row) {
                column.push_literal(value);
            }
            raw.push_mark(record.op, Seq(0), record.time);
        }
        let mut batch = Batch { changes: ChangeBatch::new(&types), ..Batch::default() };
        let mut refused = Vec::new();
        self.gate.admit(&mut raw, &mut self.next, &mut batch, &mut refused);
        assert!(refused.is_empty(), "the door refused {refused:?}");
        batch
    }

    /// Processes records as one batch and logs what comes of them.
    pub fn feed(&mut self, records: &[Record]) {
        let batch = self.batch(records);
        self.try_feed(&batch).unwrap();
    }

    /// Processes a batch.
    pub fn try_feed(&mut self, batch: &Batch) -> Result<()> {
        self.processor.process(SourceId(0), batch, &mut self.out, &mut self.rejects)?;
        self.take_changes(batch);
        Ok(())
    }

    /// Processes some rows of a batch.
    pub fn feed_selected(&mut self, batch: &Batch, selected: Selected<'_>) {
        let processed =
            self.processor.process_selected(SourceId(0), batch, selected, &mut self.out, &mut self.rejects);
        processed.unwrap();
        self.take_changes(batch);
    }

    /// Logs what has come of a batch.
    fn take_changes(&mut self, batch: &Batch) {
        let seqs = &batch.changes.seqs;
        let failed = std::mem::take(&mut self.rejects.failed);
        let late = std::mem::take(&mut self.rejects.late);
        let mut lines: Vec<(Seq, usize, String)> = Vec::new();
        for reject in failed {
            lines.push((seqs[reject.row as usize], 0, format!("! {}", reject.error)));
        }
        for (row, by) in late {
            lines.push((seqs[row as usize], 1, format!("late by {by}")));
        }
        for row in 0..self.out.len() {
            lines.push((self.out.seqs[row], 2, self.line(row)));
        }
        lines.sort_by_key(|line| (line.0, line.1));
        self.log.extend(lines.into_iter().map(|(seq, _, line)| format!("{} {line}", seq.0)));
        self.out.clear();
    }

    pub fn advance(&mut self, to: i64) {
        self.gate.set_watermark(self.gate.watermark().max(Watermark(to)));
        self.processor.advance_time(SourceId(0), to, &mut self.out).unwrap();
        self.take_lines("time");
    }

    pub fn end(&mut self) {
        self.processor.end(SourceId(0), &mut self.out).unwrap();
        self.take_lines("end");
    }

    pub fn start(&mut self) {
        self.processor.start(&mut self.out).unwrap();
        self.take_lines("start");
    }

    fn take_lines(&mut self, label: &str) {
        for row in 0..self.out.len() {
            self.log.push(format!("{label} {}", self.line(row)));
        }
        for (_, error) in self.processor.take_row_errors() {
            self.log.push(format!("{label} ! {error}"));
        }
        self.out.clear();
    }

    fn line(&self, row: usize) -> String {
        show_row(&self.out, row)
    }

    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.processor.snapshot(&mut bytes).unwrap();
        bytes
    }

    /// Goes on in a new processor, by way of a snapshot.
    pub fn move_on(&mut self) {
        let bytes = self.snapshot();
        self.processor = QueryProcessor::new(&self.query.plan, &Limits::default()).unwrap();
        self.processor.restore(&mut SliceReader(&bytes)).unwrap();
        assert!(self.snapshot() == bytes, "a restored processor gives the same snapshot");
    }
}

/// `+ a 1`: mark and values.
pub fn show_row(batch: &ChangeBatch, row: usize) -> String {
    let mut text = match batch.ops[row] {
        Op::Insert => "+".to_owned(),
        Op::Delete => "-".to_owned(),
        Op::UpdateBefore => "<".to_owned(),
        Op::UpdateAfter => "~".to_owned(),
    };
    for column in &batch.columns {
        let _ = write!(text, " {}", show_value(column, row));
    }
    text
}

fn show_value(column: &Column, row: usize) -> String {
    show_literal(&column.literal(row))
}

/// A value as text.
pub fn show_literal(literal: &Literal) -> String {
    match literal {
        Literal::Null => "NULL".to_owned(),
        Literal::Boolean(value) => value.to_string(),
        Literal::Int(value) | Literal::Date(value) => value.to_string(),
        Literal::BigInt(value) | Literal::Time(value) | Literal::Timestamp(value) => value.to_string(),
        Literal::Double(value) => format!("{value:?}"),
        Literal::Decimal(value) => value.to_string(),
        Literal::String(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

/// Runs all records, one batch of `size` after another, and the end; gives the log.
pub fn run_in(query: &Query, records: &[Record], size: usize, moves: bool) -> Vec<String> {
    let mut run = Run::new(query);
    run.start();
    for chunk in records.chunks(size) {
        run.feed(chunk);
        if moves {
            run.move_on();
        }
    }
    run.end();
    run.log
}

/// Runs all records under every batch size and asserts that nothing differs.
pub fn run(query: &Query, records: &[Record]) -> Vec<String> {
    let log = run_in(query, records, 1, false);
    for (size, moves) in [(7, false), (1024, false), (1, true), (3, true)] {
        let other = run_in(query, records, size, moves);
        assert_eq!(log, other, "batches of {size}, with snapshots: {moves}");
    }
    log
}

pub fn int(value: i32) -> Literal {
    Literal::Int(value)
}

pub fn big(value: i64) -> Literal {
    Literal::BigInt(value)
}

pub fn double(value: f64) -> Literal {
    Literal::Double(value)
}

pub fn text(value: &str) -> Literal {
    Literal::String(value.into())
}

pub fn time(seconds: i64) -> Literal {
    Literal::Timestamp(seconds * 1_000_000)
}
