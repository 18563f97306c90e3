//! Whose turn it is: the feeds of one relation are dealt round, and one that has ended drops out.
//!
//! A feed is called by one thread at a time. While it is called nobody waits for it: its next block cannot be claimed,
//! and no block behind that.

use super::{Feed, Rows};
use crate::error::{Error, Result};
use crate::ingest::Decoded;
use crate::partition::poison::reason;
use crate::source::blocks::{Cut, Extent, Fit, Piece, Progress};
use crate::sync::{AtomicBool, Mutex};
use crate::trouble::dawdle;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};
use velostream_engine::batch::ChangeBatch;
use velostream_engine::column::Column;
use velostream_sql::catalog::Relation;
use velostream_sql::diagnostic::ErrorCode;

/// All feeds of one relation. One query takes them.
pub struct Feeds {
    relation: Arc<Relation>,
    slots: Vec<Slot>,
    /// The query that takes them.
    taken_by: OnceLock<String>,
}

struct Slot {
    /// Until it has ended.
    feed: Mutex<Option<Box<dyn Feed>>>,
    /// Its next block was claimed and has not been taken yet.
    is_called: AtomicBool,
    has_ended: AtomicBool,
}

impl Feeds {
    /// Of a relation.
    pub fn new(relation: Arc<Relation>, feeds: Vec<Box<dyn Feed>>) -> Self {
        let slot = |feed| Slot {
            feed: Mutex::new(Some(feed)),
            is_called: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        };
        Self { relation, slots: feeds.into_iter().map(slot).collect(), taken_by: OnceLock::new() }
    }

    /// The query that takes them, if one does.
    pub fn taken_by(&self) -> Option<&str> {
        self.taken_by.get().map(String::as_str)
    }

    /// Whether none of them has rows any more.
    pub fn have_ended(&self) -> bool {
        self.slots.iter().all(|slot| slot.has_ended.load(Ordering::Acquire))
    }

    /// A query takes them, the first one that asks.
    pub fn take(&self, query: &str) {
        self.taken_by.get_or_init(|| query.to_owned());
    }

    /// Nobody takes any more: lets go of those that have not ended.
    pub fn release(&self) {
        self.slots.iter().for_each(Slot::release);
    }

    /// The next rows of a feed, in these columns.
    fn next(&self, place: usize, columns: Vec<Column>) -> Result<Vec<Column>> {
        let schema = &self.relation.schema;
        let mut rows = Rows::over(schema, columns);
        let called = self.slots[place].call(&mut rows, &self.relation.name);
        dawdle();
        let columns = called.and_then(|()| rows.into_columns(schema));
        columns.map_err(|error| Error { relation: Some(self.relation.name.to_string()), ..error })
    }
}

impl Slot {
    fn call(&self, rows: &mut Rows, relation: &str) -> Result<()> {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let next = || feed.as_mut().map_or(Ok(false), |feed| feed.next(rows));
        let called = catch_unwind(AssertUnwindSafe(next)).unwrap_or_else(|panic| {
            let message = format!("a feed of {relation} has panicked: {}", reason(panic.as_ref()));
            Err(Error::new(ErrorCode::Internal, message))
        });
        drop(feed);
        if !matches!(called, Ok(true)) {
            self.release();
        }
        self.is_called.store(false, Ordering::Release);
        called.map(drop)
    }

    /// The feed ends, if it has not.
    fn release(&self) {
        self.has_ended.store(true, Ordering::Release);
        let ended = self.feed.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It has given all its rows; that it cannot go quietly changes nothing.
        drop(catch_unwind(AssertUnwindSafe(|| drop(ended))));
    }
}

/// A block to be taken of a feed.
pub struct Turn {
    feeds: Arc<Feeds>,
    place: usize,
}

impl Turn {
    /// Its rows, in the buffers of `fresh`, which is empty.
    pub fn take(&self, fresh: ChangeBatch) -> Result<ChangeBatch> {
        let ChangeBatch { columns, ops, seqs, event_times } = fresh;
        let columns = self.feeds.next(self.place, columns)?;
        Ok(ChangeBatch { columns, ops, seqs, event_times })
    }
}

/// In which order blocks are taken.
pub struct Rounds {
    feeds: Arc<Feeds>,
    /// The feeds that may have rows, the next one first.
    round: VecDeque<usize>,
}

impl Rounds {
    /// From the beginning.
    pub fn new(feeds: Arc<Feeds>) -> Self {
        let round = (0..feeds.slots.len()).collect();
        Self { feeds, round }
    }

    /// Takes the next rows, without others; whether there are no more.
    pub fn read(&mut self, decoded: &mut Decoded) -> Result<bool> {
        let Some(place) = self.first() else { return Ok(true) };
        self.round.rotate_left(1);
        decoded.columns = self.feeds.next(place, std::mem::take(&mut decoded.columns))?;
        decoded.rows = decoded.columns.first().map_or(0, Column::len);
        Ok(self.first().is_none())
    }

    /// The feed whose turn it is, unless all have ended.
    fn first(&mut self) -> Option<usize> {
        while let Some(&place) = self.round.front() {
            let slot = &self.feeds.slots[place];
            if slot.is_called.load(Ordering::Acquire) || !slot.has_ended.load(Ordering::Acquire) {
                return Some(place);
            }
            self.round.pop_front();
        }
        None
    }
}

impl Cut for Rounds {
    fn is_ready(&mut self, _progress: &Progress) -> bool {
        self.first().is_some_and(|place| !self.feeds.slots[place].is_called.load(Ordering::Acquire))
    }

    fn next(&mut self, progress: &Progress) -> Option<Piece> {
        if !self.is_ready(progress) {
            return None;
        }
        self.round.rotate_left(1);
        let &place = self.round.back()?;
        self.feeds.slots[place].is_called.store(true, Ordering::Release);
        Some(Piece::Turn(Turn { feeds: Arc::clone(&self.feeds), place }))
    }

    fn fit(&mut self, _index: u64, _extent: &Extent) -> Fit {
        Fit::Next
    }

    fn is_over(&mut self, progress: &Progress) -> bool {
        progress.open() == 0 && self.first().is_none()
    }
}
