//! Files as sources.

use crate::harness::each;
use std::path::PathBuf;
use velostream_runtime::ErrorCode;

/// A file that is removed when it goes out of scope.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("velostream-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("a temporary file can be written");
        Self(path)
    }

    fn path(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[test]
fn a_json_array_with_inferred_columns() {
    let file = Temporary::new(
        "flights.json",
        r#"[{"date":"2001/01/14 21:55","delay":0,"origin":"BNA"},{"date":"2001/03/26 20:15","delay":-11,"origin":"BNA"}]"#,
    );
    each(|t| {
        let sql =
            format!("SELECT origin, COUNT(*) AS n, AVG(delay) AS d FROM '{}' GROUP BY origin", file.path());
        assert_eq!(t.all(&sql), ["BNA 2 -5.5"]);
        let query = t.query(&format!("{sql} EMIT FINAL"));
        assert_eq!(t.drain(query), ["+ BNA 2 -5.5"]);
        let dates = t.all(&format!("SELECT date FROM '{}'", file.path()));
        assert_eq!(dates, ["979509300000000", "985637700000000"]);
    });
}

#[test]
fn csv_with_declared_columns_delimiter_and_no_header() {
    let file = Temporary::new("stations.txt", "Oslo;-3.5\nRome;21.0\nOslo;4.5\nbad\nRome;x\n");
    each(|t| {
        t.exec(&format!(
            "CREATE STREAM m (station STRING, t DOUBLE) WITH (connector = 'file', path = '{}', \
             format = 'csv', delimiter = ';', header = 'false')",
            file.path()
        ));
        assert_eq!(
            t.all("SELECT station, MIN(t) AS lo, MAX(t) AS hi FROM m GROUP BY station"),
            ["Oslo -3.5 4.5", "Rome 21 21"]
        );
        let letters = t.letters();
        assert_eq!(letters.len(), 2, "{letters:?}");
    });
}

#[test]
fn derived_relations_over_a_file() {
    let lines: String = (0..5000).map(|x| format!("{{\"k\":{},\"x\":{x}}}\n", x % 5)).collect();
    let file = Temporary::new("numbers.ndjson", &lines);
    each(|t| {
        t.exec(&format!(
            "CREATE STREAM n (k INT, x INT) WITH (connector = 'file', path = '{}');
             CREATE STREAM even AS SELECT k, x FROM n WHERE x % 2 = 0;
             CREATE TABLE sums AS SELECT k, COUNT(*) AS c FROM even GROUP BY k",
            file.path()
        ));
        assert_eq!(t.all("SELECT k, c FROM sums"), ["0 500", "2 500", "4 500", "1 500", "3 500"]);
        let query = t.query("SELECT COUNT(*) AS c FROM even EMIT FINAL");
        assert_eq!(t.drain(query), ["+ 2500"]);
        t.exec("CREATE STREAM log (k INT, x INT)");
        let log = t.query("SELECT COUNT(*) AS c FROM log EMIT FINAL");
        t.exec("INSERT INTO log SELECT k, x FROM even");
        t.flush();
        t.end();
        assert_eq!(t.drain(log), ["+ 2500"]);
    });
}

#[test]
fn files_that_cannot_be_read() {
    let empty = Temporary::new("empty.json", "");
    let directory = std::env::temp_dir().to_string_lossy().into_owned();
    each(|t| {
        for (path, reason) in
            [("no/such/file.json", "no such file"), (directory.as_str(), "directory"), (&empty.path(), "")]
        {
            let error = t.try_all(&format!("SELECT * FROM '{path}'")).expect_err(path);
            assert_eq!(error.code, ErrorCode::Io, "{path}");
            assert!(error.message.contains(reason), "{path}: {}", error.message);
            assert!(error.column > 0, "the place is known");
        }
        let declared = t.try_exec("CREATE STREAM s (x INT) WITH (connector = 'file', path = 'no/such.csv')");
        assert_eq!(declared.expect_err("missing").code, ErrorCode::Io);
    });
}

#[test]
fn a_file_takes_no_inserts() {
    let file = Temporary::new("one.json", "{\"x\":1}");
    each(|t| {
        t.exec(&format!("CREATE STREAM s (x INT) WITH (connector = 'file', path = '{}')", file.path()));
        assert_eq!(t.try_exec("INSERT INTO s VALUES (1)").expect_err("a file").code, ErrorCode::Unsupported);
    });
}
