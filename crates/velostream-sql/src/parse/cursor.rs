//! A place in the tokens of one statement: our clauses step through it word by word and hand it to
//! sqlparser for expressions and types. Turns sqlparser's errors into diagnostics with a place.

use super::dialect::{UNSUPPORTED_MARK, VelostreamDialect};
use super::source::{NESTING_MAX, Source, join, lower_first, place, span_of};
use crate::ast::Name;
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use sqlparser::ast as syntax;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};
use std::sync::Arc;

/// What a parsing function gives.
pub(super) type Parsed<T> = Result<T, Diagnostic>;

/// sqlparser counts several levels for one of ours; its own stack is protected.
const PARSER_DEPTH_MAX: usize = 8 * NESTING_MAX;

/// Words that end an expression or a name and so are no alias unless quoted or behind AS.
const CLAUSE_WORDS: &[&str] = &[
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "QUALIFY",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "EMIT",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "NATURAL",
    "ASOF",
    "SEMI",
    "ANTI",
    "LATERAL",
    "ON",
    "USING",
    "WITHIN",
    "GRACE",
    "FOR",
    "AS",
    "SET",
    "VALUES",
    "SELECT",
    "TABLESAMPLE",
    "PIVOT",
    "UNPIVOT",
    "MATCH_RECOGNIZE",
    "PARTITION",
    "INTO",
];

/// A place in a statement's tokens.
pub(super) struct Cursor<'a> {
    parser: Parser<'a>,
    source: &'a Source<'a>,
    /// Behind the last token; where "unexpected end" points.
    end: Span,
    /// How many SELECTs are open around the place.
    pub query_depth: usize,
}

impl<'a> Cursor<'a> {
    /// At the first of these tokens.
    pub fn new(source: &'a Source<'a>, tokens: Vec<TokenWithSpan>) -> Self {
        let last = tokens.iter().rfind(|token| !matches!(token.token, Token::Whitespace(_)));
        let end = last.map_or(Span::default(), |token| {
            let end = token.span.end;
            place(Location { line: end.line, column: end.column })
        });
        let parser = Parser::new(&VelostreamDialect)
            .with_recursion_limit(PARSER_DEPTH_MAX)
            .with_tokens_with_locations(tokens);
        Self { parser, source, end, query_depth: 0 }
    }

    /// The place of the next token; behind the last one at the end.
    pub fn here(&self) -> Span {
        let next = self.parser.peek_token_ref();
        if next.token == Token::EOF { self.end } else { span_of(next.span) }
    }

    /// The place of the token just passed.
    pub fn passed(&self) -> Span {
        span_of(self.parser.get_current_token().span)
    }

    /// From `start` to the token just passed.
    pub fn since(&self, start: Span) -> Span {
        join(start, self.passed())
    }

    /// The characters of a stretch.
    pub fn slice(&self, span: Span) -> Arc<str> {
        self.source.slice(span)
    }

    /// Whether nothing is left.
    pub fn at_end(&self) -> bool {
        self.parser.peek_token_ref().token == Token::EOF
    }

    /// The token `ahead` places from here.
    pub fn token(&self, ahead: usize) -> &Token {
        &self.parser.peek_nth_token_ref(ahead).token
    }

    /// Steps over one token.
    pub fn advance(&mut self) {
        self.parser.advance_token();
    }

