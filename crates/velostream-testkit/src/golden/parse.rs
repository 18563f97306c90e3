//! Reads a golden file into items. Knows no types: values stay words until their column is known.

use std::fmt;

/// A golden file, item by item.
#[derive(Debug, Clone)]
pub struct GoldenFile {
    /// Its items in order.
    pub items: Vec<Item>,
}

/// A directive of the file with the indented lines that follow it.
#[derive(Debug, Clone)]
pub struct Item {
    /// Line number of the directive, from 1.
    pub line: usize,
    /// The line after which the expectations stand: that of the directive or of its SQL's last line.
    pub last_line: usize,
    /// What it asks for.
    pub kind: ItemKind,
    /// What it is to cause.
    pub expected: Vec<Expectation>,
}

/// What an item asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemKind {
    /// `only DOOR ...`: the next queries are for these runners alone.
    Only(Vec<String>),
    /// SQL at the left margin.
    Statement(String),
    /// `query [NAME]` and its SQL.
    Query {
        /// Its name; empty where there is one query only.
        name: String,
        /// Its text.
        sql: String,
    },
    /// `all` and its SQL.
    All(String),
    /// `RELATION value ...`
    Record {
        /// The relation.
        relation: String,
        /// One word per column; fewer means that the last ones are missing.
        values: Vec<Word>,
    },
    /// `delete TABLE key ...`
    Delete {
        /// The table.
        relation: String,
        /// One word per column of the primary key.
        key: Vec<Word>,
    },
    /// `advance TIME`
    Advance(Word),
    /// `clock TIME`: what the clock reads from here on.
    Clock(Word),
    /// `end`
    End,
}

/// An indented line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Its line number, from 1.
    pub line: usize,
    /// The query that it is about; empty where there is one only.
    pub query: String,
    /// What it says.
    pub kind: Expected,
}

/// What an indented line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// `+ row`
    Insert(Vec<Word>),
    /// `- row`
    Delete(Vec<Word>),
    /// `~ row`: the new row.
    Update(Vec<Word>),
    /// `late`
    Late,
    /// `reject CODE part of the message`
    Reject {
        /// The code.
        code: String,
        /// Part of the message.
        message: String,
    },
    /// `error CODE LINE:COLUMN part of the message`
    Error {
        /// The code.
        code: String,
        /// `line:column`, from 1, within the item's SQL.
        place: String,
        /// Part of the message.
        message: String,
    },
    /// `hint part of the hint`
    Hint(String),
    /// `columns name TYPE, name TYPE`
    Columns(String),
    /// `key name, name`; `key` alone for none.
    Key(String),
}

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its characters, without quotes.
    pub text: String,
    /// Whether it stood in quotes, so that NULL is a text.
    pub quoted: bool,
}

impl Word {
    /// Whether it stands for NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        !self.quoted && self.text == "NULL"
    }
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// Its number, from 1.
    pub line: usize,
    /// Why.
    pub message: String,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

impl ItemKind {
    /// Whether it is input or a question about the state, so that a query behind it begins a new scene.
    #[must_use]
    pub fn is_step(&self) -> bool {
        match self {
            Self::Record { .. }
            | Self::Delete { .. }
            | Self::Advance(_)
            | Self::Clock(_)
            | Self::End
            | Self::All(_) => true,
            Self::Statement(sql) => is_data_statement(sql),
            Self::Only(_) | Self::Query { .. } => false,
        }
    }
}

impl Item {
    /// Whether the text of the item is to be refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.expected.iter().any(|expected| matches!(expected.kind, Expected::Error { .. }))
    }
}

/// Whether a statement changes rows rather than definitions.
#[must_use]
pub fn is_data_statement(sql: &str) -> bool {
    ["INSERT", "UPDATE", "DELETE"].contains(&first_word(sql)) && !sql.contains("SELECT")
}

/// Reads a file.
pub fn parse(text: &str) -> Result<GoldenFile, FormatError> {
    let mut items: Vec<Item> = Vec::new();
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).peekable();
    while let Some((number, line)) = lines.next() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with(' ') {
            let fail = |message: &str| FormatError { line: number, message: message.to_owned() };
            let expectation = expectation(number, line)?.ok_or_else(|| fail("not an expectation"))?;
            items.last_mut().ok_or_else(|| fail("an expectation of nothing"))?.expected.push(expectation);
            continue;
        }
        let head = first_word(line);
        let takes_sql = matches!(head, "query" | "all");
        let is_statement = head.chars().all(|c| c.is_ascii_uppercase());
        let mut sql: Vec<&str> = if is_statement { vec![line] } else { Vec::new() };
        let mut last_line = number;
        if takes_sql || is_statement {
            while let Some(&(at, next)) = lines.peek().filter(|(_, next)| continues(next, is_statement)) {
                sql.push(next);
                last_line = at;
                lines.next();
            }
        }
        let kind = directive(number, line, head, sql.join("\n"))?;
        items.push(Item { line: number, last_line, kind, expected: Vec::new() });
    }
    Ok(GoldenFile { items })
}

