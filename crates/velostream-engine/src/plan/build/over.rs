//! OVER: which columns reach the operator, whether rows are revised, and who holds them back until they are final.

use super::{Builder, Built, types};
use crate::error::{EngineError, Result};
use crate::operators::over::{Over, OverSpec, PartitionSpec};
use crate::plan::OperatorPlan;
use velostream_sql::explain::{duration, over};
use velostream_sql::expr::{for_each_column, map_columns};
use velostream_sql::plan::{Expr, ExprKind, LogicalPlan, OverPartition};
use velostream_sql::types::Schema;

/// Positions that a node reads, each once, ascending.
fn reads(columns: &[usize], partitions: &[OverPartition]) -> Vec<usize> {
    let mut all = columns.to_vec();
    let exprs = partitions.iter().flat_map(OverPartition::columns);
    exprs.for_each(|expr| for_each_column(expr, &mut |column| all.push(column)));
    all.sort_unstable();
    all.dedup();
    all
}

/// The partitions where only the positions `kept` are there.
fn moved(partitions: &[OverPartition], kept: &[usize]) -> Vec<OverPartition> {
    let follow = |position: usize| place(position, kept);
    let one = |partition: &OverPartition| partition.clone().map(|expr| map_columns(expr, &mut { follow }));
    partitions.iter().map(one).collect()
}

fn place(position: usize, kept: &[usize]) -> usize {
    kept.binary_search(&position).expect("what is read is kept")
}

fn partition_spec(OverPartition { keys, calls }: OverPartition) -> Result<PartitionSpec> {
    let position = |key: &Expr| match key.kind {
        ExprKind::Column(position) => Ok(position),
        _ => Err(EngineError::Unsupported("PARTITION BY takes plain columns".into())),
    };
    Ok(PartitionSpec { keys: keys.iter().map(position).collect::<Result<_>>()?, calls })
}

impl Builder {
    /// `is_final` asks for rows once, when they can no longer change.
    pub(super) fn over(&mut self, plan: &LogicalPlan, is_final: bool) -> Result<Built> {
        let LogicalPlan::Over { input, columns, partitions, schema } = plan else {
            unreachable!("called for an Over");
        };
        let disordered = self.is_updating(plan);
        let held_back = disordered && is_final;
        let mut below = self.node(input, false)?;
        if below.updating {
            return Err(EngineError::Unsupported("OVER over rows that are updated".into()));
        }
        let mode = match (held_back, disordered) {
            (true, _) => "rows in order, final",
            (false, true) => "disordered rows revise later ones",
            (false, false) => "rows in order",
        };
        let line = format!("Over {}; {mode}", over(partitions, input.schema()));
        let mut input_types = types(input.schema());
        let (mut columns, mut partitions) = (columns.clone(), partitions.clone());
        if held_back {
            let kept = reads(&columns, &partitions);
            input_types = kept.iter().map(|&position| input_types[position]).collect();
            below = self.order(input.schema(), &kept, below);
            columns = columns.into_iter().map(|position| place(position, &kept)).collect();
            partitions = moved(&partitions, &kept);
        }
        let grace = if disordered { self.options.default_grace_micros } else { 0 };
        let spec = OverSpec {
            input: input_types,
            columns,
            partitions: partitions.into_iter().map(partition_spec).collect::<Result<_>>()?,
            types: types(schema),
            revises: disordered && !is_final,
            grace: (!held_back).then_some(grace),
        };
        Over::new(spec.clone())?;
        let updating = spec.revises;
        let built = self.push(OperatorPlan::Over(Box::new(spec)), schema, below, line);
        if !updating {
            return Ok(built);
        }
        // Rows that are revised are as old as those that may still come.
        let (time, own) = (self.clocks.behind(built.time, grace), self.clocks.behind(built.own, grace));
        Ok(Built { updating, time, own, ..built })
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
        Built { on_record: false, time, own: time, ..built }
    }
}
