//! Errors cross as the JSON of their fields in the message; the facade makes a `VelostreamError` of it.

use serde_json::{Map, Value, json};
use std::any::Any;
use velostream_runtime::{Diagnostic, Error, ErrorCode};

/// The error that JavaScript gets for one of the runtime's.
pub fn to_js(error: Error) -> napi::Error {
    let mut fields = Map::new();
    fields.insert("code".into(), code(error.code).into());
    fields.insert("message".into(), error.message.into());
    insert_some(&mut fields, "hint", error.hint);
    if error.line > 0 {
        let place = [
            ("line", error.line),
            ("column", error.column),
            ("endLine", error.end_line),
            ("endColumn", error.end_column),
        ];
        fields.extend(place.map(|(name, value)| (name.to_owned(), value.into())));
    }
    insert_some(&mut fields, "index", error.index);
    insert_some(&mut fields, "relation", error.relation);
    insert_some(&mut fields, "field", error.field);
    insert_some(&mut fields, "rendered", error.rendered);
    if !error.diagnostics.is_empty() {
        let diagnostics = error.diagnostics.iter().map(diagnostic).collect::<Vec<_>>();
        fields.insert("diagnostics".into(), diagnostics.into());
    }
    napi::Error::from_reason(Value::Object(fields).to_string())
}

/// The public name of a code.
pub fn code(code: ErrorCode) -> String {
    format!("ERR_VELO_{}", code.as_str())
}

/// The error of a call on a handle that is closed.
pub fn closed(what: &str) -> napi::Error {
    to_js(Error::new(ErrorCode::Closed, format!("the {what} is closed")))
}

/// The error of a call that ended in a panic.
pub fn panicked(panic: &(dyn Any + Send)) -> napi::Error {
    to_js(velostream_runtime::fault("the processor", panic))
}

fn diagnostic(diagnostic: &Diagnostic) -> Value {
    json!({
        "code": code(diagnostic.code),
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "line": diagnostic.span.line,
        "column": diagnostic.span.column,
        "endLine": diagnostic.span.end_line,
        "endColumn": diagnostic.span.end_column,
    })
}

fn insert_some(fields: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value.into());
    }
}
