//! Feeds of a relation.

use super::Engine;
use crate::catalog::Origin;
use crate::error::{Error, Result};
use crate::feed::Feed;
use crate::feed::rounds::Feeds;
use crate::pipeline::Purpose;
use std::sync::Arc;
use velostream_sql::catalog::RelationId;
use velostream_sql::diagnostic::ErrorCode;

impl Engine {
    /// Gives a relation feeds, from which the query that reads it takes the rows: its partitions do, each those of another
    /// feed. The next query that reads the relation begins at once and is their only reader; it may be one that maintains
    /// a table, which others read.
    ///
    /// The relation's rows are the feeds' blocks dealt round: the first one's, the second one's and so on, then the next
    /// block of each; a feed that has ended drops out. So the answer depends on what the feeds give and on nothing else.
    /// The relation ends with the last of them. Of several such relations in one query the rows are taken by event time if
    /// each declares one, else those of one relation come behind those of the other; tables come first.
    ///
    /// Feeds can be given again when the last ones have ended or their query is closed; they are for the next query.
    ///
    /// # Errors
    /// ARGUMENT if there are no feeds; IN_USE if a query reads the relation or an INSERT SELECT writes to it; STATE if it
    /// has taken records by insertion, or has ended; UNSUPPORTED if it is read from a file or made by a query. From then on
    /// insertions are UNSUPPORTED, and a second query that would read the relation is refused with IN_USE.
    pub fn feed(&mut self, relation: RelationId, feeds: Vec<Box<dyn Feed>>) -> Result<()> {
        self.open()?;
        let last = match self.catalog.source(relation).map(|source| &source.origin) {
            Some(Some(Origin::Feeds(last))) => Some(Arc::clone(last)),
            _ => self.open_source(relation).map(|_| None)?,
        };
        let source = self.catalog.source(relation).expect("it takes records, or has feeds");
        let name = &source.create.relation.name;
        if feeds.is_empty() {
            return Err(Error::new(ErrorCode::Argument, format!("no feeds for {name}")));
        }
        if source.door.offset > 0 {
            let error = Error::new(ErrorCode::State, format!("{name} has taken records by insertion"));
            return Err(error.with_hint("give feeds to a relation of their own"));
        }
        let last_have_ended = last.is_some_and(|last| last.have_ended());
        let user = self.pipelines.values().find(|pipeline| {
            let reads = pipeline.inputs.contains(&relation) && !last_have_ended && !pipeline.is_finished();
            reads || pipeline.purpose == Purpose::Insert(relation)
        });
        if let Some(user) = user {
            let error = Error::new(ErrorCode::InUse, format!("{name} is used by {}", user.name));
            return Err(error.with_hint("give feeds before the query that takes them is started"));
        }
        let feeds = Feeds::new(Arc::clone(&source.create.relation), feeds);
        self.catalog.source_mut(relation).expect("it is there").origin = Some(Origin::Feeds(Arc::new(feeds)));
        Ok(())
    }
}
