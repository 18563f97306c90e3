//! Names and types: gives every statement of a text its meaning against a catalogue.
//!
//! All statements are bound before the first runs: a relation that one creates is visible to the next through
//! an overlay over the catalogue. Errors are collected, not thrown: a function that has reported one returns
//! [`Reported`], its siblings go on, and all errors of a text leave together.

mod aggregate;
mod call;
mod coerce;
mod create;
mod expression;
mod from;
mod join;
mod later;
mod literal;
mod modify;
mod operator;
mod options;
mod over;
mod overlay;
mod parameters;
mod query;
mod schema;
mod scope;
mod types;
mod window;

use crate::ast;
use crate::catalog::{Catalog, FunctionCatalog, FunctionId, Relation, RelationId};
use crate::diagnostic::{Diagnostic, Diagnostics, ErrorCode, Span};
use crate::parse::{expr_span, parse_script};
use crate::plan::Expr;
use crate::statement::{BoundQuery, Statement};
use crate::suggest::did_you_mean;
use overlay::Overlay;
use parameters::Parameters;
use sqlparser::ast as syntax;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

pub use aggregate::NAMES as AGGREGATES;
pub use call::CONDITIONAL;
pub(crate) use operator::balanced;
pub use parameters::Params;
pub(crate) use schema::{holds_key, union as union_schema};

/// Most nodes of expressions that a statement may copy, by aliases, BETWEEN, NULLIF and CASE.
const COPIED_NODES_MAX: usize = 100_000;

/// How a text is bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BindOptions {
    /// Derived relations are expanded down to their sources as views are, so that a plan's only sources are
    /// source relations.
    pub expand: bool,
    /// The query is asked for once: nothing is FINAL unless it says so, and LIMIT may stand over updating rows.
    pub snapshot: bool,
}

/// Stands for errors that are already collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reported;

/// What a binding function gives.
pub(crate) type Bound<T> = Result<T, Reported>;

/// All statements of a text, bound in order. Fails with every error that the text has.
pub fn bind_script(
    text: &str,
    catalog: &dyn Catalog,
    functions: &dyn FunctionCatalog,
    params: &Params,
    options: &BindOptions,
) -> Result<Vec<Statement>, Diagnostics> {
    let script = parse_script(text);
    let mut binder = Binder::new(catalog, functions, params, *options);
    binder.incomplete = !script.errors.is_empty();
    binder.errors = script.errors;
    let mut bound = Vec::with_capacity(script.statements.len());
    for statement in &script.statements {
        if let Ok(statement) = binder.statement(statement) {
            bound.push(statement);
        }
    }
    binder.finish(bound)
}

/// The one SELECT of a text.
pub fn bind_query(
    text: &str,
    catalog: &dyn Catalog,
    functions: &dyn FunctionCatalog,
    params: &Params,
    options: &BindOptions,
) -> Result<BoundQuery, Diagnostics> {
    let not_a_query = |span| Diagnostic::new(ErrorCode::Argument, span, "expected one SELECT");
    let statements = crate::parse::parse(text)?;
    let [statement] = statements.as_slice() else {
        return Err(not_a_query(statements.get(1).map_or(Span::default(), |extra| extra.span)).into());
    };
    let ast::StatementKind::Query(query) = &statement.kind else {
        return Err(not_a_query(statement.span).into());
    };
    let mut binder = Binder::new(catalog, functions, params, *options);
    let bound = binder.top_query(query);
    let mut bound = binder.finish(bound.into_iter().collect::<Vec<_>>())?;
    Ok(bound.pop().expect("finish fails when nothing was bound"))
}

/// Binds the statements of one text.
pub(crate) struct Binder<'a> {
    catalog: Overlay<'a>,
    functions: &'a dyn FunctionCatalog,
    parameters: Parameters<'a>,
    options: BindOptions,
    errors: Vec<Diagnostic>,
    /// Some statement could not be read or bound, so that missing relations may be its fault.
    incomplete: bool,
    /// While a view is expanded: where its name stands, which is the place of all that it contains.
    expanding: Option<Span>,
    /// The relations named so far by the query in hand, those inside views included.
    reads: BTreeSet<RelationId>,
    /// Those of them that are files named in FROM.
    files: HashSet<RelationId>,
    /// The functions met that depend on more than their arguments.
    volatile: HashSet<FunctionId>,
    /// Nodes of expressions that the statement in hand has copied.
    copied: usize,
    /// How many views are being expanded inside each other.
    expansion_depth: usize,
    /// Whether the query in hand shows final rows only.
    is_final: bool,
}

impl<'a> Binder<'a> {
    fn new(
        catalog: &'a dyn Catalog,
        functions: &'a dyn FunctionCatalog,
        params: &'a Params,
        options: BindOptions,
    ) -> Self {
        Self {
            catalog: Overlay::new(catalog),
            functions,
            parameters: Parameters::new(params),
            options,
            errors: Vec::new(),
            incomplete: false,
            expanding: None,
            copied: 0,
            reads: BTreeSet::new(),
            files: HashSet::new(),
            volatile: HashSet::new(),
            expansion_depth: 0,
            is_final: false,
        }
    }

