//! What a step's rows do to the sessions.

use super::super::given::Given;
use super::super::out_of_range;
use super::{SessionAggregate, SessionState};
use crate::batch::{ChangeBatch, Seq};
use crate::error::RecordError;
use crate::operators::Context;
use crate::state::{GroupId, Layer, Session, State};
use crate::time::Watermark;

/// Where a row belongs that comes.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    /// Its key, if that has sessions.
    key: Option<GroupId>,
    /// The sessions that it joins: the earlier and the later one.
    joined: [Option<GroupId>; 2],
}

impl Arrival {
    fn merges(&self) -> bool {
        self.joined.iter().all(Option::is_some)
    }
}

impl SessionAggregate {
    /// Applies one step and shows what it changed. A step that cannot be taken back is made sure not to fail.
    pub(super) fn apply_step(
        &mut self,
        input: &ChangeBatch,
        (from, to): (usize, usize),
        watermark: Watermark,
        out: &mut ChangeBatch,
        ctx: &mut Context<'_>,
    ) {
        let seq = input.seqs[self.scratch.rows[from] as usize];
        let journaled = self.fallible && !(self.is_safe(input, (from, to)) && to - from == 1);
        if journaled {
            self.state.savepoint();
        }
        match self.change(input, (from, to), watermark, ctx) {
            Ok(()) => {
                self.show(seq, out);
                if journaled {
                    self.state.commit();
                }
            }
            Err(error) => {
                self.scratch.step.clear();
                self.state.rollback();
                ctx.failures.push((seq, error));
            }
        }
    }

    /// Whether rows come and certainly overflow nothing, two sessions that become one included. Every call is asked
    /// about every row, so that what is added counts.
    fn is_safe(&mut self, input: &ChangeBatch, (from, to): (usize, usize)) -> bool {
        if self.spec.updating_input {
            return false;
        }
        let given = Given { evaluation: &self.evaluation, input };
        let rows = &self.scratch.rows[from..to];
        let mut safe = true;
        for (index, call) in self.state.calls.iter_mut().enumerate() {
            safe &= call.is_safe(&given.call(index, rows, &[]));
        }
        safe && (from..to).all(|at| !self.find(input, at).merges())
    }

    fn change(
        &mut self,
        input: &ChangeBatch,
        (from, to): (usize, usize),
        watermark: Watermark,
        ctx: &mut Context<'_>,
    ) -> Result<(), RecordError> {
        let comes = |work: &Self, at: usize| input.ops[work.scratch.rows[at] as usize].is_addition();
        for at in from..to {
            if !comes(self, at) {
                self.retract_row(input, at, watermark, ctx)?;
            }
        }
        for at in from..to {
            if comes(self, at) {
                self.add_row(input, at, watermark, ctx)?;
            }
        }
        for at in 0..self.scratch.step.emptied.len() {
            self.remove_moment(self.scratch.step.emptied[at])?;
        }
        if self.fallible { self.verify() } else { Ok(()) }
    }

    /// The key of a row and the sessions within the gap of it.
    fn find(&self, input: &ChangeBatch, at: usize) -> Arrival {
        let given = Given { evaluation: &self.evaluation, input };
        let (row, time) = (self.scratch.rows[at] as usize, self.scratch.times[at]);
        let key = self.state.keys.find(&given, self.scratch.hashes[at], row);
        let Some(group) = key else { return Arrival { key, joined: [None, None] } };
        let sessions = &self.state.sessions;
        let near = |id: &GroupId| sessions.get(*id).last.saturating_add(self.gap) >= time;
        let later = sessions.at_or_before(Layer::Session, group, time + self.gap).filter(near);
        let before = later.and_then(|id| sessions.get(id).first.checked_sub(1));
        let earlier = before.and_then(|time| sessions.at_or_before(Layer::Session, group, time));
        Arrival { key, joined: [earlier.filter(near), later] }
    }

    /// Whether what ends with a row at `last` is closed; then the row is reported.
    fn is_late(
        &self,
        input: &ChangeBatch,
        at: usize,
        last: i64,
        watermark: Watermark,
        ctx: &mut Context<'_>,
    ) -> bool {
        let late = self.closes_at(last) <= watermark.0;
        if late {
            let row = self.scratch.rows[at] as usize;
            ctx.late.push((input.seqs[row], watermark.0.saturating_sub(input.event_times[row])));
        }
        late
    }

