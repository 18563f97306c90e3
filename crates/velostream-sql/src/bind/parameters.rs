//! The values given for `?`, `$1`, `:name` and `$name`.

use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::plan::Literal;
use crate::suggest::did_you_mean;
use crate::types::DataType;

/// Values for the parameters of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Params {
    /// For `?` in order and for `$1`, `$2`.
    Positional(Vec<(Literal, DataType)>),
    /// For `:name` and `$name`.
    Named(Vec<(String, (Literal, DataType))>),
}

impl Default for Params {
    fn default() -> Self {
        Self::Positional(Vec::new())
    }
}

/// The values, and which of them the text has used.
pub(super) struct Parameters<'a> {
    params: &'a Params,
    used: Vec<bool>,
    reads: usize,
}

impl<'a> Parameters<'a> {
    pub fn new(params: &'a Params) -> Self {
        let count = match params {
            Params::Positional(values) => values.len(),
            Params::Named(values) => values.len(),
        };
        Self { params, used: vec![false; count], reads: 0 }
    }

    /// The value of a placeholder as the text has it: `?1` (numbered by the parser), `$1`, `:name`, `$name`.
    pub fn value(&mut self, placeholder: &str, span: Span) -> Result<(Literal, DataType), Diagnostic> {
        let error = |message: String| Diagnostic::new(ErrorCode::Argument, span, message);
        let name = placeholder.get(1..).unwrap_or_default();
        self.reads += 1;
        if let Ok(number) = name.parse::<usize>() {
            let Params::Positional(values) = self.params else {
                return Err(error(format!("parameter {number} is missing: the parameters have names")));
            };
            let index = number.wrapping_sub(1);
            let Some(value) = values.get(index) else {
                return Err(error(format!("parameter {number} is missing: {} given", values.len())));
            };
            self.used[index] = true;
            return Ok(value.clone());
        }
        let Params::Named(values) = self.params else {
            return Err(error(format!("parameter {placeholder} is missing: the parameters have no names")));
        };
        let Some(index) = values.iter().position(|(known, _)| known == name) else {
            let mut missing = error(format!("parameter {placeholder} is missing"));
            missing.hint = did_you_mean(name, values.iter().map(|(known, _)| known.as_str()));
            return Err(missing);
        };
        self.used[index] = true;
        Ok(values[index].1.clone())
    }

    /// How many placeholders have been read so far.
    pub fn used_count(&self) -> usize {
        self.reads
    }

    /// An error for each value that no placeholder asked for.
    pub fn unused(&self) -> Vec<Diagnostic> {
        let unused = self.used.iter().enumerate().filter(|(_, used)| !**used);
        let describe = |index: usize| match self.params {
            Params::Positional(_) => format!("parameter {} is not used", index + 1),
            Params::Named(values) => format!("parameter {} is not used", values[index].0),
        };
        unused
            .map(|(index, _)| Diagnostic::new(ErrorCode::Argument, Span::default(), describe(index)))
            .collect()
    }
}
