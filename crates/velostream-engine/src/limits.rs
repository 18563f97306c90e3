//! What a processor may use at most.

/// Limits of one processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// State of all operators together, bytes.
    pub state_bytes: u64,
}

impl Default for Limits {
    /// No limits.
    fn default() -> Self {
        Self { state_bytes: u64::MAX }
    }
}
