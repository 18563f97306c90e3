//! How files and feeds come to a pipeline: read by its receivers, block by block, or by a thread of their own.

use super::sharing::Sharing;
use super::{Engine, FILE_NUMBERS};
use crate::catalog::{Origin, SelfRead};
use crate::error::{Error, Result};
use crate::feed::rounds::Feeds;
use crate::kernel::Kernel;
use crate::partition::outlet::Outlet;
use crate::pipeline::Pipeline;
use crate::source::block_reader::{BlockFile, BlockInput, BlockReader, BlockReaderSetup};
use crate::source::blocks::{Blocks, CutInput};
use crate::source::door::Door;
use crate::source::reader::{self, Input, ReaderSetup};
use crate::sync::JoinHandle;
use std::sync::Arc;
use velostream_engine::router::Router;
use velostream_sql::catalog::{Relation, RelationKind};
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::shares::Route;

/// A file, or a relation's feeds, that is one of a pipeline's inputs.
pub(super) struct ReadInput {
    input: usize,
    source: SelfRead,
}

impl ReadInput {
    /// As the query reads it, which may have made a column the event time of a file in FROM. Refuses feeds that another
    /// query takes: their rows are given once.
    pub fn new(input: usize, relation: &Arc<Relation>, mut source: SelfRead) -> Result<Self> {
        if let Origin::Feeds(feeds) = &source.origin
            && let Some(query) = feeds.taken_by()
        {
            let name = &source.create.relation.name;
            let error = Error::new(ErrorCode::InUse, format!("the feeds of {name} are taken by {query}"));
            return Err(error.with_hint(format!(
                "feeds have one reader: let it be a CREATE TABLE ... AS that others read, or feed {name} again"
            )));
        }
        source.create.relation = Arc::clone(relation);
        Ok(Self { input, source })
    }

    fn is_table(&self) -> bool {
        self.source.create.relation.kind == RelationKind::Table
    }

    /// It as one receiver reads it.
    fn block_input(&self, route: Option<&Route>) -> Result<BlockInput> {
        let router = match route {
            Some(Route::Keys(keys)) => Some(Router::new(keys)?),
            Some(Route::Deal) | None => None,
        };
        let file = match &self.source.origin {
            Origin::File(file) => {
                Some(BlockFile::new(file.clone(), &self.source.create.relation.schema.fields))
            }
            Origin::Feeds(_) => None,
        };
        Ok(BlockInput::new(self.input, Door::new(&self.source.create)?, router, file))
    }
}

/// The way from a pipeline's files and feeds.
pub(super) struct FileWays {
    pub outlet: Outlet,
    /// Read by a thread of their own.
    alone: Vec<ReadInput>,
    /// Read by the receivers, after the others.
    together: Vec<ReadInput>,
    blocks: Option<Arc<Blocks>>,
    /// Threads that may decode, and the bytes of a file's block.
    threads: usize,
    block_bytes: usize,
    /// Of the inputs of a plan that receivers share.
    routes: Option<Vec<Route>>,
}

impl FileWays {
    fn receivers(&self) -> usize {
        self.outlet.mailboxes().len()
    }

    /// Threads that help a receiver that runs its plan alone.
    fn helpers(&self, pipeline: &Pipeline, now_ms: i64) -> Result<Vec<JoinHandle<()>>> {
        let places = self.receivers()..self.threads;
        let readers = places.filter_map(|place| self.reader(place, &pipeline.name, now_ms).transpose());
        readers.map(|reader| reader::start(&pipeline.name, reader?, BlockReader::help)).collect()
    }

    /// The feeds among its inputs, of which the query is the reader from here on.
    fn take_feeds(&self, query: &str) -> Vec<Arc<Feeds>> {
        let taken = self.alone.iter().chain(&self.together).filter_map(|read| match &read.source.origin {
            Origin::Feeds(feeds) => Some(Arc::clone(feeds)),
            Origin::File(_) => None,
        });
        taken.inspect(|feeds| feeds.take(query)).collect()
    }

