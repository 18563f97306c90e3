//! Decoding by ranges: whatever the limits and wherever chunks end, the ranges together give what one pass gives.

use super::{format, shown};
use proptest::prelude::*;
use velostream_runtime::DataType;
use velostream_runtime::ingest::csv::{CsvDecoder, CsvOptions};
use velostream_runtime::ingest::json::JsonDecoder;
use velostream_runtime::ingest::{Decoded, RECORD_BYTES_MAX, SourceFormat};

/// What the two decoders have in common.
trait Ranged {
    fn push(&mut self, chunk: &[u8], end: bool, out: &mut Decoded);
    fn resume_at(&mut self, position: u64);
    fn another_at(&self, position: u64) -> Self;
    fn push_until(&mut self, chunk: &[u8], end: bool, limit: u64, out: &mut Decoded) -> Option<u64>;
}

macro_rules! ranged {
    ($decoder:ty) => {
        impl Ranged for $decoder {
            fn push(&mut self, chunk: &[u8], end: bool, out: &mut Decoded) {
                self.push(chunk, end, out);
            }
            fn resume_at(&mut self, position: u64) {
                self.resume_at(position);
            }
            fn another_at(&self, position: u64) -> Self {
                self.another_at(position)
            }
            fn push_until(&mut self, chunk: &[u8], end: bool, limit: u64, out: &mut Decoded) -> Option<u64> {
                self.push_until(chunk, end, limit, out)
            }
        }
    };
}

ranged!(CsvDecoder);
ranged!(JsonDecoder);

fn two() -> SourceFormat {
    format(&[("a", DataType::BigInt), ("s", DataType::String)])
}

fn csv(header: bool) -> CsvDecoder {
    CsvDecoder::new(two(), CsvOptions { delimiter: b',', header })
}

/// Takes a range in chunks of `size` bytes and gives where the next one begins.
fn take(
    decoder: &mut impl Ranged,
    text: &[u8],
    from: u64,
    limit: u64,
    size: usize,
    out: &mut Decoded,
) -> u64 {
    let mut rest = &text[from as usize..];
    loop {
        let (chunk, more) = rest.split_at(rest.len().min(size));
        if let Some(position) = decoder.push_until(chunk, more.is_empty(), limit, out) {
            return position;
        }
        assert!(!more.is_empty(), "a range ends with its input");
        rest = more;
    }
}

/// Every other range goes to another decoder than the first.
fn ranges(mut first: impl Ranged, text: &[u8], limits: &[u64], size: usize) -> String {
    let mut out = Decoded::new(&two().fields);
    let mut position = take(&mut first, text, 0, limits[0], size, &mut out);
    let mut second = first.another_at(position);
    for (index, &limit) in limits[1..].iter().chain(&[u64::MAX]).enumerate() {
        let decoder = if index % 2 == 0 { &mut second } else { &mut first };
        decoder.resume_at(position);
        let next = take(decoder, text, position, limit, size, &mut out);
        assert!(next >= position.max(limit) || next == text.len() as u64, "{position} to {limit}: {next}");
        position = next;
    }
    assert_eq!(position, text.len() as u64);
    shown(&out)
}

fn one_pass(mut decoder: impl Ranged, text: &[u8]) -> String {
    let mut out = Decoded::new(&two().fields);
    decoder.push(text, true, &mut out);
    shown(&out)
}

fn text(parts: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(parts), 0..40).prop_map(|parts| parts.concat())
}

const CSV_PARTS: [&[u8]; 13] =
    [b"a", b"1", b".", b"-", b",", b";", b"\"", b"\r", b"\n", b"\xef\xbb\xbf", b"\xef", b" ", b"1,x\n"];

