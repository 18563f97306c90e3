//! Columns from the first records of a text without declaration.
//!
//! Integers become BIGINT, since later ones may be larger; numbers with a fraction DOUBLE; texts that are all
//! dates or times DATE or TIMESTAMP; what is mixed or nested STRING, holding the JSON text. Every column may
//! be NULL.

use super::RECORD_BYTES_MAX;
use super::csv::CsvOptions;
use super::csv_reader::{CsvReader, CsvRecord};
use super::json_scan::{Cursor, Fault, Kind, unescape};
use velostream_engine::value::{self, TimestampFormat};
use velostream_sql::types::{DataType, Field};

/// Records looked at.
pub const SAMPLE_RECORDS_MAX: usize = 1_000;

/// Bytes of an input that are enough to infer from; one record may be longer.
pub const SAMPLE_BYTES_MAX: usize = 1 << 20;

/// Timestamp spellings beside ISO 8601 that are recognised.
const TIMESTAMP_PATTERNS: [&str; 2] = ["%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M"];

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inferred {
    /// The columns in order of their first appearance.
    pub fields: Vec<Field>,
    /// The pattern of the TIMESTAMP columns, where it is not ISO 8601.
    pub timestamp_format: Option<String>,
}

/// What one column's values have in common so far.
#[derive(Debug, Clone)]
struct Guess {
    name: String,
    kinds: Kinds,
    /// Which of ISO 8601 and [`TIMESTAMP_PATTERNS`] every text so far is written in.
    patterns: [bool; TIMESTAMP_PATTERNS.len() + 1],
    dates: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Kinds {
    boolean: bool,
    integer: bool,
    fraction: bool,
    text: bool,
    other: bool,
}

struct Guesses {
    columns: Vec<Guess>,
    formats: Vec<TimestampFormat>,
}

impl Guesses {
    fn new() -> Self {
        let formats =
            TIMESTAMP_PATTERNS.iter().filter_map(|pattern| TimestampFormat::compile(pattern).ok()).collect();
        Self { columns: Vec::new(), formats }
    }

    fn column(&mut self, name: &str) -> &mut Guess {
        let index = self.columns.iter().position(|column| column.name == name).unwrap_or_else(|| {
            let patterns = [true; TIMESTAMP_PATTERNS.len() + 1];
            let kinds = Kinds::default();
            self.columns.push(Guess { name: name.to_owned(), kinds, patterns, dates: true });
            self.columns.len() - 1
        });
        &mut self.columns[index]
    }

    fn text(&mut self, name: &str, text: &str) {
        let iso = value::parse_timestamp(text).is_some();
        let date = value::parse_date(text).is_some();
        let matches: Vec<bool> = self.formats.iter().map(|format| format.parse(text).is_some()).collect();
        let column = self.column(name);
        column.kinds.text = true;
        column.dates &= date;
        column.patterns[0] &= iso;
        for (pattern, matched) in column.patterns[1..].iter_mut().zip(matches) {
            *pattern &= matched;
        }
    }

    fn finish(self) -> Result<Inferred, String> {
        if self.columns.is_empty() {
            return Err("it has no records to infer columns from".to_owned());
        }
        let mut timestamp_format = None;
        let mut fields = Vec::new();
        for column in &self.columns {
            let data_type = column.data_type(&mut timestamp_format);
            fields.push(Field::new(column.name.as_str(), data_type, true));
        }
        Ok(Inferred { fields, timestamp_format })
    }
}

impl Guess {
    /// The type that takes every value seen; the first pattern of a TIMESTAMP column becomes the source's.
    fn data_type(&self, timestamp_format: &mut Option<String>) -> DataType {
        let Kinds { boolean, integer, fraction, text, other } = self.kinds;
        match (boolean, integer || fraction, text, other) {
            (true, false, false, false) => DataType::Boolean,
            (false, true, false, false) if fraction => DataType::Double,
            (false, true, false, false) => DataType::BigInt,
            (false, false, true, false) => self.text_type(timestamp_format),
            _ => DataType::String,
        }
    }

    fn text_type(&self, timestamp_format: &mut Option<String>) -> DataType {
        if self.dates {
            return DataType::Date;
        }
        if self.patterns[0] {
            return DataType::Timestamp;
        }
        let pattern = TIMESTAMP_PATTERNS.iter().zip(&self.patterns[1..]).find(|(_, matches)| **matches);
        match (pattern, timestamp_format.as_deref()) {
            (Some((pattern, _)), None) => {
                *timestamp_format = Some((*pattern).to_owned());
                DataType::Timestamp
            }
            (Some((pattern, _)), Some(chosen)) if *pattern == chosen => DataType::Timestamp,
            _ => DataType::String,
        }
    }
}

/// Infers the columns of NDJSON, concatenated objects or an array of objects. Broken records are passed over;
/// the sample may end inside a record.
pub fn infer_json(sample: &[u8]) -> Result<Inferred, String> {
    let mut guesses = Guesses::new();
    let bytes = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample);
    let mut cursor = Cursor { bytes, at: 0 };
    let mut records = 0;
    while records < SAMPLE_RECORDS_MAX {
        let Some(offset) = memchr::memchr(b'{', &bytes[cursor.at..]) else { break };
        let start = cursor.at + offset;
        cursor.at = start + 1;
        match record(&mut cursor, &mut guesses) {
            Ok(()) => records += 1,
            Err(Fault::Incomplete) => break,
            Err(Fault::Malformed(..)) => {
                let Some(line) = memchr::memchr(b'\n', &bytes[start..]) else { break };
                cursor.at = start + line;
            }
        }
    }
    guesses.finish()
}

