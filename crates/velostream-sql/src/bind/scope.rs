//! What a name can mean at a place in a query: the input's columns, earlier items' aliases, the window's
//! bounds, ROWTIME; and whether aggregates may stand there.

use super::aggregate::Aggregates;
use super::over::Overs;
use super::{Binder, Bound, Reported, names};
use crate::ast::Name;
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::plan::{Expr, ExprKind, Window};
use crate::types::{DataType, Schema};
use std::ops::Range;
use std::sync::Arc;

/// Stands for the own window's start until the aggregate's columns are laid out.
pub(super) const WINDOW_START: usize = 1 << 25;
/// Stands for the own window's end.
pub(super) const WINDOW_END: usize = WINDOW_START + 1;

/// Pseudo columns of the dialect that are not there yet.
const OTHER_PSEUDO_COLUMNS: &[&str] = &["ROWKEY", "ROWPARTITION", "ROWOFFSET", "HEADERS"];

/// One relation of FROM.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The name that may stand before a column.
    pub qualifier: Option<Arc<str>>,
    /// The relation in messages: `trades`.
    pub label: Arc<str>,
    /// The positions of its columns.
    pub columns: Range<usize>,
}

/// A column of USING: one name for a column of either side.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    /// As declared on the left.
    pub name: Arc<str>,
    /// Its value.
    pub expr: Expr,
    /// The columns for which it stands.
    pub columns: [usize; 2],
}

/// What names mean at a place.
pub(super) struct Scope {
    /// The input's columns, part by part.
    pub schema: Arc<Schema>,
    /// The relations of FROM; none without FROM.
    pub parts: Vec<Part>,
    /// What USING has made one.
    pub merged: Vec<Merged>,
    /// The aliases of earlier items.
    pub aliases: Vec<(Name, Expr)>,
    /// The aliases of earlier items that could not be bound.
    pub failed_aliases: Vec<Name>,
    /// The query's own window.
    pub window: Option<Window>,
    /// The column that is the rows' event time.
    pub event_time: Option<usize>,
    /// Aggregates, where they may stand.
    pub aggregates: Aggregates,
    /// OVER calls.
    pub overs: Overs,
    /// The clause in hand, for messages.
    pub clause: &'static str,
}

impl Scope {
    /// The columns of an input.
    pub fn new(schema: Arc<Schema>, parts: Vec<Part>) -> Self {
        Self {
            schema,
            parts,
            merged: Vec::new(),
            aliases: Vec::new(),
            failed_aliases: Vec::new(),
            window: None,
            event_time: None,
            aggregates: Aggregates::default(),
            overs: Overs::default(),
            clause: "here",
        }
    }

    /// No columns: constants only.
    pub fn empty() -> Self {
        Self::new(Arc::new(Schema::default()), Vec::new())
    }

    /// The columns of a relation by their names alone.
    pub fn of_relation(schema: Arc<Schema>, name: &Arc<str>) -> Self {
        let columns = 0..schema.fields.len();
        let part = Part { qualifier: Some(Arc::clone(name)), label: Arc::clone(name), columns };
        Self::new(schema, vec![part])
    }

    /// The input's column at a position.
    pub fn column(&self, position: usize, span: Span) -> Expr {
        let field = &self.schema.fields[position];
        Expr { kind: ExprKind::Column(position), data_type: field.data_type, nullable: field.nullable, span }
    }

    /// The input's column at a position, under its own name.
    pub fn item(&self, position: usize, span: Span) -> (Expr, Arc<str>) {
        (self.column(position, span), Arc::clone(&self.schema.fields[position].name))
    }

    /// Whether there is a FROM.
    pub fn has_input(&self) -> bool {
        !self.parts.is_empty()
    }

    fn describe(&self) -> String {
        let labels: Vec<&str> = self.parts.iter().map(|part| part.label.as_ref()).collect();
        if labels.is_empty() { String::new() } else { format!(" in {}", labels.join(" or ")) }
    }

    /// The positions of a part's columns that a name means; an exact spelling wins over others.
    fn matches_in(&self, part: &Part, name: &Name) -> Vec<usize> {
        let fields = &self.schema.fields;
        let found: Vec<usize> =
            part.columns.clone().filter(|&position| names(name, &fields[position].name)).collect();
        let exact = found.iter().copied().find(|&position| fields[position].name == name.value);
        match exact {
            Some(position) if found.len() > 1 => vec![position],
            _ => found,
        }
    }

    /// The positions of all columns that a name means.
    fn matches(&self, name: &Name) -> Vec<usize> {
        self.parts.iter().flat_map(|part| self.matches_in(part, name)).collect()
    }

    /// The part that a name before a column means.
    pub fn part(&self, qualifier: &Name) -> Option<&Part> {
        self.parts.iter().find(|part| part.qualifier.as_ref().is_some_and(|known| names(qualifier, known)))
    }
}

/// The bound of a window that a name means: false for its start, true for its end.
pub(super) fn window_bound(name: &Name) -> Option<bool> {
    let is = |spelling: &str| names(name, spelling);
    if is("window_start") || !name.quoted && is("WINDOWSTART") {
        Some(false)
    } else if is("window_end") || !name.quoted && is("WINDOWEND") {
        Some(true)
    } else {
        None
    }
}

/// The own window's bound, until the aggregate's columns are laid out.
pub(super) fn window_placeholder(end: bool, span: Span) -> Expr {
    let position = if end { WINDOW_END } else { WINDOW_START };
    Expr { kind: ExprKind::Column(position), data_type: DataType::Timestamp, nullable: false, span }
}

