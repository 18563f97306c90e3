//! Tumbling windows and durations in their several spellings.

use super::cursor::{Cursor, Parsed};
use crate::ast::{Duration, TableSource, WindowClause};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::interval;
use sqlparser::ast as syntax;
use sqlparser::tokenizer::Token;

/// Windows that follow later, as clauses and as functions.
const OTHER_WINDOWS: &[&str] =
    &["HOPPING", "SLIDING", "SESSION", "CUMULATE", "CUMULATING", "HOP", "SLIDE", "STEP"];

/// What stands behind WINDOW: `TUMBLING (SIZE d [, GRACE PERIOD d])`, `TUMBLING (column, d)`, `TUMBLING(d)`.
pub(super) fn window_clause(cursor: &mut Cursor<'_>) -> Parsed<WindowClause> {
    let start = cursor.here();
    if let Some(word) = OTHER_WINDOWS.iter().find(|word| cursor.is_word(word)) {
        return Err(cursor.unsupported(&format!("a {word} window")));
    }
    if !cursor.eat(&["TUMBLING"]) {
        return Err(cursor.unexpected("TUMBLING"));
    }
    cursor.expect_token(&Token::LParen)?;
    let time = if cursor.eat(&["SIZE"]) || at_duration(cursor) {
        None
    } else {
        let column = cursor.expr()?;
        cursor.expect_token(&Token::Comma)?;
        cursor.eat(&["SIZE"]);
        Some(column)
    };
    let size = duration(cursor)?;
    let mut window = WindowClause { time, size, offset: None, grace: None, span: start };
    window_options(cursor, &mut window)?;
    cursor.expect_token(&Token::RParen)?;
    window.span = cursor.since(start);
    Ok(window)
}

fn window_options(cursor: &mut Cursor<'_>, window: &mut WindowClause) -> Parsed<()> {
    while cursor.eat_token(&Token::Comma) {
        if cursor.are_words(&["GRACE", "PERIOD"]) && window.grace.is_none() {
            cursor.expect(&["GRACE", "PERIOD"])?;
            window.grace = Some(duration(cursor)?);
        } else if cursor.is_word("RETENTION") {
            return Err(cursor.unsupported("RETENTION in WINDOW"));
        } else if cursor.is_word("ADVANCE") {
            return Err(cursor.unsupported("a HOPPING window (ADVANCE BY)"));
        } else {
            return Err(cursor.unexpected("GRACE PERIOD"));
        }
    }
    if cursor.is_word("ADVANCE") {
        return Err(cursor.unsupported("a HOPPING window (ADVANCE BY)"));
    }
    Ok(())
}

/// `TABLE(TUMBLE(TABLE t, DESCRIPTOR(column), size [, offset]))` in FROM, if it stands here.
pub(super) fn window_function(cursor: &mut Cursor<'_>) -> Parsed<Option<TableSource>> {
    let start = cursor.here();
    let wrapped = cursor.is_word("TABLE") && *cursor.token(1) == Token::LParen;
    let at = if wrapped { 2 } else { 0 };
    if *cursor.token(at + 1) != Token::LParen {
        return Ok(None);
    }
    if let Some(word) = OTHER_WINDOWS.iter().find(|word| cursor.is_word_at(at, word)) {
        return Err(cursor.unsupported(&format!("a {word} window")));
    }
    if !cursor.is_word_at(at, "TUMBLE") {
        return Ok(None);
    }
    for _ in 0..at + 2 {
        cursor.advance();
    }
    cursor.expect(&["TABLE"])?;
    let input = cursor.name("a relation")?;
    cursor.expect_token(&Token::Comma)?;
    cursor.expect(&["DESCRIPTOR"])?;
    cursor.expect_token(&Token::LParen)?;
    let time = cursor.expr()?;
    cursor.expect_token(&Token::RParen)?;
    cursor.expect_token(&Token::Comma)?;
    let size = duration(cursor)?;
    let offset = if cursor.eat_token(&Token::Comma) { Some(signed_duration(cursor)?) } else { None };
    cursor.expect_token(&Token::RParen)?;
    if wrapped {
        cursor.expect_token(&Token::RParen)?;
    }
    let window = WindowClause { time: Some(time), size, offset, grace: None, span: cursor.since(start) };
    Ok(Some(TableSource::Window { input, window: Box::new(window) }))
}

/// Whether a duration begins here: a number or INTERVAL.
fn at_duration(cursor: &Cursor<'_>) -> bool {
    matches!(cursor.token(0), Token::Number(..)) || cursor.is_word("INTERVAL")
}

/// A length of time that is not negative.
pub(super) fn duration(cursor: &mut Cursor<'_>) -> Parsed<Duration> {
    let duration = signed_duration(cursor)?;
    if duration.micros < 0 {
        return Err(Diagnostic::new(ErrorCode::Type, duration.span, "a duration must not be negative"));
    }
    Ok(duration)
}

fn signed_duration(cursor: &mut Cursor<'_>) -> Parsed<Duration> {
    let start = cursor.here();
    if let Token::Number(number, false) = cursor.token(0).clone() {
        cursor.advance();
        let Token::Word(unit) = cursor.token(0).clone() else {
            return Err(cursor.unexpected("a unit of time"));
        };
        let unit_span = cursor.here();
        cursor.advance();
        let Some(unit) = interval::Unit::parse(&unit.value) else {
            let message = format!("{} is not a unit of time", unit.value);
            return Err(Diagnostic::new(ErrorCode::Parse, unit_span, message));
        };
        let span = cursor.since(start);
        let length = interval::with_unit(&number, unit);
        return fixed(length, span);
    }
    if !cursor.is_word("INTERVAL") {
        return Err(cursor.unexpected("a duration such as INTERVAL '1' MINUTE, 10 SECONDS or 5m"));
    }
    let expr = cursor.expr()?;
    let span = cursor.since(start);
    match &expr {
        syntax::Expr::Interval(literal) => fixed(interval::literal(literal), span),
        _ => Err(Diagnostic::new(ErrorCode::Parse, span, "expected a constant interval")),
    }
}

/// The length in microseconds of an interval without months.
fn fixed(interval: Option<crate::plan::Interval>, span: Span) -> Parsed<Duration> {
    let Some(interval) = interval else {
        return Err(Diagnostic::new(ErrorCode::Type, span, "this is not an interval"));
    };
    match interval::fixed_micros(interval) {
        Some(micros) => Ok(Duration { micros, span }),
        None => {
            let message = "months and years have no fixed length; use days or smaller units";
            Err(Diagnostic::new(ErrorCode::Type, span, message))
        }
    }
}
