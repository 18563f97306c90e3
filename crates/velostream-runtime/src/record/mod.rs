//! Records one at a time: the row form, and the engine that takes it.
//!
//! [`StreamExecutionEngine`] answers each [`StreamRecord`] with all that it changes in a query's answer, in the
//! same call: no thread, no lock, and nothing allocated but what it returns. With the feature `async` the same
//! results go to a bounded channel instead (`output.rs`, the one file that knows tokio).

mod decode;
mod encode;
mod engine;
#[cfg(feature = "async")]
mod output;
mod stream_record;

pub use decode::push;
pub use engine::{StreamExecutionEngine, StreamingQuery};
#[cfg(feature = "async")]
pub use output::{OutputReceiver, TryReceiveError};
pub use stream_record::StreamRecord;
