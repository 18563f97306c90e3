//! Windows and durations in their several spellings.

use super::cursor::{Cursor, Parsed};
use crate::ast::{Duration, TableSource, WindowClause, WindowShape};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::interval;
use sqlparser::ast as syntax;
use sqlparser::tokenizer::Token;

/// The words behind WINDOW.
const CLAUSES: &[(&str, Kind)] = &[
    ("TUMBLING", Kind::Tumbling),
    ("HOPPING", Kind::Hopping),
    ("SLIDING", Kind::Hopping),
    ("SESSION", Kind::Session),
];

/// The functions in FROM.
const FUNCTIONS: &[(&str, Kind)] = &[
    ("TUMBLE", Kind::Tumbling),
    ("HOP", Kind::Hopping),
    ("SESSION", Kind::Session),
    ("CUMULATE", Kind::Cumulating),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tumbling,
    Hopping,
    Session,
    Cumulating,
}

impl Kind {
    /// Whether it has a second length besides its size.
    fn has_step(self) -> bool {
        matches!(self, Self::Hopping | Self::Cumulating)
    }

    fn shape(self, size: Duration, step: Duration) -> WindowShape {
        match self {
            Self::Tumbling => WindowShape::Tumbling { size },
            Self::Hopping => WindowShape::Hopping { size, advance: step },
            Self::Session => WindowShape::Session { gap: size },
            Self::Cumulating => WindowShape::Cumulating { size, step },
        }
    }
}

/// What stands behind WINDOW: a kind with `(SIZE d)`, `(SIZE d, ADVANCE BY d)` or `(d)`, each also with a column
/// before the first duration, without its words, and with `, GRACE PERIOD d` behind.
pub(super) fn window_clause(cursor: &mut Cursor<'_>) -> Parsed<WindowClause> {
    let start = cursor.here();
    let Some(&(_, kind)) = CLAUSES.iter().find(|(word, _)| cursor.is_word(word)) else {
        return Err(no_window(cursor));
    };
    cursor.advance();
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
    let step = if kind.has_step() {
        if !cursor.eat_token(&Token::Comma) {
            return Err(cursor.unexpected("ADVANCE BY"));
        }
        cursor.eat(&["ADVANCE", "BY"]);
        duration(cursor)?
    } else {
        size
    };
    let shape = kind.shape(size, step);
    let grace = grace_period(cursor)?;
    cursor.expect_token(&Token::RParen)?;
    Ok(WindowClause { time, shape, offset: None, grace, partition: Vec::new(), span: cursor.since(start) })
}

fn no_window(cursor: &Cursor<'_>) -> Diagnostic {
    if cursor.is_word_at(1, "AS") {
        return cursor.unsupported("a named window");
    }
    if cursor.is_word("CUMULATE") || cursor.is_word("CUMULATING") {
        return cursor.unsupported("a cumulating window in WINDOW").with_hint("FROM TABLE(CUMULATE(...))");
    }
    cursor.unexpected("TUMBLING, HOPPING, SLIDING or SESSION")
}

fn grace_period(cursor: &mut Cursor<'_>) -> Parsed<Option<Duration>> {
    if !cursor.eat_token(&Token::Comma) {
        return Ok(None);
    }
    if cursor.is_word("RETENTION") {
        return Err(cursor.unsupported("RETENTION in WINDOW"));
    }
    if cursor.is_word("ADVANCE") {
        return Err(cursor.unexpected("GRACE PERIOD").with_hint("WINDOW HOPPING (SIZE ..., ADVANCE BY ...)"));
    }
    if !cursor.eat(&["GRACE", "PERIOD"]) {
        return Err(cursor.unexpected("GRACE PERIOD"));
    }
    duration(cursor).map(Some)
}

/// `TABLE(TUMBLE(TABLE t, DESCRIPTOR(column), size [, offset]))` in FROM, and its like, if it stands here. HOP takes
/// `slide, size`, CUMULATE `step, size`, SESSION a gap.
pub(super) fn window_function(cursor: &mut Cursor<'_>) -> Parsed<Option<TableSource>> {
    let start = cursor.here();
    let wrapped = cursor.is_word("TABLE") && *cursor.token(1) == Token::LParen;
    let at = if wrapped { 2 } else { 0 };
    let function = FUNCTIONS.iter().find(|(word, _)| cursor.is_word_at(at, word));
    let Some(&(_, kind)) = function.filter(|_| *cursor.token(at + 1) == Token::LParen) else {
        return Ok(None);
    };
    for _ in 0..at + 2 {
        cursor.advance();
    }
    cursor.expect(&["TABLE"])?;
    let input = cursor.name("a relation")?;
    let partition = if kind == Kind::Session && cursor.eat(&["PARTITION", "BY"]) {
        partition_keys(cursor)?
    } else {
        cursor.expect_token(&Token::Comma)?;
        Vec::new()
    };
    cursor.expect(&["DESCRIPTOR"])?;
    cursor.expect_token(&Token::LParen)?;
    let time = Some(cursor.expr()?);
    cursor.expect_token(&Token::RParen)?;
    cursor.expect_token(&Token::Comma)?;
    let shape = function_shape(cursor, kind)?;
    let shifts = kind != Kind::Session && cursor.eat_token(&Token::Comma);
    let offset = if shifts { Some(signed_duration(cursor)?) } else { None };
    cursor.expect_token(&Token::RParen)?;
    if wrapped {
        cursor.expect_token(&Token::RParen)?;
    }
    let window = WindowClause { time, shape, offset, grace: None, partition, span: cursor.since(start) };
    Ok(Some(TableSource::Window { input, window: Box::new(window) }))
}

/// The keys up to DESCRIPTOR, the comma before it included: it separates as the others do.
fn partition_keys(cursor: &mut Cursor<'_>) -> Parsed<Vec<syntax::Expr>> {
    let mut keys = Vec::new();
    loop {
        keys.push(cursor.expr()?);
        cursor.expect_token(&Token::Comma)?;
        if cursor.is_word("DESCRIPTOR") {
            return Ok(keys);
        }
    }
}

fn function_shape(cursor: &mut Cursor<'_>, kind: Kind) -> Parsed<WindowShape> {
    let step = duration(cursor)?;
    if !kind.has_step() {
        return Ok(kind.shape(step, step));
    }
    cursor.expect_token(&Token::Comma)?;
    let size = duration(cursor)?;
    Ok(kind.shape(size, step))
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
