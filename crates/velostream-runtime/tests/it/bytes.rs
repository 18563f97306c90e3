//! JSON and CSV bytes to rows: every bad input, and chunks that end anywhere.

use crate::harness::show;
use velostream_runtime::ingest::csv::{CsvDecoder, CsvOptions};
use velostream_runtime::ingest::infer::{infer_csv, infer_json};
use velostream_runtime::ingest::json::JsonDecoder;
use velostream_runtime::ingest::{Decoded, SourceFormat};
use velostream_runtime::{ChangeBatch, DataType, Field, Op, Seq};

fn fields() -> Vec<Field> {
    let decimal = DataType::Decimal { precision: 20, scale: 2 };
    let columns = [("i", DataType::Int), ("b", DataType::BigInt), ("t", DataType::String), ("m", decimal)];
    columns.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect()
}

fn format() -> SourceFormat {
    SourceFormat { fields: fields(), timestamp_format: None, json_text: false }
}

/// Rows as text, and what was refused as `bytes: message`.
fn outcome(decoded: Decoded) -> (Vec<String>, Vec<String>) {
    let rows = decoded.rows;
    let batch = ChangeBatch {
        columns: decoded.columns,
        ops: vec![Op::Insert; rows],
        seqs: vec![Seq(0); rows],
        event_times: vec![0; rows],
    };
    let bad =
        decoded.bad.iter().map(|bad| format!("{}: {}", String::from_utf8_lossy(&bad.bytes), bad.message));
    (show(&batch).into_iter().map(|line| line[2..].to_owned()).collect(), bad.collect())
}

fn json(chunks: &[&[u8]]) -> (Vec<String>, Vec<String>) {
    let mut decoder = JsonDecoder::new(format());
    let mut decoded = Decoded::new(&fields());
    for (index, chunk) in chunks.iter().enumerate() {
        decoder.push(chunk, index + 1 == chunks.len(), &mut decoded);
    }
    outcome(decoded)
}

fn csv(chunks: &[&[u8]], options: CsvOptions) -> (Vec<String>, Vec<String>) {
    let mut decoder = CsvDecoder::new(format(), options);
    let mut decoded = Decoded::new(&fields());
    for (index, chunk) in chunks.iter().enumerate() {
        decoder.push(chunk, index + 1 == chunks.len(), &mut decoded);
    }
    outcome(decoded)
}

/// One record per line, the bad ones between good ones; the good ones are 1, 2, 3 and so on.
#[test]
fn each_bad_record_is_refused_alone() {
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let bad: [(&[u8], &str); 14] = [
        (b"{\"i\":", "malformed JSON"),
        (b"{\"i\":1,}", "malformed JSON"),
        (b"{i:1}", "malformed JSON"),
        (b"{\"i\":01}", "malformed JSON"),
        (b"nonsense", "malformed JSON"),
        (b"{\"t\":\"open}", "malformed JSON"),
        (b"{\"t\":\"\\x\"}", "malformed JSON"),
        (b"{\"t\":\"\xff\"}", "UTF-8"),
        (b"{\"i\":\"1\"}", "i"),
        (b"{\"i\":2147483648}", "i"),
        (b"{\"i\":1.5}", "i"),
        (b"{\"b\":9223372036854775808}", "b"),
        (b"{\"t\":{\"a\":1}}", "t"),
        (deep.as_bytes(), "levels of nesting"),
    ];
    for (record, message) in bad {
        let text = [b"{\"i\":1}\n".as_slice(), record, b"\n{\"i\":2}\n"].concat();
        let (rows, refused) = json(&[&text]);
        let shown = String::from_utf8_lossy(&record[..record.len().min(40)]).into_owned();
        assert_eq!(rows, ["1 NULL NULL NULL", "2 NULL NULL NULL"], "{shown}");
        assert_eq!(refused.len(), 1, "{shown}: {refused:?}");
        assert!(
            refused[0].contains(message),
            "{shown}: {}",
            &refused[0][refused[0].len().saturating_sub(200)..]
        );
    }
}

