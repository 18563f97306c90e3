//! FROM with its joins: `a JOIN b ON ...`, WITHIN between streams, and the comma.

use super::cursor::{Cursor, Parsed};
use super::query::table_reference;
use super::window::duration;
use crate::ast::{From, Join, JoinCondition, Within};
use crate::plan::JoinKind;
use sqlparser::tokenizer::Token;

/// How many relations may stand in one FROM.
const RELATIONS_MAX: usize = 64;

/// What stands behind FROM.
pub(super) fn from(cursor: &mut Cursor<'_>) -> Parsed<From> {
    let first = table_reference(cursor)?;
    let mut joins = Vec::new();
    while let Some(join) = join(cursor)? {
        joins.push(join);
        if joins.len() == RELATIONS_MAX {
            return Err(cursor.unsupported(&format!("FROM with more than {RELATIONS_MAX} relations")));
        }
    }
    Ok(From { first, joins })
}

fn join(cursor: &mut Cursor<'_>) -> Parsed<Option<Join>> {
    let start = cursor.here();
    if cursor.eat_token(&Token::Comma) {
        let right = table_reference(cursor)?;
        let condition = JoinCondition::None;
        return Ok(Some(Join { kind: None, right, within: None, condition, span: cursor.since(start) }));
    }
    for word in ["NATURAL", "ASOF", "SEMI", "ANTI", "LATERAL"] {
        if cursor.is_word(word) {
            return Err(cursor.unsupported(&format!("{word} JOIN")));
        }
    }
    let Some(kind) = join_kind(cursor)? else { return Ok(None) };
    let right = table_reference(cursor)?;
    let mut within = within(cursor)?;
    let condition = match kind {
        None => JoinCondition::None,
        Some(_) => condition(cursor)?,
    };
    if within.is_none() {
        within = self::within(cursor)?;
    }
    Ok(Some(Join { kind, right, within, condition, span: cursor.since(start) }))
}

/// The words up to JOIN: nothing where no join stands here, and no kind for CROSS JOIN.
fn join_kind(cursor: &mut Cursor<'_>) -> Parsed<Option<Option<JoinKind>>> {
    let kinds = [("LEFT", JoinKind::Left), ("RIGHT", JoinKind::Right), ("FULL", JoinKind::Full)];
    let kind = if cursor.eat(&["JOIN"]) {
        return Ok(Some(Some(JoinKind::Inner)));
    } else if cursor.eat(&["CROSS"]) {
        None
    } else if cursor.eat(&["INNER"]) {
        Some(JoinKind::Inner)
    } else if let Some((_, kind)) = kinds.into_iter().find(|(word, _)| cursor.eat(&[word])) {
        for word in ["SEMI", "ANTI"] {
            if cursor.is_word(word) {
                return Err(cursor.unsupported(&format!("{word} JOIN")));
            }
        }
        cursor.eat(&["OUTER"]);
        Some(kind)
    } else {
        return Ok(None);
    };
    cursor.expect(&["JOIN"])?;
    Ok(Some(kind))
}

fn within(cursor: &mut Cursor<'_>) -> Parsed<Option<Within>> {
    let start = cursor.here();
    if !cursor.eat(&["WITHIN"]) {
        return Ok(None);
    }
    let (before, after) = if cursor.eat_token(&Token::LParen) {
        let before = duration(cursor)?;
        cursor.expect_token(&Token::Comma)?;
        let after = duration(cursor)?;
        cursor.expect_token(&Token::RParen)?;
        (before, after)
    } else {
        let both = duration(cursor)?;
        (both, both)
    };
    let grace = if cursor.eat(&["GRACE", "PERIOD"]) { Some(duration(cursor)?) } else { None };
    Ok(Some(Within { before, after, grace, span: cursor.since(start) }))
}

fn condition(cursor: &mut Cursor<'_>) -> Parsed<JoinCondition> {
    if cursor.eat(&["ON"]) {
        return cursor.expr().map(|condition| JoinCondition::On(Box::new(condition)));
    }
    if cursor.eat(&["USING"]) {
        return cursor.parenthesised(|cursor| cursor.name("a column")).map(JoinCondition::Using);
    }
    Err(cursor.unexpected("ON or USING"))
}
