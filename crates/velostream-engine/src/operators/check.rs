//! `Check`: rejects the record that would bring a row which violates a condition.
//!
//! Stateless: every row that comes is held against the conditions; one that makes a condition FALSE fails its
//! record, and the processor undoes it in every operator. NULL does not violate, as in SQL.

use crate::batch::ChangeBatch;
use crate::column::Values;
use crate::error::{RecordError, Result};
use crate::expr::{Program, RowErrors};
use crate::operators::{Context, Operator, Stateful, take_out_failing};
use std::sync::Arc;
use velostream_sql::plan::Expr;

/// Conditions over one input's rows, compiled.
pub struct Conditions {
    program: Program,
    texts: Vec<Arc<str>>,
    errors: RowErrors,
}

impl Conditions {
    /// Compiles conditions, each with its text.
    pub fn new(checks: &[(Expr, Arc<str>)]) -> Result<Self> {
        let (exprs, texts): (Vec<Expr>, Vec<Arc<str>>) = checks.iter().cloned().unzip();
        Ok(Self { program: Program::compile(&exprs)?, texts, errors: RowErrors::new() })
    }

    /// Calls `fail` for each addition among `rows` that violates a condition, or for which one fails.
    pub fn check(&mut self, rows: &ChangeBatch, mut fail: impl FnMut(u32, RecordError)) {
        if self.texts.is_empty() || rows.is_empty() {
            return;
        }
        self.errors.clear();
        self.program.evaluate(rows, &mut self.errors);
        for (row, error) in self.errors.drain(..) {
            if rows.ops[row as usize].is_addition() {
                fail(row, error);
            }
        }
        for (index, text) in self.texts.iter().enumerate() {
            let truth = self.program.output(index, rows);
            let Values::Bool(values) = &truth.values else {
                unreachable!("the binder makes conditions BOOLEAN")
            };
            for (row, &value) in values[..rows.len()].iter().enumerate() {
                if value == 0 && truth.validity.is_valid(row) && rows.ops[row].is_addition() {
                    fail(row as u32, RecordError::constraint(format!("CHECK ({text}) is violated")));
                }
            }
        }
    }
}

/// The conditions of a derived table, over its rows.
pub struct Check {
    conditions: Conditions,
    failing: Vec<u32>,
}

impl Check {
    /// Checks every row that comes.
    pub fn new(checks: &[(Expr, Arc<str>)]) -> Result<Self> {
        Ok(Self { conditions: Conditions::new(checks)?, failing: Vec::new() })
    }
}

impl Operator for Check {
    fn process(&mut self, input: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()> {
        let failing = &mut self.failing;
        failing.clear();
        self.conditions.check(input, |row, error| {
            failing.push(row);
            ctx.failures.push((input.seqs[row as usize], error));
        });
        if failing.is_empty() {
            for (to, from) in out.columns.iter_mut().zip(&input.columns) {
                to.extend_range(from, 0, input.len());
            }
            out.ops.extend_from_slice(&input.ops);
            out.seqs.extend_from_slice(&input.seqs);
            out.event_times.extend_from_slice(&input.event_times);
            return Ok(());
        }
        // Of a record that fails no row stays.
        let mut rows: Vec<u32> = (0..input.len() as u32).collect();
        take_out_failing(failing.iter().copied(), input, ctx.on_record, &mut rows);
        for row in rows {
            out.push_row(input, row as usize, input.ops[row as usize]);
        }
        Ok(())
    }
}

impl Stateful for Check {}
