//! Conversions of what crosses outside of blocks: options, parameters, columns.

use crate::error::to_js;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use std::sync::Arc;
use velostream_runtime::sink::ndjson::{Forms, NdjsonOptions};
use velostream_runtime::{
    DataType, EngineOptions, Error, ErrorCode, Literal, Params, QueryInfo, QueryOptions, RelationInfo, Schema,
};

/// How an engine runs; what is missing has its default.
#[napi(object)]
pub struct NativeOptions {
    pub partitions: Option<u32>,
    pub mailbox_batches: Option<u32>,
    pub mailbox_bytes: Option<f64>,
    pub memory_limit: Option<f64>,
    pub dead_letter_capacity: Option<u32>,
    pub seed: Option<f64>,
    pub output_rows: Option<u32>,
    pub output_bytes: Option<f64>,
    pub default_grace_micros: Option<f64>,
}

impl From<NativeOptions> for EngineOptions {
    fn from(given: NativeOptions) -> Self {
        let defaults = Self::default();
        let count = |value: Option<u32>, default: usize| value.map_or(default, |value| value as usize);
        let bytes = |value: Option<f64>, default: usize| value.map_or(default, |value| value as usize);
        Self {
            partitions: count(given.partitions, defaults.partitions),
            mailbox_batches: count(given.mailbox_batches, defaults.mailbox_batches),
            mailbox_bytes: bytes(given.mailbox_bytes, defaults.mailbox_bytes),
            memory_limit: given.memory_limit.map_or(defaults.memory_limit, |value| value as u64),
            dead_letter_capacity: count(given.dead_letter_capacity, defaults.dead_letter_capacity),
            seed: given.seed.map_or(defaults.seed, |value| value as u64),
            output_rows: count(given.output_rows, defaults.output_rows),
            output_bytes: bytes(given.output_bytes, defaults.output_bytes),
            default_grace_micros: given
                .default_grace_micros
                .map_or(defaults.default_grace_micros, |value| value as i64),
            ..defaults
        }
    }
}

/// How a query runs.
#[napi(object)]
pub struct NativeQueryOptions {
    pub before: Option<bool>,
    pub order_by_key: Option<bool>,
    pub on_error: Option<String>,
    pub name: Option<String>,
}

impl From<NativeQueryOptions> for QueryOptions {
    fn from(given: NativeQueryOptions) -> Self {
        Self {
            before: given.before.unwrap_or_default(),
            order_by_key: given.order_by_key.unwrap_or_default(),
            on_error: given.on_error,
            name: given.name,
        }
    }
}

/// How changes are written as NDJSON.
#[napi(object)]
pub struct NativeNdjsonOptions {
    pub timestamps_as_numbers: bool,
    pub bigints_as_text: bool,
    pub decimals_as_numbers: bool,
    pub before: bool,
}

impl From<NativeNdjsonOptions> for NdjsonOptions {
    fn from(given: NativeNdjsonOptions) -> Self {
        let NativeNdjsonOptions { timestamps_as_numbers, bigints_as_text, decimals_as_numbers, before } =
            given;
        Self { forms: Forms { timestamps_as_numbers, bigints_as_text, decimals_as_numbers }, before }
    }
}

/// The value of a parameter, as exactly one of its fields, or NULL.
#[napi(object)]
pub struct NativeParam {
    /// For `:name` and `$name`; all parameters of a call have one, or none has.
    pub name: Option<String>,
    pub number: Option<f64>,
    /// A signed 64-bit integer in decimal digits.
    pub bigint: Option<String>,
    pub text: Option<String>,
    pub boolean: Option<bool>,
    pub bytes: Option<Uint8Array>,
    /// A time in milliseconds since the epoch.
    pub time: Option<f64>,
}

