//! The one public error: a code, a sentence, and its place in the text or in the data.

use std::fmt;
use velostream_engine::error::{EngineError, RecordError};
use velostream_sql::diagnostic::{Diagnostic, Diagnostics, ErrorCode};

/// Why a call or a query failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What kind of error.
    pub code: ErrorCode,
    /// What happened: one sentence without a full stop. Of several errors in one text, the first.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Line in the SQL text, from 1; 0 when the error has no place there.
    pub line: u32,
    /// Column in the SQL text, from 1.
    pub column: u32,
    /// Line of the end of the place.
    pub end_line: u32,
    /// Column just behind the place.
    pub end_column: u32,
    /// Position of the record in the rows of the call.
    pub index: Option<u32>,
    /// The relation that the record was for.
    pub relation: Option<String>,
    /// The column that it does not fit.
    pub field: Option<String>,
    /// All errors of the text, in the order of their places; empty for errors that concern no text.
    pub diagnostics: Vec<Diagnostic>,
    /// All errors of the text, each with its caret line, as a terminal shows them.
    pub rendered: Option<String>,
}

/// Result of the runtime's fallible calls.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a place.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            line: 0,
            column: 0,
            end_line: 0,
            end_column: 0,
            index: None,
            relation: None,
            field: None,
            diagnostics: Vec::new(),
            rendered: None,
        }
    }

    /// The errors of one text.
    #[must_use]
    pub fn of_text(diagnostics: Diagnostics, text: &str) -> Self {
        let diagnostics = diagnostics.0;
        let rendered = diagnostics.iter().map(|one| one.render(text)).collect::<Vec<_>>().join("\n");
        let mut error = match diagnostics.first() {
            None => return Self::new(ErrorCode::Internal, "an error without a description"),
            Some(first) => Self::new(first.code, first.message.clone()),
        };
        if let Some(first) = diagnostics.first() {
            error.hint.clone_from(&first.hint);
            error.line = first.span.line;
            error.column = first.span.column;
            error.end_line = first.span.end_line;
            error.end_column = first.span.end_column;
        }
        error.rendered = Some(rendered);
        error.diagnostics = diagnostics;
        error
    }

    /// The same, saying what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, of the record at `index` of the rows given for `relation`.
    #[must_use]
    pub fn at_record(mut self, relation: &str, index: u32) -> Self {
        self.relation = Some(relation.to_owned());
        self.index = Some(index);
        self
    }

    /// The same, of one column.
    #[must_use]
    pub fn at_field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Self {
        Self::new(error.code, error.message)
    }
}
