//! The ways by which records and changes come to a pipeline, and what travels along them.

use super::Engine;
use super::file_ways::{FileWays, ReadInput};
use super::sharing::{Common, Sharing};
use crate::catalog::{PipelineId, What};
use crate::error::Result;
use crate::kernel::Kernel;
use crate::partition::barrier::{Barrier, BarrierKind, Reader, Subscription};
use crate::partition::event::{Envelope, Event};
use crate::partition::inlet::{Inlet, Lane};
use crate::partition::mailbox::{Capacity, Mailbox};
use crate::partition::outlet::Outlet;
use crate::partition::share::Taker;
use crate::pipeline::{Pipeline, Purpose};
use std::collections::BTreeSet;
use std::sync::Arc;
use velostream_engine::batch::Seq;
use velostream_sql::catalog::RelationId;

/// The mailboxes of a pipeline to be started, and which of its inputs come by them.
pub(super) struct Ways {
    /// What the engine accepts.
    from_engine: Option<Outlet>,
    engine_inputs: Vec<(usize, RelationId)>,
    from_files: Option<FileWays>,
    /// Relations that other pipelines maintain.
    derived: Vec<Derived>,
}

struct Derived {
    mailbox: Arc<Mailbox>,
    input: usize,
    pipeline: PipelineId,
    carries_barriers: bool,
}

impl Ways {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.outlets().count() + self.derived.len()
    }

    fn outlets(&self) -> impl Iterator<Item = &Outlet> {
        self.from_engine.iter().chain(self.from_files.iter().map(|files| &files.outlet))
    }

    /// The mailboxes of receiver `place`.
    pub fn mailboxes(&self, place: usize) -> Vec<Arc<Mailbox>> {
        let derived = self.derived.iter().map(|derived| &derived.mailbox);
        self.outlets().map(|outlet| &outlet.mailboxes()[place]).chain(derived).map(Arc::clone).collect()
    }

    /// The mailboxes into which other threads may push.
    pub fn of_threads(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        let derived = self.derived.iter().map(|derived| &derived.mailbox);
        self.from_files.iter().flat_map(|files| files.outlet.mailboxes()).chain(derived)
    }
}

impl Engine {
    pub(super) fn mailbox(&self) -> Arc<Mailbox> {
        let capacity = Capacity { batches: self.options.mailbox_batches, bytes: self.options.mailbox_bytes };
        Arc::new(Mailbox::new(capacity, self.shared.wake.clone()))
    }

    /// The sender's end of a way to the receivers of a plan.
    fn outlet(&self, kernel: &Kernel, sharing: Option<&Sharing>) -> Result<Outlet> {
        let Some(sharing) = sharing else { return Ok(Outlet::single(self.mailbox())) };
        let mailboxes = (0..sharing.count).map(|_| self.mailbox()).collect();
        Outlet::shared(mailboxes, &sharing.routes(kernel.inputs()))
    }

    /// How each input of a plan is to come.
    pub(super) fn ways(
        &self,
        kernel: &Kernel,
        sharing: Option<&Sharing>,
        have_threads: bool,
    ) -> Result<Ways> {
        let (mut engine_inputs, mut files, mut derived) = (Vec::new(), Vec::new(), Vec::new());
        for (input, relation) in kernel.inputs().iter().enumerate() {
            if let Some(source) = self.catalog.self_read(relation.id) {
                files.push(ReadInput::new(input, relation, source)?);
            } else if self.catalog.source(relation.id).is_some() {
                engine_inputs.push((input, relation.id));
            } else {
                let upstream = self.pipeline_of(relation.id)?;
                let (pipeline, carries_barriers) = (upstream.id, !upstream.finite);
                derived.push(Derived { mailbox: self.mailbox(), input, pipeline, carries_barriers });
            }
        }
        let outlet = |is_used: bool| is_used.then(|| self.outlet(kernel, sharing)).transpose();
        let from_files = outlet(!files.is_empty())?
            .map(|outlet| self.file_ways(files, outlet, kernel, sharing, have_threads));
        Ok(Ways {
            // Without any input there is still somebody to ask.
            from_engine: outlet(!engine_inputs.is_empty() || kernel.inputs().is_empty())?,
            engine_inputs,
            from_files,
            derived,
        })
    }

    /// The ways' end at receiver `place`, which takes its rows by `taker` where others share them.
    pub(super) fn inlet(
        &self,
        ways: &Ways,
        place: usize,
        taker: &dyn Fn() -> Option<Taker>,
        common: &Common,
    ) -> Result<Inlet> {
        let lane = |mailbox: &Arc<Mailbox>, open_inputs, carries_barriers| Lane {
            mailbox: Arc::clone(mailbox),
            open_inputs,
            carries_barriers,
            taker: taker(),
        };
        let from = |outlet: &Outlet, inputs, carries| lane(&outlet.mailboxes()[place], inputs, carries);
        let engine = ways.from_engine.iter().map(|outlet| from(outlet, ways.engine_inputs.len(), true));
        let files = ways.from_files.iter().map(|files| from(&files.outlet, files.inputs(), false));
        let derived = ways.derived.iter().map(|way| lane(&way.mailbox, 1, way.carries_barriers));
        let lanes = engine.chain(files).chain(derived).collect();
        let reader = |files: &FileWays| files.reader(place, &common.query, common.now_ms).transpose();
        let reader = ways.from_files.as_ref().and_then(reader);
        Ok(Inlet::new(lanes).with_reader(reader.transpose()?))
    }

