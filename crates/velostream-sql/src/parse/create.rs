//! CREATE and DROP.

use super::cursor::{Cursor, Parsed};
use super::query::query;
use crate::ast::{
    Check, ColumnDefinition, CreateAs, CreateHead, CreateSource, KeyWord, Name, RelationWord, StatementKind,
    Watermark, WithOption,
};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use sqlparser::tokenizer::Token;
use std::sync::Arc;

/// What stands in the parentheses of CREATE.
#[derive(Default)]
struct Elements {
    columns: Vec<ColumnDefinition>,
    primary_key: Vec<Name>,
    checks: Vec<Check>,
    watermark: Option<Watermark>,
}

/// Behind CREATE.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Parsed<StatementKind> {
    let or_replace = cursor.eat(&["OR", "REPLACE"]);
    let kind = relation_word(cursor)?;
    let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name("a name")?;
    if or_replace && if_not_exists {
        let message = "OR REPLACE and IF NOT EXISTS exclude each other";
        return Err(Diagnostic::new(ErrorCode::Parse, name.span, message));
    }
    let head = CreateHead { or_replace, kind, if_not_exists, name };
    let elements_at = cursor.here();
    let elements = if *cursor.token(0) == Token::LParen { elements(cursor)? } else { Elements::default() };
    let options_at = cursor.here();
    let options = if cursor.eat(&["WITH"]) { cursor.parenthesised(option)? } else { Vec::new() };
    if cursor.eat(&["AS"]) {
        let query = query(cursor)?;
        refuse_declarations(&head, &elements, elements_at)?;
        if kind == RelationWord::View && !options.is_empty() {
            return Err(super::unsupported(options_at, "WITH of a view"));
        }
        return Ok(StatementKind::CreateAs(CreateAs { head, checks: elements.checks, options, query }));
    }
    if !matches!(kind, RelationWord::Stream | RelationWord::Table) {
        return Err(cursor.unexpected("AS"));
    }
    if elements.columns.is_empty() && options.is_empty() {
        return Err(cursor.unexpected("columns, WITH or AS"));
    }
    let Elements { columns, primary_key, checks, watermark } = elements;
    Ok(StatementKind::CreateSource(CreateSource { head, columns, primary_key, checks, watermark, options }))
}

fn relation_word(cursor: &mut Cursor<'_>) -> Parsed<RelationWord> {
    let words: [(&[&str], RelationWord); 4] = [
        (&["STREAM"], RelationWord::Stream),
        (&["TABLE"], RelationWord::Table),
        (&["VIEW"], RelationWord::View),
        (&["MATERIALIZED", "VIEW"], RelationWord::MaterializedView),
    ];
    for (words, kind) in words {
        if cursor.eat(words) {
            return Ok(kind);
        }
    }
    for other in
        ["TYPE", "FUNCTION", "INDEX", "SCHEMA", "DATABASE", "TEMPORARY", "SOURCE", "SINK", "CONNECTOR"]
    {
        if cursor.is_word(other) {
            return Err(cursor.unsupported(other));
        }
    }
    Err(cursor.unexpected("STREAM, TABLE, VIEW or MATERIALIZED VIEW"))
}

/// A derived relation takes its columns, key and time from its query.
fn refuse_declarations(head: &CreateHead, elements: &Elements, span: Span) -> Parsed<()> {
    let first_column = elements.columns.first().map(|column| column.name.span);
    if let Some(span) = first_column {
        return Err(super::unsupported(span, "a column list in CREATE ... AS")
            .with_hint("the columns are those of the SELECT"));
    }
    if let Some(key) = elements.primary_key.first() {
        return Err(super::unsupported(key.span, "PRIMARY KEY in CREATE ... AS")
            .with_hint("the key is inferred from the SELECT"));
    }
    if let Some(watermark) = &elements.watermark {
        return Err(super::unsupported(watermark.column.span, "WATERMARK in CREATE ... AS"));
    }
    if head.kind == RelationWord::View && !elements.checks.is_empty() {
        return Err(super::unsupported(span, "CHECK of a view"));
    }
    Ok(())
}

fn elements(cursor: &mut Cursor<'_>) -> Parsed<Elements> {
    let mut elements = Elements::default();
    cursor.parenthesised(|cursor| element(cursor, &mut elements))?;
    Ok(elements)
}

