//! `SessionAggregate`: groups in windows whose bounds the rows themselves make.
//!
//! A session holds rows of one key each of which is at most the gap behind the one before it; its window is from
//! the first row's time to the last's plus the gap. A row joins the sessions that it is within the gap of, at
//! most two, which are one from then on: their aggregates are merged, so that no row is looked at again.
//!
//! Where rows can go, the rows of a key at one time, a *moment*, have aggregates of their own. A row that goes is
//! taken back from its moment and its session. A moment that has no rows left makes its session shorter; in the
//! middle it may cut it in two, which are then put together again from their moments.
//!
//! Rows are judged one by one, since lateness depends on the sessions that a row joins ([`change`]); a step's
//! sessions are compared before and after ([`show`]).

mod change;
mod show;

use super::AggregateSpec;
use super::given::{Evaluation, Given};
use super::window::{RowTimes, place_rows};
use crate::batch::{ChangeBatch, Seq};
use crate::error::Result;
use crate::functions::aggregate::{Aggregate, create};
use crate::operators::{Context, Operator, Stateful};
use crate::state::{
    GroupId, KeyTable, Layer, OrderedCounts, Sessions, State, StateCell, composite_state, hash_rows,
};
use crate::time::{Watermark, WatermarkCursor};

/// The state: keys, their sessions and moments, and per aggregate a column indexed by their numbers.
struct SessionState {
    keys: KeyTable,
    /// What the next session or moment has as its birth.
    next_birth: StateCell<u64>,
    sessions: Sessions,
    /// Which rows a moment has, by hashes of what tells them apart: time that a closed session held may be in an
    /// open one again, and then a row may go that is not the open one's.
    rows: OrderedCounts<i64>,
    calls: Vec<Box<dyn Aggregate>>,
}
composite_state!(SessionState { keys, next_birth, sessions, rows, calls });

/// Buffers that live from batch to batch and hold nothing between them.
#[derive(Default)]
struct Scratch {
    /// Rows of the batch in hand that take part, with their times and hashes.
    rows: Vec<u32>,
    times: Vec<i64>,
    hashes: Vec<u64>,
    /// What tells the rows apart, hashed, where rows can go.
    identities: Vec<u64>,
    /// Scratch of looking keys up.
    groups: Vec<GroupId>,
    /// Sessions to close.
    due: Vec<GroupId>,
    step: show::Step,
}

/// The operator.
pub(super) struct SessionAggregate {
    spec: AggregateSpec,
    gap: i64,
    grace: i64,
    /// Whether applying a row can fail.
    fallible: bool,
    evaluation: Evaluation,
    state: SessionState,
    scratch: Scratch,
}

impl SessionAggregate {
    /// No sessions yet.
    pub fn new(spec: AggregateSpec, gap: i64) -> Result<Self> {
        let calls = spec.calls.iter().map(|call| create(call, spec.updating_input));
        let state = SessionState {
            keys: KeyTable::new(&spec.types[..spec.keys.len()]),
            next_birth: StateCell::new(0),
            sessions: Sessions::default(),
            rows: OrderedCounts::default(),
            calls: calls.collect::<Result<_>>()?,
        };
        let scratch = Scratch { step: show::Step::new(&spec.types), ..Scratch::default() };
        let grace = spec.window.as_ref().map_or(0, |window| window.grace);
        let (evaluation, fallible) = (Evaluation::new(&spec)?, spec.is_fallible());
        Ok(Self { spec, gap, grace, fallible, evaluation, state, scratch })
    }

    /// The watermark at which a session closes whose last row is at `last`.
    fn closes_at(&self, last: i64) -> i64 {
        (last + self.gap).saturating_add(self.grace)
    }

