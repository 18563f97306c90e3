//! Standard input: one for the process, whose start can be looked at before it is read, to infer columns.

use crate::ingest::infer::SAMPLE_BYTES_MAX;
use std::io::{Cursor, ErrorKind, Read, Result};
use std::sync::{Mutex, PoisonError};

/// Bytes asked for at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// What was looked at and is still to be read.
static START: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The bytes at the start, as many as `enough` asks for, up to the end or the size of a sample. Waits for them.
pub fn peek(enough: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
    let mut start = START.lock().unwrap_or_else(PoisonError::into_inner);
    extend(&mut start, &mut std::io::stdin(), enough)?;
    Ok(start.clone())
}

/// All of it, with what was looked at.
pub fn open() -> impl Read + Send {
    let mut start = START.lock().unwrap_or_else(PoisonError::into_inner);
    Cursor::new(std::mem::take(&mut *start)).chain(std::io::stdin())
}

fn extend(start: &mut Vec<u8>, input: &mut impl Read, enough: impl Fn(&[u8]) -> bool) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    while start.len() < SAMPLE_BYTES_MAX && !enough(start) {
        match input.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => start.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, as a slow pipe does.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    #[test]
    fn a_look_ends_when_it_has_enough() {
        let mut start = Vec::new();
        let mut input = Slow(b"one\ntwo\n");
        extend(&mut start, &mut input, |bytes| bytes.contains(&b'\n')).expect("a slice can be read");
        assert_eq!((start.as_slice(), input.0), (&b"one\n"[..], &b"two\n"[..]));
    }

    #[test]
    fn a_look_ends_with_the_input() {
        let mut start = Vec::new();
        extend(&mut start, &mut Slow(b"one"), |_| false).expect("a slice can be read");
        assert_eq!(start, b"one");
    }
}
