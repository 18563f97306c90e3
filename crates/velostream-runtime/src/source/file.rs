//! Files and standard input: where they are, how they are written, what their columns are.

use super::stdin;
use crate::error::{Error, Result};
use crate::ingest::csv::{CsvDecoder, CsvOptions};
use crate::ingest::infer::{Inferred, SAMPLE_BYTES_MAX, infer_csv, infer_json};
use crate::ingest::json::JsonDecoder;
use crate::ingest::{Decoded, SourceFormat};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use velostream_engine::value::TimestampFormat;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::statement::SourceOptions;
use velostream_sql::types::Field;

/// Bytes at the start by which a file is known.
const START_BYTES: u64 = 4 << 10;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// NDJSON, concatenated objects or one array.
    Json,
    /// CSV.
    Csv(CsvOptions),
}

/// A file to be read.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// Where; `None` is standard input.
    path: Option<Arc<str>>,
    format: FileFormat,
    timestamp_format: Option<String>,
    /// Whether the columns were inferred, so that STRING columns take nested values as JSON text.
    inferred: bool,
}

/// What to do about a file without records that is read as JSON, as its name says nothing else.
const NOT_JSON: &str = " as JSON; if it is CSV, declare it: \
     CREATE STREAM name WITH (connector = 'file', path = '...', format = 'csv')";

/// Whether a path means standard input.
pub fn is_stdin(path: &str) -> bool {
    path == "-" || path.eq_ignore_ascii_case("stdin")
}

pub(super) fn io(message: String) -> Error {
    Error::new(ErrorCode::Io, message)
}

impl FileSource {
    /// The file that a relation's options name; the message says which option is wrong.
    pub fn new(options: &SourceOptions) -> std::result::Result<Self, String> {
        let path = options.get("path").ok_or("connector = 'file' needs the option path")?;
        let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
        let named = options.get("format").or(extension).unwrap_or("json").to_ascii_lowercase();
        let delimiter = match options.get("delimiter").map(str::as_bytes) {
            None if named == "tsv" => b'\t',
            None => b',',
            Some([delimiter]) => *delimiter,
            Some(_) => return Err("option delimiter takes one ASCII character".to_owned()),
        };
        let header = options.get("header").is_none_or(|header| header.eq_ignore_ascii_case("true"));
        let format = match named.as_str() {
            "csv" | "tsv" => FileFormat::Csv(CsvOptions { delimiter, header }),
            _ => FileFormat::Json,
        };
        let path = if is_stdin(path) { None } else { Some(Arc::from(path)) };
        let timestamp_format = options.get("timestamp_format").map(str::to_owned);
        Ok(Self { path, format, timestamp_format, inferred: false })
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        self.path.as_deref().unwrap_or("stdin")
    }

    /// Whether it is standard input, whose end may never come.
    pub fn is_stdin(&self) -> bool {
        self.path.is_none()
    }

    /// The columns, from the first records; remembers how times are written.
    pub fn infer(&mut self) -> std::result::Result<Vec<Field>, String> {
        if self.is_stdin() {
            let describes =
                |sample: &[u8]| sample.contains(&b'\n') && self.clone().infer_from(sample).is_ok();
            let sample = stdin::peek(describes).map_err(|error| self.unreadable(&error).message)?;
            return self.infer_from(&sample);
        }
        let mut sample = Vec::new();
        let mut file = self.open().map_err(|error| error.message)?;
        let limit = SAMPLE_BYTES_MAX as u64;
        (&mut file).take(limit).read_to_end(&mut sample).map_err(|error| self.unreadable(&error).message)?;
        self.infer_from(&sample)
    }

    /// The columns from the bytes at the start.
    pub fn infer_from(&mut self, sample: &[u8]) -> std::result::Result<Vec<Field>, String> {
        let inferred = match self.format {
            FileFormat::Json => infer_json(sample),
            FileFormat::Csv(options) => infer_csv(sample, options),
        };
        let is_json = self.format == FileFormat::Json && !sample.trim_ascii().is_empty();
        let hint = if is_json { NOT_JSON } else { "" };
        let Inferred { fields, timestamp_format } =
            inferred.map_err(|message| format!("{}: {message}{hint}", self.name()))?;
        self.inferred = true;
        self.timestamp_format = self.timestamp_format.take().or(timestamp_format);
        Ok(fields)
    }