#[test]
fn values_are_exact() {
    let text = br#"{"i":-5,"b":9223372036854775807,"t":"\u00e9\ud83d\ude00\n\"","m":12345678901234567.89}
        {"unknown":{"deep":[1,{"x":null}]},"t":"a","i":1,"i":2} {} {"m":"1.005"} {"i":1e2,"b":2.0}"#;
    let (rows, refused) = json(&[text]);
    assert_eq!(refused, Vec::<String>::new());
    assert_eq!(
        rows,
        [
            "-5 9223372036854775807 é😀\n\" 1234567890123456789",
            "2 NULL a NULL",
            "NULL NULL NULL NULL",
            "NULL NULL NULL 101",
            "100 2 NULL NULL"
        ]
    );
}

#[test]
fn json_chunks_may_end_anywhere() {
    let texts: [&[u8]; 4] = [
        "{\"i\":1,\"t\":\"é\\u00e9\\\"\"}\n{\"i\":}\n{\"i\":2,\"skip\":[1,{\"a\":\"]\"}]}".as_bytes(),
        "[{\"i\":1,\"t\":\"😀\"},\n {\"i\":\"bad\"},{\"m\":3.25}]".as_bytes(),
        b"{\"i\":1}{\"i\":2}  {\"b\":12345678901}",
        b"\xef\xbb\xbf{\"i\":1}\nbad\n\n{\"i\":2}\n",
    ];
    for text in texts {
        let whole = json(&[text]);
        assert!(whole.0.len() >= 2, "{whole:?}");
        for at in 0..=text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(json(&[left, right]), whole, "cut at {at} of {}", String::from_utf8_lossy(text));
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(json(&bytes), whole, "byte by byte: {}", String::from_utf8_lossy(text));
    }
}

#[test]
fn csv_headers_quotes_and_errors() {
    let text = "T,other,I\r\n\"a \"\"b\"\", c\",x,1\n,y,\nshort\nq,z,1.5\n\"two\nlines\",w,3\n";
    let (rows, refused) = csv(&[text.as_bytes()], CsvOptions::default());
    assert_eq!(rows, ["1 NULL a \"b\", c NULL", "NULL NULL NULL NULL", "3 NULL two\nlines NULL"]);
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].starts_with("short: ") && refused[1].starts_with("q,z,1.5: "), "{refused:?}");
    let bare = csv(&[b"1;2;x;3.456\n"], CsvOptions { delimiter: b';', header: false });
    assert_eq!(bare.0, ["1 2 x 346"]);
}

#[test]
fn csv_chunks_may_end_anywhere() {
    let text = "i,t\n1,\"é, \"\"x\"\"\"\r\nbad\n2,plain\n3,\"two\nlines\"\n4,last".as_bytes();
    let whole = csv(&[text], CsvOptions::default());
    assert_eq!(whole.0.len(), 4, "{whole:?}");
    for at in 0..=text.len() {
        let (left, right) = text.split_at(at);
        assert_eq!(csv(&[left, right], CsvOptions::default()), whole, "cut at {at}");
    }
}

#[test]
fn columns_are_inferred() {
    let types = |fields: Vec<Field>| {
        fields.iter().map(|field| format!("{} {}", field.name, field.data_type)).collect::<Vec<_>>()
    };
    let sample =
        br#"[{"date":"2001/01/14 21:55","n":1,"x":0.5,"ok":true,"s":"a"},{"n":2,"x":1,"late":{"a":1}}]"#;
    let inferred = infer_json(sample).expect("it is JSON");
    assert_eq!(
        types(inferred.fields),
        ["date TIMESTAMP", "n BIGINT", "x DOUBLE", "ok BOOLEAN", "s STRING", "late STRING"]
    );
    assert_eq!(inferred.timestamp_format.as_deref(), Some("%Y/%m/%d %H:%M"));
    let csv = infer_csv(b"code,lat,n\nABC,1.5,2\nDEF,-2,3\n", CsvOptions::default()).expect("it is CSV");
    assert_eq!(types(csv.fields), ["code STRING", "lat DOUBLE", "n BIGINT"]);
    assert!(infer_json(b"").is_err() && infer_csv(b"", CsvOptions::default()).is_err());
}
