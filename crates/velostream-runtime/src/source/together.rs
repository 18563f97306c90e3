//! [`Together`]: inputs whose rows are taken by their event times, the earliest first.
//!
//! Each input keeps its own order: of their next rows the earliest is taken, of equal ones that of the first input. So
//! nothing is given while an input that has not ended has no row in hand.

use super::reads::Reads;
use crate::api::DeadLetter;
use crate::partition::interlaced::{Interlaced, Strand};
use crate::partition::outlet::Parcel;
use crate::partition::share::Share;
use std::collections::VecDeque;
use std::sync::Arc;
use velostream_engine::batch::Seq;
use velostream_engine::time::{EventTime, TimeRuns, Watermark};

/// The inputs, and how far each is given out.
pub struct Together {
    tracks: Vec<Track>,
    /// Letters of records that stand before all that is not given.
    letters: Vec<DeadLetter>,
}

/// One input.
struct Track {
    has_ended: bool,
    block: Option<InHand>,
    /// Numbers of the rows in hand that are to be given next.
    seqs: Vec<Seq>,
    watermark: Watermark,
    /// Records given, of which this is told.
    given: u64,
    reads: Arc<Reads>,
    /// Letters of records behind those given.
    letters: VecDeque<DeadLetter>,
}

/// A block of which not all rows are given.
struct InHand {
    share: Arc<Share>,
    /// The first row that is not given.
    from: usize,
    /// The first behind those that have a number.
    row: usize,
}

impl Together {
    /// Inputs of which nothing is given; each of these is told of what is given of one.
    pub fn new(inputs: impl Iterator<Item = Arc<Reads>>) -> Self {
        let track = |reads| Track {
            has_ended: false,
            block: None,
            seqs: Vec::new(),
            watermark: Watermark::NONE,
            given: 0,
            reads,
            letters: VecDeque::new(),
        };
        Self { tracks: inputs.map(track).collect(), letters: Vec::new() }
    }

    /// The first input of which more is needed, or the end, before anything can be given.
    pub fn needs(&self) -> Option<usize> {
        self.tracks.iter().position(|track| !track.has_ended && track.block.is_none())
    }

    /// The next block of the input that was needed: its rows, numbered from 0 in a time that begins with them, and letters
    /// of what was refused between.
    pub fn put(&mut self, input: usize, rows: Option<Share>, letters: Vec<DeadLetter>) {
        let track = &mut self.tracks[input];
        let given = track.given;
        let placed = letters.into_iter().map(|letter| DeadLetter { offset: given + letter.offset, ..letter });
        track.letters.extend(placed);
        track.block = rows.map(|share| InHand { share: Arc::new(share), from: 0, row: 0 });
        let due = track.letters.partition_point(|letter| letter.offset <= given);
        self.letters.extend(track.letters.drain(..due));
    }

    /// Nothing more comes of the input that was needed.
    pub fn end(&mut self, input: usize) {
        self.tracks[input].has_ended = true;
    }

    /// Whether nothing more comes of any.
    pub fn is_over(&self) -> bool {
        self.tracks.iter().all(|track| track.has_ended)
    }

    /// Letters of what was refused behind the rows given, in the order of the rows before them. Each has the number of its
    /// input's records before it.
    pub fn take_letters(&mut self) -> Vec<DeadLetter> {
        std::mem::take(&mut self.letters)
    }

    /// The rows that come next, with numbers from `next` on, up to the last one of some block. Nothing must be needed.
    pub fn give(&mut self, next: &mut Seq) -> Option<Parcel> {
        if let [only] = self.tracks.as_mut_slice() {
            self.letters.extend(only.letters.drain(..));
            return only.whole(next).map(Parcel::Share);
        }
        while let Some(track) = self.number_run(next) {
            if track.block.as_ref().is_none_or(InHand::is_numbered) {
                break;
            }
        }
        let mut due: Vec<_> = self.tracks.iter_mut().flat_map(Track::due).collect();
        due.sort_by_key(|&(seq, _)| seq);
        self.letters.extend(due.into_iter().map(|(_, letter)| letter));
        let mut with_rows = self.tracks.iter_mut().filter(|track| !track.seqs.is_empty());
        if let (Some(track), None) = (with_rows.next(), with_rows.next())
            && let Some(mut first) = track.seqs.first().copied()
            && let Some(share) = track.whole(&mut first)
        {
            track.seqs.clear();
            return Some(Parcel::Share(share));
        }
        let strands: Vec<Strand> = self.tracks.iter_mut().filter_map(Track::strand).collect();
        (!strands.is_empty()).then(|| Parcel::Interlaced(Arc::new(Interlaced::new(strands))))
    }

