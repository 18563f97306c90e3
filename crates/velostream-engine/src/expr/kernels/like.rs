//! LIKE, ILIKE and `||`.

use crate::column::Column;
use crate::error::RecordError;
use crate::expr::RowErrors;
use crate::expr::kernel::{Args, Kernel, Native, text_out};
use velostream_sql::types::DataType;

/// One element of a LIKE pattern.
#[derive(Debug, PartialEq)]
enum Token {
    /// This character.
    Character(char),
    /// `_`: any one character.
    Any,
    /// `%`: any characters.
    Many,
}

/// How a pattern is matched; the common shapes need no search per character.
#[derive(Debug)]
enum Matcher {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    General(Vec<Token>),
}

impl Matcher {
    fn compile(pattern: &str, escape: Option<char>, fold: bool) -> Result<Self, RecordError> {
        let mut tokens = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            let token = match character {
                _ if Some(character) == escape => {
                    let escaped = characters.next();
                    let escaped = escaped.ok_or_else(|| {
                        RecordError::new("LIKE pattern must not end with its escape character")
                    })?;
                    Token::Character(escaped)
                }
                '%' => Token::Many,
                '_' => Token::Any,
                _ => Token::Character(character),
            };
            match token {
                Token::Many if tokens.last() == Some(&Token::Many) => {}
                Token::Character(c) if fold => tokens.extend(c.to_lowercase().map(Token::Character)),
                token => tokens.push(token),
            }
        }
        Ok(Self::shape(tokens))
    }

    fn shape(tokens: Vec<Token>) -> Self {
        let text = |tokens: &[Token]| -> Option<String> {
            tokens.iter().map(|token| if let Token::Character(c) = token { Some(*c) } else { None }).collect()
        };
        let shape = match tokens.as_slice() {
            [Token::Many, middle @ .., Token::Many] => text(middle).map(Self::Contains),
            [Token::Many, rest @ ..] => text(rest).map(Self::Suffix),
            [rest @ .., Token::Many] => text(rest).map(Self::Prefix),
            all => text(all).map(Self::Exact),
        };
        shape.unwrap_or(Self::General(tokens))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(pattern) => text == pattern,
            Self::Prefix(pattern) => text.starts_with(pattern.as_str()),
            Self::Suffix(pattern) => text.ends_with(pattern.as_str()),
            Self::Contains(pattern) => text.contains(pattern.as_str()),
            Self::General(tokens) => matches_tokens(tokens, text),
        }
    }
}

/// Greedy matching: on a mismatch only the last `%` takes one character more.
fn matches_tokens(tokens: &[Token], text: &str) -> bool {
    let (mut token, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let mut characters = rest.chars();
        let next = characters.next();
        match (tokens.get(token), next) {
            (Some(Token::Many), _) => {
                token += 1;
                retry = Some((token, rest));
                continue;
            }
            (None, None) => return true,
            (Some(Token::Any), Some(_)) => {
                (token, rest) = (token + 1, characters.as_str());
                continue;
            }
            (Some(Token::Character(wanted)), Some(found)) if *wanted == found => {
                (token, rest) = (token + 1, characters.as_str());
                continue;
            }
            _ => {}
        }
        let Some((after, from)) = retry else { return false };
        let mut characters = from.chars();
        if characters.next().is_none() {
            return false;
        }
        (token, rest) = (after, characters.as_str());
        retry = Some((after, rest));
    }
}

/// `text LIKE pattern`. A pattern is compiled when it differs from the row before.
pub(in crate::expr) fn like(escape: Option<char>, fold: bool, negated: bool) -> Kernel {
    let mut compiled: Option<(String, Matcher)> = None;
    let mut lowered = String::new();
    Kernel::fallible(move |args: &Args<'_>, out: &mut Column, errors: &mut RowErrors| {
        let (texts, patterns) = (args.text(0), args.text(1));
        let truth = u8::vector(&mut out.values);
        truth.clear();
        for row in 0..args.rows {
            truth.push(0);
            if !args.is_live(row) {
                continue;
            }
            let pattern = patterns.str(row);
            if compiled.as_ref().is_none_or(|(of, _)| of != pattern) {
                match Matcher::compile(pattern, escape, fold) {
                    Ok(matcher) => compiled = Some((pattern.to_owned(), matcher)),
                    Err(error) => {
                        errors.push((row as u32, error));
                        continue;
                    }
                }
            }
            let mut text = texts.str(row);
            if fold {
                lowered.clear();
                lowered.extend(text.chars().flat_map(char::to_lowercase));
                text = &lowered;
            }
            let matches = compiled.as_ref().is_some_and(|(_, matcher)| matcher.matches(text));
            truth[row] = u8::from(matches != negated);
        }
    })
}

/// `a || b` of two texts or two byte strings.
pub(in crate::expr) fn concat(left: DataType, right: DataType) -> Option<Kernel> {
    if left != right || !matches!(left, DataType::String | DataType::Bytes) {
        return None;
    }
    let mut buffer = Vec::new();
    Some(Kernel::strict(move |args, out| {
        let (a, b, out) = (args.text(0), args.text(1), text_out(out));
        out.truncate(0);
        for row in 0..args.rows {
            buffer.clear();
            buffer.extend_from_slice(a.get(row));
            buffer.extend_from_slice(b.get(row));
            out.push(&buffer);
        }
    }))
}
