use super::{check, format};
use velostream_runtime::DataType;
use velostream_runtime::ingest::csv::{CsvDecoder, CsvOptions};

fn csv(options: CsvOptions, text: &str, expected: &[&str]) {
    let format = format(&[("a", DataType::BigInt), ("s", DataType::String)]);
    let decoder = || {
        let mut decoder = CsvDecoder::new(format.clone(), options);
        Box::new(move |chunk: &[u8], end: bool, out: &mut _| decoder.push(chunk, end, out))
            as Box<dyn FnMut(&_, _, &mut _)>
    };
    check(&format, decoder, text.as_bytes(), &expected.join("\n"));
}

#[test]
fn headers_place_the_columns() {
    let options = CsvOptions::default();
    csv(options, "S,other,A\nx,1,5\ny,2,6", &["BigInt(5) String(\"x\")", "BigInt(6) String(\"y\")"]);
    csv(options, "s\nx\n", &["Null String(\"x\")"]);
    csv(options, "", &[""]);
    csv(options, "a,s\n", &[""]);
}

#[test]
fn quotes_empty_fields_and_line_ends() {
    let options = CsvOptions { delimiter: b';', header: false };
    csv(options, "1;x\r\n2;y\r\n", &["BigInt(1) String(\"x\")", "BigInt(2) String(\"y\")"]);
    csv(options, "1;\"a;\"\"b\"\"\nc\"\n;\n", &["BigInt(1) String(\"a;\\\"b\\\"\\nc\")", "Null Null"]);
}

#[test]
fn bad_records_are_handed_on_with_their_place() {
    csv(
        CsvOptions::default(),
        "a,s\n1,x\noops,y\n2\n3,z\n",
        &[
            "BigInt(1) String(\"x\")",
            "BigInt(3) String(\"z\")",
            "bad 8 a: expected BIGINT, found \"oops\": oops,y",
            "bad 15 1 fields where 2 are expected: 2",
        ],
    );
}
