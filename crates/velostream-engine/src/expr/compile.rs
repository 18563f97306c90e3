//! Lowers typed expressions to a program: one instruction per distinct operation.
//!
//! Registers are written once and numbered in order of computation, so an instruction reads only smaller
//! registers. An instruction whose inputs are constant runs here, on one row; if that row fails, it stays and
//! fails per row. CASE, COALESCE, AND and OR open a *branch*: a condition under which their later operands
//! count. Only fallible instructions inside a branch need its mask, which is computed at the first of them.

use crate::column::Column;
use crate::error::{EngineError, Result};
use crate::expr::kernel::{Kernel, Slot};
use crate::expr::kernels::{arithmetic, cast, compare, like, list, logic, select};
use crate::expr::program::{Instruction, Program};
use crate::functions::{overload::CallSite, registry::registry};
use std::collections::HashMap;
use velostream_sql::plan::{BinaryOp, Expr, ExprKind, Literal};
use velostream_sql::types::DataType;

/// When the rows of a branch count, by a boolean condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Taken {
    /// The condition is TRUE.
    IfTrue,
    /// It is FALSE or NULL.
    UnlessTrue,
    /// It is TRUE or NULL.
    UnlessFalse,
    /// The value is NULL (of any type).
    IfNull,
}

/// A conditional part of an expression: rows of the enclosing branch for which `taken` holds.
struct Branch {
    parent: Option<usize>,
    taken: Taken,
    condition: Slot,
    /// The mask's register, once something needed it.
    mask: Option<usize>,
}

/// What identifies an operation for sharing: its name, inputs and, if it can fail, its branch.
type OperationKey = (String, Vec<Slot>, Option<usize>);

#[derive(Default)]
pub(super) struct Compiler {
    program: Program,
    shared: HashMap<OperationKey, Slot>,
    branches: Vec<Branch>,
    branch: Option<usize>,
}

impl Compiler {
    /// Compiles every output.
    pub fn compile(outputs: &[Expr]) -> Result<Program> {
        let mut compiler = Self::default();
        compiler.program.constant_rows = 1;
        let slots = outputs.iter().map(|output| compiler.expr(output)).collect::<Result<Vec<_>>>()?;
        for (slot, output) in slots.into_iter().zip(outputs) {
            let slot = match compiler.constant(slot) {
                Some(constant) => {
                    let register = compiler.register(Column::new(output.data_type));
                    compiler.program.constant_outputs.push((constant, register));
                    Slot::Register(register)
                }
                None => slot,
            };
            if let Slot::Register(register) = slot
                && !compiler.program.computed.contains(&register)
            {
                compiler.program.computed.push(register);
            }
            compiler.program.outputs.push(slot);
        }
        Ok(compiler.program)
    }

    fn register(&mut self, column: Column) -> usize {
        self.program.registers.push(column);
        self.program.registers.len() - 1
    }

    /// The register of a slot that is constant.
    fn constant(&self, slot: Slot) -> Option<usize> {
        match slot {
            Slot::Register(register) if self.program.constants.contains(&register) => Some(register),
            _ => None,
        }
    }

    /// The value of a slot that is constant.
    fn constant_value(&self, slot: Slot) -> Option<Literal> {
        self.constant(slot).map(|register| self.program.registers[register].literal(0))
    }

    fn literal(&mut self, literal: &Literal, data_type: DataType) -> Slot {
        let key = (format!("{data_type:?} {literal:?}"), Vec::new(), None);
        if let Some(&slot) = self.shared.get(&key) {
            return slot;
        }
        let mut column = Column::new(data_type);
        column.push_literal(literal);
        let register = self.register(column);
        self.program.constants.push(register);
        self.shared.insert(key, Slot::Register(register));
        Slot::Register(register)
    }

    fn null(&mut self, data_type: DataType) -> Slot {
        self.literal(&Literal::Null, data_type)
    }

    /// The register that an equal, earlier operation wrote for at least the rows of this branch.
    fn find(&self, name: &str, inputs: &[Slot], fallible: bool) -> Option<Slot> {
        let mut branch = if fallible { self.branch } else { None };
        loop {
            let key = (name.to_owned(), inputs.to_vec(), branch);
            if let Some(&slot) = self.shared.get(&key) {
                return Some(slot);
            }
            branch = self.branches[branch?].parent;
        }
    }

