//! What is left of a panic: its message, as the INTERNAL error that ends a query.

use crate::error::Error;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use velostream_sql::diagnostic::ErrorCode;

/// Runs `body`; a panic in it becomes an error. What `body` worked on must not be used afterwards.
pub fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| fault("the query", panic.as_ref()))
}

/// The error of `what` that has panicked.
#[must_use]
pub fn fault(what: &str, panic: &(dyn Any + Send)) -> Error {
    let message = format!("{what} failed by a fault of the engine: {}", reason(panic));
    Error::new(ErrorCode::Internal, message).with_hint("please report it with the query")
}

/// What a panic says.
pub fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_error_with_its_message() {
        let error = guarded(|| panic!("row {} is gone", 7)).map(|(): ()| ()).expect_err("it panics");
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(error.message.ends_with("row 7 is gone"), "{}", error.message);
        assert_eq!(guarded(|| 3), Ok(3));
    }
}
