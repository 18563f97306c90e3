//! SELECT: from its clauses to a plan.

use super::from::CommonTables;
use super::scope::{Scope, WINDOW_END, WINDOW_START};
use super::window::event_time_column;
use super::{Binder, Bound, Reported, schema};
use crate::ast::{Name, Query, Select, SelectItem, WindowClause};
use crate::catalog::{Relation, RelationKind};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::expr::same;
use crate::plan::{EmitMode, Expr, ExprKind, Literal, LogicalPlan, Window};
use crate::statement::BoundQuery;
use crate::types::DataType;
use sqlparser::ast as syntax;
use std::sync::Arc;

/// How many views may stand inside each other.
const EXPANSION_DEPTH_MAX: usize = 32;

/// A SELECT's plan before LIMIT and EMIT.
pub(super) struct Selected {
    plan: LogicalPlan,
    /// Whether it has a window of its own, which makes it FINAL by default.
    windowed: bool,
}

/// The bound items of a SELECT, over its input.
pub(super) type Items = Vec<(Expr, Arc<str>)>;

impl Binder<'_> {
    /// A SELECT that is a statement.
    pub(super) fn top_query(&mut self, query: &Query) -> Bound<BoundQuery> {
        self.query(query, !self.options.snapshot)
    }

    /// A SELECT with LIMIT and EMIT; `window_is_final` is whether a window makes it FINAL.
    pub(super) fn query(&mut self, query: &Query, window_is_final: bool) -> Bound<BoundQuery> {
        self.reads.clear();
        let mut bound = self.query_of_view(query, window_is_final)?;
        bound.reads = self.reads.iter().copied().collect();
        Ok(bound)
    }

    /// The same inside a query whose reads are being collected.
    fn query_of_view(&mut self, query: &Query, window_is_final: bool) -> Bound<BoundQuery> {
        let is_final = self.options.snapshot || query.emit.is_some_and(|(mode, _)| mode == EmitMode::Final);
        let outer = std::mem::replace(&mut self.is_final, is_final);
        let selected = self.select_query(query, &[]);
        self.is_final = outer;
        let Selected { mut plan, windowed } = selected?;
        let default = if windowed && window_is_final { EmitMode::Final } else { EmitMode::Changes };
        let emit = query.emit.map_or(default, |(mode, _)| mode);
        if let Some(limit) = &query.limit {
            if plan.schema().updating {
                plan = schema::finalise(plan, emit);
            }
            plan = self.limit(plan, limit)?;
        }
        let plan = crate::optimize::optimize(schema::finalise(plan, emit));
        Ok(BoundQuery { text: Arc::clone(&query.text), plan, emit, reads: Vec::new() })
    }

    fn limit(&mut self, input: LogicalPlan, ast: &syntax::Expr) -> Bound<LogicalPlan> {
        let mut scope = Scope::empty();
        scope.clause = "LIMIT";
        let expr = self.expr(ast, &mut scope)?;
        let count = match expr.kind {
            ExprKind::Literal(Literal::Int(count)) => u64::try_from(count).ok(),
            ExprKind::Literal(Literal::BigInt(count)) => u64::try_from(count).ok(),
            _ => None,
        };
        let Some(count) = count else {
            let message = "LIMIT takes a constant integer that is not negative";
            return Err(self.error(ErrorCode::Type, expr.span, message));
        };
        if !self.options.snapshot
            && let Some(operator) = schema::updating_operator(&input)
        {
            let message = format!("LIMIT needs rows that are only appended, but {operator} updates them");
            return Err(self.error(ErrorCode::Updating, expr.span, message));
        }
        let schema = Arc::clone(input.schema());
        Ok(LogicalPlan::Limit { input: Box::new(input), count, schema })
    }

    /// WITH and SELECT, and what UNION adds.
    fn select_query(&mut self, query: &Query, outer: &CommonTables) -> Bound<Selected> {
        let mut tables = outer.to_vec();
        for (name, query) in &query.with {
            let plan = self.subquery(query, &tables)?;
            tables.push((name.clone(), plan));
        }
        let mut selected = self.select(&query.select, &tables);
        for union in &query.unions {
            let right = self.select(&union.select, &tables);
            let (left, right) = (selected?, right?);
            let plan = self.union(left.plan, right.plan, union)?;
            selected = Ok(Selected { plan, windowed: left.windowed || right.windowed });
        }
        selected
    }

    /// A SELECT inside another.
    pub(super) fn subquery(&mut self, query: &Query, tables: &CommonTables) -> Bound<LogicalPlan> {
        if let Some((_, span)) = query.emit {
            return Err(self.unsupported(span, "EMIT in a subquery"));
        }
        let Selected { plan, .. } = self.select_query(query, tables)?;
        match &query.limit {
            Some(limit) => self.limit(plan, limit),
            None => Ok(plan),
        }
    }

    fn select(&mut self, select: &Select, tables: &CommonTables) -> Bound<Selected> {
        let mut input = self.from(select, tables)?;
        let mut scope = Scope::new(Arc::clone(input.plan.schema()), input.parts);
        scope.merged = input.merged;
        scope.event_time = event_time_column(&input.plan);
        let window = self.own_window(select, input.window, &input.plan, &mut scope);
        let window = window.and_then(|(mut window, keys)| {
            if let Some(window) = &mut window {
                self.settle_time(window, &mut input.plan)?;
                scope.event_time = event_time_column(&input.plan);
            }
            Ok((window, keys))
        });
        scope.clause = "WHERE";
        let predicate = select.predicate.as_ref().map(|predicate| self.condition(predicate, &mut scope));
        let (window, key_asts) = window?;
        let windowed = window.is_some();
        scope.window = window;
        scope.overs.set_names(&select.named_windows);
        scope.aggregates.grouped = windowed || !key_asts.is_empty();
        let items = self.items(&select.items, &mut scope);
        let keys = self.keys(&key_asts, items.as_ref().ok(), &mut scope);
        let having = self.having(select.having.as_ref(), &mut scope);
        let predicate = predicate.transpose()?;
        let (items, keys, having) = (items?, keys?, having?);
        self.check_window(select, windowed, &input.window, &key_asts, &scope)?;
        if let Some(clause) = input.window {
            self.check_partition(clause, &keys, &mut scope)?;
        }
        let plan = filter(input.plan, predicate);
        let aggregated =
            windowed || having.is_some() || !select.group_by.is_empty() || !scope.aggregates.calls.is_empty();
        self.check_overs(&scope, aggregated)?;
        let (plan, items) = if aggregated {
            self.aggregate(plan, items, keys, having, scope)?
        } else {
            self.overs(plan, items, scope)?
        };
        let plan = project(plan, items);
        let plan = if select.distinct.is_some() { schema::distinct(plan) } else { plan };
        Ok(Selected { plan, windowed })
    }

    fn having(&mut self, having: Option<&syntax::Expr>, scope: &mut Scope) -> Bound<Option<Expr>> {
        scope.clause = "HAVING";
        scope.aggregates.allowed = true;
        having.map(|having| self.condition(having, scope)).transpose()
    }

    /// The query's window from WINDOW, FROM or GROUP BY, and the other keys.
    fn own_window<'q>(
        &mut self,
        select: &'q Select,
        in_from: Option<&'q WindowClause>,
        input: &LogicalPlan,
        scope: &mut Scope,
    ) -> Bound<(Option<Window>, Vec<&'q syntax::Expr>)> {
        let clause = select.window.as_ref().or(in_from);
        scope.clause = "GROUP BY";
        let (in_keys, keys) = self.window_key(&select.group_by, input, scope)?;
        let written = usize::from(select.window.is_some())
            + usize::from(in_from.is_some())
            + usize::from(in_keys.is_some());
        if let (Some(clause), true) = (clause, written > 1) {
            return Err(self.error(ErrorCode::Type, clause.span, "a query has one window"));
        }
        let window = match clause {
            Some(clause) => Some(self.window_clause(clause, input, scope)?),
            None => in_keys,
        };
        Ok((window, keys))
    }

    /// A window needs groups; one in FROM is part of the groups only where GROUP BY names a bound.
    fn check_window(
        &mut self,
        select: &Select,
        windowed: bool,
        in_from: &Option<&WindowClause>,
        keys: &[&syntax::Expr],
        scope: &Scope,
    ) -> Bound<()> {
        let span = select.window.as_ref().or(*in_from).map(|clause| clause.span);
        let Some(span) = span.filter(|_| windowed) else {
            return Ok(());
        };
        let grouped = !select.group_by.is_empty() || !scope.aggregates.calls.is_empty();
        if !grouped {
            return Err(self.unsupported(span, "a window without GROUP BY or an aggregate"));
        }
        let names_bound = |key: &&syntax::Expr| match key {
            syntax::Expr::Identifier(ident) => super::scope::window_bound(&super::name_of(ident)).is_some(),
            syntax::Expr::CompoundIdentifier(parts) => {
                parts.last().is_some_and(|part| super::scope::window_bound(&super::name_of(part)).is_some())
            }
            _ => false,
        };
        if in_from.is_some() && !keys.iter().any(names_bound) {
            let error = crate::parse::unsupported(span, "a window in FROM without window_start in GROUP BY");
            return Err(self.report(error.with_hint("GROUP BY window_start, window_end")));
        }
        Ok(())
    }

    /// The items of SELECT over the input, wildcards written out.
    fn items(&mut self, items: &[SelectItem], scope: &mut Scope) -> Bound<Items> {
        scope.clause = "SELECT";
        scope.aggregates.allowed = true;
        let mut bound = Vec::with_capacity(items.len());
        let mut failed = false;
        for item in items {
            let added = match item {
                SelectItem::Wildcard(span) => self.wildcard(None, *span, scope, &mut bound),
                SelectItem::QualifiedWildcard(name) => {
                    self.wildcard(Some(name), name.span, scope, &mut bound)
                }
                SelectItem::Expression { expr, alias } => self.item(expr, alias.as_ref(), scope, &mut bound),
            };
            failed |= added.is_err();
        }
        if failed { Err(Reported) } else { Ok(bound) }
    }

    fn wildcard(&mut self, name: Option<&Name>, span: Span, scope: &Scope, items: &mut Items) -> Bound<()> {
        if !scope.has_input() && scope.schema.fields.is_empty() {
            return Err(self.error(ErrorCode::UnknownName, span, "* needs a FROM"));
        }
        let Some(name) = name else {
            for merged in &scope.merged {
                items.push((Expr { span, ..merged.expr.clone() }, Arc::clone(&merged.name)));
            }
            let hidden =
                |position: &usize| scope.merged.iter().any(|merged| merged.columns.contains(position));
            for position in (0..scope.schema.fields.len()).filter(|position| !hidden(position)) {
                items.push(scope.item(position, span));
            }
            return Ok(());
        };
        match scope.part(name) {
            Some(part) => items.extend(part.columns.clone().map(|position| scope.item(position, span))),
            None => return Err(self.unknown_part(name, scope)),
        }
        Ok(())
    }

    fn item(
        &mut self,
        ast: &syntax::Expr,
        alias: Option<&Name>,
        scope: &mut Scope,
        items: &mut Items,
    ) -> Bound<()> {
        let expr = self.expr(ast, scope).and_then(|expr| self.column_value(expr));
        let expr = match expr {
            Ok(expr) => expr,
            Err(reported) => {
                scope.failed_aliases.extend(alias.cloned());
                return Err(reported);
            }
        };
        let name = match alias {
            Some(alias) => Arc::clone(&alias.value),
            None => schema::item_name(ast, Some(&expr), &scope.schema.fields),
        };
        scope.aliases.extend(alias.map(|alias| (alias.clone(), expr.clone())));
        items.push((expr, name));
        Ok(())
    }

    /// The expression as a column can hold it: a bare NULL is a text, an INTERVAL is none.
    pub(super) fn column_value(&mut self, expr: Expr) -> Bound<Expr> {
        if expr.data_type == DataType::Interval {
            return Err(self.error(ErrorCode::Type, expr.span, "a column cannot be an INTERVAL"));
        }
        Ok(self.typed(expr))
    }

    /// The keys of GROUP BY over the input, each once; the window's bounds are keys anyway.
    fn keys(&mut self, asts: &[&syntax::Expr], items: Option<&Items>, scope: &mut Scope) -> Bound<Vec<Expr>> {
        scope.clause = "GROUP BY";
        scope.aggregates.allowed = false;
        let mut keys: Vec<Expr> = Vec::with_capacity(asts.len());
        let mut failed = false;
        for ast in asts {
            match self.key(ast, items, scope) {
                Ok(Expr { kind: ExprKind::Column(WINDOW_START | WINDOW_END), .. }) => {}
                Ok(key) if keys.iter().any(|known| same(known, &key)) => {}
                Ok(key) => keys.push(key),
                Err(Reported) => failed = true,
            }
        }
        if failed { Err(Reported) } else { Ok(keys) }
    }

    /// One key; an ordinal needs the items.
    fn key(&mut self, ast: &syntax::Expr, items: Option<&Items>, scope: &mut Scope) -> Bound<Expr> {
        let key = match ordinal(ast) {
            None => {
                let key = self.expr(ast, scope)?;
                self.column_value(key)?
            }
            Some(number) => {
                let items = items.ok_or(Reported)?;
                let item = number.checked_sub(1).and_then(|index| items.get(index));
                let Some((item, _)) = item else {
                    let span = self.span(ast);
                    let message = format!("GROUP BY {number}: there are {} items", items.len());
                    return Err(self.error(ErrorCode::UnknownName, span, message));
                };
                item.clone()
            }
        };
        let is_bound = matches!(key.kind, ExprKind::Column(WINDOW_START | WINDOW_END));
        if !is_bound {
            let span = self.span(ast);
            self.check_over_input(&key, span, "GROUP BY")?;
        }
        Ok(key)
    }

    /// The aggregate node with HAVING over it, and the items over its columns.
    fn aggregate(
        &mut self,
        input: LogicalPlan,
        items: Items,
        keys: Vec<Expr>,
        having: Option<Expr>,
        mut scope: Scope,
    ) -> Bound<(LogicalPlan, Items)> {
        let mut over = Vec::with_capacity(items.len());
        let mut failed = false;
        for (item, name) in items {
            match self.over_groups(item, &keys, &scope) {
                Ok(item) => over.push((item, name)),
                Err(Reported) => failed = true,
            }
        }
        let having = having.map(|having| self.over_groups(having, &keys, &scope)).transpose()?;
        if failed {
            return Err(Reported);
        }
        let calls = std::mem::take(&mut scope.aggregates.calls);
        let window = scope.window;
        let schema = schema::aggregate(input.schema(), &keys, window.as_ref(), &calls);
        let plan =
            LogicalPlan::Aggregate { input: Box::new(input), keys, window, calls, schema: Arc::new(schema) };
        Ok((filter(plan, having), over))
    }

    /// The plan of a view's text, or of a derived relation's. A view is FINAL only where it says so.
    pub(super) fn expand(&mut self, relation: &Relation, definition: &str, span: Span) -> Bound<LogicalPlan> {
        if self.expansion_depth == EXPANSION_DEPTH_MAX {
            let message = format!("more than {EXPANSION_DEPTH_MAX} views inside each other");
            return Err(self.error(ErrorCode::Limit, span, message));
        }
        let statements = crate::parse::parse(definition).ok();
        let statement = statements.and_then(|mut statements| statements.pop());
        let Some(crate::ast::Statement { kind: crate::ast::StatementKind::Query(query), .. }) = statement
        else {
            let message = format!("the definition of {} cannot be read", relation.name);
            return Err(self.error(ErrorCode::Internal, span, message));
        };
        let outer = self.expanding;
        self.expanding = outer.or(Some(span));
        self.expansion_depth += 1;
        let bound = self.query_of_view(&query, relation.kind == RelationKind::Stream);
        let bound = bound.and_then(|query| self.with_checks(query.plan, relation));
        self.expansion_depth -= 1;
        self.expanding = outer;
        bound.map_err(|Reported| {
            let note = format!("{} cannot be expanded: what it reads has changed", relation.name);
            self.report(Diagnostic::new(ErrorCode::UnknownName, span, note))
        })
    }
}

/// `GROUP BY 2`
fn ordinal(ast: &syntax::Expr) -> Option<usize> {
    match ast {
        syntax::Expr::Value(syntax::ValueWithSpan {
            value: syntax::Value::Number(digits, false), ..
        }) => digits.parse().ok(),
        _ => None,
    }
}

pub(super) fn filter(input: LogicalPlan, predicate: Option<Expr>) -> LogicalPlan {
    match predicate {
        Some(predicate) => {
            let schema = Arc::clone(input.schema());
            LogicalPlan::Filter { input: Box::new(input), predicate, schema }
        }
        None => input,
    }
}

/// The items over the input; the input itself where they are its columns.
pub(super) fn project(input: LogicalPlan, items: Items) -> LogicalPlan {
    let (items, names): (Vec<Expr>, Vec<Arc<str>>) = items.into_iter().unzip();
    let schema = schema::project(input.schema(), schema::unique(names), &items);
    let in_place = items
        .iter()
        .enumerate()
        .all(|(at, item)| matches!(item.kind, ExprKind::Column(column) if column == at));
    if in_place && schema == **input.schema() {
        return input;
    }
    LogicalPlan::Project { input: Box::new(input), items, schema: Arc::new(schema) }
}
