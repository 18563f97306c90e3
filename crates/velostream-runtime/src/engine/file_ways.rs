//! How files come to a pipeline: read by its receivers, block by block, or by a thread of their own.

use super::sharing::Sharing;
use super::{Engine, FILE_NUMBERS};
use crate::error::Result;
use crate::kernel::Kernel;
use crate::partition::outlet::Outlet;
use crate::pipeline::Pipeline;
use crate::source::block_reader::{BlockFeed, BlockReader, BlockReaderSetup};
use crate::source::blocks::{Blocks, Crew};
use crate::source::door::Door;
use crate::source::file::FileSource;
use crate::source::reader::{self, FileInput, ReaderSetup};
use crate::sync::JoinHandle;
use std::sync::Arc;
use velostream_engine::router::Router;
use velostream_sql::catalog::RelationKind;
use velostream_sql::shares::Route;
use velostream_sql::statement::CreateSource;

/// A file that is one of a pipeline's inputs.
pub(super) struct FileOf {
    pub input: usize,
    pub create: CreateSource,
    pub source: FileSource,
}

impl FileOf {
    fn is_table(&self) -> bool {
        self.create.relation.kind == RelationKind::Table
    }
}

/// The way from a pipeline's files.
pub(super) struct FileWays {
    pub outlet: Outlet,
    /// Read by a thread of their own.
    alone: Vec<FileOf>,
    /// Read by the receivers, one behind the other, after the others.
    together: Vec<FileOf>,
    blocks: Option<(Arc<Blocks>, Crew)>,
    /// Of the inputs of a plan that receivers share.
    routes: Option<Vec<Route>>,
}

impl FileWays {
    fn receivers(&self) -> usize {
        self.outlet.mailboxes().len()
    }

    /// Threads that help a receiver that runs its plan alone.
    fn helpers(&self, pipeline: &Pipeline, now_ms: i64) -> Result<Vec<JoinHandle<()>>> {
        let Some((_, crew)) = &self.blocks else { return Ok(Vec::new()) };
        let places = self.receivers()..crew.threads;
        let readers = places.filter_map(|place| self.reader(place, &pipeline.name, now_ms).transpose());
        readers.map(|reader| reader::start(&pipeline.name, reader?, BlockReader::help)).collect()
    }

    /// How many inputs come by it.
    pub fn inputs(&self) -> usize {
        self.alone.len() + self.together.len()
    }

    /// What receiver `place` of a query reads, if anything.
    pub fn reader(&self, place: usize, query: &str, now_ms: i64) -> Result<Option<BlockReader>> {
        let Some((blocks, crew)) = &self.blocks else { return Ok(None) };
        let setup = BlockReaderSetup {
            blocks: Arc::clone(blocks),
            place: place as u16,
            receivers: self.receivers() as u16,
            block_bytes: crew.block_bytes,
            query: query.to_owned(),
            now_ms,
        };
        let feed = |file: &FileOf| {
            let route = self.routes.as_ref().map(|routes| &routes[file.input]);
            let router = match route {
                Some(Route::Keys(keys)) => Some(Router::new(keys)?),
                Some(Route::Deal) | None => None,
            };
            Ok(BlockFeed::new(file.input, file.source.clone(), Door::new(&file.create)?, router))
        };
        let feeds = self.together.iter().map(feed).collect::<Result<_>>()?;
        Ok(Some(BlockReader::new(setup, feeds)))
    }
}

impl Engine {
    /// Which of these files the receivers read: streams that stand one behind the other, if all can be split. Tables keep
    /// rows at their door, which has one thread; so has the choice by event time among several.
    pub(super) fn file_ways(
        &self,
        files: Vec<FileOf>,
        outlet: Outlet,
        kernel: &Kernel,
        sharing: Option<&Sharing>,
        have_threads: bool,
    ) -> FileWays {
        let routes = sharing.map(|sharing| sharing.routes(kernel.inputs()));
        let (tables, streams): (Vec<FileOf>, Vec<FileOf>) = files.into_iter().partition(FileOf::is_table);
        let timed = streams.iter().all(|file| file.create.relation.event_time.is_some());
        let in_turn = streams.len() == 1 || !timed;
        let size = |file: &FileOf| Some((file.input, file.source.splits()?));
        let can_share = have_threads && in_turn && !streams.is_empty();
        let sizes = can_share.then(|| streams.iter().map(size).collect::<Option<Vec<_>>>());
        let Some(sizes) = sizes.flatten() else {
            let alone = tables.into_iter().chain(streams).collect();
            return FileWays { outlet, alone, together: Vec::new(), blocks: None, routes };
        };
        let crew = Crew { threads: self.options.partitions, block_bytes: self.options.file_block_bytes };
        let blocks = Arc::new(Blocks::new(sizes, crew, outlet.placed(), Arc::clone(&self.shared)));
        FileWays { outlet, alone: tables, together: streams, blocks: Some((blocks, crew)), routes }
    }

    /// Lets the files of a pipeline be read.
    pub(super) fn read_files(&mut self, pipeline: &mut Pipeline, ways: FileWays, now_ms: i64) -> Result<()> {
        let next = self.take_numbers(FILE_NUMBERS);
        pipeline.readers = ways.helpers(pipeline, now_ms)?;
        pipeline.blocks = ways.blocks.as_ref().map(|(blocks, _)| Arc::clone(blocks));
        if ways.alone.is_empty() {
            pipeline.blocks.iter().for_each(|blocks| blocks.open(next));
            return Ok(());
        }
        let is_stdin = ways.alone.iter().any(|file| file.source.is_stdin());
        let input = |FileOf { input, create, source }| {
            let door = Door::new(&create)?;
            Ok(FileInput { input, source, door })
        };
        let files = ways.alone.into_iter().map(input).collect::<Result<_>>()?;
        let setup = ReaderSetup {
            outlet: ways.outlet,
            shared: Arc::clone(&self.shared),
            query: pipeline.name.clone(),
            next,
            now_ms,
            then: ways.blocks.map(|(blocks, _)| blocks),
        };
        let reader = reader::spawn(files, setup)?;
        // Standard input may never end, nor its thread.
        pipeline.readers.extend((!is_stdin).then_some(reader));
        Ok(())
    }
}
