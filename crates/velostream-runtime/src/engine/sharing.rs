//! Queries whose work several receivers share.

use super::Engine;
use super::pipelines::Sinks;
use super::ways::Ways;
use crate::api::OnError;
use crate::catalog::PipelineId;
use crate::error::Result;
use crate::kernel::{self, Kernel, KernelOptions};
use crate::metrics;
use crate::partition::answer::Answer;
use crate::partition::barrier::Reader;
use crate::partition::gather::{Gather, Merging, NextStage};
use crate::partition::inlet::Intake;
use crate::partition::mailbox::Mailbox;
use crate::partition::receiver::{FirstStage, PartitionReceiver, ReceiverSetup, ToNextStage};
use crate::partition::share::{Taker, Way};
use crate::pipeline::Purpose;
use std::sync::Arc;
use velostream_engine::router::Router;
use velostream_sql::catalog::{Relation, RelationId};
use velostream_sql::explain::expression;
use velostream_sql::expr::same;
use velostream_sql::plan::LogicalPlan;
use velostream_sql::shares::{Order, Route, Shares, Stages, shares, stages};
use velostream_sql::types::Schema;

/// A plan in shares, of one stage or two, and by how many receivers.
pub(super) struct Sharing {
    /// What the receivers share, or those of each stage.
    cut: Cut,
    /// Receivers of each stage, at least 2.
    pub count: usize,
    /// Whether only each key's order counts, so that what the receivers give is not put in the order of numbers.
    pub by_key: bool,
}

enum Cut {
    One(Box<Shares>),
    Two(Box<Stages>),
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
    /// The counters of those that run the plan, by partition.
    pub fn metrics(&self) -> Vec<metrics::PartitionCounters> {
        let is_second = |setup: &&ReceiverSetup| setup.first_stage.is_some();
        let is_staged = self.setups.iter().any(|setup| is_second(&setup));
        let stages = |first: &ReceiverSetup| {
            let mut seconds = self.setups.iter().filter(is_second);
            let second = seconds.find(|second| second.partition == first.partition);
            let second = second.map(|second| Arc::clone(&second.metrics));
            let gives_answer = !is_staged || second.is_some();
            metrics::PartitionCounters { first: Arc::clone(&first.metrics), second, gives_answer }
        };
        self.setups.iter().filter(|setup| !is_second(setup)).map(stages).collect()
    }

    /// Those whose rows are merged, or are the answer.
    fn last(&mut self) -> impl Iterator<Item = &mut ReceiverSetup> {
        self.setups.iter_mut().filter(|setup| setup.next_stage.is_none())
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
        self.last().for_each(|setup| setup.sink = Some(make(setup.partition)));
    }

