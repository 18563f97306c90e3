//! What a processor may use at most.

/// Limits of one processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// State of all operators together, bytes.
    pub state_bytes: u64,
    /// Bytes that an operator without groups and rows may keep, since they will be needed again; one that holds more
    /// gives all back.
    pub spare_bytes: usize,
}

impl Default for Limits {
    /// No limit to the state; little is kept without need.
    fn default() -> Self {
        Self { state_bytes: u64::MAX, spare_bytes: 16 * 1024 }
    }
}
