//! Questions that travel behind everything accepted before them.

use super::mailbox::Mailbox;
use crate::catalog::PipelineId;
use crate::sync::AtomicUsize;
use crate::wake::Wake;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use velostream_engine::batch::Seq;

/// A question that travels behind everything accepted before it.
#[derive(Debug, Clone)]
pub struct Barrier {
    /// The number of the last record accepted before it.
    pub at: Seq,
    /// The pipelines that it goes to.
    pub members: Arc<BTreeSet<PipelineId>>,
    /// What is asked.
    pub kind: BarrierKind,
}

/// What a barrier asks.
#[derive(Debug, Clone)]
pub enum BarrierKind {
    /// Everything before is processed when the last pass is dropped: a pass counts while it lives.
    Flush(#[allow(dead_code)] Pass),
    /// The rows that a pipeline maintains, and from here on its changes.
    Subscribe(Arc<Subscription>),
}

/// A new reader of a derived relation.
#[derive(Debug)]
pub struct Subscription {
    /// Who maintains the relation.
    pub of: PipelineId,
    /// Who reads it.
    pub reader: Reader,
    /// The number of the rows with which the reader begins.
    pub at: Seq,
    /// Whether it wants the rows of this moment alone, then the end.
    pub once: bool,
}

/// Where changes go.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The reading pipeline.
    pub pipeline: PipelineId,
    /// Its mailbox.
    pub mailbox: Arc<Mailbox>,
    /// Which of its inputs this is.
    pub input: usize,
}

/// A flush on its way: one pass per receiver that still has to be passed. It counts as passed when dropped,
/// also where a receiver has gone.
#[derive(Debug)]
pub struct Pass(Arc<Passes>);

/// Counts the passes of one flush.
pub struct Passes {
    waiting: AtomicUsize,
    wake: Wake,
}

impl std::fmt::Debug for Passes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passes").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Passes {
    /// The first pass of a flush, which is passed when that and all made from it are dropped.
    pub fn new(wake: Wake) -> (Arc<Self>, Pass) {
        let passes = Arc::new(Self { waiting: AtomicUsize::new(1), wake });
        (Arc::clone(&passes), Pass(passes))
    }

    /// Whether all are passed.
    pub fn is_passed(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }
}

impl Clone for Pass {
    fn clone(&self) -> Self {
        self.0.waiting.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.wake.wake();
        }
    }
}
