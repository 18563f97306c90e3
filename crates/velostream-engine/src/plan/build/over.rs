//! OVER: which columns reach the operator, whether rows are revised, and who holds them back until they are final.

use super::{Builder, Built, types};
use crate::error::{EngineError, Result};
use crate::operators::over::{Over, OverSpec};
use crate::plan::OperatorPlan;
use velostream_sql::explain::{duration, expression, over_call};
use velostream_sql::expr::map_columns;
use velostream_sql::plan::{Expr, ExprKind, LogicalPlan, OverCall};
use velostream_sql::types::Schema;

/// What a node reads of its input, by positions there.
struct Reads {
    columns: Vec<usize>,
    partition: Vec<usize>,
    calls: Vec<OverCall>,
}

impl Reads {
    /// All positions, each once, ascending.
    fn all(&self) -> Vec<usize> {
        let of_calls = self.calls.iter().flat_map(|call| call.function.columns()).filter_map(column);
        let mut all: Vec<usize> =
            self.columns.iter().chain(&self.partition).copied().chain(of_calls).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The same where only the positions `kept` are there.
    fn moved(self, kept: &[usize]) -> Self {
        let follow = |position: usize| kept.iter().position(|&known| known == position).unwrap_or(position);
        let call = |call: OverCall| OverCall {
            function: call.function.map(|expr| map_columns(expr, &mut { follow })),
            ..call
        };
        Self {
            columns: self.columns.into_iter().map(follow).collect(),
            partition: self.partition.into_iter().map(follow).collect(),
            calls: self.calls.into_iter().map(call).collect(),
        }
    }
}

fn column(expr: &Expr) -> Option<usize> {
    match expr.kind {
        ExprKind::Column(position) => Some(position),
        _ => None,
    }
}

impl Builder {
    /// `is_final` asks for rows once, when they can no longer change.
    pub(super) fn over(&mut self, plan: &LogicalPlan, is_final: bool) -> Result<Built> {
        let LogicalPlan::Over { input, columns, partition, calls, schema } = plan else {
            unreachable!("called for an Over");
        };
        let is_upper = matches!(**input, LogicalPlan::Over { .. });
        let disordered = self.is_updating(plan);
        let held_back = disordered && is_final;
        let below = if held_back && is_upper { self.final_node(input)? } else { self.node(input, false)? };
        if below.updating {
            let text =
                "several PARTITION BYs of OVER over rows that can come out of order are for EMIT FINAL";
            return Err(EngineError::Unsupported(text.into()));
        }
        let keys: Option<Vec<usize>> = partition.iter().map(column).collect();
        let partition = keys.ok_or_else(|| EngineError::Unsupported("OVER by an expression".into()))?;
        let mut reads = Reads { columns: columns.clone(), partition, calls: calls.clone() };
        let mut input_types = types(input.schema());
        let mut below = below;
        if held_back && !is_upper {
            let kept = reads.all();
            input_types = kept.iter().map(|&position| input_types[position]).collect();
            below = self.order(input.schema(), &kept, below);
            reads = reads.moved(&kept);
        }
        let grace = if disordered { self.options.default_grace_micros } else { 0 };
        let Reads { columns, partition, calls } = reads;
        let spec = OverSpec {
            input: input_types,
            columns,
            partition,
            calls,
            types: types(schema),
            revises: disordered && !is_final,
            grace: (!held_back).then_some(grace),
        };
        Over::new(spec.clone())?;
        if spec.is_fallible() {
            self.note_fallible(&below);
        }
        let (updating, line) = (spec.revises, line(plan, &spec));
        let built = self.push(OperatorPlan::Over(Box::new(spec)), schema, below, line);
        if !updating {
            return Ok(Built { has_state: true, ..built });
        }
        // Rows that are revised are as old as those that may still come.
        let (time, own) = (self.clocks.behind(built.time, grace), self.clocks.behind(built.own, grace));
        Ok(Built { updating, has_state: true, time, own, ..built })
    }

    /// Holds rows back until none can come before them; only the columns `kept` go on.
    fn order(&mut self, schema: &Schema, kept: &[usize], input: Built) -> Built {
        let grace = self.options.default_grace_micros;
        let fields = kept.iter().map(|&position| schema.fields[position].clone()).collect();
        let passed = Schema::append_only(fields);
        let line = format!("Order by event time, grace {}: rows wait for the watermark", duration(grace));
        let operator = OperatorPlan::Order { columns: kept.to_vec(), grace_micros: grace };
        let built = self.push(operator, &passed, input, line);
        let time = self.clocks.behind(built.time, grace);
        Built { has_state: true, on_record: false, time, own: time, ..built }
    }
}

/// The line of a node: partitions, calls and mode.
fn line(plan: &LogicalPlan, spec: &OverSpec) -> String {
    let LogicalPlan::Over { input, partition, calls, .. } = plan else {
        unreachable!("called for an Over");
    };
    let input = input.schema();
    let mut text = "Over".to_owned();
    if !partition.is_empty() {
        let keys: Vec<String> = partition.iter().map(|key| expression(key, input)).collect();
        text += &format!(" by {}", keys.join(", "));
    }
    let calls: Vec<String> = calls.iter().map(|call| over_call(call, input)).collect();
    text += &format!(": {}", calls.join(", "));
    text + if spec.revises { "; disordered rows revise later ones" } else { "; rows in order" }
}
