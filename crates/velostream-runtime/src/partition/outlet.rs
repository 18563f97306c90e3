//! [`Outlet`]: the sender's end of a way to a pipeline, which may have several receivers.

use super::mailbox::{Envelope, Event, Mailbox};
use super::share::{Places, Share};
use crate::error::Result;
use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch};
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
        for (mailbox, event) in self.addressed(envelope) {
            drop(mailbox.push(event));
        }
    }

    /// Sends a batch as soon as there is room for it.
    pub fn send_when_room(&mut self, envelope: Envelope) -> std::result::Result<(), Gone> {
        for (mailbox, event) in self.addressed(envelope) {
            mailbox.push_when_room(event, || ()).map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// The event for each mailbox.
    fn addressed(&mut self, envelope: Envelope) -> impl Iterator<Item = (&Mailbox, Event)> {
        let (single, share) = if self.mailboxes.len() == 1 {
            (Some(Event::Batch(Box::new(envelope))), None)
        } else {
            let places = self.places(&envelope);
            (None, Some(Arc::new(Share { whole: envelope, places })))
        };
        let count = self.mailboxes.len();
        let shares = share.map(|share| std::iter::repeat_n(share, count).map(Event::Share));
        let events = single.into_iter().chain(shares.into_iter().flatten());
        self.mailboxes.iter().map(|mailbox| &**mailbox).zip(events)
    }

    fn places(&mut self, envelope: &Envelope) -> Places {
        let count = self.mailboxes.len();
        match &mut self.routers[envelope.input] {
            None => {
                self.turn = (self.turn + 1) % count;
                Places::One(self.turn as u16)
            }
            Some(router) => {
                let mut places = Vec::new();
                router.route(&envelope.batch.changes, count as u16, &mut places);
                Places::Each(places)
            }
        }
    }

    /// Sends what inputs begin with, all of one number.
    pub fn begin(&mut self, envelopes: Vec<Envelope>) {
        if let [mailbox] = self.mailboxes.as_slice() {
            drop(mailbox.push(Event::Beginning(envelopes)));
            return;
        }
        let places: Vec<Places> = envelopes.iter().map(|envelope| self.places(envelope)).collect();
        for (place, mailbox) in self.mailboxes.iter().enumerate() {
            let parts = envelopes.iter().zip(&places);
            let own = parts.map(|(whole, places)| part(whole, places, place as u16)).collect();
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

/// A receiver's rows of a batch.
fn part(whole: &Envelope, places: &Places, place: u16) -> Envelope {
    let all = &whole.batch.changes;
    let mut rows = Vec::new();
    places.rows_of(place, all.len(), &mut rows);
    let types: Vec<_> = all.columns.iter().map(|column| column.data_type).collect();
    let mut changes = ChangeBatch::new(&types);
    changes.extend_selected(all, &rows);
    Envelope { batch: Batch { changes, time: whole.batch.time.clone() }, home: None, ..whole.clone() }
}