fn record(cursor: &mut Cursor<'_>, guesses: &mut Guesses) -> Result<(), Fault> {
    if cursor.peek()? == b'}' {
        cursor.at += 1;
        return Ok(());
    }
    let mut text = Vec::new();
    loop {
        if cursor.peek()? != b'"' {
            return Err(Fault::Malformed(cursor.at, "a member name in quotes"));
        }
        text.clear();
        unescape(cursor.string()?, &mut text);
        let name = String::from_utf8_lossy(&text).into_owned();
        cursor.expect(b':', "a colon")?;
        member(cursor, &name, guesses)?;
        match cursor.peek()? {
            b',' => cursor.at += 1,
            b'}' => {
                cursor.at += 1;
                return Ok(());
            }
            _ => return Err(Fault::Malformed(cursor.at, "a comma or }")),
        }
    }
}

fn member(cursor: &mut Cursor<'_>, name: &str, guesses: &mut Guesses) -> Result<(), Fault> {
    match cursor.kind()? {
        Kind::String => {
            let mut text = Vec::new();
            unescape(cursor.string()?, &mut text);
            guesses.text(name, &String::from_utf8_lossy(&text));
        }
        Kind::Number => {
            let number = cursor.number()?;
            let whole = std::str::from_utf8(number.text).is_ok_and(|text| text.parse::<i64>().is_ok());
            let kinds = &mut guesses.column(name).kinds;
            if whole { kinds.integer = true } else { kinds.fraction = true }
        }
        Kind::True | Kind::False => {
            guesses.column(name).kinds.boolean = true;
            cursor.skip_value()?;
        }
        Kind::Null => {
            guesses.column(name);
            cursor.skip_value()?;
        }
        Kind::Nested => {
            guesses.column(name).kinds.other = true;
            cursor.skip_value()?;
        }
    }
    Ok(())
}

/// Infers the columns of a CSV text; without a header they are called `column1`, `column2` and so on. The
/// sample may end inside a record, which is then left out unless it is the whole of the input.
pub fn infer_csv(sample: &[u8], options: CsvOptions) -> Result<Inferred, String> {
    let mut guesses = Guesses::new();
    let mut names: Option<Vec<String>> = None;
    let mut records = 0;
    let mut repeated = None;
    let whole = sample.len() < SAMPLE_BYTES_MAX.min(RECORD_BYTES_MAX);
    CsvReader::new(options).push(sample, whole, u64::MAX, &mut |record: CsvRecord<'_>| {
        if !record.whole {
            return;
        }
        let names = match &names {
            Some(names) => names,
            None => {
                let header = options.header;
                let found =
                    names.insert((0..record.width()).map(|index| csv_name(&record, index, header)).collect());
                for (index, name) in found.iter().enumerate() {
                    guesses.column(name);
                    if found[..index].contains(name) {
                        repeated.get_or_insert_with(|| name.clone());
                    }
                }
                if header {
                    return;
                }
                found
            }
        };
        if records < SAMPLE_RECORDS_MAX && names.len() == record.width() {
            records += 1;
            names
                .iter()
                .enumerate()
                .for_each(|(index, name)| csv_field(&mut guesses, name, record.field(index)));
        }
    });
    match repeated {
        Some(name) => Err(format!("its header names the column {name} twice")),
        None => guesses.finish(),
    }
}

fn csv_name(record: &CsvRecord<'_>, index: usize, header: bool) -> String {
    let name = String::from_utf8_lossy(record.field(index)).trim().to_owned();
    if header && !name.is_empty() { name } else { format!("column{}", index + 1) }
}

fn csv_field(guesses: &mut Guesses, name: &str, field: &[u8]) {
    let text = String::from_utf8_lossy(field);
    let trimmed = text.trim();
    let kinds = &mut guesses.column(name).kinds;
    if field.is_empty() {
    } else if trimmed.parse::<i64>().is_ok() {
        kinds.integer = true;
    } else if trimmed.parse::<f64>().is_ok_and(f64::is_finite) {
        kinds.fraction = true;
    } else if trimmed.eq_ignore_ascii_case("true") || trimmed.eq_ignore_ascii_case("false") {
        kinds.boolean = true;
    } else {
        guesses.text(name, &text);
    }
}