    /// Appends an instruction, or shares or folds it. `name` must determine what the kernel computes.
    fn emit(&mut self, name: String, inputs: Vec<Slot>, data_type: DataType, kernel: Kernel) -> Slot {
        self.emit_general(name, inputs, data_type, kernel, false)
    }

    fn emit_general(
        &mut self,
        name: String,
        inputs: Vec<Slot>,
        data_type: DataType,
        kernel: Kernel,
        null_on_error: bool,
    ) -> Slot {
        let name = format!("{name} {data_type:?}{}", if null_on_error { " or NULL" } else { "" });
        let fallible = kernel.fallible && !null_on_error;
        if let Some(slot) = self.find(&name, &inputs, fallible) {
            return slot;
        }
        let constant = inputs.iter().all(|&input| self.constant(input).is_some());
        let output = self.register(Column::new(data_type));
        let key = (name.clone(), inputs.clone(), if fallible { self.branch } else { None });
        let mut instruction = Instruction { name, kernel, inputs, output, mask: None, null_on_error };
        if constant && self.fold(&mut instruction) {
            self.shared.insert(key, Slot::Register(output));
            return Slot::Register(output);
        }
        if fallible && self.branch.is_some() {
            // The mask comes first: its register must be the smaller one.
            self.program.registers.pop();
            instruction.mask = self.branch.map(|branch| self.mask(branch));
            instruction.output = self.register(Column::new(data_type));
        }
        let slot = Slot::Register(instruction.output);
        self.program.instructions.push(instruction);
        self.shared.insert(key, slot);
        slot
    }

    /// Runs an instruction over constants; whether it succeeded and its output is now a constant.
    fn fold(&mut self, instruction: &mut Instruction) -> bool {
        let mut errors = Vec::new();
        let Program { registers, live, constants, .. } = &mut self.program;
        instruction.execute(1, &[], registers, live, &mut errors);
        if errors.is_empty() {
            constants.push(instruction.output);
        } else {
            registers[instruction.output].clear();
        }
        errors.is_empty()
    }

    /// The register of a branch's mask; computes it and its parents' if need be.
    fn mask(&mut self, branch: usize) -> usize {
        let Branch { parent, taken, condition, mask } = self.branches[branch];
        if let Some(mask) = mask {
            return mask;
        }
        let mut inputs = vec![condition];
        inputs.extend(parent.map(|parent| Slot::Register(self.mask(parent))));
        let kernel = logic::mask(taken, parent.is_some());
        let slot = self.emit(format!("mask {taken:?}"), inputs, DataType::Boolean, kernel);
        let Slot::Register(register) = slot else { unreachable!("instructions write registers") };
        self.branches[branch].mask = Some(register);
        register
    }

    /// Runs `compile` inside a branch of the current one.
    fn within<T>(&mut self, taken: Taken, condition: Slot, compile: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.enter(taken, condition);
        let result = compile(self);
        self.branch = outer;
        result
    }

    /// Makes a branch of the current one the current one; gives what to go back to.
    fn enter(&mut self, taken: Taken, condition: Slot) -> Option<usize> {
        let outer = self.branch;
        self.branches.push(Branch { parent: outer, taken, condition, mask: None });
        self.branch = Some(self.branches.len() - 1);
        outer
    }