    /// Whether the token `ahead` places from here is this word, unquoted, in any case.
    pub fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.token(ahead),
            Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }

    /// Whether the next token is this word.
    pub fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    /// Whether these words come next.
    pub fn are_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.is_word_at(ahead, word))
    }

    /// Steps over these words if they come next.
    pub fn eat(&mut self, words: &[&str]) -> bool {
        let found = self.are_words(words);
        if found {
            for _ in words {
                self.advance();
            }
        }
        found
    }

    /// Steps over these words, or fails.
    pub fn expect(&mut self, words: &[&str]) -> Parsed<()> {
        for word in words {
            if !self.eat(&[word]) {
                return Err(self.unexpected(word));
            }
        }
        Ok(())
    }

    /// Steps over this token if it comes next.
    pub fn eat_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// Steps over this token, or fails.
    pub fn expect_token(&mut self, token: &Token) -> Parsed<()> {
        if self.eat_token(token) { Ok(()) } else { Err(self.unexpected(&token.to_string())) }
    }

    /// "expected this, found that" at the next token.
    pub fn unexpected(&self, expected: &str) -> Diagnostic {
        let found = match self.token(0) {
            Token::EOF => "the end".to_owned(),
            token => token.to_string(),
        };
        Diagnostic::new(ErrorCode::Parse, self.here(), format!("expected {expected}, found {found}"))
    }

    /// "this is not supported" at the next token.
    pub fn unsupported(&self, thing: &str) -> Diagnostic {
        unsupported(self.here(), thing)
    }

    /// A name.
    pub fn name(&mut self, what: &str) -> Parsed<Name> {
        let Token::Word(word) = self.token(0) else {
            return Err(self.unexpected(what));
        };
        let name =
            Name { value: word.value.as_str().into(), quoted: word.quote_style.is_some(), span: self.here() };
        if name.value.is_empty() {
            return Err(Diagnostic::new(ErrorCode::Parse, name.span, "a name must not be empty"));
        }
        self.advance();
        if *self.token(0) == Token::Period {
            return Err(self.unsupported("a name with a schema"));
        }
        Ok(name)
    }

    /// An alias: behind AS any name, else a name that is no clause's first word.
    pub fn alias(&mut self) -> Parsed<Option<Name>> {
        if self.eat(&["AS"]) {
            return self.name("an alias").map(Some);
        }
        let Token::Word(word) = self.token(0) else {
            return Ok(None);
        };
        let is_clause = word.quote_style.is_none()
            && CLAUSE_WORDS.iter().any(|clause| clause.eq_ignore_ascii_case(&word.value));
        if is_clause { Ok(None) } else { self.name("an alias").map(Some) }
    }

    /// A text in quotes.
    pub fn string(&mut self, what: &str) -> Parsed<Arc<str>> {
        let (Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) = self.token(0) else {
            return Err(self.unexpected(what));
        };
        let text = text.as_str().into();
        self.advance();
        Ok(text)
    }

    /// An expression.
    pub fn expr(&mut self) -> Parsed<syntax::Expr> {
        self.parser.parse_expr().map_err(|error| self.translate(&error))
    }

    /// An expression, or `*`, or `t.*`.
    pub fn wildcard_expr(&mut self) -> Parsed<syntax::Expr> {
        self.parser.parse_wildcard_expr().map_err(|error| self.translate(&error))
    }

    /// `(PARTITION BY ... ORDER BY ... ROWS ...)`
    pub fn window_specification(&mut self) -> Parsed<syntax::WindowSpec> {
        self.expect_token(&Token::LParen)?;
        self.parser.parse_window_spec().map_err(|error| self.translate(&error))
    }

    /// A type name.
    pub fn data_type(&mut self) -> Parsed<syntax::DataType> {
        self.parser.parse_data_type().map_err(|error| self.translate(&error))
    }

    /// A list in which each element is read by `element`.
    pub fn list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut elements = vec![element(self)?];
        while self.eat_token(&Token::Comma) {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    /// The same in parentheses.
    pub fn parenthesised<T>(&mut self, element: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect_token(&Token::LParen)?;
        let elements = self.list(element)?;
        self.expect_token(&Token::RParen)?;
        Ok(elements)
    }

    /// sqlparser's error as ours: its place is the end of its message.
    fn translate(&self, error: &ParserError) -> Diagnostic {
        let message = match error {
            ParserError::RecursionLimitExceeded => {
                let message = format!("the expression is nested deeper than {NESTING_MAX} levels");
                return Diagnostic::new(ErrorCode::Limit, self.here(), message);
            }
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        };
        let (message, location) = split_location(message);
        let span = location.map_or_else(|| self.here(), |location| self.token_at(location));
        if let Some(thing) = message.strip_prefix(UNSUPPORTED_MARK) {
            return unsupported(span, thing);
        }
        if message.starts_with("No infix parser for token") {
            let message = format!("{} does not continue an expression", self.slice(span));
            return Diagnostic::new(ErrorCode::Parse, span, message);
        }
        let message = message.replace("Expected: ", "expected ").replace(", found: ", ", found ");
        Diagnostic::new(ErrorCode::Parse, span, lower_first(&message.replace("found EOF", "found the end")))
    }

    /// The stretch of the token that begins here.
    fn token_at(&self, location: Location) -> Span {
        if location.line == 0 {
            return self.end;
        }
        (0..=self.parser.index())
            .rev()
            .map(|index| self.parser.token_at(index))
            .chain((0..8).map(|ahead| self.parser.peek_nth_token_ref(ahead)))
            .find(|token| token.span.start == location && token.token != Token::EOF)
            .map_or_else(|| place(location), |token| span_of(token.span))
    }
}

/// "this is not supported" at a place.
pub(crate) fn unsupported(span: Span, thing: &str) -> Diagnostic {
    Diagnostic::new(ErrorCode::Unsupported, span, format!("{thing} is not supported"))
}

/// Takes ` at Line: 1, Column: 5` off a message.
fn split_location(message: &str) -> (&str, Option<Location>) {
    let Some((head, tail)) = message.rsplit_once(" at Line: ") else {
        return (message, None);
    };
    let mut numbers = tail.split(", Column: ").map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => (head, Some(Location { line, column })),
        _ => (message, None),
    }
}
