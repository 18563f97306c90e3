//! Errors of the engine: those of one record, and those that end a processor.

use std::borrow::Cow;
use velostream_sql::diagnostic::ErrorCode;

/// Why one record cannot be processed. The record is undone whole; the others go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RecordError {
    /// RECORD or CONSTRAINT.
    pub code: ErrorCode,
    /// One sentence, lower case, e.g. `division by zero`.
    pub message: Cow<'static, str>,
}

impl RecordError {
    /// A RECORD error.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: ErrorCode::Record, message: message.into() }
    }

    /// A CONSTRAINT error: NOT NULL or CHECK.
    pub fn constraint(message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: ErrorCode::Constraint, message: message.into() }
    }
}

/// Why a processor cannot be made or cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The plan asks for something this build has not; names it.
    #[error("{0}")]
    Unsupported(String),
    /// State grew past its limit.
    #[error("state of {used} bytes is past the limit of {limit} bytes")]
    Limit {
        /// Bytes in use.
        used: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A snapshot that does not belong to this plan, or is damaged.
    #[error("snapshot cannot be restored: {0}")]
    Snapshot(String),
    /// A call out of order, e.g. `commit` without `begin`.
    #[error("{0}")]
    State(&'static str),
}

impl EngineError {
    /// The public code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unsupported(_) => ErrorCode::Unsupported,
            Self::Limit { .. } => ErrorCode::Limit,
            Self::Snapshot(_) | Self::State(_) => ErrorCode::State,
        }
    }
}

/// Result of the engine's fallible calls.
pub type Result<T> = std::result::Result<T, EngineError>;

/// Records of a call that are not in the answer; reused by the caller.
#[derive(Debug, Default)]
pub struct Rejects {
    /// Records that failed and were undone, in order of their rows.
    pub failed: Vec<Reject>,
    /// Records that some window left out because they came too late: row, and by how many microseconds.
    pub late: Vec<(u32, i64)>,
}

/// One refused record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its row in the batch that was given.
    pub row: u32,
    /// Why.
    pub error: RecordError,
}

impl Rejects {
    /// Takes everything out and keeps the buffers.
    pub fn clear(&mut self) {
        self.failed.clear();
        self.late.clear();
    }
}
