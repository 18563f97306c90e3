//! Which rows of the other side match the rows of a run.

use super::runs::Run;
use super::side::Keyed;
use super::{JoinSpec, SideSpec};
use crate::batch::{ChangeBatch, Op};
use crate::column::Values;
use crate::error::Result;
use crate::expr::{Program, RowErrors};
use crate::operators::Context;
use crate::state::KeyedRows;
use velostream_sql::expr::{for_each_column, map_columns};
use velostream_sql::plan::{Expr, Side};
use velostream_sql::types::DataType;

/// A condition over pairs, compiled over the columns that it reads.
struct Residual {
    program: Program,
    /// Which columns these are: of the left side, and behind them of the right one.
    columns: Vec<usize>,
    /// The pairs in hand.
    pairs: ChangeBatch,
    errors: RowErrors,
}

/// The pairs of a run: a row of the run and a slot of the other side, rows in order, slots in order of coming.
#[derive(Default)]
pub(super) struct Pairs {
    pub rows: Vec<u32>,
    pub slots: Vec<u32>,
    /// Per row of the run, where its pairs end.
    pub ends: Vec<u32>,
}

/// Finds matches.
pub(super) struct Matching {
    residual: Option<Residual>,
    left_width: usize,
    pub pairs: Pairs,
}

impl Matching {
    pub fn new(spec: &JoinSpec) -> Result<Self> {
        let residual =
            spec.residual.as_ref().map(|residual| Residual::new(residual, &spec.left, &spec.right));
        Ok(Self {
            residual: residual.transpose()?,
            left_width: spec.left.types.len(),
            pairs: Pairs::default(),
        })
    }

    /// Fills `pairs` for a run over `keyed` with what of `others` has an equal key, passes `admits` and meets the
    /// residual condition. A row for which that fails is reported, and has no pairs.
    pub fn find(
        &mut self,
        run: Run,
        keyed: Keyed<'_>,
        others: &KeyedRows,
        mut admits: impl FnMut(usize, u32) -> bool,
        ctx: &mut Context<'_>,
    ) {
        let Pairs { rows, slots, ends } = &mut self.pairs;
        rows.clear();
        slots.clear();
        ends.clear();
        for row in run.from..run.to {
            if keyed.is_fine(row) && keyed.can_match(row) {
                others.for_each_of_key(&keyed, keyed.hash(row), row, |slot| {
                    if admits(row, slot) {
                        rows.push(row as u32);
                        slots.push(slot);
                    }
                });
            }
            ends.push(rows.len() as u32);
        }
        if let Some(residual) = self.residual.as_mut().filter(|_| !rows.is_empty()) {
            residual.filter(run, keyed.rows, others, self.left_width, &mut self.pairs, ctx);
        }
    }
}

impl Pairs {
    /// The places of the pairs of the run's row number `index`.
    pub fn of_row(&self, index: usize) -> std::ops::Range<usize> {
        let from = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        from as usize..self.ends[index] as usize
    }

    /// Keeps the pairs at the places that `keeps` names.
    fn retain(&mut self, keeps: impl Fn(usize) -> bool) {
        let (mut kept, mut place) = (0, 0);
        for end in &mut self.ends {
            while place < *end as usize {
                if keeps(place) {
                    self.rows[kept] = self.rows[place];
                    self.slots[kept] = self.slots[place];
                    kept += 1;
                }
                place += 1;
            }
            *end = kept as u32;
        }
        self.rows.truncate(kept);
        self.slots.truncate(kept);
    }
}

impl Residual {
    fn new(residual: &Expr, left: &SideSpec, right: &SideSpec) -> Result<Self> {
        let mut columns = Vec::new();
        for_each_column(residual, &mut |column| columns.push(column));
        columns.sort_unstable();
        columns.dedup();
        let place = |column: usize| columns.binary_search(&column).expect("all columns were collected");
        let over_pairs = map_columns(residual.clone(), &mut |column| place(column));
        let type_of = |&column: &usize| match column.checked_sub(left.types.len()) {
            None => left.types[column],
            Some(column) => right.types[column],
        };
        let types: Vec<DataType> = columns.iter().map(type_of).collect();
        Ok(Self {
            program: Program::compile(std::slice::from_ref(&over_pairs))?,
            pairs: ChangeBatch::new(&types),
            columns,
            errors: RowErrors::new(),
        })
    }

    fn filter(
        &mut self,
        run: Run,
        input: &ChangeBatch,
        others: &KeyedRows,
        left_width: usize,
        pairs: &mut Pairs,
        ctx: &mut Context<'_>,
    ) {
        self.pairs.clear();
        for (column, &position) in self.pairs.columns.iter_mut().zip(&self.columns) {
            let (side, position) = match position.checked_sub(left_width) {
                None => (Side::Left, position),
                Some(position) => (Side::Right, position),
            };
            if side == run.side {
                column.extend_selected(&input.columns[position], &pairs.rows);
            } else {
                column.extend_selected(&others.columns()[position], &pairs.slots);
            }
        }
        for &row in &pairs.rows {
            self.pairs.push_mark(Op::Insert, input.seqs[row as usize], input.event_times[row as usize]);
        }
        self.errors.clear();
        self.program.evaluate(&self.pairs, &mut self.errors);
        let truth = self.program.output(0, &self.pairs);
        let Values::Bool(values) = &truth.values else { unreachable!("the binder makes conditions BOOLEAN") };
        let fails = |place: usize| self.errors.iter().any(|&(failing, _)| failing as usize == place);
        pairs.retain(|place| values[place] != 0 && truth.validity.is_valid(place) && !fails(place));
        let seqs = &self.pairs.seqs;
        ctx.failures.extend(self.errors.drain(..).map(|(pair, error)| (seqs[pair as usize], error)));
    }
}
