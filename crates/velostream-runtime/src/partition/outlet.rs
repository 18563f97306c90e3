//! [`Outlet`]: the sender's end of a way to a pipeline, which may have several receivers.

use super::event::{Envelope, Event};
use super::mailbox::Mailbox;
use super::share::{Places, Share};
use crate::error::Result;
use std::sync::Arc;
use velostream_engine::router::Router;
use velostream_sql::shares::Route;

/// One mailbox for each receiver, and how rows are told apart where there are several. Whoever sends computes, once,
/// whose each row is; the receivers take their rows themselves.
pub struct Outlet {
    mailboxes: Vec<Arc<Mailbox>>,
    /// Per input of the pipeline; none where there is one receiver.
    routers: Vec<Option<Router>>,
    /// The receiver whose turn it is, where batches are dealt.
    turn: usize,
}

/// Nobody receives any more.
#[derive(Debug)]
pub struct Gone;

impl Outlet {
    /// To one receiver.
    pub fn single(mailbox: Arc<Mailbox>) -> Self {
        Self { mailboxes: vec![mailbox], routers: Vec::new(), turn: 0 }
    }

    /// To several receivers of a plan with these routes, one per input.
    pub fn shared(mailboxes: Vec<Arc<Mailbox>>, routes: &[Route]) -> Result<Self> {
        let router = |route: &Route| match route {
            Route::Deal => Ok(None),
            Route::Keys(keys) => Router::new(keys).map(Some),
        };
        let routers = routes.iter().map(router).collect::<std::result::Result<_, _>>()?;
        Ok(Self { mailboxes, routers, turn: 0 })
    }

    /// The same way for batches whose rows are told apart by others.
    pub fn placed(&self) -> Self {
        Self { mailboxes: self.mailboxes.clone(), routers: Vec::new(), turn: 0 }
    }

    /// The mailboxes, by receiver.
    pub fn mailboxes(&self) -> &[Arc<Mailbox>] {
        &self.mailboxes
    }

    /// Whether a batch may be sent to every receiver. After a no, the caller is woken when there is room.
    pub fn has_room(&self) -> bool {
        self.mailboxes.iter().all(|mailbox| mailbox.has_room())
    }

    /// Sends a batch without regard to room.
    pub fn send(&mut self, envelope: Envelope) {
        // Nothing is missed where a receiver is gone.
        let _ = self.address(envelope, |mailbox, event| {
            drop(mailbox.push(event));
            Ok(())
        });
    }

    /// Sends a batch as soon as there is room for it.
    pub fn send_when_room(&mut self, envelope: Envelope) -> std::result::Result<(), Gone> {
        self.address(envelope, |mailbox, event| mailbox.push_when_room(event, || ()).map_err(|_| Gone))
    }

    /// Sends small batches, together no larger than one may be, as soon as there is room for them.
    pub fn send_all_when_room(&mut self, envelopes: Vec<Envelope>) -> std::result::Result<(), Gone> {
        if let [mailbox] = self.mailboxes.as_slice() {
            let batches = envelopes.into_iter().map(|envelope| Event::Batch(Box::new(envelope)));
            return if mailbox.push_all_when_room(batches) { Ok(()) } else { Err(Gone) };
        }
        let shares: Vec<_> = envelopes.into_iter().map(|envelope| Arc::new(self.share(envelope))).collect();
        let each = std::iter::repeat_n(shares, self.mailboxes.len());
        let sent = self
            .mailboxes
            .iter()
            .zip(each)
            .all(|(mailbox, shares)| mailbox.push_all_when_room(shares.into_iter().map(Event::Share)));
        if sent { Ok(()) } else { Err(Gone) }
    }

    /// Whether a receiver has no room, for a sender that will ask again.
    pub fn is_full(&self) -> bool {
        self.mailboxes.iter().any(|mailbox| mailbox.is_full())
    }

    /// Sends a batch, of which `places` tells whose each row is where there are several receivers, without regard to room.
    pub fn send_placed(&self, whole: Envelope, places: Option<Places>) -> std::result::Result<(), Gone> {
        self.hand_on(whole, places, |mailbox, event| mailbox.push(event).map_err(|_| Gone))
    }

    fn address(
        &mut self,
        envelope: Envelope,
        push: impl Fn(&Mailbox, Event) -> std::result::Result<(), Gone>,
    ) -> std::result::Result<(), Gone> {
        let places = (self.mailboxes.len() > 1).then(|| self.places(&envelope));
        self.hand_on(envelope, places, push)
    }

    /// Makes the event of each mailbox and pushes it.
    fn hand_on(
        &self,
        whole: Envelope,
        places: Option<Places>,
        push: impl Fn(&Mailbox, Event) -> std::result::Result<(), Gone>,
    ) -> std::result::Result<(), Gone> {
        let Some(places) = places else {
            let event = Event::Batch(Box::new(whole));
            return self.mailboxes.first().map_or(Err(Gone), |mailbox| push(mailbox, event));
        };
        // The last receiver to take its rows is the last to hold the batch: none is kept here.
        let share = Arc::new(Share { whole, places });
        let each = std::iter::repeat_n(share, self.mailboxes.len());
        self.mailboxes.iter().zip(each).try_for_each(|(mailbox, share)| push(mailbox, Event::Share(share)))
    }

    fn share(&mut self, whole: Envelope) -> Share {
        let places = self.places(&whole);
        Share { whole, places }
    }

    fn places(&mut self, envelope: &Envelope) -> Places {
        let count = self.mailboxes.len();
        match &mut self.routers[envelope.input] {
            None => {
                self.turn = (self.turn + 1) % count;
                Places::One(self.turn as u16)
            }
            Some(router) => Places::by(router, envelope, count as u16),
        }
    }

    /// Sends what inputs begin with, all of one number.
    pub fn begin(&mut self, envelopes: Vec<Envelope>) {
        if let [mailbox] = self.mailboxes.as_slice() {
            drop(mailbox.push(Event::Beginning(envelopes)));
            return;
        }
        let shares: Vec<Share> = envelopes.into_iter().map(|envelope| self.share(envelope)).collect();
        for (place, mailbox) in self.mailboxes.iter().enumerate() {
            let own = shares.iter().map(|share| share.part(place as u16)).collect();
            drop(mailbox.push(Event::Beginning(own)));
        }
    }

    /// Sends every receiver an event that is no batch, made for each.
    pub fn tell(&self, event: impl Fn() -> Event) {
        for mailbox in &self.mailboxes {
            drop(mailbox.push(event()));
        }
    }
}
