use super::{check, format, shown};
use proptest::prelude::*;
use velostream_runtime::DataType;
use velostream_runtime::ingest::json::JsonDecoder;
use velostream_runtime::ingest::{Decoded, SourceFormat};

fn json(format: SourceFormat, text: impl AsRef<[u8]>, expected: &[&str]) {
    let decoder = || {
        let mut decoder = JsonDecoder::new(format.clone());
        Box::new(move |chunk: &[u8], end: bool, out: &mut _| decoder.push(chunk, end, out))
            as Box<dyn FnMut(&_, _, &mut _)>
    };
    check(&format, decoder, text.as_ref(), &expected.join("\n"));
}

fn two() -> SourceFormat {
    format(&[("a", DataType::BigInt), ("s", DataType::String)])
}

fn one(data_type: DataType) -> SourceFormat {
    format(&[("v", data_type)])
}

#[test]
fn lines_objects_and_arrays() {
    let expected = ["BigInt(1) String(\"x\")", "BigInt(2) String(\"y\")"];
    json(two(), "{\"a\":1,\"s\":\"x\"}\n{\"a\":2,\"s\":\"y\"}\n", &expected);
    json(two(), "{\"a\":1,\"s\":\"x\"}{\"a\":2,\"s\":\"y\"}", &expected);
    json(two(), " [ {\"a\" : 1, \"s\":\"x\"} ,\r\n {\"s\":\"y\",\t\"a\":2} ] ", &expected);
    json(two(), "\u{feff}{\"a\":1,\"s\":\"x\"}\n\n{\n \"a\": 2,\n \"s\": \"y\"\n}", &expected);
    json(two(), "", &[""]);
    json(two(), "[]", &[""]);
}

