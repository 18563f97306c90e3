//! The text as tokens: cut into statements at `;`, with bounds on nesting checked before anything recurses,
//! and with the way back from a place to the characters that stand there.

use super::dialect::VelostreamDialect;
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use sqlparser::ast as syntax;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use std::sync::Arc;

/// Deepest nesting of an expression: parentheses, CASE, and operators that wait for each other.
pub const NESTING_MAX: usize = 200;

/// Most conditions joined by AND or OR in one expression; these are bound without recursion.
pub const CONDITIONS_MAX: usize = 2_000;

/// Longest text in bytes.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// A text and the byte offsets of its lines.
pub(super) struct Source<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    /// Indexes the lines of a text.
    pub fn new(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { text, line_starts }
    }

    /// The byte offset of a line and column, both counted from 1; the end of the text when beyond it.
    fn offset(&self, line: u32, column: u32) -> usize {
        let Some(start) = self.line_starts.get((line as usize).saturating_sub(1)) else {
            return self.text.len();
        };
        let rest = &self.text[*start..];
        rest.char_indices()
            .nth((column as usize).saturating_sub(1))
            .map_or(self.text.len(), |(at, _)| start + at)
    }

    /// The characters of a stretch, without white space around them.
    pub fn slice(&self, span: Span) -> Arc<str> {
        let start = self.offset(span.line, span.column);
        let end = self.offset(span.end_line, span.end_column).max(start);
        self.text[start..end].trim().into()
    }

    /// The tokens of the text; each `?` becomes `?1`, `?2` in order.
    pub fn tokens(&self) -> Result<Vec<TokenWithSpan>, Diagnostic> {
        if self.text.len() > TEXT_BYTES_MAX {
            let message = format!("the text is longer than {TEXT_BYTES_MAX} bytes");
            return Err(Diagnostic::new(ErrorCode::Limit, Span::default(), message));
        }
        let tokens = Tokenizer::new(&VelostreamDialect, self.text).tokenize_with_location();
        let mut tokens = tokens.map_err(|error| {
            let message = error.message.trim_end_matches([' ', '.']);
            Diagnostic::new(ErrorCode::Parse, place(error.location), lower_first(message))
        })?;
        let unnumbered = tokens.iter_mut().filter_map(|token| match &mut token.token {
            Token::Placeholder(name) if name == "?" => Some(name),
            _ => None,
        });
        for (index, name) in unnumbered.enumerate() {
            *name = format!("?{}", index + 1);
        }
        Ok(tokens)
    }
}

/// One character's stretch at a location.
pub(super) fn place(location: Location) -> Span {
    let (line, column) = (location.line as u32, location.column as u32);
    Span { line, column, end_line: line, end_column: column + 1 }
}

/// A sentence's beginning without its capital; acronyms and names in capitals stay.
pub(super) fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(std::iter::once(second)).chain(chars).collect()
        }
        _ => sentence.to_owned(),
    }
}

/// sqlparser's stretch as ours.
pub(crate) fn span_of(span: sqlparser::tokenizer::Span) -> Span {
    Span {
        line: span.start.line as u32,
        column: span.start.column as u32,
        end_line: span.end.line as u32,
        end_column: span.end.column as u32,
    }
}

/// From the beginning of one stretch to the end of another; an unknown one gives way to the other.
pub(crate) fn join(first: Span, last: Span) -> Span {
    match (first.line, last.line) {
        (_, 0) => first,
        (0, _) => last,
        _ => Span { end_line: last.end_line, end_column: last.end_column, ..first },
    }
}

