//! Decoders: what they read, what they refuse, and that chunks may end anywhere.

mod csv;
mod csv_plain;
mod infer;
mod json;
mod ranges;

use velostream_runtime::ingest::{Decoded, SourceFormat};
use velostream_runtime::{DataType, Field};

/// The rows as JavaScript-like text, then the bad records as `position message: bytes`.
fn shown(decoded: &Decoded) -> String {
    let mut lines = Vec::new();
    for row in 0..decoded.rows {
        let values = decoded.columns.iter().map(|column| format!("{:?}", column.literal(row)));
        lines.push(values.collect::<Vec<_>>().join(" "));
    }
    for bad in &decoded.bad {
        lines.push(format!("bad {} {}: {}", bad.position, bad.message, String::from_utf8_lossy(&bad.bytes)));
    }
    lines.join("\n")
}

fn format(fields: &[(&str, DataType)]) -> SourceFormat {
    let fields = fields.iter().map(|&(name, data_type)| Field::new(name, data_type, true)).collect();
    SourceFormat { fields, timestamp_format: None, json_text: false }
}

/// Decodes `text` whole, in two chunks split at every byte, and byte by byte: all must agree.
fn check(
    format: &SourceFormat,
    mut decoder: impl FnMut() -> Box<dyn FnMut(&[u8], bool, &mut Decoded)>,
    text: &[u8],
    expected: &str,
) {
    let mut whole = Decoded::new(&format.fields);
    decoder()(text, true, &mut whole);
    assert_eq!(shown(&whole), expected);
    for split in 0..=text.len() {
        let mut parts = Decoded::new(&format.fields);
        let mut push = decoder();
        push(&text[..split], false, &mut parts);
        push(&text[split..], true, &mut parts);
        assert_eq!(shown(&parts), expected, "split at byte {split}");
    }
    let mut bytes = Decoded::new(&format.fields);
    let mut push = decoder();
    text.chunks(1).for_each(|byte| push(byte, false, &mut bytes));
    push(b"", true, &mut bytes);
    assert_eq!(shown(&bytes), expected, "byte by byte");
}