    fn add_row(
        &mut self,
        input: &ChangeBatch,
        at: usize,
        watermark: Watermark,
        ctx: &mut Context<'_>,
    ) -> Result<(), RecordError> {
        let time = self.scratch.times[at];
        let arrival = self.find(input, at);
        let lasts = arrival.joined.iter().flatten().map(|&id| self.state.sessions.get(id).last);
        let last = lasts.fold(time, i64::max);
        if self.is_late(input, at, last, watermark, ctx) {
            return Ok(());
        }
        let given = Given { evaluation: &self.evaluation, input };
        let (row, hash) = (self.scratch.rows[at], self.scratch.hashes[at]);
        let key = arrival.key.unwrap_or_else(|| self.state.keys.insert(&given, hash, row as usize));
        let session = self.session_for(key, time, arrival.joined, input.seqs[row as usize])?;
        if self.spec.updating_input {
            let moment = self.moment_for(key, time);
            self.state.rows.add(moment, self.scratch.identities[at] as i64, 1);
            return self.count_row(input, row, [session, moment], 1);
        }
        self.count_row(input, row, [session], 1)
    }

    /// The one session that a row of `key` at `time` is in: the joined ones, made one and as long as needed, or a
    /// new one.
    fn session_for(
        &mut self,
        key: GroupId,
        time: i64,
        joined: [Option<GroupId>; 2],
        seq: Seq,
    ) -> Result<GroupId, RecordError> {
        for &id in joined.iter().flatten() {
            self.touch(id, seq);
        }
        let id = match joined {
            [None, None] => {
                let id = self.state.open(Layer::Session, key, time);
                self.scratch.step.note(id);
                return Ok(id);
            }
            [Some(id), None] | [None, Some(id)] => id,
            [Some(earlier), Some(later)] => self.merge(earlier, later)?,
        };
        let session = *self.state.sessions.get(id);
        if time < session.first || session.last < time {
            let (first, last) = (session.first.min(time), session.last.max(time));
            self.state.sessions.set(id, Session { first, last, ..session });
        }
        Ok(id)
    }

    /// Makes one session of two; the one with fewer rows goes into the other.
    fn merge(&mut self, earlier: GroupId, later: GroupId) -> Result<GroupId, RecordError> {
        let (one, two) = (*self.state.sessions.get(earlier), *self.state.sessions.get(later));
        let (from, into) = if one.rows < two.rows { (earlier, later) } else { (later, earlier) };
        self.merge_calls(from, into)?;
        self.state.take_out(from);
        self.scratch.step.forget(from);
        let session = Session {
            first: one.first,
            last: two.last,
            birth: one.birth.min(two.birth),
            rows: one.rows + two.rows,
            ..one
        };
        self.state.sessions.set(into, session);
        Ok(into)
    }

    fn merge_calls(&mut self, from: GroupId, into: GroupId) -> Result<(), RecordError> {
        match self.state.calls.iter_mut().position(|call| !call.merge(from, into)) {
            Some(call) => Err(out_of_range(&self.spec.calls[call])),
            None => Ok(()),
        }
    }

    /// The moment of a key at a time.
    fn moment_for(&mut self, key: GroupId, time: i64) -> GroupId {
        self.state.moment(key, time).unwrap_or_else(|| self.state.open(Layer::Moment, key, time))
    }

    /// Adds a row to groups, or takes it back where `by` is -1.
    fn count_row<const GROUPS: usize>(
        &mut self,
        input: &ChangeBatch,
        row: u32,
        groups: [GroupId; GROUPS],
        by: i64,
    ) -> Result<(), RecordError> {
        for &id in &groups {
            let session = *self.state.sessions.get(id);
            self.state.sessions.set(id, Session { rows: session.rows + by, ..session });
        }
        let given = Given { evaluation: &self.evaluation, input };
        let rows = [row; GROUPS];
        for (index, call) in self.state.calls.iter_mut().enumerate() {
            let given = given.call(index, &rows, &groups);
            if !(if by > 0 { call.add(&given) } else { call.retract(&given) }) {
                return Err(out_of_range(&self.spec.calls[index]));
            }
        }
        Ok(())
    }

