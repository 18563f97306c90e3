//! One query over its sources at the engine's lowest door: words in, outcomes out.

use super::catalog::is_table;
use super::parse::Word;
use super::run::Outcome;
use super::value::literal;
use velostream_engine::batch::{Batch, ChangeBatch, Op, Seq};
use velostream_engine::error::{EngineError, Reject, Rejects};
use velostream_engine::limits::Limits;
use velostream_engine::plan::{PhysicalPlan, PlanOptions, SourceId};
use velostream_engine::processor::QueryProcessor;
use velostream_engine::source::{SourceGate, SourceSpec};
use velostream_engine::state::SliceReader;
use velostream_engine::time::Watermark;
use velostream_sql::plan::Literal;
use velostream_sql::statement::{BoundQuery, CreateSource};
use velostream_sql::types::DataType;

/// Why a step cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// A word that is no value of its column.
    #[error("{0}")]
    Value(#[from] super::value::ValueError),
    /// What the engine says.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// A relation that the query does not read.
    #[error("the query does not read {0}")]
    Unread(String),
    /// More values than columns.
    #[error("{0} values for {1} columns")]
    Surplus(usize, usize),
}

/// A processor with the doors of its sources.
pub struct CoreDoor {
    plan: PhysicalPlan,
    processor: QueryProcessor,
    /// In order of their declaration.
    sources: Vec<Source>,
    /// Whose records are in hand.
    current: usize,
    out: ChangeBatch,
    next: Seq,
    clock_micros: i64,
}

struct Source {
    id: SourceId,
    name: String,
    gate: SourceGate,
    key: Vec<usize>,
    types: Vec<DataType>,
    raw: ChangeBatch,
    admitted: Batch,
}

impl Source {
    fn new(plan: &PhysicalPlan, declared: &CreateSource) -> Result<Self, DoorError> {
        let relation = &declared.relation;
        let id = plan.source_of(relation.id).ok_or_else(|| DoorError::Unread(relation.name.to_string()))?;
        let types: Vec<DataType> = relation.schema.fields.iter().map(|field| field.data_type).collect();
        Ok(Self {
            id,
            name: relation.name.to_string(),
            gate: SourceGate::new(SourceSpec {
                schema: relation.schema.clone(),
                checks: declared.checks.clone(),
                event_time: relation.event_time,
                bound_micros: declared.bound_micros,
            })?,
            key: if is_table(relation) { relation.schema.primary_key.clone() } else { Vec::new() },
            raw: ChangeBatch::new(&types),
            admitted: Batch { changes: ChangeBatch::new(&types), ..Batch::default() },
            types,
        })
    }
}

impl CoreDoor {
    /// A fresh processor of `query`, which reads `declared` alone.
    pub fn new(query: &BoundQuery, declared: &[&CreateSource]) -> Result<Self, DoorError> {
        let plan = PhysicalPlan::build(&query.plan, PlanOptions::default())?;
        let mut declared = declared.to_vec();
        declared.sort_by_key(|source| source.relation.id);
        Ok(Self {
            processor: QueryProcessor::new(&plan, &Limits::default())?,
            sources: declared
                .into_iter()
                .map(|source| Source::new(&plan, source))
                .collect::<Result<_, _>>()?,
            current: 0,
            out: ChangeBatch::new(&plan.output_types()),
            plan,
            next: Seq(1),
            clock_micros: 0,
        })
    }

    /// Whether records of a relation go on with the batch in hand. It is to be run before others come.
    #[must_use]
    pub fn continues(&self, relation: &str) -> bool {
        let current = &self.sources[self.current];
        current.raw.is_empty() || current.name.eq_ignore_ascii_case(relation)
    }

    /// What the clock reads from here on.
    pub fn set_clock(&mut self, time: &Literal) {
        if let Literal::Timestamp(micros) = time {
            self.clock_micros = *micros;
        }
    }

