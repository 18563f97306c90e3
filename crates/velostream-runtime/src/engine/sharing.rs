//! Queries whose work several receivers share.

use super::Engine;
use super::pipelines::Sinks;
use super::ways::Ways;
use crate::api::OnError;
use crate::catalog::PipelineId;
use crate::error::Result;
use crate::kernel::Kernel;
use crate::metrics::PartitionMetrics;
use crate::partition::answer::Answer;
use crate::partition::barrier::Reader;
use crate::partition::gather::{Gather, Merging};
use crate::partition::inlet::Intake;
use crate::partition::mailbox::Mailbox;
use crate::partition::receiver::{PartitionReceiver, ReceiverSetup};
use crate::partition::share::{Taker, Way};
use crate::pipeline::Purpose;
use std::sync::Arc;
use velostream_sql::catalog::{Relation, RelationId};
use velostream_sql::explain::expression;
use velostream_sql::expr::same;
use velostream_sql::plan::LogicalPlan;
use velostream_sql::shares::{Order, Route, Shares, shares};
use velostream_sql::types::Schema;

/// A plan in shares, and by how many receivers.
pub(super) struct Sharing {
    /// The shares.
    pub shares: Shares,
    /// Receivers, at least 2.
    pub count: usize,
    /// Whether only each key's order counts, so that what the receivers give is not put in the order of numbers.
    pub by_key: bool,
}

/// What all receivers of a query have in common.
pub(super) struct Common {
    pub id: PipelineId,
    pub query: String,
    pub finite: bool,
    pub serves: bool,
    pub on_error: OnError,
    /// Whether updates come with the old row.
    pub before: bool,
    /// The clock at the start.
    pub now_ms: i64,
}

/// The receivers of a query to be started.
pub(super) struct Receivers {
    /// Those that run the plan.
    setups: Vec<ReceiverSetup>,
    /// Where these share it, the one that merges what they give.
    merging: Option<ReceiverSetup>,
    /// Of each, the merging one last, its mailboxes.
    pub mailboxes: Vec<Vec<Arc<Mailbox>>>,
}

impl Receivers {
    /// The counters of those that run the plan.
    pub fn metrics(&self) -> Vec<Arc<PartitionMetrics>> {
        self.setups.iter().map(|setup| Arc::clone(&setup.metrics)).collect()
    }

    /// The one that gives the answer.
    pub fn answer(&mut self) -> &mut ReceiverSetup {
        self.merging.as_mut().or(self.setups.last_mut()).expect("there is a receiver")
    }

    /// Lets the changes be taken where they come out: as one answer, or `by_key` at each receiver.
    pub fn set_sinks(&mut self, by_key: bool, make: &mut Sinks) {
        if !by_key {
            self.answer().sink = Some(make(0));
            return;
        }
        for (place, setup) in self.setups.iter_mut().enumerate() {
            setup.sink = Some(make(place));
        }
    }

    /// Those that need a thread.
    pub fn into_threads(self) -> Vec<PartitionReceiver> {
        let answer = self.merging.map(|setup| Arc::new(Answer::new(PartitionReceiver::new(setup))));
        let with_answer = |setup| PartitionReceiver::new(ReceiverSetup { answer: answer.clone(), ..setup });
        self.setups.into_iter().map(with_answer).collect()
    }
}

impl Engine {
    /// One receiver that runs the plan, or several that share it and one that merges what they give.
    pub(super) fn receivers(
        &self,
        plan: Kernel,
        sharing: Option<&Sharing>,
        ways: &Ways,
        common: &Common,
    ) -> Result<Receivers> {
        let schema = Arc::clone(plan.schema());
        let Some(sharing) = sharing else {
            let inlet = self.inlet(ways, 0, &|| None, common)?;
            let setup = self.setup(common, Some(plan), schema, Box::new(inlet));
            return Ok(Receivers { setups: vec![setup], merging: None, mailboxes: vec![ways.mailboxes(0)] });
        };
        let mut mailboxes: Vec<Vec<Arc<Mailbox>>> = (0..sharing.count).map(|at| ways.mailboxes(at)).collect();
        let lanes: Vec<Arc<Mailbox>> = (0..sharing.count).map(|_| self.mailbox()).collect();
        let share = |(place, lane)| self.share(sharing, place, ways, common, Arc::clone(lane));
        let setups = lanes.iter().enumerate().map(share).collect::<Result<_>>()?;
        let merging =
            if sharing.by_key { Merging::AsItComes } else { Merging::ByNumber(sharing.shares.order) };
        let sources = mailboxes.iter().flatten().map(Arc::clone).collect();
        let gather = Gather::new(&lanes, sources, merging);
        mailboxes.push(lanes);
        let merging = Some(self.setup(common, None, schema, Box::new(gather)));
        Ok(Receivers { setups, merging, mailboxes })
    }

