//! What a receiver gives goes to its readers: pipelines that read the relation which it maintains, the receiver that
//! merges the answer, or the receivers of the next stage.

use super::PartitionReceiver;
use crate::dead_letter::LeftOut;
use crate::partition::barrier::Reader;
use crate::partition::event::{Envelope, Event};
use crate::partition::share::{Places, Share};
use std::sync::Arc;
use velostream_engine::router::Router;

/// How rows go to the receivers of the next stage, which are the readers.
pub struct ToNextStage {
    /// Whose they are.
    pub router: Router,
    /// The input of which they are, or were made from, records, if those go with them: to be told if they are left out.
    pub records_of: Option<usize>,
}

impl PartitionReceiver {
    /// Sends every reader a batch; the last of them gets it by value. Receivers of the next stage share it.
    pub(super) fn publish_batch(&mut self, envelope: Envelope) {
        if let Some(next) = &mut self.setup.next_stage {
            let count = self.readers.len();
            let places = match count {
                1 => Places::One(0),
                _ => Places::by(&mut next.router, &envelope, count as u16),
            };
            let share = Arc::new(Share { whole: envelope, places });
            let mut each = std::iter::repeat_n(share, count);
            return self.publish(&mut |_| Event::Share(each.next().expect("there is one for each")));
        }
        let mut left = self.readers.len();
        let mut envelope = Some(envelope);
        self.publish(&mut |input| {
            left -= 1;
            let own = if left == 0 { envelope.take() } else { envelope.clone() };
            Event::Batch(Box::new(Envelope { input, ..own.expect("the last reader takes it") }))
        });
    }

    /// Sends every reader an event, made for its input, and forgets those that are gone.
    pub(super) fn publish(&mut self, event: &mut dyn FnMut(usize) -> Event) {
        let (waits, readers) = (self.waits, &self.readers);
        let before = || self.let_others_work();
        let mut is_any_gone = false;
        for Reader { mailbox, input, .. } in readers {
            let event = event(*input);
            let sent = if waits { mailbox.push_when_room(event, before) } else { mailbox.push(event) };
            is_any_gone |= sent.is_err();
        }
        // The place of a row in the next stage depends on how many receivers that has.
        if is_any_gone && self.setup.next_stage.is_none() {
            self.readers.retain(|reader| !reader.mailbox.is_closed());
        }
    }

    /// Lets what was left out, here or before, be told: by one reader on the way to the answer, or to the engine.
    pub(super) fn tell(&mut self, left_out: LeftOut) {
        if !self.setup.is_share {
            return self.setup.shared.report(left_out);
        }
        let Some(Reader { mailbox, .. }) = self.readers.first() else { return };
        let event = Event::LeftOut(Box::new(left_out));
        drop(mailbox.push_when_room(event, || self.let_others_work()));
    }

    /// Before it waits for room: others may as well work on what they were not told of.
    fn let_others_work(&self) {
        self.setup.inlet.announce_room();
        announce_events(&self.readers);
        self.go_on_with_answer();
    }
}

/// Tells readers of what they were not told of.
pub(super) fn announce_events(readers: &[Reader]) {
    readers.iter().for_each(|reader| reader.mailbox.announce_events());
}
