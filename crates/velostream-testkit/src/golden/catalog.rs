//! The definitions of a golden file: the smallest catalogue that the binder can work with.

use std::sync::Arc;
use velostream_sql::bind::{BindOptions, Params, bind_script};
use velostream_sql::catalog::{Catalog, FunctionCatalog, Relation, RelationId, RelationKind};
use velostream_sql::diagnostic::Diagnostics;
use velostream_sql::plan::LogicalPlan;
use velostream_sql::statement::{BoundQuery, CreateSource, SourceOptions, Statement};
use velostream_sql::types::Field;

/// The relations that a file has created so far.
#[derive(Default)]
pub struct GoldenCatalog {
    relations: Vec<Arc<Relation>>,
    sources: Vec<CreateSource>,
}

impl GoldenCatalog {
    /// Binds a statement without running it.
    pub fn bind(&self, sql: &str, functions: &dyn FunctionCatalog) -> Result<Vec<Statement>, Diagnostics> {
        bind_script(sql, self, functions, &Params::default(), &BindOptions::default())
    }

    /// Binds a SELECT down to its sources; `snapshot` as asked for once.
    pub fn query(
        &self,
        sql: &str,
        functions: &dyn FunctionCatalog,
        snapshot: bool,
    ) -> Result<BoundQuery, Diagnostics> {
        let options = BindOptions { expand: true, snapshot };
        velostream_sql::bind::bind_query(sql, self, functions, &Params::default(), &options)
    }

    /// Keeps what a statement defines; other statements define nothing.
    pub fn define(&mut self, statement: Statement) {
        let relation = match statement {
            Statement::CreateSource(create) => {
                let relation = Arc::clone(&create.relation);
                self.sources.push(create);
                relation
            }
            Statement::CreateDerived(create) => create.relation,
            Statement::CreateView(create) => create.relation,
            _ => return,
        };
        self.relations.push(relation);
    }

    /// How the source of this name was declared.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&CreateSource> {
        self.sources.iter().find(|source| source.relation.name.eq_ignore_ascii_case(name))
    }
}

impl Catalog for GoldenCatalog {
    fn relation(&self, name: &str) -> Option<Arc<Relation>> {
        self.relations.iter().find(|relation| relation.name.eq_ignore_ascii_case(name)).cloned()
    }

    fn relation_names(&self) -> Vec<Arc<str>> {
        self.relations.iter().map(|relation| Arc::clone(&relation.name)).collect()
    }

    fn file(&self, path: &str) -> Result<Arc<Relation>, String> {
        Err(format!("golden files read no files: {path}"))
    }

    fn infer(&self, _options: &SourceOptions) -> Result<Vec<Field>, String> {
        Err("golden files declare their columns".to_owned())
    }

    fn next_relation_id(&self) -> RelationId {
        let next = self.relations.iter().map(|relation| relation.id.0 + 1).max();
        RelationId(next.unwrap_or(0))
    }
}

/// The source relations that a plan reads, each once.
#[must_use]
pub fn sources_of(plan: &LogicalPlan) -> Vec<Arc<Relation>> {
    let mut sources: Vec<Arc<Relation>> = Vec::new();
    plan.for_each(&mut |node| {
        if let LogicalPlan::Source { relation, .. } = node
            && sources.iter().all(|known| known.id != relation.0.id)
        {
            sources.push(Arc::clone(&relation.0));
        }
    });
    sources
}

/// Whether a relation keeps its rows.
#[must_use]
pub fn is_table(relation: &Relation) -> bool {
    relation.kind == RelationKind::Table
}