    /// Takes a row back from its moment and session. One that never came, because its record was refused or too
    /// late, has none.
    fn retract_row(
        &mut self,
        input: &ChangeBatch,
        at: usize,
        watermark: Watermark,
        ctx: &mut Context<'_>,
    ) -> Result<(), RecordError> {
        let given = Given { evaluation: &self.evaluation, input };
        let (row, time) = (self.scratch.rows[at], self.scratch.times[at]);
        let key = self.state.keys.find(&given, self.scratch.hashes[at], row as usize);
        let moment = key.and_then(|key| self.state.moment(key, time));
        let identity = self.scratch.identities[at] as i64;
        let moment = moment.filter(|&moment| self.state.rows.count(moment, identity) > 0);
        let session = moment.and_then(|moment| self.state.session_of(moment));
        let last = session.map_or(time, |session| self.state.sessions.get(session).last);
        if self.is_late(input, at, last, watermark, ctx) {
            return Ok(());
        }
        let (Some(moment), Some(session)) = (moment, session) else { return Ok(()) };
        self.touch(session, input.seqs[row as usize]);
        self.state.rows.add(moment, identity, -1);
        self.count_row(input, row, [session, moment], -1)?;
        if self.state.sessions.get(moment).rows == 0 {
            self.scratch.step.emptied.push(moment);
        }
        Ok(())
    }

    /// Takes a moment out if it has no rows, and from its session the time that only it held.
    fn remove_moment(&mut self, moment: GroupId) -> Result<(), RecordError> {
        let Session { key, first: time, rows, .. } = *self.state.sessions.get(moment);
        if rows > 0 {
            return Ok(());
        }
        let id = self.state.session_of(moment).expect("a moment lies in a session");
        let session = *self.state.sessions.get(id);
        self.state.take_out(moment);
        let sessions = &self.state.sessions;
        let time_of = |id: GroupId| sessions.get(id).first;
        let before = sessions.at_or_before(Layer::Moment, key, time).map(time_of);
        let after = sessions.after(Layer::Moment, key, time).map(time_of);
        let before = before.filter(|&time| time >= session.first);
        let after = after.filter(|&time| time <= session.last);
        match (before, after) {
            (None, None) => {
                self.state.take_out(id);
                self.scratch.step.forget(id);
                self.scratch.step.idle_keys.push(key);
            }
            (Some(last), None) => self.state.sessions.set(id, Session { last, ..session }),
            (None, Some(first)) => self.state.sessions.set(id, Session { first, ..session }),
            (Some(last), Some(first)) if first - last > self.gap => {
                self.take_out_rows(id);
                self.refill(id, Session { last, ..session })?;
                let right = self.state.open(Layer::Session, key, first);
                self.scratch.step.note(right);
                self.refill(right, Session { first, ..session })?;
            }
            (Some(_), Some(_)) => {}
        }
        Ok(())
    }

    fn take_out_rows(&mut self, id: GroupId) {
        self.state.calls.iter_mut().for_each(|call| call.reset(id));
    }

    /// Makes a session without rows the one of all moments between the bounds of `session`.
    fn refill(&mut self, id: GroupId, session: Session) -> Result<(), RecordError> {
        let mut filled = Session { birth: u64::MAX, rows: 0, ..session };
        let mut next = self.state.moment(session.key, session.first);
        while let Some(moment) = next {
            let Session { first: time, birth, rows, .. } = *self.state.sessions.get(moment);
            if time > session.last {
                break;
            }
            self.merge_calls(moment, id)?;
            filled.birth = filled.birth.min(birth);
            filled.rows += rows;
            next = self.state.sessions.after(Layer::Moment, session.key, time);
        }
        self.state.sessions.set(id, filled);
        Ok(())
    }

    fn verify(&mut self) -> Result<(), RecordError> {
        let ids = self.scratch.step.alive();
        match self.state.calls.iter().position(|call| !call.verify(ids)) {
            Some(call) => Err(out_of_range(&self.spec.calls[call])),
            None => Ok(()),
        }
    }
}

impl SessionState {
    /// Opens a stretch of one moment, without rows yet.
    fn open(&mut self, layer: Layer, key: GroupId, time: i64) -> GroupId {
        let birth = *self.next_birth.get();
        self.next_birth.set(birth + 1);
        let id = self.sessions.open(layer, Session { key, first: time, last: time, birth, rows: 0 });
        self.grow();
        id
    }

    fn moment(&self, key: GroupId, time: i64) -> Option<GroupId> {
        let found = self.sessions.at_or_before(Layer::Moment, key, time);
        found.filter(|&moment| self.sessions.get(moment).first == time)
    }

    /// The session that a moment lies in.
    fn session_of(&self, moment: GroupId) -> Option<GroupId> {
        let moment = self.sessions.get(moment);
        self.sessions.at_or_before(Layer::Session, moment.key, moment.first)
    }
}