    /// Those that need a thread.
    pub fn into_threads(mut self) -> Vec<PartitionReceiver> {
        let merging = self.merging.take();
        let answer = merging.map(|setup| Arc::new(Answer::new(PartitionReceiver::new(setup))));
        self.last().for_each(|setup| setup.answer = answer.clone());
        self.setups.into_iter().map(PartitionReceiver::new).collect()
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
            let inlet = self.inlet(ways, 0, &|| None, common)?.gathering(plan.takes_turns());
            let setup = self.setup(common, Some(plan), schema, Box::new(inlet));
            return Ok(Receivers { setups: vec![setup], merging: None, mailboxes: vec![ways.mailboxes(0)] });
        };
        let lanes: Vec<Arc<Mailbox>> = (0..sharing.answers()).map(|_| self.mailbox()).collect();
        let mut mailboxes: Vec<Vec<Arc<Mailbox>>> = (0..sharing.count).map(|at| ways.mailboxes(at)).collect();
        let setups = match &sharing.cut {
            Cut::One(_) => {
                let first = |place| self.first(sharing, place, ways, common, &lanes[place..=place]);
                (0..sharing.count).map(first).collect::<Result<Vec<_>>>()?
            }
            Cut::Two(stages) => {
                let fresh = || (0..sharing.count).map(|_| self.mailbox());
                // Of each receiver of the second stage, a mailbox from each of the first.
                let between: Vec<Vec<_>> = lanes.iter().map(|_| fresh().collect()).collect();
                let mut setups = self.first_stage(sharing, stages, ways, common, &between)?;
                let inputs = plan.input_names();
                for (place, from) in between.iter().enumerate() {
                    let to = &lanes[place..=place];
                    setups.push(self.second(sharing, stages, place, common, (from, to), &inputs)?);
                }
                mailboxes.extend(between);
                setups
            }
        };
        let merging = if sharing.by_key { Merging::AsItComes } else { Merging::ByNumber(sharing.order()) };
        let sources = mailboxes.iter().flatten().map(Arc::clone).collect();
        let gather = Gather::new(&lanes, sources, merging, common.finite);
        mailboxes.push(lanes);
        let merging = Some(self.setup(common, None, schema, Box::new(gather)));
        Ok(Receivers { setups, merging, mailboxes })
    }

    /// The receivers of the first of two stages, each of which gives its rows to all of the second.
    fn first_stage(
        &self,
        sharing: &Sharing,
        stages: &Stages,
        from: &Ways,
        common: &Common,
        between: &[Vec<Arc<Mailbox>>],
    ) -> Result<Vec<ReceiverSetup>> {
        let receiver = |place| {
            let to: Vec<_> = between.iter().map(|mailboxes| Arc::clone(&mailboxes[place])).collect();
            let first = self.first(sharing, place, from, common, &to)?;
            let next_stage = Some(to_next_stage(stages, first.plan.as_ref().map_or(&[], Kernel::inputs))?);
            Ok(ReceiverSetup { next_stage, tells_time: true, ..first })
        };
        (0..sharing.count).map(receiver).collect()
    }

    /// A receiver of the second stage, with a mailbox from each of the first; `inputs` names what the plan reads.
    fn second(
        &self,
        sharing: &Sharing,
        stages: &Stages,
        place: usize,
        common: &Common,
        (from, to): (&[Arc<Mailbox>], &[Arc<Mailbox>]),
        inputs: &str,
    ) -> Result<ReceiverSetup> {
        let plan = Kernel::new(&sharing.plan_of(&stages.second), &self.kernel_options(common.before))?;
        let inlet = NextStage::new(from, place as u16, common.finite, &stages.between.schema);
        let share = self.share(plan, place, Box::new(inlet), common, to);
        let first_stage = FirstStage { stream: Arc::clone(&stages.stream), inputs: inputs.to_owned() };
        Ok(ReceiverSetup { first_stage: Some(first_stage), ..share })
    }

    /// A receiver that shares the plan, or its first stage, and gives its rows to these mailboxes.
    fn first(
        &self,
        sharing: &Sharing,
        place: usize,
        from: &Ways,
        common: &Common,
        to: &[Arc<Mailbox>],
    ) -> Result<ReceiverSetup> {
        let inner = sharing.is_updating_between();
        let options = KernelOptions { inner, ..self.kernel_options(common.before) };
        let plan = Kernel::new(&sharing.plan_of(sharing.first()), &options)?;
        let ways = of_inputs(&plan, &sharing.routes(plan.inputs()));
        let taker = || Some(Taker::new(place as u16, plan.inputs(), &ways));
        let inlet = self.inlet(from, place, &taker, common)?.gathering(plan.takes_turns());
        Ok(self.share(plan, place, Box::new(inlet), common, to))
    }

    /// A receiver that shares a plan, or a stage of it, and gives its rows to these mailboxes.
    fn share(
        &self,
        plan: Kernel,
        place: usize,
        inlet: Box<dyn Intake>,
        common: &Common,
        to: &[Arc<Mailbox>],
    ) -> ReceiverSetup {
        let reader =
            |mailbox: &Arc<Mailbox>| Reader { pipeline: common.id, mailbox: Arc::clone(mailbox), input: 0 };
        let schema = Arc::clone(plan.schema());
        let setup = self.setup(common, Some(plan), schema, inlet);
        // It passes questions on until the answer is complete, which is later than its own end.
        let serves = true;
        ReceiverSetup {
            partition: place,
            readers: to.iter().map(reader).collect(),
            is_share: true,
            tells_time: common.serves,
            serves,
            ..setup
        }
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
            is_share: false,
            answer: None,
            next_stage: None,
            first_stage: None,
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
        let by_key = by_key && purpose == Purpose::Query;
        if let Some(shares) = shares(plan) {
            let by_key = by_key && shares.routes.iter().all(|(_, route)| *route != Route::Deal);
            return Some(Sharing { cut: Cut::One(Box::new(shares)), count, by_key });
        }
        let leaves_out = |plan: &LogicalPlan| kernel::leaves_out(plan, &self.kernel_options(false));
        let stages = stages(plan, &|plan| leaves_out(plan).unwrap_or(true))?;
        Some(Sharing { cut: Cut::Two(Box::new(stages)), count, by_key })
    }

    /// A line that says how many receivers a query would have, and whose each source's rows are; none where the engine
    /// has no several.
    pub(super) fn explain_sharing(&self, plan: &LogicalPlan) -> Option<String> {
        if self.options.partitions < 2 {
            return None;
        }
        let Some(sharing) = self.sharing(plan, Purpose::Query, false) else {
            let would_be_cut = stages(plan, &|_| false).is_some();
            let why = if would_be_cut {
                "a record may fail, or be late, where rows meet by other keys than before"
            } else {
                "no key tells which rows meet"
            };
            return Some(format!("Partitions: 1, because {why}"));
        };
        let relations = kernel::sources_of(plan);
        let source = |(id, route): &(RelationId, Route)| {
            let relation = relations.iter().find(|relation| relation.id == *id)?;
            Some(format!("{} {}", relation.name, told_apart(route, &relation.schema)))
        };
        let sources: Vec<String> = sharing.first().routes.iter().filter_map(source).collect();
        let then = match &sharing.cut {
            Cut::One(_) => String::new(),
            Cut::Two(stages) => {
                let rows = stages.second.routes.iter();
                rows.map(|(_, route)| format!(", then {}", told_apart(route, &stages.between.schema)))
                    .collect()
            }
        };
        Some(format!("Partitions: {}, {}{then}", sharing.count, sources.join("; ")))
    }
}

