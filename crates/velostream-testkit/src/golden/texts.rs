//! Checks what a file says of its texts: those that are refused, and the columns of those that are not.

use super::catalog::GoldenCatalog;
use super::parse::{Expected, GoldenFile, Item, ItemKind};
use velostream_sql::catalog::FunctionCatalog;
use velostream_sql::diagnostic::{Diagnostic, Diagnostics};
use velostream_sql::types::Schema;

/// Something that is not as the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The line of the file.
    pub line: usize,
    /// What was expected and what came.
    pub message: String,
}

/// Binds every text of the file and compares what the binder says.
pub fn check_texts(file: &GoldenFile, functions: &dyn FunctionCatalog) -> Vec<Failure> {
    let mut catalog = GoldenCatalog::default();
    let mut failures = Vec::new();
    for item in &file.items {
        let bound: Result<Option<Schema>, Diagnostics> = match &item.kind {
            ItemKind::Statement(sql) => catalog.bind(sql, functions).map(|statements| {
                if !item.is_refused() {
                    statements.into_iter().for_each(|statement| catalog.define(statement));
                }
                None
            }),
            ItemKind::Query { sql, .. } => schema(&catalog, sql, functions, false),
            ItemKind::All(sql) => schema(&catalog, sql, functions, true),
            _ => continue,
        };
        let verdict = match bound {
            Ok(_) if item.is_refused() => Err("expected an error, it was accepted".to_owned()),
            Ok(Some(schema)) => check_schema(item, &schema),
            Ok(None) => Ok(()),
            Err(errors) if item.is_refused() => check_errors(item, &errors.0),
            Err(errors) => Err(format!("expected no error: {errors}")),
        };
        failures.extend(verdict.err().map(|message| Failure { line: item.line, message }));
    }
    failures
}

fn schema(
    catalog: &GoldenCatalog,
    sql: &str,
    functions: &dyn FunctionCatalog,
    snapshot: bool,
) -> Result<Option<Schema>, Diagnostics> {
    catalog.query(sql, functions, snapshot).map(|query| Some(Schema::clone(query.plan.schema())))
}

/// Every expected error is among those found, and there are no more than that.
fn check_errors(item: &Item, found: &[Diagnostic]) -> Result<(), String> {
    let listed = || found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let mut expected_count = 0;
    for expectation in &item.expected {
        let holds = match &expectation.kind {
            Expected::Error { code, place, message } => {
                expected_count += 1;
                found.iter().any(|error| {
                    let at = format!("{}:{}", error.span.line, error.span.column);
                    (code.is_empty() || code == error.code.as_str())
                        && (place.is_empty() || *place == at)
                        && error.message.contains(message.as_str())
                })
            }
            Expected::Hint(text) => {
                found.iter().any(|error| error.hint.as_ref().is_some_and(|hint| hint.contains(text.as_str())))
            }
            _ => true,
        };
        if !holds {
            return Err(format!("expected {:?}, found {}", expectation.kind, listed()));
        }
    }
    if expected_count == found.len() {
        Ok(())
    } else {
        Err(format!("expected {expected_count} errors: {}", listed()))
    }
}

fn check_schema(item: &Item, schema: &Schema) -> Result<(), String> {
    for expectation in &item.expected {
        let (expected, found) = match &expectation.kind {
            Expected::Columns(columns) => (columns, columns_of(schema)),
            Expected::Key(key) => (key, key_of(schema)),
            _ => continue,
        };
        if *expected != found {
            return Err(format!("expected {expected}, found {found}"));
        }
    }
    Ok(())
}

/// The columns as a `columns` line lists them.
#[must_use]
pub fn columns_of(schema: &Schema) -> String {
    let shown: Vec<String> =
        schema.fields.iter().map(|field| format!("{} {}", field.name, field.data_type)).collect();
    shown.join(", ")
}

/// The primary key as a `key` line lists it.
#[must_use]
pub fn key_of(schema: &Schema) -> String {
    let names: Vec<&str> = schema.primary_key.iter().map(|&column| &*schema.fields[column].name).collect();
    names.join(", ")
}
