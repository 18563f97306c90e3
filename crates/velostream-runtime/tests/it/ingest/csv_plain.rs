//! The reader against csv-core alone, over the whole input: whatever the bytes and wherever chunks end.

use super::{format, shown};
use csv_core::{ReadRecordResult, ReaderBuilder};
use proptest::prelude::*;
use velostream_runtime::DataType;
use velostream_runtime::ingest::convert::push_text;
use velostream_runtime::ingest::csv::{CsvDecoder, CsvOptions};
use velostream_runtime::ingest::{BadRecord, Decoded, SourceFormat};

/// A record's fields, its first byte's position and its bytes without the line end.
struct Record {
    fields: Vec<Vec<u8>>,
    position: usize,
    raw: Vec<u8>,
}

/// The records that csv-core finds.
fn records(text: &[u8], delimiter: u8) -> Vec<Record> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    let (mut bytes, mut ends) = (vec![0; text.len() + 1], vec![0; text.len() + 2]);
    // A line end in front keeps csv-core from skipping a second byte order mark.
    reader.read_record(b"\n", &mut bytes, &mut ends);
    let mut found = Vec::new();
    let mark = if text.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let mut at = mark;
    loop {
        at += text[at..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let (start, mut used, mut width) = (at, 0, 0);
        loop {
            let (result, read, written, ended) =
                reader.read_record(&text[at..], &mut bytes[used..], &mut ends[width..]);
            at += read;
            (used, width) = (used + written, width + ended);
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return found,
                ReadRecordResult::InputEmpty => {}
                full => panic!("{full:?}"),
            }
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let fields = starts.zip(&ends[..width]).map(|(start, &end)| bytes[start..end].to_vec()).collect();
        found.push(Record { fields, position: start, raw: text[start..at].trim_ascii_end().to_vec() });
    }
}

/// What the decoder must give, read the slow way.
fn expected(format: &SourceFormat, options: CsvOptions, text: &[u8]) -> Decoded {
    let mut out = Decoded::new(&format.fields);
    let mut records = records(text, options.delimiter);
    let mut targets: Vec<Option<usize>> = (0..format.fields.len()).map(Some).collect();
    if options.header && !records.is_empty() {
        let header = records.remove(0);
        let column = |name: &Vec<u8>| {
            format
                .fields
                .iter()
                .position(|field| field.name.as_bytes().eq_ignore_ascii_case(name.trim_ascii()))
        };
        targets = header.fields.iter().map(column).collect();
    }
    for record in records {
        if let Err(message) = row(format, &targets, &record, &mut out) {
            let rows = out.rows;
            out.columns.iter_mut().for_each(|column| column.truncate(rows));
            let position = record.position as u64;
            out.bad.push(BadRecord { bytes: record.raw, position, row: out.rows, message });
        } else {
            out.rows += 1;
            let rows = out.rows;
            let missing = out.columns.iter_mut().filter(|column| column.len() < rows);
            missing.for_each(velostream_engine::column::Column::push_null);
        }
    }
    out
}

fn row(
    format: &SourceFormat,
    targets: &[Option<usize>],
    record: &Record,
    out: &mut Decoded,
) -> Result<(), String> {
    if record.fields.len() != targets.len() {
        return Err(format!("{} fields where {} are expected", record.fields.len(), targets.len()));
    }
    for (field, target) in record.fields.iter().zip(targets) {
        let Some(target) = *target else { continue };
        let column = &mut out.columns[target];
        column.truncate(out.rows);
        if field.is_empty() {
            column.push_null();
        } else {
            push_text(column, field, None)
                .map_err(|message| format!("{}: {message}", format.fields[target].name))?;
        }
    }
    Ok(())
}

