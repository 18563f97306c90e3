//! The options of WITH: which there are, what they take, which follow later.

use super::{Binder, Bound, Reported};
use crate::ast::WithOption;
use crate::diagnostic::{Diagnostic, ErrorCode};
use crate::statement::SourceOptions;
use crate::suggest::did_you_mean;

/// What an option may be set to.
enum Takes {
    /// Any text.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One character.
    Character,
    /// Nothing yet.
    Later,
}

/// For which relations an option is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Declared sources.
    Source,
    /// CREATE ... AS.
    Derived,
}

/// Every option: its key, where it may stand, what it takes.
const OPTIONS: &[(&str, &[Of], Takes)] = &[
    ("event_time", &[Of::Source], Takes::Text),
    ("connector", &[Of::Source], Takes::OneOf(&["file", "memory"])),
    ("path", &[Of::Source], Takes::Text),
    ("format", &[Of::Source], Takes::OneOf(&["json", "csv"])),
    ("delimiter", &[Of::Source], Takes::Character),
    ("header", &[Of::Source], Takes::OneOf(&["true", "false"])),
    ("timestamp_format", &[Of::Source], Takes::Text),
    ("on_error", &[Of::Derived], Takes::OneOf(&["dead_letter", "null", "stop"])),
    ("idle_timeout", &[Of::Source], Takes::Later),
    ("retention", &[Of::Derived], Takes::Later),
    ("late_output", &[Of::Derived], Takes::Later),
    ("state_ttl", &[Of::Derived], Takes::Later),
    ("partitions", &[Of::Source, Of::Derived], Takes::Later),
    ("topic", &[Of::Source, Of::Derived], Takes::Later),
    ("kafka_topic", &[Of::Source, Of::Derived], Takes::Later),
    ("value_format", &[Of::Source, Of::Derived], Takes::Later),
    ("key_format", &[Of::Source, Of::Derived], Takes::Later),
];

impl Binder<'_> {
    /// The options, checked, with keys in lower case.
    pub(super) fn options(&mut self, written: &[WithOption], of: Of) -> Bound<SourceOptions> {
        let mut options = SourceOptions::default();
        let mut failed = false;
        for option in written {
            let key = option.key.value.to_ascii_lowercase();
            match self.check_option(&key, option, of) {
                Ok(()) if options.0.contains_key(&key) => {
                    let message = format!("option {key} stands here twice");
                    self.error(ErrorCode::Argument, option.key.span, message);
                    failed = true;
                }
                Ok(()) => {
                    options.0.insert(key, option.value.to_string());
                }
                Err(Reported) => failed = true,
            }
        }
        if !failed {
            for option in written {
                failed |= self.check_of_file(option, &options).is_err();
            }
        }
        if failed { Err(Reported) } else { Ok(options) }
    }

    /// Refuses what only a file has where there is none, and what only CSV has of another format.
    fn check_of_file(&mut self, option: &WithOption, options: &SourceOptions) -> Bound<()> {
        let key = option.key.value.to_ascii_lowercase();
        let is = |key: &str, value: &str| options.get(key).is_some_and(|set| set.eq_ignore_ascii_case(value));
        let needs = match key.as_str() {
            "path" | "delimiter" | "header" if !is("connector", "file") => "connector = 'file'",
            "delimiter" | "header" if is("format", "json") => "format = 'csv'",
            _ => return Ok(()),
        };
        Err(self.error(ErrorCode::Argument, option.key.span, format!("option {key} needs {needs}")))
    }

    fn check_option(&mut self, key: &str, option: &WithOption, of: Of) -> Bound<()> {
        let Some((_, places, takes)) = OPTIONS.iter().find(|(known, ..)| *known == key) else {
            let message = format!("no option \"{}\"", option.key.value);
            let mut error = Diagnostic::new(ErrorCode::UnknownName, option.key.span, message);
            let known = OPTIONS.iter().filter(|(_, places, _)| places.contains(&of));
            error.hint = did_you_mean(key, known.map(|(known, ..)| *known));
            return Err(self.report(error));
        };
        if !places.contains(&of) {
            let of = if of == Of::Source { "a declared source" } else { "CREATE ... AS" };
            let message = format!("option {key} does not belong to {of}");
            return Err(self.error(ErrorCode::Argument, option.key.span, message));
        }
        let value = option.value.as_ref();
        let expected = match takes {
            Takes::Text if !value.is_empty() => return Ok(()),
            Takes::Text => "a text".to_owned(),
            Takes::OneOf(words) if words.iter().any(|word| value.eq_ignore_ascii_case(word)) => return Ok(()),
            Takes::OneOf(_) if key == "connector" && value.eq_ignore_ascii_case("kafka") => {
                return Err(self.unsupported(option.value_span, "connector kafka"));
            }
            Takes::OneOf(words) => words.join(" or "),
            Takes::Character if value.chars().count() == 1 => return Ok(()),
            Takes::Character => "one character".to_owned(),
            Takes::Later => return Err(self.unsupported(option.key.span, &format!("option {key}"))),
        };
        let message = format!("option {key} takes {expected}");
        Err(self.error(ErrorCode::Argument, option.value_span, message))
    }
}
