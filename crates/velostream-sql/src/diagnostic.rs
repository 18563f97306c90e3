//! Errors in a text: code, place, caret line and hint. All that are found in one text travel together.

use std::fmt;

/// The public error codes; in JavaScript they read `ERR_VELO_` and this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The text is not SQL.
    Parse,
    /// A name that means nothing here.
    UnknownName,
    /// Types that do not fit.
    Type,
    /// Something the dialect has not, or not yet.
    Unsupported,
    /// A name that is taken.
    Exists,
    /// A relation that another query reads.
    InUse,
    /// An argument of a call that is wrong.
    Argument,
    /// A record that cannot be processed.
    Record,
    /// A record that violates NOT NULL or CHECK.
    Constraint,
    /// An updating result where an append-only one is needed.
    Updating,
    /// A limit that was reached.
    Limit,
    /// The engine or query is closed.
    Closed,
    /// The call does not fit the state.
    State,
    /// A file or stream that cannot be read or written.
    Io,
    /// A fault of Velostream's own.
    Internal,
}

impl ErrorCode {
    /// The name as it stands in messages, e.g. `UNKNOWN_NAME`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "PARSE",
            Self::UnknownName => "UNKNOWN_NAME",
            Self::Type => "TYPE",
            Self::Unsupported => "UNSUPPORTED",
            Self::Exists => "EXISTS",
            Self::InUse => "IN_USE",
            Self::Argument => "ARGUMENT",
            Self::Record => "RECORD",
            Self::Constraint => "CONSTRAINT",
            Self::Updating => "UPDATING",
            Self::Limit => "LIMIT",
            Self::Closed => "CLOSED",
            Self::State => "STATE",
            Self::Io => "IO",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A stretch of the text. Lines and columns count from 1; columns are characters; the end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Line of the first character; 0 when the place is unknown.
    pub line: u32,
    /// Column of the first character.
    pub column: u32,
    /// Line of the end.
    pub end_line: u32,
    /// Column just behind the last character.
    pub end_column: u32,
}

/// One error in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of error.
    pub code: ErrorCode,
    /// One sentence without a full stop, lower case.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to do about it, e.g. `did you mean symbol?`.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error without a hint.
    pub fn new(code: ErrorCode, span: Span, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span, hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error with the offending line of `text` and a caret line below it.
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        let Span { line, column, end_line, end_column } = self.span;
        let mut shown = format!("error[{}]: {}", self.code.as_str(), self.message);
        let source = (line as usize).checked_sub(1).and_then(|index| text.lines().nth(index));
        let Some(source) = source else {
            if let Some(hint) = &self.hint {
                shown.push_str(&format!("\n  = {hint}"));
            }
            return shown;
        };
        let margin = " ".repeat(line.to_string().len());
        let last = if end_line == line { end_column } else { source.chars().count() as u32 + 1 };
        let lead: String = source
            .chars()
            .take((column as usize).saturating_sub(1))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let carets = "^".repeat(last.saturating_sub(column).max(1) as usize);
        shown.push_str(&format!(
            "\n{margin}--> {line}:{column}\n{margin} |\n{line} | {source}\n{margin} | {lead}{carets}"
        ));
        if let Some(hint) = &self.hint {
            shown.push_str(&format!(" {hint}"));
        }
        shown
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{} {}", self.code.as_str(), self.span.line, self.span.column, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// All errors found in one text, in the order of their places; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}