    /// A receiver that shares the plan and gives its rows to `lane`.
    fn share(
        &self,
        sharing: &Sharing,
        place: usize,
        from: &Ways,
        common: &Common,
        lane: Arc<Mailbox>,
    ) -> Result<ReceiverSetup> {
        let plan = Kernel::new(&sharing.shares.plan, &self.kernel_options(common.before))?;
        let ways = of_inputs(&plan, &sharing.routes(plan.inputs()));
        let taker = || Some(Taker::new(place as u16, plan.inputs(), &ways));
        let inlet = Box::new(self.inlet(from, place, &taker, common)?);
        let reader = Reader { pipeline: common.id, mailbox: lane, input: 0 };
        let schema = Arc::clone(plan.schema());
        let setup = self.setup(common, Some(plan), schema, inlet);
        // It passes questions on until the answer is complete, which is later than its own end.
        let serves = true;
        let (partition, readers, tells_time) = (place, vec![reader], common.serves);
        Ok(ReceiverSetup { partition, readers, tells_time, serves, ..setup })
    }

    fn setup(
        &self,
        common: &Common,
        plan: Option<Kernel>,
        schema: Arc<Schema>,
        inlet: Box<dyn Intake>,
    ) -> ReceiverSetup {
        let Common { id, query, finite, serves, on_error, .. } = common;
        ReceiverSetup {
            partition: 0,
            id: *id,
            query: query.clone(),
            plan,
            schema,
            inlet,
            readers: Vec::new(),
            answer: None,
            tells_time: true,
            finite: *finite,
            output: None,
            sink: None,
            table: None,
            serves: *serves,
            on_error: *on_error,
            shared: Arc::clone(&self.shared),
            metrics: Arc::default(),
            finished: Arc::default(),
        }
    }

    /// How a query's work is shared; `None` where one receiver does it. With `by_key` each key's order is enough: what
    /// has keys then needs no numbers, unless somebody else reads it by number.
    pub(super) fn sharing(&self, plan: &LogicalPlan, purpose: Purpose, by_key: bool) -> Option<Sharing> {
        let count = self.options.partitions;
        let is_standing = matches!(purpose, Purpose::Query | Purpose::Derived(_));
        if count < 2 || !is_standing {
            return None;
        }
        let shares = shares(plan)?;
        let has_keys = shares.routes.iter().all(|(_, route)| *route != Route::Deal);
        if !(by_key && has_keys && purpose == Purpose::Query) {
            return Some(Sharing { shares, count, by_key: false });
        }
        let shares = Shares { plan: plan.clone(), order: Order::ByRecord, ..shares };
        Some(Sharing { shares, count, by_key: true })
    }

    /// A line that says how many receivers a query would have, and whose each source's rows are; none where the engine
    /// has no several.
    pub(super) fn explain_sharing(&self, plan: &LogicalPlan) -> Option<String> {
        if self.options.partitions < 2 {
            return None;
        }
        let Some(sharing) = self.sharing(plan, Purpose::Query, false) else {
            return Some("Partitions: 1, because no key tells which rows meet".to_owned());
        };
        let source = |(id, route): &(RelationId, Route)| {
            let relation = &self.catalog.get(*id)?.relation;
            Some(match route {
                Route::Deal => format!("{} dealt round", relation.name),
                Route::Keys(keys) => {
                    let keys = keys.iter().map(|key| expression(key, &relation.schema));
                    format!("{} by {}", relation.name, keys.collect::<Vec<_>>().join(", "))
                }
            })
        };
        let sources: Vec<String> = sharing.shares.routes.iter().filter_map(source).collect();
        Some(format!("Partitions: {}, {}", sharing.count, sources.join("; ")))
    }
}

/// How a receiver takes its rows of each input.
fn of_inputs(plan: &Kernel, routes: &[Route]) -> Vec<Way> {
    let way = |(input, route): (usize, &Route)| match (plan.selects(input), route) {
        (Some(groups), Route::Keys(keys)) => {
            let pairs = groups.iter().zip(keys);
            let hashed = groups.len() == keys.len() && pairs.into_iter().all(|(group, key)| same(group, key));
            Way { selects: true, hashed }
        }
        (selects, _) => Way { selects: selects.is_some(), hashed: false },
    };
    routes.iter().enumerate().map(way).collect()
}

impl Sharing {
    /// The routes of these inputs.
    pub fn routes(&self, inputs: &[Arc<Relation>]) -> Vec<Route> {
        let route = |relation: &Arc<Relation>| {
            let found = self.shares.routes.iter().find(|(id, _)| *id == relation.id);
            found.map(|(_, route)| route.clone()).expect("a plan in shares has a route for each source")
        };
        inputs.iter().map(route).collect()
    }
}
