//! What OVER has beyond sqlparser's grammar: row buffers, and windows with names.

use super::cursor::{Cursor, Parsed};
use super::source::span_of;
use crate::ast::Name;
use crate::diagnostic::{Diagnostic, ErrorCode};
use sqlparser::ast as syntax;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// `WINDOW name AS (...), ...`, if it stands here.
pub(super) fn named_windows(cursor: &mut Cursor<'_>) -> Parsed<Vec<(Name, syntax::WindowSpec)>> {
    if !cursor.is_word("WINDOW") || !cursor.is_word_at(2, "AS") {
        return Ok(Vec::new());
    }
    cursor.advance();
    cursor.list(|cursor| {
        let name = cursor.name("a name")?;
        cursor.expect(&["AS"])?;
        Ok((name, cursor.window_specification()?))
    })
}

/// The tokens with each `ROWS WINDOW BUFFER n ROWS` in the brackets behind OVER or AS as the frame that it means: the
/// last `n` rows, the row itself among them. From their beginning the frame goes to their end, where SQL has it.
pub(super) fn buffers_as_frames(tokens: Vec<TokenWithSpan>) -> Parsed<Vec<TokenWithSpan>> {
    if !tokens.iter().any(|token| is_word(token, "BUFFER")) {
        return Ok(tokens);
    }
    let solid = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let mut ahead: Vec<TokenWithSpan> = solid.rev().collect();
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(ahead.len());
    // The frames that wait for their brackets to close, with the depth of those.
    let mut waiting: Vec<(usize, [TokenWithSpan; 3])> = Vec::new();
    let mut depth = 0_usize;
    loop {
        let begins = out.last().is_some_and(|token| token.token == Token::LParen);
        if (begins || counts_buffer(&ahead))
            && let Some(frame) = buffer(&mut ahead)?
        {
            if begins { waiting.push((depth, frame)) } else { out.extend(frame) }
        }
        let Some(token) = ahead.pop() else { return Ok(out) };
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                if let Some((_, frame)) = waiting.pop_if(|(at, _)| *at == depth) {
                    out.extend(frame);
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        out.push(token);
    }
}

/// Whether a number stands where `ROWS WINDOW BUFFER` has it: elsewhere these may be names.
fn counts_buffer(ahead: &[TokenWithSpan]) -> bool {
    matches!(ahead, [.., count, _, _, _] if matches!(count.token, Token::Number(..)))
}

fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(found)
        if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

/// Takes `ROWS WINDOW BUFFER n ROWS` from the tokens ahead, which stand in reverse, and gives `ROWS m PRECEDING`.
fn buffer(ahead: &mut Vec<TokenWithSpan>) -> Parsed<Option<[TokenWithSpan; 3]>> {
    let [.., last, count, third, second, first] = ahead.as_slice() else {
        return Ok(None);
    };
    let begins = [first, second, third].into_iter().zip(["ROWS", "WINDOW", "BUFFER"]);
    if !begins.into_iter().all(|(token, word)| is_word(token, word)) {
        return Ok(None);
    }
    let rows = match &count.token {
        Token::Number(digits, false) if is_word(last, "ROWS") => digits.parse::<u32>().ok(),
        _ => None,
    };
    let Some(preceding) = rows.and_then(|rows| rows.checked_sub(1)) else {
        let message = "ROWS WINDOW BUFFER takes a number of rows: BUFFER 100 ROWS";
        return Err(Diagnostic::new(ErrorCode::Parse, span_of(count.span), message));
    };
    let at = |token: Token| TokenWithSpan::new(token, count.span);
    let frame = [
        at(Token::make_keyword("ROWS")),
        at(Token::Number(preceding.to_string(), false)),
        at(Token::make_word("PRECEDING", None)),
    ];
    debug_assert!(matches!(&frame[2].token, Token::Word(word) if word.keyword == Keyword::PRECEDING));
    ahead.truncate(ahead.len() - 5);
    Ok(Some(frame))
}
