//! SELECT, clause by clause, with the clauses that streaming adds: WINDOW on either side of GROUP BY, EMIT.

use super::cursor::{Cursor, Parsed};
use super::join;
use super::over;
use super::window::{window_clause, window_function};
use crate::ast::{Name, Query, Select, SelectItem, TableReference, TableSource, Union, WindowClause};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::parse::token_span;
use crate::plan::EmitMode;
use sqlparser::ast as syntax;
use sqlparser::tokenizer::Token;

/// How many SELECTs may stand inside each other.
const QUERY_DEPTH_MAX: usize = 32;

/// Most SELECTs that UNION puts together.
const UNION_PARTS_MAX: usize = 256;

/// `[WITH ...] SELECT ... [LIMIT n] [EMIT ...]`
pub(super) fn query(cursor: &mut Cursor<'_>) -> Parsed<Query> {
    if cursor.query_depth == QUERY_DEPTH_MAX {
        let message = format!("more than {QUERY_DEPTH_MAX} SELECTs inside each other");
        return Err(Diagnostic::new(ErrorCode::Limit, cursor.here(), message));
    }
    cursor.query_depth += 1;
    let query = query_body(cursor);
    cursor.query_depth -= 1;
    query
}

fn query_body(cursor: &mut Cursor<'_>) -> Parsed<Query> {
    let start = cursor.here();
    let with = if cursor.eat(&["WITH"]) { common_tables(cursor)? } else { Vec::new() };
    let select = select(cursor)?;
    let unions = unions(cursor)?;
    refuse_clauses(cursor)?;
    let mut emit = emit(cursor)?;
    let limit = if cursor.eat(&["LIMIT"]) { Some(limit(cursor)?) } else { None };
    refuse_clauses(cursor)?;
    if emit.is_none() {
        emit = self::emit(cursor)?;
    }
    let span = cursor.since(start);
    Ok(Query { with, select, unions, limit, emit, text: cursor.slice(span), span })
}

fn unions(cursor: &mut Cursor<'_>) -> Parsed<Vec<Union>> {
    let mut unions = Vec::new();
    while cursor.is_word("UNION") {
        let span = cursor.here();
        if unions.len() + 1 == UNION_PARTS_MAX {
            let message = format!("a UNION of more than {UNION_PARTS_MAX} SELECTs");
            return Err(Diagnostic::new(ErrorCode::Limit, span, message));
        }
        cursor.advance();
        let all = cursor.eat(&["ALL"]);
        if !all {
            cursor.eat(&["DISTINCT"]);
        }
        if !cursor.is_word("SELECT") {
            return Err(cursor.unexpected("SELECT"));
        }
        unions.push(Union { all, select: self::select(cursor)?, span });
    }
    Ok(unions)
}

fn limit(cursor: &mut Cursor<'_>) -> Parsed<syntax::Expr> {
    if cursor.is_word("ALL") {
        return Err(cursor.unsupported("LIMIT ALL"));
    }
    cursor.expr()
}

fn common_tables(cursor: &mut Cursor<'_>) -> Parsed<Vec<(Name, Query)>> {
    if cursor.is_word("RECURSIVE") {
        return Err(cursor.unsupported("WITH RECURSIVE"));
    }
    cursor.list(|cursor| {
        let name = cursor.name("a name")?;
        if *cursor.token(0) == Token::LParen {
            return Err(cursor.unsupported("a column list after a WITH name"));
        }
        cursor.expect(&["AS"])?;
        cursor.expect_token(&Token::LParen)?;
        let query = query(cursor)?;
        cursor.expect_token(&Token::RParen)?;
        Ok((name, query))
    })
}

/// Names the clause at this place if it is one that the dialect has not yet.
fn refuse_clauses(cursor: &Cursor<'_>) -> Parsed<()> {
    let clauses: [(&[&str], &str); 12] = [
        (&["INTERSECT"], "INTERSECT"),
        (&["EXCEPT"], "EXCEPT"),
        (&["QUALIFY"], "QUALIFY"),
        (&["ORDER", "BY"], "ORDER BY"),
        (&["OFFSET"], "OFFSET"),
        (&["FETCH"], "FETCH"),
        (&["PARTITION", "BY"], "PARTITION BY"),
        (&["TABLESAMPLE"], "TABLESAMPLE"),
        (&["PIVOT"], "PIVOT"),
        (&["UNPIVOT"], "UNPIVOT"),
        (&["MATCH_RECOGNIZE"], "MATCH_RECOGNIZE"),
        (&["FOR"], "FOR"),
    ];
    match clauses.iter().find(|(words, _)| cursor.are_words(words)) {
        Some((_, name)) => Err(cursor.unsupported(name)),
        None => Ok(()),
    }
}

fn emit(cursor: &mut Cursor<'_>) -> Parsed<Option<(EmitMode, Span)>> {
    let start = cursor.here();
    if !cursor.eat(&["EMIT"]) {
        return Ok(None);
    }
    let mode = if cursor.eat(&["CHANGES"]) {
        EmitMode::Changes
    } else if cursor.eat(&["FINAL"]) {
        EmitMode::Final
    } else {
        return Err(cursor.unexpected("CHANGES or FINAL"));
    };
    Ok(Some((mode, cursor.since(start))))
}

