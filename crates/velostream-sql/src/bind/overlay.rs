//! The catalogue as the statements of a text leave it, before any of them has run.

use crate::catalog::{Catalog, Relation, RelationId};
use crate::statement::SourceOptions;
use crate::types::Field;
use std::collections::HashMap;
use std::sync::Arc;

/// A catalogue with relations added and hidden.
pub(super) struct Overlay<'a> {
    base: &'a dyn Catalog,
    /// By lower-case name: a new relation, or `None` for a dropped one.
    changed: HashMap<String, Option<Arc<Relation>>>,
    next: u32,
}

impl<'a> Overlay<'a> {
    pub fn new(base: &'a dyn Catalog) -> Self {
        Self { base, changed: HashMap::new(), next: base.next_relation_id().0 }
    }

    /// The next new relation's id.
    pub fn take_id(&mut self) -> RelationId {
        let id = RelationId(self.next);
        self.next += 1;
        id
    }

    /// Makes a relation visible to later statements.
    pub fn add(&mut self, relation: Arc<Relation>) {
        self.changed.insert(relation.name.to_ascii_lowercase(), Some(relation));
    }

    /// Hides a relation from later statements.
    pub fn hide(&mut self, name: &str) {
        self.changed.insert(name.to_ascii_lowercase(), None);
    }

    pub fn relation(&self, name: &str) -> Option<Arc<Relation>> {
        match self.changed.get(&name.to_ascii_lowercase()) {
            Some(changed) => changed.clone(),
            None => self.base.relation(name),
        }
    }

    pub fn relation_names(&self) -> Vec<Arc<str>> {
        let kept = self.base.relation_names().into_iter();
        let kept = kept.filter(|name| !self.changed.contains_key(&name.to_ascii_lowercase()));
        let added = self.changed.values().flatten().map(|relation| Arc::clone(&relation.name));
        kept.chain(added).collect()
    }

    pub fn file(&self, path: &str) -> Result<Arc<Relation>, String> {
        self.base.file(path)
    }

    pub fn infer(&self, options: &SourceOptions) -> Result<Vec<Field>, String> {
        self.base.infer(options)
    }
}
