//! Nodes with two inputs: joins and unions.

use super::build::{Builder, table_key, types};
use super::{Built, JoinPlan, NodePlan, OperatorPlan, explain};
use crate::error::Result;
use crate::operators::join::interval::Bounds;
use crate::operators::join::{JoinSpec, SideSpec};
use velostream_sql::plan::{Expr, JoinKind, JoinMethod, LogicalPlan, Side};
use velostream_sql::types::Schema;

impl Builder {
    /// A join; `is_final` is whether rows of an interval join that stay alone are shown once.
    pub(super) fn join(&mut self, plan: &LogicalPlan, is_final: bool) -> Result<Built> {
        let LogicalPlan::Join { left, right, kind, method, keys, residual, columns, schema } = plan else {
            unreachable!("called for a join");
        };
        let inputs = (self.node(left, true)?, self.node(right, true)?);
        let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = keys.iter().cloned().unzip();
        let spec = JoinSpec {
            kind: *kind,
            left: side(left.schema(), left_keys, &inputs.0),
            right: side(right.schema(), right_keys, &inputs.1),
            residual: residual.clone(),
            columns: columns.clone(),
        };
        let method = match *method {
            JoinMethod::Interval { before_micros, after_micros, grace_micros } => {
                let grace = grace_micros.unwrap_or(self.options.default_grace_micros);
                let bounds = Bounds { before: before_micros, after: after_micros, grace };
                JoinPlan::Interval { bounds, is_final }
            }
            JoinMethod::Lookup { stream } => JoinPlan::Lookup { stream },
            JoinMethod::Kept => JoinPlan::Kept,
        };
        let updating = self.is_updating(plan) && !is_final;
        let least = self.clocks.least(&inputs.0, &inputs.1);
        let (time, out_time, out_own) = match method {
            JoinPlan::Lookup { stream } => {
                let stream = if stream == Side::Left { &inputs.0 } else { &inputs.1 };
                (stream.time, stream.time, stream.own)
            }
            JoinPlan::Interval { bounds, .. } => {
                let held = self.clocks.behind(least, bounds.hold(*kind != JoinKind::Inner));
                (least, held, held)
            }
            JoinPlan::Kept => (least, least, least),
        };
        let line = explain::join_line(&spec, &method, (left.schema(), right.schema()), plan);
        let operator = OperatorPlan::Join { spec: Box::new(spec), method, key: table_key(schema) };
        let built = self.push_joint(operator, schema, inputs, time, line);
        let on_record = built.on_record && !is_final;
        Ok(Built { updating, on_record, time: out_time, own: out_own, ..built })
    }

    /// The rows of two subtrees.
    pub(super) fn union(&mut self, inputs: (Built, Built), schema: &Schema) -> Built {
        let time = self.clocks.least(&inputs.0, &inputs.1);
        let own = self.clocks.of_arrival(&inputs.0, &inputs.1);
        let updating = inputs.0.updating || inputs.1.updating;
        let built = self.push_joint(OperatorPlan::Union, schema, inputs, time, "Union".to_owned());
        Built { updating, time, own, ..built }
    }

    fn push_joint(
        &mut self,
        operator: OperatorPlan,
        schema: &Schema,
        (left, right): (Built, Built),
        time: super::ClockId,
        line: String,
    ) -> Built {
        let on_record = left.on_record && right.on_record;
        let inputs = vec![(left.output, left.own), (right.output, right.own)];
        self.nodes.push(NodePlan { operator, inputs, types: types(schema), time, on_record, line });
        Built { output: super::Input::Node(self.nodes.len() - 1), on_record, ..left }
    }
}

fn side(schema: &Schema, keys: Vec<Expr>, built: &Built) -> SideSpec {
    SideSpec { types: types(schema), keys, primary_key: table_key(schema), updating: built.updating }
}
