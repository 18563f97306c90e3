//! What the operator computes from a batch before it changes anything: keys, times, arguments, filters.

use super::AggregateSpec;
use crate::batch::{ChangeBatch, Selected};
use crate::column::{Column, Values};
use crate::error::Result;
use crate::expr::{Program, RowErrors};
use crate::functions::aggregate::{CallRows, is_fallible, largest_magnitude};
use crate::operators::{Context, take_out_failing};
use crate::state::{GroupId, KeySource, hash_rows};

/// Where a call finds what it is given.
#[derive(Debug)]
struct CallPlaces {
    argument: Option<usize>,
    filter: Option<usize>,
    /// Per row 1 where it counts; not used while every row does.
    mask: Vec<u8>,
    masked: bool,
    /// Where it can overflow, a magnitude that none of its arguments is above.
    largest: f64,
}

/// The expressions, compiled, and what they gave for the batch in hand.
#[derive(Debug)]
pub(super) struct Evaluation {
    program: Program,
    errors: RowErrors,
    keys: usize,
    time: Option<usize>,
    calls: Vec<CallPlaces>,
    /// The calls that can overflow.
    fallible: Vec<usize>,
}

impl Evaluation {
    pub(super) fn new(spec: &AggregateSpec) -> Result<Self> {
        let mut exprs = spec.keys.clone();
        let mut place = |expr: Option<&velostream_sql::plan::Expr>| {
            expr.map(|expr| {
                exprs.push(expr.clone());
                exprs.len() - 1
            })
        };
        let time = place(spec.window.as_ref().and_then(|window| window.time.as_ref()));
        let mut calls = Vec::new();
        for call in &spec.calls {
            let (argument, filter) = (place(call.argument.as_ref()), place(call.filter.as_ref()));
            calls.push(CallPlaces { argument, filter, mask: Vec::new(), masked: false, largest: 0.0 });
        }
        let fallible = (0..calls.len()).filter(|&call| is_fallible(&spec.calls[call])).collect();
        let (program, errors) = (Program::compile(&exprs)?, RowErrors::new());
        Ok(Self { program, errors, keys: spec.keys.len(), time, calls, fallible })
    }

    /// Computes everything for a batch, or for the rows of it that count, and fills `rows`: all that do not fail, and whose
    /// step does not.
    pub(super) fn take_rows(&mut self, input: &ChangeBatch, rows: &mut Vec<u32>, ctx: &mut Context<'_>) {
        rows.clear();
        if input.is_empty() || ctx.selected.is_some_and(|selected| selected.rows.is_empty()) {
            return;
        }
        self.errors.clear();
        match ctx.selected {
            None => {
                self.program.evaluate(input, &mut self.errors);
                rows.extend(0..input.len() as u32);
            }
            Some(selected) => {
                self.program.evaluate_selected(input, selected.rows, &mut self.errors);
                rows.extend_from_slice(selected.rows);
            }
        }
        if !self.errors.is_empty() {
            take_out_failing(self.errors.iter().map(|&(row, _)| row), input, ctx.on_record, rows);
            ctx.failures.extend(self.errors.drain(..).map(|(row, error)| (input.seqs[row as usize], error)));
        }
        let output = |place: Option<usize>| place.map(|place| self.program.output(place, input));
        for call in &mut self.calls {
            call.set_mask(output(call.argument), output(call.filter), input.len());
        }
        for &call in &self.fallible {
            let call = &mut self.calls[call];
            call.largest = largest_magnitude(output(call.argument), rows);
        }
    }
}

impl CallPlaces {
    /// Notes which of so many rows count.
    #[inline]
    fn set_mask(&mut self, argument: Option<&Column>, filter: Option<&Column>, rows: usize) {
        let valid = argument.and_then(|column| column.validity.mask());
        self.masked = valid.is_some() || filter.is_some();
        if !self.masked {
            return;
        }
        self.mask.clear();
        if let Some(valid) = valid {
            self.mask.extend_from_slice(&valid[..rows]);
        }
        if let Some(filter) = filter {
            apply_filter(filter, rows, &mut self.mask);
        }
    }
}

/// Puts 0 wherever `filter` is not TRUE; an empty mask counts as all 1.
fn apply_filter(filter: &Column, rows: usize, mask: &mut Vec<u8>) {
    let Values::Bool(truth) = &filter.values else {
        unreachable!("the binder makes filters BOOLEAN");
    };
    if mask.is_empty() {
        mask.extend_from_slice(&truth[..rows]);
    } else {
        mask.iter_mut().zip(truth).for_each(|(mask, truth)| *mask &= truth);
    }
    if let Some(valid) = filter.validity.mask() {
        mask.iter_mut().zip(valid).for_each(|(mask, valid)| *mask &= valid);
    }
}

/// A batch with what was computed from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) evaluation: &'a Evaluation,
    pub(super) input: &'a ChangeBatch,
}

impl<'a> Given<'a> {
    /// Key column `index`.
    #[inline]
    pub(super) fn key_column(&self, index: usize) -> &'a Column {
        debug_assert!(index < self.evaluation.keys);
        self.evaluation.program.output(index, self.input)
    }

    /// Computes the hashes of the rows' keys, or takes those that are known.
    pub(super) fn hash(&self, rows: &[u32], selected: Option<Selected<'_>>, hashes: &mut Vec<u64>) {
        let known = selected.and_then(|selected| Some((selected.rows, selected.hashes?)));
        let Some((known_rows, known)) = known else {
            return hash_rows(self.evaluation.keys, |index| self.key_column(index), rows, hashes);
        };
        hashes.clear();
        if rows.len() == known_rows.len() {
            return hashes.extend_from_slice(known);
        }
        // Some rows are left out.
        let mut known = known_rows.iter().zip(known);
        hashes.extend(
            rows.iter().filter_map(|row| known.find(|(other, _)| *other == row)).map(|(_, hash)| hash),
        );
    }

    /// The windows' time, where it is an expression.
    pub(super) fn times(&self) -> Option<&'a Column> {
        self.evaluation.time.map(|place| self.evaluation.program.output(place, self.input))
    }

    /// The calls that can overflow, each with a magnitude that none of its arguments is above.
    #[inline]
    pub(super) fn fallible_calls(&self) -> impl Iterator<Item = (usize, f64)> {
        self.evaluation.fallible.iter().map(|&call| (call, self.evaluation.calls[call].largest))
    }

    /// What call `index` is given of some rows.
    #[inline]
    pub(super) fn call(&self, index: usize, rows: &'a [u32], groups: &'a [GroupId]) -> CallRows<'a> {
        self.call_at(&self.evaluation.calls[index], rows, groups)
    }

    /// What each call is given of some rows.
    #[inline]
    pub(super) fn calls(self, rows: &'a [u32], groups: &'a [GroupId]) -> impl Iterator<Item = CallRows<'a>> {
        self.evaluation.calls.iter().map(move |call| self.call_at(call, rows, groups))
    }

    #[inline]
    fn call_at(&self, call: &'a CallPlaces, rows: &'a [u32], groups: &'a [GroupId]) -> CallRows<'a> {
        CallRows {
            values: call.argument.map(|place| self.evaluation.program.output(place, self.input)),
            mask: call.masked.then_some(&call.mask[..]),
            rows,
            groups,
            seqs: &self.input.seqs,
            fresh: &[],
        }
    }
}

impl KeySource for Given<'_> {
    fn key(&self, index: usize) -> &Column {
        self.key_column(index)
    }
}