    /// Lets the inputs flow: the current rows of tables first, all as one step.
    pub(super) fn connect(&mut self, pipeline: &mut Pipeline, ways: Ways, now_ms: i64) -> Result<()> {
        let at = self.last_number();
        let once = pipeline.purpose == Purpose::Ask;
        if let Some(files) = ways.from_files {
            self.read_files(pipeline, files, now_ms)?;
        }
        if let Some(mut outlet) = ways.from_engine {
            self.begin_sources(pipeline.id, &mut outlet, &ways.engine_inputs, (at, once), now_ms);
            pipeline.from_engine = Some(outlet);
        }
        for way in &ways.derived {
            let reader =
                Reader { pipeline: pipeline.id, mailbox: Arc::clone(&way.mailbox), input: way.input };
            let subscription = Subscription { of: way.pipeline, reader, at, once };
            self.send_barrier(Some(way.pipeline), &BarrierKind::Subscribe(Arc::new(subscription)));
        }
        Ok(())
    }

    /// Sends the rows of source tables and makes the pipeline a reader of what the engine accepts.
    fn begin_sources(
        &mut self,
        id: PipelineId,
        outlet: &mut Outlet,
        inputs: &[(usize, RelationId)],
        (at, once): (Seq, bool),
        now_ms: i64,
    ) {
        let last = self.last_number();
        let mut beginnings: Vec<Envelope> = Vec::new();
        let mut ended = Vec::new();
        for &(input, relation) in inputs {
            let Some(source) = self.catalog.source_mut(relation) else { continue };
            let rows = source.door.snapshot(at, now_ms);
            beginnings.extend(rows.map(|rows| Envelope { input, ..rows }));
            if source.ended || once {
                ended.push(input);
            } else {
                source.readers.push((id, input));
            }
        }
        if !beginnings.is_empty() {
            outlet.begin(beginnings);
        }
        outlet.tell(|| Event::Through(last));
        for input in ended {
            let at = self.take_numbers(1);
            outlet.tell(|| Event::End(input, at));
        }
    }

    /// Sends a barrier by every way from the engine: to all pipelines, or to those that lead to one.
    pub(super) fn send_barrier(&self, to: Option<PipelineId>, kind: &BarrierKind) {
        let members: BTreeSet<PipelineId> = match to {
            Some(to) => self.ancestors(to),
            None => self.pipelines.keys().copied().collect(),
        };
        let barrier = Barrier { at: self.last_number(), members: Arc::new(members), kind: kind.clone() };
        for pipeline in barrier.members.iter().filter_map(|id| self.pipelines.get(id)) {
            if let Some(outlet) = &pipeline.from_engine {
                outlet.tell(|| Event::Barrier(barrier.clone()));
            } else if to == Some(pipeline.id) && pipeline.finite {
                // Where a file stands is for its readers to know: whatever has come so far is the answer.
                if let Some(mailbox) = pipeline.front() {
                    drop(mailbox.push(Event::Barrier(barrier.clone())));
                }
            }
        }
    }

    /// The pipelines that lead to one, itself included.
    pub(super) fn ancestors(&self, of: PipelineId) -> BTreeSet<PipelineId> {
        let mut found = BTreeSet::new();
        let mut open = vec![of];
        while let Some(id) = open.pop() {
            if found.insert(id) {
                let inputs = self.pipelines.get(&id).into_iter().flat_map(|pipeline| &pipeline.inputs);
                open.extend(inputs.filter_map(|&input| self.maintainer(input)));
            }
        }
        found
    }

    /// The pipeline that maintains a relation, if one does.
    pub(super) fn maintainer(&self, relation: RelationId) -> Option<PipelineId> {
        match &self.catalog.get(relation)?.what {
            What::Derived(derived) => derived.pipeline,
            _ => None,
        }
    }

    /// Notes which pipelines must hear of all that the engine accepts: those with several ways in, and those that
    /// lead to them.
    pub(super) fn set_pace(&mut self) {
        let joining = self.pipelines.values().filter(|pipeline| pipeline.ways > 1);
        let paced: BTreeSet<PipelineId> = joining.flat_map(|pipeline| self.ancestors(pipeline.id)).collect();
        for (id, pipeline) in &mut self.pipelines {
            pipeline.paced = paced.contains(id);
        }
    }

    /// Tells paced pipelines that do not read `relation` up to which number everything was accepted.
    pub(super) fn pace(&self, relation: RelationId) {
        let last = self.last_number();
        for pipeline in self.pipelines.values().filter(|pipeline| pipeline.paced) {
            if let Some(outlet) = &pipeline.from_engine
                && !pipeline.inputs.contains(&relation)
            {
                outlet.tell(|| Event::Through(last));
            }
        }
    }
}
