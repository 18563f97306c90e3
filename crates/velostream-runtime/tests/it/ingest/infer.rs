use velostream_runtime::ingest::csv::CsvOptions;
use velostream_runtime::ingest::infer::{Inferred, infer_csv, infer_json};

fn shown(inferred: Result<Inferred, String>) -> String {
    match inferred {
        Ok(Inferred { fields, timestamp_format }) => {
            let columns: Vec<_> =
                fields.iter().map(|field| format!("{} {}", field.name, field.data_type)).collect();
            columns.join(", ") + &timestamp_format.map(|format| format!(" by {format}")).unwrap_or_default()
        }
        Err(message) => message,
    }
}

#[test]
fn json_columns_take_the_widest_type_seen() {
    let check =
        |text: &str, expected: &str| assert_eq!(shown(infer_json(text.as_bytes())), expected, "{text}");
    check(
        r#"[{"date":"2001/01/14 21:55","delay":-3,"f":1},{"delay":4,"f":1.5,"date":"2001/01/14 22:00"}]"#,
        "date TIMESTAMP, delay BIGINT, f DOUBLE by %Y/%m/%d %H:%M",
    );
    check("{\"a\":true}\n{\"b\":\"2024-01-15\"}", "a BOOLEAN, b DATE");
    check(r#"{"a":"2024-01-15T10:00:00Z"}"#, "a TIMESTAMP");
    check(r#"{"a":1}{"a":"x"}"#, "a STRING");
    check(r#"{"a":{"b":1}}"#, "a STRING");
    check(r#"{"a":null}"#, "a STRING");
    check("oops\n{\"a\":1}\n{\"b\":", "a BIGINT");
    check("", "it has no records to infer columns from");
    check("[]", "it has no records to infer columns from");
}

#[test]
fn csv_columns_come_from_the_header_or_are_numbered() {
    let check = |text: &str, header, expected: &str| {
        let options = CsvOptions { delimiter: b',', header };
        assert_eq!(shown(infer_csv(text.as_bytes(), options)), expected, "{text}");
    };
    check("a,b,c,d\n1,1.5,true,x\n,2,false,\n", true, "a BIGINT, b DOUBLE, c BOOLEAN, d STRING");
    check("1,2001/01/14 21:55:00\n", false, "column1 BIGINT, column2 TIMESTAMP by %Y/%m/%d %H:%M:%S");
    check("iata,name\n00M,Thigpen\n", true, "iata STRING, name STRING");
    check("a\n", true, "a STRING");
    check("", true, "it has no records to infer columns from");
}