const JSON_PARTS: [&[u8]; 18] = [
    b"{\"a\":1}",
    b"{\"s\":\"x\",\n\"a\":2}",
    b"{\"a\":x}",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\"",
    b"\\",
    b"\"a\":",
    b"7",
    b"\n",
    b"\r\n",
    b" ",
    b"\xef\xbb\xbf",
    b"\xef",
    b"x",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn csv_ranges_are_one_pass(
        text in text(&CSV_PARTS),
        limits in prop::collection::vec(0..60u64, 1..5),
        size in 1..20usize,
        header in any::<bool>(),
    ) {
        prop_assert_eq!(ranges(csv(header), &text, &limits, size), one_pass(csv(header), &text));
    }

    #[test]
    fn json_ranges_are_one_pass(
        text in text(&JSON_PARTS),
        limits in prop::collection::vec(0..120u64, 1..5),
        size in 1..20usize,
    ) {
        let json = || JsonDecoder::new(two());
        prop_assert_eq!(ranges(json(), &text, &limits, size), one_pass(json(), &text));
    }
}

#[test]
fn a_range_ends_at_the_first_byte_of_a_record() {
    let mut out = Decoded::new(&two().fields);
    let mut csv = csv(true);
    assert_eq!(csv.push_until(b"a,s\n1,x\n", false, 5, &mut out), None, "the next record is not seen yet");
    assert_eq!(csv.push_until(b"\r\n\n2,", false, 5, &mut out), Some(11));
    csv.resume_at(11);
    assert_eq!(csv.push_until(b"2,y\n\n", true, 11, &mut out), Some(11), "a range may be empty");
    csv.resume_at(11);
    assert_eq!(csv.push_until(b"2,y\n\n", true, 12, &mut out), Some(16));
    assert_eq!(shown(&out), "BigInt(1) String(\"x\")\nBigInt(2) String(\"y\")");
}

/// Its records belong to whoever reads its bracket.
#[test]
fn an_array_of_records_is_one_range() {
    let mut out = Decoded::new(&two().fields);
    let mut json = JsonDecoder::new(two());
    assert_eq!(json.push_until(b"[{\"a\":1},", false, 1, &mut out), None);
    assert!(json.in_array());
    assert_eq!(json.push_until(b"{\"a\":2}] {}", false, 1, &mut out), Some(18));
    assert!(!json.in_array());
    assert_eq!(out.rows, 2);
}

/// A quote that never closes must not hold the rest of the file: the lines behind it are read all the same.
#[test]
fn a_quote_that_does_not_close_takes_one_record() {
    let lines = RECORD_BYTES_MAX / 8 + 100;
    let mut text = b"0,x\n1,\"open\n".to_vec();
    (0..lines).for_each(|_| text.extend_from_slice(b"2,plain\n"));
    for size in [1 << 16, text.len()] {
        let mut out = Decoded::new(&two().fields);
        let mut decoder = csv(false);
        for chunk in text.chunks(size) {
            decoder.push(chunk, false, &mut out);
        }
        decoder.push(b"", true, &mut out);
        assert_eq!((out.rows, out.bad.len()), (lines + 1, 1));
        let bad = &out.bad[0];
        assert_eq!((bad.position, bad.row), (4, 1));
        assert_eq!(bad.message, "it is longer than 16777216 bytes; perhaps a quote is not closed");
        assert!(bad.bytes.starts_with(b"1,\"open\n2,plain\n"));
    }
    let limits = [5, 20, 1 << 20, 1 << 24];
    assert!(ranges(csv(false), &text, &limits, 1 << 20) == one_pass(csv(false), &text));
}

/// Bytes without a line end, and a quote in the last of the bytes that are kept.
#[test]
fn reading_goes_on_at_the_line_behind_the_last_quote() {
    let long = vec![b'x'; RECORD_BYTES_MAX + 5];
    let text = [b"1,".as_slice(), &long, b"\n2,y\n"].concat();
    let late = [b"1,\"\n".as_slice(), &long[..RECORD_BYTES_MAX - 10], b"\"\"xxxx", b"\n2,y\n"].concat();
    let whole = [b"1,".as_slice(), &long[..RECORD_BYTES_MAX - 2], b"\n2,y\n"].concat();
    for (text, rows, bad) in [(text, 1, 1), (late, 1, 1), (whole, 2, 0)] {
        let mut out = Decoded::new(&two().fields);
        csv(false).push(&text, true, &mut out);
        assert_eq!((out.rows, out.bad.len()), (rows, bad));
        assert!(ranges(csv(false), &text, &[1, 100], 1 << 20) == shown(&out));
    }
}