/// The stretch of an expression, as far as sqlparser keeps it.
pub(crate) fn expr_span(expr: &syntax::Expr) -> Span {
    use sqlparser::ast::Spanned;
    match expr {
        syntax::Expr::Interval(interval) => expr_span(&interval.value),
        syntax::Expr::Case { case_token, end_token, .. } => {
            join(span_of(case_token.0.span), span_of(end_token.0.span))
        }
        syntax::Expr::RLike { expr, pattern, .. } => join(expr_span(expr), expr_span(pattern)),
        syntax::Expr::Tuple(items) => match (items.first(), items.last()) {
            (Some(first), Some(last)) => join(expr_span(first), expr_span(last)),
            _ => Span::default(),
        },
        _ => span_of(expr.span()),
    }
}

/// The tokens of each statement, without the semicolons; empty statements are left out.
pub(super) fn split(tokens: Vec<TokenWithSpan>) -> Vec<Vec<TokenWithSpan>> {
    let mut statements = vec![Vec::new()];
    for token in tokens {
        match token.token {
            Token::SemiColon => statements.push(Vec::new()),
            Token::EOF => {}
            _ => statements.last_mut().expect("starts with one statement").push(token),
        }
    }
    statements.retain(|tokens| tokens.iter().any(|token| !matches!(token.token, Token::Whitespace(_))));
    statements
}

/// How deep the tree below an open bracket can be so far.
#[derive(Default)]
struct Level {
    /// Whether CASE opened it, so that END closes it.
    is_case: bool,
    /// Operators since the last comma, clause word, AND or OR.
    operators: usize,
    /// ANDs and ORs since the last comma or clause word.
    conditions: usize,
}

/// Refuses a statement whose tree could be deeper than recursion may go. A bound from above, token by token:
/// every operator may add one level, a comma or a clause word ends the expression.
pub(super) fn check_nesting(tokens: &[TokenWithSpan]) -> Result<(), Diagnostic> {
    let mut levels = vec![Level::default()];
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => levels.push(Level::default()),
            Token::RParen | Token::RBracket | Token::RBrace => close(&mut levels),
            Token::Word(word) if word.keyword == Keyword::CASE => {
                levels.push(Level { is_case: true, ..Level::default() });
            }
            Token::Word(word)
                if word.keyword == Keyword::END && levels.last().is_some_and(|level| level.is_case) =>
            {
                levels.pop();
            }
            other => count(other, levels.last_mut().expect("the outermost level is never popped")),
        }
        let depth: usize = levels.len() + levels.iter().map(|level| level.operators).sum::<usize>();
        let conditions: usize = levels.iter().map(|level| level.conditions).sum();
        let limit = if depth > NESTING_MAX {
            format!("the expression is nested deeper than {NESTING_MAX} levels")
        } else if conditions > CONDITIONS_MAX {
            format!("more than {CONDITIONS_MAX} conditions in one expression")
        } else {
            continue;
        };
        return Err(Diagnostic::new(ErrorCode::Limit, span_of(token.span), limit));
    }
    Ok(())
}

/// Closes a bracket and every CASE that was left open in it.
fn close(levels: &mut Vec<Level>) {
    while levels.len() > 1 {
        let closed = levels.pop().expect("more than one level");
        if !closed.is_case {
            return;
        }
    }
}

fn count(token: &Token, level: &mut Level) {
    let end = Level { is_case: level.is_case, ..Level::default() };
    match token {
        Token::Comma => *level = end,
        Token::Word(word) => match word.keyword {
            Keyword::AND | Keyword::OR => {
                level.operators = 0;
                level.conditions += 1;
            }
            Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::SIMILAR
            | Keyword::BETWEEN
            | Keyword::OVERLAPS
            | Keyword::XOR
            | Keyword::DIV
            | Keyword::MEMBER
            | Keyword::OPERATOR
            | Keyword::AT
            | Keyword::COLLATE
            | Keyword::INTERVAL => level.operators += 1,
            Keyword::SELECT
            | Keyword::FROM
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::LIMIT
            | Keyword::SET
            | Keyword::VALUES
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE
            | Keyword::AS => *level = end,
            _ => {}
        },
        Token::Whitespace(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Period => {}
        _ => level.operators += 1,
    }
}
