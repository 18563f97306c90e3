//! The addon: conversion, guards and handles between JavaScript and `velostream-runtime`. Knows no SQL.

use napi_derive::napi;

/// The version of the engine, which is the version of the package.
#[napi(catch_unwind)]
#[must_use]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
