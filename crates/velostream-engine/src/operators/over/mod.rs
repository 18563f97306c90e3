//! `Over`: for each row, calls over the rows of its partition up to it, by event time and sequence.
//!
//! Each PARTITION BY has its [`lane`]: a batch's partitions are looked up in one pass, its rows go to the ends of
//! their queues, and each call then goes over the rows in one loop: frames slide, so that a row costs what enters
//! and leaves. A row that comes before others of a partition takes the path of [`revise`], which computes those
//! again that hold it. Rows go as the frames and the watermark allow.
//!
//! Nothing is evaluated here: calls read plain columns. Only sums can fail; near their limits rows are applied
//! step by step under a savepoint.

mod call;
mod expire;
mod frames;
mod lane;
mod late;
mod order;
mod revise;

pub use order::Order;

use crate::batch::{ChangeBatch, Op};
use crate::error::{RecordError, Result};
use crate::functions::aggregate::is_fallible;
use crate::operators::{Context, Operator, Stateful};
use crate::state::{GroupId, RowQueues, State, composite_state};
use crate::time::Watermark;
use lane::Lane;
use velostream_sql::plan::{OverCall, OverFunction};
use velostream_sql::types::DataType;

/// The one group of all rows that can still change.
const ALL: u32 = 0;

/// What a node computes and how it shows it.
#[derive(Debug, Clone)]
pub struct OverSpec {
    /// Types of the input's columns.
    pub input: Vec<DataType>,
    /// Positions of the input's columns that are shown.
    pub columns: Vec<usize>,
    /// The calls, by their PARTITION BY.
    pub partitions: Vec<PartitionSpec>,
    /// Types of the output columns: those shown, then the calls.
    pub types: Vec<DataType>,
    /// Whether rows can come before others, which they then revise.
    pub revises: bool,
    /// How far rows may come behind the watermark, microseconds; `None` where late ones were left out before.
    pub grace: Option<i64>,
}

/// The calls of one PARTITION BY.
#[derive(Debug, Clone)]
pub struct PartitionSpec {
    /// Positions of the columns that make the partitions; none means one partition.
    pub keys: Vec<usize>,
    /// The calls.
    pub calls: Vec<OverCall>,
}

impl OverSpec {
    fn calls(&self) -> impl Iterator<Item = &OverCall> {
        self.partitions.iter().flat_map(|partition| &partition.calls)
    }

    /// Whether applying a row can fail.
    #[must_use]
    pub fn is_fallible(&self) -> bool {
        self.calls().any(|call| match &call.function {
            OverFunction::Aggregate(call) => is_fallible(call),
            OverFunction::First(_) | OverFunction::Lag { .. } => false,
        })
    }
}

/// Rows of a batch with what was found for each.
#[derive(Clone, Copy)]
struct Segment<'a> {
    rows: &'a [u32],
    groups: &'a [GroupId],
    /// 1 for a partition's first row, else 0.
    fresh: &'a [u8],
    /// Positions in their queues.
    places: &'a [u32],
}

/// A call lost a sum for good, or cannot represent a result; by position.
#[derive(Debug, Clone, Copy)]
struct Lost(usize);

/// The state of all lanes.
struct Lanes {
    lanes: Vec<Lane>,
    /// The shown columns of the rows that can still change, kept where rows revise others. A row is known to all
    /// lanes by its slot here.
    open: Option<RowQueues>,
}
composite_state!(Lanes { lanes, open });

/// The operator. Its input's rows only come.
pub struct Over {
    spec: OverSpec,
    state: Lanes,
    /// Rows of the batch in hand that are in time.
    in_time: Vec<u32>,
}

impl Over {
    /// No partitions yet.
    pub fn new(spec: OverSpec) -> Result<Self> {
        let mut lanes: Vec<Lane> = Vec::with_capacity(spec.partitions.len());
        let mut first_call = 0;
        for partition in &spec.partitions {
            lanes.push(Lane::new(partition, &spec.input, first_call, spec.revises)?);
            first_call += partition.calls.len();
        }
        let open = spec.revises.then(|| {
            let mut open = RowQueues::new(&spec.types[..spec.columns.len()]);
            open.grow(1);
            open
        });
        Ok(Self { spec, state: Lanes { lanes, open }, in_time: Vec::new() })
    }

    /// Applies rows step by step, each under a savepoint. What the batch's time passes is not dropped yet: a later
    /// step's row may come before it.
    fn apply_steps(
        &mut self,
        input: &ChangeBatch,
        rows: &[u32],
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        let horizon = self.horizon(ctx.time.before);
        let mut at = 0;
        while at < rows.len() {
            let seq = input.seqs[rows[at] as usize];
            let same_step = |row: &&u32| ctx.on_record && input.seqs[**row as usize] == seq;
            let end = at + 1 + rows[at + 1..].iter().take_while(same_step).count();
            let before = out.len();
            self.state.savepoint();
            match self.apply(input, &rows[at..end], at, horizon, out) {
                Ok(()) => self.state.commit(),
                Err(Lost(call)) => {
                    self.state.rollback();
                    out.truncate(before);
                    ctx.failures.extend(self.spec.calls().nth(call).map(|call| (seq, out_of_range(call))));
                }
            }
            at = end;
        }
    }

    /// Up to which time rows can no longer change when the watermark stands here.
    fn horizon(&self, standing: Watermark) -> i64 {
        match self.spec.grace {
            Some(grace) if self.spec.revises => late::horizon(standing, grace),
            _ => i64::MAX,
        }
    }