fn told_apart(route: &Route, schema: &Schema) -> String {
    match route {
        Route::Deal => "dealt round".to_owned(),
        Route::Keys(keys) if keys.is_empty() => "all by one".to_owned(),
        Route::Keys(keys) => {
            let keys = keys.iter().map(|key| expression(key, schema));
            format!("by {}", keys.collect::<Vec<_>>().join(", "))
        }
    }
}

/// How a receiver of the first stage sends its rows.
fn to_next_stage(stages: &Stages, inputs: &[Arc<Relation>]) -> Result<ToNextStage> {
    let keys = match &stages.second.routes[..] {
        [(_, Route::Keys(keys))] => keys.as_slice(),
        routes => unreachable!("a second stage has one source and keys, not {routes:?}"),
    };
    let stream = inputs.iter().position(|input| input.id == stages.stream.id);
    let records_of = stream.filter(|_| stages.leaves_out);
    Ok(ToNextStage { router: Router::new(keys)?, records_of })
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
    /// What is shared of the sources.
    fn first(&self) -> &Shares {
        match &self.cut {
            Cut::One(shares) => shares,
            Cut::Two(stages) => &stages.first,
        }
    }

    /// Whether the second stage takes back rows that the first has given.
    fn is_updating_between(&self) -> bool {
        matches!(&self.cut, Cut::Two(stages) if stages.between.schema.updating)
    }

    /// Receivers whose rows are merged.
    fn answers(&self) -> usize {
        match &self.cut {
            Cut::Two(stages) if stages.second.is_one() => 1,
            _ => self.count,
        }
    }

    /// The order of the answer.
    fn order(&self) -> Order {
        match &self.cut {
            Cut::One(shares) => shares.order,
            Cut::Two(stages) => stages.second.order,
        }
    }

    /// The routes of these inputs.
    pub fn routes(&self, inputs: &[Arc<Relation>]) -> Vec<Route> {
        let route = |relation: &Arc<Relation>| {
            let found = self.first().routes.iter().find(|(id, _)| *id == relation.id);
            found.map(|(_, route)| route.clone()).expect("a plan in shares has a route for each source")
        };
        inputs.iter().map(route).collect()
    }

    /// What each receiver runs.
    fn plan_of(&self, shares: &Shares) -> LogicalPlan {
        if self.by_key { shares.plan.clone() } else { shares.numbered() }
    }
}