fn select(cursor: &mut Cursor<'_>) -> Parsed<Select> {
    cursor.expect(&["SELECT"])?;
    let distinct = distinct(cursor)?;
    let items = cursor.list(item)?;
    let from = if cursor.eat(&["FROM"]) { Some(join::from(cursor)?) } else { None };
    refuse_clauses(cursor)?;
    let mut named_windows = over::named_windows(cursor)?;
    let mut window = optional_window(cursor)?;
    let predicate = if cursor.eat(&["WHERE"]) { Some(cursor.expr()?) } else { None };
    let group_by = if cursor.eat(&["GROUP", "BY"]) { cursor.list(group_key)? } else { Vec::new() };
    let having = if cursor.eat(&["HAVING"]) { Some(cursor.expr()?) } else { None };
    named_windows.extend(over::named_windows(cursor)?);
    let second = cursor.here();
    if let Some(late) = optional_window(cursor)? {
        if window.is_some() {
            return Err(Diagnostic::new(ErrorCode::Parse, second, "WINDOW stands here twice"));
        }
        window = Some(late);
    }
    Ok(Select { distinct, items, from, predicate, group_by, having, window, named_windows })
}

fn distinct(cursor: &mut Cursor<'_>) -> Parsed<Option<Span>> {
    if cursor.eat(&["ALL"]) {
        return Ok(None);
    }
    let span = cursor.here();
    if !cursor.eat(&["DISTINCT"]) {
        return Ok(None);
    }
    if cursor.is_word("ON") {
        return Err(cursor.unsupported("DISTINCT ON"));
    }
    Ok(Some(span))
}

fn item(cursor: &mut Cursor<'_>) -> Parsed<SelectItem> {
    match cursor.wildcard_expr()? {
        syntax::Expr::Wildcard(token) => {
            refuse_wildcard_options(cursor)?;
            Ok(SelectItem::Wildcard(token_span(token.0.span)))
        }
        syntax::Expr::QualifiedWildcard(name, _) => {
            refuse_wildcard_options(cursor)?;
            qualified_wildcard(cursor, &name)
        }
        expr => Ok(SelectItem::Expression { expr: Box::new(expr), alias: cursor.alias()? }),
    }
}

fn qualified_wildcard(cursor: &Cursor<'_>, name: &syntax::ObjectName) -> Parsed<SelectItem> {
    match name.0.as_slice() {
        [syntax::ObjectNamePart::Identifier(ident)] => Ok(SelectItem::QualifiedWildcard(Name {
            value: ident.value.as_str().into(),
            quoted: ident.quote_style.is_some(),
            span: token_span(ident.span),
        })),
        _ => Err(cursor.unsupported("a name with a schema")),
    }
}

fn refuse_wildcard_options(cursor: &Cursor<'_>) -> Parsed<()> {
    let options = ["EXCEPT", "EXCLUDE", "REPLACE", "RENAME", "ILIKE"];
    match options.iter().find(|option| cursor.is_word(option)) {
        Some(option) => Err(cursor.unsupported(&format!("* {option}"))),
        None => Ok(()),
    }
}

fn group_key(cursor: &mut Cursor<'_>) -> Parsed<syntax::Expr> {
    let grouping = cursor.are_words(&["GROUPING", "SETS"]);
    let is_call = *cursor.token(1) == Token::LParen;
    let word = ["ROLLUP", "CUBE"].into_iter().find(|word| is_call && cursor.is_word(word));
    let word = word.or(grouping.then_some("GROUPING SETS")).or(cursor.is_word("ALL").then_some("ALL"));
    if let Some(word) = word {
        return Err(cursor.unsupported(&format!("GROUP BY {word}")));
    }
    cursor.expr()
}

fn optional_window(cursor: &mut Cursor<'_>) -> Parsed<Option<WindowClause>> {
    if cursor.eat(&["WINDOW"]) { window_clause(cursor).map(Some) } else { Ok(None) }
}

pub(super) fn table_reference(cursor: &mut Cursor<'_>) -> Parsed<TableReference> {
    let start = cursor.here();
    let source = table_source(cursor)?;
    let span = cursor.since(start);
    if cursor.are_words(&["FOR", "SYSTEM_TIME"]) {
        return Err(cursor.unsupported("FOR SYSTEM_TIME AS OF"));
    }
    let alias = cursor.alias()?;
    if alias.is_some() && *cursor.token(0) == Token::LParen {
        return Err(cursor.unsupported("a column list after a table alias"));
    }
    Ok(TableReference { source, alias, span })
}

fn table_source(cursor: &mut Cursor<'_>) -> Parsed<TableSource> {
    match cursor.token(0) {
        Token::SingleQuotedString(_) => return cursor.string("a file name").map(TableSource::File),
        Token::LParen => return parenthesised_table(cursor),
        _ => {}
    }
    if let Some(window) = window_function(cursor)? {
        return Ok(window);
    }
    for word in ["UNNEST", "LATERAL"] {
        if cursor.is_word(word) {
            return Err(cursor.unsupported(word));
        }
    }
    if *cursor.token(1) == Token::LParen {
        return Err(cursor.unsupported("a function in FROM"));
    }
    cursor.name("a relation").map(TableSource::Relation)
}

fn parenthesised_table(cursor: &mut Cursor<'_>) -> Parsed<TableSource> {
    cursor.advance();
    if cursor.is_word("VALUES") {
        return Err(cursor.unsupported("VALUES in FROM"));
    }
    if !cursor.is_word("SELECT") && !cursor.is_word("WITH") {
        return Err(cursor.unexpected("a SELECT"));
    }
    let query = query(cursor)?;
    cursor.expect_token(&Token::RParen)?;
    Ok(TableSource::Query(Box::new(query)))
}
