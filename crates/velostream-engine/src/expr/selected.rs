//! A program over some rows of a batch of which others take the rest.
//!
//! What a program does to a row is mostly a plain loop over numbers, which goes over all rows in less time than picking
//! some takes. Where it is not, the operands of the rows are copied together first, and the results moved apart again
//! behind it, so that the rows are found under their numbers in the batch whichever way they went.

use crate::batch::{ChangeBatch, Op};
use crate::column::{Column, Values};
use crate::expr::kernel::Slot;
use crate::expr::program::{Instruction, Program, RowErrors};

impl Program {
    /// Does what [`Program::evaluate`] does, for these rows, ascending and at least one: outputs hold anything at the
    /// others, which are not among the failing ones either.
    pub fn evaluate_selected(&mut self, input: &ChangeBatch, rows: &[u32], errors: &mut RowErrors) {
        debug_assert!(!rows.is_empty() && rows.is_sorted());
        let earlier = errors.len();
        if self.instructions.iter().all(|instruction| self.is_light(instruction, input)) {
            self.evaluate(input, errors);
            if errors.len() > earlier {
                let of_others = errors.extract_if(earlier.., |(row, _)| rows.binary_search(row).is_err());
                of_others.for_each(drop);
            }
            return;
        }
        let mut operands = std::mem::take(&mut self.operands);
        self.gather(input, rows, &mut operands);
        self.evaluate(&operands, errors);
        self.operands = operands;
        errors[earlier..].iter_mut().for_each(|(row, _)| *row = rows[*row as usize]);
        self.spread(rows, input.len());
    }

    /// Whether all rows are computed as fast as some are copied: by a loop that calculates with numbers of one register
    /// and looks at texts at most.
    fn is_light(&self, instruction: &Instruction, input: &ChangeBatch) -> bool {
        let is_decimal = |column: &Column| matches!(column.values, Values::I128(_));
        let takes_decimal = |slot: &Slot| match *slot {
            Slot::Column(position) => is_decimal(&input.columns[position]),
            Slot::Register(register) => is_decimal(&self.registers[register]),
        };
        let output = &self.registers[instruction.output];
        let gives_number = !is_decimal(output) && !matches!(output.values, Values::Text(_));
        instruction.kernel.light && gives_number && !instruction.inputs.iter().any(takes_decimal)
    }

    /// Fills `operands` with what the instructions read of these rows; columns that none reads stay empty.
    fn gather(&self, input: &ChangeBatch, rows: &[u32], operands: &mut ChangeBatch) {
        if operands.columns.len() != input.columns.len() {
            *operands = ChangeBatch::like(input);
        }
        operands.clear();
        operands.ops.resize(rows.len(), Op::Insert);
        if self.row_time.is_some() {
            operands.event_times.extend(rows.iter().map(|&row| input.event_times[row as usize]));
        }
        for slot in self.instructions.iter().flat_map(|instruction| &instruction.inputs) {
            if let Slot::Column(position) = *slot
                && operands.columns[position].is_empty()
            {
                operands.columns[position].extend_selected(&input.columns[position], rows);
            }
        }
    }

    /// Moves the outputs of these rows of `total` to where the rows stand.
    fn spread(&mut self, rows: &[u32], total: usize) {
        for &register in &self.computed {
            let column = &mut self.registers[register];
            if self.constant_outputs.iter().any(|&(_, output)| output == register) {
                column.repeat_first(total);
            } else {
                column.spread(rows, total);
            }
        }
    }
}
