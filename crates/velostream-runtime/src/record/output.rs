//! The asynchronous wrapper: the synchronous calls, their results sent to a bounded channel.
//!
//! The one file that knows tokio. A call that waits for room may be dropped: what it has not sent yet is kept and
//! goes first in the next one, so no result is lost and none comes twice.

use super::{StreamExecutionEngine, StreamRecord, StreamingQuery};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc;
use velostream_sql::diagnostic::ErrorCode;

/// The sending side, and what waits for room.
pub struct Output {
    sender: mpsc::Sender<StreamRecord>,
    channel: ChannelId,
    /// Until it is taken.
    receiver: Option<OutputReceiver>,
    /// Results of at most one call that were not sent yet.
    unsent: VecDeque<StreamRecord>,
}

/// Equal for both sides of one channel, by its address.
type ChannelId = Arc<()>;

/// The results of the asynchronous calls of one engine, in order.
#[derive(Debug)]
pub struct OutputReceiver {
    results: mpsc::Receiver<StreamRecord>,
    channel: ChannelId,
}

/// Why [`OutputReceiver::try_receive`] has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TryReceiveError {
    /// None now.
    #[error("the output channel is empty")]
    Empty,
    /// None any more: the engine is gone.
    #[error("the output channel is closed")]
    Closed,
}

impl OutputReceiver {
    /// The next result; `None` when the engine is gone and all are received. Waits while there is none, and may
    /// be dropped without losing one.
    pub async fn receive(&mut self) -> Option<StreamRecord> {
        self.results.recv().await
    }

    /// The next result, if there is one now.
    pub fn try_receive(&mut self) -> std::result::Result<StreamRecord, TryReceiveError> {
        self.results.try_recv().map_err(|error| match error {
            mpsc::error::TryRecvError::Empty => TryReceiveError::Empty,
            mpsc::error::TryRecvError::Disconnected => TryReceiveError::Closed,
        })
    }
}

impl Output {
    fn new(results_max: usize) -> Self {
        let (sender, results) = mpsc::channel(results_max);
        let channel = ChannelId::default();
        let receiver = Some(OutputReceiver { results, channel: Arc::clone(&channel) });
        Self { sender, channel, receiver, unsent: VecDeque::new() }
    }

    /// Sends what waits, in order. With a receiver that is gone, results are dropped.
    async fn send_all(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            self.check_readable()?;
            let Ok(permit) = self.sender.reserve().await else {
                self.unsent.clear();
                break;
            };
            if let Some(result) = self.unsent.pop_front() {
                permit.send(result);
            }
        }
        Ok(())
    }

    /// A full channel whose receiver nobody has would be waited for without end.
    fn check_readable(&self) -> Result<()> {
        if self.receiver.is_some() && self.sender.capacity() == 0 {
            let message = "the output channel is full and its receiver is not taken";
            let hint = "call take_output_receiver, and receive while records are executed";
            return Err(Error::new(ErrorCode::Limit, message).with_hint(hint));
        }
        Ok(())
    }
}

impl StreamExecutionEngine {
    /// An engine whose asynchronous calls send to a channel of at most `results_max` results, at least 1.
    ///
    /// ```
    /// use velostream_runtime::{Literal, StreamExecutionEngine, StreamRecord, TryReceiveError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts").block_on(async {
    /// let mut engine = StreamExecutionEngine::with_output(100)?;
    /// engine.define("CREATE STREAM s (x INT)")?;
    /// let big = engine.query("SELECT x FROM s WHERE x > 10")?;
    /// let mut results = engine.take_output_receiver().expect("it is taken once");
    ///
    /// for x in [5, 15, 25] {
    ///     engine.execute_with_record_async(&big, &StreamRecord::new().with("x", x)).await?;
    /// }
    /// let first = results.receive().await.expect("15 is big");
    /// assert_eq!(first.get("x"), Some(&Literal::Int(15)));
    /// let second = results.try_receive().expect("so is 25");
    /// assert_eq!(second.get("x"), Some(&Literal::Int(25)));
    /// assert_eq!(results.try_receive(), Err(TryReceiveError::Empty));
    /// # Ok::<(), velostream_runtime::Error>(())
    /// # }).expect("it runs");
    /// ```
    pub fn with_output(results_max: usize) -> Result<Self> {
        if results_max == 0 {
            return Err(Error::new(ErrorCode::Argument, "an output channel holds at least 1 result"));
        }
        let mut engine = Self::new()?;
        engine.output = Some(Output::new(results_max));
        Ok(engine)
    }

    /// The receiver of the output channel; `None` when it is taken already, or the engine has no channel.
    pub fn take_output_receiver(&mut self) -> Option<OutputReceiver> {
        self.output.as_mut()?.receiver.take()
    }

    /// Gives a receiver back, to be taken again; what it has not received stays in it. One that is not this
    /// engine's is handed back.
    pub fn return_output_receiver(
        &mut self,
        receiver: OutputReceiver,
    ) -> std::result::Result<(), OutputReceiver> {
        match &mut self.output {
            Some(output) if Arc::ptr_eq(&output.channel, &receiver.channel) => {
                output.receiver = Some(receiver);
                Ok(())
            }
            _ => Err(receiver),
        }
    }

    /// Applies one record as [`Self::execute_with_record`] does and sends its results to the output channel,
    /// waiting while that is full; without a channel, or with a receiver that is gone, they are dropped. May be
    /// dropped while it waits: the record is applied, and its results go first in the next call. So they do after
    /// LIMIT, which says that the channel is full and nobody has taken its receiver.
    pub async fn execute_with_record_async(
        &mut self,
        query: &StreamingQuery,
        record: &StreamRecord,
    ) -> Result<()> {
        self.process_batch_async(query, std::slice::from_ref(record)).await
    }

    /// The same for several records, as [`Self::process_batch`] does.
    pub async fn process_batch_async(
        &mut self,
        query: &StreamingQuery,
        records: &[StreamRecord],
    ) -> Result<()> {
        self.send_output().await?;
        let results = self.process_batch(query, records)?;
        self.send(results).await
    }

    /// Ends a query's sources as [`Self::end`] does and sends what becomes final.
    pub async fn end_async(&mut self, query: &StreamingQuery) -> Result<()> {
        self.send_output().await?;
        let results = self.end(query)?;
        self.send(results).await
    }

    /// Sends what a call that was dropped has left. The asynchronous calls begin with it.
    pub async fn send_output(&mut self) -> Result<()> {
        match &mut self.output {
            Some(output) => output.send_all().await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, results: Vec<StreamRecord>) -> Result<()> {
        let Some(output) = &mut self.output else { return Ok(()) };
        output.unsent.extend(results);
        output.send_all().await
    }
}
