//! [`Engine`]: the calls. All come from one thread, and none of them waits for another thread.

mod accept;
mod ask;
mod calls;
mod describe;
mod feeds;
mod file_ways;
mod pipelines;
mod settings;
mod sharing;
mod statements;
mod ways;

use crate::api::{EngineOptions, Ticket, Waker};
use crate::catalog::{Catalog, PipelineId};
use crate::dead_letter::DeadLetters;
use crate::error::{Error, Result};
use crate::kernel::KernelOptions;
use crate::pipeline::Pipeline;
use crate::shared::Shared;
use crate::wake::Wake;
use ask::Job;
pub(crate) use calls::info;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use velostream_engine::batch::Seq;
use velostream_sql::bind::{BindOptions, Params, bind_script};
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::statement::Statement;

/// Numbers set aside for the records of one file, so that what is inserted later comes later.
const FILE_NUMBERS: u64 = 1 << 40;

/// Receivers of one query.
const PARTITIONS_MAX: usize = 1024;

/// A running engine.
pub struct Engine {
    options: EngineOptions,
    shared: Arc<Shared>,
    catalog: Catalog,
    /// In order of their creation, in which a reader always comes after what it reads.
    pipelines: BTreeMap<PipelineId, Pipeline>,
    next_pipeline: PipelineId,
    jobs: BTreeMap<Ticket, Job>,
    next_ticket: u64,
    next_seq: u64,
    /// The clock's last reading, milliseconds since the epoch.
    now_ms: i64,
    closed: bool,
}

impl Engine {
    /// A new engine; options that it cannot run with are refused.
    pub fn new(options: EngineOptions, waker: Waker) -> Result<Self> {
        if options.partitions > PARTITIONS_MAX {
            let message = format!("partitions is at most {PARTITIONS_MAX}, not {}", options.partitions);
            return Err(Error::new(ErrorCode::Argument, message));
        }
        let capacities = [
            ("mailboxBatches", options.mailbox_batches),
            ("mailboxBytes", options.mailbox_bytes),
            ("fileBlockBytes", options.file_block_bytes),
            ("outputRows", options.output_rows),
            ("outputBytes", options.output_bytes),
        ];
        if let Some((name, _)) = capacities.iter().find(|(_, capacity)| *capacity == 0) {
            return Err(Error::new(ErrorCode::Argument, format!("{name} must be at least 1")));
        }
        let shared = Shared {
            dead_letters: DeadLetters::new(options.dead_letter_capacity),
            wake: Wake::new(waker),
            state_bytes: AtomicU64::new(0),
            memory_limit: options.memory_limit,
        };
        Ok(Self {
            options,
            shared: Arc::new(shared),
            catalog: Catalog::default(),
            pipelines: BTreeMap::new(),
            next_pipeline: 1,
            jobs: BTreeMap::new(),
            next_ticket: 1,
            next_seq: 1,
            now_ms: 0,
            closed: false,
        })
    }

    fn open(&self) -> Result<()> {
        if self.closed { Err(Error::new(ErrorCode::Closed, "the engine is closed")) } else { Ok(()) }
    }

    fn bind(&self, sql: &str, params: &Params, options: &BindOptions) -> Result<Vec<Statement>> {
        let functions = velostream_engine::functions::registry::registry();
        bind_script(sql, &self.catalog, functions, params, options)
            .map_err(|diagnostics| Error::of_text(diagnostics, sql))
    }

    /// The next `count` sequence numbers; the first of them.
    fn take_numbers(&mut self, count: u64) -> Seq {
        let first = self.next_seq;
        self.next_seq += count;
        Seq(first)
    }

    /// The number of the last record so far.
    fn last_number(&self) -> Seq {
        Seq(self.next_seq - 1)
    }

    fn kernel_options(&self, before: bool) -> KernelOptions {
        let default_grace_micros = self.options.default_grace_micros;
        KernelOptions { before, default_grace_micros, ..KernelOptions::default() }
    }

    fn ticket(&mut self, job: Job) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.jobs.insert(ticket, job);
        ticket
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}
