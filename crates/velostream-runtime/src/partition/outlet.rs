//! [`Outlet`]: the sender's end of a way to a pipeline, which may have several receivers.

use super::event::{Envelope, Event};
use super::interlaced::Interlaced;
use super::mailbox::Mailbox;
use super::share::{Places, Share};
use crate::error::Result;
use std::sync::Arc;
use velostream_engine::router::Router;
use velostream_sql::shares::Route;

/// One mailbox for each receiver, and how rows are told apart where there are several. Whoever sends
/// tells the rows of all receivers apart, once.
pub struct Outlet {
    mailboxes: Vec<Arc<Mailbox>>,
    /// Per input of the pipeline; none where there is one receiver.
    routers: Vec<Option<Router>>,
    /// The receiver whose turn it is, where batches are dealt.
    turn: usize,
}

/// What is sent.
#[derive(Clone)]
pub enum Parcel {
    /// Rows of one input.
    Share(Arc<Share>),
    /// Rows of several, whose numbers take turns.
    Interlaced(Arc<Interlaced>),
}

impl Parcel {
    /// What a receiver gets, who may be the only one.
    fn into_event(self, is_only: bool) -> Event {
        match self {
            Self::Share(share) if is_only => {
                let Share { whole, .. } = Arc::into_inner(share).expect("nobody else has it");
                Event::Batch(Box::new(whole))
            }
            Self::Share(share) => Event::Share(share),
            Self::Interlaced(rows) => Event::Interlaced(rows),
        }
    }
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

    /// Sends what comes from several inputs as soon as there is room for it.
    pub fn post_when_room(&self, parcel: Parcel) -> std::result::Result<(), Gone> {
        self.hand_out(parcel, |mailbox, event| mailbox.push_when_room(event, || ()).map_err(|_| Gone))
    }

    /// The same without regard to room.
    pub fn post(&self, parcel: Parcel) -> std::result::Result<(), Gone> {
        self.hand_out(parcel, |mailbox, event| mailbox.push(event).map_err(|_| Gone))
    }

    /// Whether so many bytes wait at a receiver, or it has no room, for a sender that will ask again.
    pub fn is_behind(&self, bytes: usize) -> bool {
        self.mailboxes.iter().any(|mailbox| mailbox.holds(bytes))
    }

    fn address(
        &mut self,
        envelope: Envelope,
        push: impl Fn(&Mailbox, Event) -> std::result::Result<(), Gone>,
    ) -> std::result::Result<(), Gone> {
        // A batch may be one record: nothing is made for it that only several receivers need.
        if let [mailbox] = self.mailboxes.as_slice() {
            return push(mailbox, Event::Batch(Box::new(envelope)));
        }
        let share = Arc::new(self.share(envelope));
        self.hand_out(Parcel::Share(share), push)
    }

    /// Makes the event of each mailbox and pushes it.
    fn hand_out(
        &self,
        parcel: Parcel,
        push: impl Fn(&Mailbox, Event) -> std::result::Result<(), Gone>,
    ) -> std::result::Result<(), Gone> {
        // The last receiver to take its rows is the last to hold them: nothing is kept here.
        let receivers = self.mailboxes.len();
        let each = std::iter::repeat_n(parcel, receivers);
        let mut sent = self.mailboxes.iter().zip(each);
        sent.try_for_each(|(mailbox, parcel)| push(mailbox, parcel.into_event(receivers == 1)))
    }

    /// A batch, and what tells whose each row is.
    pub fn share(&mut self, whole: Envelope) -> Share {
        let count = self.mailboxes.len();
        let places = match self.routers.get_mut(whole.input) {
            Some(Some(router)) => Places::by(router, &whole, count as u16),
            Some(None) => {
                self.turn = (self.turn + 1) % count;
                Places::One(self.turn as u16)
            }
            None => Places::One(0),
        };
        Share { whole, places }
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
