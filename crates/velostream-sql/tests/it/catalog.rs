//! A small catalogue and function registry to bind against.

use std::cell::Cell;
use std::sync::Arc;
use velostream_sql::bind::{BindOptions, Params, bind_script};
use velostream_sql::catalog::{
    Catalog, FunctionCatalog, FunctionError, FunctionId, Relation, RelationId, ScalarSignature,
};
use velostream_sql::statement::{SourceOptions, Statement};
use velostream_sql::types::{DataType, Field};

/// The relations that tests read.
const RELATIONS: &str = "
CREATE STREAM trades (symbol STRING NOT NULL, price DOUBLE, quantity INT, volume BIGINT, amount DECIMAL(10, 2),
  ts TIMESTAMP NOT NULL, day DATE, at TIME, good BOOLEAN, raw BYTES, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND);
CREATE STREAM plain (a INT, b STRING, \"Quoted\" INT) WITH (event_time = 'c');
CREATE TABLE accounts (id INT PRIMARY KEY, name STRING, balance DECIMAL(12, 2));
CREATE TABLE bag (a INT, b STRING);
CREATE STREAM ticks (symbol STRING KEY, at_ms BIGINT NOT NULL, n INT) WITH (event_time = 'at_ms');
CREATE STREAM windowed AS SELECT symbol, window_start, window_end, COUNT(*) AS n FROM trades
  WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY symbol;
CREATE TABLE totals AS SELECT symbol, SUM(quantity) AS total FROM trades GROUP BY symbol;
CREATE TABLE balances (CHECK (balance >= 0)) AS SELECT symbol, SUM(amount) AS balance FROM trades GROUP BY symbol;
CREATE VIEW cheap AS SELECT symbol, price FROM trades WHERE price < 10;
CREATE TABLE parts (id INT, part INT, name STRING, PRIMARY KEY (id, part));
";

/// Relations by name.
pub struct TestCatalog {
    relations: Vec<Arc<Relation>>,
    next: Cell<u32>,
}

impl TestCatalog {
    /// The relations of [`RELATIONS`].
    pub fn new() -> Self {
        let empty = Self { relations: Vec::new(), next: Cell::new(1) };
        let text = RELATIONS.replace(" WITH (event_time = 'c')", "");
        let options = BindOptions::default();
        let statements = bind_script(&text, &empty, &TestFunctions, &Params::default(), &options)
            .unwrap_or_else(|errors| panic!("{errors}"));
        let relations: Vec<Arc<Relation>> = statements
            .into_iter()
            .map(|statement| match statement {
                Statement::CreateSource(create) => create.relation,
                Statement::CreateDerived(create) => create.relation,
                Statement::CreateView(create) => create.relation,
                other => panic!("no relation: {other:?}"),
            })
            .collect();
        Self { next: Cell::new(relations.len() as u32 + 1), relations }
    }
}

impl Catalog for TestCatalog {
    fn relation(&self, name: &str) -> Option<Arc<Relation>> {
        self.relations.iter().find(|relation| relation.name.eq_ignore_ascii_case(name)).map(Arc::clone)
    }

    fn relation_names(&self) -> Vec<Arc<str>> {
        self.relations.iter().map(|relation| Arc::clone(&relation.name)).collect()
    }

    fn file(&self, path: &str) -> Result<Arc<Relation>, String> {
        if !matches!(path, "flights.json" | "stdin") {
            return Err(format!("no file {path}"));
        }
        let mut options = SourceOptions::default();
        options.0.insert("path".to_owned(), path.to_owned());
        let schema = velostream_sql::types::Schema::append_only(self.infer(&options)?);
        Ok(Arc::new(Relation {
            id: RelationId(1_000),
            name: path.into(),
            kind: velostream_sql::catalog::RelationKind::Stream,
            schema: Arc::new(schema),
            definition: None,
            checks: Vec::new(),
            is_source: true,
            event_time: None,
            in_order: true,
        }))
    }

    fn infer(&self, options: &SourceOptions) -> Result<Vec<Field>, String> {
        match options.get("path") {
            Some("empty.json") => Err("empty.json is empty".to_owned()),
            _ => Ok(vec![
                Field::new("date", DataType::Timestamp, true),
                Field::new("delay", DataType::BigInt, true),
                Field::new("origin", DataType::String, true),
            ]),
        }
    }

    fn next_relation_id(&self) -> RelationId {
        RelationId(self.next.get())
    }
}

/// A few functions with their one signature each.
pub struct TestFunctions;

type Entry = (&'static str, &'static [DataType], DataType);

const DECIMAL: DataType = DataType::Decimal { precision: 38, scale: 0 };

const FUNCTIONS: &[Entry] = &[
    ("UPPER", &[DataType::String], DataType::String),
    ("LENGTH", &[DataType::String], DataType::Int),
    ("ABS", &[DataType::Double], DataType::Double),
    ("CEIL", &[DataType::Double], DataType::Double),
    ("POWER", &[DataType::Double, DataType::Double], DataType::Double),
    ("DATE_PART", &[DataType::String, DataType::Timestamp], DataType::Double),
    ("DATE_TRUNC", &[DataType::String, DataType::Timestamp], DataType::Timestamp),
    ("SUBSTRING", &[DataType::String, DataType::Int, DataType::Int], DataType::String),
    ("TRIM", &[DataType::String, DataType::String], DataType::String),
    ("LTRIM", &[DataType::String], DataType::String),
    ("INSTR", &[DataType::String, DataType::String], DataType::Int),
    ("REGEXP_LIKE", &[DataType::String, DataType::String], DataType::Boolean),
    ("NOW", &[], DataType::Timestamp),
    ("CURRENT_TIMESTAMP", &[], DataType::Timestamp),
    ("FACT", &[DECIMAL], DECIMAL),
];

impl FunctionCatalog for TestFunctions {
    fn scalar(&self, name: &str, arguments: &[DataType]) -> Result<ScalarSignature, FunctionError> {
        let found = FUNCTIONS.iter().enumerate().find(|(_, entry)| entry.0.eq_ignore_ascii_case(name));
        let Some((index, (name, takes, returns))) = found else {
            return Err(FunctionError::Unknown);
        };
        let fits = |(given, takes): (&DataType, &DataType)| {
            given == takes
                || *given == DataType::Null
                || *takes == DataType::Double && given.is_numeric()
                || *takes == DataType::Timestamp && *given == DataType::Date
        };
        if arguments.len() != takes.len() || !arguments.iter().zip(*takes).all(fits) {
            let takes: Vec<String> = takes.iter().map(ToString::to_string).collect();
            return Err(FunctionError::Mismatch(format!("{name} takes ({})", takes.join(", "))));
        }
        Ok(ScalarSignature {
            id: FunctionId(index as u32),
            name,
            arguments: takes.to_vec(),
            returns: *returns,
            nullable: false,
            strict: true,
            fallible: false,
            volatile: matches!(*name, "NOW" | "CURRENT_TIMESTAMP"),
        })
    }

    fn scalar_names(&self) -> Vec<&'static str> {
        FUNCTIONS.iter().map(|entry| entry.0).collect()
    }
}