    /// Adds a record of a relation to the batch in hand, or a tombstone, whose words are its key's.
    pub fn push(&mut self, relation: &str, words: &[Word], is_tombstone: bool) -> Result<(), DoorError> {
        let found = self.sources.iter().position(|source| source.name.eq_ignore_ascii_case(relation));
        self.current = found.ok_or_else(|| DoorError::Unread(relation.to_owned()))?;
        let Source { key, types, raw, .. } = &mut self.sources[self.current];
        let width = if is_tombstone { key.len() } else { types.len() };
        if words.len() > width {
            return Err(DoorError::Surplus(words.len(), width));
        }
        for (column, &data_type) in types.iter().enumerate() {
            let word = if is_tombstone {
                key.iter().position(|&key| key == column).and_then(|at| words.get(at))
            } else {
                words.get(column)
            };
            let value = word.map_or(Ok(Literal::Null), |word| literal(word, data_type))?;
            raw.columns[column].push_literal(&value);
        }
        let op = if is_tombstone { Op::Delete } else { Op::Insert };
        raw.push_mark(op, Seq(0), self.clock_micros);
        Ok(())
    }

    /// Runs the batch in hand: what each of its rows caused, in order.
    pub fn process(&mut self) -> Result<Vec<(usize, Outcome)>, DoorError> {
        let Source { id, gate, raw, admitted: batch, .. } = &mut self.sources[self.current];
        let rows = raw.len();
        let first = self.next;
        let mut refused: Vec<Reject> = Vec::new();
        gate.admit(raw, &mut self.next, batch, &mut refused);
        raw.clear();
        let admitted: Vec<usize> =
            (0..rows).filter(|row| !refused.iter().any(|reject| reject.row as usize == *row)).collect();
        let mut rejects = Rejects::default();
        self.out.clear();
        self.processor.process(*id, batch, &mut self.out, &mut rejects)?;
        let mut caused: Vec<(usize, Outcome)> = Vec::new();
        for (row, seq) in self.out.seqs.iter().enumerate() {
            let record = admitted[(seq.0 - first.0) as usize];
            caused.extend(outcome(&self.out, row).map(|outcome| (record, outcome)));
        }
        caused.extend(rejects.late.iter().map(|&(row, _)| (admitted[row as usize], Outcome::Late)));
        let failed = rejects.failed.iter().map(|reject| (admitted[reject.row as usize], reject));
        let refused = refused.iter().map(|reject| (reject.row as usize, reject));
        caused.extend(failed.chain(refused).map(|(row, reject)| {
            let code = reject.error.code.as_str().to_owned();
            (row, Outcome::Reject(code, reject.error.message.to_string()))
        }));
        caused.sort_by_key(|(row, _)| *row);
        Ok(caused)
    }

    /// Moves the watermark of every source by hand.
    pub fn advance(&mut self, time: &Literal) -> Result<Vec<Outcome>, DoorError> {
        let Literal::Timestamp(micros) = time else { return Ok(Vec::new()) };
        self.out.clear();
        for source in &mut self.sources {
            if source.gate.advance(Watermark(*micros), &mut self.next).is_some() {
                self.processor.advance_time(source.id, *micros, &mut self.out)?;
            }
        }
        Ok(self.shown())
    }

    /// Ends every input.
    pub fn end(&mut self) -> Result<Vec<Outcome>, DoorError> {
        self.out.clear();
        for source in &self.sources {
            self.processor.end(source.id, &mut self.out)?;
        }
        Ok(self.shown())
    }

    fn shown(&self) -> Vec<Outcome> {
        (0..self.out.len()).filter_map(|row| outcome(&self.out, row)).collect()
    }

    /// Takes a snapshot and goes on with a fresh processor restored from it.
    pub fn move_state(&mut self) -> Result<(), DoorError> {
        let mut snapshot: Vec<u8> = Vec::new();
        self.processor.snapshot(&mut snapshot)?;
        let mut fresh = QueryProcessor::new(&self.plan, &Limits::default())?;
        fresh.restore(&mut SliceReader(&snapshot))?;
        self.processor = fresh;
        Ok(())
    }
}

/// A row of the output; the old half of an update is not shown.
fn outcome(out: &ChangeBatch, row: usize) -> Option<Outcome> {
    let mark = match out.ops[row] {
        Op::Insert => '+',
        Op::Delete => '-',
        Op::UpdateAfter => '~',
        Op::UpdateBefore => return None,
    };
    Some(Outcome::Change(mark, out.columns.iter().map(|column| column.literal(row)).collect()))
}