    /// The result, or all errors in the order of their places.
    fn finish<T>(mut self, bound: T) -> Result<T, Diagnostics> {
        if self.errors.is_empty() {
            self.errors.extend(self.parameters.unused());
        }
        if self.errors.is_empty() {
            return Ok(bound);
        }
        self.errors.sort_by_key(|error| (error.span.line, error.span.column));
        self.errors.dedup();
        Err(Diagnostics(self.errors))
    }

    fn statement(&mut self, statement: &ast::Statement) -> Bound<Statement> {
        use ast::StatementKind as Kind;
        self.copied = 0;
        let bound = match &statement.kind {
            Kind::CreateSource(create) => self.create_source(create),
            Kind::CreateAs(create) => self.create_as(create),
            Kind::Insert(insert) => self.insert(insert),
            Kind::Update(update) => self.update(update),
            Kind::Delete { target, predicate } => self.delete(target, predicate.as_ref()),
            Kind::Drop { kind, if_exists, name } => self.drop(*kind, *if_exists, name),
            Kind::Terminate(query) => Ok(Statement::Terminate { query: Arc::clone(&query.value) }),
            Kind::Query(query) => self.top_query(query).map(Statement::Query),
            Kind::Show(kind) => Ok(Statement::Show(*kind)),
            Kind::Describe(name) => self.relation(name).map(Statement::Describe),
            Kind::Explain { analyze, query } => {
                // Of the query as it would run, also where the plan is asked for as rows of a moment; of that where it would not.
                let (snapshot, before) = (std::mem::take(&mut self.options.snapshot), self.errors.len());
                let mut bound = self.top_query(query);
                self.options.snapshot = snapshot;
                if bound.is_err() && snapshot {
                    self.errors.truncate(before);
                    bound = self.top_query(query);
                }
                bound.map(|query| Statement::Explain { query, analyze: *analyze })
            }
            Kind::Set { key, value } => Ok(Statement::Set { key: Arc::clone(key), value: Arc::clone(value) }),
        };
        self.incomplete |= bound.is_err();
        bound
    }

    /// Takes an expression that is about to be copied into account: copies of copies grow without bound.
    fn charge_copy(&mut self, expr: &Expr) -> Bound<()> {
        self.copied += crate::expr::size(expr);
        if self.copied <= COPIED_NODES_MAX {
            return Ok(());
        }
        let message = "expressions that use each other several times grow too large";
        Err(self.error(ErrorCode::Limit, expr.span, message))
    }

    /// Collects an error. Inside an expanded view its place is where the view is named.
    fn report(&mut self, mut error: Diagnostic) -> Reported {
        if let Some(span) = self.expanding {
            error.span = span;
        }
        self.errors.push(error);
        Reported
    }

    /// Collects an error without a hint.
    fn error(&mut self, code: ErrorCode, span: Span, message: impl Into<String>) -> Reported {
        self.report(Diagnostic::new(code, span, message))
    }

    /// Collects "this is not supported".
    fn unsupported(&mut self, span: Span, thing: &str) -> Reported {
        self.report(crate::parse::unsupported(span, thing))
    }

    /// Collects an unknown name, with the nearest of the candidates.
    fn unknown<'n>(
        &mut self,
        name: &ast::Name,
        message: String,
        candidates: impl IntoIterator<Item = &'n str>,
    ) -> Reported {
        let mut error = Diagnostic::new(ErrorCode::UnknownName, name.span, message);
        error.hint = did_you_mean(&name.value, candidates);
        self.report(error)
    }

    /// The place of an expression.
    fn span(&self, expr: &syntax::Expr) -> Span {
        self.expanding.unwrap_or_else(|| expr_span(expr))
    }

    /// The relation of this name.
    fn relation(&mut self, name: &ast::Name) -> Bound<Arc<Relation>> {
        if let Some(relation) = self.catalog.relation(&name.value)
            && (!name.quoted || relation.name == name.value)
        {
            return Ok(relation);
        }
        if self.incomplete {
            return Err(Reported);
        }
        let names = self.catalog.relation_names();
        let message = format!("no relation \"{}\"", name.value);
        Err(self.unknown(name, message, names.iter().map(AsRef::as_ref)))
    }
}

/// Whether a name as written means the column or alias of this name.
pub(crate) fn names(name: &ast::Name, candidate: &str) -> bool {
    if name.quoted { *name.value == *candidate } else { name.value.eq_ignore_ascii_case(candidate) }
}

/// sqlparser's identifier as a name.
pub(crate) fn name_of(ident: &syntax::Ident) -> ast::Name {
    ast::Name {
        value: ident.value.as_str().into(),
        quoted: ident.quote_style.is_some(),
        span: crate::parse::token_span(ident.span),
    }
}
