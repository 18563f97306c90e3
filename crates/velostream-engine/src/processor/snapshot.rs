//! Snapshots: a frame of magic, version, the plan's fingerprint, the state and a checksum.

use super::QueryProcessor;
use crate::error::{EngineError, Result};
use crate::state::{SnapshotReader, SnapshotWriter, State, Storable};

const MAGIC: u32 = 0x4f4c_4556;
const VERSION: u32 = 4;

/// FNV-1a, 64 bits: finds damage, not malice.
struct Checksum(u64);

impl Checksum {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

struct SummingWriter<'a> {
    writer: &'a mut dyn SnapshotWriter,
    sum: Checksum,
}

impl SnapshotWriter for SummingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.sum.add(bytes);
        self.writer.write(bytes)
    }
}

struct SummingReader<'a> {
    reader: &'a mut dyn SnapshotReader,
    sum: Checksum,
}

impl SnapshotReader for SummingReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.reader.read(bytes)?;
        self.sum.add(bytes);
        Ok(())
    }
}

impl QueryProcessor {
    /// Writes the whole state. Refused while `begin` is in force.
    pub fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        if self.in_transaction {
            return Err(EngineError::State("no snapshot within a transaction"));
        }
        let mut summing = SummingWriter { writer, sum: Checksum::new() };
        MAGIC.store(&mut summing)?;
        VERSION.store(&mut summing)?;
        self.fingerprint.store(&mut summing)?;
        self.standing.snapshot(&mut summing)?;
        self.nodes.snapshot(&mut summing)?;
        let sum = summing.sum.0;
        sum.store(writer)
    }

    /// Replaces the whole state by a snapshot of a processor of the same plan. After an error the state is
    /// undefined: drop the processor.
    pub fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        if self.in_transaction {
            return Err(EngineError::State("no restore within a transaction"));
        }
        let damaged = |what: &str| EngineError::Snapshot(what.to_owned());
        let mut summing = SummingReader { reader, sum: Checksum::new() };
        if u32::load(&mut summing)? != MAGIC {
            return Err(damaged("it is not a snapshot"));
        }
        if u32::load(&mut summing)? != VERSION {
            return Err(damaged("it is of another version"));
        }
        if u64::load(&mut summing)? != self.fingerprint {
            return Err(damaged("it belongs to another plan"));
        }
        self.standing.restore(&mut summing)?;
        self.nodes.restore(&mut summing)?;
        let sum = summing.sum.0;
        if u64::load(reader)? != sum {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(())
    }
}
