//! Regular expressions, in the syntax of the regex crate; `(?i)` and the like work in patterns.

use crate::error::RecordError;
use crate::functions::example::{Null, fails};
use crate::functions::overload::scalar_functions;
use regex::{Captures, Regex, RegexBuilder};

/// Largest size of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The pattern compiled last; rows mostly share one.
#[derive(Default)]
struct Pattern {
    compiled: Option<(String, String, Regex)>,
}

impl Pattern {
    fn get(&mut self, pattern: &str, flags: &str) -> Result<&Regex, RecordError> {
        let known = self.compiled.as_ref().is_some_and(|(of, with, _)| of == pattern && with == flags);
        if !known {
            self.compiled = Some((pattern.to_owned(), flags.to_owned(), compile(pattern, flags)?));
        }
        let (_, _, regex) = self.compiled.as_ref().expect("a pattern was compiled");
        Ok(regex)
    }
}

fn compile(pattern: &str, flags: &str) -> Result<Regex, RecordError> {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(PATTERN_BYTES_MAX);
    for flag in flags.chars() {
        match flag {
            'g' => {}
            'i' => drop(builder.case_insensitive(true)),
            'c' => drop(builder.case_insensitive(false)),
            'm' | 'n' => drop(builder.multi_line(true)),
            's' => drop(builder.dot_matches_new_line(true)),
            'x' => drop(builder.ignore_whitespace(true)),
            _ => return Err(RecordError::new(format!("invalid regular expression option: \"{flag}\""))),
        }
    }
    builder.build().map_err(|_| RecordError::new(format!("invalid regular expression: \"{pattern}\"")))
}

/// Appends the replacement: `\1` to `\9` are groups, `\&` the match, `\\` a backslash.
fn expand(replacement: &str, captures: &Captures<'_>, out: &mut String) {
    let mut characters = replacement.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('&') => out.push_str(&captures[0]),
            Some(digit @ '1'..='9') => {
                let group = captures.get(digit as usize - '0' as usize);
                out.push_str(group.map_or("", |group| group.as_str()));
            }
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
}

fn replace(text: &str, regex: &Regex, replacement: &str, all: bool, out: &mut String) {
    let mut end = 0;
    for captures in regex.captures_iter(text).take(if all { usize::MAX } else { 1 }) {
        let whole = captures.get(0).expect("group 0 is the match");
        out.push_str(&text[end..whole.start()]);
        expand(replacement, &captures, out);
        end = whole.end();
    }
    out.push_str(&text[end..]);
}

/// Appends a group of the first match; `None` where there is none.
fn extract(text: &str, regex: &Regex, group: i32, out: &mut String) -> Result<Option<()>, RecordError> {
    let group = usize::try_from(group).ok().filter(|&group| group < regex.captures_len());
    let Some(group) = group else {
        return Err(RecordError::new("the regular expression has no such group"));
    };
    let found = regex.captures(text).and_then(|captures| captures.get(group).map(|found| found.as_str()));
    Ok(found.map(|found| out.push_str(found)))
}

scalar_functions! { "Regular expressions";
    /// Whether `pattern` matches some part of the text. Flags: `i` any case, `s` dot matches newlines, `m`
    /// `^` and `$` match at lines, `x` spaces in the pattern do not count.
    REGEXP_LIKE {
        [(text: Text, pattern: Text) with compiled: Pattern => Boolean or error {
            Ok(compiled.get(pattern, "")?.is_match(text))
        }]
        [(text: Text, pattern: Text, flags: Text) with compiled: Pattern => Boolean or error {
            Ok(compiled.get(pattern, flags)?.is_match(text))
        }]
        ("Hello World", "w.r") => false;
        ("Hello World", "w.r", "i") => true;
        (Null, "a") => Null;
        ("a", "(") => fails("invalid regular expression: \"(\"");
    }
    /// The first match of `pattern` replaced; every match with the flag `g`. In `replacement`, `\1` to `\9`
    /// are groups and `\&` is the match.
    REGEXP_REPLACE {
        [(text: Text, pattern: Text, replacement: Text) with compiled: Pattern => Text(out) or error {
            replace(text, compiled.get(pattern, "")?, replacement, false, out);
            Ok(())
        }]
        [(text: Text, pattern: Text, replacement: Text, flags: Text) with compiled: Pattern => Text(out) or error {
            replace(text, compiled.get(pattern, flags)?, replacement, flags.contains('g'), out);
            Ok(())
        }]
        ("foobarbaz", "b..", "X") => "fooXbaz";
        ("foobarbaz", "b(.)(.)", "[\\2\\1]", "g") => "foo[ra][za]";
    }
    /// The first match of `pattern`, or its group number `group`; NULL where there is none.
    REGEXP_EXTRACT {
        [(text: Text, pattern: Text) with compiled: Pattern => Text(out) or null or error {
            extract(text, compiled.get(pattern, "")?, 0, out)
        }]
        [(text: Text, pattern: Text, group: Int) with compiled: Pattern => Text(out) or null or error {
            extract(text, compiled.get(pattern, "")?, group, out)
        }]
        ("order 42", "[0-9]+") => "42";
        ("a=1", "(\\w)=(\\d)", 2) => "1";
        ("abc", "[0-9]") => Null;
        ("abc", "b", 1) => fails("the regular expression has no such group");
    }
}