    /// How many inputs come by it.
    pub fn inputs(&self) -> usize {
        self.alone.len() + self.together.len()
    }

    /// What receiver `place` of a query reads, if anything.
    pub fn reader(&self, place: usize, query: &str, now_ms: i64) -> Result<Option<BlockReader>> {
        let Some(blocks) = &self.blocks else { return Ok(None) };
        let setup = BlockReaderSetup {
            blocks: Arc::clone(blocks),
            place: place as u16,
            receivers: self.receivers() as u16,
            block_bytes: self.block_bytes,
            query: query.to_owned(),
            now_ms,
        };
        let route = |input: usize| self.routes.as_ref().map(|routes| &routes[input]);
        let inputs = self.together.iter().map(|read| read.block_input(route(read.input)));
        Ok(Some(BlockReader::new(setup, inputs.collect::<Result<_>>()?)))
    }
}

impl Engine {
    /// Which of these the receivers read: streams, if all can be split. Tables keep rows at their door, which has one thread.
    pub(super) fn file_ways(
        &self,
        inputs: Vec<ReadInput>,
        outlet: Outlet,
        kernel: &Kernel,
        sharing: Option<&Sharing>,
        have_threads: bool,
    ) -> FileWays {
        let routes = sharing.map(|sharing| sharing.routes(kernel.inputs()));
        let (threads, block_bytes) = (self.options.partitions, self.options.file_block_bytes);
        let (tables, streams): (Vec<_>, Vec<_>) = inputs.into_iter().partition(ReadInput::is_table);
        let cut = |ReadInput { input, source }: &ReadInput| {
            let (cut, reads) = (source.origin.cut(block_bytes)?, Arc::clone(&source.reads));
            Some(CutInput { input: *input, cut, reads })
        };
        let can_share = have_threads && !streams.is_empty();
        let cuts = can_share.then(|| streams.iter().map(cut).collect::<Option<Vec<_>>>());
        let (alone, together, blocks) = match cuts.flatten() {
            Some(cuts) => {
                let timed = streams.iter().all(|read| read.source.create.relation.event_time.is_some());
                let groups = if timed { vec![cuts] } else { cuts.into_iter().map(|cut| vec![cut]).collect() };
                let blocks = Blocks::new(groups, threads, outlet.placed(), Arc::clone(&self.shared));
                (tables, streams, Some(Arc::new(blocks)))
            }
            None => (tables.into_iter().chain(streams).collect(), Vec::new(), None),
        };
        FileWays { outlet, alone, together, blocks, threads, block_bytes, routes }
    }

    /// Lets the files and feeds of a pipeline be read.
    pub(super) fn read_files(&mut self, pipeline: &mut Pipeline, ways: FileWays, now_ms: i64) -> Result<()> {
        let next = self.take_numbers(FILE_NUMBERS);
        pipeline.readers = ways.helpers(pipeline, now_ms)?;
        pipeline.blocks.clone_from(&ways.blocks);
        pipeline.feeds = ways.take_feeds(&pipeline.name);
        if ways.alone.is_empty() {
            pipeline.blocks.iter().for_each(|blocks| blocks.open(next));
            return Ok(());
        }
        let is_stdin = ways.alone.iter().any(|read| read.source.origin.is_stdin());
        let input = |ReadInput { input, source: SelfRead { create, origin, reads } }| {
            let door = Door::new(&create)?;
            Ok(Input { input, origin, door, reads })
        };
        let files = ways.alone.into_iter().map(input).collect::<Result<_>>()?;
        let setup = ReaderSetup {
            outlet: ways.outlet,
            shared: Arc::clone(&self.shared),
            query: pipeline.name.clone(),
            next,
            now_ms,
            then: ways.blocks,
        };
        let reader = reader::spawn(files, setup)?;
        // Standard input may never end, nor its thread.
        pipeline.readers.extend((!is_stdin).then_some(reader));
        Ok(())
    }
}
