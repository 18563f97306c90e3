//! INSERT, UPDATE and DELETE.

use super::cursor::{Cursor, Parsed};
use super::query::query;
use crate::ast::{Insert, InsertSource, StatementKind, Update};
use crate::diagnostic::Span;
use sqlparser::ast as syntax;
use sqlparser::tokenizer::Token;

/// Behind INSERT.
pub(super) fn insert(cursor: &mut Cursor<'_>) -> Parsed<StatementKind> {
    cursor.expect(&["INTO"])?;
    let target = cursor.name("a relation")?;
    let columns = if *cursor.token(0) == Token::LParen {
        cursor.parenthesised(|cursor| cursor.name("a column"))?
    } else {
        Vec::new()
    };
    let source = if cursor.eat(&["VALUES"]) {
        InsertSource::Values(cursor.list(row)?)
    } else if cursor.is_word("SELECT") || cursor.is_word("WITH") {
        InsertSource::Query(Box::new(query(cursor)?))
    } else {
        return Err(cursor.unexpected("VALUES or SELECT"));
    };
    if cursor.are_words(&["ON", "CONFLICT"]) {
        return Err(cursor.unsupported("ON CONFLICT"));
    }
    refuse_returning(cursor)?;
    Ok(StatementKind::Insert(Insert { target, columns, source }))
}

fn row(cursor: &mut Cursor<'_>) -> Parsed<(Vec<syntax::Expr>, Span)> {
    let start = cursor.here();
    let values = cursor.parenthesised(|cursor| {
        if cursor.is_word("DEFAULT") {
            return Err(cursor.unsupported("DEFAULT"));
        }
        cursor.expr()
    })?;
    Ok((values, cursor.since(start)))
}

/// Behind UPDATE.
pub(super) fn update(cursor: &mut Cursor<'_>) -> Parsed<StatementKind> {
    let target = cursor.name("a table")?;
    cursor.expect(&["SET"])?;
    let assignments = cursor.list(|cursor| {
        let column = cursor.name("a column")?;
        cursor.expect_token(&Token::Eq)?;
        Ok((column, cursor.expr()?))
    })?;
    if cursor.is_word("FROM") {
        return Err(cursor.unsupported("UPDATE ... FROM"));
    }
    let predicate = predicate(cursor)?;
    Ok(StatementKind::Update(Update { target, assignments, predicate }))
}

/// Behind DELETE.
pub(super) fn delete(cursor: &mut Cursor<'_>) -> Parsed<StatementKind> {
    cursor.expect(&["FROM"])?;
    let target = cursor.name("a table")?;
    if cursor.is_word("USING") {
        return Err(cursor.unsupported("DELETE ... USING"));
    }
    let predicate = predicate(cursor)?;
    Ok(StatementKind::Delete { target, predicate })
}

fn predicate(cursor: &mut Cursor<'_>) -> Parsed<Option<syntax::Expr>> {
    let predicate = if cursor.eat(&["WHERE"]) { Some(cursor.expr()?) } else { None };
    refuse_returning(cursor)?;
    Ok(predicate)
}

fn refuse_returning(cursor: &Cursor<'_>) -> Parsed<()> {
    if cursor.is_word("RETURNING") { Err(cursor.unsupported("RETURNING")) } else { Ok(()) }
}