    /// Applies rows of a batch, the first of which is at position `hashed` of those that were hashed, and appends
    /// their changes.
    fn apply(
        &mut self,
        input: &ChangeBatch,
        rows: &[u32],
        hashed: usize,
        horizon: i64,
        out: &mut ChangeBatch,
    ) -> std::result::Result<(), Lost> {
        for lane in &mut self.state.lanes {
            lane.take(input, rows, hashed..hashed + rows.len());
        }
        let mut at = 0;
        while at < rows.len() {
            let end = self.enqueue(input, rows, at);
            if at < end {
                self.run(input, &rows[at..end], at, out)?;
            }
            at = end;
            if at < rows.len() {
                self.revise(input, rows[at], at, out)?;
                at += 1;
            }
        }
        self.state.lanes.iter_mut().for_each(|lane| lane.drop_rows(horizon));
        if let Some(open) = &mut self.state.open {
            for _ in 0..open.count_until(ALL, horizon) {
                open.drop_front(ALL);
            }
        }
        Ok(())
    }

    /// Puts rows from `from` on at the ends of their queues, up to one that belongs before another.
    fn enqueue(&mut self, input: &ChangeBatch, rows: &[u32], from: usize) -> usize {
        let Lanes { lanes, open } = &mut self.state;
        lanes.iter_mut().for_each(Lane::begin);
        let Some(open) = open else {
            lanes.iter_mut().for_each(|lane| lane.enqueue(input, &rows[from..], from));
            return rows.len();
        };
        for index in from..rows.len() {
            let row = rows[index] as usize;
            let time = input.event_times[row];
            if lanes.iter().any(|lane| lane.comes_before(index, time)) {
                return index;
            }
            let shown = |column: usize| &input.columns[self.spec.columns[column]];
            let place = open.insert(ALL, time, shown, row);
            let id = open.order(ALL)[place].1;
            for lane in lanes.iter_mut() {
                lane.enqueue(input, &rows[index..=index], index);
                lane.link_last(id);
            }
        }
        rows.len()
    }

    /// Computes the calls for rows that stand at the ends of their queues, the first at position `from` of those in
    /// hand, and shows them.
    fn run(
        &mut self,
        input: &ChangeBatch,
        rows: &[u32],
        from: usize,
        out: &mut ChangeBatch,
    ) -> std::result::Result<(), Lost> {
        let first = out.len();
        show_rows(input, rows, &self.spec.columns, out);
        let mut columns = &mut out.columns[self.spec.columns.len()..];
        let mut result = Ok(());
        for lane in &mut self.state.lanes {
            let (own, others) = columns.split_at_mut(lane.layout.calls.len());
            result = result.and(lane.run(input, rows, from, own));
            lane.keep_results(own, first);
            columns = others;
        }
        result
    }
}

/// Appends the shown columns of rows, and their marks.
fn show_rows(input: &ChangeBatch, rows: &[u32], columns: &[usize], out: &mut ChangeBatch) {
    let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else { return };
    let (from, to) = (first as usize, last as usize + 1);
    out.ops.resize(out.ops.len() + rows.len(), Op::Insert);
    if to - from == rows.len() {
        for (column, &position) in out.columns.iter_mut().zip(columns) {
            column.extend_range(&input.columns[position], from, to);
        }
        out.seqs.extend_from_slice(&input.seqs[from..to]);
        out.event_times.extend_from_slice(&input.event_times[from..to]);
        return;
    }
    for (column, &position) in out.columns.iter_mut().zip(columns) {
        column.extend_selected(&input.columns[position], rows);
    }
    out.seqs.extend(rows.iter().map(|&row| input.seqs[row as usize]));
    out.event_times.extend(rows.iter().map(|&row| input.event_times[row as usize]));
}

/// The error of a call whose result has no room in its type.
fn out_of_range(call: &OverCall) -> RecordError {
    let name = velostream_sql::explain::over_name(&call.function);
    RecordError::new(format!("{name} is out of range of {}", call.data_type))
}

impl Operator for Over {
    fn process(&mut self, input: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()> {
        let mut rows = std::mem::take(&mut self.in_time);
        rows.clear();
        match self.spec.grace {
            Some(grace) => late::judge(input, grace, ctx, &mut rows),
            None => rows.extend(0..input.len() as u32),
        }
        let mut is_safe = true;
        for lane in &mut self.state.lanes {
            lane.hash(input, &rows);
            is_safe &= lane.is_safe(input, &rows);
        }
        if is_safe {
            let horizon = self.horizon(ctx.time.after());
            let applied = self.apply(input, &rows, 0, horizon, out);
            debug_assert!(applied.is_ok(), "safe rows overflow nothing");
        } else {
            self.apply_steps(input, &rows, out, ctx);
        }
        if ctx.is_called_off() {
            self.in_time = rows;
            return Ok(());
        }
        let passed = late::horizon(ctx.time.after(), self.spec.grace.unwrap_or(0));
        self.state.lanes.iter_mut().for_each(|lane| lane.expire(passed));
        self.in_time = rows;
        Ok(())
    }
}

impl Stateful for Over {
    fn state(&self) -> Option<&dyn State> {
        Some(&self.state)
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.state)
    }

    fn groups(&self) -> usize {
        let partitions: usize = self.state.lanes.iter().map(|lane| lane.state.keys.len()).sum();
        partitions + self.state.open.as_ref().map_or(0, |open| open.order(ALL).len())
    }
}
