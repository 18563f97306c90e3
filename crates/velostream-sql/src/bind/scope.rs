//! What a name can mean at a place in a query: the input's columns, earlier items' aliases, the window's
//! bounds, ROWTIME; and whether aggregates may stand there.

use super::aggregate::Aggregates;
use super::{Binder, Bound, Reported, names};
use crate::ast::Name;
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::plan::{Expr, ExprKind, Window};
use crate::types::{DataType, Schema};
use std::sync::Arc;

/// Stands for the own window's start until the aggregate's columns are laid out.
pub(super) const WINDOW_START: usize = 1 << 25;
/// Stands for the own window's end.
pub(super) const WINDOW_END: usize = WINDOW_START + 1;

/// Pseudo columns of the dialect that are not there yet.
const OTHER_PSEUDO_COLUMNS: &[&str] = &["ROWKEY", "ROWPARTITION", "ROWOFFSET", "HEADERS"];

/// What names mean at a place.
pub(super) struct Scope {
    /// The input's columns.
    pub schema: Arc<Schema>,
    /// The name that may stand before a column.
    pub qualifier: Option<Arc<str>>,
    /// The input in messages: `trades`; `None` without FROM.
    pub label: Option<Arc<str>>,
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
    /// The clause in hand, for messages.
    pub clause: &'static str,
}

impl Scope {
    /// The columns of an input.
    pub fn new(schema: Arc<Schema>, qualifier: Option<Arc<str>>, label: Option<Arc<str>>) -> Self {
        Self {
            schema,
            qualifier,
            label,
            aliases: Vec::new(),
            failed_aliases: Vec::new(),
            window: None,
            event_time: None,
            aggregates: Aggregates::default(),
            clause: "here",
        }
    }

    /// No columns: constants only.
    pub fn empty() -> Self {
        Self::new(Arc::new(Schema::default()), None, None)
    }

    /// The columns of a relation by their names alone.
    pub fn of_relation(schema: Arc<Schema>, name: &Arc<str>) -> Self {
        Self::new(schema, Some(Arc::clone(name)), Some(Arc::clone(name)))
    }

    /// The input's column at a position.
    pub fn column(&self, position: usize, span: Span) -> Expr {
        let field = &self.schema.fields[position];
        Expr { kind: ExprKind::Column(position), data_type: field.data_type, nullable: field.nullable, span }
    }

    fn describe(&self) -> String {
        match &self.label {
            Some(label) => format!(" in {label}"),
            None => String::new(),
        }
    }
}

/// The positions of the columns that a name means; an exact spelling wins over others.
fn matches(schema: &Schema, name: &Name) -> Vec<usize> {
    let fields = schema.fields.iter().enumerate();
    let found: Vec<usize> =
        fields.filter(|(_, field)| names(name, &field.name)).map(|(position, _)| position).collect();
    let exact = found.iter().copied().find(|position| schema.fields[*position].name == name.value);
    match exact {
        Some(position) if found.len() > 1 => vec![position],
        _ => found,
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
        match matches(&scope.schema, name).as_slice() {
            [position] => return Ok(scope.column(*position, name.span)),
            [] => {}
            _ => {
                let message = format!("column \"{}\" is ambiguous", name.value);
                return Err(self.error(ErrorCode::UnknownName, name.span, message));
            }
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
        if name.quoted || scope.label.is_none() {
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
        if !scope.qualifier.as_ref().is_some_and(|known| names(qualifier, known)) {
            if matches(&scope.schema, qualifier).len() == 1 {
                return Err(self.unsupported(qualifier.span, "a field of a column"));
            }
            let message = format!("no relation \"{}\" in FROM", qualifier.value);
            let known: Vec<Arc<str>> = scope.qualifier.iter().map(Arc::clone).collect();
            return Err(self.unknown(qualifier, message, known.iter().map(AsRef::as_ref)));
        }
        match matches(&scope.schema, name).as_slice() {
            [position] => Ok(scope.column(*position, crate::parse::join_spans(qualifier.span, name.span))),
            [] => {
                let mut unqualified =
                    Scope::new(Arc::clone(&scope.schema), scope.qualifier.clone(), scope.label.clone());
                unqualified.window = scope.window.clone();
                self.identifier(name, &unqualified)
            }
            _ => {
                let message = format!("column \"{}\" is ambiguous", name.value);
                Err(self.error(ErrorCode::UnknownName, name.span, message))
            }
        }
    }

    fn unknown_column(&mut self, name: &Name, scope: &Scope) -> Reported {
        let message = format!("no column \"{}\"{}", name.value, scope.describe());
        let mut error = Diagnostic::new(ErrorCode::UnknownName, name.span, message);
        if scope.label.is_none() && scope.schema.fields.is_empty() {
            return self.report(error);
        }
        if window_bound(name).is_some() {
            return self.report(error.with_hint("it belongs to a query with a WINDOW"));
        }
        let aliases: Vec<Arc<str>> =
            scope.aliases.iter().map(|(alias, _)| Arc::clone(&alias.value)).collect();
        let fields = scope.schema.fields.iter().map(|field| field.name.as_ref());
        let candidates: Vec<&str> = fields.chain(aliases.iter().map(AsRef::as_ref)).collect();
        error.hint = crate::suggest::did_you_mean(&name.value, candidates);
        self.report(error)
    }
}