impl NativeParam {
    fn literal(&self) -> napi::Result<(Literal, DataType)> {
        if let Some(number) = self.number {
            return Ok(number_literal(number));
        }
        if let Some(digits) = &self.bigint {
            let value = digits.parse().map_err(|_| {
                let message = format!("parameter {digits} is out of range of BIGINT");
                to_js(Error::new(ErrorCode::Argument, message))
            })?;
            return Ok((Literal::BigInt(value), DataType::BigInt));
        }
        if let Some(text) = &self.text {
            return Ok((Literal::String(text.as_str().into()), DataType::String));
        }
        if let Some(value) = self.boolean {
            return Ok((Literal::Boolean(value), DataType::Boolean));
        }
        if let Some(bytes) = &self.bytes {
            return Ok((Literal::Bytes(bytes.as_ref().into()), DataType::Bytes));
        }
        Ok(match self.time {
            Some(millis) => (Literal::Timestamp((millis * 1e3).round() as i64), DataType::Timestamp),
            None => (Literal::Null, DataType::Null),
        })
    }
}

/// A number is the narrowest type that has it exactly: what is whole widens to every other number.
fn number_literal(number: f64) -> (Literal, DataType) {
    const SAFE: f64 = 9_007_199_254_740_991.0;
    if number.fract() != 0.0 || number.abs() > SAFE || (number == 0.0 && number.is_sign_negative()) {
        return (Literal::Double(number), DataType::Double);
    }
    let whole = number as i64;
    match i32::try_from(whole) {
        Ok(small) => (Literal::Int(small), DataType::Int),
        Err(_) => (Literal::BigInt(whole), DataType::BigInt),
    }
}

/// The parameters of a text.
pub fn params(given: Vec<NativeParam>) -> napi::Result<Params> {
    let named = given.first().is_some_and(|first| first.name.is_some());
    let values = given.into_iter().map(|param| {
        let value = param.literal()?;
        Ok((param.name.unwrap_or_default(), value))
    });
    if named {
        values.collect::<napi::Result<_>>().map(Params::Named)
    } else {
        values.map(|value| value.map(|(_, value)| value)).collect::<napi::Result<_>>().map(Params::Positional)
    }
}

/// A column as JavaScript sees it.
#[napi(object)]
pub struct NativeColumn {
    pub name: String,
    /// Its SQL type.
    pub r#type: String,
    pub nullable: bool,
    /// Whether it belongs to the primary key.
    pub key: bool,
}

/// The columns of a schema.
pub fn columns(schema: &Schema) -> Vec<NativeColumn> {
    let column = |(position, field): (usize, &velostream_runtime::Field)| NativeColumn {
        name: field.name.to_string(),
        r#type: field.data_type.to_string(),
        nullable: field.nullable,
        key: schema.primary_key.contains(&position),
    };
    schema.fields.iter().enumerate().map(column).collect()
}

/// Names of the primary key's columns, in the key's order.
fn key_names(schema: &Schema) -> Vec<String> {
    schema.primary_key.iter().map(|&position| schema.fields[position].name.to_string()).collect()
}

/// What is known of a query, a processor or a result from its start.
#[napi(object)]
pub struct NativeResult {
    pub id: String,
    pub columns: Vec<NativeColumn>,
    pub primary_key: Vec<String>,
    pub updating: bool,
}

/// A result called `id`.
pub fn result(id: String, schema: &Arc<Schema>) -> NativeResult {
    NativeResult { id, columns: columns(schema), primary_key: key_names(schema), updating: schema.updating }
}

/// A query's result.
pub fn query_result(info: QueryInfo) -> NativeResult {
    result(info.id, &info.schema)
}

/// A relation that takes rows.
#[napi(object)]
pub struct NativeRelation {
    pub id: u32,
    pub name: String,
    pub columns: Vec<NativeColumn>,
    pub is_table: bool,
}

/// A relation as JavaScript sees it.
pub fn relation(info: &RelationInfo) -> NativeRelation {
    NativeRelation {
        id: info.id.0,
        name: info.name.clone(),
        columns: columns(&info.schema),
        is_table: info.is_table,
    }
}
