//! SET: options of the engine for what starts after it.

use super::Engine;
use crate::error::{Error, Result};
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::interval::parse_duration;

/// The settings, by the name that SET takes, in the order of `EngineOptions`.
const NAMES: [&str; 5] = ["mailbox_batches", "mailbox_bytes", "output_rows", "output_bytes", "default_grace"];

impl Engine {
    /// Sets an option for the queries that start from now on; running ones keep theirs.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let options = &mut self.options;
        match key.to_ascii_lowercase().as_str() {
            "mailbox_batches" => options.mailbox_batches = count(key, value)?,
            "mailbox_bytes" => options.mailbox_bytes = count(key, value)?,
            "output_rows" => options.output_rows = count(key, value)?,
            "output_bytes" => options.output_bytes = count(key, value)?,
            "default_grace" => {
                options.default_grace_micros = parse_duration(value)
                    .ok_or_else(|| unfit(key, value, "a duration such as '1 minute'"))?;
            }
            _ => {
                let error = Error::new(ErrorCode::UnknownName, format!("no setting \"{key}\""));
                return Err(error.with_hint(format!("the settings are {}", NAMES.join(", "))));
            }
        }
        Ok(())
    }
}

fn count(key: &str, value: &str) -> Result<usize> {
    let count = value.trim().parse().ok().filter(|&count| count > 0);
    count.ok_or_else(|| unfit(key, value, "a positive whole number"))
}

fn unfit(key: &str, value: &str, expected: &str) -> Error {
    Error::new(ErrorCode::Argument, format!("{key} takes {expected}, not '{value}'"))
}
