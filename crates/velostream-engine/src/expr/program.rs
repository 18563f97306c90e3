//! The compiled form of a list of expressions over one input.

use crate::batch::ChangeBatch;
use crate::column::{Column, Values};
use crate::error::{RecordError, Result};
use crate::expr::compile::Compiler;
use crate::expr::kernel::{Args, Kernel, Slot};
use std::fmt;
use velostream_sql::plan::Expr;

/// The rows for which a program failed, each at most once, with the first error in evaluation order.
pub type RowErrors = Vec<(u32, RecordError)>;

/// One kernel call.
pub(super) struct Instruction {
    /// The operation's key; two instructions of one name, inputs and mask compute the same.
    pub name: String,
    pub kernel: Kernel,
    pub inputs: Vec<Slot>,
    /// The register written; every register among inputs and mask has a smaller number.
    pub output: usize,
    /// A register of 0 and 1: rows at 0 do not take the branch this instruction stands in and cannot fail.
    pub mask: Option<usize>,
    /// Whether a failing row gives NULL instead of an error.
    pub null_on_error: bool,
}

impl Instruction {
    /// Computes the output register for `rows` rows.
    pub fn execute(
        &mut self,
        rows: usize,
        columns: &[Column],
        registers: &mut [Column],
        live: &mut Vec<u8>,
        errors: &mut RowErrors,
    ) {
        let (before, rest) = registers.split_at_mut(self.output);
        let out = &mut rest[0];
        let mut args = Args { rows, inputs: &self.inputs, columns, registers: before, live: None };
        out.validity.clear();
        if self.kernel.strict {
            for index in 0..args.len() {
                if let Some(mask) = args.mask(index) {
                    out.validity.intersect(mask);
                }
            }
        }
        if self.kernel.asks_live {
            args.live = live_rows(out, self.mask.map(|mask| &before[mask]), rows, live);
        }
        let failed = errors.len();
        (self.kernel.run)(&args, out, errors);
        if self.null_on_error {
            for (row, _) in errors.drain(failed..) {
                out.validity.set(rows, row as usize, false);
            }
        }
    }
}

/// Rows that may fail: those whose output is not NULL and that take the branch; `None` means all.
fn live_rows<'a>(
    out: &Column,
    branch: Option<&Column>,
    rows: usize,
    live: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
    let branch = branch.map(|column| match &column.values {
        Values::Bool(values) => &values[..rows],
        _ => unreachable!("masks are boolean"),
    });
    live.clear();
    match (out.validity.mask(), branch) {
        (None, None) => return None,
        (Some(mask), None) | (None, Some(mask)) => live.extend_from_slice(mask),
        (Some(a), Some(b)) => live.extend(a.iter().zip(b).map(|(a, b)| a & b)),
    }
    Some(live)
}

impl fmt::Debug for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{} = {}{:?} if {:?}", self.output, self.name, self.inputs, self.mask)
    }
}

/// A list of expressions, compiled. Owns its registers, so evaluation allocates only while they grow.
#[derive(Debug, Default)]
pub struct Program {
    pub(super) instructions: Vec<Instruction>,
    /// Constants, ROWTIME and results, in order of computation.
    pub(super) registers: Vec<Column>,
    /// Registers of constants, which hold the value at least `constant_rows` times.
    pub(super) constants: Vec<usize>,
    pub(super) constant_rows: usize,
    /// Outputs that are constant: the constant's register and one that holds one value per row.
    pub(super) constant_outputs: Vec<(usize, usize)>,
    /// The register that takes the rows' event times.
    pub(super) row_time: Option<usize>,
    pub(super) outputs: Vec<Slot>,
    /// The registers among the outputs.
    pub(super) computed: Vec<usize>,
    /// Scratch of `live_rows`.
    pub(super) live: Vec<u8>,
    /// Scratch of `evaluate_selected`.
    pub(super) operands: ChangeBatch,
}

impl Program {
    /// Compiles `outputs` over an input's columns; common subexpressions are shared, constants folded.
    pub fn compile(outputs: &[Expr]) -> Result<Self> {
        Compiler::compile(outputs)
    }

    /// Whether no output can fail for any row: such a program leaves `errors` alone.
    #[must_use]
    pub fn is_infallible(&self) -> bool {
        self.instructions.iter().all(|instruction| !instruction.kernel.fallible || instruction.null_on_error)
    }

    /// If output `index` is a plain input column, its position.
    #[must_use]
    pub fn as_column(&self, index: usize) -> Option<usize> {
        match self.outputs[index] {
            Slot::Column(position) => Some(position),
            Slot::Register(_) => None,
        }
    }

    /// Number of outputs.
    #[must_use]
    pub fn output_count(&self) -> usize {
        self.outputs.len()
    }

    /// Number of kernel calls per batch.
    #[must_use]
    pub fn instruction_count(&self) -> usize {
        self.instructions.len()
    }

    /// Computes every output for every row of `input` and appends the failing rows, ascending, to `errors`.
    /// Outputs of failing rows are unspecified; at NULL rows outputs hold the type's default value.
    pub fn evaluate(&mut self, input: &ChangeBatch, errors: &mut RowErrors) {
        let rows = input.len();
        if rows > self.constant_rows {
            self.constant_rows = rows.next_power_of_two();
            for &constant in &self.constants {
                self.registers[constant].repeat_first(self.constant_rows);
            }
        }
        if let Some(register) = self.row_time
            && let Values::I64(times) = &mut self.registers[register].values
        {
            times.clear();
            times.extend_from_slice(&input.event_times);
        }
        let earlier = errors.len();
        for instruction in &mut self.instructions {
            instruction.execute(rows, &input.columns, &mut self.registers, &mut self.live, errors);
        }
        for &(constant, output) in &self.constant_outputs {
            let (before, rest) = self.registers.split_at_mut(output);
            let column = &mut rest[0];
            column.truncate(rows);
            if rows > 0 && column.is_empty() {
                column.push_from(&before[constant], 0);
            }
            column.repeat_first(rows);
        }
        for &register in &self.computed {
            self.registers[register].blank_nulls();
        }
        if errors.len() > earlier {
            keep_first_per_row(errors, earlier);
        }
    }

    /// Whether no two outputs are the same.
    #[must_use]
    pub fn has_distinct_outputs(&self) -> bool {
        self.outputs.iter().enumerate().all(|(index, output)| !self.outputs[..index].contains(output))
    }

    /// Exchanges output `index` of the last evaluation, which had this `input`, with a column of its type that has no
    /// rows. Each output is given once.
    pub fn hand_over(&mut self, index: usize, input: &mut ChangeBatch, to: &mut Column) {
        to.exchange_rows(match self.outputs[index] {
            Slot::Column(position) => &mut input.columns[position],
            Slot::Register(register) => &mut self.registers[register],
        });
    }

    /// Output `index` of the last evaluation, which had this `input`; one value per row.
    #[must_use]
    #[inline]
    pub fn output<'a>(&'a self, index: usize, input: &'a ChangeBatch) -> &'a Column {
        match self.outputs[index] {
            Slot::Column(position) => &input.columns[position],
            Slot::Register(register) => &self.registers[register],
        }
    }
}

/// Sorts the errors from `start` on by row and keeps each row's first.
fn keep_first_per_row(errors: &mut RowErrors, start: usize) {
    errors[start..].sort_by_key(|&(row, _)| row);
    let mut kept = start + 1;
    for index in start + 1..errors.len() {
        if errors[index].0 != errors[kept - 1].0 {
            errors.swap(index, kept);
            kept += 1;
        }
    }
    errors.truncate(kept);
}
