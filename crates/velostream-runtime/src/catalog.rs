//! The relations that exist, as the binder and the engine see them.

use crate::error::{Error, Result};
use crate::feed::rounds::{Feeds, Rounds};
use crate::ingest::Decoded;
use crate::ingest::json::JsonDecoder;
use crate::source::blocks::Cut;
use crate::source::door::Door;
use crate::source::file::FileSource;
use crate::source::ranges::Ranges;
use crate::source::reads::Reads;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use velostream_engine::value::TimestampFormat;
use velostream_sql::catalog::{Catalog as Names, Relation, RelationId, RelationKind};
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::plan::LogicalPlan;
use velostream_sql::statement::{CreateSource, SourceOptions};
use velostream_sql::types::{Field, Schema};

/// A running query.
pub type PipelineId = u64;

/// A source: declared, or a file named in FROM.
pub struct Source {
    /// Its declaration.
    pub create: CreateSource,
    /// Time and, of a table, rows; unused where there is an origin, since each reader has a door of its own.
    pub door: Door,
    /// Where its records come from, if not from the caller.
    pub origin: Option<Origin>,
    /// What queries have read of that.
    pub reads: Arc<Reads>,
    /// Pipelines that get its batches, and as which of their inputs.
    pub readers: Vec<(PipelineId, usize)>,
    /// How its TIMESTAMP texts are written.
    pub timestamp_format: Option<TimestampFormat>,
    /// Reads JSON bytes; keeps what a chunk leaves unfinished.
    pub json: Option<JsonDecoder>,
    /// Reused.
    pub decoded: Decoded,
    /// Its input was declared ended.
    pub ended: bool,
}

/// A source whose records queries get by themselves: a declared one, or a file named in FROM.
pub struct SelfRead {
    /// Its declaration.
    pub create: CreateSource,
    /// Where its records come from.
    pub origin: Origin,
    /// To be told of what is read.
    pub reads: Arc<Reads>,
}

/// Where a query gets the records of a source by itself.
#[derive(Clone)]
pub enum Origin {
    /// A file, which each query reads from its beginning.
    File(FileSource),
    /// Feeds, which one query takes.
    Feeds(Arc<Feeds>),
}

impl Origin {
    /// Whether it is standard input, whose end may never come.
    pub fn is_stdin(&self) -> bool {
        matches!(self, Self::File(file) if file.is_stdin())
    }

    /// How several threads can read it, if they can, a file in blocks of so many bytes.
    pub fn cut(&self, block_bytes: usize) -> Option<Box<dyn Cut>> {
        match self {
            Self::File(file) => Some(Box::new(Ranges::new(file.splits()?, block_bytes))),
            Self::Feeds(feeds) => Some(Box::new(Rounds::new(Arc::clone(feeds)))),
        }
    }
}

/// What maintains a derived relation.
pub struct Derived {
    /// Its query.
    pub plan: LogicalPlan,
    /// The pipeline; `None` for a stream over a finite file, which each reader computes for itself.
    pub pipeline: Option<PipelineId>,
}

/// What stands behind a name.
pub enum What {
    /// Records come in.
    Source(Box<Source>),
    /// A query maintains it.
    Derived(Box<Derived>),
    /// A text.
    View,
}

/// A relation.
pub struct Entry {
    /// As the binder sees it.
    pub relation: Arc<Relation>,
    /// What stands behind it.
    pub what: What,
    /// Relations that its text names.
    pub reads: Vec<RelationId>,
}

/// All relations of an engine.
#[derive(Default)]
pub struct Catalog {
    entries: BTreeMap<RelationId, Entry>,
    next: u32,
    /// Files named in FROM, by path; their ids count down from the largest.
    files: RefCell<HashMap<String, (Arc<Relation>, FileSource)>>,
    /// What was inferred for sources declared without columns, until they are created.
    inferred: RefCell<Vec<(SourceOptions, FileSource)>>,
}