/// Whether a line goes on with the SQL above it. A statement's further lines are indented; those of a query
/// may stand at the margin where they do not begin in lower case as a directive does.
fn continues(line: &str, of_statement: bool) -> bool {
    let trimmed = line.trim_start();
    if line.starts_with(' ') {
        return !trimmed.is_empty() && !is_mark(trimmed);
    }
    !of_statement
        && !line.is_empty()
        && !line.starts_with('#')
        && !line.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Whether an indented line is an expectation rather than SQL.
fn is_mark(trimmed: &str) -> bool {
    let mut words = trimmed.split(' ');
    let (first, second) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    MARKS.contains(&first)
        || first.chars().all(|c| c.is_ascii_lowercase() || c == '_') && MARKS.contains(&second)
}

const MARKS: [&str; 9] = ["+", "-", "~", "late", "reject", "error", "hint", "columns", "key"];

fn first_word(line: &str) -> &str {
    line.split([' ', '\n']).next().unwrap_or("")
}

fn directive(line: usize, text: &str, head: &str, sql: String) -> Result<ItemKind, FormatError> {
    if head.chars().all(|c| c.is_ascii_uppercase()) {
        return Ok(ItemKind::Statement(sql));
    }
    let mut words = words(line, text)?.into_iter().skip(1);
    let needs = |what: &str| FormatError { line, message: format!("{head} needs {what}") };
    Ok(match head {
        "only" => ItemKind::Only(words.map(|word| word.text).collect()),
        "query" => ItemKind::Query { name: words.next().map_or(String::new(), |word| word.text), sql },
        "all" => ItemKind::All(sql),
        "delete" => {
            let relation = words.next().ok_or_else(|| needs("a table"))?.text;
            ItemKind::Delete { relation, key: words.collect() }
        }
        "advance" => ItemKind::Advance(words.next().ok_or_else(|| needs("a time"))?),
        "clock" => ItemKind::Clock(words.next().ok_or_else(|| needs("a time"))?),
        "end" => ItemKind::End,
        relation => ItemKind::Record { relation: relation.to_owned(), values: words.collect() },
    })
}

fn expectation(line: usize, text: &str) -> Result<Option<Expectation>, FormatError> {
    let mut rest = text.trim_start();
    if !is_mark(rest) {
        return Ok(None);
    }
    let mut query = "";
    if !MARKS.contains(&first_word(rest)) {
        query = first_word(rest);
        rest = rest[query.len()..].trim_start();
    }
    let mark = first_word(rest);
    let rest = rest[mark.len()..].trim();
    let plain = rest.split(" #").next().unwrap_or("").trim();
    let mut parts = plain.splitn(2, ' ');
    let code = parts.next().unwrap_or("").to_owned();
    let tail = parts.next().unwrap_or("").trim().to_owned();
    let kind = match mark {
        "+" => Expected::Insert(words(line, rest)?),
        "-" => Expected::Delete(words(line, rest)?),
        "~" => Expected::Update(words(line, rest)?),
        "late" => Expected::Late,
        "reject" => Expected::Reject { code, message: tail },
        "error" => {
            let (place, message) = tail.split_once(' ').unwrap_or((&tail, ""));
            Expected::Error { code, place: place.to_owned(), message: message.to_owned() }
        }
        "hint" => Expected::Hint(plain.to_owned()),
        "columns" => Expected::Columns(plain.to_owned()),
        _ => Expected::Key(plain.to_owned()),
    };
    Ok(Some(Expectation { line, query: query.to_owned(), kind }))
}

/// The words of a line: separated by spaces, `'a b'` one word with `''` for a quote, `#` begins a comment.
fn words(line: usize, text: &str) -> Result<Vec<Word>, FormatError> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let Some(quoted) = rest.strip_prefix('\'') else {
            let end = rest.find(' ').unwrap_or(rest.len());
            words.push(Word { text: rest[..end].to_owned(), quoted: false });
            rest = rest[end..].trim_start();
            continue;
        };
        let mut word = String::new();
        let mut tail = quoted;
        loop {
            let Some(end) = tail.find('\'') else {
                return Err(FormatError { line, message: "a quote that does not end".to_owned() });
            };
            word.push_str(&tail[..end]);
            tail = &tail[end + 1..];
            if !tail.starts_with('\'') {
                break;
            }
            word.push('\'');
            tail = &tail[1..];
        }
        words.push(Word { text: word, quoted: true });
        rest = tail.trim_start();
    }
    Ok(words)
}
