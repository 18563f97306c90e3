//! [`Turns`]: small batches of several inputs whose records take turns, gathered to be applied together.

use super::Work;
use crate::partition::event::Envelope;

/// Rows up to which a batch is gathered with others; larger ones are worth a call by themselves.
const SMALL_ROWS: usize = 64;
/// Rows gathered, after which no more are.
const ROWS_ENOUGH: usize = 1024;

/// Batches in the order of their numbers, as one of each input.
pub struct Turns {
    parts: Vec<Envelope>,
    rows: usize,
}

impl Turns {
    /// Beginning with this batch; gives it back where it is large.
    pub fn begin(envelope: Box<Envelope>) -> Result<Self, Box<Envelope>> {
        let rows = envelope.batch.changes.len();
        if rows > SMALL_ROWS { Err(envelope) } else { Ok(Self { parts: vec![*envelope], rows }) }
    }

    /// Whether there is to be more.
    pub fn wants_more(&self) -> bool {
        self.rows < ROWS_ENOUGH
    }

    /// Whether a batch can be taken in: a small one, with which its source's time goes on as it stood.
    pub fn can_take(&self, envelope: &Envelope) -> bool {
        if envelope.batch.changes.len() > SMALL_ROWS {
            return false;
        }
        let part = self.parts.iter().find(|part| part.input == envelope.input);
        part.is_none_or(|part| envelope.batch.time.before == part.batch.time.after())
    }

    /// Takes in what comes next.
    pub fn add(&mut self, envelope: Envelope) {
        self.rows += envelope.batch.changes.len();
        match self.parts.iter_mut().find(|part| part.input == envelope.input) {
            Some(part) => part.append(envelope),
            None => self.parts.push(envelope),
        }
    }

    /// What is to be done with them.
    pub fn into_work(mut self) -> Work {
        let through = self.parts.iter().map(|part| part.through).max().unwrap_or_default();
        self.parts.iter_mut().for_each(|part| part.through = through);
        if self.parts.len() > 1 {
            return Work::Turns(self.parts);
        }
        Work::Batch(Box::new(self.parts.remove(0)))
    }
}
