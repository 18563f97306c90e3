//! What stands in front of a record's values: the same bytes in nearly every record of an input.
//!
//! A lead is what lies between the end of one value, or the opening brace, and the first byte of the next value:
//! comma, name, colon and white space. Whoever finds the last record's lead again at its place need not read it.

/// Longest lead that is kept, in words of eight bytes.
const LEAD_WORDS_MAX: usize = 5;
/// Most leads that are kept.
const LEADS_MAX: usize = 256;

/// The last lead seen at each place among a record's members.
#[derive(Debug, Default)]
pub struct Leads {
    /// `None` where it was too long.
    leads: Vec<Option<Lead>>,
}

#[derive(Debug)]
struct Lead {
    /// Its bytes, little-endian, zeros behind them.
    words: [u64; LEAD_WORDS_MAX],
    length: usize,
    column: Option<usize>,
}

impl Leads {
    /// The length of the lead kept for `place`, and the column it names, if `bytes` begin with it.
    #[inline]
    pub fn find(&self, place: usize, bytes: &[u8]) -> Option<(usize, Option<usize>)> {
        let lead = self.leads.get(place)?.as_ref()?;
        lead.begins(bytes).then_some((lead.length, lead.column))
    }

    /// Keeps a lead, which is whole and names `column`, for the records that follow.
    pub fn keep(&mut self, place: usize, bytes: &[u8], column: Option<usize>) {
        let lead = Lead::new(bytes, column);
        if place < self.leads.len() {
            self.leads[place] = lead;
        } else if place == self.leads.len() && place < LEADS_MAX {
            self.leads.push(lead);
        }
    }
}

impl Lead {
    fn new(bytes: &[u8], column: Option<usize>) -> Option<Self> {
        if bytes.len() > LEAD_WORDS_MAX * 8 {
            return None;
        }
        let mut words = [0; LEAD_WORDS_MAX];
        for (at, &byte) in bytes.iter().enumerate() {
            words[at / 8] |= u64::from(byte) << (at % 8 * 8);
        }
        Some(Self { words, length: bytes.len(), column })
    }

    /// Whether `bytes` begin with it; never where they end within its last word.
    #[inline]
    fn begins(&self, bytes: &[u8]) -> bool {
        let (full, rest) = (self.length / 8, self.length % 8);
        let Some((front, last)) = bytes.get(..full * 8 + 8).and_then(<[u8]>::split_last_chunk) else {
            return false;
        };
        let word = |chunk: &[u8]| u64::from_le_bytes(chunk.try_into().expect("a chunk has eight bytes"));
        let front_same = front.chunks_exact(8).zip(&self.words).all(|(chunk, &kept)| word(chunk) == kept);
        let kept = self.words.get(full).copied().unwrap_or(0);
        front_same && (u64::from_le_bytes(*last) ^ kept) & ((1 << (8 * rest)) - 1) == 0
    }
}
