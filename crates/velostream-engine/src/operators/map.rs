//! `Map`: keeps the rows whose predicate is TRUE and computes the output columns from them.
//!
//! Stateless. A delete is kept exactly if its insert was, since the predicate depends on the row alone; so
//! the mapped change log is the change log of the mapped answer. An update whose halves fare differently
//! becomes the half that is kept. Halves that become equal are left to whoever consolidates the step.

use crate::batch::{ChangeBatch, Op};
use crate::column::Column;
use crate::error::Result;
use crate::expr::{Program, RowErrors};
use crate::operators::{Context, Operator, Stateful, take_out_failing};
use velostream_sql::plan::Expr;
use velostream_sql::types::DataType;

/// Filter and projection in one pass: the kept rows are gathered once.
pub struct Map {
    predicate: Option<Program>,
    /// The output columns; the input's when missing.
    items: Option<Program>,
    /// Whether every item is a plain column, so that rows are copied straight from input to output.
    plain: bool,
    /// Whether no two items are the same column or the same register, so that they can change hands.
    distinct: bool,
    /// Rows kept of the batch in hand.
    kept: Vec<u32>,
    /// The kept rows, where items are computed from them.
    gathered: ChangeBatch,
    errors: RowErrors,
}

impl Map {
    /// `predicate` and `items` over an input with columns of these types.
    pub fn new(input: &[DataType], predicate: Option<&Expr>, items: Option<&[Expr]>) -> Result<Self> {
        let predicate =
            predicate.map(|predicate| Program::compile(std::slice::from_ref(predicate))).transpose()?;
        let compiled = items.map(Program::compile).transpose()?;
        let plain = match (&compiled, items) {
            (Some(program), Some(items)) => (0..items.len()).all(|index| program.as_column(index).is_some()),
            _ => true,
        };
        Ok(Self {
            predicate,
            distinct: compiled.as_ref().is_some_and(Program::has_distinct_outputs),
            items: compiled,
            plain,
            kept: Vec::new(),
            gathered: ChangeBatch::new(input),
            errors: RowErrors::new(),
        })
    }

    /// Fills `kept`; false means that all rows are kept and `kept` is not filled.
    fn select(&mut self, input: &ChangeBatch, ctx: &mut Context<'_>) -> bool {
        let Some(predicate) = &mut self.predicate else { return false };
        self.errors.clear();
        predicate.evaluate(input, &mut self.errors);
        self.kept.clear();
        push_true_rows(predicate.output(0, input), input.len(), &mut self.kept);
        take_failing_rows(&mut self.errors, input, &mut self.kept, ctx);
        self.kept.len() < input.len()
    }

    fn emit(&mut self, input: &ChangeBatch, selected: bool, out: &mut ChangeBatch, ctx: &mut Context<'_>) {
        let Some(items) = &mut self.items else {
            return copy_rows(&input.columns, selected.then_some(&self.kept), input, out);
        };
        if selected && !self.plain {
            self.gathered.clear();
            copy_rows(&input.columns, Some(&self.kept), input, &mut self.gathered);
        }
        let (source, rows) = match (selected, self.plain) {
            (true, false) => (&self.gathered, None),
            (true, true) => (input, Some(&self.kept)),
            (false, _) => (input, None),
        };
        self.errors.clear();
        if !self.plain {
            items.evaluate(source, &mut self.errors);
        }
        let outputs = (0..out.columns.len()).map(|index| items.output(index, source));
        if self.errors.is_empty() {
            return copy_rows(outputs, rows, source, out);
        }
        let mut fine: Vec<u32> = (0..source.len() as u32).collect();
        take_failing_rows(&mut self.errors, source, &mut fine, ctx);
        copy_rows(outputs, Some(&fine), source, out);
    }
}

impl Operator for Map {
    fn process(&mut self, input: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()> {
        if !input.is_empty() {
            let selected = self.select(input, ctx);
            self.emit(input, selected, out, ctx);
        }
        Ok(())
    }

    fn take(&mut self, input: &mut ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()> {
        let Self { predicate: None, items: Some(items), distinct: true, errors, .. } = self else {
            return self.process(input, out, ctx);
        };
        errors.clear();
        if !self.plain {
            items.evaluate(input, errors);
        }
        if !out.is_empty() || !errors.is_empty() {
            return self.process(input, out, ctx);
        }
        for (index, column) in out.columns.iter_mut().enumerate() {
            items.hand_over(index, input, column);
            debug_assert_eq!(column.len(), input.len(), "a program gives one value per row");
        }
        std::mem::swap(&mut out.ops, &mut input.ops);
        std::mem::swap(&mut out.seqs, &mut input.seqs);
        std::mem::swap(&mut out.event_times, &mut input.event_times);
        Ok(())
    }
}

impl Stateful for Map {}

/// Appends the rows at which the BOOLEAN column `truth` is TRUE.
fn push_true_rows(truth: &Column, rows: usize, kept: &mut Vec<u32>) {
    let crate::column::Values::Bool(values) = &truth.values else {
        unreachable!("the binder makes predicates BOOLEAN");
    };
    let values = &values[..rows];
    match truth.validity.mask() {
        None if values.iter().all(|&value| value != 0) => kept.extend(0..rows as u32),
        None => kept.extend((0..rows as u32).filter(|&row| values[row as usize] != 0)),
        Some(mask) => {
            kept.extend((0..rows as u32).filter(|&row| values[row as usize] & mask[row as usize] != 0))
        }
    }
}

/// Moves the failing rows' errors to the context and takes those rows out of `rows`, and with a row of a record all
/// that the record has.
fn take_failing_rows(
    errors: &mut RowErrors,
    input: &ChangeBatch,
    rows: &mut Vec<u32>,
    ctx: &mut Context<'_>,
) {
    if errors.is_empty() {
        return;
    }
    take_out_failing(errors.iter().map(|&(row, _)| row), input, ctx.on_record, rows);
    ctx.failures.extend(errors.drain(..).map(|(row, error)| (input.seqs[row as usize], error)));
}

/// Appends the selected rows of `columns`, or all, with the marks of `input`.
fn copy_rows<'a>(
    columns: impl IntoIterator<Item = &'a Column>,
    selected: Option<&Vec<u32>>,
    input: &ChangeBatch,
    out: &mut ChangeBatch,
) {
    for (to, from) in out.columns.iter_mut().zip(columns) {
        match selected {
            Some(rows) => to.extend_selected(from, rows),
            None => to.extend_range(from, 0, input.len()),
        }
    }
    let Some(rows) = selected else {
        out.ops.extend_from_slice(&input.ops);
        out.seqs.extend_from_slice(&input.seqs);
        out.event_times.extend_from_slice(&input.event_times);
        return;
    };
    out.seqs.extend(rows.iter().map(|&row| input.seqs[row as usize]));
    out.event_times.extend(rows.iter().map(|&row| input.event_times[row as usize]));
    out.ops.extend((0..rows.len()).map(|index| mark(input, rows, index)));
}

/// The mark of the kept row `rows[index]`: half an update whose other half goes is a delete or an insert.
fn mark(input: &ChangeBatch, rows: &[u32], index: usize) -> Op {
    let row = rows[index] as usize;
    match input.ops[row] {
        Op::UpdateBefore if rows.get(index + 1).is_none_or(|&next| next as usize != row + 1) => Op::Delete,
        Op::UpdateAfter if row > 0 && input.ops[row - 1] == Op::UpdateBefore => {
            let before_kept = index > 0 && rows[index - 1] as usize == row - 1;
            if before_kept { Op::UpdateAfter } else { Op::Insert }
        }
        op => op,
    }
}