fn compare(format: &SourceFormat, options: CsvOptions, text: &[u8], sizes: &[usize]) {
    let mut out = Decoded::new(&format.fields);
    let mut decoder = CsvDecoder::new(format.clone(), options);
    let mut rest = text;
    for &size in sizes.iter().cycle() {
        let (chunk, more) = rest.split_at(rest.len().min(size));
        decoder.push(chunk, false, &mut out);
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    decoder.push(b"", true, &mut out);
    let expected = expected(format, options, text);
    assert_eq!(shown(&out), shown(&expected), "{}", String::from_utf8_lossy(text));
    assert_eq!(out.bad, expected.bad);
}

/// Single bytes that mean something, and parts that are longer than what is looked at in one step.
const PARTS: [&[u8]; 30] = [
    b"a",
    b"1",
    b"0",
    b".",
    b"-",
    b"+",
    b"e",
    b" ",
    b",",
    b",",
    b",",
    b";",
    b";",
    b"\"",
    b"\"",
    b"\"",
    b"\r",
    b"\n",
    b"\n",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xc3\xa9",
    b"\xc3",
    b"12345678",
    b"-12.5",
    b"\"quoted\"",
    b"fourteen bytes",
    b"\n1,a,2.5\n",
    b"\n2,\"b\",-0.1\n",
    b"\0",
];

fn three() -> SourceFormat {
    format(&[("a", DataType::BigInt), ("s", DataType::String), ("x", DataType::Double)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn any_bytes_are_read_as_csv_core_reads_them(
        parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 0..60),
        sizes in prop::collection::vec(1..200usize, 1..4),
        delimiter in prop::sample::select(&b",,,;;1.-\"\n\r \xc3\0"[..]),
        header in prop::bool::weighted(0.2),
        columns in 1..4usize,
    ) {
        let mut format = three();
        format.fields.truncate(columns);
        compare(&format, CsvOptions { delimiter, header }, &parts.concat(), &sizes);
    }

    /// Most records are good, and so long that they lie across the blocks that are looked at.
    #[test]
    fn good_records_are_read_as_csv_core_reads_them(
        records in prop::collection::vec(
            (r#"-?[0-9]{0,17}"#, r#"[a-zé]{0,30}|"[a-z,;é\n]{0,40}"|"(""|a)*"|a"b"#, r"[+-]?[0-9]{1,9}(\.[0-9]{0,10})?(e1)?", "(\r\n|\n|\r)"),
            0..12,
        ),
        sizes in prop::collection::vec(1..300usize, 1..4),
    ) {
        let text: String = records.iter().map(|(a, s, x, end)| format!("{a},{s},{x}{end}")).collect();
        compare(&three(), CsvOptions { delimiter: b',', header: false }, text.as_bytes(), &sizes);
    }

    #[test]
    fn every_type_is_read_as_from_its_text(
        fields in prop::collection::vec(r"[+-]?(0|00|[1-9][0-9]{0,20})(\.[0-9]{0,9})?|true|[0-9]{4}-[0-9]{2}-[0-9]{2}", 5..6),
        behind in 0..20usize,
    ) {
        let decimal = DataType::Decimal { precision: 12, scale: 3 };
        for data_type in [DataType::Int, DataType::BigInt, DataType::Double, decimal, DataType::Boolean, DataType::Date] {
            let text = format!("{}\n{}", fields.join("\n"), "\n".repeat(behind));
            compare(&format(&[("v", data_type)]), CsvOptions { delimiter: b',', header: false }, text.as_bytes(), &[1000]);
        }
    }
}

#[test]
fn the_bytes_of_a_text_are_one_piece() {
    let check = |text: &str| {
        compare(&three(), CsvOptions { delimiter: b',', header: false }, text.as_bytes(), &[1 << 20])
    };
    check("1,x,2\r\n\r\n\n2,y,3\r\r3,z,4");
    check("1,\"x\",2\n2,\"x,\ny\",3\n3,\"x\"\"y\",4\n4,\"x\"y,5\n5,x\"y\",6\n6,\"\",7\n7,\"x");
    check("\u{feff}1,x,2\n\u{feff}2,y,3\n");
    check("\u{feff}\u{feff}1,x,2\n");
    check("1,\0,2\n");
    check("1,twelve bytes,2\n1,thirteen byte,2\n1,,2\n");
    check("1,x,2\n1,x\n1,x,2,3\n,,\n1\n2,y,nan\n2,y,1e400\n 1 , x , 2 \n");
}