    /// Numbers the rows of the input whose turn it is, as long as it is; gives the input.
    fn number_run(&mut self, next: &mut Seq) -> Option<&mut Track> {
        let mut first: Option<(EventTime, usize)> = None;
        let mut limit = None;
        for (at, track) in self.tracks.iter().enumerate() {
            let Some(block) = &track.block else { continue };
            let head = Some((block.times()[block.row], at));
            if first.is_none() || head < first {
                (first, limit) = (head, first);
            } else if limit.is_none() || head < limit {
                limit = head;
            }
        }
        let (_, at) = first?;
        let track = &mut self.tracks[at];
        track.number(at, limit, next);
        Some(track)
    }
}

impl InHand {
    fn times(&self) -> &[EventTime] {
        &self.share.whole.batch.changes.event_times
    }

    fn is_numbered(&self) -> bool {
        self.row == self.times().len()
    }
}

impl Track {
    /// Numbers its rows before `limit`, the time and the input of what would come then; it is input `at`.
    fn number(&mut self, at: usize, limit: Option<(EventTime, usize)>, next: &mut Seq) {
        let Some(block) = &mut self.block else { return };
        let ahead = &block.times()[block.row..];
        let comes_then = |limit| ahead.iter().position(|&time| (time, at) > limit);
        let count = limit.and_then(comes_then).unwrap_or(ahead.len());
        let behind = next.0 + count as u64;
        self.seqs.extend((next.0..behind).map(Seq));
        block.row += count;
        next.0 = behind;
    }

    /// The letters of what was refused behind the rows to be given, each with the number of the row before it.
    fn due(&mut self) -> Vec<(Seq, DeadLetter)> {
        let Self { given, seqs, letters, .. } = self;
        let behind = *given + seqs.len() as u64;
        let due = letters.partition_point(|letter| letter.offset <= behind);
        letters.drain(..due).map(|letter| (seqs[(letter.offset - *given) as usize - 1], letter)).collect()
    }

    /// The block in hand, if nothing of it has been given, with numbers from `next` on.
    fn whole(&mut self, next: &mut Seq) -> Option<Arc<Share>> {
        let block = self.block.take_if(|block| block.from == 0)?;
        let count = block.times().len() as u64;
        let mut share = block.share;
        let Share { whole, .. } = Arc::get_mut(&mut share).expect("nobody else has any of it");
        whole.rebase(*next, self.given, self.watermark);
        self.watermark = whole.batch.time.after();
        self.note(count);
        next.0 += count;
        Some(share)
    }

    /// So many records more are given.
    fn note(&mut self, records: u64) {
        self.given += records;
        self.reads.note(records, self.watermark);
    }

    /// The rows to be given, if there are any.
    fn strand(&mut self) -> Option<Strand> {
        let block = self.block.as_mut().filter(|_| !self.seqs.is_empty())?;
        let rows = block.from..block.row;
        let time = moves(&block.share.whole.batch.time, rows.start, &self.seqs, self.watermark);
        self.watermark = time.after();
        let before = self.given;
        block.from = rows.end;
        let share = Arc::clone(&block.share);
        self.block.take_if(|block| block.is_numbered());
        let seqs = Arc::from(self.seqs.as_slice());
        self.seqs.clear();
        self.note(rows.len() as u64);
        Some(Strand { block: share, rows, seqs, time, before })
    }
}