fn element(cursor: &mut Cursor<'_>, elements: &mut Elements) -> Parsed<()> {
    if cursor.are_words(&["WATERMARK", "FOR"]) {
        if elements.watermark.is_some() {
            return Err(Diagnostic::new(ErrorCode::Parse, cursor.here(), "WATERMARK stands here twice"));
        }
        cursor.expect(&["WATERMARK", "FOR"])?;
        let column = cursor.name("a column")?;
        cursor.expect(&["AS"])?;
        elements.watermark = Some(Watermark { column, delayed: cursor.expr()? });
        return Ok(());
    }
    if cursor.is_word("CONSTRAINT") {
        return Err(cursor.unsupported("a named CONSTRAINT"));
    }
    if cursor.is_word("CHECK") && *cursor.token(1) == Token::LParen {
        let check = check(cursor)?;
        elements.checks.push(check);
        return Ok(());
    }
    if cursor.are_words(&["PRIMARY", "KEY"]) {
        if !elements.primary_key.is_empty() {
            return Err(Diagnostic::new(ErrorCode::Parse, cursor.here(), "PRIMARY KEY stands here twice"));
        }
        cursor.expect(&["PRIMARY", "KEY"])?;
        elements.primary_key = cursor.parenthesised(|cursor| cursor.name("a column"))?;
        return Ok(());
    }
    for word in ["UNIQUE", "FOREIGN"] {
        if cursor.is_word(word) && (cursor.is_word_at(1, "KEY") || *cursor.token(1) == Token::LParen) {
            return Err(cursor.unsupported(word));
        }
    }
    let column = column(cursor, &mut elements.checks)?;
    elements.columns.push(column);
    Ok(())
}

fn column(cursor: &mut Cursor<'_>, checks: &mut Vec<Check>) -> Parsed<ColumnDefinition> {
    let name = cursor.name("a column")?;
    let type_at = cursor.here();
    for nested in ["ARRAY", "MAP", "STRUCT", "ROW", "JSON", "JSONB"] {
        if cursor.is_word(nested) {
            return Err(cursor.unsupported(&format!("type {nested}")));
        }
    }
    let data_type = cursor.data_type()?;
    let type_span = cursor.since(type_at);
    let mut column = ColumnDefinition { name, data_type, type_span, not_null: false, key: None };
    loop {
        let span = cursor.here();
        if cursor.eat(&["NOT", "NULL"]) {
            column.not_null = true;
        } else if cursor.eat(&["PRIMARY", "KEY"]) {
            column.key = Some(KeyWord { primary: true, span: cursor.since(span) });
        } else if cursor.eat(&["KEY"]) {
            column.key = Some(KeyWord { primary: false, span });
        } else if cursor.is_word("CHECK") {
            let check = check(cursor)?;
            checks.push(check);
        } else if cursor.is_word("NULL") && !column.not_null {
            cursor.advance();
        } else {
            return refuse_column_options(cursor).map(|()| column);
        }
    }
}

fn refuse_column_options(cursor: &Cursor<'_>) -> Parsed<()> {
    let words =
        ["DEFAULT", "UNIQUE", "REFERENCES", "GENERATED", "COLLATE", "CONSTRAINT", "METADATA", "HEADERS"];
    match words.iter().find(|word| cursor.is_word(word)) {
        Some(word) => Err(cursor.unsupported(word)),
        None => Ok(()),
    }
}

fn check(cursor: &mut Cursor<'_>) -> Parsed<Check> {
    cursor.expect(&["CHECK"])?;
    cursor.expect_token(&Token::LParen)?;
    let start = cursor.here();
    let condition = cursor.expr()?;
    let text = cursor.slice(cursor.since(start));
    cursor.expect_token(&Token::RParen)?;
    Ok(Check { condition, text })
}

fn option(cursor: &mut Cursor<'_>) -> Parsed<WithOption> {
    let span = cursor.here();
    let key = match cursor.token(0) {
        Token::SingleQuotedString(_) => Name { value: cursor.string("an option")?, quoted: true, span },
        _ => cursor.name("an option")?,
    };
    cursor.expect_token(&Token::Eq)?;
    let (value, value_span) = option_value(cursor)?;
    Ok(WithOption { key, value, value_span })
}

/// The value of an option as text: a text in quotes, a number or a word.
pub(super) fn option_value(cursor: &mut Cursor<'_>) -> Parsed<(Arc<str>, Span)> {
    let span = cursor.here();
    let value: Arc<str> = match cursor.token(0) {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.as_str().into(),
        Token::Number(number, false) => number.as_str().into(),
        Token::Word(word) if word.quote_style.is_none() => word.value.as_str().into(),
        _ => return Err(cursor.unexpected("a value in quotes")),
    };
    cursor.advance();
    Ok((value, span))
}

/// Behind DROP.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Parsed<StatementKind> {
    let kind = relation_word(cursor)?;
    let if_exists = cursor.eat(&["IF", "EXISTS"]);
    let name = cursor.name("a name")?;
    if cursor.is_word("CASCADE") {
        return Err(cursor.unsupported("DROP ... CASCADE"));
    }
    Ok(StatementKind::Drop { kind, if_exists, name })
}