    pub(super) fn unreadable(&self, error: &std::io::Error) -> Error {
        let reason = match error.kind() {
            ErrorKind::NotFound => "there is no such file".to_owned(),
            ErrorKind::PermissionDenied => "permission denied".to_owned(),
            ErrorKind::IsADirectory => "it is a directory".to_owned(),
            _ => error.to_string(),
        };
        io(format!("cannot read {}: {reason}", self.name()))
    }

    /// Whether it can be read, as far as that shows without taking anything out of a pipe.
    pub fn check(&self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let metadata = std::fs::metadata(&**path).map_err(|error| self.unreadable(&error))?;
        if metadata.is_file() || metadata.is_dir() {
            self.open()?;
        }
        Ok(())
    }

    /// Opens it; a directory or a missing file is told at once.
    pub fn open(&self) -> Result<Box<dyn Read + Send>> {
        let Some(path) = &self.path else { return Ok(Box::new(stdin::open())) };
        let file = File::open(&**path).map_err(|error| self.unreadable(&error))?;
        let metadata = file.metadata().map_err(|error| self.unreadable(&error))?;
        if metadata.is_dir() {
            return Err(io(format!("cannot read {path}: it is a directory")));
        }
        Ok(Box::new(file))
    }

    pub(super) fn open_file(&self) -> Result<File> {
        let Some(path) = &self.path else { return Err(io("standard input has one reader".to_owned())) };
        File::open(&**path).map_err(|error| self.unreadable(&error))
    }

    /// Its bytes, if several can read it at once: a file, and not one JSON array, whose elements say nothing of where
    /// they are.
    pub fn splits(&self) -> Option<u64> {
        // Before it is opened: what is read from a pipe is gone.
        let metadata = std::fs::metadata(&**self.path.as_ref()?).ok()?;
        if !metadata.is_file() {
            return None;
        }
        let mut start = Vec::new();
        self.open_file().ok()?.take(START_BYTES).read_to_end(&mut start).ok()?;
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
        let is_array = || text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        (self.format != FileFormat::Json || !is_array()).then_some(metadata.len())
    }

    pub(super) fn decoder(&self, fields: &[Field]) -> Result<Decoder> {
        let timestamp_format = self.timestamp_format.as_deref().map(compile_format).transpose()?;
        let format = SourceFormat { fields: fields.to_vec(), timestamp_format, json_text: self.inferred };
        Ok(match self.format {
            FileFormat::Json => Decoder::Json(JsonDecoder::new(format)),
            FileFormat::Csv(options) => Decoder::Csv(Box::new(CsvDecoder::new(format, options))),
        })
    }
}

/// A time pattern, checked.
pub fn compile_format(pattern: &str) -> Result<TimestampFormat> {
    TimestampFormat::compile(pattern).map_err(|error| {
        Error::new(ErrorCode::Argument, format!("timestamp_format '{pattern}' cannot be read: {error}"))
    })
}

/// Reads the bytes of a file.
pub(super) enum Decoder {
    Json(JsonDecoder),
    Csv(Box<CsvDecoder>),
}

impl Decoder {
    pub fn push(&mut self, chunk: &[u8], end: bool, out: &mut Decoded) {
        match self {
            Self::Json(decoder) => decoder.push(chunk, end, out),
            Self::Csv(decoder) => decoder.push(chunk, end, out),
        }
    }

    /// Takes the records that begin before byte `limit` and gives where the next one does, once that has come.
    pub fn push_until(&mut self, chunk: &[u8], end: bool, limit: u64, out: &mut Decoded) -> Option<u64> {
        match self {
            Self::Json(decoder) => decoder.push_until(chunk, end, limit, out),
            Self::Csv(decoder) => decoder.push_until(chunk, end, limit, out),
        }
    }

    /// From here on the bytes are those from `position` on, where a record begins.
    pub fn resume_at(&mut self, position: u64) {
        match self {
            Self::Json(decoder) => decoder.resume_at(position),
            Self::Csv(decoder) => decoder.resume_at(position),
        }
    }

    /// Whether a byte between two records means nothing.
    pub fn stands_between(&self, byte: u8) -> bool {
        match self {
            Self::Json(_) => byte.is_ascii_whitespace(),
            Self::Csv(_) => matches!(byte, b'\n' | b'\r'),
        }
    }

    /// Whether the line that names the columns has not come.
    pub fn awaits_header(&self) -> bool {
        match self {
            Self::Json(_) => false,
            Self::Csv(decoder) => decoder.awaits_header(),
        }
    }
}