/// How the rows from `from` on, which have got the numbers `seqs`, move time, which stands at `before`; `time` tells it of a
/// block numbered from 0.
fn moves(time: &TimeRuns, from: usize, seqs: &[Seq], before: Watermark) -> TimeRuns {
    let behind = |row: usize| time.advances.partition_point(|&(seq, _)| seq.0 < row as u64);
    let own = &time.advances[behind(from)..behind(from + seqs.len())];
    let advances = own.iter().filter(|&&(_, to)| to > before);
    TimeRuns { before, advances: advances.map(|&(seq, to)| (seqs[seq.0 as usize - from], to)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::DeadRecord;
    use crate::partition::event::{Envelope, Event};
    use crate::partition::share::Places;
    use crate::partition::testing::envelope;
    use proptest::prelude::*;
    use velostream_sql::diagnostic::ErrorCode;

    /// A record: its time, or that it is refused.
    type Record = Option<EventTime>;

    fn letter(input: usize, offset: u64, at: usize) -> DeadLetter {
        DeadLetter {
            relation: input.to_string(),
            query: None,
            partition: 0,
            offset,
            code: ErrorCode::Record,
            message: at.to_string(),
            record: DeadRecord::Bytes(Vec::new()),
            at_ms: 0,
        }
    }

    /// A block as a reader of blocks makes it: numbered from 0, in a time that begins with it. `begin` records came before.
    fn block(input: usize, records: &[Record], begin: usize) -> (Option<Share>, Vec<DeadLetter>) {
        let times: Vec<EventTime> = records.iter().copied().flatten().collect();
        let seqs: Vec<u64> = (0..times.len() as u64).collect();
        let Event::Batch(mut whole) = envelope(input, &seqs, seqs.len() as u64) else { panic!("a batch") };
        let mut largest = EventTime::MIN;
        for (row, &time) in times.iter().enumerate() {
            if time > largest {
                largest = time;
                whole.batch.time.advances.push((Seq(row as u64), Watermark(time)));
            }
        }
        whole.batch.changes.event_times = times;
        let rows_before = |at: usize| records[..at].iter().flatten().count() as u64;
        let refused = records.iter().enumerate().filter(|(_, record)| record.is_none());
        let letters = refused.map(|(at, _)| letter(input, rows_before(at), begin + at)).collect();
        let has_rows = !whole.batch.changes.is_empty();
        (has_rows.then_some(Share { whole: *whole, places: Places::One(0) }), letters)
    }

    /// What comes out, in order: rows by number with the input's number of the record; letters; moves of time.
    #[derive(Debug, Default, PartialEq)]
    struct Found {
        rows: Vec<(u64, usize, u64)>,
        letters: Vec<(usize, u64, String)>,
        moves: Vec<(u64, usize, Watermark)>,
    }

    impl Found {
        fn add(&mut self, parts: Vec<Envelope>, standing: &mut [Watermark]) {
            for part in parts {
                let Envelope { input, batch, .. } = &part;
                assert_eq!(batch.time.before, standing[*input], "time goes on where it stood");
                standing[*input] = batch.time.after();
                let rows = batch.changes.seqs.iter().enumerate();
                self.rows.extend(rows.map(|(row, seq)| (seq.0, *input, part.offset_of(row))));
                self.moves.extend(batch.time.advances.iter().map(|&(seq, to)| (seq.0, *input, to)));
            }
        }

        fn add_letters(&mut self, letters: Vec<DeadLetter>) {
            let each = letters.into_iter().map(|letter| {
                let input = letter.relation.parse().expect("a number");
                (input, letter.offset, letter.message)
            });
            self.letters.extend(each);
        }

        fn sorted(mut self) -> Self {
            self.rows.sort();
            self.moves.sort();
            self
        }
    }

    /// Record by record.
    fn expected(inputs: &[Vec<Record>]) -> Found {
        let mut found = Found::default();
        let mut at = vec![0; inputs.len()];
        let mut given = vec![0; inputs.len()];
        let mut largest = vec![EventTime::MIN; inputs.len()];
        let mut next = 1;
        loop {
            for (input, records) in inputs.iter().enumerate() {
                while let Some(None) = records.get(at[input]) {
                    found.letters.push((input, given[input], at[input].to_string()));
                    at[input] += 1;
                }
            }
            let heads = inputs.iter().enumerate();
            let heads = heads.filter_map(|(input, records)| Some(((*records.get(at[input])?)?, input)));
            let Some((time, input)) = heads.min() else { return found };
            found.rows.push((next, input, given[input]));
            if time > largest[input] {
                largest[input] = time;
                found.moves.push((next, input, Watermark(time)));
            }
            at[input] += 1;
            given[input] += 1;
            next += 1;
        }
    }

    /// In blocks that end where `cuts` say, given whole, in runs or as one batch of each input.
    fn in_blocks(inputs: &[Vec<Record>], cuts: &[usize], in_runs: bool) -> Found {
        let mut found = Found::default();
        let mut standing = vec![Watermark::NONE; inputs.len()];
        let mut together = Together::new(inputs.iter().map(|_| Arc::default()));
        let mut at = vec![0; inputs.len()];
        let mut cuts = cuts.iter().cycle();
        let mut next = Seq(1);
        while !together.is_over() {
            match together.needs() {
                Some(input) if at[input] == inputs[input].len() => together.end(input),
                Some(input) => {
                    let begin = at[input];
                    let end = (begin + cuts.next().expect("a cycle")).min(inputs[input].len());
                    let (rows, letters) = block(input, &inputs[input][begin..end], begin);
                    together.put(input, rows, letters);
                    at[input] = end;
                }
                None => match together.give(&mut next).expect("nothing is needed") {
                    Parcel::Share(share) => {
                        let share = Arc::into_inner(share).expect("all of it");
                        found.add(vec![share.whole], &mut standing);
                    }
                    Parcel::Interlaced(rows) if in_runs => found.add(rows.runs(0), &mut standing),
                    Parcel::Interlaced(rows) => found.add(rows.take(0), &mut standing),
                },
            }
            found.add_letters(together.take_letters());
        }
        found
    }

    proptest! {
        #[test]
        fn blocks_give_what_records_one_by_one_would(
            inputs in prop::collection::vec(
                prop::collection::vec(prop_oneof![5 => (0..40_i64).prop_map(Some), 1 => Just(None)], 0..30), 1..4),
            ascend: bool,
            cuts in prop::collection::vec(1..9_usize, 5),
            in_runs: bool,
        ) {
            let mut inputs = inputs;
            if ascend {
                inputs.iter_mut().for_each(|records| records.sort());
            }
            prop_assert_eq!(in_blocks(&inputs, &cuts, in_runs).sorted(), expected(&inputs));
        }
    }
}
