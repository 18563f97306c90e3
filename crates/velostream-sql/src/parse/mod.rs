//! Text to statements: our clauses step through the tokens, sqlparser reads the expressions between them.
//!
//! The statements of a text are cut apart at `;` before they are read, so an error in one leaves the others
//! readable and all errors are reported together. Nesting is bounded before anything recurses.

mod create;
mod cursor;
mod dialect;
mod join;
mod modify;
mod over;
mod query;
mod source;
mod window;

use crate::ast::{Name, Statement, StatementKind};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::statement::ShowKind;
use cursor::{Cursor, Parsed};
use source::{Source, join, span_of};
use sqlparser::tokenizer::{Token, TokenWithSpan};

pub(crate) use cursor::unsupported;
pub(crate) use dialect::BETWEEN_SYMMETRIC;
pub use source::{CONDITIONS_MAX, NESTING_MAX, TEXT_BYTES_MAX};
pub(crate) use source::{expr_span, join as join_spans, span_of as token_span};

/// What could be read of a text: its statements in order, and an error for each that could not be read.
pub(crate) struct Script {
    /// The readable statements.
    pub statements: Vec<Statement>,
    /// The errors of the others.
    pub errors: Vec<Diagnostic>,
}

/// The statements of a text, or all its errors of form.
pub fn parse(text: &str) -> Result<Vec<Statement>, Diagnostics> {
    let script = parse_script(text);
    if script.errors.is_empty() { Ok(script.statements) } else { Err(Diagnostics(script.errors)) }
}

/// The readable statements of a text and the errors of the others.
pub(crate) fn parse_script(text: &str) -> Script {
    let source = Source::new(text);
    let mut script = Script { statements: Vec::new(), errors: Vec::new() };
    match source.tokens() {
        Err(error) => script.errors.push(error),
        Ok(tokens) => {
            for tokens in source::split(tokens) {
                match statement(&source, tokens) {
                    Ok(statement) => script.statements.push(statement),
                    Err(error) => script.errors.push(error),
                }
            }
        }
    }
    script
}

/// A condition that is kept as text, such as that of a CHECK.
pub(crate) fn parse_condition(text: &str) -> Result<sqlparser::ast::Expr, Diagnostic> {
    let source = Source::new(text);
    let tokens = source.tokens()?;
    source::check_nesting(&tokens)?;
    let mut cursor = Cursor::new(&source, tokens);
    let condition = cursor.expr()?;
    if cursor.at_end() { Ok(condition) } else { Err(cursor.unexpected("the end of the condition")) }
}

fn statement(source: &Source<'_>, tokens: Vec<TokenWithSpan>) -> Parsed<Statement> {
    source::check_nesting(&tokens)?;
    let span = stretch(&tokens);
    let mut cursor = Cursor::new(source, over::buffers_as_frames(tokens)?);
    let kind = statement_kind(&mut cursor)?;
    if !cursor.at_end() {
        return Err(cursor.unexpected("the end of the statement"));
    }
    Ok(Statement { kind, text: source.slice(span), span })
}

/// From the first to the last token that is not white space.
fn stretch(tokens: &[TokenWithSpan]) -> Span {
    let mut solid = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let first = solid.next().map_or(Span::default(), |token| span_of(token.span));
    solid.next_back().map_or(first, |token| join(first, span_of(token.span)))
}

fn statement_kind(cursor: &mut Cursor<'_>) -> Parsed<StatementKind> {
    if cursor.is_word("SELECT") || cursor.is_word("WITH") {
        return query::query(cursor).map(StatementKind::Query);
    }
    if cursor.eat(&["CREATE"]) {
        return create::create(cursor);
    }
    if cursor.eat(&["INSERT"]) {
        return modify::insert(cursor);
    }
    if cursor.eat(&["UPDATE"]) {
        return modify::update(cursor);
    }
    if cursor.eat(&["DELETE"]) {
        return modify::delete(cursor);
    }
    if cursor.eat(&["DROP"]) {
        return create::drop(cursor);
    }
    if cursor.eat(&["TERMINATE"]) {
        return quoted_or_name(cursor, "a query").map(StatementKind::Terminate);
    }
    if cursor.eat(&["SHOW"]) {
        return show(cursor).map(StatementKind::Show);
    }
    if cursor.eat(&["DESCRIBE"]) || cursor.eat(&["DESC"]) {
        return quoted_or_name(cursor, "a relation").map(StatementKind::Describe);
    }
    if cursor.eat(&["EXPLAIN"]) {
        return explain(cursor);
    }
    if cursor.eat(&["SET"]) {
        return set(cursor);
    }
    Err(other_statement(cursor))
}

/// Statements that other engines have are named as such.
fn other_statement(cursor: &Cursor<'_>) -> Diagnostic {
    const OTHERS: &[&str] = &[
        "ALTER", "MERGE", "TRUNCATE", "COPY", "GRANT", "REVOKE", "BEGIN", "COMMIT", "ROLLBACK", "USE",
        "ANALYZE", "VALUES", "TABLE", "CALL", "EXECUTE", "PREPARE", "PRAGMA", "VACUUM", "LIST", "PRINT",
        "PAUSE", "RESUME",
    ];
    match OTHERS.iter().find(|word| cursor.is_word(word)) {
        Some(word) => cursor.unsupported(word),
        None => cursor.unexpected("a statement"),
    }
}

fn quoted_or_name(cursor: &mut Cursor<'_>, what: &str) -> Parsed<Name> {
    let span = cursor.here();
    if matches!(cursor.token(0), Token::SingleQuotedString(_)) {
        return Ok(Name { value: cursor.string(what)?, quoted: true, span });
    }
    cursor.name(what)
}

fn show(cursor: &mut Cursor<'_>) -> Parsed<ShowKind> {
    let kinds = [
        ("STREAMS", ShowKind::Streams),
        ("TABLES", ShowKind::Tables),
        ("VIEWS", ShowKind::Views),
        ("QUERIES", ShowKind::Queries),
        ("FUNCTIONS", ShowKind::Functions),
    ];
    let found = kinds.into_iter().find(|(word, _)| cursor.eat(&[word])).map(|(_, kind)| kind);
    found.ok_or_else(|| cursor.unexpected("STREAMS, TABLES, VIEWS, QUERIES or FUNCTIONS"))
}

fn explain(cursor: &mut Cursor<'_>) -> Parsed<StatementKind> {
    let analyze = cursor.eat(&["ANALYZE"]);
    if !cursor.is_word("SELECT") && !cursor.is_word("WITH") {
        return Err(cursor.unexpected("a SELECT"));
    }
    Ok(StatementKind::Explain { analyze, query: query::query(cursor)? })
}

fn set(cursor: &mut Cursor<'_>) -> Parsed<StatementKind> {
    let key = quoted_or_name(cursor, "a key")?.value;
    cursor.expect_token(&Token::Eq)?;
    let (value, _) = create::option_value(cursor)?;
    Ok(StatementKind::Set { key, value })
}