    /// Compiles an expression and gives the place of its values.
    fn expr(&mut self, expr: &Expr) -> Result<Slot> {
        match &expr.kind {
            ExprKind::Column(position) => Ok(Slot::Column(*position)),
            ExprKind::RowTime => Ok(self.row_time()),
            ExprKind::Literal(literal) => Ok(self.literal(literal, expr.data_type)),
            ExprKind::Negate(operand) => {
                let Some(input) = self.operand(operand)? else { return Ok(self.null(expr.data_type)) };
                let kernel = arithmetic::negate(operand.data_type).ok_or_else(|| refuse("-", &[operand]))?;
                Ok(self.emit("negate".into(), vec![input], expr.data_type, kernel))
            }
            ExprKind::Not(operand) => {
                let Some(input) = self.operand(operand)? else { return Ok(self.null(expr.data_type)) };
                Ok(self.emit("not".into(), vec![input], DataType::Boolean, logic::not()))
            }
            ExprKind::Binary { op: op @ (BinaryOp::And | BinaryOp::Or), left, right } => {
                self.and_or(*op, left, right)
            }
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right, expr.data_type),
            ExprKind::IsNull { expr: operand, negated } => {
                let input = self.expr(operand)?;
                let kernel = logic::is_null(*negated);
                Ok(self.emit(format!("is null {negated}"), vec![input], DataType::Boolean, kernel))
            }
            ExprKind::IsTruth { expr: operand, value, negated } => {
                let input = self.expr(operand)?;
                let kernel = logic::is_truth(*value, *negated);
                Ok(self.emit(format!("is {value} {negated}"), vec![input], DataType::Boolean, kernel))
            }
            ExprKind::Case { branches, otherwise } => {
                self.case(branches, otherwise.as_deref(), expr.data_type)
            }
            ExprKind::Coalesce(candidates) => self.coalesce(candidates, expr.data_type),
            ExprKind::Cast { expr: operand, try_cast } => {
                let input = self.expr(operand)?;
                self.cast(input, operand.data_type, expr.data_type, *try_cast)
            }
            ExprKind::InList { expr: operand, list, negated } => self.in_list(operand, list, *negated),
            ExprKind::Like { expr: operand, pattern, escape, case_insensitive, negated } => {
                let (Some(text), Some(pattern)) = (self.operand(operand)?, self.operand(pattern)?) else {
                    return Ok(self.null(DataType::Boolean));
                };
                let name = format!("like {escape:?} {case_insensitive} {negated}");
                let kernel = like::like(*escape, *case_insensitive, *negated);
                Ok(self.emit(name, vec![text, pattern], DataType::Boolean, kernel))
            }
            ExprKind::Call { function, name, arguments } => {
                let inputs =
                    arguments.iter().map(|argument| self.expr(argument)).collect::<Result<Vec<_>>>()?;
                let types: Vec<_> = arguments.iter().map(|argument| argument.data_type).collect();
                let site = CallSite { arguments: &types, returns: expr.data_type };
                let kernel = registry().kernel(*function, &site);
                let kernel = kernel.ok_or_else(|| EngineError::Unsupported(format!("function {name}")))?;
                Ok(self.emit(format!("call {name} {} {types:?}", function.0), inputs, expr.data_type, kernel))
            }
        }
    }

    /// An operand of a strict operation; `None` if it is a bare NULL, which has no type.
    fn operand(&mut self, expr: &Expr) -> Result<Option<Slot>> {
        if expr.data_type == DataType::Null { Ok(None) } else { self.expr(expr).map(Some) }
    }

    fn row_time(&mut self) -> Slot {
        let register = match self.program.row_time {
            Some(register) => register,
            None => self.register(Column::new(DataType::Timestamp)),
        };
        self.program.row_time = Some(register);
        Slot::Register(register)
    }

    fn and_or(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> Result<Slot> {
        let (taken, kernel) = match op {
            BinaryOp::And => (Taken::UnlessFalse, logic::and()),
            _ => (Taken::UnlessTrue, logic::or()),
        };
        let left = self.boolean(left)?;
        let right = self.within(taken, left, |compiler| compiler.boolean(right))?;
        Ok(self.emit(format!("{op:?}"), vec![left, right], DataType::Boolean, kernel))
    }

    /// A condition; a bare NULL becomes a BOOLEAN one.
    fn boolean(&mut self, expr: &Expr) -> Result<Slot> {
        match self.operand(expr)? {
            Some(slot) => Ok(slot),
            None => Ok(self.null(DataType::Boolean)),
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, data_type: DataType) -> Result<Slot> {
        let (a, b) = (self.operand(left)?, self.operand(right)?);
        let slot = match (op, a, b) {
            (_, Some(a), Some(b)) => {
                let kernel = match op {
                    BinaryOp::Distinct | BinaryOp::NotDistinct => {
                        compare::distinct(op, left.data_type, right.data_type)
                    }
                    _ if compare::is_comparison(op) => {
                        compare::comparison(op, left.data_type, right.data_type)
                    }
                    BinaryOp::Concat => like::concat(left.data_type, right.data_type),
                    _ => arithmetic::binary(op, left.data_type, right.data_type, data_type),
                };
                let kernel = kernel.ok_or_else(|| refuse(&format!("{op:?}"), &[left, right]))?;
                let name = format!("{op:?} {:?} {:?}", left.data_type, right.data_type);
                self.emit(name, vec![a, b], data_type, kernel)
            }
            (BinaryOp::Distinct | BinaryOp::NotDistinct, a, b) => {
                let negated = op == BinaryOp::Distinct;
                let input = match a.or(b) {
                    Some(slot) => slot,
                    None => self.null(DataType::Boolean),
                };
                let kernel = logic::is_null(negated);
                self.emit(format!("is null {negated}"), vec![input], DataType::Boolean, kernel)
            }
            _ => self.null(data_type),
        };
        Ok(slot)
    }

    fn case(
        &mut self,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        data_type: DataType,
    ) -> Result<Slot> {
        let outer = self.branch;
        let mut arms = Vec::with_capacity(branches.len());
        for (condition, value) in branches {
            let condition = self.boolean(condition)?;
            let value = self.within(Taken::IfTrue, condition, |compiler| compiler.value(value, data_type))?;
            arms.push((condition, value));
            self.enter(Taken::UnlessTrue, condition);
        }
        let otherwise = match otherwise {
            Some(expr) => self.value(expr, data_type),
            None => Ok(self.null(data_type)),
        };
        self.branch = outer;
        Ok(arms.into_iter().rev().fold(otherwise?, |otherwise, (condition, value)| {
            let inputs = vec![condition, value, otherwise];
            self.emit("select".into(), inputs, data_type, select::select())
        }))
    }

    /// A value of a CASE or COALESCE of type `data_type`; a bare NULL takes that type.
    fn value(&mut self, expr: &Expr, data_type: DataType) -> Result<Slot> {
        match self.operand(expr)? {
            Some(slot) if expr.data_type == data_type => Ok(slot),
            Some(slot) => self.cast(slot, expr.data_type, data_type, false),
            None => Ok(self.null(data_type)),
        }
    }

    fn coalesce(&mut self, candidates: &[Expr], data_type: DataType) -> Result<Slot> {
        let outer = self.branch;
        let mut slots = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let slot = self.value(candidate, data_type)?;
            slots.push(slot);
            self.enter(Taken::IfNull, slot);
        }
        self.branch = outer;
        let last = slots.pop().unwrap_or_else(|| self.null(data_type));
        Ok(slots.into_iter().rev().fold(last, |otherwise, slot| {
            self.emit("coalesce".into(), vec![slot, otherwise], data_type, select::coalesce())
        }))
    }

    fn cast(&mut self, input: Slot, from: DataType, to: DataType, or_null: bool) -> Result<Slot> {
        if from == to {
            return Ok(input);
        }
        if from == DataType::Null {
            return Ok(self.null(to));
        }
        let refused = || EngineError::Unsupported(format!("cast from {from} to {to}"));
        let kernel = cast::cast(from, to).ok_or_else(refused)?;
        Ok(self.emit_general(format!("cast {from:?}"), vec![input], to, kernel, or_null))
    }

    fn in_list(&mut self, operand: &Expr, list: &[Expr], negated: bool) -> Result<Slot> {
        let Some(input) = self.operand(operand)? else { return Ok(self.null(DataType::Boolean)) };
        let mut slots = Vec::with_capacity(list.len());
        for candidate in list {
            slots.push(self.value(candidate, operand.data_type)?);
        }
        let constants: Option<Vec<_>> = slots.iter().map(|&slot| self.constant_value(slot)).collect();
        if let Some(constants) = constants {
            let name = format!("in {constants:?} {negated}");
            let kernel = list::in_constants(operand.data_type, &constants, negated);
            let kernel = kernel.ok_or_else(|| refuse("IN", &[operand]))?;
            return Ok(self.emit(name, vec![input], DataType::Boolean, kernel));
        }
        let mut found = self.literal(&Literal::Boolean(false), DataType::Boolean);
        for slot in slots {
            let data_type = operand.data_type;
            let kernel = compare::comparison(BinaryOp::Equal, data_type, data_type);
            let kernel = kernel.ok_or_else(|| refuse("IN", &[operand]))?;
            let name = format!("{:?} {data_type:?} {data_type:?}", BinaryOp::Equal);
            let equal = self.emit(name, vec![input, slot], DataType::Boolean, kernel);
            found = self.emit("Or".into(), vec![found, equal], DataType::Boolean, logic::or());
        }
        if negated {
            found = self.emit("not".into(), vec![found], DataType::Boolean, logic::not());
        }
        Ok(found)
    }
}

/// An operation that no kernel exists for.
fn refuse(operation: &str, operands: &[&Expr]) -> EngineError {
    let types: Vec<_> = operands.iter().map(|operand| operand.data_type.to_string()).collect();
    EngineError::Unsupported(format!("{operation} of {}", types.join(" and ")))
}
