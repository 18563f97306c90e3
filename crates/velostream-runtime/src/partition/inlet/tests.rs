use super::*;
use crate::partition::barrier::{BarrierKind, Passes};
use crate::partition::testing::{envelope, interlaced, mailbox, silent};
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

fn barrier(at: u64, kind: &BarrierKind) -> Event {
    Event::Barrier(Barrier { at: Seq(at), members: Arc::new(BTreeSet::new()), kind: kind.clone() })
}

/// What an inlet gives out, one entry per number and input, or the barrier.
fn drain(inlet: &mut Inlet, found: &mut Vec<(u64, Vec<usize>)>) {
    while let Some(work) = inlet.try_next() {
        match work {
            Work::Batch(envelope) => {
                let seqs = envelope.batch.changes.seqs;
                found.extend(seqs.into_iter().map(|seq| (seq.0, vec![envelope.input])));
            }
            Work::Step(parts) => {
                let seq = parts[0].batch.changes.seqs[0];
                assert!(parts.iter().all(|part| part.batch.changes.seqs.iter().all(|&other| other == seq)));
                found.push((seq.0, parts.iter().map(|part| part.input).collect()));
            }
            Work::Barrier(barrier) => found.push((barrier.at.0, vec![usize::MAX])),
            Work::Turns(parts) => {
                let rows = parts
                    .iter()
                    .flat_map(|part| part.batch.changes.seqs.iter().map(|seq| (seq.0, vec![part.input])));
                let mut rows: Vec<_> = rows.collect();
                rows.sort();
                found.append(&mut rows);
            }
            Work::End(input, seq) => found.push((seq.0, vec![1000 + input])),
            Work::Through(_) | Work::LeftOut(_) => {}
            Work::Failed(error) | Work::ShareFailed(_, error) => panic!("{error:?}"),
            Work::Merged(_) | Work::Taken(_) => panic!("nothing of the kind was sent"),
        }
    }
}

/// For each of some numbers which of three lanes has a row of it; lanes cut their rows into batches, and events
/// of different lanes arrive in any order.
fn cases() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, Vec<u8>)> {
    (
        prop::collection::vec(0..8_u8, 1..40),
        prop::collection::vec(0..3_u8, 200),
        prop::collection::vec(0..3_u8, 40),
    )
}

proptest! {
    #[test]
    fn arrival_and_cuts_change_nothing((rows, order, cuts) in cases(), gathers: bool) {
        let lanes: Vec<Arc<Mailbox>> = (0..3).map(|_| mailbox()).collect();
        let mut inlet = Inlet::new(lanes.iter().map(|lane| Lane {
            mailbox: Arc::clone(lane), open_inputs: 1, carries_barriers: true, taker: None,
        }).collect()).gathering(gathers);
        let half = rows.len() as u64 / 2;
        let (_, pass) = Passes::new(silent());
        let kind = BarrierKind::Flush(pass);
        let events = |lane: usize| {
            let mut events = Vec::new();
            let mut batch: Vec<u64> = Vec::new();
            for (at, mask) in rows.iter().enumerate() {
                let seq = at as u64 + 1;
                if seq == half + 1 {
                    events.push(envelope(lane, &std::mem::take(&mut batch), half));
                    events.push(barrier(half, &kind));
                }
                if mask & (1 << lane) != 0 {
                    batch.push(seq);
                }
                if cuts[at] as usize == lane {
                    events.push(envelope(lane, &std::mem::take(&mut batch), seq));
                }
            }
            let last = rows.len() as u64;
            events.push(envelope(lane, &batch, last));
            events.push(Event::End(lane, Seq(last)));
            events.into_iter()
        };
        let mut waiting: Vec<_> = (0..3).map(events).collect();
        let mut found = Vec::new();
        for lane in order.iter().map(|&lane| lane as usize).chain((0..3).cycle().take(400)) {
            if let Some(event) = waiting[lane].next() {
                drop(lanes[lane].push(event));
                drain(&mut inlet, &mut found);
            }
        }
        let mut expected: Vec<(u64, Vec<usize>)> = Vec::new();
        for (at, mask) in rows.iter().enumerate() {
            let seq = at as u64 + 1;
            if seq == half + 1 {
                expected.push((half, vec![usize::MAX]));
            }
            let of: Vec<usize> = (0..3).filter(|lane| mask & (1 << lane) != 0).collect();
            if !of.is_empty() {
                expected.push((seq, of));
            }
        }
        expected.extend((0..3).map(|input| (rows.len() as u64, vec![1000 + input])));
        prop_assert_eq!(found, expected);
    }

    /// Numbers belong to four inputs; the rows of the first and the last come together, by one lane.
    #[test]
    fn what_comes_interlaced_is_put_in_order_with_the_rest(
        inputs in prop::collection::vec(0..4_usize, 1..60),
        order in prop::collection::vec(0..3_usize, 200),
        cuts in prop::collection::vec(1..12_usize, 60),
        lanes in 1..4_usize,
        gathers: bool,
    ) {
        let lane_of = |input: usize| if input == 3 { 0 } else { input % lanes };
        let mailboxes: Vec<Arc<Mailbox>> = (0..lanes).map(|_| mailbox()).collect();
        let lane = |(at, mailbox): (usize, &Arc<Mailbox>)| Lane {
            mailbox: Arc::clone(mailbox),
            open_inputs: (0..4).filter(|&input| lane_of(input) == at).count(),
            carries_barriers: true,
            taker: None,
        };
        let mut inlet = Inlet::new(mailboxes.iter().enumerate().map(lane).collect()).gathering(gathers);
        let numbers: Vec<(usize, u64)> = inputs.into_iter().zip(1..).collect();
        let mut waiting: Vec<VecDeque<Event>> = (0..lanes).map(|lane| {
            let own: Vec<(usize, u64)> =
                numbers.iter().copied().filter(|&(input, _)| lane_of(input) == lane).collect();
            let mut rest = own.as_slice();
            let mut events = VecDeque::new();
            for &cut in &cuts {
                let (rows, behind) = rest.split_at(cut.min(rest.len()));
                rest = behind;
                if !rows.is_empty() {
                    events.push_back(interlaced(rows));
                }
            }
            events.push_back(Event::Through(Seq(numbers.len() as u64)));
            events
        }).collect();
        let mut found = Vec::new();
        for lane in order.iter().map(|lane| lane % lanes).chain((0..lanes).cycle().take(200)) {
            if let Some(event) = waiting[lane].pop_front() {
                drop(mailboxes[lane].push(event));
                drain(&mut inlet, &mut found);
            }
        }
        let expected: Vec<_> = numbers.into_iter().map(|(input, seq)| (seq, vec![input])).collect();
        prop_assert_eq!(found, expected);
    }
}