impl Catalog {
    /// A relation by its number.
    pub fn get(&self, id: RelationId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// A source by its number.
    pub fn source(&self, id: RelationId) -> Option<&Source> {
        match &self.get(id)?.what {
            What::Source(source) => Some(source),
            _ => None,
        }
    }

    /// A source by its number.
    pub fn source_mut(&mut self, id: RelationId) -> Option<&mut Source> {
        match &mut self.entries.get_mut(&id)?.what {
            What::Source(source) => Some(source),
            _ => None,
        }
    }

    /// All relations in order of their creation.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Adds a relation.
    pub fn add(&mut self, entry: Entry) {
        self.next = self.next.max(entry.relation.id.0 + 1);
        self.entries.insert(entry.relation.id, entry);
    }

    /// Takes a relation out.
    pub fn remove(&mut self, id: RelationId) -> Option<Entry> {
        self.entries.remove(&id)
    }

    /// The relations whose text names this one.
    pub fn readers_of(&self, id: RelationId) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(move |entry| entry.reads.contains(&id))
    }

    /// A declared relation by name.
    pub fn named(&self, name: &str) -> Result<&Entry> {
        let found = self.entries.values().find(|entry| entry.relation.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| Error::new(ErrorCode::UnknownName, format!("no relation \"{name}\"")))
    }

    /// A relation whose records queries get by themselves.
    pub fn self_read(&self, id: RelationId) -> Option<SelfRead> {
        if let Some(Source { create, origin, reads, .. }) = self.source(id) {
            let (create, reads) = (create.clone(), Arc::clone(reads));
            return origin.clone().map(|origin| SelfRead { create, origin, reads });
        }
        let files = self.files.borrow();
        let (relation, file) = files.values().find(|(relation, _)| relation.id == id)?;
        let create = CreateSource {
            relation: Arc::clone(relation),
            replaces: None,
            checks: Vec::new(),
            bound_micros: 0,
            options: SourceOptions::default(),
        };
        Some(SelfRead { create, origin: Origin::File(file.clone()), reads: Arc::default() })
    }

    /// What was inferred while a source was bound.
    pub fn take_inferred(&self, options: &SourceOptions) -> Option<FileSource> {
        let mut inferred = self.inferred.borrow_mut();
        let at = inferred.iter().position(|(known, _)| known == options)?;
        Some(inferred.swap_remove(at).1)
    }
}

impl Names for Catalog {
    fn relation(&self, name: &str) -> Option<Arc<Relation>> {
        self.named(name).ok().map(|entry| Arc::clone(&entry.relation))
    }

    fn relation_names(&self) -> Vec<Arc<str>> {
        self.entries.values().map(|entry| Arc::clone(&entry.relation.name)).collect()
    }

    fn file(&self, path: &str) -> std::result::Result<Arc<Relation>, String> {
        let mut options = SourceOptions::default();
        options.0.insert("path".to_owned(), path.to_owned());
        let mut file = FileSource::new(&options)?;
        let fields = file.infer()?;
        let mut files = self.files.borrow_mut();
        let known = files.get(path).map(|(relation, _)| relation.id);
        let id = known.unwrap_or(RelationId(u32::MAX - files.len() as u32));
        let relation = Arc::new(Relation {
            id,
            name: path.into(),
            kind: RelationKind::Stream,
            schema: Arc::new(Schema::append_only(fields)),
            definition: None,
            checks: Vec::new(),
            is_source: true,
            event_time: None,
            in_order: true,
        });
        files.insert(path.to_owned(), (Arc::clone(&relation), file));
        Ok(relation)
    }

    fn infer(&self, options: &SourceOptions) -> std::result::Result<Vec<Field>, String> {
        let mut file = FileSource::new(options)?;
        let fields = file.infer()?;
        self.inferred.borrow_mut().push((options.clone(), file));
        Ok(fields)
    }

    fn next_relation_id(&self) -> RelationId {
        RelationId(self.next)
    }
}
