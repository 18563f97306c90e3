//! Splits the records of a chunk that need no copying: their fields stand in the chunk as they are, at most with
//! quotes around them.

/// Where a field stands in the bytes of its record.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// Whether the field is empty, and so NULL.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The bytes of the field.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start..self.end]
    }
}

/// The records of a chunk, from one that begins at `at`.
pub struct Plain<'a> {
    chunk: &'a [u8],
    delimiter: u8,
    /// The first byte of the next record, or a line end before it.
    pub at: usize,
    /// Where the block in hand begins, and which of its bytes are marks still to come.
    base: usize,
    marks: u64,
}

const BLOCK: usize = 64;

impl<'a> Plain<'a> {
    pub fn new(chunk: &'a [u8], delimiter: u8, at: usize) -> Self {
        let mut plain = Self { chunk, delimiter, at, base: at, marks: 0 };
        plain.marks = plain.block(at).unwrap_or(0);
        plain
    }

    /// Whether records with this delimiter can be read so.
    pub fn reads(delimiter: u8) -> bool {
        !matches!(delimiter, b'"' | b'\n' | b'\r')
    }

    /// Appends the fields of the next record and gives where it and its line end begin; moves behind them.
    ///
    /// `None` for a record that the chunk does not complete or that is written in another way: `at` is then its first
    /// byte, or the end of the chunk, and some of its fields may have been appended.
    #[inline(always)]
    pub fn record(&mut self, fields: &mut Vec<Span>) -> Option<(usize, usize)> {
        let mut start = self.at;
        loop {
            let mark = self.next()?;
            let byte = self.chunk[mark];
            if byte == self.delimiter {
                fields.push(Span { start, end: mark });
                start = mark + 1;
            } else if byte == b'"' {
                // Inside a field a quote is a byte like others.
                if mark == start {
                    let (field, behind) = self.quoted(start)?;
                    fields.push(field);
                    if self.chunk[behind] != self.delimiter {
                        return Some((std::mem::replace(&mut self.at, behind + 1), behind));
                    }
                    start = behind + 1;
                }
            } else if mark == self.at {
                // An empty line.
                start = mark + 1;
                self.at = start;
            } else {
                fields.push(Span { start, end: mark });
                return Some((std::mem::replace(&mut self.at, mark + 1), mark));
            }
        }
    }

    /// The field whose quote stands at `quote`, and where the mark behind it stands; `None` if it holds quotes, or
    /// more behind the second one.
    fn quoted(&mut self, quote: usize) -> Option<(Span, usize)> {
        let close = loop {
            let mark = self.next()?;
            if self.chunk[mark] == b'"' {
                break mark;
            }
        };
        let behind = self.next()?;
        let ends = behind == close + 1 && self.chunk[behind] != b'"';
        ends.then_some((Span { start: quote + 1, end: close }, behind))
    }

    /// Where the next delimiter, quote or line end stands.
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.marks == 0 {
            self.base += BLOCK;
            self.marks = self.block(self.base)?;
        }
        let offset = self.marks.trailing_zeros() as usize;
        self.marks &= self.marks - 1;
        Some(self.base + offset)
    }

    /// The marks of the block at `base`; `None` behind the last one.
    #[inline]
    fn block(&self, base: usize) -> Option<u64> {
        let rest = self.chunk.get(base..)?;
        if let Some(block) = rest.first_chunk() {
            return Some(marks(block, self.delimiter));
        }
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        let inside = (1 << rest.len()) - 1;
        (!rest.is_empty()).then(|| marks(&block, self.delimiter) & inside)
    }
}

/// One bit for each byte that is a delimiter, quote or line end, the first byte's lowest.
///
/// Written so that compilers compare many bytes at once; eight flags are then drawn together by a product, whose
/// summands meet in no bit.
#[inline]
fn marks(block: &[u8; BLOCK], delimiter: u8) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut flags = [0u8; BLOCK];
    for (flag, &byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(byte == delimiter)
            | u8::from(byte == b'"')
            | u8::from(byte == b'\n')
            | u8::from(byte == b'\r');
    }
    let (eights, _) = flags.as_chunks::<8>();
    let bits = |flags: &[u8; 8]| u64::from_le_bytes(*flags).wrapping_mul(GATHER) >> 56;
    eights.iter().rev().fold(0, |all, eight| all << 8 | bits(eight))
}
