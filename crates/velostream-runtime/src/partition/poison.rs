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

fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}

/// In this crate's own tests, the query of this name panics when it processes a batch.
#[cfg(test)]
pub const FAULTY: &str = "faulty";

/// Panics in the query that is to.
#[cfg(test)]
pub fn strike(query: &str) {
    assert!(query != FAULTY, "an operator has lost its state");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{EngineOptions, Pull, QueryOptions};
    use crate::engine::Engine;
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::task::Poll;
    use std::time::Duration;
    use velostream_engine::batch::ChangeBatch;
    use velostream_sql::bind::Params;

    /// Longest that a test waits for a wake before it fails.
    const WAKE_SECONDS_MAX: u64 = 20;

    #[test]
    fn a_panic_becomes_an_internal_error_with_its_message() {
        let error = guarded(|| panic!("row {} is gone", 7)).map(|(): ()| ()).expect_err("it panics");
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(error.message.ends_with("row 7 is gone"), "{}", error.message);
        assert_eq!(guarded(|| 3), Ok(3));
    }

    #[test]
    fn a_query_that_panics_ends_alone() {
        for partitions in [0, 1, 3] {
            let (sender, wakes) = channel();
            let waker: crate::api::Waker = Arc::new(move || {
                let _ = sender.send(());
            });
            let options = EngineOptions { partitions, ..EngineOptions::default() };
            let mut engine = Engine::new(options, Arc::clone(&waker)).expect("the options are supported");
            engine.exec("CREATE STREAM s (k INT)", &Params::default(), 0).expect("it is well-formed");
            let mut start = |name: &str| {
                let options = QueryOptions { name: Some(name.into()), ..QueryOptions::default() };
                let sql = "SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES";
                engine.query(sql, &Params::default(), &options, 0).expect("it is well-formed")
            };
            let (faulty, sound) = (start(FAULTY), start("sound"));
            let id = engine.relation("s").expect("it exists").id;
            for _ in 0..2 {
                engine.insert_json(id, br#"{"k":1}"#, true, 0).expect("it is well-formed");
                let ticket = engine.flush();
                while matches!(engine.poll(ticket), Poll::Pending) {
                    wakes.recv_timeout(Duration::from_secs(WAKE_SECONDS_MAX)).expect("a wake comes in time");
                    engine.woken();
                }
            }
            let mut changes = ChangeBatch::default();
            let error = engine.pull(faulty, 10, &mut changes).expect_err("it has panicked");
            assert_eq!(error.code, ErrorCode::Internal);
            assert!(error.message.ends_with("an operator has lost its state"), "{}", error.message);
            while engine.pull(sound, 10, &mut changes) == Ok(Pull::Rows) {}
            assert_eq!(changes.len(), 2, "the other query has gone on");
            engine.close();
            drop(engine);
            assert_eq!(Arc::strong_count(&waker), 1, "nothing of the engine is left, nor a thread of it");
        }
    }
}