    /// Closes the sessions that `watermark` has passed, in order of their ends.
    fn close(&mut self, watermark: Watermark, seq: Seq, out: &mut ChangeBatch) {
        let Some(first) = self.state.sessions.first_due() else { return };
        if self.closes_at(first) > watermark.0 {
            return;
        }
        let last = match watermark {
            Watermark::END => i64::MAX,
            Watermark(time) => time.saturating_sub(self.grace).saturating_sub(self.gap),
        };
        let Scratch { due, groups, .. } = &mut self.scratch;
        due.clear();
        self.state.sessions.due(last, due);
        let sessions = &self.state.sessions;
        due.sort_unstable_by_key(|&id| show::order(sessions.get(id)));
        if self.spec.is_final {
            self.state.emit(due, self.gap, seq, groups, out);
        }
        for at in 0..self.scratch.due.len() {
            self.state.drop_session(self.scratch.due[at]);
        }
    }
}

impl SessionState {
    /// Makes room in every column for the numbers there are.
    fn grow(&mut self) {
        let capacity = self.sessions.capacity();
        self.calls.iter_mut().for_each(|call| call.grow(capacity));
    }

    /// Takes a stretch out.
    fn take_out(&mut self, id: GroupId) {
        self.sessions.close(id);
        self.rows.remove(id);
        self.calls.iter_mut().for_each(|call| call.reset(id));
    }

    /// Takes a session out with its moments, and its key if it has no other.
    fn drop_session(&mut self, id: GroupId) {
        let session = *self.sessions.get(id);
        while let Some(moment) = self.sessions.at_or_before(Layer::Moment, session.key, session.last)
            && self.sessions.get(moment).first >= session.first
        {
            self.take_out(moment);
        }
        self.take_out(id);
        self.drop_idle_key(session.key);
    }

    /// Takes a key out if it has no session.
    fn drop_idle_key(&mut self, key: GroupId) {
        if self.sessions.at_or_before(Layer::Session, key, i64::MAX).is_none() {
            self.keys.remove(key);
        }
    }
}

impl Operator for SessionAggregate {
    fn process(&mut self, input: &ChangeBatch, out: &mut ChangeBatch, ctx: &mut Context<'_>) -> Result<()> {
        let Scratch { rows, times, hashes, identities, .. } = &mut self.scratch;
        self.evaluation.take_rows(input, rows, ctx);
        let given = Given { evaluation: &self.evaluation, input };
        let gap = self.gap;
        let place = |time: i64| time.checked_add(gap).map(|_| time);
        place_rows(input, RowTimes::new(given.times(), input), rows, times, ctx, place);
        if ctx.is_called_off() {
            return Ok(());
        }
        given.hash(rows, ctx.selected, hashes);
        if self.spec.updating_input {
            let identity = &self.spec.identity;
            hash_rows(identity.len(), |index| &input.columns[identity[index]], rows, identities);
        }
        let mut lateness = WatermarkCursor::new(ctx.own);
        let mut advances = ctx.time.advances.iter().copied().peekable();
        let mut standing = ctx.time.before;
        let mut at = 0;
        while at < self.scratch.rows.len() {
            let seq = input.seqs[self.scratch.rows[at] as usize];
            while let Some((moved, watermark)) = advances.next_if(|&(moved, _)| moved < seq) {
                standing = watermark;
                self.close(watermark, moved, out);
            }
            let of_step = |row: &&u32| input.seqs[**row as usize] == seq;
            let next = at + self.scratch.rows[at..].iter().take_while(of_step).count();
            self.apply_step(input, (at, next), lateness.standing_at(seq), out, ctx);
            if ctx.is_called_off() {
                return Ok(());
            }
            if self.spec.updating_input {
                self.close(standing, seq, out);
            }
            at = next;
        }
        for (moved, watermark) in advances {
            self.close(watermark, moved, out);
        }
        Ok(())
    }
}

impl Stateful for SessionAggregate {
    fn state(&self) -> Option<&dyn State> {
        Some(&self.state)
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.state)
    }

    fn groups(&self) -> usize {
        self.state.sessions.len()
    }
}