#[test]
fn missing_extra_doubled_and_null_members() {
    json(two(), r#"{"s":"x"}"#, &["Null String(\"x\")"]);
    json(two(), r#"{}"#, &["Null Null"]);
    json(two(), r#"{"a":null,"s":null}"#, &["Null Null"]);
    json(two(), r#"{"a":1,"a":2,"s":"p","s":"q"}"#, &["BigInt(2) String(\"q\")"]);
    json(two(), r#"{"a":1,"a":null}"#, &["Null Null"]);
    let nested = r#"{"x":{"y":[1,2.5e3,{"z":"\u00e9}"},true,false,null]},"a":7,"e":[],"o":{}}"#;
    json(two(), nested, &["BigInt(7) Null"]);
    json(two(), r#"{"\u0061":5}"#, &["BigInt(5) Null"]);
    json(two(), r#"{"A":5}"#, &["Null Null"]);
}

#[test]
fn numbers_are_exact_or_refused() {
    let bigint =
        |text: &str, expected: &str| json(one(DataType::BigInt), format!("{{\"v\":{text}}}"), &[expected]);
    bigint("9223372036854775807", "BigInt(9223372036854775807)");
    bigint("-9223372036854775808", "BigInt(-9223372036854775808)");
    bigint(
        "9223372036854775808",
        "bad 0 v: expected BIGINT, found \"9223372036854775808\": {\"v\":9223372036854775808}",
    );
    bigint("1.0", "BigInt(1)");
    bigint("12e2", "BigInt(1200)");
    bigint("1.5", "bad 0 v: expected BIGINT, found \"1.5\": {\"v\":1.5}");
    bigint("\"1\"", "bad 0 v: expected BIGINT, found \"1\": {\"v\":\"1\"}");
    bigint("true", "bad 0 v: expected BIGINT, found \"true\": {\"v\":true}");
    bigint(
        "01",
        "bad 0 malformed JSON: expected a number without leading zeros at byte 5 of the record: {\"v\":01}",
    );
    bigint("-", "bad 0 malformed JSON: expected a digit at byte 6 of the record: {\"v\":-}");
    let int = |text: &str, expected: &str| json(one(DataType::Int), format!("{{\"v\":{text}}}"), &[expected]);
    int("2147483647", "Int(2147483647)");
    int("2147483648", "bad 0 v: expected INT, found \"2147483648\": {\"v\":2147483648}");
    let double = |text: &str, expected: f64| {
        json(one(DataType::Double), format!("{{\"v\":{text}}}"), &[&format!("Double({expected:?})")]);
    };
    double("0.1", 0.1);
    double("1234567890123456.12345678", 1_234_567_890_123_456.1);
    double("123456789012345.12345678", 123_456_789_012_345.12);
    double("-1.7976931348623157e308", f64::MIN);
    double("5e-324", 5e-324);
    double("123456789012345678901234567890", 123_456_789_012_345_678_901_234_567_890.0);
    double("9007199254740993", 9_007_199_254_740_993.0);
    double("-0", -0.0);
    json(
        one(DataType::Double),
        r#"{"v":1e999}"#,
        &["bad 0 v: expected DOUBLE, found \"1e999\": {\"v\":1e999}"],
    );
    let decimal = one(DataType::Decimal { precision: 20, scale: 2 });
    json(decimal.clone(), r#"{"v":12345678901234567.89}"#, &["Decimal(1234567890123456789)"]);
    json(decimal, r#"{"v":"0.015"}"#, &["Decimal(2)"]);
}

#[test]
fn texts_and_times() {
    let text = |text: &str, expected: &str| {
        json(one(DataType::String), format!("{{\"v\":\"{text}\"}}"), &[expected])
    };
    text(r"a\n\t\b\f\r\/\\\u0022", r#"String("a\n\t\u{8}\u{c}\r/\\\"")"#);
    text(r"\ud83d\ude00 é 😀", "String(\"😀 é 😀\")");
    text(r"\ud83d lone", "String(\"\u{fffd} lone\")");
    text("longer than twelve bytes", "String(\"longer than twelve bytes\")");
    json(one(DataType::String), r#"{"v":5}"#, &["bad 0 v: expected STRING, found \"5\": {\"v\":5}"]);
    json(
        one(DataType::String),
        r#"{"v":{"a":1}}"#,
        &["bad 0 v: expected STRING, found \"{\"a\":1}\": {\"v\":{\"a\":1}}"],
    );
    json(one(DataType::Timestamp), r#"{"v":1500.25}"#, &["Timestamp(1500250)"]);
    json(one(DataType::Timestamp), r#"{"v":"1970-01-01T00:00:01Z"}"#, &["Timestamp(1000000)"]);
    json(
        one(DataType::Timestamp),
        r#"{"v":"soon"}"#,
        &["bad 0 v: expected TIMESTAMP, found \"soon\": {\"v\":\"soon\"}"],
    );
    json(one(DataType::Date), r#"{"v":"1970-01-02"}"#, &["Date(1)"]);
    json(one(DataType::Time), r#"{"v":"00:00:01"}"#, &["Time(1000000)"]);
    json(one(DataType::Boolean), r#"{"v":true}"#, &["Boolean(true)"]);
    json(one(DataType::Bytes), r#"{"v":"AQI="}"#, &["Bytes([1, 2])"]);
}

#[test]
fn records_around_a_bad_one_are_read() {
    let ok = ["BigInt(1) Null", "BigInt(3) Null"];
    let around = |bad: &[u8], message: &str| {
        let text = [b"{\"a\":1}\n", bad, b"\n{\"a\":3}\n"].concat();
        let shown = String::from_utf8_lossy(bad);
        json(two(), text, &[ok[0], ok[1], &format!("bad 8 {message}: {shown}")]);
    };
    around(b"{\"a\":", "malformed JSON: the record does not end");
    around(b"{\"a\":2", "malformed JSON: expected a comma or } at byte 7 of the record");
    around(b"{\"s\":\"x", "malformed JSON: expected no control character in a text at byte 7 of the record");
    around(b"{\"a\" 2}", "malformed JSON: expected a colon at byte 5 of the record");
    around(b"{\"a\":2,}", "malformed JSON: expected a member name in quotes at byte 7 of the record");
    around(b"{a:2}", "malformed JSON: expected a member name in quotes at byte 1 of the record");
    around(b"nonsense", "malformed JSON: expected an object at byte 0 of the record");
    around(b"{\"a\":nul}", "malformed JSON: expected a value at byte 5 of the record");
    around(b"{\"s\":\"\\x\"}", "malformed JSON: expected an escape character at byte 7 of the record");
    around(b"{\"s\":\"\xff\"}", "invalid UTF-8");
    around(b"{\"other\":\"\xc3\"}", "invalid UTF-8");
}

/// Messages as a Kafka client hands them over have no line ends: a bad one must not hold up those behind it.
#[test]
fn concatenated_objects_go_on_behind_a_bad_record() {
    json(
        two(),
        r#"{"a":1}{"a":x}{"a":3} {"a":{]}} {"a":4}"#,
        &[
            "BigInt(1) Null",
            "BigInt(3) Null",
            "BigInt(4) Null",
            "bad 7 malformed JSON: expected a value at byte 5 of the record: {\"a\":x}",
            "bad 22 malformed JSON: expected a member name in quotes at byte 6 of the record: {\"a\":{]}}",
        ],
    );
    let mut decoder = JsonDecoder::new(two());
    let mut out = velostream_runtime::ingest::Decoded::new(&two().fields);
    for message in [r#"{"a":x}"#, r#"{"a":1}"#, r#"{"a":2}"#] {
        decoder.push(message.as_bytes(), false, &mut out);
    }
    assert_eq!((out.rows, out.bad.len()), (2, 1));
}

#[test]
fn arrays_go_on_behind_a_bad_record() {
    json(
        two(),
        r#"[{"a":1},{"a":x},{"a":3}]"#,
        &[
            "BigInt(1) Null",
            "BigInt(3) Null",
            "bad 9 malformed JSON: expected a value at byte 5 of the record: {\"a\":x}",
        ],
    );
    json(
        two(),
        "[{\"a\":1},\n{\"a\":2\n{\"a\":3}\n]",
        &[
            "BigInt(1) Null",
            "BigInt(3) Null",
            "bad 10 malformed JSON: expected a comma or } at byte 7 of the record: {\"a\":2",
        ],
    );
    json(
        two(),
        r#"[{"a":1},{"a":2"#,
        &[
            "BigInt(1) Null",
            "bad 9 malformed JSON: the record does not end: {\"a\":2",
            "bad 15 the array of records is not closed: ",
        ],
    );
}

#[test]
fn another_value_in_the_place_of_a_record_is_passed_over_alone() {
    json(
        two(),
        "{\"a\":1}\n[1]\n\"s\" \n{\"a\":2}\n5 apples\n[2, {\"a\":3}, [\"x\"]]\n7\n",
        &[
            "BigInt(1) Null",
            "BigInt(2) Null",
            "BigInt(3) Null",
            "bad 9 expected an object: 1",
            "bad 12 expected an object: \"s\"",
            "bad 25 malformed JSON: expected an object at byte 0 of the record: 5 apples",
            "bad 35 expected an object: 2",
            "bad 47 expected an object: [\"x\"]",
            "bad 54 expected an object: 7",
        ],
    );
}

#[test]
fn what_looks_like_records_within_another_value_is_none() {
    json(
        two(),
        r#"[[{"a":1},{"a":2}],{"a":3}]"#,
        &["BigInt(3) Null", r#"bad 1 expected an object: [{"a":1},{"a":2}]"#],
    );
    json(two(), "\"x}{y\"\n{\"a\":1}\n", &["BigInt(1) Null", r#"bad 0 expected an object: "x}{y""#]);
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let deep = format!("{{\"x\":{}1{}}}\n{{\"a\":1}}", "[".repeat(5_000), "]".repeat(5_000));
    let mut decoder = JsonDecoder::new(two());
    let mut out = velostream_runtime::ingest::Decoded::new(&two().fields);
    decoder.push(deep.as_bytes(), true, &mut out);
    assert_eq!(out.rows, 1);
    assert!(out.bad[0].message.contains("at most 128 levels of nesting"), "{}", out.bad[0].message);
}

#[test]
fn inferred_text_columns_take_any_value_as_its_json() {
    let mut any = one(DataType::String);
    any.json_text = true;
    json(
        any,
        "{\"v\":[1, 2]}\n{\"v\":5}\n{\"v\":true}\n{\"v\":\"t\"}",
        &["String(\"[1, 2]\")", "String(\"5\")", "String(\"true\")", "String(\"t\")"],
    );
}

/// A member, well formed or not, of one of a few ways to write it.
fn member() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        6 => Just("a"),
        6 => Just("s"),
        1 => Just("\\u0061"),
        2 => Just("other"),
        1 => Just("longer than what is kept of a name from record to record"),
    ];
    let value = prop_oneof![
        8 => any::<i16>().prop_map(|number| number.to_string()),
        8 => "[a-zé]{0,20}".prop_map(|text| format!("\"{text}\"")),
        1 => prop::sample::select(vec!["null", "1.5", "true", "[{\"a\":1}]", "tru", "01", "", "\"\\q\""])
            .prop_map(str::to_owned),
    ];
    let space = prop_oneof![8 => Just(""), 1 => Just(" ")];
    (space.clone(), name, space.clone(), space.clone(), value, space).prop_map(
        |(before, name, after, inner, value, behind)| {
            format!("{before}\"{name}\"{after}:{inner}{value}{behind}")
        },
    )
}

proptest! {
    /// A decoder that has just been made knows no record before: what it gives is what one that knows must give.
    #[test]
    fn records_are_read_alike_whatever_came_before(
        records in prop::collection::vec(prop::collection::vec(member(), 0..5), 1..12),
    ) {
        let lines: Vec<_> = records.iter().map(|members| format!("{{{}}}\n", members.join(","))).collect();
        let mut expected = Decoded::new(&two().fields);
        let mut position = 0;
        for line in &lines {
            let known = expected.bad.len();
            JsonDecoder::new(two()).push(line.as_bytes(), true, &mut expected);
            expected.bad[known..].iter_mut().for_each(|bad| bad.position += position);
            position += line.len() as u64;
        }
        let mut found = Decoded::new(&two().fields);
        JsonDecoder::new(two()).push(lines.concat().as_bytes(), true, &mut found);
        prop_assert_eq!(shown(&found), shown(&expected));
    }

    /// Digits are read eight at a time where so many bytes follow, as they do with white space behind.
    #[test]
    fn numbers_are_those_of_the_standard_library(
        text in r"-?(0|[1-9][0-9]{0,21})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        behind in 0..20usize,
    ) {
        let record = format!("{{\"v\":{text}}}{:behind$}", "");
        let mut doubles = Decoded::new(&one(DataType::Double).fields);
        JsonDecoder::new(one(DataType::Double)).push(record.as_bytes(), true, &mut doubles);
        let double: f64 = text.parse().expect("a number");
        prop_assert_eq!(shown(&doubles), format!("Double({double:?})"));
        let mut integers = Decoded::new(&one(DataType::BigInt).fields);
        JsonDecoder::new(one(DataType::BigInt)).push(record.as_bytes(), true, &mut integers);
        if let Ok(integer) = text.parse::<i64>() {
            prop_assert_eq!(shown(&integers), format!("BigInt({integer})"));
        } else if text.parse::<i128>().is_ok() {
            prop_assert_eq!(integers.rows, 0);
        }
    }
}
