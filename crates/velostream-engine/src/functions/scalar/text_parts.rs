//! Functions that find and take parts of texts. Positions count characters from 1.

use crate::error::RecordError;
use crate::functions::example::{Null, fails};
use crate::functions::overload::scalar_functions;

/// The characters from `skip` on, at most `take`.
fn slice(text: &str, skip: usize, take: usize) -> &str {
    let from = text.char_indices().nth(skip).map_or(text.len(), |(at, _)| at);
    let rest = &text[from..];
    rest.char_indices().nth(take).map_or(rest, |(end, _)| &rest[..end])
}

fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn left(text: &str, length: i32) -> &str {
    let length = i64::from(length);
    let take = if length >= 0 { length } else { text.chars().count() as i64 + length };
    slice(text, 0, count(take))
}

fn right(text: &str, length: i32) -> &str {
    let length = i64::from(length);
    let skip = if length >= 0 { text.chars().count() as i64 - length } else { -length };
    slice(text, count(skip), usize::MAX)
}

/// The characters at positions `start` to `start + length - 1`, as far as there are such.
fn substring(text: &str, start: i32, length: i32) -> Result<&str, RecordError> {
    if length < 0 {
        return Err(RecordError::new("negative substring length not allowed"));
    }
    let (first, end) = (i64::from(start).max(1), i64::from(start) + i64::from(length));
    Ok(slice(text, count(first - 1), count(end - first)))
}

fn position(text: &str, part: &str) -> i32 {
    text.find(part).map_or(0, |at| text[..at].chars().count() as i32 + 1)
}

fn replace(text: &str, from: &str, to: &str, out: &mut String) {
    if from.is_empty() {
        return out.push_str(text);
    }
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        out.push_str(&rest[..at]);
        out.push_str(to);
        rest = &rest[at + from.len()..];
    }
    out.push_str(rest);
}

fn split_part<'a>(text: &'a str, delimiter: &str, index: i32) -> Result<&'a str, RecordError> {
    if index == 0 {
        return Err(RecordError::new("index must not be 0"));
    }
    if delimiter.is_empty() {
        return Ok(if index.abs() == 1 { text } else { "" });
    }
    let place = index.unsigned_abs() as usize - 1;
    let part = if index > 0 { text.split(delimiter).nth(place) } else { text.rsplit(delimiter).nth(place) };
    Ok(part.unwrap_or_default())
}

fn translate(text: &str, from: &str, to: &str, out: &mut String) {
    for character in text.chars() {
        match from.chars().position(|candidate| candidate == character) {
            None => out.push(character),
            Some(place) => out.extend(to.chars().nth(place)),
        }
    }
}

scalar_functions! { "Parts of texts";
    /// The first `length` characters; all but the last ones if `length` is negative.
    LEFT {
        [(text: Text, length: Int) => Text(out) { out.push_str(left(text, length)) }]
        ("abcde", 2) => "ab";
        ("abcde", -2) => "abc";
        ("ab", 5) => "ab";
    }
    /// The last `length` characters; all but the first ones if `length` is negative.
    RIGHT {
        [(text: Text, length: Int) => Text(out) { out.push_str(right(text, length)) }]
        ("abcde", 2) => "de";
        ("abcde", -2) => "cde";
    }
    /// The characters from position `start` on, at most `length` of them.
    SUBSTRING SUBSTR {
        [(text: Text, start: Int) => Text(out) {
            out.push_str(slice(text, count(i64::from(start) - 1), usize::MAX))
        }]
        [(text: Text, start: Int, length: Int) => Text(out) or error {
            out.push_str(substring(text, start, length)?);
            Ok(())
        }]
        ("alphabet", 3) => "phabet";
        ("alphabet", 3, 2) => "ph";
        ("alphabet", -1, 4) => "al";
        ("alphabet", 3, -1) => fails("negative substring length not allowed");
        (Null, 1) => Null;
    }
    /// The position of the first `part` in the text; 0 if there is none.
    INSTR STRPOS {
        [(text: Text, part: Text) => Int { position(text, part) }]
        ("héllo", "l") => 3;
        ("abc", "x") => 0;
    }
    /// Every `from` in the text replaced with `to`.
    REPLACE {
        [(text: Text, from: Text, to: Text) => Text(out) { replace(text, from, to, out) }]
        ("a-b-c", "-", "+") => "a+b+c";
        ("abc", "", "x") => "abc";
    }
    /// The part of the text before, between or after occurrences of `delimiter`, counted from 1; from the
    /// end if negative; empty beyond the last.
    SPLIT_PART {
        [(text: Text, delimiter: Text, index: Int) => Text(out) or error {
            out.push_str(split_part(text, delimiter, index)?);
            Ok(())
        }]
        ("a,b,c", ",", 2) => "b";
        ("a,b,c", ",", -1) => "c";
        ("a,b,c", ",", 4) => "";
        (Null, ",", 1) => Null;
        ("a", ",", 0) => fails("index must not be 0");
    }
    /// Whether the text starts with `prefix`.
    STARTS_WITH {
        [(text: Text, prefix: Text) => Boolean { text.starts_with(prefix) }]
        ("alphabet", "alph") => true;
    }
    /// Whether the text ends with `suffix`.
    ENDS_WITH {
        [(text: Text, suffix: Text) => Boolean { text.ends_with(suffix) }]
        ("alphabet", "bet") => true;
    }
    /// Whether `part` stands anywhere in the text.
    CONTAINS {
        [(text: Text, part: Text) => Boolean { text.contains(part) }]
        ("alphabet", "hab") => true;
        ("alphabet", "xyz") => false;
    }
    /// Each character that stands in `from` replaced with the one at its place in `to`; left out where `to`
    /// is shorter.
    TRANSLATE {
        [(text: Text, from: Text, to: Text) => Text(out) { translate(text, from, to, out) }]
        ("12345", "143", "ax") => "a2x5";
    }
}