impl Binder<'_> {
    /// What an unqualified name means: the own window's bound, a column, an earlier item, a pseudo column.
    pub(super) fn identifier(&mut self, name: &Name, scope: &Scope) -> Bound<Expr> {
        let bound = window_bound(name);
        if let Some(end) = bound.filter(|_| scope.window.is_some()) {
            return Ok(window_placeholder(end, name.span));
        }
        if let Some(merged) = scope.merged.iter().find(|merged| names(name, &merged.name)) {
            return Ok(Expr { span: name.span, ..merged.expr.clone() });
        }
        match scope.matches(name).as_slice() {
            [position] => return Ok(scope.column(*position, name.span)),
            [] => {}
            positions => return Err(self.ambiguous(name, positions, scope)),
        }
        if let Some((_, expr)) = scope.aliases.iter().rev().find(|(alias, _)| names(name, &alias.value)) {
            self.charge_copy(expr)?;
            return Ok(expr.clone());
        }
        if let (Some(end), Some((start_at, end_at))) = (bound, scope.schema.window) {
            return Ok(scope.column(if end { end_at } else { start_at }, name.span));
        }
        if let Some(pseudo) = self.pseudo_column(name, scope)? {
            return Ok(pseudo);
        }
        if scope.failed_aliases.iter().any(|alias| names(name, &alias.value)) {
            return Err(Reported);
        }
        Err(self.unknown_column(name, scope))
    }

    fn pseudo_column(&mut self, name: &Name, scope: &Scope) -> Bound<Option<Expr>> {
        if name.quoted || !scope.has_input() {
            return Ok(None);
        }
        if name.value.eq_ignore_ascii_case("ROWTIME") {
            let kind = ExprKind::RowTime;
            return Ok(Some(Expr { kind, data_type: DataType::Timestamp, nullable: false, span: name.span }));
        }
        match OTHER_PSEUDO_COLUMNS.iter().find(|pseudo| name.value.eq_ignore_ascii_case(pseudo)) {
            Some(pseudo) => Err(self.unsupported(name.span, pseudo)),
            None => Ok(None),
        }
    }

    /// `t.c`
    pub(super) fn qualified(&mut self, qualifier: &Name, name: &Name, scope: &Scope) -> Bound<Expr> {
        let Some(part) = scope.part(qualifier) else {
            if scope.matches(qualifier).len() == 1 {
                return Err(self.unsupported(qualifier.span, "a field of a column"));
            }
            return Err(self.unknown_part(qualifier, scope));
        };
        match scope.matches_in(part, name).as_slice() {
            [position] => Ok(scope.column(*position, crate::parse::join_spans(qualifier.span, name.span))),
            [] if scope.parts.len() == 1 => {
                let mut unqualified = Scope::new(Arc::clone(&scope.schema), scope.parts.clone());
                unqualified.window = scope.window.clone();
                self.identifier(name, &unqualified)
            }
            [] => {
                if name.value.eq_ignore_ascii_case("ROWTIME") && !name.quoted {
                    return Err(self.unsupported(name.span, "ROWTIME of one side of a join"));
                }
                Err(self.unknown_column(name, &Scope::new(Arc::clone(&scope.schema), vec![part.clone()])))
            }
            positions => Err(self.ambiguous(name, positions, scope)),
        }
    }

    fn ambiguous(&mut self, name: &Name, positions: &[usize], scope: &Scope) -> Reported {
        let message = format!("column \"{}\" is ambiguous", name.value);
        let error = Diagnostic::new(ErrorCode::UnknownName, name.span, message);
        let owner = |position: &usize| {
            let part = scope.parts.iter().find(|part| part.columns.contains(position))?;
            Some(format!("{}.{}", part.qualifier.as_ref()?, name.value))
        };
        let owners: Vec<String> = positions.iter().filter_map(owner).collect();
        self.report(if owners.len() > 1 && scope.parts.len() > 1 {
            error.with_hint(format!("write {}", owners.join(" or ")))
        } else {
            error
        })
    }

    /// "no such relation in FROM"
    pub(super) fn unknown_part(&mut self, name: &Name, scope: &Scope) -> Reported {
        let message = format!("no relation \"{}\" in FROM", name.value);
        let known: Vec<Arc<str>> = scope.parts.iter().filter_map(|part| part.qualifier.clone()).collect();
        self.unknown(name, message, known.iter().map(AsRef::as_ref))
    }

    fn unknown_column(&mut self, name: &Name, scope: &Scope) -> Reported {
        let message = format!("no column \"{}\"{}", name.value, scope.describe());
        let mut error = Diagnostic::new(ErrorCode::UnknownName, name.span, message);
        if !scope.has_input() && scope.schema.fields.is_empty() {
            return self.report(error);
        }
        if window_bound(name).is_some() {
            return self.report(error.with_hint("it belongs to a query with a WINDOW"));
        }
        let aliases: Vec<Arc<str>> =
            scope.aliases.iter().map(|(alias, _)| Arc::clone(&alias.value)).collect();
        let columns = scope.parts.iter().flat_map(|part| part.columns.clone());
        let fields = columns.map(|position| scope.schema.fields[position].name.as_ref());
        let candidates: Vec<&str> = fields.chain(aliases.iter().map(AsRef::as_ref)).collect();
        error.hint = crate::suggest::did_you_mean(&name.value, candidates);
        self.report(error)
    }
}
