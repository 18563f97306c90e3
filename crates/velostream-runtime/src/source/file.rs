//! Files and standard input: a thread that reads, decodes and numbers, feeding one pipeline.

use super::door::Door;
use super::stdin;
use crate::error::{Error, Result};
use crate::ingest::csv::{CsvDecoder, CsvOptions};
use crate::ingest::infer::{Inferred, SAMPLE_BYTES_MAX, infer_csv, infer_json};
use crate::ingest::json::JsonDecoder;
use crate::ingest::{Decoded, SourceFormat};
use crate::partition::mailbox::{Event, Mailbox};
use crate::partition::poison::guarded;
use crate::shared::Shared;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use velostream_engine::batch::{Op, Seq};
use velostream_engine::value::TimestampFormat;
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::statement::SourceOptions;
use velostream_sql::types::Field;

/// Bytes asked for at a time; one chunk's records are at most one batch.
const CHUNK_BYTES: usize = 64 << 10;

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

/// Whether a path means standard input.
pub fn is_stdin(path: &str) -> bool {
    path == "-" || path.eq_ignore_ascii_case("stdin")
}

fn io(message: String) -> Error {
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
        let Inferred { fields, timestamp_format } =
            inferred.map_err(|message| format!("{}: {message}", self.name()))?;
        self.inferred = true;
        self.timestamp_format = self.timestamp_format.take().or(timestamp_format);
        Ok(fields)
    }

    fn unreadable(&self, error: &std::io::Error) -> Error {
        let reason = match error.kind() {
            ErrorKind::NotFound => "there is no such file".to_owned(),
            ErrorKind::PermissionDenied => "permission denied".to_owned(),
            ErrorKind::IsADirectory => "it is a directory".to_owned(),
            _ => error.to_string(),
        };
        io(format!("cannot read {}: {reason}", self.name()))
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

    fn decoder(&self, fields: &[Field]) -> Result<Decoder> {
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

enum Decoder {
    Json(JsonDecoder),
    Csv(Box<CsvDecoder>),
}

impl Decoder {
    fn push(&mut self, chunk: &[u8], end: bool, out: &mut Decoded) {
        match self {
            Self::Json(decoder) => decoder.push(chunk, end, out),
            Self::Csv(decoder) => decoder.push(chunk, end, out),
        }
    }
}

/// What a reader needs beside its file.
pub struct ReaderSetup {
    /// The door that its records pass, with no record so far.
    pub door: Door,
    /// Where the batches go.
    pub mailbox: Arc<Mailbox>,
    /// Dead letters.
    pub shared: Arc<Shared>,
    /// The query that reads, for dead letters.
    pub query: String,
    /// The next record's number.
    pub next: Seq,
    /// The clock at the start, which is the arrival of every record.
    pub now_ms: i64,
}

/// Starts reading. The thread ends at the end of the file, or soon after its mailbox is closed.
pub fn spawn(source: FileSource, setup: ReaderSetup) -> Result<JoinHandle<()>> {
    let input = source.open()?;
    let decoder = source.decoder(&setup.door.relation.schema.fields)?;
    let name = format!("velostream-read-{}", setup.door.relation.id.0);
    std::thread::Builder::new()
        .name(name)
        .spawn(move || {
            let mailbox = Arc::clone(&setup.mailbox);
            let read = guarded(move || read(&source, input, decoder, setup));
            let event = match read.and_then(|read| read) {
                Ok(()) => Event::End,
                Err(error) => Event::Failed(Box::new(error)),
            };
            drop(mailbox.push(event));
        })
        .map_err(|error| io(format!("no thread can be started: {error}")))
}

fn read(
    source: &FileSource,
    mut input: Box<dyn Read + Send>,
    mut decoder: Decoder,
    mut setup: ReaderSetup,
) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut decoded = Decoded::new(&setup.door.relation.schema.fields);
    loop {
        let length = match input.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(source.unreadable(&error)),
        };
        decoder.push(&chunk[..length], length == 0, &mut decoded);
        if !deliver(&mut decoded, &mut setup) || length == 0 {
            return Ok(());
        }
    }
}

/// Sends what was decoded; false when nobody takes it any more.
fn deliver(decoded: &mut Decoded, setup: &mut ReaderSetup) -> bool {
    let ReaderSetup { door, query, now_ms, .. } = setup;
    let query = Some(query.as_str());
    setup.shared.dead_letters.add(decoded.bad.iter().map(|bad| door.bad_letter(bad, query, *now_ms)));
    decoded.bad.clear();
    if decoded.rows == 0 {
        return true;
    }
    let fresh = door.empty();
    let columns = std::mem::replace(&mut decoded.columns, fresh.columns);
    decoded.rows = 0;
    let (envelope, refused) = door.admit(columns, Op::Insert, &mut setup.next, *now_ms);
    let letters: Vec<_> = refused.into_iter().map(|one| door.letter(one, query, *now_ms)).collect();
    setup.shared.dead_letters.add(letters);
    match envelope {
        None => true,
        Some(envelope) => setup.mailbox.push_when_room(Event::Batch(Box::new(envelope))).is_ok(),
    }
}
